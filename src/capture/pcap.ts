/** The classic capture format (draft-ietf-opsawg-pcap): a file header, then records. */
import type { BlockBuffer } from "./block_buffer.ts";
import { type Frame, type FrameReader, MAX_FRAME_BYTES, u16of, u32of } from "./frame.ts";

const MAGIC_MICROSECONDS = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS = 0xa1b2_3c4d;
/** Written by a patched libpcap of 1999 (Kuznetzov); records have eight bytes more. */
const MAGIC_MODIFIED = 0xa1b2_cd34;

const FILE_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;
const MODIFIED_RECORD_HEADER_LENGTH = 24;
const VERSION_MAJOR = 4;
const VERSION_MINOR = 6;
const LINK_TYPE = 20; // lower 16 bits; above them the length of the frame check sequence

/** Files of version 2.0 to 2.2 have the two lengths in the other order. */
const SWAPPED_BEFORE_MINOR = 3;

export class PcapReader implements FrameReader {
  problem: string | null = null;
  isDamaged = false;
  readonly #buffer: BlockBuffer;
  readonly #littleEndian: boolean;
  readonly #unitsPerMs: number;
  readonly #headerLength: number;
  readonly #linkType: number;
  /** Where the captured and the original length stand in a record's header. */
  readonly #capturedAt: number;
  readonly #originalAt: number;

  private constructor(buffer: BlockBuffer, magic: number, littleEndian: boolean) {
    this.#buffer = buffer;
    this.#littleEndian = littleEndian;
    this.#unitsPerMs = magic === MAGIC_NANOSECONDS ? 1_000_000 : 1_000;
    this.#headerLength = magic === MAGIC_MODIFIED
      ? MODIFIED_RECORD_HEADER_LENGTH
      : RECORD_HEADER_LENGTH;
    this.#linkType = u32of(buffer.bytes, buffer.at + LINK_TYPE, littleEndian) & 0xffff;
    const isSwapped = u16of(buffer.bytes, buffer.at + VERSION_MAJOR, littleEndian) === 2 &&
      u16of(buffer.bytes, buffer.at + VERSION_MINOR, littleEndian) < SWAPPED_BEFORE_MINOR;
    this.#capturedAt = isSwapped ? 12 : 8;
    this.#originalAt = isSwapped ? 8 : 12;
    buffer.at += FILE_HEADER_LENGTH;
  }

  /** Null when the input does not begin with a pcap file header. */
  static open(buffer: BlockBuffer): PcapReader | null {
    if (!buffer.need(FILE_HEADER_LENGTH)) return null;
    for (const littleEndian of [true, false]) {
      const magic = u32of(buffer.bytes, buffer.at, littleEndian);
      if (magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS || magic === MAGIC_MODIFIED) {
        return new PcapReader(buffer, magic, littleEndian);
      }
    }
    return null;
  }

  next(frame: Frame): boolean {
    const buffer = this.#buffer;
    const headerLength = this.#headerLength;
    if (!buffer.need(headerLength)) {
      if (buffer.limit > buffer.at) this.#cut();
      return false;
    }
    const littleEndian = this.#littleEndian;
    let at = buffer.at;
    const length = u32of(buffer.bytes, at + this.#capturedAt, littleEndian);
    if (length > MAX_FRAME_BYTES) {
      this.problem = `damaged at byte ${buffer.position}: a record of ${length} bytes`;
      this.isDamaged = true;
      return false;
    }
    if (!buffer.need(headerLength + length)) {
      this.#cut();
      return false;
    }
    const bytes = buffer.bytes;
    at = buffer.at;
    frame.bytes = bytes;
    frame.start = at + headerLength;
    frame.end = at + headerLength + length;
    frame.linkType = this.#linkType;
    frame.timeMs = u32of(bytes, at, littleEndian) * 1000 +
      u32of(bytes, at + 4, littleEndian) / this.#unitsPerMs;
    frame.wireLength = u32of(bytes, at + this.#originalAt, littleEndian);
    buffer.at = frame.end;
    return true;
  }

  #cut(): void {
    this.problem = `cut short at byte ${this.#buffer.position}, in the middle of a packet`;
  }
}
