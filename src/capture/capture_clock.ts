/** A step back of at most this is packets out of order, which wait at the latest time. */
const OUT_OF_ORDER_MS = 60_000;
/** A silence of at most this is believed at once. */
const SILENCE_MS = 600_000;
/** Longer silences count as this: all that the engine remembers of hosts is old by then. */
const LONGEST_STEP_MS = 3_600_000;
/** Times that a calendar has; pcapng can write others. */
const LAST_MS = Date.UTC(9999, 11, 31);

/** What has a time in milliseconds: a frame as recorded, a packet as the engine counts. */
interface Timed {
  timeMs: number;
}

/**
 * The engine's clock for a capture. It does not go back, and no single frame moves it far: the times
 * of merged recordings do go back, some cards stamp a frame with 1970 or with the year 2106, and a
 * clock that followed would make everything known of hosts decades old.
 *
 * A leap is believed when the next frame is where it led: forward it is a silence, back it is
 * another recording, which is put behind the one before. Till then the clock stands.
 */
export class CaptureClock {
  #nowMs = 0;
  /** Added to the times recorded. */
  #offsetMs = 0;
  /** Recorded time of the last frame that was believed, and of the one that is not yet. */
  #lastMs = NaN;
  #leapMs = NaN;

  /**
   * Gives the packet the engine's time for its frame, whatever that says. Both are handed over whole: a
   * number with a fraction that goes from one function to another is an allocation, for each packet.
   */
  stamp(packet: Timed, frame: Readonly<Timed>): void {
    const { timeMs } = frame;
    const step = timeMs - this.#lastMs;
    if (step >= -OUT_OF_ORDER_MS && step <= SILENCE_MS) this.#leapMs = NaN;
    else if (!this.#isBelieved(timeMs)) {
      packet.timeMs = this.#nowMs;
      return;
    }
    this.#lastMs = timeMs;
    const now = timeMs + this.#offsetMs;
    if (now > this.#nowMs) this.#nowMs = now;
    else if (this.#nowMs - now > OUT_OF_ORDER_MS) this.#offsetMs = this.#nowMs - timeMs; // by steps
    packet.timeMs = this.#nowMs;
  }

  /** Whether a time that is not near the last one is where the frame before leapt, or is the first. */
  #isBelieved(timeMs: number): boolean {
    if (Number.isNaN(this.#lastMs)) {
      const start = timeMs >= 0 ? Math.min(timeMs, LAST_MS) : 0; // NaN too
      this.#offsetMs = start - timeMs;
      this.#nowMs = start;
      return true;
    }
    if (!isNear(timeMs, this.#leapMs)) {
      this.#leapMs = timeMs;
      return false;
    }
    const step = this.#leapMs - this.#lastMs;
    this.#nowMs += step > 0 ? Math.min(step, LONGEST_STEP_MS) : 0;
    this.#offsetMs = this.#nowMs - this.#leapMs;
    this.#leapMs = NaN;
    return true;
  }
}

/** Whether a frame at `timeMs` follows one at `lastMs` without a leap; false where one is NaN. */
function isNear(timeMs: number, lastMs: number): boolean {
  const step = timeMs - lastMs;
  return step >= -OUT_OF_ORDER_MS && step <= SILENCE_MS;
}
