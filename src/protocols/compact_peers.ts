/**
 * Endpoints as messages write them: compact entries of 6 or 18 bytes (BEP 23, BEP 7) and addresses
 * as text (BEP 3). What a matched message names as peers are BitTorrent clients, and a flow to one
 * of them is judged in that light. Nodes of the DHT are left out: they are no peers.
 */
import { i32be, u16be } from "../packet/bytes.ts";
import { stringLength, stringStart } from "./bencode.ts";
import { hexDigit } from "./characters.ts";

/** Receives each peer: the address as four signed words (IPv4 as `::ffff:a.b.c.d`) and the port. */
export interface PeerSink {
  peer(w0: number, w1: number, w2: number, w3: number, port: number): void;
}

/** Hands the peers that the matched message `[start, end)` names to `sink`. */
export type PeerReader = (
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: PeerSink,
  family: number,
) => void;

/** `::ffff:0:0/96`, the third word of an IPv4-mapped address. */
const MAPPED = 0x0000_ffff;
/** Trackers answer with 50 to 200; a longer list is not worth the time of a packet. */
export const MAX_PEERS = 512;
/** An IPv4 address and a port. */
export const COMPACT_PEER_LENGTH = 6;
/** An IPv6 address and a port. */
export const COMPACT_PEER6_LENGTH = 18;

/** The entries in the bencoded string at `at` (-1: none). */
export function readCompactString(
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
export function readCompact(
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

/** One entry of 6 bytes. */
export function readPeer4(bytes: Uint8Array, at: number, sink: PeerSink): void {
  emit(0, 0, MAPPED, i32be(bytes, at), u16be(bytes, at + 4), sink);
}

/** One entry of 18 bytes. */
export function readPeer6(bytes: Uint8Array, at: number, sink: PeerSink): void {
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

/** The address written out in `[at, end)`; anything else is left out. */
export function readAddress(
  bytes: Uint8Array,
  at: number,
  end: number,
  port: number,
  sink: PeerSink,
): void {
  if (!readIpv4(bytes, at, end, port, sink)) readIpv6(bytes, at, end, port, sink);
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
    while (at < end && at - digits < 4 && hexDigit(bytes[at]) >= 0) {
      value = value * 16 + hexDigit(bytes[at]);
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
