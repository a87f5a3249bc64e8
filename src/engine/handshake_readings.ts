/**
 * The handshake among segments that contradict each other. Of bytes sent twice with different content
 * only the receiver knows which count: a copy may die on the way (low TTL), be refused (wrong
 * checksum), or come first or last in the receiver's own order.
 */
import { greater, lesser } from "../packet/bytes.ts";
import { match } from "../protocols/match.ts";
import { HANDSHAKE } from "../protocols/signatures.ts";
import type { FlowRecord } from "./flow_record.ts";

/** Bits of a direction's word when every fixed byte of the handshake was seen in its place. */
const WHOLE = 2 ** HANDSHAKE.length - 1;

export const HIDDEN_HANDSHAKE = match(
  "peer-wire",
  "hidden-handshake",
  "proof",
  "handshake among contradicting segments",
);

/**
 * Notes which bytes of the handshake `[start, end)` holds in their places, `offset` being that of the
 * first byte in the stream. True when all of them have been seen, whatever else was sent in the same
 * places: an honest sender contradicts itself nowhere, and then this is the handshake at the
 * beginning of the stream and nothing else.
 *
 * @param flow keeps the direction's bits
 */
export function readsHandshake(
  flow: FlowRecord,
  direction: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  offset: number,
): boolean {
  if (offset >= HANDSHAKE.length) return false;
  const stop = lesser(HANDSHAKE.length, offset + end - start);
  let seen = flow.readings(direction);
  for (let i = greater(offset, 0); i < stop; i++) {
    if (bytes[start + i - offset] === HANDSHAKE[i]) seen |= 1 << i;
  }
  flow.setReadings(direction, seen);
  return seen === WHOLE;
}
