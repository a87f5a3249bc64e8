/**
 * Talk about BitTorrent in plaintext HTTP: magnet links and `.torrent` files. Only for operators
 * who ask for it (BLOCK_MENTIONS): none of this is BitTorrent traffic.
 */

import { ascii } from "../../packet/bytes.ts";
import { skipElement, stringLength, stringStart } from "../bencode.ts";
import { hexDigit, isDigit } from "../characters.ts";
import {
  CONTENT_TYPE,
  CUT_HEAD,
  CUT_LINE,
  type HttpHead,
  LOCATION,
  NOT_HTTP,
  readHead,
} from "../http.ts";
import { match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { Query } from "../query.ts";
import { wordsAt } from "../signatures.ts";
import { lowerCase, PrefixSet, WordSet } from "../word_set.ts";

const TORRENT_REQUEST = match(
  "http-tracker",
  "torrent-mention",
  "strong",
  "mention: .torrent requested",
);
const TORRENT_RESPONSE = match(
  "http-tracker",
  "torrent-file-mention",
  "strong",
  "mention: .torrent file",
);
const MAGNET = match("http-tracker", "magnet-mention", "strong", "mention: magnet link");

const TORRENT_SUFFIX = ascii(wordsAt("path end")[0]);
const CONTENT_TYPES = new PrefixSet(wordsAt("content type"));
const LINK_WORDS = wordsAt("link");
const LINKS = new PrefixSet(LINK_WORDS);
const LINK_TEXTS = LINK_WORDS.map(ascii);
const LINK_START = LINK_TEXTS[0][0];
const METAINFO_KEYS = new WordSet(wordsAt("metainfo key"));
const TEXT_TYPES = new PrefixSet([
  "text/",
  "application/json",
  "application/xhtml",
  "application/xml",
]);

const DICTIONARY = 0x64;
const END = 0x65;
const PERCENT = 0x25;
/** What stands before a link in a page: a quote, `=`, `>`, white space. */
const BEFORE_LINK = new Uint8Array(256);
for (const char of "\"'=>( \t\r\n") BEFORE_LINK[char.charCodeAt(0)] = 1;

/** Looks for a mention at the beginning of an HTTP stream of either side. */
export function detectMention(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: HttpHead = readHead(bytes, start, end),
): StreamAnswer {
  const state = head.state;
  if (state === NOT_HTTP) return null;
  if (state === CUT_LINE) return NEED_MORE;
  if (!head.isResponse) return detectRequest(bytes, head);
  const headersEnd = state === CUT_HEAD ? end : head.bodyStart;
  const type = head.values[CONTENT_TYPE];
  if (type >= 0 && CONTENT_TYPES.indexOf(bytes, type, headersEnd) >= 0) return TORRENT_RESPONSE;
  const location = head.values[LOCATION];
  if (location >= 0 && LINKS.indexOf(bytes, location, headersEnd) >= 0) return MAGNET;
  if (state === CUT_HEAD || head.bodyStart >= end) return NEED_MORE;
  if (bytes[head.bodyStart] === DICTIONARY && isMetainfo(bytes, head.bodyStart, end)) {
    return TORRENT_RESPONSE;
  }
  if (type < 0 || TEXT_TYPES.indexOf(bytes, type, headersEnd) < 0) return null;
  return hasLink(bytes, head.bodyStart, end) ? MAGNET : NEED_MORE;
}

const query = new Query();

function detectRequest(bytes: Uint8Array, head: HttpHead): StreamAnswer {
  const suffix = head.pathEnd - TORRENT_SUFFIX.length;
  if (suffix > head.targetStart) {
    let i = 0;
    while (i < TORRENT_SUFFIX.length && lowerCase(bytes[suffix + i]) === TORRENT_SUFFIX[i]) i++;
    if (i === TORRENT_SUFFIX.length) return TORRENT_REQUEST;
  }
  for (query.begin(bytes, head); query.next();) {
    for (let n = 0; n < LINK_TEXTS.length; n++) {
      if (decodesTo(bytes, query.value, query.valueEnd, LINK_TEXTS[n])) return MAGNET;
    }
  }
  return null;
}

/** Whether `[at, end)`, percent-decoded, begins with `text`. */
function decodesTo(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) {
    if (at >= end) return false;
    let byte = bytes[at++];
    if (byte === PERCENT && end - at >= 2) {
      byte = hexDigit(bytes[at]) * 16 + hexDigit(bytes[at + 1]);
      at += 2;
    }
    if (byte !== text[i]) return false;
  }
  return true;
}

/** A link that begins an attribute's value, an element's text or a word. */
function hasLink(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (lowerCase(bytes[at]) !== LINK_START || BEFORE_LINK[bytes[at - 1]] === 0) continue;
    if (LINKS.indexOf(bytes, at, end) >= 0) return true;
  }
  return false;
}

/** The first two keys (one, where the rest is cut) are those of a metainfo file. */
function isMetainfo(bytes: Uint8Array, dictAt: number, end: number): boolean {
  let at = dictAt + 1;
  let keys = 0;
  while (keys < 2 && at < end && bytes[at] !== END) {
    if (!isDigit(bytes[at])) return false;
    const key = stringStart(bytes, at, end);
    if (key < 0) break;
    const length = stringLength(bytes, at, end);
    if (!METAINFO_KEYS.has(bytes, key, length)) return false;
    keys++;
    at = skipElement(bytes, key + length, end);
    if (at < 0) break;
  }
  return keys > 0;
}
