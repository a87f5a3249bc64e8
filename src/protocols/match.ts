/**
 * What a detector says. Words: a detector *matches*, the engine's policy decides, the gateway gives
 * the verdict.
 *
 * Detectors are pure functions over `(bytes, start, end)`: a payload is the half-open range
 * `[start, end)` of a larger buffer (a netlink message, a capture block), so that the packet path
 * creates no view. A detector never reads outside that range, never throws, keeps no state and
 * returns shared frozen constants, so that a packet allocates nothing.
 */

/**
 * What can be recognised: the methods, which are the contract of the JSON output and of the
 * detection log, each with its kinds. The kernel's map of bans knows a method by its place here, so
 * a new one goes to the end. What a kind means (whom it shows, whether it bans) is its row in
 * `methods.ts`.
 */
export const KINDS = {
  "peer-wire": [
    "handshake",
    "hidden-handshake",
    "tunnelled-handshake",
    "unasked-handshake",
    "ssl-torrent",
  ],
  extension: [
    "handshake",
    "bare-handshake",
    "pex",
    "metadata",
    "comment",
    "trackers",
    "holepunch",
    "dont-have",
    "status",
  ],
  fast: ["chain"],
  "mid-stream": ["chain", "hash-chain"],
  "http-tracker": [
    "announce",
    "scrape",
    "announce-response",
    "scrape-response",
    "failure",
    "cut-request",
    "announce-by-anyone",
    "scrape-by-anyone",
    "path-by-client",
    "torrent-mention",
    "torrent-file-mention",
    "magnet-mention",
  ],
  "web-seed": [
    "piece-by-hash",
    "range-by-client",
    "torrent-by-client",
    "bitcomet-data",
    "piece-by-anyone",
  ],
  "websocket-tracker": ["message"],
  mse: [
    "lengths",
    "by-host",
    "named-peer",
    "fan-out",
    "called",
    "requests-and-pieces",
    "blocks",
    "swarm-blocks",
    "swarm-requests",
    "plain-handshake",
  ],
  dht: [
    "ping",
    "find_node",
    "get_peers",
    "announce_peer",
    "get",
    "put",
    "sample_infohashes",
    "vote",
    "query",
    "response",
    "peers-response",
    "error",
  ],
  "udp-tracker": [
    "connect",
    "announce-by-peer-id",
    "announce",
    "scrape",
    "connect-response",
    "announce-response",
    "scrape-response",
    "error-response",
    "announce-form",
  ],
  utp: [
    "handshake",
    "message",
    "opened",
    "continued",
    "repeated",
    "two-way",
    "one-way",
    "syn",
    "header",
  ],
  lsd: ["announce"],
  socks: ["socks5-request", "socks5-reply", "socks4-request", "socks4a-request"],
  entropy: ["random-handshake", "random-bytes"],
} as const;

/** One of the methods. */
export type Method = keyof typeof KINDS;

/** The fixed list of methods, in the order that the kernel's map knows. */
export const METHODS: readonly Method[] = Object.freeze(Object.keys(KINDS) as Method[]);

/** What a method recognised: one of its kinds. */
export type Kind<M extends Method = Method> = M extends Method ? typeof KINDS[M][number] : never;

/**
 * - `proof`: cannot occur by chance or in another protocol (48 bits of constraint or more, or a
 *   full parse). Drops on one packet.
 * - `strong`: independent weaker facts agree (both directions, or a chain of messages). Drops.
 * - `hint`: consistent with BitTorrent and with other things. Remembered, never drops or bans
 *   alone in the default policy.
 */
export type Strength = "proof" | "strong" | "hint";

/** A detector's positive answer. */
export interface Match {
  /** How it was recognised. */
  readonly method: Method;
  /** What of it, for programs: one of the method's {@link KINDS}. */
  readonly kind: Kind;
  /** How sure that is. */
  readonly strength: Strength;
  /** In words, for the operator: "handshake", "announce request". */
  readonly reason: string;
}

/** A frozen match, created once per module. */
export function match<M extends Method>(
  method: M,
  kind: Kind<M>,
  strength: Strength,
  reason: string,
): Match {
  return Object.freeze({ method, kind, strength, reason });
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
