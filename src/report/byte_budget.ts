/** Bytes that may be spent: so many at once, and so many a second after that. */
export class ByteBudget {
  readonly #most: number;
  readonly #perMs: number;
  #left: number;
  #knownMs: number;

  /** @param nowMs of a clock that does not go back */
  constructor(most: number, perSecond: number, nowMs: number) {
    this.#most = most;
    this.#perMs = perSecond / 1000;
    this.#left = most;
    this.#knownMs = nowMs;
  }

  /** Whether more than so many bytes are left. */
  has(nowMs: number, reserved = 0): boolean {
    this.#left = Math.min(this.#most, this.#left + (nowMs - this.#knownMs) * this.#perMs);
    this.#knownMs = nowMs;
    return this.#left > reserved;
  }

  /** Takes so many; what is more than is left is owed. */
  spend(bytes: number): void {
    this.#left -= bytes;
  }
}
