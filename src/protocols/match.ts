/**
 * What a detector says. Words: a detector *matches*, the engine's policy decides, the gateway gives
 * the verdict.
 *
 * Detectors are pure functions over `(bytes, start, end)`: a payload is the half-open range
 * `[start, end)` of a larger buffer (a netlink message, a capture block), so that the packet path
 * creates no view. A detector never reads outside that range, never throws, keeps no state and
 * returns shared frozen constants, so that a packet allocates nothing.
 */

/** The fixed list of methods, the contract of the JSON output and of the detection log. */
export const METHODS = [
  "peer-wire",
  "extension",
  "fast",
  "mid-stream",
  "http-tracker",
  "web-seed",
  "websocket-tracker",
  "mse",
  "dht",
  "udp-tracker",
  "utp",
  "lsd",
  "socks",
  "entropy",
] as const;

/** One of {@link METHODS}. */
export type Method = typeof METHODS[number];

/**
 * - `proof`: cannot occur by chance or in another protocol (48 bits of constraint or more, or a
 *   full parse). Drops and bans on one packet.
 * - `strong`: independent weaker facts agree (both directions, or a chain of messages). Drops, bans.
 * - `hint`: consistent with BitTorrent and with other things. Remembered, never drops or bans
 *   alone in the default policy.
 */
export type Strength = "proof" | "strong" | "hint";

/** A detector's positive answer. */
export interface Match {
  /** How it was recognised. */
  readonly method: Method;
  /** How sure that is. */
  readonly strength: Strength;
  /** In words, for the operator: "handshake", "announce request". */
  readonly reason: string;
}

/** A frozen match, created once per module. */
export function match(method: Method, strength: Strength, reason: string): Match {
  return Object.freeze({ method, strength, reason });
}

/**
 * Third answer of a stream detector: the bytes so far are a possible beginning, more are needed.
 * A handshake cut by TCP is not a "no".
 */
export const NEED_MORE: { readonly needMore: true } = Object.freeze({ needMore: true as const });

/** What a detector says of the beginning of a stream. */
export type StreamAnswer = Match | typeof NEED_MORE | null;

/** Whether a stream detector's answer is a match. */
export function isMatch(answer: StreamAnswer): answer is Match {
  return answer !== null && answer !== NEED_MORE;
}
