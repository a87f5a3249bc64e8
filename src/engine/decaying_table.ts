import { TICK_MS, tickOf } from "./flow_table.ts";

/** Entries of a set: what one lookup compares at most. */
const WAYS = 8;

/**
 * A bounded table of keys with the time each was last seen, in a (shared) array of words: rows of
 * eight entries, of which the oldest makes room. It has no lock of its own.
 *
 * An entry is its key, a tick, and a value, which is 0 where the entry is not in use.
 */
export class DecayingTable {
  readonly #words: Int32Array;
  readonly #offset: number;
  readonly #rows: number;
  readonly #keyWords: number;
  readonly #entryWords: number;

  /** @param rows a power of two  @param offset first word of the table in `words` */
  constructor(words: Int32Array, offset: number, rows: number, keyWords: number) {
    this.#words = words;
    this.#offset = offset;
    this.#rows = rows;
    this.#keyWords = keyWords;
    this.#entryWords = keyWords + 2;
  }

  /** Words that a table takes. */
  static length(rows: number, keyWords: number): number {
    return rows * WAYS * (keyWords + 2);
  }

  /** Notes that the key was seen, and its value; `row` is taken modulo the number of rows. */
  touch(row: number, key: Int32Array, timeMs: number, value = 1): void {
    const words = this.#words;
    const tick = tickOf(timeMs);
    let entry = this.#find(row, key);
    if (entry < 0) {
      entry = this.#oldest(row, tick);
      for (let word = 0; word < this.#keyWords; word++) words[entry + word] = key[word];
    }
    words[entry + this.#keyWords] = tick;
    words[entry + this.#keyWords + 1] = value;
  }

  /** Notes that the key, where it is there, was seen, and sets these bits of its value. */
  raise(row: number, key: Int32Array, timeMs: number, bits: number): void {
    const entry = this.#find(row, key);
    if (entry < 0) return;
    const value = this.valueOf(entry);
    if (value !== 0) this.touch(row, key, timeMs, value | bits);
  }

  /** Takes the key out, if it is there. */
  forget(row: number, key: Int32Array): void {
    const entry = this.#find(row, key);
    if (entry >= 0) this.#words[entry + this.#keyWords + 1] = 0;
  }

  /** Value of an entry that {@link nextOf} has given. */
  valueOf(entry: number): number {
    return this.#words[entry + this.#keyWords + 1];
  }

  /** Whether the key was seen within `maxAgeMs`. */
  has(row: number, key: Int32Array, timeMs: number, maxAgeMs: number): boolean {
    const entry = this.#find(row, key);
    return entry >= 0 && this.#isFresh(entry, timeMs, maxAgeMs);
  }

  /**
   * Positions of a row's fresh entries whose first four words are an address, one at a time: the
   * next one after `previous` (-1 to begin), or -1. The key's words stand there in the array.
   */
  nextOf(
    row: number,
    address: Int32Array,
    at: number,
    previous: number,
    timeMs: number,
    maxAgeMs: number,
  ): number {
    const words = this.#words;
    const first = this.#first(row);
    const end = first + WAYS * this.#entryWords;
    let entry = previous < 0 ? first : previous + this.#entryWords;
    for (; entry < end; entry += this.#entryWords) {
      if (
        words[entry] === address[at] && words[entry + 1] === address[at + 1] &&
        words[entry + 2] === address[at + 2] && words[entry + 3] === address[at + 3] &&
        this.#isFresh(entry, timeMs, maxAgeMs)
      ) return entry;
    }
    return -1;
  }

  #first(row: number): number {
    return this.#offset + (row & (this.#rows - 1)) * WAYS * this.#entryWords;
  }

  #find(row: number, key: Int32Array): number {
    const words = this.#words;
    const first = this.#first(row);
    for (let way = 0; way < WAYS; way++) {
      const entry = first + way * this.#entryWords;
      let same = words[entry + this.#keyWords + 1] !== 0;
      for (let word = 0; same && word < this.#keyWords; word++) {
        same = words[entry + word] === key[word];
      }
      if (same) return entry;
    }
    return -1;
  }

  /** An unused entry of the row, else the one seen longest ago. */
  #oldest(row: number, tick: number): number {
    const words = this.#words;
    const first = this.#first(row);
    let oldest = first;
    let age = -1;
    for (let way = 0; way < WAYS; way++) {
      const entry = first + way * this.#entryWords;
      if (words[entry + this.#keyWords + 1] === 0) return entry;
      const since = (tick - words[entry + this.#keyWords]) | 0;
      if (since > age) {
        oldest = entry;
        age = since;
      }
    }
    return oldest;
  }

  #isFresh(entry: number, timeMs: number, maxAgeMs: number): boolean {
    const words = this.#words;
    return words[entry + this.#keyWords + 1] !== 0 &&
      ((tickOf(timeMs) - words[entry + this.#keyWords]) | 0) <= maxAgeMs / TICK_MS;
  }
}
