/** What a capture reader fills in for every frame: positions in the block that was read. */
export class Frame {
  /** The block; valid until the next frame is read. */
  bytes: Uint8Array = new Uint8Array(0);
  /** The captured bytes of the frame: `[start, end)`. */
  start = 0;
  end = 0;
  /** LINKTYPE_ value of the interface it was captured on. */
  linkType = 0;
  /** Milliseconds since 1970 UTC, with a fraction; what the file says, however wrong. */
  timeMs = 0;
  /** Length on the wire in bytes, by the file. */
  wireLength = 0;
}

/** One capture format. */
export interface FrameReader {
  /** Reads the next frame into `frame`; false at the end, or where the file is damaged. */
  next(frame: Frame): boolean;
  /** Why reading ended before the file's end, or null. */
  readonly problem: string | null;
  /** The problem is damage, not a cut end. */
  readonly isDamaged: boolean;
}

/**
 * No interface captures more of a frame (Wireshark's limit for USB is 128 MiB, for networks 256 KiB);
 * a larger length is damage, and reading it would only take memory.
 */
export const MAX_FRAME_BYTES = 16 << 20;

/** Unsigned 32-bit number at `at` in the byte order of the file. */
export function u32of(bytes: Uint8Array, at: number, littleEndian: boolean): number {
  return littleEndian
    ? (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
    : ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** Unsigned 16-bit number at `at` in the byte order of the file. */
export function u16of(bytes: Uint8Array, at: number, littleEndian: boolean): number {
  return littleEndian ? bytes[at] | (bytes[at + 1] << 8) : (bytes[at] << 8) | bytes[at + 1];
}
