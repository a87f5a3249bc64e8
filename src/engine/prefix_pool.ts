import { greater, lesser } from "../packet/bytes.ts";

/** Bytes of a stream's beginning that are kept, per direction. */
export const PREFIX_LENGTH = 4096;

/** From so many bytes on, making a view and copying natively beats a loop. */
const LONG_COPY = 256;
const COVERAGE_WORDS = PREFIX_LENGTH / 32;

/**
 * Beginnings of TCP streams put back in order: retransmissions, overlaps, reordering, segments of
 * one byte. A buffer is taken only where a packet did not decide alone. When all are in use the one
 * taken longest ago is taken over, so that a flood of half openings costs itself and not others'
 * memory.
 *
 * Of bytes sent twice the first copy stays: that is what a receiver has already handed on.
 */
export class PrefixPool {
  /** All buffers, one after the other; a prefix begins at {@link start}(index). */
  readonly bytes: Uint8Array;

  readonly #count: number;
  /** In-order bytes from stream offset 0. */
  readonly #length: Int32Array;
  /** End of the highest byte held; more than the length where there is a hole. */
  readonly #high: Int32Array;
  /** One bit for each byte at or above the length that is held. */
  readonly #coverage: Int32Array;
  /** Position in `words` of the owner's reference (index + 1 stands there), or -1. */
  readonly #owner: Int32Array;
  readonly #free: Int32Array;
  #freeCount: number;
  /** Those in use in the order in which they were taken: neighbours by index, -1 at the ends. */
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  #oldest = -1;
  #newest = -1;

  constructor(count: number) {
    this.#count = count;
    this.bytes = new Uint8Array(count * PREFIX_LENGTH);
    this.#length = new Int32Array(count);
    this.#high = new Int32Array(count);
    this.#coverage = new Int32Array(count * COVERAGE_WORDS);
    this.#owner = new Int32Array(count);
    this.#free = new Int32Array(count);
    this.#older = new Int32Array(count);
    this.#newer = new Int32Array(count);
    this.#freeCount = 0;
    this.clear();
  }

  /** Gives all buffers back. */
  clear(): void {
    this.#owner.fill(-1);
    for (let index = 0; index < this.#count; index++) {
      this.#free[index] = this.#count - 1 - index; // the first are used first: fewer pages touched
    }
    this.#freeCount = this.#count;
    this.#oldest = this.#newest = -1;
  }

  /** Buffers in use. */
  get used(): number {
    return this.#count - this.#freeCount;
  }

  /** First byte of a prefix in {@link bytes}. */
  start(index: number): number {
    return index * PREFIX_LENGTH;
  }

  /** Bytes in order from offset 0. */
  length(index: number): number {
    return this.#length[index];
  }

  /** Takes a buffer; `words[reference]` is set to its index + 1, and to 0 should it be taken over. */
  take(words: Int32Array, reference: number): number {
    let index: number;
    if (this.#freeCount > 0) {
      index = this.#free[--this.#freeCount];
    } else {
      index = this.#oldest;
      this.#unlink(index);
      words[this.#owner[index]] = 0;
    }
    this.#link(index);
    this.#length[index] = 0;
    this.#high[index] = 0;
    this.#owner[index] = reference;
    words[reference] = index + 1;
    return index;
  }

  /** Gives the buffer named by `words[reference]` back, if there is one. */
  release(words: Int32Array, reference: number): void {
    const index = words[reference] - 1;
    if (index < 0) return;
    words[reference] = 0;
    this.#owner[index] = -1;
    this.#unlink(index);
    this.#free[this.#freeCount++] = index;
  }

  #link(index: number): void {
    this.#older[index] = this.#newest;
    this.#newer[index] = -1;
    if (this.#newest < 0) this.#oldest = index;
    else this.#newer[this.#newest] = index;
    this.#newest = index;
  }

  #unlink(index: number): void {
    const older = this.#older[index];
    const newer = this.#newer[index];
    if (older < 0) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer < 0) this.#newest = older;
    else this.#older[newer] = older;
  }

  /** Drops the first `count` bytes in order; what has come beyond a hole is dropped too. */
  moveDown(index: number, count: number): void {
    const start = index * PREFIX_LENGTH;
    const length = greater(0, this.#length[index] - count);
    this.bytes.copyWithin(start, start + count, start + count + length);
    this.#length[index] = length;
    this.#high[index] = length;
  }

  /**
   * Puts `[from, to)` at stream `offset` (0 or more). What lies beyond {@link PREFIX_LENGTH} is cut
   * off. Returns whether the in-order length grew.
   */
  write(index: number, offset: number, source: Uint8Array, from: number, to: number): boolean {
    const end = lesser(offset + (to - from), PREFIX_LENGTH);
    if (offset >= PREFIX_LENGTH || end <= this.#length[index]) return false;
    const bytes = this.bytes;
    const start = index * PREFIX_LENGTH;
    const before = this.#length[index];
    if (before === this.#high[index] && offset <= before) {
      if (end - before >= LONG_COPY) {
        bytes.set(source.subarray(from + before - offset, from + end - offset), start + before);
      } else {
        for (let at = before; at < end; at++) bytes[start + at] = source[from + at - offset];
      }
      this.#length[index] = end;
      this.#high[index] = end;
      return true;
    }
    this.#writeWithHoles(index, greater(offset, before), end, source, from - offset);
    return this.#length[index] > before;
  }

  /** `shift` turns a stream offset into a position in `source`. */
  #writeWithHoles(
    index: number,
    offset: number,
    end: number,
    source: Uint8Array,
    shift: number,
  ): void {
    const bytes = this.bytes;
    const start = index * PREFIX_LENGTH;
    const coverage = this.#coverage;
    const bits = index * COVERAGE_WORDS;
    if (this.#high[index] === this.#length[index]) {
      coverage.fill(0, bits, bits + COVERAGE_WORDS); // the first hole of this buffer
    }
    for (let at = offset; at < end; at++) {
      const word = bits + (at >> 5);
      const bit = 1 << (at & 31);
      if (coverage[word] & bit) continue;
      coverage[word] |= bit;
      bytes[start + at] = source[shift + at];
    }
    if (end > this.#high[index]) this.#high[index] = end;
    let length = this.#length[index];
    while (length < this.#high[index] && coverage[bits + (length >> 5)] & (1 << (length & 31))) {
      length++;
    }
    this.#length[index] = length;
  }
}
