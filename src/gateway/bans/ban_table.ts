/**
 * The bans in user space, shared by all threads: consulted for every queued packet, so that bans
 * hold where XDP cannot see (OUTPUT, machines without BPF).
 *
 * Where both buckets of a key are full, an expired ban gives way, else the one used longest ago. A
 * packet's address is looked up as it is, and cut to each prefix length that was banned.
 */
import { maskWord } from "../network/networks.ts";
import {
  BanBuckets,
  COUNT,
  DETAIL,
  detailOf,
  endpointDetail,
  ENDPOINTS,
  entryAt,
  isLater,
  keyFrom,
  LAST_SEEN,
  LENGTH_WORDS,
  LENGTHS,
  networkDetail,
  NETWORKS,
  PACKETS,
  REASON,
  SINCE,
  TAGS,
  UNTIL,
  WAYS,
} from "./ban_buckets.ts";
import type { BanKey } from "./ban_key.ts";

const TICK_MS = 100;

/** One ban. Times are milliseconds of CLOCK_BOOTTIME, rounded to tenths of a second. */
export interface BanTableEntry {
  readonly key: BanKey;
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
  readonly #buckets: BanBuckets;
  readonly #cells: Int32Array;
  readonly #network = new Int32Array(4); // an address cut to a prefix length

  /**
   * Buffer size for `entries` bans. Twice the room, since addresses fill buckets unevenly: at half
   * load one bucket of 8 in 50 overflows. Of a table that is full to the last, one ban in some
   * thousands finds both of its buckets full, and another one gives way.
   */
  static byteLength(entries: number): number {
    return BanBuckets.byteLength(entries);
  }

  /** A view of `buffer` ({@link byteLength} bytes), an empty table where the buffer is zero. */
  constructor(buffer: SharedArrayBuffer) {
    this.#buckets = new BanBuckets(buffer);
    this.#cells = this.#buckets.cells;
  }

  /** Bans kept, expired ones not yet swept included. */
  get size(): number {
    return Atomics.load(this.#cells, COUNT);
  }

  /**
   * Whether a packet from this address, protocol and port is banned: by its address, its endpoint or
   * a network; counted as dropped if so.
   */
  drops(words: Int32Array, at: number, protocol: number, port: number, nowMs: number): boolean {
    const now = toTick(nowMs);
    const entry = this.#findAny(words, at, protocol, port, now);
    if (entry < 0) return false;
    Atomics.add(this.#cells, entry + PACKETS, 1);
    Atomics.store(this.#cells, entry + LAST_SEEN, now);
    return true;
  }

  /** The same without counting. */
  has(words: Int32Array, at: number, protocol: number, port: number, nowMs: number): boolean {
    return this.#findAny(words, at, protocol, port, toTick(nowMs)) >= 0;
  }

  /** Cell of a ban in force of the address, its endpoint or a network, or -1. */
  #findAny(words: Int32Array, at: number, protocol: number, port: number, now: number): number {
    const cells = this.#cells;
    if (cells[COUNT] === 0) return -1;
    let entry = this.#buckets.find(words, at, 0, now);
    if (entry < 0 && cells[ENDPOINTS] !== 0) {
      entry = this.#buckets.find(words, at, endpointDetail(protocol, port), now);
    }
    if (entry < 0 && cells[NETWORKS] !== 0) entry = this.#findNetwork(words, at, now);
    return entry;
  }

  /**
   * Bans, or gives a ban in force a new end. Returns false when it was in force already (its start and
   * counters stay).
   */
  add(key: BanKey, untilMs: number, nowMs: number, reason: number): boolean {
    const buckets = this.#buckets;
    const { words } = key;
    const detail = detailOf(key);
    const tag = buckets.tagOf(words, 0, detail);
    const now = toTick(nowMs);
    const until = Math.min(Math.ceil(untilMs / TICK_MS), 0xffff_ffff) | 0;
    const first = buckets.bucket(tag);
    buckets.lock(first);
    let known = buckets.search(first, tag, words, 0, detail);
    let bucket = first;
    if (known < 0 && this.#isFull(first, now)) {
      buckets.overflows(first);
      buckets.unlock(first); // one lock at a time: two could wait for each other
      bucket = buckets.secondBucket(tag);
      buckets.lock(bucket);
      known = buckets.search(bucket, tag, words, 0, detail);
    }
    const way = known >= 0 ? known : this.#vacate(bucket, now);
    const isNew = this.#write(bucket, way, known >= 0, until, now, reason);
    if (known < 0) buckets.occupy(bucket, way, tag, words, 0, detail);
    buckets.unlock(bucket);
    return isNew;
  }

  /** The ban in force of exactly this key; null when there is none. */
  get(key: BanKey, nowMs: number): BanTableEntry | null {
    const cell = this.#buckets.find(key.words, 0, detailOf(key), toTick(nowMs));
    return cell < 0 ? null : this.#read(cell);
  }

  /** Ends a ban. False when there was none. */
  remove(key: BanKey): boolean {
    const buckets = this.#buckets;
    const detail = detailOf(key);
    const tag = buckets.tagOf(key.words, 0, detail);
    let removed = false;
    // Both: two threads that ban one address at once may have put it into both.
    for (const bucket of [buckets.bucket(tag), buckets.secondBucket(tag)]) {
      buckets.lock(bucket);
      const way = buckets.search(bucket, tag, key.words, 0, detail);
      if (way >= 0) buckets.free(bucket, way);
      buckets.unlock(bucket);
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
    for (const bucket of this.#buckets.all()) {
      if (this.#buckets.isEmpty(bucket)) continue;
      this.#buckets.lock(bucket);
      for (let way = 0; way < WAYS; way++) {
        const entry = entryAt(bucket, way);
        if (cells[bucket + TAGS + way] === 0 || !isLater(cells[entry + UNTIL], now)) continue;
        list.push(this.#read(entry));
      }
      this.#buckets.unlock(bucket);
    }
    return list;
  }

  #read(entry: number): BanTableEntry {
    const cells = this.#cells;
    return {
      key: keyFrom(cells.slice(entry, entry + 4), cells[entry + DETAIL]),
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
        const entry = this.#buckets.find(network, 0, networkDetail(bits), now);
        if (entry >= 0) return entry;
      }
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
    this.#buckets.free(bucket, victim);
    return victim;
  }

  #freeWhere(unwanted: (entry: number) => boolean): number {
    const buckets = this.#buckets;
    let freed = 0;
    for (const bucket of buckets.all()) {
      if (buckets.isEmpty(bucket)) continue;
      buckets.lock(bucket);
      for (let way = 0; way < WAYS; way++) {
        if (this.#cells[bucket + TAGS + way] === 0 || !unwanted(entryAt(bucket, way))) continue;
        buckets.free(bucket, way);
        freed++;
      }
      buckets.unlock(bucket);
    }
    return freed;
  }
}

function toTick(ms: number): number {
  return Math.trunc(ms / TICK_MS) | 0;
}

function toMs(tick: number): number {
  return (tick >>> 0) * TICK_MS;
}
