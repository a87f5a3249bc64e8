/** When the blocker was started, by the wall clock as it goes now: it may have been set since. */
import { bootTimeMs } from "../../ffi/libc.ts";

/** Clocks drift apart by less in hours, and a moment that is told twice is to be the same. */
const DRIFT_MS = 2_000;

export class StartTime {
  readonly #wallMs: () => number;
  readonly #bootMs: () => number;
  readonly #beganMs: number;
  #told: number;

  /** Of this moment. @param bootMs a clock that nobody sets */
  constructor(wallMs: () => number = Date.now, bootMs: () => number = bootTimeMs) {
    this.#wallMs = wallMs;
    this.#bootMs = bootMs;
    this.#beganMs = bootMs();
    this.#told = wallMs();
  }

  /** ISO 8601 */
  get text(): string {
    const now = this.#wallMs() - (this.#bootMs() - this.#beganMs);
    if (Math.abs(now - this.#told) > DRIFT_MS) this.#told = now;
    return new Date(this.#told).toISOString();
  }
}
