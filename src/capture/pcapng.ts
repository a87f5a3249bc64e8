/** The newer capture format (draft-ietf-opsawg-pcapng): blocks in sections. */
import type { BlockBuffer } from "./block_buffer.ts";
import { type Frame, type FrameReader, MAX_FRAME_BYTES, u16of, u32of } from "./frame.ts";

const SECTION_HEADER_BLOCK = 0x0a0d_0d0a; // the same in both byte orders
const INTERFACE_DESCRIPTION_BLOCK = 1;
const PACKET_BLOCK = 2; // obsolete
const SIMPLE_PACKET_BLOCK = 3;
const ENHANCED_PACKET_BLOCK = 6;

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;

/** Type and total length before the body, total length again behind it. */
const BLOCK_HEADER_LENGTH = 8;
const BLOCK_OVERHEAD = 12;
const SECTION_HEADER_LENGTH = 28;
const INTERFACE_FIXED_LENGTH = 8; // link type 2, reserved 2, snap length 4
const PACKET_FIXED_LENGTH = 20; // interface 4 (or 2 and drops 2), time 8, captured 4, original 4

const OPTION_END = 0;
const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;

const MICROSECONDS_PER_MS = 1000;
const TWO_TO_32 = 2 ** 32;
/** Options and packets of one block; larger ones are damage. Unknown blocks may have any length. */
const MAX_BLOCK_BYTES = MAX_FRAME_BYTES + (1 << 20);
/** More interfaces than any section describes; bounds what a hostile file can allocate. */
const MAX_INTERFACES = 65_536;

interface Interface {
  linkType: number;
  snapLength: number;
  unitsPerMs: number;
  offsetMs: number;
}

export class PcapngReader implements FrameReader {
  problem: string | null = null;
  isDamaged = false;
  readonly #buffer: BlockBuffer;
  #littleEndian = true;
  #interfaces: Interface[] = [];

  private constructor(buffer: BlockBuffer) {
    this.#buffer = buffer;
  }

  /** Null when the input does not begin with a section header block. */
  static open(buffer: BlockBuffer): PcapngReader | null {
    if (!buffer.need(SECTION_HEADER_LENGTH)) return null;
    if (u32of(buffer.bytes, buffer.at, true) !== SECTION_HEADER_BLOCK) return null;
    const reader = new PcapngReader(buffer);
    return reader.#readByteOrder(buffer.bytes, buffer.at) ? reader : null;
  }

  next(frame: Frame): boolean {
    const buffer = this.#buffer;
    for (;;) {
      if (!buffer.need(BLOCK_OVERHEAD)) {
        if (buffer.limit > buffer.at) this.#cut();
        return false;
      }
      let at = buffer.at;
      let bytes = buffer.bytes;
      const type = u32of(bytes, at, this.#littleEndian);
      if (type === SECTION_HEADER_BLOCK && !this.#readByteOrder(bytes, at)) {
        return this.#damaged("a section header without its magic number");
      }
      const littleEndian = this.#littleEndian;
      const length = u32of(bytes, at + 4, littleEndian);
      if (length < BLOCK_OVERHEAD) return this.#damaged(`a block of ${length} bytes`);
      const isRead = type === ENHANCED_PACKET_BLOCK || type === SECTION_HEADER_BLOCK ||
        type === INTERFACE_DESCRIPTION_BLOCK || type === SIMPLE_PACKET_BLOCK ||
        type === PACKET_BLOCK;
      const padded = length + (-length & 3); // some writers forget the padding in the length
      if (!isRead) {
        if (!buffer.skip(padded)) {
          this.#cut();
          return false;
        }
        continue;
      }
      if (length > MAX_BLOCK_BYTES) return this.#damaged(`a block of ${length} bytes`);
      if (!buffer.need(padded) && !buffer.need(length)) {
        this.#cut();
        return false;
      }
      at = buffer.at;
      bytes = buffer.bytes;
      const body = at + BLOCK_HEADER_LENGTH;
      const bodyEnd = at + length - 4;
      let isFrame = false;
      switch (type) {
        case ENHANCED_PACKET_BLOCK:
          isFrame = this.#readPacket(
            frame,
            bytes,
            body,
            bodyEnd,
            u32of(bytes, body, littleEndian),
          );
          break;
        case PACKET_BLOCK:
          isFrame = this.#readPacket(
            frame,
            bytes,
            body,
            bodyEnd,
            u16of(bytes, body, littleEndian),
          );
          break;
        case SIMPLE_PACKET_BLOCK:
          isFrame = this.#readSimplePacket(frame, bytes, body, bodyEnd);
          break;
        case INTERFACE_DESCRIPTION_BLOCK:
          this.#readInterface(bytes, body, bodyEnd);
          break;
        case SECTION_HEADER_BLOCK:
          this.#interfaces = [];
          break;
      }
      if (this.problem !== null) return false;
      buffer.at = Math.min(at + padded, buffer.limit);
      if (isFrame) return true;
    }
  }

  /** Takes over the byte order of the section at `at`; 12 bytes have been read. */
  #readByteOrder(bytes: Uint8Array, at: number): boolean {
    for (const littleEndian of [true, false]) {
      if (u32of(bytes, at + BLOCK_HEADER_LENGTH, littleEndian) === BYTE_ORDER_MAGIC) {
        this.#littleEndian = littleEndian;
        return true;
      }
    }
    return false;
  }

  #readPacket(
    frame: Frame,
    bytes: Uint8Array,
    body: number,
    bodyEnd: number,
    interfaceId: number,
  ): boolean {
    if (bodyEnd - body < PACKET_FIXED_LENGTH) return this.#damaged("a packet block without packet");
    if (interfaceId >= this.#interfaces.length) {
      return this.#damaged(`a packet of interface ${interfaceId}, which is not described`);
    }
    const described = this.#interfaces[interfaceId];
    const littleEndian = this.#littleEndian;
    const captured = u32of(bytes, body + 12, littleEndian);
    if (captured > bodyEnd - body - PACKET_FIXED_LENGTH) {
      return this.#damaged(`a packet of ${captured} bytes in a smaller block`);
    }
    const units = u32of(bytes, body + 4, littleEndian) * TWO_TO_32 +
      u32of(bytes, body + 8, littleEndian);
    frame.bytes = bytes;
    frame.start = body + PACKET_FIXED_LENGTH;
    frame.end = frame.start + captured;
    frame.linkType = described.linkType;
    frame.timeMs = units / described.unitsPerMs + described.offsetMs;
    frame.wireLength = u32of(bytes, body + 16, littleEndian);
    return true;
  }

  /** Has no time: the frame keeps the one before. */
  #readSimplePacket(frame: Frame, bytes: Uint8Array, body: number, bodyEnd: number): boolean {
    if (bodyEnd - body < 4) return this.#damaged("a packet block without packet");
    if (this.#interfaces.length === 0) {
      return this.#damaged("a packet of interface 0, which is not described");
    }
    const described = this.#interfaces[0];
    const original = u32of(bytes, body, this.#littleEndian);
    const snapLength = described.snapLength || original;
    frame.bytes = bytes;
    frame.start = body + 4;
    frame.end = frame.start + Math.min(original, snapLength, bodyEnd - frame.start);
    frame.linkType = described.linkType;
    frame.wireLength = original;
    return true;
  }

  #readInterface(bytes: Uint8Array, body: number, bodyEnd: number): void {
    if (bodyEnd - body < INTERFACE_FIXED_LENGTH || this.#interfaces.length >= MAX_INTERFACES) {
      this.#damaged("an interface description that cannot be read");
      return;
    }
    const littleEndian = this.#littleEndian;
    const described: Interface = {
      linkType: u16of(bytes, body, littleEndian),
      snapLength: u32of(bytes, body + 4, littleEndian),
      unitsPerMs: MICROSECONDS_PER_MS,
      offsetMs: 0,
    };
    let at = body + INTERFACE_FIXED_LENGTH;
    while (bodyEnd - at >= 4) {
      const code = u16of(bytes, at, littleEndian);
      const length = u16of(bytes, at + 2, littleEndian);
      at += 4;
      if (code === OPTION_END || length > bodyEnd - at) break;
      if (code === OPTION_TIME_RESOLUTION && length >= 1) {
        const exponent = bytes[at] & 0x7f; // highest bit: a power of two instead of ten
        described.unitsPerMs = ((bytes[at] & 0x80) !== 0 ? 2 : 10) ** exponent / 1000;
      } else if (code === OPTION_TIME_OFFSET && length >= 8) {
        const high = u32of(bytes, littleEndian ? at + 4 : at, littleEndian) | 0;
        const low = u32of(bytes, littleEndian ? at : at + 4, littleEndian);
        described.offsetMs = (high * TWO_TO_32 + low) * 1000;
      }
      at += length + (-length & 3);
    }
    this.#interfaces.push(described);
  }

  #damaged(what: string): false {
    this.problem = `damaged at byte ${this.#buffer.position}: ${what}`;
    this.isDamaged = true;
    return false;
  }

  #cut(): void {
    this.problem = `cut short at byte ${this.#buffer.position}, in the middle of a block`;
  }
}
