/** Peers in an HTTP tracker's answer. Spec: BEP 3, 7 and 23. */
import { ascii, startsWith } from "../../packet/bytes.ts";
import { findKey, integerAt, skipElement, stringLength, stringStart } from "../bencode.ts";
import {
  COMPACT_PEER6_LENGTH,
  COMPACT_PEER_LENGTH,
  MAX_PEERS,
  type PeerSink,
  readAddress,
  readCompactString,
} from "../compact_peers.ts";
import { hexDigit } from "../characters.ts";

const LIST = 0x6c; // l
const DICTIONARY = 0x64; // d
const CR = 0x0d;
const LF = 0x0a;

const PEERS = ascii("peers");
const PEERS6 = ascii("peers6");
const IP = ascii("ip");
const PORT = ascii("port");
const HTTP = ascii("HTTP/1.");

/** BEP 3, 7 and 23: the bencoded body of an HTTP answer, or that body alone. */
export function readHttpTrackerPeers(
  bytes: Uint8Array,
  start: number,
  end: number,
  sink: PeerSink,
): void {
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
  while (at < end && hexDigit(bytes[at]) >= 0) at++;
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
      readAddress(bytes, text, textEnd, port, sink);
    }
    at = after;
  }
}
