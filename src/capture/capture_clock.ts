/** A step back of more than this is another recording, not packets out of order. */
const OTHER_RECORDING_MS = 60_000;

/**
 * The engine's clock does not go back, but the times of merged captures do: packets out of order
 * wait at the latest time; an older recording after a newer one is moved behind it.
 */
export class CaptureClock {
  #nowMs = 0;
  #offsetMs = 0;

  /** The engine's time for a frame recorded at `timeMs`. */
  advance(timeMs: number): number {
    let now = timeMs + this.#offsetMs;
    if (now < this.#nowMs) {
      if (this.#nowMs - now > OTHER_RECORDING_MS) this.#offsetMs += this.#nowMs - now;
      now = this.#nowMs;
    }
    this.#nowMs = now;
    return now;
  }
}
