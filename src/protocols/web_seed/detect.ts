/**
 * Web seeds: pieces fetched by HTTP. Spec: BEP 17 (`info_hash` and `piece` in the query), BEP 19
 * (a plain GET with Range), BitComet (`/data?fid=…&size=…`).
 *
 * A BEP 19 request is marked by nothing but the name of a client that does nothing else, which also
 * fetches news, updates and address databases: only a Range, or a torrent's path, counts.
 */

import { ascii, startsWith } from "../../packet/bytes.ts";
import { hexDigit } from "../characters.ts";
import {
  CUT_HEAD,
  CUT_LINE,
  decimalAt,
  type HttpHead,
  NOT_HTTP,
  percentDecodedLength,
  RANGE,
  readHead,
  USER_AGENT,
} from "../http.ts";
import { isByClient, isHttp10 } from "../by_client.ts";
import { match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { Query } from "../query.ts";
import { wordsAt } from "../signatures.ts";
import { lowerCase, PrefixSet, WordSet } from "../word_set.ts";

const PIECE_BY_HASH = match("web-seed", "piece-by-hash", "strong", "piece by info-hash (BEP 17)");
const PIECE_BY_ANYONE = match(
  "web-seed",
  "piece-by-anyone",
  "strong",
  "piece by info-hash (BEP 17), not by its headers a client's",
);
const RANGE_BY_CLIENT = match(
  "web-seed",
  "range-by-client",
  "strong",
  "range requested by a client (BEP 19)",
);
const TORRENT_BY_CLIENT = match(
  "web-seed",
  "torrent-by-client",
  "strong",
  ".torrent requested by a client",
);
const DATA_BY_BITCOMET = match("web-seed", "bitcomet-data", "strong", "BitComet data request");
const TRACKER_BY_CLIENT = match(
  "http-tracker",
  "path-by-client",
  "strong",
  "tracker path requested by a client",
);

const QUERY_WORDS = wordsAt("query key");
const QUERY_KEYS = new WordSet(QUERY_WORDS);
const INFO_HASH = QUERY_WORDS.indexOf("info_hash");
const PIECE = QUERY_WORDS.indexOf("piece");
const FID = QUERY_WORDS.indexOf("fid");
const SIZE = QUERY_WORDS.indexOf("size");
const HASH_LENGTH = 20;
/** BitComet's file id is a hash in hexadecimal: never as short as a database's number. */
const MIN_FID_LENGTH = 32;

const USER_AGENTS = new PrefixSet(wordsAt("user agent"));
const SEGMENT_WORDS = wordsAt("last path segment");
const SEGMENTS = new WordSet(SEGMENT_WORDS);
const DATA_SEGMENT = SEGMENT_WORDS.indexOf("data");
/** Trackers written in PHP: `announce.php`. */
const SCRIPT_SUFFIX = ascii(".php");
const TORRENT_SUFFIX = ascii(wordsAt("path end")[0]);
const BYTE_RANGE = new PrefixSet(["bytes="]);

/** Looks for a web seed request at the beginning of a stream. */
export function detectWebSeed(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: HttpHead = readHead(bytes, start, end),
): StreamAnswer {
  const state = head.state;
  if (state === NOT_HTTP) return null;
  if (state === CUT_LINE) return NEED_MORE;
  if (head.isResponse) return null;
  const headersEnd = state === CUT_HEAD ? end : head.bodyStart;
  const found = readQuery(bytes, head);
  if (found === BY_HASH) {
    return isByClient(bytes, head) ? PIECE_BY_HASH : PIECE_BY_ANYONE;
  }
  // All of it hangs on the client's name, which a page can choose in some browsers, and which is not the
  // name of who forwards it: nginx speaks HTTP/1.0 to the servers behind it, and says nothing else.
  if (head.hasBrowserHeader || head.isForwarded || isHttp10(bytes, head.headersStart)) return null;
  const agent = head.values[USER_AGENT];
  const byClient = agent >= 0 && USER_AGENTS.indexOf(bytes, agent, headersEnd) >= 0;
  if (agent >= 0 && !byClient) return null;
  if (byClient) {
    const segment = lastSegment(bytes, head);
    if (isTorrentPath(bytes, head)) return TORRENT_BY_CLIENT;
    // It bans by itself, unlike the others, so that not even a page of the server's own may have it said.
    if (segment >= 0 && segment !== DATA_SEGMENT) {
      return head.hasFetchHeader ? null : TRACKER_BY_CLIENT;
    }
    const range = head.values[RANGE];
    if (range >= 0 && BYTE_RANGE.indexOf(bytes, range, headersEnd) >= 0) {
      return found === BY_FID && segment === DATA_SEGMENT ? DATA_BY_BITCOMET : RANGE_BY_CLIENT;
    }
  }
  return state === CUT_HEAD ? NEED_MORE : null;
}

/** Index of the word that is the path's whole last segment, or -1: `/announcements.rss` is none. */
function lastSegment(bytes: Uint8Array, head: HttpHead): number {
  const at = head.lastSegment;
  const suffix = head.pathEnd - SCRIPT_SUFFIX.length;
  const end = suffix > at && startsWith(bytes, suffix, head.pathEnd, SCRIPT_SUFFIX)
    ? suffix
    : head.pathEnd;
  return SEGMENTS.indexOf(bytes, at, end - at);
}

const query = new Query();

const ORDINARY = 0;
const BY_HASH = 1;
const BY_FID = 2;

function readQuery(bytes: Uint8Array, head: HttpHead): number {
  let hash = false;
  let piece = false;
  let fid = false;
  let size = false;
  for (query.begin(bytes, head); query.next();) {
    const { value, valueEnd } = query;
    switch (QUERY_KEYS.indexOf(bytes, query.key, query.keyLength)) {
      case INFO_HASH:
        hash = percentDecodedLength(bytes, value, valueEnd) === HASH_LENGTH;
        break;
      case PIECE:
        piece = decimalAt(bytes, value, valueEnd) >= 0;
        break;
      case FID:
        fid = isHex(bytes, value, valueEnd) && valueEnd - value >= MIN_FID_LENGTH;
        break;
      case SIZE:
        size = decimalAt(bytes, value, valueEnd) >= 0;
        break;
    }
  }
  return hash && piece ? BY_HASH : fid && size ? BY_FID : ORDINARY;
}

function isHex(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end && hexDigit(bytes[at]) >= 0) at++;
  return at === end;
}

function isTorrentPath(bytes: Uint8Array, head: HttpHead): boolean {
  const at = head.pathEnd - TORRENT_SUFFIX.length;
  if (at <= head.targetStart) return false;
  for (let i = 0; i < TORRENT_SUFFIX.length; i++) {
    if (lowerCase(bytes[at + i]) !== TORRENT_SUFFIX[i]) return false;
  }
  return true;
}
