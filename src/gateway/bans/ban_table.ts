/**
 * The bans in user space, shared by all threads: consulted for every queued packet, so that bans
 * hold where XDP cannot see (OUTPUT, machines without BPF).
 *
 * Where it is full, an expired ban gives way, else one used long ago; a ban by hand never does. A
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
import { MAPPED } from "../../packet/packet.ts";
import { REASON_FLEET, REASON_MANUAL } from "./ban_codec.ts";
import type { BanKey } from "./ban_key.ts";

export const TICK_MS = 100;
const REASON_BITS = 0xff;
/** Bans that are compared before one makes room. */
const CANDIDATES = 16;
const ROOM_ATTEMPTS = 8;
/** Prefix lengths of IPv4 begin at 96, in this word of 32 lengths. */
const IPV4_LENGTHS = 3;

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

/** What {@link BanTable.add} has made of a ban. */
export interface AddedBan {
  /** False when it was in force already. */
  readonly isNew: boolean;
  readonly untilMs: number;
  readonly reason: number;
}

/** A view of the shared table; every thread makes its own over the same buffer. */
export class BanTable {
  readonly #buckets: BanBuckets;
  readonly #cells: Int32Array;
  readonly #onEvicted: (key: BanKey) => void;
  readonly #lastSeenMs: (key: BanKey) => number;
  readonly #evicted: BanKey[] = [];
  readonly #network = new Int32Array(4); // an address cut to a prefix length

  /** Memory of a table of at most `limit` bans, ended ones not yet swept included. */
  static buffer(limit: number): SharedArrayBuffer {
    return BanBuckets.buffer(limit);
  }

  /**
   * A view of a table that {@link buffer} made.
   *
   * @param onEvicted told of bans that had to make room
   * @param lastSeenMs when a ban has dropped a packet elsewhere: such a one is in use
   */
  constructor(
    buffer: SharedArrayBuffer,
    onEvicted: (key: BanKey) => void = () => {},
    lastSeenMs: (key: BanKey) => number = () => 0,
  ) {
    this.#buckets = new BanBuckets(buffer);
    this.#cells = this.#buckets.cells;
    this.#onEvicted = onEvicted;
    this.#lastSeenMs = lastSeenMs;
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
   * Bans, or gives a ban in force a new end; its start and counters stay. A ban by hand stays one, and
   * no other makes it shorter. Null where there is no room: bans by hand give way to none, and one
   * network gets no more than its share ({@link BanBuckets.isOverShare}).
   */
  add(key: BanKey, untilMs: number, nowMs: number, reason: number): AddedBan | null {
    const now = toTick(nowMs);
    const until = Math.min(Math.ceil(untilMs / TICK_MS), 0xffff_ffff) | 0;
    const buckets = this.#buckets;
    const isKnown = buckets.has(key.words, detailOf(key));
    if (!isKnown && isAutomatic(reason) && buckets.isOverShare(key.words)) return null;
    if (!isKnown && this.size >= buckets.limit && !this.#makeRoom(now)) return null;
    return this.#put(key, until, now, reason);
  }

  #put(key: BanKey, until: number, now: number, reason: number): AddedBan | null {
    const buckets = this.#buckets;
    const { words } = key;
    const detail = detailOf(key);
    const tag = buckets.tagOf(words, 0, detail);
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
    let added: AddedBan | null = null;
    if (way >= 0) {
      added = this.#write(bucket, way, known >= 0, until, now, reason);
      if (known < 0) {
        buckets.occupy(bucket, way, tag, words, 0, detail);
        if (isAutomatic(reason)) buckets.count(entryAt(bucket, way));
      }
    }
    buckets.unlock(bucket);
    this.#tellEvicted();
    return added;
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
      if (buckets.isEmpty(bucket)) continue; // not even its lock: it would take a page of memory
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
      reason: cells[entry + REASON] & REASON_BITS,
    };
  }

  /** Cell of a network in force that has the address, or -1: one lookup for each length in use. */
  #findNetwork(words: Int32Array, at: number, now: number): number {
    const cells = this.#cells;
    const network = this.#network;
    const shortest = isIpv4(words, at) ? IPV4_LENGTHS : 0;
    for (let word = LENGTH_WORDS - 1; word >= shortest; word--) {
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

  /** Times and reason of an entry. */
  #write(
    bucket: number,
    way: number,
    known: boolean,
    until: number,
    now: number,
    reason: number,
  ): AddedBan {
    const cells = this.#cells;
    const entry = entryAt(bucket, way);
    const isNew = !known || !isLater(cells[entry + UNTIL], now);
    const before = cells[entry + REASON];
    const staysManual = !isNew && (before & REASON_BITS) === REASON_MANUAL;
    if (isNew) {
      Atomics.store(cells, entry + SINCE, now);
      Atomics.store(cells, entry + LAST_SEEN, 0);
      Atomics.store(cells, entry + PACKETS, 0);
    }
    const isShorter = staysManual && reason !== REASON_MANUAL &&
      isLater(cells[entry + UNTIL], until);
    if (!isShorter) Atomics.store(cells, entry + UNTIL, until);
    const flags = known ? before & ~REASON_BITS : 0;
    const kept = staysManual ? REASON_MANUAL : reason;
    Atomics.store(cells, entry + REASON, flags | kept);
    return { isNew, untilMs: toMs(cells[entry + UNTIL]), reason: kept };
  }

  /** Takes the ban away that was used longest ago, of some; false where all are by hand. */
  #makeRoom(now: number): boolean {
    const buckets = this.#buckets;
    for (let attempt = 0; attempt < ROOM_ATTEMPTS; attempt++) {
      const found = this.#leastUsed(now);
      if (found === null) return false;
      const [bucket, way, tag] = found;
      if (attempt < ROOM_ATTEMPTS - 1 && this.#wasSeenElsewhere(bucket, way)) continue;
      buckets.lock(bucket);
      // Another thread may have been here.
      const isSame = this.#cells[bucket + TAGS + way] === tag &&
        this.#unused(bucket, way, now) >= 0;
      if (isSame) this.#evict(bucket, way);
      buckets.unlock(bucket);
      this.#tellEvicted();
      if (isSame) return true;
    }
    return true; // others make room as fast
  }

  /** Takes over that a ban is used in the kernel, which the table learns only here. */
  #wasSeenElsewhere(bucket: number, way: number): boolean {
    const cells = this.#cells;
    const entry = entryAt(bucket, way);
    const seen = toTick(this.#lastSeenMs(this.#read(entry).key));
    if (!isLater(seen, cells[entry + LAST_SEEN])) return false;
    Atomics.store(cells, entry + LAST_SEEN, seen);
    return true;
  }

  /** Of the first few that may give way. Takes no lock. */
  #leastUsed(now: number): [bucket: number, way: number, tag: number] | null {
    const cells = this.#cells;
    let best: [number, number, number] | null = null;
    let longest = -1;
    let seen = 0;
    for (const bucket of this.#buckets.fromHand()) {
      for (let way = 0; way < WAYS; way++) {
        const tag = cells[bucket + TAGS + way];
        const unused = tag === 0 ? -1 : this.#unused(bucket, way, now);
        if (unused >= 0) seen++;
        if (unused > longest) {
          longest = unused;
          best = [bucket, way, tag];
        }
      }
      if (seen >= CANDIDATES) break;
    }
    return best;
  }

  /** For how long an entry was of no use: Infinity where it has ended, -1 where it never gives way. */
  #unused(bucket: number, way: number, now: number): number {
    const cells = this.#cells;
    const entry = entryAt(bucket, way);
    if (!isLater(cells[entry + UNTIL], now)) return Infinity;
    if ((cells[entry + REASON] & REASON_BITS) === REASON_MANUAL) return -1;
    const seen = cells[entry + LAST_SEEN];
    const unused = now - (seen || cells[entry + SINCE]) >>> 0;
    return seen === 0 ? unused + 0.5 : unused; // of two of one moment, one that was never used
  }

  #evict(bucket: number, way: number): void {
    this.#evicted.push(this.#read(entryAt(bucket, way)).key);
    this.#buckets.free(bucket, way);
  }

  /** Not under a lock: whoever is told may look here. */
  #tellEvicted(): void {
    for (const key of this.#evicted.splice(0)) this.#onEvicted(key);
  }

  /** A free way of a locked bucket: an empty one, else the least used one; -1 for none. */
  #vacate(bucket: number, now: number): number {
    let victim = -1;
    let longest = -1;
    for (let way = 0; way < WAYS; way++) {
      if (this.#cells[bucket + TAGS + way] === 0) return way;
      const unused = this.#unused(bucket, way, now);
      if (unused > longest) {
        longest = unused;
        victim = way;
      }
    }
    if (victim >= 0) this.#evict(bucket, victim);
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

/** Bans by hand and the fleet's are somebody's will, and the fleet's are bounded there. */
function isAutomatic(reason: number): boolean {
  return reason !== REASON_MANUAL && reason !== REASON_FLEET;
}

function isIpv4(words: Int32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED;
}

/** The tick that a moment is in. */
export function toTick(ms: number): number {
  return Math.trunc(ms / TICK_MS) | 0;
}

function toMs(tick: number): number {
  return (tick >>> 0) * TICK_MS;
}
