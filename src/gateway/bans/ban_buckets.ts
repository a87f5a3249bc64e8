/**
 * The memory of the table of bans: a set-associative table in shared memory. A bucket is locked by its
 * writers only (a sequence number, odd while one writes); a reader that found something looks again
 * when the number moved. A miss reads one cache line and no atomic: `Atomics.load` is a call in V8, ten
 * times the price of a plain load, and a ban that is being written right now is missed either way.
 *
 * The size is fixed. A full bucket overflows into a second one.
 */
import type { BanKey } from "./ban_key.ts";

// One bucket: a line of 16 words with the sequence number and the tags, then the entries.
export const WAYS = 8;
const SEQUENCE = 0;
const OVERFLOWED = 1; // 1 once an entry of this bucket had to go to its second one
export const TAGS = 8;
const BUCKET_HEAD = 16;
// One entry: the address (words 0…3), then
export const DETAIL = 4; // see detailOf()
export const UNTIL = 5; // times in tenths of a second of CLOCK_BOOTTIME, unsigned: 13 years of uptime
export const SINCE = 6;
export const LAST_SEEN = 7; // 0 for never
export const PACKETS = 8;
export const REASON = 9;
const ENTRY_WORDS = 10;
const BUCKET_WORDS = BUCKET_HEAD + WAYS * ENTRY_WORDS; // 6 lines of 64 bytes

const TABLE_HEAD = 16;
export const COUNT = 0; // occupied entries
export const ENDPOINTS = 1; // of them, of one endpoint
const SEED = 2;
const INITIALISED = 3;
export const NETWORKS = 4; // of the occupied entries, of networks
export const LENGTHS = 5; // to 9: bit n, once a network of prefix length n was banned
export const LENGTH_WORDS = 5;

/** Attempts before a reader takes what stands there: the writer sleeps inside a bucket, or has died. */
const READ_ATTEMPTS = 1000;
/** Attempts before a writer sleeps, so that on a busy machine the one inside goes on. */
const LOCK_ATTEMPTS = 1000;
/** Naps of a millisecond before a writer takes the bucket of a dead one. */
const LOCK_NAPS = 1000;

/** In the place of the protocol: IANA's "Reserved", so no packet has it. */
const NETWORK = 255;

/** What a key has beside its address, in one word: 0 for the whole address. */
export function detailOf({ bits, protocol, port }: BanKey): number {
  return bits < 128 ? networkDetail(bits) : endpointDetail(protocol, port);
}

export function endpointDetail(protocol: number, port: number): number {
  return (protocol << 16) | port;
}

export function networkDetail(bits: number): number {
  return (NETWORK << 16) | bits;
}

/** The key of an entry. */
export function keyFrom(words: Int32Array, detail: number): BanKey {
  const [protocol, rest] = [detail >>> 16, detail & 0xffff];
  return protocol === NETWORK
    ? { words, bits: rest, protocol: 0, port: 0 }
    : { words, bits: 128, protocol, port: rest };
}

/** A view of the shared memory; every thread makes its own over the same buffer. */
export class BanBuckets {
  readonly cells: Int32Array;
  readonly #bucketMask: number;
  readonly #seed: number;

  static byteLength(entries: number): number {
    return (TABLE_HEAD + bucketCount(entries) * BUCKET_WORDS) * 4;
  }

  constructor(buffer: SharedArrayBuffer) {
    const cells = new Int32Array(buffer);
    this.cells = cells;
    this.#bucketMask = Math.trunc((cells.length - TABLE_HEAD) / BUCKET_WORDS) - 1;
    // Who cannot know the seed cannot choose addresses that share a bucket.
    if (Atomics.compareExchange(cells, INITIALISED, 0, 1) === 0) {
      Atomics.store(cells, SEED, crypto.getRandomValues(new Int32Array(1))[0] | 1);
    }
    while (Atomics.load(cells, SEED) === 0);
    this.#seed = Atomics.load(cells, SEED);
  }

  /** Cell of the entry in force, or -1. Takes no lock. */
  find(words: Int32Array, at: number, detail: number, now: number): number {
    const tag = this.tagOf(words, at, detail);
    const first = this.bucket(tag);
    const entry = this.#findIn(first, tag, words, at, detail, now);
    if (entry >= 0 || this.cells[first + OVERFLOWED] === 0) return entry;
    return this.#findIn(this.secondBucket(tag), tag, words, at, detail, now);
  }

  #findIn(
    bucket: number,
    tag: number,
    words: Int32Array,
    at: number,
    detail: number,
    now: number,
  ): number {
    const cells = this.cells;
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      if (!hasTag(cells, bucket, tag)) return -1;
      const sequence = Atomics.load(cells, bucket + SEQUENCE);
      if ((sequence & 1) !== 0) continue;
      const way = this.search(bucket, tag, words, at, detail);
      const entry = entryAt(bucket, way);
      const inForce = way >= 0 && isLater(Atomics.load(cells, entry + UNTIL), now);
      if (Atomics.load(cells, bucket + SEQUENCE) === sequence) return inForce ? entry : -1;
    }
    // What stands under a key is a ban of it, whatever the writer was about to do: the tag is written
    // last and taken away first.
    const way = this.search(bucket, tag, words, at, detail);
    if (way < 0) return -1;
    const entry = entryAt(bucket, way);
    return isLater(Atomics.load(cells, entry + UNTIL), now) ? entry : -1;
  }

  /** Way of the key in its bucket, or -1. Atomic loads: plain ones may be reordered on ARM. */
  search(
    bucket: number,
    tag: number,
    words: Int32Array,
    at: number,
    detail: number,
  ): number {
    const cells = this.cells;
    for (let way = 0; way < WAYS; way++) {
      if (cells[bucket + TAGS + way] !== tag) continue;
      const entry = entryAt(bucket, way);
      if (
        Atomics.load(cells, entry + 3) === words[at + 3] &&
        Atomics.load(cells, entry + 2) === words[at + 2] &&
        Atomics.load(cells, entry + 1) === words[at + 1] &&
        Atomics.load(cells, entry) === words[at] &&
        Atomics.load(cells, entry + DETAIL) === detail
      ) return way;
    }
    return -1;
  }

  /** Gives an empty way its key; the tag last, since it makes the entry visible. */
  occupy(
    bucket: number,
    way: number,
    tag: number,
    words: Int32Array,
    at: number,
    detail: number,
  ): void {
    const cells = this.cells;
    const entry = entryAt(bucket, way);
    for (let word = 0; word < 4; word++) Atomics.store(cells, entry + word, words[at + word]);
    Atomics.store(cells, entry + DETAIL, detail);
    Atomics.store(cells, bucket + TAGS + way, tag);
    Atomics.add(cells, COUNT, 1);
    if (isNetwork(detail)) {
      const bits = detail & 0xffff;
      Atomics.or(cells, LENGTHS + (bits >>> 5), 1 << (bits & 31));
      Atomics.add(cells, NETWORKS, 1);
    } else if (detail !== 0) Atomics.add(cells, ENDPOINTS, 1);
  }

  /** Empties a way of a locked bucket. */
  free(bucket: number, way: number): void {
    const cells = this.cells;
    Atomics.store(cells, bucket + TAGS + way, 0);
    Atomics.sub(cells, COUNT, 1);
    const detail = cells[entryAt(bucket, way) + DETAIL];
    if (isNetwork(detail)) Atomics.sub(cells, NETWORKS, 1);
    else if (detail !== 0) Atomics.sub(cells, ENDPOINTS, 1);
  }

  /** Positions of all buckets. */
  *all(): Iterable<number> {
    for (let index = 0; index <= this.#bucketMask; index++) {
      yield TABLE_HEAD + index * BUCKET_WORDS;
    }
  }

  /** Whether a bucket has no entry. Takes no lock. */
  isEmpty(bucket: number): boolean {
    for (let way = 0; way < WAYS; way++) if (this.cells[bucket + TAGS + way] !== 0) return false;
    return true;
  }

  /** From now on its second bucket is looked into too. */
  overflows(bucket: number): void {
    Atomics.store(this.cells, bucket + OVERFLOWED, 1);
  }

  lock(bucket: number): void {
    const cells = this.cells;
    for (let attempt = 0; attempt < LOCK_ATTEMPTS + LOCK_NAPS; attempt++) {
      const sequence = Atomics.load(cells, bucket + SEQUENCE);
      if ((sequence & 1) !== 0) {
        if (attempt >= LOCK_ATTEMPTS) Atomics.wait(cells, bucket + SEQUENCE, sequence, 1);
        continue;
      }
      const before = Atomics.compareExchange(cells, bucket + SEQUENCE, sequence, sequence + 1);
      if (before === sequence) return;
    }
    // A writer holds a bucket for less than a microsecond of its time: this one was terminated inside.
  }

  unlock(bucket: number): void {
    // From odd to even, also after a bucket was taken over while odd.
    const cells = this.cells;
    Atomics.store(cells, bucket + SEQUENCE, (Atomics.load(cells, bucket + SEQUENCE) + 1) & ~1);
  }

  /** Hash of the key, never 0 (the mark of an empty way). Mixing steps of MurmurHash3 (32 bits). */
  tagOf(words: Int32Array, at: number, detail: number): number {
    let hash = this.#seed ^ detail;
    for (let word = 0; word < 4; word++) {
      const block = Math.imul(words[at + word], 0xcc9e2d51);
      hash ^= Math.imul((block << 15) | (block >>> 17), 0x1b873593);
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
    return hash === 0 ? 1 : hash;
  }

  bucket(tag: number): number {
    return TABLE_HEAD + (tag & this.#bucketMask) * BUCKET_WORDS;
  }

  secondBucket(tag: number): number {
    const other = Math.imul(tag, 0x9e3779b1) >>> 7; // other bits than the first took
    return TABLE_HEAD + (other & this.#bucketMask) * BUCKET_WORDS;
  }
}

function isNetwork(detail: number): boolean {
  return detail >>> 16 === NETWORK;
}

function bucketCount(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, (2 * entries) / WAYS)));
}

export function entryAt(bucket: number, way: number): number {
  return bucket + BUCKET_HEAD + way * ENTRY_WORDS;
}

/** Unrolled: this is all that a packet of an address not banned pays for. */
function hasTag(cells: Int32Array, bucket: number, tag: number): boolean {
  const at = bucket + TAGS;
  return cells[at] === tag || cells[at + 1] === tag || cells[at + 2] === tag ||
    cells[at + 3] === tag || cells[at + 4] === tag || cells[at + 5] === tag ||
    cells[at + 6] === tag || cells[at + 7] === tag;
}

/** Whether `tick` lies after `now`. */
export function isLater(tick: number, now: number): boolean {
  return (tick >>> 0) > (now >>> 0);
}
