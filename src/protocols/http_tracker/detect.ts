/**
 * HTTP trackers. Spec: BEP 3 "trackers", BEP 7 and 23 (compact peers), BEP 48 (scrape).
 *
 * A request is recognised by its query, a response by a body that parses as a tracker's bencoded
 * dictionary; a compressed body cannot be read and is no match.
 */

import { ascii, lesser } from "../../packet/bytes.ts";
import { integerAt, skipElement, stringLength, stringStart } from "../bencode.ts";
import { hexDigit, isDigit } from "../characters.ts";
import {
  CUT_LINE,
  decimalAt,
  type HttpHead,
  lineEnd,
  NOT_HTTP,
  percentDecodedLength,
  readHead,
  TRANSFER_ENCODING,
  WHOLE_HEAD,
} from "../http.ts";
import { isByClient } from "../by_client.ts";
import { type Match, match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { Query } from "../query.ts";
import { wordsAt } from "../signatures.ts";
import { PrefixSet, WordSet } from "../word_set.ts";

const ANNOUNCE = match("http-tracker", "announce", "proof", "announce request");
const SCRAPE = match("http-tracker", "scrape", "proof", "scrape request");
/** Dropped as well, but others may have had a browser or a server send it. */
const ANNOUNCE_BY_ANYONE = match(
  "http-tracker",
  "announce-by-anyone",
  "proof",
  "announce request, not by its headers a client's",
);
const SCRAPE_BY_ANYONE = match(
  "http-tracker",
  "scrape-by-anyone",
  "proof",
  "scrape request, not by its headers a client's",
);
const ANNOUNCE_RESPONSE = match("http-tracker", "announce-response", "proof", "announce response");
const SCRAPE_RESPONSE = match("http-tracker", "scrape-response", "proof", "scrape response");
/** Other services answer with bencode and these words too, if rarely. */
const FAILURE = match("http-tracker", "failure", "hint", "failure response");

const QUERY_WORDS = wordsAt("query key");
const QUERY_KEYS = new WordSet(QUERY_WORDS);
const INFO_HASH = QUERY_WORDS.indexOf("info_hash");
const PEER_ID = QUERY_WORDS.indexOf("peer_id");
const PORT = QUERY_WORDS.indexOf("port");
const SCRAPE_SEGMENT = new PrefixSet(["scrape"]);
const HASH_LENGTH = 20;
/** Keys of an answer that are read: it has a dozen. */
const MAX_KEYS = 64;
/** Bytes of an answer's body that are read: most peers are in a string, which costs nothing. */
const MAX_BODY = 8192;

const RESPONSE_WORDS = wordsAt("response key");
const RESPONSE_KEYS = new WordSet(RESPONSE_WORDS);
const INTERVAL = RESPONSE_WORDS.indexOf("interval");
const PEERS = RESPONSE_WORDS.indexOf("peers");
const PEERS6 = RESPONSE_WORDS.indexOf("peers6");
const FILES = RESPONSE_WORDS.indexOf("files");
const FAILURE_REASON = RESPONSE_WORDS.indexOf("failure reason");
const RECORD_KEYS = new WordSet(wordsAt("scrape record key"));
const CHUNKED = new PrefixSet(["chunked"]);

const ENDPOINT = 6; // compact IPv4 address and port
const ENDPOINT6 = 18;
const DICTIONARY = 0x64;
const LIST = 0x6c;
const END = 0x65;
const COLON = 0x3a;
const CR = 0x0d;

const query = new Query();

/** A chunked body without its chunk headers; bounded like the stream prefix it comes from. */
const joined = new Uint8Array(4096);

/** Looks for a tracker request or response at the beginning of a stream. */
export function detectHttpTracker(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: HttpHead = readHead(bytes, start, end),
): StreamAnswer {
  if (head.state === NOT_HTTP) return null;
  return head.isResponse ? detectResponse(bytes, end, head) : detectRequest(bytes, end, head);
}

function detectRequest(bytes: Uint8Array, end: number, head: HttpHead): StreamAnswer {
  const cut = head.state === CUT_LINE && (head.targetEnd < 0 || head.targetEnd === end);
  const unfinished = cut ? NEED_MORE : null;
  if (head.queryStart < 0) return unfinished;
  let hasHash = false;
  let hasPeerId = false;
  let hasPort = false;
  for (query.begin(bytes, head); query.next();) {
    const { value, valueEnd } = query;
    // A value that the end of the bytes cuts may go on; only the port's first digits are enough.
    const whole = valueEnd < end;
    switch (QUERY_KEYS.indexOf(bytes, query.key, query.keyLength)) {
      case INFO_HASH:
        if (whole && percentDecodedLength(bytes, value, valueEnd) === HASH_LENGTH) hasHash = true;
        break;
      case PEER_ID:
        if (valueEnd > value) hasPeerId = true;
        break;
      case PORT:
        if (decimalAt(bytes, value, valueEnd) >= 0) hasPort = true;
        break;
    }
    if (hasHash && hasPeerId && hasPort) {
      return isByClient(bytes, head) ? ANNOUNCE : ANNOUNCE_BY_ANYONE;
    }
  }
  if (hasHash && SCRAPE_SEGMENT.indexOf(bytes, head.lastSegment, head.pathEnd) >= 0) {
    return isByClient(bytes, head) ? SCRAPE : SCRAPE_BY_ANYONE;
  }
  return unfinished;
}

function detectResponse(bytes: Uint8Array, end: number, head: HttpHead): StreamAnswer {
  if (head.state !== WHOLE_HEAD) return NEED_MORE;
  const body = head.bodyStart;
  if (body >= end) return NEED_MORE;
  if (bytes[body] === DICTIONARY) {
    const limit = lesser(end, body + MAX_BODY);
    const answer = detectTrackerDictionary(bytes, body, limit);
    return answer === NEED_MORE && limit < end ? null : answer;
  }
  // Chunked (RFC 9112, 7.1): a hexadecimal size, then the dictionary.
  if (hexDigit(bytes[body]) < 0) return null;
  const encoding = head.values[TRANSFER_ENCODING];
  if (encoding < 0 || CHUNKED.indexOf(bytes, encoding, body) < 0) return null;
  const line = lineEnd(bytes, body, end);
  if (line < 0 || line >= end) return NEED_MORE;
  if (bytes[line] !== DICTIONARY) return null;
  return detectTrackerDictionary(joined, 0, joinChunks(bytes, body, end));
}

/** Copies the chunks' data to {@link joined}; answers how many bytes. */
function joinChunks(bytes: Uint8Array, at: number, end: number): number {
  let filled = 0;
  while (at < end && filled < joined.length) {
    let size = 0;
    let digits = 0;
    // With as many zeros before it as the server likes; of a larger one no more is wanted.
    for (; at < end && hexDigit(bytes[at]) >= 0; at++, digits++) {
      size = lesser(size * 16 + hexDigit(bytes[at]), joined.length);
    }
    if (digits === 0 || size === 0) break;
    at = lineEnd(bytes, at, end); // after an extension, if any
    if (at < 0) break;
    const copied = Math.min(size, end - at, joined.length - filled);
    for (let i = 0; i < copied; i++) joined[filled + i] = bytes[at + i];
    filled += copied;
    at += copied;
    if (copied < size || at >= end) break;
    if (bytes[at] === CR) at++;
    at++;
  }
  return filled;
}

/**
 * A tracker's answer: `interval` and peers, or `files`. Nothing says where the body ends that is
 * needed: the keys that count prove it as soon as they are there.
 */
function detectTrackerDictionary(bytes: Uint8Array, dictAt: number, end: number): StreamAnswer {
  if (dictAt + 1 >= end) return NEED_MORE;
  if (!isDigit(bytes[dictAt + 1])) return null;
  let hasInterval = false;
  let hasPeers = false;
  let failed = false;
  let at = dictAt + 1;
  for (let keys = 0; at < end && bytes[at] !== END; keys++) {
    if (keys === MAX_KEYS) return null;
    const key = stringStart(bytes, at, end);
    if (key < 0) return isDigit(bytes[at]) ? NEED_MORE : null;
    const keyLength = stringLength(bytes, at, end);
    const value = key + keyLength;
    if (value >= end) return NEED_MORE;
    switch (RESPONSE_KEYS.indexOf(bytes, key, keyLength)) {
      case INTERVAL:
        hasInterval = integerAt(bytes, value, end) >= 0;
        break;
      case PEERS:
        hasPeers = isPeers(bytes, value, end, ENDPOINT);
        break;
      case PEERS6:
        hasPeers = hasPeers || isPeers(bytes, value, end, ENDPOINT6);
        break;
      case FILES: {
        const answer = detectScrapeFiles(bytes, value, end);
        if (answer !== null) return answer;
        break;
      }
      case FAILURE_REASON:
        failed = stringLength(bytes, value, end) >= 0;
        break;
    }
    if (hasInterval && hasPeers) return ANNOUNCE_RESPONSE;
    at = skipElement(bytes, value, end);
    if (at < 0) return NEED_MORE;
  }
  if (at >= end) return NEED_MORE;
  return failed ? FAILURE : null;
}

/** A compact string or a list of dictionaries; both may be cut. */
function isPeers(bytes: Uint8Array, at: number, end: number, endpoint: number): boolean {
  if (bytes[at] === LIST) {
    return at + 1 < end && (bytes[at + 1] === END || bytes[at + 1] === DICTIONARY);
  }
  const digits = at;
  while (at < end && isDigit(bytes[at])) at++;
  if (at === digits || at >= end || bytes[at] !== COLON) return false;
  const length = decimalAt(bytes, digits, at);
  return length % endpoint === 0;
}

const FILE_KEY_PREFIX = ascii("20:");

/** `files`: info-hashes to dictionaries of counts. One whole entry is enough. */
function detectScrapeFiles(
  bytes: Uint8Array,
  at: number,
  end: number,
): Match | typeof NEED_MORE | null {
  if (bytes[at] !== DICTIONARY) return null;
  at++;
  for (let i = 0; i < FILE_KEY_PREFIX.length; i++, at++) {
    if (at >= end) return NEED_MORE;
    if (bytes[at] !== FILE_KEY_PREFIX[i]) return null;
  }
  at += HASH_LENGTH;
  if (at >= end) return NEED_MORE;
  if (bytes[at] !== DICTIONARY) return null;
  const key = stringStart(bytes, at + 1, end);
  if (key < 0) return NEED_MORE;
  return RECORD_KEYS.has(bytes, key, stringLength(bytes, at + 1, end)) ? SCRAPE_RESPONSE : null;
}
