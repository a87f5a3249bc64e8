/**
 * KRPC messages of which the end is missing: a recorder's snapshot length, a first IP fragment. The
 * dictionary cannot be read to its end, but it begins with what nobody else spells: the arguments or
 * the response as a dictionary whose first key is a node's id of 20 bytes.
 */
import { ascii, startsWith } from "../../packet/bytes.ts";
import { skipElement } from "../bencode.ts";
import { type Match, match } from "../match.ts";

const DICTIONARY = 0x64; // d
const END = 0x65; // e
/** `ip` and `e` may stand before them (BEP 42, BEP 5). */
const MAX_KEYS_BEFORE = 3;

const ARGUMENTS = ascii("1:ad2:id20:");
const RESPONSE_VALUES = ascii("1:rd2:id20:");
const NODE_ID_LENGTH = 20;
/** Which argument comes next says what is asked; keys are sorted (BEP 3). */
const INFO_HASH = ascii("9:info_hash20:");
const IMPLIED_PORT = ascii("12:implied_port");

const QUERY = match("dht", "query", "proof", "query, cut");
const GET_PEERS = match("dht", "get_peers", "proof", "get_peers query, cut");
const ANNOUNCE_PEER = match("dht", "announce_peer", "proof", "announce_peer query, cut");
const RESPONSE = match("dht", "response", "proof", "response, cut");

/** A KRPC query or response that starts the datagram of which `[start, end)` is there. */
export function detectCutDht(bytes: Uint8Array, start: number, end: number): Match | null {
  if (start >= end || bytes[start] !== DICTIONARY) return null;
  let at = start + 1;
  for (let keys = 0; keys <= MAX_KEYS_BEFORE && at >= 0; keys++) {
    if (startsWith(bytes, at, end, ARGUMENTS)) {
      return query(bytes, at + ARGUMENTS.length + NODE_ID_LENGTH, end);
    }
    if (startsWith(bytes, at, end, RESPONSE_VALUES)) {
      const next = at + RESPONSE_VALUES.length + NODE_ID_LENGTH;
      return isKeyOrEnd(bytes, next, end) ? RESPONSE : null;
    }
    at = skipElement(bytes, skipElement(bytes, at, end), end);
  }
  return null;
}

function query(bytes: Uint8Array, next: number, end: number): Match | null {
  if (!isKeyOrEnd(bytes, next, end)) return null;
  if (startsWith(bytes, next, end, INFO_HASH)) return GET_PEERS;
  return startsWith(bytes, next, end, IMPLIED_PORT) ? ANNOUNCE_PEER : QUERY;
}

/** What follows a value in a dictionary; true where nothing is left to be seen. */
function isKeyOrEnd(bytes: Uint8Array, at: number, end: number): boolean {
  return at >= end || bytes[at] === END || (bytes[at] >= 0x30 && bytes[at] <= 0x39);
}
