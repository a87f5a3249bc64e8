/** What this machine has told the fleet, and what it is about to tell. */
import { bootTimeMs } from "../../ffi/libc.ts";
import type { OwnReports } from "./takeover.ts";

const PRUNE_MS = 60_000;

/** Bans of ours that the fleet knows or is about to know, by address. */
export class OwnBans implements OwnReports {
  readonly #bans = new Map<string, { endMs: number; toldMs: number }>();
  #newsBeganMs = 0;
  #prunedMs = 0;

  constructor(readonly isWaiting: (address: string) => boolean) {}

  /** End of the last ban told or to be told of, milliseconds since boot; 0 for none. */
  endOf(address: string): number {
    return this.#bans.get(address)?.endMs ?? 0;
  }

  add(address: string, endMs: number): void {
    this.#bans.set(address, { endMs, toldMs: 0 });
  }

  /** The fleet knows it from now on; it may have waited since an earlier run. */
  told(address: string, endMs: number): void {
    const known = this.endOf(address);
    this.#bans.set(address, { endMs: Math.max(known, endMs), toldMs: bootTimeMs() });
  }

  /** The news that follow were asked for then. */
  newsBegan(bootMs: number): void {
    this.#newsBeganMs = bootMs;
  }

  isUnderWay(key: string): boolean {
    const ban = this.#bans.get(key);
    return this.isWaiting(key) || (ban !== undefined && ban.toldMs >= this.#newsBeganMs);
  }

  isKnown(key: string): boolean {
    return this.#bans.has(key) && !this.isUnderWay(key);
  }

  *known(): Iterable<string> {
    for (const key of this.#bans.keys()) if (!this.isUnderWay(key)) yield key;
  }

  forget(key: string): void {
    this.#bans.delete(key);
  }

  forgetAll(): void {
    this.#bans.clear();
  }

  /** Forgets what has ended, now and then. */
  prune(nowMs: number): void {
    if (nowMs - this.#prunedMs < PRUNE_MS) return;
    this.#prunedMs = nowMs;
    for (const [key, { endMs }] of this.#bans) if (endMs <= nowMs) this.#bans.delete(key);
  }
}
