/** What a conversation of another program is to `mse_lists.ts`. */
import { between, random } from "./mse_random.ts";

/** Lengths of messages: positive from who opens, negative from who answers. */
export type Messages = number[];

export interface Program {
  readonly name: string;
  /** Endpoints that it calls at once. */
  readonly servers: () => number;
  /** Settles what is the same for all of its flows, and gives each flow's messages. */
  readonly start: () => () => Messages;
  /** The flows are older than the blocker. */
  readonly isJoined?: boolean;
  /**
   * All lengths are BitTorrent's own, or its order is and two constants are all that misses, so that chance
   * provides the rest: what is found of it is told, as a bound, and no failure. Nobody is known to speak so.
   */
  readonly isBound?: boolean;
}

export function times(count: number, of: () => Messages): Messages {
  const all: Messages = [];
  for (let i = 0; i < count; i++) all.push(...of());
  return all;
}

/** Servers of a list that is tried at once. */
export const list = (): number => between(4, 50);

/** A message as long as it is, most of them small. */
export const inTheClear = (): number => random() < 0.7 ? between(2, 120) : between(2, 600);

/** Padded keys and padded third and fourth messages, MSE's own lengths, for each flow anew. */
export const padded = (): Messages => [
  between(96, 608),
  -between(96, 608),
  between(56, 568),
  -between(14, 526),
];
