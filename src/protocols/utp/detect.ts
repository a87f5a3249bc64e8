/**
 * uTP, BitTorrent's transport over UDP. Spec: BEP 29, header format.
 *
 * One header is a hint at most: its first byte is also the start of WireGuard, DNS and CoAP
 * messages, and its other fields may hold anything. What proves a connection is how headers follow
 * each other (`engine/utp_flow.ts`). Here are the reads, the form of a header, and the one thing a
 * single datagram can prove: a peer wire handshake as its payload.
 */
import { ascii, i32be, startsWith, u16be } from "../../packet/bytes.ts";
import { type Match, match } from "../match.ts";

export const ST_DATA = 0;
const ST_FIN = 1;
export const ST_STATE = 2;
export const ST_SYN = 4;

const VERSION = 1;

const EXTENSION = 1;
const CONNECTION_ID = 2;
const TIMESTAMP = 4;
const TIMESTAMP_DIFFERENCE = 8;
const WINDOW = 12;
const SEQ_NR = 16;
const ACK_NR = 18;
export const UTP_HEADER_LENGTH = 20;

const EXTENSION_NONE = 0;
const EXTENSION_SELECTIVE_ACK = 1;
const EXTENSION_BITS = 2; // 8 bytes, old libutp
const EXTENSION_CLOSE_REASON = 3; // 4 bytes, libtorrent

/** No client offers a receive window of 1 GiB. */
const MAX_WINDOW = 0x4000_0000;

const PEER_WIRE = ascii("\x13BitTorrent protocol"); // BEP 3

const HANDSHAKE = match("utp", "handshake", "proof", "peer wire handshake in uTP");

/**
 * End of the header and its extensions, where the payload starts; -1 when the datagram is no uTP.
 * The packet types must fit their content: DATA carries bytes; SYN, STATE and RESET carry none.
 */
export function utpHeaderEnd(bytes: Uint8Array, start: number, end: number): number {
  const at = utpExtensionsEnd(bytes, start, end);
  switch (bytes[start] >> 4) {
    case ST_DATA:
      return at < end ? at : -1;
    case ST_FIN:
      return at;
    default:
      return at === end ? at : -1;
  }
}

/**
 * The same whatever the type and what it carries: clients do not mind bytes behind a SYN or a STATE,
 * and who hides pads them. -1 when it has not even the form of a header.
 */
export function utpExtensionsEnd(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < UTP_HEADER_LENGTH) return -1;
  const first = bytes[start];
  const type = first >> 4;
  if ((first & 0x0f) !== VERSION || type > ST_SYN) return -1;
  if (i32be(bytes, start + WINDOW) >>> 0 >= MAX_WINDOW) return -1;
  let at = start + UTP_HEADER_LENGTH;
  let extension = bytes[start + EXTENSION];
  while (extension !== EXTENSION_NONE) {
    if (end - at < 2) return -1;
    const length = bytes[at + 1];
    if (!isExtensionLength(extension, length)) return -1;
    extension = bytes[at];
    at += 2 + length;
    if (at > end) return -1;
  }
  return at;
}

function isExtensionLength(extension: number, length: number): boolean {
  switch (extension) {
    case EXTENSION_SELECTIVE_ACK:
      return length >= 4 && length % 4 === 0;
    case EXTENSION_BITS:
      return length === 8;
    case EXTENSION_CLOSE_REASON:
      return length === 4;
    default:
      return false;
  }
}

/** A DATA packet whose payload begins with the 20 fixed bytes of the peer wire handshake. */
export function detectUtp(bytes: Uint8Array, start: number, end: number): Match | null {
  if (end - start < UTP_HEADER_LENGTH + PEER_WIRE.length) return null;
  if (bytes[start] !== (ST_DATA << 4 | VERSION)) return null;
  const payload = utpHeaderEnd(bytes, start, end);
  if (payload < 0 || bytes[payload] !== PEER_WIRE[0]) return null;
  return startsWith(bytes, payload, end, PEER_WIRE) ? HANDSHAKE : null;
}

/**
 * The SYN that libtorrent and libutp send: nothing received yet, so no acknowledgement and no
 * timestamp difference, and both ids and both halves of the clock are in use. Other fields that
 * stand at zero there are what keeps a DNS query of 20 bytes with the id 0x4100 out: its class,
 * where the acknowledgement is, is 1.
 */
export function isFreshSyn(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= UTP_HEADER_LENGTH &&
    bytes[start] === (ST_SYN << 4 | VERSION) &&
    i32be(bytes, start + TIMESTAMP_DIFFERENCE) === 0 &&
    u16be(bytes, start + ACK_NR) === 0 &&
    u16be(bytes, start + CONNECTION_ID) !== 0 &&
    u16be(bytes, start + SEQ_NR) !== 0 &&
    u16be(bytes, start + TIMESTAMP) !== 0 &&
    u16be(bytes, start + TIMESTAMP + 2) !== 0 &&
    utpExtensionsEnd(bytes, start, end) >= 0;
}

/** Packet type of a header, {@link ST_DATA} to {@link ST_SYN}. */
export function utpType(bytes: Uint8Array, start: number): number {
  return bytes[start] >> 4;
}

/** The id a sender puts on its packets; the two directions differ by one, except in the SYN. */
export function utpConnectionId(bytes: Uint8Array, start: number): number {
  return u16be(bytes, start + CONNECTION_ID);
}

/** The sender's clock, µs modulo 2^32, as a signed number. */
export function utpTimestamp(bytes: Uint8Array, start: number): number {
  return i32be(bytes, start + TIMESTAMP);
}

/** The sender's clock minus the timestamp of the last packet it got, µs, as a signed number. */
export function utpTimestampDifference(bytes: Uint8Array, start: number): number {
  return i32be(bytes, start + TIMESTAMP_DIFFERENCE);
}

/** The receive window that the sender offers, bytes. */
export function utpWindow(bytes: Uint8Array, start: number): number {
  return i32be(bytes, start + WINDOW) >>> 0;
}

export function utpSeqNr(bytes: Uint8Array, start: number): number {
  return u16be(bytes, start + SEQ_NR);
}

export function utpAckNr(bytes: Uint8Array, start: number): number {
  return u16be(bytes, start + ACK_NR);
}
