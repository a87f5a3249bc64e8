import type { Packet } from "../packet/packet.ts";
import type { Match } from "../protocols/match.ts";
import { kindRow } from "../protocols/methods.ts";
import { BOTH_ENDS, DESTINATION_END, SOURCE_END } from "./sender.ts";

/** Nothing known yet, the flow's next packets are wanted. */
export const WAIT = 0;
/** The flow is not BitTorrent. */
export const RELEASE = 1;
/** The flow is BitTorrent; {@link FoundMatch} says by what. */
export const FOUND = 2;
/** Nothing known yet, and the packet is to come again later. */
export const HOLD = 3;
export type Outcome = 0 | 1 | 2 | 3;

/** What an inspector found, with the bytes that prove it. One instance, filled anew at a find. */
export class FoundMatch {
  match: Match | null = null;
  /**
   * Ends of the packet that have acted in BitTorrent in this flow, as far as it was seen, as bits. Who
   * only received proves nothing about himself.
   */
  acted = SOURCE_END;
  /** Of those the ones that torrent: a tracker answers others too. */
  offenders = SOURCE_END;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  /**
   * Returns {@link FOUND}, so that an inspector can `return finding.set(…)`.
   *
   * @param acted where it is not as the row of the match says (`methods.ts`)
   */
  set(match: Match, bytes: Uint8Array, start: number, end: number, acted = 0): typeof FOUND {
    const { doer } = kindRow(match);
    this.match = match;
    this.acted = acted !== 0 ? acted : doer === "sender" ? SOURCE_END : BOTH_ENDS;
    this.offenders = doer === "asker" ? this.acted & DESTINATION_END : this.acted;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return FOUND;
  }
  /**
   * A find that is evidence for one end only, the address at `end`: who asks for pieces, or who opened the
   * connection. Were the other end proven too, one host that torrents and uses a proxy would make the
   * proxy's other users suspects, and theirs in turn.
   */
  setOf(end: number, match: Match, packet: Packet): typeof FOUND {
    const { bytes, payloadStart, payloadEnd } = packet;
    const acted = end === 0 ? SOURCE_END : DESTINATION_END;
    return this.set(match, bytes, payloadStart, payloadEnd, acted);
  }
}
