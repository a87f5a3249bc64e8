/**
 * The top level of a JSON object (RFC 8259), read in place as far as a WebTorrent tracker message
 * needs it: `{"action":"announce","info_hash":"…20 characters…","offers":[…],…}`.
 */

import { wordsAt } from "../signatures.ts";
import { WordSet } from "../word_set.ts";

/** "cut": possible, but `end` came before the proof. */
export type JsonAnswer = "match" | "no" | "cut";

const KEY_WORDS = wordsAt("json key");
const KEYS = new WordSet(KEY_WORDS);
const INFO_HASH = KEY_WORDS.indexOf("info_hash");
const ACTION = KEY_WORDS.indexOf("action");
const OFFERS = KEY_WORDS.indexOf("offers");
const OFFER_ID = KEY_WORDS.indexOf("offer_id");
const PEER_ID = KEY_WORDS.indexOf("peer_id");
const ACTIONS = new WordSet(wordsAt("json action"));

const HASH_LENGTH = 20;
const MAX_DEPTH = 32;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const LOWER_U = 0x75;

const CUT = -1;
const MALFORMED = -2;

/**
 * Whether the object at `at` has an `info_hash` of 20 characters together with the action announce
 * or scrape, or with offers or an offer's id and a peer id. Only keys at the top level count.
 */
export function readTrackerJson(bytes: Uint8Array, at: number, end: number): JsonAnswer {
  at = skipSpace(bytes, at, end);
  if (at >= end) return "cut";
  if (bytes[at] !== OPEN_OBJECT) return "no";
  at++;
  let hash = false;
  let action = false;
  let offer = false;
  let peerId = false;
  for (;;) {
    at = skipSpace(bytes, at, end);
    if (at >= end) return "cut";
    if (bytes[at] === COMMA) {
      at++;
      continue;
    }
    if (bytes[at] !== QUOTE) return "no";
    const keyEnd = stringEnd(bytes, at, end);
    if (keyEnd === CUT) return "cut";
    const key = KEYS.indexOf(bytes, at + 1, keyEnd - at - 2);
    at = skipSpace(bytes, keyEnd, end);
    if (at >= end) return "cut";
    if (bytes[at] !== COLON) return "no";
    at = skipSpace(bytes, at + 1, end);
    if (at >= end) return "cut";
    const value = at;
    if (key === OFFERS && bytes[value] === OPEN_LIST) offer = true; // a long one: do not wait
    if (hash && offer) return "match";
    at = valueEnd(bytes, at, end);
    if (at === MALFORMED) return "no";
    if (at === CUT) return "cut";
    const isString = bytes[value] === QUOTE;
    if (key === INFO_HASH) hash = isString && characters(bytes, value, at) === HASH_LENGTH;
    else if (key === ACTION) action = isString && ACTIONS.has(bytes, value + 1, at - value - 2);
    else if (key === OFFER_ID) offer = isString && peerId;
    else if (key === PEER_ID) peerId = isString && characters(bytes, value, at) === HASH_LENGTH;
    if (hash && (action || offer)) return "match";
  }
}

function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && (bytes[at] === 0x20 || (bytes[at] >= 0x09 && bytes[at] <= 0x0d))) at++;
  return at;
}

/** After the closing quote of the string at `at`, or CUT. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  at++;
  while (at < end) {
    const byte = bytes[at++];
    if (byte === QUOTE) return at;
    if (byte === BACKSLASH) at++;
  }
  return CUT;
}

/** After the value at `at`, or CUT, or MALFORMED. */
function valueEnd(bytes: Uint8Array, at: number, end: number): number {
  let depth = 0;
  while (at < end) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = stringEnd(bytes, at, end);
      if (at < 0) return CUT;
      if (depth === 0) return at;
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      if (++depth > MAX_DEPTH) return MALFORMED;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      if (depth === 0) return at; // ends the object around a number or a word
      if (--depth === 0) return at + 1;
    } else if (byte === COMMA && depth === 0) return at;
    at++;
  }
  return CUT;
}

/** Characters of the string between the quotes at `at` and before `after`: bytes 0…255 of a hash. */
function characters(bytes: Uint8Array, at: number, after: number): number {
  let count = 0;
  const last = after - 1;
  for (let i = at + 1; i < last; count++) {
    const byte = bytes[i];
    if (byte === BACKSLASH) i += bytes[i + 1] === LOWER_U ? 6 : 2;
    else i += byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  }
  return count;
}
