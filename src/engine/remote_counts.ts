/** Keys of one row; what a lookup compares at most. */
const WAYS = 4;
/** Remotes of a host that are told apart; the oldest makes room. */
export const MOST_REMOTES = 8;

const HOST_WORDS = 4;
const LAST = HOST_WORDS; // tick of the latest remote
const REMOTES = LAST + 1; // hash and tick of each
const ENTRY_WORDS = REMOTES + MOST_REMOTES * 2;

/**
 * With how many distinct addresses a host has had flows of a kind lately: a bounded table in a
 * (shared) array of words, rows of four hosts, of which the one seen longest ago makes room. It has no
 * lock of its own.
 */
export class RemoteCounts {
  readonly #words: Int32Array;
  readonly #offset: number;
  readonly #rows: number;

  /** @param rows a power of two  @param offset first word of the table in `words` */
  constructor(words: Int32Array, offset: number, rows: number) {
    this.#words = words;
    this.#offset = offset;
    this.#rows = rows;
  }

  /** Words that a table takes. */
  static length(rows: number): number {
    return rows * WAYS * ENTRY_WORDS;
  }

  /**
   * Notes that the host at `hostAt` has a flow with the address whose hash is `remote`. How many
   * distinct ones it had within `span` ticks, at most {@link MOST_REMOTES}.
   */
  add(
    row: number,
    host: Int32Array,
    hostAt: number,
    remote: number,
    tick: number,
    span: number,
  ): number {
    const words = this.#words;
    const entry = this.#entryOf(row, host, hostAt, tick);
    words[entry + LAST] = tick;
    const hash = remote | 1; // never 0, that of a free place
    let count = 0;
    let place = -1;
    let oldest = -1;
    let oldestAge = -1;
    for (let i = 0; i < MOST_REMOTES; i++) {
      const at = entry + REMOTES + i * 2;
      const age = words[at] === 0 ? 0x7fff_ffff : (tick - words[at + 1]) | 0;
      if (words[at] === hash) place = at;
      else if (age <= span) count++;
      if (age > oldestAge) {
        oldest = at;
        oldestAge = age;
      }
    }
    if (place < 0) {
      place = oldest;
      if (oldestAge <= span) count--; // all are fresh: the oldest of them goes
    }
    words[place] = hash;
    words[place + 1] = tick;
    return count + 1;
  }

  /** The host's entry, made where there is none. */
  #entryOf(row: number, host: Int32Array, hostAt: number, tick: number): number {
    const words = this.#words;
    const first = this.#offset + (row & (this.#rows - 1)) * WAYS * ENTRY_WORDS;
    let oldest = first;
    let oldestAge = -1;
    for (let way = 0; way < WAYS; way++) {
      const entry = first + way * ENTRY_WORDS;
      let isHost = true;
      let isFree = true;
      for (let word = 0; word < HOST_WORDS; word++) {
        isHost &&= words[entry + word] === host[hostAt + word];
        isFree &&= words[entry + word] === 0;
      }
      if (isHost) return entry;
      const age = isFree ? 0x7fff_ffff : (tick - words[entry + LAST]) | 0;
      if (age > oldestAge) {
        oldest = entry;
        oldestAge = age;
      }
    }
    words.fill(0, oldest, oldest + ENTRY_WORDS);
    for (let word = 0; word < HOST_WORDS; word++) words[oldest + word] = host[hostAt + word];
    return oldest;
  }
}
