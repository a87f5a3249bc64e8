import type { Match } from "../protocols/match.ts";

/** Nothing known yet, the flow's next packets are wanted. */
export const WAIT = 0;
/** The flow is not BitTorrent. */
export const RELEASE = 1;
/** The flow is BitTorrent; {@link Finding} says by what. */
export const FOUND = 2;
export type Outcome = 0 | 1 | 2;

/** Which ends a find is evidence for follows from its method. */
export const AS_THE_METHOD_SAYS = -1;

/** What an inspector found, with the bytes that prove it. One instance, filled anew at a find. */
export class Finding {
  match: Match | null = null;
  /** Whether the policy may ban for it; false for what is dropped only for being random. */
  mayBan = true;
  /**
   * The one end that this is evidence for, 0 the packet's source or 4 its destination, as in
   * `Packet.address`; {@link AS_THE_METHOD_SAYS} for all other finds.
   */
  provenEnd = AS_THE_METHOD_SAYS;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  /** Returns {@link FOUND}, so that an inspector can `return finding.set(…)`. */
  set(match: Match, bytes: Uint8Array, start: number, end: number, mayBan = true): typeof FOUND {
    this.match = match;
    this.mayBan = mayBan;
    this.provenEnd = AS_THE_METHOD_SAYS;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return FOUND;
  }
}
