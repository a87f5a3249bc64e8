/**
 * The bans in user space, shared by all threads: consulted for every queued packet, so that bans
 * hold where XDP cannot see (OUTPUT, machines without BPF).
 *
 * A set-associative table in shared memory. A bucket is locked by its writers only (a sequence
 * number, odd while one writes); a reader that found something looks again when the number moved.
 * A miss reads one cache line and no atomic: `Atomics.load` is a call in V8, ten times the price of
 * a plain load, and a ban that is being written right now is missed either way.
 *
 * The size is fixed. A full bucket overflows into a second one; where that is full too, an expired
 * ban gives way, else the one used longest ago.
 *
 * A banned network is an entry of its first address under {@link NETWORK}, with the prefix length in
 * the port's place; a packet's address is looked up cut to each length in use.
 */
import { maskWord } from "../network/networks.ts";

/** In the place of the protocol: the entry is a network. IANA's "Reserved", so no packet has it. */
export const NETWORK = 255;

// One bucket: a line of 16 words with the sequence number and the tags, then the entries.
const WAYS = 8;
const SEQUENCE = 0;
const OVERFLOWED = 1; // 1 once an entry of this bucket had to go to its second one
const TAGS = 8;
const BUCKET_HEAD = 16;
// One entry. Times in tenths of a second of CLOCK_BOOTTIME, unsigned: good for 13 years of uptime.
const ENDPOINT = 4; // protocol << 16 | port, 0 for the whole address (words 0…3); or a network
const UNTIL = 5;
const SINCE = 6;
const LAST_SEEN = 7; // 0 for never
const PACKETS = 8;
const REASON = 9;
const ENTRY_WORDS = 10;
const BUCKET_WORDS = BUCKET_HEAD + WAYS * ENTRY_WORDS; // 6 lines of 64 bytes

const TABLE_HEAD = 16;
const COUNT = 0; // occupied entries
const ENDPOINTS = 1; // of them, of one endpoint
const SEED = 2;
const INITIALISED = 3;
const NETWORKS = 4; // of the occupied entries, of networks
const LENGTHS = 5; // to 9: bit n, once a network of prefix length n was banned
const LENGTH_WORDS = 5;

const TICK_MS = 100;
/** Attempts before a reader takes what stands there: the writer sleeps inside a bucket, or has died. */
const READ_ATTEMPTS = 1000;
/** Attempts before a writer sleeps, so that on a busy machine the one inside goes on. */
const LOCK_ATTEMPTS = 1000;
/** Naps of a millisecond before a writer takes the bucket of a dead one. */
const LOCK_NAPS = 1000;

/** One ban, for people. Times are milliseconds of CLOCK_BOOTTIME, rounded to tenths of a second. */
export interface BanTableEntry {
  /** The address, 4 words. */
  readonly words: Int32Array;
  /** 0 for the whole address, {@link NETWORK}, else the IP protocol number of {@link port}. */
  readonly protocol: number;
  /** Of a network: its prefix length, of the 128-bit form. */
  readonly port: number;
  readonly untilMs: number;
  readonly sinceMs: number;
  /** Last packet dropped in user space; 0 for none. */
  readonly lastSeenMs: number;
  /** Packets dropped in user space. */
  readonly packets: number;
  readonly reason: number;
}

/** A view of the shared table; every thread makes its own over the same buffer. */
export class BanTable {
  readonly #cells: Int32Array;
  readonly #bucketMask: number;
  readonly #seed: number;
  readonly #network = new Int32Array(4); // an address cut to a prefix length

  /**
   * Buffer size for `entries` bans. Twice the room, since addresses fill buckets unevenly: at half
   * load one bucket of 8 in 50 overflows. Of a table that is full to the last, one ban in some
   * thousands finds both of its buckets full, and another one gives way.
   */
  static byteLength(entries: number): number {
    return (TABLE_HEAD + bucketCount(entries) * BUCKET_WORDS) * 4;
  }

  /** A view of `buffer` ({@link byteLength} bytes), an empty table where the buffer is zero. */
  constructor(buffer: SharedArrayBuffer) {
    const cells = new Int32Array(buffer);
    this.#cells = cells;
    this.#bucketMask = Math.trunc((cells.length - TABLE_HEAD) / BUCKET_WORDS) - 1;
    // Who cannot know the seed cannot choose addresses that share a bucket.
    if (Atomics.compareExchange(cells, INITIALISED, 0, 1) === 0) {
      Atomics.store(cells, SEED, crypto.getRandomValues(new Int32Array(1))[0] | 1);
    }
    while (Atomics.load(cells, SEED) === 0);
    this.#seed = Atomics.load(cells, SEED);
  }

  /** Bans kept, expired ones not yet swept included. */
  get size(): number {
    return Atomics.load(this.#cells, COUNT);
  }

  /** Whether any endpoint is kept, expired ones not yet swept included. */
  get hasEndpoints(): boolean {
    return Atomics.load(this.#cells, ENDPOINTS) !== 0;
  }

  /** Whether the address in `words[at … at + 3]` is banned as a whole. */
  has(words: Int32Array, at: number, nowMs: number): boolean {
    if (this.#cells[COUNT] === 0) return false;
    return this.#find(words, at, 0, toTick(nowMs)) >= 0;
  }

  /**
   * Whether a packet from this address, protocol and port is banned, by its address or its endpoint;
   * counted as dropped if so.
   */
  drops(words: Int32Array, at: number, protocol: number, port: number, nowMs: number): boolean {
    const cells = this.#cells;
    if (cells[COUNT] === 0) return false;
    const now = toTick(nowMs);
    let entry = this.#find(words, at, 0, now);
    if (entry < 0 && cells[ENDPOINTS] !== 0) {
      entry = this.#find(words, at, (protocol << 16) | port, now);
    }
    if (entry < 0 && cells[NETWORKS] !== 0) entry = this.#findNetwork(words, at, now);
    if (entry < 0) return false;
    Atomics.add(cells, entry + PACKETS, 1);
    Atomics.store(cells, entry + LAST_SEEN, now);
    return true;
  }

  /**
   * Bans an address (protocol 0), one of its endpoints or a network, or gives a ban in force a new end.
   * Returns false when it was in force already (its start and counters stay).
   */
  add(
    words: Int32Array,
    at: number,
    protocol: number,
    port: number,
    untilMs: number,
    nowMs: number,
    reason: number,
  ): boolean {
    const endpoint = protocol === 0 ? 0 : (protocol << 16) | port;
    const tag = this.#tag(words, at, endpoint);
    const now = toTick(nowMs);
    const until = Math.min(Math.ceil(untilMs / TICK_MS), 0xffff_ffff) | 0;
    const first = this.#bucket(tag);
    this.#lock(first);
    let known = this.#search(first, tag, words, at, endpoint);
    let bucket = first;
    if (known < 0 && this.#isFull(first, now)) {
      Atomics.store(this.#cells, first + OVERFLOWED, 1);
      this.#unlock(first); // one lock at a time: two could wait for each other
      bucket = this.#secondBucket(tag);
      this.#lock(bucket);
      known = this.#search(bucket, tag, words, at, endpoint);
    }
    const way = known >= 0 ? known : this.#vacate(bucket, now);
    const isNew = this.#write(bucket, way, known >= 0, until, now, reason);
    if (known < 0) this.#occupy(bucket, way, tag, words, at, endpoint);
    this.#unlock(bucket);
    return isNew;
  }

  /** A ban in force; null when there is none. */
  get(
    words: Int32Array,
    at: number,
    protocol: number,
    port: number,
    nowMs: number,
  ): BanTableEntry | null {
    const cell = this.#find(words, at, protocol === 0 ? 0 : (protocol << 16) | port, toTick(nowMs));
    return cell < 0 ? null : this.#read(cell);
  }

  /** Ends a ban. False when there was none. */
  remove(words: Int32Array, at: number, protocol: number, port: number): boolean {
    const endpoint = protocol === 0 ? 0 : (protocol << 16) | port;
    const tag = this.#tag(words, at, endpoint);
    let removed = false;
    // Both: two threads that ban one address at once may have put it into both.
    for (const bucket of [this.#bucket(tag), this.#secondBucket(tag)]) {
      this.#lock(bucket);
      const way = this.#search(bucket, tag, words, at, endpoint);
      if (way >= 0) this.#free(bucket, way);
      this.#unlock(bucket);
      removed ||= way >= 0;
    }
    return removed;
  }

  /** Frees expired bans; returns how many. They have stopped to count already. */
  sweep(nowMs: number): number {
    const now = toTick(nowMs);
    return this.#freeWhere((entry) => !isLater(this.#cells[entry + UNTIL], now));
  }

  /** Frees all bans; returns how many. */
  clear(): number {
    return this.#freeWhere(() => true);
  }

  /** The bans in force, in no order. */
  entries(nowMs: number): BanTableEntry[] {
    const cells = this.#cells;
    const now = toTick(nowMs);
    const list: BanTableEntry[] = [];
    for (let index = 0; index <= this.#bucketMask; index++) {
      const bucket = TABLE_HEAD + index * BUCKET_WORDS;
      this.#lock(bucket);
      for (let way = 0; way < WAYS; way++) {
        const entry = entryAt(bucket, way);
        if (cells[bucket + TAGS + way] === 0 || !isLater(cells[entry + UNTIL], now)) continue;
        list.push(this.#read(entry));
      }
      this.#unlock(bucket);
    }
    return list;
  }

  #read(entry: number): BanTableEntry {
    const cells = this.#cells;
    return {
      words: cells.slice(entry, entry + 4),
      protocol: cells[entry + ENDPOINT] >>> 16,
      port: cells[entry + ENDPOINT] & 0xffff,
      untilMs: toMs(cells[entry + UNTIL]),
      sinceMs: toMs(cells[entry + SINCE]),
      lastSeenMs: toMs(cells[entry + LAST_SEEN]),
      packets: cells[entry + PACKETS] >>> 0,
      reason: cells[entry + REASON],
    };
  }

  /** Cell of a network in force that has the address, or -1: one lookup for each length in use. */
  #findNetwork(words: Int32Array, at: number, now: number): number {
    const cells = this.#cells;
    const network = this.#network;
    for (let word = LENGTH_WORDS - 1; word >= 0; word--) {
      for (let left = cells[LENGTHS + word]; left !== 0;) {
        const bit = 31 - Math.clz32(left); // the longest first
        left &= ~(1 << bit);
        const bits = word * 32 + bit;
        for (let i = 0; i < 4; i++) network[i] = words[at + i] & maskWord(bits, i);
        const entry = this.#find(network, 0, (NETWORK << 16) | bits, now);
        if (entry >= 0) return entry;
      }
    }
    return -1;
  }

  /** Cell of the entry in force, or -1. Takes no lock. */
  #find(words: Int32Array, at: number, endpoint: number, now: number): number {
    const tag = this.#tag(words, at, endpoint);
    const first = this.#bucket(tag);
    const entry = this.#findIn(first, tag, words, at, endpoint, now);
    if (entry >= 0 || this.#cells[first + OVERFLOWED] === 0) return entry;
    return this.#findIn(this.#secondBucket(tag), tag, words, at, endpoint, now);
  }

  #findIn(
    bucket: number,
    tag: number,
    words: Int32Array,
    at: number,
    endpoint: number,
    now: number,
  ): number {
    const cells = this.#cells;
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      if (!hasTag(cells, bucket, tag)) return -1;
      const sequence = Atomics.load(cells, bucket + SEQUENCE);
      if ((sequence & 1) !== 0) continue;
      const way = this.#search(bucket, tag, words, at, endpoint);
      const entry = entryAt(bucket, way);
      const inForce = way >= 0 && isLater(Atomics.load(cells, entry + UNTIL), now);
      if (Atomics.load(cells, bucket + SEQUENCE) === sequence) return inForce ? entry : -1;
    }
    // What stands under a key is a ban of it, whatever the writer was about to do: the tag is written
    // last and taken away first.
    const way = this.#search(bucket, tag, words, at, endpoint);
    if (way < 0) return -1;
    const entry = entryAt(bucket, way);
    return isLater(Atomics.load(cells, entry + UNTIL), now) ? entry : -1;
  }

  /** Way of the key in its bucket, or -1. Atomic loads: plain ones may be reordered on ARM. */
  #search(
    bucket: number,
    tag: number,
    words: Int32Array,
    at: number,
    endpoint: number,
  ): number {
    const cells = this.#cells;
    for (let way = 0; way < WAYS; way++) {
      if (cells[bucket + TAGS + way] !== tag) continue;
      const entry = entryAt(bucket, way);
      if (
        Atomics.load(cells, entry + 3) === words[at + 3] &&
        Atomics.load(cells, entry + 2) === words[at + 2] &&
        Atomics.load(cells, entry + 1) === words[at + 1] &&
        Atomics.load(cells, entry) === words[at] &&
        Atomics.load(cells, entry + ENDPOINT) === endpoint
      ) return way;
    }
    return -1;
  }

  /** Whether a locked bucket has neither an empty way nor an expired ban. */
  #isFull(bucket: number, now: number): boolean {
    const cells = this.#cells;
    for (let way = 0; way < WAYS; way++) {
      if (cells[bucket + TAGS + way] === 0) return false;
      if (!isLater(cells[entryAt(bucket, way) + UNTIL], now)) return false;
    }
    return true;
  }

  /** Times and reason of an entry; true when it was not in force. */
  #write(
    bucket: number,
    way: number,
    known: boolean,
    until: number,
    now: number,
    reason: number,
  ): boolean {
    const cells = this.#cells;
    const entry = entryAt(bucket, way);
    const isNew = !known || !isLater(cells[entry + UNTIL], now);
    if (isNew) {
      Atomics.store(cells, entry + SINCE, now);
      Atomics.store(cells, entry + LAST_SEEN, 0);
      Atomics.store(cells, entry + PACKETS, 0);
    }
    Atomics.store(cells, entry + UNTIL, until);
    Atomics.store(cells, entry + REASON, reason);
    return isNew;
  }

  /** Gives an empty way its key; the tag last, since it makes the entry visible. */
  #occupy(
    bucket: number,
    way: number,
    tag: number,
    words: Int32Array,
    at: number,
    endpoint: number,
  ): void {
    const cells = this.#cells;
    const entry = entryAt(bucket, way);
    for (let word = 0; word < 4; word++) Atomics.store(cells, entry + word, words[at + word]);
    Atomics.store(cells, entry + ENDPOINT, endpoint);
    Atomics.store(cells, bucket + TAGS + way, tag);
    Atomics.add(cells, COUNT, 1);
    if (isNetwork(endpoint)) {
      const bits = endpoint & 0xffff;
      Atomics.or(cells, LENGTHS + (bits >>> 5), 1 << (bits & 31));
      Atomics.add(cells, NETWORKS, 1);
    } else if (endpoint !== 0) Atomics.add(cells, ENDPOINTS, 1);
  }

  /** A free way of a locked bucket: an empty one, else an expired ban, else the least used one. */
  #vacate(bucket: number, now: number): number {
    const cells = this.#cells;
    let victim = 0;
    let longest = -1;
    for (let way = 0; way < WAYS; way++) {
      if (cells[bucket + TAGS + way] === 0) return way;
      const entry = entryAt(bucket, way);
      const unused = isLater(cells[entry + UNTIL], now)
        ? now - (cells[entry + LAST_SEEN] || cells[entry + SINCE]) >>> 0
        : Infinity;
      if (unused > longest) {
        longest = unused;
        victim = way;
      }
    }
    this.#free(bucket, victim);
    return victim;
  }

  #free(bucket: number, way: number): void {
    const cells = this.#cells;
    Atomics.store(cells, bucket + TAGS + way, 0);
    Atomics.sub(cells, COUNT, 1);
    const endpoint = cells[entryAt(bucket, way) + ENDPOINT];
    if (isNetwork(endpoint)) Atomics.sub(cells, NETWORKS, 1);
    else if (endpoint !== 0) Atomics.sub(cells, ENDPOINTS, 1);
  }

  #freeWhere(unwanted: (entry: number) => boolean): number {
    const cells = this.#cells;
    let freed = 0;
    for (let index = 0; index <= this.#bucketMask; index++) {
      const bucket = TABLE_HEAD + index * BUCKET_WORDS;
      if (isEmpty(cells, bucket)) continue;
      this.#lock(bucket);
      for (let way = 0; way < WAYS; way++) {
        if (cells[bucket + TAGS + way] === 0 || !unwanted(entryAt(bucket, way))) continue;
        this.#free(bucket, way);
        freed++;
      }
      this.#unlock(bucket);
    }
    return freed;
  }

  #lock(bucket: number): void {
    const cells = this.#cells;
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

  #unlock(bucket: number): void {
    // From odd to even, also after a bucket was taken over while odd.
    const cells = this.#cells;
    Atomics.store(cells, bucket + SEQUENCE, (Atomics.load(cells, bucket + SEQUENCE) + 1) & ~1);
  }

  /** Hash of the key, never 0 (the mark of an empty way). Mixing steps of MurmurHash3 (32 bits). */
  #tag(words: Int32Array, at: number, endpoint: number): number {
    let hash = this.#seed ^ endpoint;
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

  #bucket(tag: number): number {
    return TABLE_HEAD + (tag & this.#bucketMask) * BUCKET_WORDS;
  }

  #secondBucket(tag: number): number {
    const other = Math.imul(tag, 0x9e3779b1) >>> 7; // other bits than the first took
    return TABLE_HEAD + (other & this.#bucketMask) * BUCKET_WORDS;
  }
}

function isNetwork(endpoint: number): boolean {
  return endpoint >>> 16 === NETWORK;
}

function bucketCount(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, (2 * entries) / WAYS)));
}

function entryAt(bucket: number, way: number): number {
  return bucket + BUCKET_HEAD + way * ENTRY_WORDS;
}

/** Unrolled: this is all that a packet of an address not banned pays for. */
function hasTag(cells: Int32Array, bucket: number, tag: number): boolean {
  const at = bucket + TAGS;
  return cells[at] === tag || cells[at + 1] === tag || cells[at + 2] === tag ||
    cells[at + 3] === tag || cells[at + 4] === tag || cells[at + 5] === tag ||
    cells[at + 6] === tag || cells[at + 7] === tag;
}

function isEmpty(cells: Int32Array, bucket: number): boolean {
  for (let way = 0; way < WAYS; way++) if (cells[bucket + TAGS + way] !== 0) return false;
  return true;
}

function toTick(ms: number): number {
  return Math.trunc(ms / TICK_MS) | 0;
}

function toMs(tick: number): number {
  return (tick >>> 0) * TICK_MS;
}

/** Whether `tick` lies after `now`. */
function isLater(tick: number, now: number): boolean {
  return (tick >>> 0) > (now >>> 0);
}
