/** Peer wire handshake. Spec: BEP 3, "peer protocol". */

import { type Match, match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { HANDSHAKE } from "../signatures.ts";

/** Offsets in the 68 bytes of the handshake. */
export const RESERVED = 20; // 8 bytes of extension bits
export const INFO_HASH = 28; // 20 bytes
export const PEER_ID = 48; // 20 bytes
export const HANDSHAKE_LENGTH = 68;

/** Extension bits that clients set at once, with room: text in their place has twice as many. */
const MAX_RESERVED_BITS = 12;

/** Whether the 8 bytes behind the protocol's name may be extension bits; cut ones may. */
export function hasReserved(bytes: Uint8Array, start: number, end: number): boolean {
  let bits = 0;
  for (let at = start + RESERVED; at < Math.min(end, start + INFO_HASH); at++) {
    for (let rest = bytes[at]; rest > 0; rest &= rest - 1) bits++;
  }
  return bits <= MAX_RESERVED_BITS;
}

/** 160 fixed bits at the very beginning of the stream: chance does not produce them. */
const PEER_WIRE_HANDSHAKE: Match = match("peer-wire", "handshake", "proof", "handshake");

/** The same from the end that was called, where the caller was not heard to say one: BEP 3 has him begin. */
export const UNASKED_HANDSHAKE: Match = match(
  "peer-wire",
  "unasked-handshake",
  "proof",
  "handshake of who was called, without the caller's",
);

/**
 * Looks for a handshake at the beginning of a stream (or of a tunnelled one). The 20 fixed bytes
 * are enough: what follows is arbitrary. A true prefix, down to one byte, is {@link NEED_MORE}.
 */
export function detectPeerWire(bytes: Uint8Array, start: number, end: number): StreamAnswer {
  if (start >= end || bytes[start] !== HANDSHAKE[0]) return null;
  const length = Math.min(end - start, HANDSHAKE.length);
  for (let i = 1; i < length; i++) if (bytes[start + i] !== HANDSHAKE[i]) return null;
  return length === HANDSHAKE.length ? PEER_WIRE_HANDSHAKE : NEED_MORE;
}
