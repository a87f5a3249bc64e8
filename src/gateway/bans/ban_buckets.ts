/**
 * The memory of the table of bans: a set-associative table in shared memory. A bucket is locked by its
 * writers only (a sequence number, odd while one writes); a reader that found something looks again
 * when the number moved. A miss reads one cache line and no atomic: `Atomics.load` is a call in V8, ten
 * times the price of a plain load, and a ban that is being written right now is missed either way.
 *
 * The size is fixed. A full bucket overflows into a second one.
 */
import { MAPPED } from "../../packet/packet.ts";
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
export const REASON = 9; // with COUNTED
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
const LIMIT = 10; // entries at most
const HAND = 11; // bucket where the next one that gives way is looked for

/** Attempts before a reader takes what stands there: the writer sleeps inside a bucket, or has died. */
const READ_ATTEMPTS = 1000;
/** Attempts before a writer sleeps, so that on a busy machine the one inside goes on. */
const LOCK_ATTEMPTS = 1000;
/** Naps of a millisecond before a writer takes the bucket of a dead one. */
const LOCK_NAPS = 1000;

/** In an entry's reason: it is one of those that {@link BanBuckets.isOverShare} counts. */
const COUNTED = 0x100;
/**
 * What automatic bans one network may have of the table: 1/16, or 256 in a small one, by IPv4 /16 and
 * IPv6 /48; and a single IPv4 address with its endpoints, or all of an IPv6 /64, 64.
 */
const FAR_PART = 16;
const FAR_LEAST = 256;
const NEAR_MOST = 64;
const FAR_COUNTERS = 4096;
const NEAR_COUNTERS_LEAST = 1024;

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
  /** Entries at most; as many more as threads add at once. */
  readonly limit: number;
  readonly #bucketMask: number;
  readonly #seed: number;
  /** Counters of entries by network, FAR_COUNTERS and then `nearMask + 1`. */
  readonly #counters: number;
  readonly #nearMask: number;

  /**
   * Memory for `limit` bans. Twice the room, since addresses fill buckets unevenly: at half load one
   * bucket of 8 in 50 overflows.
   */
  static buffer(limit: number): SharedArrayBuffer {
    const counters = FAR_COUNTERS + nearCounters(limit);
    const words = TABLE_HEAD + bucketCount(limit) * BUCKET_WORDS + counters;
    const buffer = new SharedArrayBuffer(words * 4);
    new Int32Array(buffer)[LIMIT] = limit;
    return buffer;
  }

  constructor(buffer: SharedArrayBuffer) {
    const cells = new Int32Array(buffer);
    this.cells = cells;
    this.limit = cells[LIMIT];
    const buckets = bucketCount(this.limit);
    this.#bucketMask = buckets - 1;
    this.#counters = TABLE_HEAD + buckets * BUCKET_WORDS;
    this.#nearMask = nearCounters(this.limit) - 1;
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

  /** Whether there is an entry of the key, ended or not. Takes no lock. */
  has(words: Int32Array, detail: number): boolean {
    const tag = this.tagOf(words, 0, detail);
    return this.search(this.bucket(tag), tag, words, 0, detail) >= 0 ||
      this.search(this.secondBucket(tag), tag, words, 0, detail) >= 0;
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

  /**
   * Whether the network of a key has all that one may have; asked before an automatic ban is added. Threads
   * that ask at once may each add one.
   */
  isOverShare(words: Int32Array): boolean {
    const far = this.cells[this.#farCounter(words, 0)];
    if (far >= Math.max(FAR_LEAST, Math.trunc(this.limit / FAR_PART))) return true;
    return this.cells[this.#nearCounter(words, 0)] >= NEAR_MOST;
  }

  /** From now on an entry counts for the share of its network. */
  count(entry: number): void {
    const { cells } = this;
    Atomics.or(cells, entry + REASON, COUNTED);
    Atomics.add(cells, this.#farCounter(cells, entry), 1);
    Atomics.add(cells, this.#nearCounter(cells, entry), 1);
  }

  #farCounter(words: Int32Array, at: number): number {
    const isIpv4 = isMapped(words, at);
    const high = isIpv4 ? words[at + 3] & 0xffff_0000 : words[at];
    const low = isIpv4 ? 1 : words[at + 1] & 0xffff_0000;
    return this.#counters + (mixed(this.#seed, high, low) & (FAR_COUNTERS - 1));
  }

  #nearCounter(words: Int32Array, at: number): number {
    const isIpv4 = isMapped(words, at);
    const high = isIpv4 ? words[at + 3] : words[at];
    const low = isIpv4 ? 2 : words[at + 1];
    return this.#counters + FAR_COUNTERS + (mixed(this.#seed, high, low) & this.#nearMask);
  }

  /** Buckets from where the last look for one that gives way ended, all around. */
  *fromHand(): Iterable<number> {
    for (let i = 0; i <= this.#bucketMask; i++) {
      const index = Atomics.add(this.cells, HAND, 1) & this.#bucketMask;
      yield TABLE_HEAD + index * BUCKET_WORDS;
    }
  }

  /** Empties a way of a locked bucket. */
  free(bucket: number, way: number): void {
    const cells = this.cells;
    Atomics.store(cells, bucket + TAGS + way, 0);
    Atomics.sub(cells, COUNT, 1);
    const entry = entryAt(bucket, way);
    const detail = cells[entry + DETAIL];
    if ((cells[entry + REASON] & COUNTED) !== 0) {
      Atomics.sub(cells, this.#farCounter(cells, entry), 1);
      Atomics.sub(cells, this.#nearCounter(cells, entry), 1);
    }
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

function isMapped(words: Int32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED;
}

/** Of two words, by somebody who does not know the seed not to be chosen. */
function mixed(seed: number, high: number, low: number): number {
  let hash = Math.imul(seed ^ high, 0xcc9e2d51);
  hash = Math.imul(hash ^ (hash >>> 15) ^ low, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function nearCounters(limit: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(NEAR_COUNTERS_LEAST, limit)));
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
