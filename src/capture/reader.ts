/** Packets from pcap and pcapng files, gzip-compressed or not, and from standard input. */
import { BlockBuffer } from "./block_buffer.ts";
import { type ByteSource, openSource } from "./byte_source.ts";
import { Frame, type FrameReader } from "./frame.ts";
import { PcapReader } from "./pcap.ts";
import { PcapngReader } from "./pcapng.ts";

/** The input is no capture. The message says what it starts with. */
export class NotACaptureError extends Error {
  override readonly name = "NotACaptureError";
}

/**
 * Reads a capture frame by frame without an allocation per frame:
 *
 * ```ts
 * using reader = await CaptureReader.open("traffic.pcap");
 * while (reader.next()) parseFrame(packet, reader.bytes, reader.start, reader.end, reader.linkType);
 * ```
 *
 * The fields of {@link Frame} are those of the last frame and valid until the next.
 */
export class CaptureReader extends Frame implements Disposable {
  /** 1 for the first frame, as Wireshark counts; after the end the number of frames read. */
  frameNumber = 0;
  /** Reading ended before the input's end, or at what no capture holds; not merely at a cut end. */
  isDamaged = false;
  readonly #source: ByteSource;
  readonly #buffer: BlockBuffer;
  readonly #format: FrameReader;

  private constructor(source: ByteSource, buffer: BlockBuffer, format: FrameReader) {
    super();
    this.#source = source;
    this.#buffer = buffer;
    this.#format = format;
  }

  /**
   * Opens the file, or standard input for `-`. Throws {@link NotACaptureError}, or Deno's error when
   * the file cannot be read.
   */
  static async open(path: string): Promise<CaptureReader> {
    return CaptureReader.from(await openSource(path));
  }

  /** Reads from any source, which it closes in the end. */
  static from(source: ByteSource): CaptureReader {
    try {
      const buffer = new BlockBuffer(source);
      const format = PcapReader.open(buffer) ?? PcapngReader.open(buffer);
      if (format === null) throw new NotACaptureError(describeStart(buffer, source.problem));
      return new CaptureReader(source, buffer, format);
    } catch (error) {
      source[Symbol.dispose]();
      throw error;
    }
  }

  /** Moves to the next frame. False at the end, or where the file is damaged ({@link problem}). */
  next(): boolean {
    if (!this.#format.next(this)) {
      const { problem, isCut } = this.#source;
      this.isDamaged = this.#format.isDamaged || (problem !== null && !isCut);
      return false;
    }
    this.frameNumber++;
    return true;
  }

  /** Bytes of the input before the next frame. */
  get position(): number {
    return this.#buffer.position;
  }

  /** Why the frames end before the file does ("cut short at byte …"), or null. */
  get problem(): string | null {
    // Where the bytes end too early, that is why a packet is cut.
    if (this.#format.isDamaged) return this.#format.problem;
    return this.#source.problem ?? this.#format.problem;
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}

const SHOWN_BYTES = 8;

function describeStart(buffer: BlockBuffer, problem: string | null): string {
  const shown = buffer.bytes.subarray(buffer.at, Math.min(buffer.limit, buffer.at + SHOWN_BYTES));
  if (shown.length === 0) return `not a pcap or pcapng capture (${problem ?? "empty"})`;
  const hex = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `not a pcap or pcapng capture (first bytes ${hex})`;
}
