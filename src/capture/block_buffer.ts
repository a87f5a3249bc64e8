import type { ByteSource } from "./byte_source.ts";

/** Large enough to make a read call cheap per packet, small enough to stay in a core's cache. */
const BLOCK_BYTES = 512 << 10;

/**
 * A window on a byte source: `[at, limit)` of `bytes` is read and not consumed. A record cut by the
 * window's end is moved to its start before more is read, so a record is always contiguous.
 */
export class BlockBuffer {
  bytes: Uint8Array = new Uint8Array(BLOCK_BYTES);
  at = 0;
  limit = 0;
  /** Bytes of the input before `bytes[0]`. */
  #base = 0;
  #ended = false;
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Position of the next byte in the input, for messages. */
  get position(): number {
    return this.#base + this.at;
  }

  /**
   * Whether `count` bytes stand at `at`, after reading more if need be. False at the input's end.
   * `at`, `limit` and `bytes` may change. The caller bounds `count`.
   */
  need(count: number): boolean {
    return this.limit - this.at >= count || this.#refill(count);
  }

  /** Moves over `count` bytes, however many; false when the input ends before. */
  skip(count: number): boolean {
    let left = count;
    while (left > this.limit - this.at) {
      left -= this.limit - this.at;
      this.at = this.limit;
      if (!this.need(1)) return false;
    }
    this.at += left;
    return true;
  }

  #refill(count: number): boolean {
    if (this.#ended) return false;
    const left = this.limit - this.at;
    this.#base += this.at;
    if (count > this.bytes.length) {
      const grown = new Uint8Array(Math.max(count, this.bytes.length * 2));
      grown.set(this.bytes.subarray(this.at, this.limit));
      this.bytes = grown;
    } else if (this.at > 0) {
      this.bytes.copyWithin(0, this.at, this.limit);
    }
    this.at = 0;
    this.limit = left;
    while (this.limit < count) {
      const read = this.#source.read(this.bytes.subarray(this.limit));
      if (read === null) {
        this.#ended = true;
        return false;
      }
      this.limit += read;
    }
    return true;
  }
}
