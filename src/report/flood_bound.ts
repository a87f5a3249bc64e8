/**
 * What a file takes of a flood. Where nobody is banned (MONITOR_ONLY, forged senders) each packet of
 * a flood may be a detection of its own, and no rotation is fast enough for that.
 */
import { ByteBudget } from "./byte_budget.ts";
import { formatBytes } from "../text.ts";

/**
 * So much more is kept for entries that tell of a ban, which a forger cannot have
 * (BAN_REQUIRES_REPLY): a flood does not push out why somebody was banned.
 */
const BAN_SHARE = 1 / 4;
/** How often it is said that something is left out. */
const TELL_MS = 3_600_000;

/** Sizes in bytes. */
export interface FloodLimit {
  /** Taken at once. */
  readonly most: number;
  /** Taken after that. */
  readonly perSecond: number;
}

export interface FloodBoundOptions extends FloodLimit {
  /** Told what was left out since the start: when it begins, once an hour, and at the end. */
  readonly tell: (leftOut: number) => void;
  /** Of a clock that does not go back. */
  readonly nowMs: () => number;
}

export class FloodBound implements Disposable {
  /** Left out since the start. */
  leftOut = 0;
  readonly #options: FloodBoundOptions;
  readonly #budget: ByteBudget;
  #told = 0;
  #tellAtMs = -Infinity;

  constructor(options: FloodBoundOptions) {
    this.#options = options;
    const { most, perSecond, nowMs } = options;
    this.#budget = new ByteBudget(most * (1 + BAN_SHARE), perSecond, nowMs());
  }

  /** Whether there is room for an entry; one that has none is counted. */
  admits(tellsOfBan: boolean): boolean {
    const { most, nowMs } = this.#options;
    const now = nowMs();
    const isAdmitted = this.#budget.has(now, tellsOfBan ? 0 : most * BAN_SHARE);
    if (!isAdmitted) this.leftOut++;
    if (now >= this.#tellAtMs && this.#tell()) this.#tellAtMs = now + TELL_MS;
    return isAdmitted;
  }

  /** Takes the bytes of an admitted entry. */
  spend(bytes: number): void {
    this.#budget.spend(bytes);
  }

  /** Says what was not said yet; false where there is nothing. */
  #tell(): boolean {
    if (this.leftOut === this.#told) return false;
    this.#told = this.leftOut;
    this.#options.tell(this.leftOut);
    return true;
  }

  [Symbol.dispose](): void {
    this.#tell();
  }
}

/** `it takes 67 MB at once, then 1.0 kB a second`. */
export function describeLimit({ most, perSecond }: FloodLimit): string {
  return `it takes ${formatBytes(most)} at once, then ${formatBytes(perSecond)} a second`;
}
