/**
 * UDP tracker protocol. Spec: BEP 15 (IPv6 too), options after an announce: BEP 41.
 *
 * Here is what one datagram shows. A connect request carries the protocol's magic number; an
 * announce is known by its form and its peer id. Everything else is short and starts with a small
 * integer, as many protocols do: `engine/tracker_flow.ts` ties those to the other direction.
 */
import { i32be, u16be, u32be } from "../../packet/bytes.ts";
import { COMPACT_PEER_LENGTH } from "../compact_peers.ts";
import { INFO_HASH_LENGTH } from "../info_hash.ts";
import { type Match, match } from "../match.ts";
import { isDigit, isLetter } from "../characters.ts";

const PROTOCOL_ID_HIGH = 0x0000_0417; // two halves: no BigInt on the packet path
const PROTOCOL_ID_LOW = 0x2710_1980;

export const ACTION_CONNECT = 0;
export const ACTION_ANNOUNCE = 1;
export const ACTION_SCRAPE = 2;
export const ACTION_ERROR = 3;

/** Offsets in a request. */
export const REQUEST_CONNECTION_ID = 0; // 8 bytes
export const REQUEST_ACTION = 8;
export const REQUEST_TRANSACTION_ID = 12;
/** Offsets in a response. */
export const RESPONSE_ACTION = 0;
export const RESPONSE_TRANSACTION_ID = 4;
export const RESPONSE_CONNECTION_ID = 8; // 8 bytes, connect only

export const CONNECT_LENGTH = 16; // a request and its response alike
/** Request header: connection id 8, action 4, transaction id 4. */
export const REQUEST_HEADER_LENGTH = 16;
/** An announce up to and with the port; longer ones carry BEP 41 options or an old extension field. */
export const ANNOUNCE_LENGTH = 98;
/** Announce response before the peers: action 4, transaction id 4, interval 4, leechers 4, seeders 4. */
export const ANNOUNCE_RESPONSE_LENGTH = 20;
export const RESPONSE_HEADER_LENGTH = 8;
/** A scrape answers each info-hash with seeders 4, completed 4, leechers 4. */
export const SCRAPE_ENTRY_LENGTH = 12;

export const PEER_ID = 36; // 20 bytes
const DOWNLOADED = 56;
const UPLOADED = 72;
const EVENT = 80;
const NUM_WANT = 92;
const PORT = 96;

/** The last of none, completed, started, stopped and, of partial seeds, paused (BEP 21; libtorrent). */
const EVENT_PAUSED = 4;
/** No client asks for more peers; -1 means the tracker's default. */
const MAX_NUM_WANT = 10_000;

const CONNECT_REQUEST = match("udp-tracker", "connect", "proof", "connect request");
const ANNOUNCE_REQUEST = match(
  "udp-tracker",
  "announce-by-peer-id",
  "strong",
  "announce request with a client's peer id",
);

const CUT_ANNOUNCE = match(
  "udp-tracker",
  "announce-by-peer-id",
  "proof",
  "announce request with a client's peer id, cut",
);
/** So much of a peer id tells the client (BEP 20). */
const PEER_ID_MARK_LENGTH = 8;

/** A connect request, or an announce request with a plausible peer id. */
export function detectUdpTracker(bytes: Uint8Array, start: number, end: number): Match | null {
  const length = end - start;
  if (length < CONNECT_LENGTH) return null;
  switch (i32be(bytes, start + REQUEST_ACTION)) {
    case ACTION_CONNECT:
      return isConnectRequest(bytes, start, end) ? CONNECT_REQUEST : null;
    case ACTION_ANNOUNCE:
      if (length < ANNOUNCE_LENGTH || !isAnnounceRequest(bytes, start, end)) return null;
      return isPeerId(bytes, start + PEER_ID) ? ANNOUNCE_REQUEST : null;
    default:
      return null;
  }
}

/** The same of an announce whose end is missing, `wireLength` bytes in all. */
export function detectCutAnnounce(
  bytes: Uint8Array,
  start: number,
  end: number,
  wireLength: number,
): Match | null {
  if (wireLength < ANNOUNCE_LENGTH || end - start < PEER_ID + PEER_ID_MARK_LENGTH) return null;
  if (i32be(bytes, start + REQUEST_ACTION) !== ACTION_ANNOUNCE) return null;
  return isPeerId(bytes, start + PEER_ID) ? CUT_ANNOUNCE : null;
}

/** BEP 15, connect: 96 fixed bits. */
export function isConnectRequest(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= CONNECT_LENGTH &&
    u32be(bytes, start) === PROTOCOL_ID_HIGH &&
    u32be(bytes, start + 4) === PROTOCOL_ID_LOW &&
    i32be(bytes, start + REQUEST_ACTION) === ACTION_CONNECT;
}

/** The form of an IPv4 or IPv6 announce request, whoever sent it. */
export function isAnnounceRequest(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < ANNOUNCE_LENGTH) return false;
  if (i32be(bytes, start + REQUEST_ACTION) !== ACTION_ANNOUNCE) return false;
  if (u32be(bytes, start + EVENT) > EVENT_PAUSED) return false;
  const wanted = i32be(bytes, start + NUM_WANT);
  if (wanted < -1 || wanted > MAX_NUM_WANT) return false;
  if (u16be(bytes, start + PORT) === 0) return false;
  // 2^48 bytes are 256 TiB. `left` is no such limit: clients without metadata send the largest number.
  return u16be(bytes, start + DOWNLOADED) === 0 && u16be(bytes, start + UPLOADED) === 0;
}

/** A scrape request's length: one or more info-hashes. */
export function isScrapeLength(length: number): boolean {
  return length > REQUEST_HEADER_LENGTH &&
    (length - REQUEST_HEADER_LENGTH) % INFO_HASH_LENGTH === 0;
}

/** An announce response's length: any number of peers; 18 is a multiple of 6. */
export function isAnnounceResponseLength(length: number): boolean {
  return length >= ANNOUNCE_RESPONSE_LENGTH &&
    (length - ANNOUNCE_RESPONSE_LENGTH) % COMPACT_PEER_LENGTH === 0;
}

const DASH = 0x2d;

/**
 * Whether the 20 bytes at `at` begin as a client's peer id (BEP 20): `-qB4520-`, or a letter and
 * version digits closed by dashes (`M7-9-2--`, `T03I--00`, `S58B-----`).
 */
function isPeerId(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === DASH) { // Azureus style
    if (bytes[at + 7] !== DASH) return false;
    if (!isAlphanumeric(bytes[at + 1]) || !isClientMark(bytes[at + 2])) return false;
    for (let i = 3; i < 7; i++) if (!isVersionMark(bytes[at + i])) return false;
    return true;
  }
  if (!isLetter(bytes[at])) return false;
  let dashes = 0;
  for (let i = 1; i < 8; i++) {
    if (bytes[at + i] === DASH) dashes++;
    else if (!isVersionMark(bytes[at + i])) return false;
  }
  return dashes >= 2 && isDigit(bytes[at + 1]);
}

function isAlphanumeric(byte: number): boolean {
  return isDigit(byte) || isLetter(byte);
}

/** `-FD6u-`, `-TIX0-`, `-A~00-`: a few clients use a tilde as second mark. */
function isClientMark(byte: number): boolean {
  return isAlphanumeric(byte) || byte === 0x7e;
}

/** Base-64 digits of Shadow's style and the point that some clients put between numbers. */
function isVersionMark(byte: number): boolean {
  return isAlphanumeric(byte) || byte === 0x2e || byte === DASH || byte === 0x2b || byte === 0x5f;
}
