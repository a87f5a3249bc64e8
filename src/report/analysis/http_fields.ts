/**
 * Fields of HTTP and WebSocket messages: trackers, web seeds, talk about BitTorrent. Positions are
 * looked for in the text (one character a byte), so that a request whose first line came in an
 * earlier segment is still read as far as it goes.
 */
import type { Match } from "../../protocols/match.ts";
import { type Place, wordsAt } from "../../protocols/signatures.ts";
import { bencodeEntries, type FieldList, latin1 } from "../../protocols/field_list.ts";
import { tunnelStart } from "./stream_fields.ts";

/** What each reason rests on; what else is recognised is named beside it. */
const DECISIVE: Readonly<Record<string, readonly string[]>> = {
  "announce request": ["info_hash", "peer_id", "port"],
  "scrape request": ["last path segment", "info_hash"],
  "announce response": ["interval", "peers", "peers6"],
  "scrape response": ["files"],
  "failure response": ["failure reason"],
  "tracker path requested by a client": ["last path segment", "User-Agent"],
  "piece by info-hash (BEP 17)": ["info_hash", "piece"],
  "range requested by a client (BEP 19)": ["User-Agent", "Range"],
  ".torrent requested by a client": ["path end", "User-Agent"],
  "BitComet data request": ["last path segment", "fid", "size", "Range"],
  "mention: .torrent requested": ["path end"],
  "mention: .torrent file": ["Content-Type", "metainfo key"],
  "mention: magnet link": ["link"],
};

/** The reasons that {@link httpFields} knows. */
export const HTTP_REASONS: readonly string[] = Object.keys(DECISIVE);

const REQUEST_LINE = /^([A-Za-z]{3,7}) ([^\s?#]*)(\?[^\s#]*)?/;
const PARAMETER = /(^|[?&])([a-z_]+)=([^&#\s]*)/g;
const HEADER = /^(user-agent|range|content-type|location|upgrade):[ \t]*([^\r\n]*)/gim;
const HEADER_NAMES: Readonly<Record<string, string>> = {
  "user-agent": "User-Agent",
  range: "Range",
  "content-type": "Content-Type",
  location: "Location",
  upgrade: "Upgrade",
};
const LINK = /magnet(?::|%3a)(?:\?|%3f)xt(?:=|%3d)urn(?::|%3a)bt[im]h(?::|%3a)[\w%:.-]*/i;
const HEAD_END = /\r?\n\r?\n/;
/** RFC 9112, section 7.1. */
const CHUNK_SIZE = /^[0-9a-f]{1,6}[^\n]*\n/i;

/** A request's or a response's fields, decisive by the match's reason. */
export function httpFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  const decisive = DECISIVE[match.reason] ?? [];
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

/** RFC 6455, section 5.2: opcodes. */
const TEXT_OR_BINARY = new Set([1, 2]);
const OPCODE = 0x0f;
const MASK = 0x80;
const MAX_FRAMES = 8;
const JSON_FIELD = /"(info_hash|action|peer_id|offers|offer_id)"\s*:\s*(?:"(?:[^"\\]|\\.)*"?|\[)/g;

/** The JSON of the first message; a client's is masked, so its text is told beside the bytes. */
export function websocketFields(list: FieldList, _match: Match, bytes: Uint8Array): void {
  const text = latin1(bytes);
  const headEnd = /^[A-Za-z]/.test(text) ? HEAD_END.exec(text) : null;
  for (const { index, 0: line, 1: name } of text.slice(0, headEnd?.index ?? 0).matchAll(HEADER)) {
    list.named(index, index + line.length, HEADER_NAMES[name.toLowerCase()]);
  }
  const frame = findFrame(bytes, headEnd === null ? 0 : headEnd.index + headEnd[0].length);
  if (frame === null) return addJson(list, text, 0, false); // the frame began in another segment
  const { start, data, key } = frame;
  list.named(start, data, key === null ? "frame header" : "frame header and mask");
  const message = key === null
    ? bytes.subarray(data)
    : bytes.subarray(data).map((byte, i) => byte ^ key[i & 3]);
  addJson(list, latin1(message), data, key !== null);
}

function addJson(list: FieldList, text: string, at: number, isMasked: boolean): void {
  for (const { index, 0: field, 1: name } of text.matchAll(JSON_FIELD)) {
    list.decisive(
      at + index,
      at + index + field.length,
      isMasked ? `${name} (masked)` : name,
      isMasked ? field : null,
    );
  }
}

interface Frame {
  start: number;
  /** First byte of the message, and the four bytes that mask it. */
  data: number;
  key: Uint8Array | null;
}

/** The first text or binary frame, behind pings and the like. */
function findFrame(bytes: Uint8Array, at: number): Frame | null {
  for (let n = 0; n < MAX_FRAMES && at + 2 <= bytes.length; n++) {
    const start = at;
    const isMasked = (bytes[at + 1] & MASK) !== 0;
    const short = bytes[at + 1] & ~MASK;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    at += 2;
    let length = lengthBytes === 0 ? short : 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + bytes[at + i];
    const maskAt = at + lengthBytes;
    at = maskAt + (isMasked ? 4 : 0);
    if (!(at <= bytes.length)) return null;
    if (TEXT_OR_BINARY.has(bytes[start] & OPCODE)) {
      return { start, data: at, key: isMasked ? bytes.subarray(maskAt, at) : null };
    }
    at += length;
  }
  return null;
}
