/**
 * Who was banned before, and how often: repeated offenders are banned longer. In shared memory, like
 * the bans, and under the same keys; each entry stands in place of a ban's: until when it is
 * remembered, when its last ban ends, and the number of its bans.
 *
 * An offender is remembered for {@link REMEMBERED_MS} after the end of his last ban: an address may be
 * somebody else's by then. In a full bucket who would be forgotten first makes room. With the process
 * goes all but what the kernel's maps keep with a ban in force (PERSIST_BANS, a crash).
 */
import {
  BanBuckets,
  COUNT,
  detailOf,
  entryAt,
  isLater,
  PACKETS,
  SINCE,
  TAGS,
  UNTIL,
  WAYS,
} from "./ban_buckets.ts";
import type { BanKey } from "./ban_key.ts";
import { TICK_MS, toTick } from "./ban_table.ts";

/** Cells of an entry, by the names that they have for bans. */
const REMEMBERED_UNTIL = UNTIL;
const BANNED_UNTIL = SINCE;
const BANS = PACKETS;

/** As fail2ban's `dbpurgeage` has it: a day. */
export const REMEMBERED_MS = 86_400_000;

/** No factor and no bound need more. */
export const MOST_BANS = 255;

/** How bans grow. */
export interface Escalation {
  /** Each lasts so many times as long as the one before it (BAN_FACTOR), */
  readonly factor: number;
  /** but no longer than this (BAN_DURATION_MAX). */
  readonly mostMs: number;
}

/** How long a ban lasts after so many others. */
export function escalated(
  durationMs: number,
  before: number,
  { factor, mostMs }: Escalation,
): number {
  let ms = Math.min(durationMs, mostMs);
  for (let i = 0; i < before && ms < mostMs && factor > 1; i++) ms = Math.min(ms * factor, mostMs);
  return ms;
}

/** A view of the shared memory; every thread makes its own over the same buffer. */
export class Offenders {
  readonly #buckets: BanBuckets;
  readonly #cells: Int32Array;

  /** Memory for at least `limit` offenders; the kernel gives it as it is used. */
  static buffer(limit: number): SharedArrayBuffer {
    return BanBuckets.buffer(limit);
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#buckets = new BanBuckets(buffer);
    this.#cells = this.#buckets.cells;
  }

  /** Bans of the key before the one that is in force or is about to begin. */
  before(key: BanKey, nowMs: number): number {
    const entry = this.#find(key, nowMs);
    if (entry < 0) return 0;
    const bans = Atomics.load(this.#cells, entry + BANS);
    return this.#isInForce(entry, nowMs) ? bans - 1 : bans;
  }

  /** Whether a ban that counts has not ended. */
  isBanned(key: BanKey, nowMs: number): boolean {
    const entry = this.#find(key, nowMs);
    return entry >= 0 && this.#isInForce(entry, nowMs);
  }

  #find(key: BanKey, nowMs: number): number {
    return this.#buckets.find(key.words, 0, detailOf(key), toTick(nowMs));
  }

  #isInForce(entry: number, nowMs: number): boolean {
    return isLater(Atomics.load(this.#cells, entry + BANNED_UNTIL), toTick(nowMs));
  }

  /**
   * A ban has begun, or has got a new end. It counts where the last one has ended: two threads that
   * ban at once begin one ban.
   *
   * @param first which one it is of a key that is not known here: of an earlier run's
   */
  banned(key: BanKey, untilMs: number, nowMs: number, first = 1): void {
    const buckets = this.#buckets;
    const tag = buckets.tagOf(key.words, 0, detailOf(key));
    const bucket = buckets.bucket(tag);
    buckets.lock(bucket);
    const known = buckets.search(bucket, tag, key.words, 0, detailOf(key));
    const way = known >= 0 ? known : this.#room(bucket);
    const entry = entryAt(bucket, way);
    Atomics.store(this.#cells, entry + BANS, known >= 0 ? this.#count(entry, nowMs) : first);
    Atomics.store(this.#cells, entry + BANNED_UNTIL, endTick(untilMs));
    Atomics.store(this.#cells, entry + REMEMBERED_UNTIL, endTick(untilMs + REMEMBERED_MS));
    if (known < 0) buckets.occupy(bucket, way, tag, key.words, 0, detailOf(key));
    buckets.unlock(bucket);
  }

  #count(entry: number, nowMs: number): number {
    const cells = this.#cells;
    if (!isLater(cells[entry + REMEMBERED_UNTIL], toTick(nowMs))) return 1;
    const bans = cells[entry + BANS];
    return this.#isInForce(entry, nowMs) ? bans : Math.min(bans + 1, MOST_BANS);
  }

  /** An empty way of a locked bucket, else the one that would be forgotten first, emptied. */
  #room(bucket: number): number {
    const cells = this.#cells;
    let first = 0;
    let soonest = Infinity;
    for (let way = 0; way < WAYS; way++) {
      if (cells[bucket + TAGS + way] === 0) return way;
      const until = cells[entryAt(bucket, way) + REMEMBERED_UNTIL] >>> 0;
      if (until < soonest) {
        soonest = until;
        first = way;
      }
    }
    this.#buckets.free(bucket, first);
    return first;
  }

  /** The next ban of the key is a first one: its ban was lifted. */
  forget(key: BanKey): void {
    const buckets = this.#buckets;
    const tag = buckets.tagOf(key.words, 0, detailOf(key));
    const bucket = buckets.bucket(tag);
    if (buckets.isEmpty(bucket)) return;
    buckets.lock(bucket);
    const way = buckets.search(bucket, tag, key.words, 0, detailOf(key));
    if (way >= 0) buckets.free(bucket, way);
    buckets.unlock(bucket);
  }

  clear(): void {
    if (Atomics.load(this.#cells, COUNT) === 0) return; // memory that was never used stays so
    const buckets = this.#buckets;
    for (const bucket of buckets.all()) {
      if (buckets.isEmpty(bucket)) continue;
      buckets.lock(bucket);
      for (let way = 0; way < WAYS; way++) {
        if (this.#cells[bucket + TAGS + way] !== 0) buckets.free(bucket, way);
      }
      buckets.unlock(bucket);
    }
  }
}

/** The first tick at which an end is over. */
function endTick(ms: number): number {
  return Math.min(Math.ceil(ms / TICK_MS), 0xffff_ffff) | 0;
}
