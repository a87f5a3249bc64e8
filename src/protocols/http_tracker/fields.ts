/**
 * Fields of HTTP messages, for the page of an analysis: trackers, web seeds, talk about BitTorrent.
 * Positions are looked for in the text (one character a byte), so that a request whose first line
 * came in an earlier segment is still read as far as it goes.
 */
import { bencodeEntries, type FieldList, latin1 } from "../field_list.ts";
import type { Kind, Match } from "../match.ts";
import { type Place, wordsAt } from "../signatures.ts";
import { tunnelStart } from "../socks/negotiation.ts";

/** What each kind rests on; what else is recognised is named beside it. */
const DECISIVE: Readonly<Record<Kind<"http-tracker" | "web-seed">, readonly string[]>> = {
  announce: ["info_hash", "peer_id", "port"],
  "announce-by-anyone": ["info_hash", "peer_id", "port"],
  scrape: ["last path segment", "info_hash"],
  "scrape-by-anyone": ["last path segment", "info_hash"],
  "announce-response": ["interval", "peers", "peers6"],
  "scrape-response": ["files"],
  failure: ["failure reason"],
  "path-by-client": ["last path segment", "User-Agent"],
  "cut-request": ["info_hash"],
  "piece-by-hash": ["info_hash", "piece"],
  "piece-by-anyone": ["info_hash", "piece"],
  "range-by-client": ["User-Agent", "Range"],
  "torrent-by-client": ["path end", "User-Agent"],
  "bitcomet-data": ["last path segment", "fid", "size", "Range"],
  "torrent-mention": ["path end"],
  "torrent-file-mention": ["Content-Type", "metainfo key"],
  "magnet-mention": ["link"],
};

const REQUEST_LINE = /^([A-Za-z]{3,7}) ([^\s?#]*)(\?[^\s#]*)?/;
const PARAMETER = /(^|[?&])([a-z_]+)=([^&#\s]*)/g;
/** A header that is named, with its value. */
export const HEADER: RegExp =
  /^(user-agent|range|content-type|location|upgrade):[ \t]*([^\r\n]*)/gim;
/** How it is named, by its name in lower case. */
export const HEADER_NAMES: Readonly<Record<string, string>> = {
  "user-agent": "User-Agent",
  range: "Range",
  "content-type": "Content-Type",
  location: "Location",
  upgrade: "Upgrade",
};
const LINK = /magnet(?::|%3a)(?:\?|%3f)xt(?:=|%3d)urn(?::|%3a)bt[im]h(?::|%3a)[\w%:.-]*/i;
/** The empty line behind the headers. */
export const HEAD_END: RegExp = /\r?\n\r?\n/;
/** RFC 9112, section 7.1. */
const CHUNK_SIZE = /^[0-9a-f]{1,6}[^\n]*\n/i;

/** A request's or a response's fields, decisive by the match's kind. */
export function httpFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const decisive = DECISIVE[match.kind as Kind<"http-tracker" | "web-seed">];
  const add = (start: number, end: number, name: string) =>
    decisive.includes(name) ? list.decisive(start, end, name) : list.named(start, end, name);
  const from = tunnelStart(bytes);
  const text = latin1(bytes, from);
  const headEnd = HEAD_END.exec(text);
  const bodyAt = headEnd === null ? text.length : headEnd.index + headEnd[0].length;
  const isResponse = text.startsWith("HTTP/");
  if (!isResponse) addTarget(text.slice(0, bodyAt), from, add);
  for (const { index, 0: line, 1: name } of text.slice(0, bodyAt).matchAll(HEADER)) {
    add(from + index, from + index + line.length, HEADER_NAMES[name.toLowerCase()]);
  }
  const link = LINK.exec(text);
  if (link !== null) add(from + link.index, from + link.index + link[0].length, "link");
  if (isResponse) addBody(bytes, text, from, bodyAt, add);
  else if (text.startsWith("d")) addBody(bytes, text, from, 0, add); // its head came before
}

type Add = (start: number, end: number, name: string) => void;

/** The request line's parts; where it came in an earlier segment, the parameters alone. */
function addTarget(head: string, from: number, add: Add): void {
  const line = REQUEST_LINE.exec(head);
  const query = line === null ? head : line[3] ?? "";
  const queryAt = from + (line === null ? 0 : line[0].length - query.length);
  const keys = wordsAt("query key");
  for (const { index, 0: whole, 1: separator, 2: key } of query.matchAll(PARAMETER)) {
    if (!keys.includes(key)) continue;
    add(queryAt + index + separator.length, queryAt + index + whole.length, key);
  }
  if (line === null) return;
  const path = line[2];
  const pathEnd = from + line[1].length + 1 + path.length;
  const segment = path.slice(path.lastIndexOf("/") + 1);
  if (beginsWithWord(segment, "last path segment")) {
    add(pathEnd - segment.length, pathEnd, "last path segment");
  }
  const suffix = wordsAt("path end").find((word) => path.toLowerCase().endsWith(word));
  if (suffix !== undefined) add(pathEnd - suffix.length, pathEnd, "path end");
}

/** Whether `text` begins with a word of the table at `place`, whatever its case. */
function beginsWithWord(text: string, place: Place): boolean {
  const lower = text.toLowerCase();
  return wordsAt(place).some((word) => lower.startsWith(word.toLowerCase()));
}

/** A bencoded body: a tracker's answer or a metainfo file; in chunks, the first of them. */
function addBody(bytes: Uint8Array, text: string, from: number, bodyAt: number, add: Add): void {
  const chunk = CHUNK_SIZE.exec(text.slice(bodyAt));
  const dictAt = from + bodyAt + (chunk?.[0].length ?? 0);
  const responseKeys = wordsAt("response key");
  const metainfoKeys = wordsAt("metainfo key");
  for (const { start, key, end } of bencodeEntries(bytes, dictAt)) {
    if (responseKeys.includes(key)) add(start, end, key);
    else if (metainfoKeys.includes(key)) add(start, end, "metainfo key");
  }
}
