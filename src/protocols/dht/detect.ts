/**
 * Mainline DHT: KRPC messages of BEP 5, 32, 42, 43, 44 and 51, one bencoded dictionary a datagram.
 *
 * Proof by parse: the dictionary is read to its end and its fields must be those of KRPC. Even the
 * smallest message, `d1:eli201e0:e1:t0:1:y1:ee`, spells 20 bytes literally.
 *
 * Tolerated, because clients send it and their decoders accept it: keys in any order, further keys
 * (`v`, `ip`, `ro`, `q` in a response), and bytes after the dictionary (a padded or doubled
 * message). Those bytes take nothing from the proof, and to refuse them would let a client hide
 * behind one extra byte.
 */
import { ascii, startsWith } from "../../packet/bytes.ts";
import {
  findKey,
  integerAt,
  skipElement,
  skipString,
  stringLength,
  stringStart,
} from "../bencode.ts";
import { COMPACT_PEER6_LENGTH, COMPACT_PEER_LENGTH } from "../compact_peers.ts";
import { type Kind, type Match, match } from "../match.ts";
import { wordsAt } from "../signatures.ts";
import { WordSet } from "../word_set.ts";

const MIN_LENGTH = 22; // of an error without a text and with an empty transaction id
/** Messages fit a datagram that is not cut into fragments; clients read no longer ones than this. */
const MAX_LENGTH = 8192;
/** The largest messages of any extension have a dozen keys a dictionary. */
const MAX_KEYS = 64;
const FIRST_ERROR = 201;
const LAST_ERROR = 302;
const DICTIONARY = 0x64; // d
const LIST = 0x6c; // l
const END = 0x65; // e
const ZERO = 0x30;
const ONE = 0x31;
const NINE = 0x39;
const COLON = 0x3a;

const KEY_A = 0x61; // query arguments
const KEY_E = 0x65; // error
const KEY_Q = 0x71; // method name
const KEY_R = 0x72; // response values
const KEY_T = 0x74; // transaction id
const KEY_Y = 0x79; // message type

const NODE_ID_LENGTH = 20;
const COMPACT_NODE_LENGTH = 26; // node id 20, IPv4 4, port 2
const COMPACT_NODE6_LENGTH = 38; // BEP 32: node id 20, IPv6 16, port 2
const SAMPLE_LENGTH = 20; // BEP 51

/** Keys of `a` and `r` that are looked at. */
const NAMES = new WordSet(["id", "nodes", "nodes6", "samples", "values"]);
const [ID, NODES, NODES6, SAMPLES, PEERS] = [0, 1, 2, 3, 4];
/** Where their values stand in the dictionary last read, or -1. */
const values = new Int32Array(5);
const VALUES = ascii("values");
const R = ascii("r");

/** Methods with a name of their own in the report; any other is a "query". */
const QUERIES: readonly (readonly [Uint8Array, Match])[] = wordsAt("dht query")
  .map((name) => [ascii(name), match("dht", name as Kind<"dht">, "proof", `${name} query`)]);

const OTHER_QUERY = match("dht", "query", "proof", "query");
const RESPONSE = match("dht", "response", "proof", "response");
const PEERS_RESPONSE = match("dht", "peers-response", "proof", "get_peers response");
const ERROR = match("dht", "error", "proof", "error");

/** A KRPC query, response or error that starts the datagram `[start, end)`. */
export function detectDht(bytes: Uint8Array, start: number, end: number): Match | null {
  const size = end - start;
  if (size < MIN_LENGTH || size > MAX_LENGTH || bytes[start] !== DICTIONARY) return null;
  if (bytes[start + 1] < ZERO || bytes[start + 1] > NINE) return null;
  let a = -1, e = -1, q = -1, r = -1, t = -1, y = -1;
  let at = start + 1;
  for (let keys = 0; at < end && bytes[at] !== END; keys++) {
    const value = keys < MAX_KEYS ? skipString(bytes, at, end) : -1;
    if (value < 0) return null;
    const isOneLetter = bytes[at] === ONE && bytes[at + 1] === COLON;
    at = skipElement(bytes, value, end);
    if (at < 0) return null;
    if (!isOneLetter) continue;
    switch (bytes[value - 1]) {
      case KEY_A:
        a = value;
        break;
      case KEY_E:
        e = value;
        break;
      case KEY_Q:
        q = value;
        break;
      case KEY_R:
        r = value;
        break;
      case KEY_T:
        t = value;
        break;
      case KEY_Y:
        y = value;
        break;
    }
  }
  if (at >= end) return null; // cut before the closing "e"
  if (y < 0 || bytes[y] !== ONE || bytes[y + 1] !== COLON) return null; // a string of one byte
  if (t < 0 || skipString(bytes, t, end) < 0) return null;
  switch (bytes[y + 2]) {
    case KEY_Q:
      return query(bytes, a, q, end);
    case KEY_R:
      return response(bytes, r, end);
    case KEY_E:
      return isError(bytes, e, end) ? ERROR : null;
    default:
      return null;
  }
}

function query(bytes: Uint8Array, a: number, q: number, end: number): Match | null {
  const name = stringStart(bytes, q, end);
  if (name < 0 || !readNames(bytes, a, end)) return null;
  const nameEnd = name + stringLength(bytes, q, end);
  for (let i = 0; i < QUERIES.length; i++) {
    const row = QUERIES[i];
    if (nameEnd - name === row[0].length && startsWith(bytes, name, nameEnd, row[0])) return row[1];
  }
  return OTHER_QUERY;
}

function response(bytes: Uint8Array, r: number, end: number): Match | null {
  if (!readNames(bytes, r, end)) return null;
  if (!isRowOf(bytes, values[NODES], end, COMPACT_NODE_LENGTH)) return null;
  if (!isRowOf(bytes, values[NODES6], end, COMPACT_NODE6_LENGTH)) return null;
  if (!isRowOf(bytes, values[SAMPLES], end, SAMPLE_LENGTH)) return null;
  if (values[PEERS] < 0) return RESPONSE;
  return isPeerList(bytes, values[PEERS], end) ? PEERS_RESPONSE : null;
}

/**
 * Reads the dictionary `a` or `r` at `dictAt` once: where the values of {@link NAMES} stand, the first
 * of each. False without an `id` of 20 bytes.
 */
function readNames(bytes: Uint8Array, dictAt: number, end: number): boolean {
  values.fill(-1);
  if (dictAt < 0 || dictAt >= end || bytes[dictAt] !== DICTIONARY) return false;
  let at = dictAt + 1;
  for (let keys = 0; at < end && bytes[at] !== END; keys++) {
    const value = keys < MAX_KEYS ? skipString(bytes, at, end) : -1;
    if (value < 0) return false;
    if (bytes[at + 1] === COLON) { // all names are shorter than ten
      const name = NAMES.indexOf(bytes, at + 2, value - at - 2);
      if (name >= 0 && values[name] < 0) values[name] = value;
    }
    at = skipElement(bytes, value, end);
    if (at < 0) return false;
  }
  return values[ID] >= 0 && stringLength(bytes, values[ID], end) === NODE_ID_LENGTH;
}

/**
 * BEP 5, errors: a list of a code and a text, which some leave out. Codes are 201…207 and, of BEP 44,
 * 301 and 302: an error holds nothing else of BitTorrent, and others speak KRPC too.
 */
function isError(bytes: Uint8Array, e: number, end: number): boolean {
  if (e < 0 || bytes[e] !== LIST) return false;
  const code = integerAt(bytes, e + 1, end);
  if (!(code >= FIRST_ERROR && code <= LAST_ERROR)) return false; // NaN too
  const text = skipElement(bytes, e + 1, end);
  if (bytes[text] === END) return true;
  const after = skipString(bytes, text, end);
  return after >= 0 && bytes[after] === END;
}

/** Whether the optional string at `at` (-1: absent) is a row of entries of `size` bytes. */
function isRowOf(bytes: Uint8Array, at: number, end: number, size: number): boolean {
  if (at < 0) return true;
  const length = stringLength(bytes, at, end);
  return length >= 0 && length % size === 0;
}

/** `values`: a list of compact peers, 6 bytes each or 18 (BEP 32). */
function isPeerList(bytes: Uint8Array, at: number, end: number): boolean {
  if (bytes[at] !== LIST) return false;
  at++;
  while (at < end && bytes[at] !== END) {
    const length = stringLength(bytes, at, end);
    if (length !== COMPACT_PEER_LENGTH && length !== COMPACT_PEER6_LENGTH) return false;
    at = stringStart(bytes, at, end) + length;
  }
  return at < end;
}

/** Position of the `values` list of a response that {@link detectDht} has matched, or -1. */
export function findDhtValues(bytes: Uint8Array, start: number, end: number): number {
  return findKey(bytes, findKey(bytes, start, end, R), end, VALUES);
}
