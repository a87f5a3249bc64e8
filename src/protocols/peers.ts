/**
 * The endpoints that a matched message names as peers: those are BitTorrent clients, and a flow to
 * one of them is judged in that light. Nodes of the DHT are left out: they are no peers.
 * The sender of an `announce_peer` is one itself (`announcedPort()` in `dht/detect.ts`).
 */
import { ascii, i32be, startsWith, u16be } from "../packet/bytes.ts";
import { findKey, integerAt, skipElement, stringLength, stringStart } from "./bencode.ts";
import { findDhtValues } from "./dht/detect.ts";
import type { Match } from "./match.ts";
import {
  ACTION_ANNOUNCE,
  ANNOUNCE_RESPONSE_LENGTH,
  COMPACT_PEER6_LENGTH,
  COMPACT_PEER_LENGTH,
  RESPONSE_ACTION,
} from "./udp_tracker/detect.ts";

/** Receives each peer: the address as four signed words (IPv4 as `::ffff:a.b.c.d`) and the port. */
export interface PeerSink {
  peer(w0: number, w1: number, w2: number, w3: number, port: number): void;
}

/** `::ffff:0:0/96`, the third word of an IPv4-mapped address. */
const MAPPED = 0x0000_ffff;
/** Trackers answer with 50 to 200; a longer list is not worth the time of a packet. */
const MAX_PEERS = 512;

const LIST = 0x6c; // l
const DICTIONARY = 0x64; // d
const END = 0x65; // e
const CR = 0x0d;
const LF = 0x0a;

const PEERS = ascii("peers");
const PEERS6 = ascii("peers6");
const IP = ascii("ip");
const PORT = ascii("port");
const ADDED = ascii("added");
const ADDED6 = ascii("added6");
const HTTP = ascii("HTTP/1.");

const EXTENDED = 20; // BEP 10
const EXTENSION_PAYLOAD = 6; // length 4, message id 1, extension id 1

/**
 * Hands every peer named by the matched message `[start, end)` to `sink`. `family` is the IP
 * version of a UDP tracker's flow: its answer does not tell 6-byte entries from 18-byte ones.
 */
export function readPeers(
  match: Match,
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: PeerSink,
  family = 4,
): void {
  switch (match.method) {
    case "dht":
      readDhtValues(bytes, findDhtValues(bytes, start, end), end, sink);
      break;
    case "udp-tracker":
      readAnnounceResponse(bytes, start, end, sink, family);
      break;
    case "http-tracker":
      readTrackerBody(bytes, start, end, sink);
      break;
    case "extension":
      readPex(bytes, start, end, sink);
      break;
  }
}

/** BEP 5 and 32: a list of strings of 6 or 18 bytes. */
function readDhtValues(bytes: Uint8Array, at: number, end: number, sink: PeerSink): void {
  if (at < 0 || bytes[at] !== LIST) return;
  at++;
  for (let count = 0; count < MAX_PEERS && at < end && bytes[at] !== END; count++) {
    const length = stringLength(bytes, at, end);
    if (length < 0) return;
    const peer = stringStart(bytes, at, end);
    if (length === COMPACT_PEER_LENGTH) readPeer4(bytes, peer, sink);
    else if (length === COMPACT_PEER6_LENGTH) readPeer6(bytes, peer, sink);
    at = peer + length;
  }
}

/** BEP 15, announce response. */
function readAnnounceResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: PeerSink,
  family: number,
): void {
  if (end - start < ANNOUNCE_RESPONSE_LENGTH) return;
  if (i32be(bytes, start + RESPONSE_ACTION) !== ACTION_ANNOUNCE) return;
  const size = family === 6 ? COMPACT_PEER6_LENGTH : COMPACT_PEER_LENGTH;
  readCompact(bytes, start + ANNOUNCE_RESPONSE_LENGTH, end, size, sink);
}

/** BEP 3, 7 and 23: the bencoded body of an HTTP answer, or that body alone. */
function readTrackerBody(bytes: Uint8Array, start: number, end: number, sink: PeerSink): void {
  const body = startsWith(bytes, start, end, HTTP) ? bodyStart(bytes, start, end) : start;
  if (body < 0) return;
  const peers = findKey(bytes, body, end, PEERS);
  if (peers >= 0 && bytes[peers] === LIST) readDictionaries(bytes, peers, end, sink);
  else readCompactString(bytes, peers, end, COMPACT_PEER_LENGTH, sink);
  readCompactString(bytes, findKey(bytes, body, end, PEERS6), end, COMPACT_PEER6_LENGTH, sink);
}

/** After the empty line, and after the size line where the body comes in chunks. */
function bodyStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at + 3 < end) {
    if (
      bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF
    ) break;
    at++;
  }
  at += 4;
  if (at >= end || bytes[at] === DICTIONARY && !isChunkSize(bytes, at, end)) {
    return at < end ? at : -1;
  }
  while (at < end && bytes[at] !== LF) at++;
  return at + 1 < end ? at + 1 : -1;
}

/** `d5\r\n`: a chunk's size may begin with the letter that begins a dictionary. */
function isChunkSize(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end && isHexDigit(bytes[at])) at++;
  return at < end && bytes[at] === CR;
}

/** BEP 3, original form: a list of dictionaries with `ip` (text) and `port`. */
function readDictionaries(bytes: Uint8Array, at: number, end: number, sink: PeerSink): void {
  at++;
  for (let count = 0; count < MAX_PEERS && at < end && bytes[at] === DICTIONARY; count++) {
    const after = skipElement(bytes, at, end);
    if (after < 0) return;
    const ip = findKey(bytes, at, after, IP);
    const text = stringStart(bytes, ip, after);
    const port = integerAt(bytes, findKey(bytes, at, after, PORT), after);
    if (text >= 0 && port > 0 && port <= 65535) {
      const textEnd = text + stringLength(bytes, ip, after);
      if (!readIpv4(bytes, text, textEnd, port, sink)) readIpv6(bytes, text, textEnd, port, sink);
    }
    at = after;
  }
}

/** BEP 11: `added` and `added6` in the dictionary of an extension message at `start`. */
function readPex(bytes: Uint8Array, start: number, end: number, sink: PeerSink): void {
  const at = start + EXTENSION_PAYLOAD;
  if (at >= end || bytes[start + 4] !== EXTENDED) return;
  const limit = Math.min(end, start + 4 + (i32be(bytes, start) >>> 0));
  readCompactString(bytes, findKey(bytes, at, limit, ADDED), limit, COMPACT_PEER_LENGTH, sink);
  readCompactString(bytes, findKey(bytes, at, limit, ADDED6), limit, COMPACT_PEER6_LENGTH, sink);
}

function readCompactString(
  bytes: Uint8Array,
  at: number,
  end: number,
  size: number,
  sink: PeerSink,
): void {
  const start = stringStart(bytes, at, end);
  if (start >= 0) {
    readCompact(bytes, start, start + stringLength(bytes, at, end), size, sink);
  }
}

/** Entries of 6 or 18 bytes, side by side (BEP 23, BEP 7). */
function readCompact(
  bytes: Uint8Array,
  at: number,
  end: number,
  size: number,
  sink: PeerSink,
): void {
  for (let count = 0; count < MAX_PEERS && end - at >= size; count++) {
    if (size === COMPACT_PEER_LENGTH) readPeer4(bytes, at, sink);
    else readPeer6(bytes, at, sink);
    at += size;
  }
}

function readPeer4(bytes: Uint8Array, at: number, sink: PeerSink): void {
  emit(0, 0, MAPPED, i32be(bytes, at), u16be(bytes, at + 4), sink);
}

function readPeer6(bytes: Uint8Array, at: number, sink: PeerSink): void {
  emit(
    i32be(bytes, at),
    i32be(bytes, at + 4),
    i32be(bytes, at + 8),
    i32be(bytes, at + 12),
    u16be(bytes, at + 16),
    sink,
  );
}

/** Drops what is no endpoint: port 0 and the unspecified address. */
function emit(
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
  sink: PeerSink,
): void {
  const mapped = w0 === 0 && w1 === 0 && (w2 === MAPPED || w2 === 0);
  if (port !== 0 && !(mapped && w3 === 0)) sink.peer(w0, w1, w2, w3, port);
}

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;

/** The dotted address that fills `[at, end)` as a signed word; NaN when it is none. */
function dottedAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && (at >= end || bytes[at++] !== DOT)) return NaN;
    let value = 0;
    const digits = at;
    while (at < end && at - digits < 3 && bytes[at] >= ZERO && bytes[at] <= NINE) {
      value = value * 10 + bytes[at] - ZERO;
      at++;
    }
    if (at === digits || value > 255) return NaN;
    word = (word << 8) | value;
  }
  return at === end ? word : NaN;
}

function readIpv4(
  bytes: Uint8Array,
  at: number,
  end: number,
  port: number,
  sink: PeerSink,
): boolean {
  const word = dottedAt(bytes, at, end);
  if (Number.isNaN(word)) return false;
  emit(0, 0, MAPPED, word, port, sink);
  return true;
}

/** Reused: the eight groups of the address being read. */
const groups = new Uint16Array(8);

/** RFC 4291, section 2.2: groups of hexadecimal digits, `::` for zeros, a dotted end. */
function readIpv6(
  bytes: Uint8Array,
  at: number,
  end: number,
  port: number,
  sink: PeerSink,
): void {
  let count = 0;
  let gap = -1;
  groups.fill(0);
  if (end - at >= 2 && bytes[at] === COLON && bytes[at + 1] === COLON) {
    gap = 0;
    at += 2;
  }
  while (at < end) {
    if (count === 8) return;
    const digits = at;
    let value = 0;
    while (at < end && at - digits < 4 && isHexDigit(bytes[at])) {
      value = value * 16 + hexValue(bytes[at]);
      at++;
    }
    if (at === digits) return;
    if (at < end && bytes[at] === DOT) {
      const dotted = dottedAt(bytes, digits, end);
      if (Number.isNaN(dotted) || count > 6) return;
      groups[count++] = dotted >>> 16;
      groups[count++] = dotted & 0xffff;
      break;
    }
    groups[count++] = value;
    if (at === end) break;
    if (bytes[at++] !== COLON || at === end) return;
    if (bytes[at] === COLON) {
      if (gap >= 0) return;
      gap = count;
      at++;
    }
  }
  if (gap < 0 ? count !== 8 : count > 7) return;
  if (gap >= 0) {
    groups.copyWithin(8 - (count - gap), gap, count);
    groups.fill(0, gap, 8 - (count - gap));
  }
  emit(word(0), word(2), word(4), word(6), port, sink);
}

/** Two groups as a signed word. */
function word(group: number): number {
  return (groups[group] << 16) | groups[group + 1];
}

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= ZERO && byte <= NINE) || (letter >= 0x61 && letter <= 0x66);
}

function hexValue(byte: number): number {
  return byte <= NINE ? byte - ZERO : (byte | 0x20) - 0x57;
}
