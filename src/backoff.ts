/** How long to wait before asking again, so that many machines do not fall upon a service that is back. */

/** What kept an answer away. */
export type Trouble =
  /** No connection, no time, no sense in the answer: it may be well in a moment. */
  | "away"
  /** Wrong key, password or certificate: somebody must change something. */
  | "forbidden";

const FIRST_MS = { away: 1_000, forbidden: 60_000 } as const;
const LONGEST_MS = { away: 60_000, forbidden: 600_000 } as const;

export class Backoff {
  #failures = 0;
  readonly #random: () => number;
  readonly #longestAwayMs: number;

  /** @param longestAwayMs no longer than this where the API is only away */
  constructor(longestAwayMs: number = LONGEST_MS.away, random: () => number = Math.random) {
    this.#random = random;
    this.#longestAwayMs = Math.min(LONGEST_MS.away, longestAwayMs);
  }

  /** The time until the next attempt: doubled with each failure in a row, give or take a quarter. */
  failed(trouble: Trouble): number {
    const longest = trouble === "away" ? this.#longestAwayMs : LONGEST_MS.forbidden;
    const wait = Math.min(longest, FIRST_MS[trouble] * 2 ** Math.min(this.#failures++, 16));
    return jittered(wait, 0.25, this.#random);
  }

  succeeded(): void {
    this.#failures = 0;
  }
}

/** `ms`, give or take a part of it. */
export function jittered(ms: number, part: number, random: () => number = Math.random): number {
  return ms * (1 - part + 2 * part * random());
}
