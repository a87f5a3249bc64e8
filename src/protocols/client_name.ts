/**
 * Names of BitTorrent clients, for people who read logs. Runs once a detection, after the packet
 * was judged, so it may create strings. Everything that came from the wire is made printable.
 */

import { ascii, startsWith } from "../packet/bytes.ts";
import { findKey, stringLength, stringStart } from "./bencode.ts";
import {
  AZUREUS_STYLE,
  type ClientRow,
  MAINLINE_STYLE,
  OTHER_STYLES,
  SHADOW_STYLE,
  type Version,
} from "./client_table.ts";
import {
  hexDigit,
  HttpHead,
  NOT_HTTP,
  queryKeyEnd,
  queryValueEnd,
  USER_AGENT,
  valueEnd,
} from "./http.ts";
import type { Match } from "./match.ts";
import { HANDSHAKE_LENGTH, PEER_ID } from "./peer_wire/detect.ts";
import { EXTENDED } from "./peer_wire/message.ts";
import { HANDSHAKE } from "./signatures.ts";
import { WordSet } from "./word_set.ts";

/** Peer IDs are 20 bytes (BEP 3). */
export const PEER_ID_LENGTH = 20;
/** Longest name taken from the wire. */
const MAX_NAME = 64;

/** Shadow's base 64, which also orders Azureus-style digits (base 62). */
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-";

const AZUREUS = new Map(AZUREUS_STYLE.map((row) => [row.prefix, row]));
const BITLORD = "LORD";

/**
 * The client that made the peer ID at `at` ("qBittorrent 4.5.2"), or null when it names none. All
 * 20 bytes must be inside the payload.
 */
export function clientFromPeerId(bytes: Uint8Array, at: number): string | null {
  const id = latin1(bytes, at, PEER_ID_LENGTH);
  for (const row of OTHER_STYLES) {
    if (id.startsWith(row.prefix)) return withVersion(row, id, row.prefix.length);
  }
  if (id[0] === "-") {
    const row = AZUREUS.get(id.slice(1, 3));
    return row === undefined || !/^[0-9A-Za-z.\-]{2}/.test(id.slice(3, 5))
      ? null
      : withVersion(row, id, 3);
  }
  if (/^[MQ]\d{1,2}-\d{1,2}-\d{1,2}-/.test(id)) {
    const row = MAINLINE_STYLE.find((one) => one.prefix === id[0]);
    if (row !== undefined) return withVersion(row, id, 1);
  }
  if (/^[A-Z][0-9A-Za-z.]{1,5}-{0,4}---/.test(id) && id.slice(6, 9) === "---") {
    const row = SHADOW_STYLE.find((one) => one.prefix === id[0]);
    if (row !== undefined) return withVersion(row, id, 1);
  }
  // BitSpirit: a NUL or a version byte, anything, then "BS".
  if (id.slice(2, 4) === "BS" && bytes[at + 1] <= 3) return `BitSpirit ${bytes[at + 1] || 1}`;
  return null;
}

function withVersion(row: ClientRow, id: string, at: number): string {
  const isBitLord = row.version === "binary" && id.slice(6, 10) === BITLORD;
  const version = readVersion(row.version, id, at);
  const name = isBitLord ? "BitLord" : row.name;
  return version === "" ? name : `${name} ${version}`;
}

/** The version at `at` of a peer ID, or "" when it cannot be read. */
function readVersion(version: Version, id: string, at: number): string {
  const text = id.slice(at, at + 4);
  switch (version) {
    case "none":
      return "";
    case "abc":
      return digits(text.slice(0, 3)) + (/^...[1-9A-Za-z]/.test(text) ? "." + digit(text[3]) : "");
    case "abc only":
      return digits(text.slice(0, 3));
    case "abcd":
      return digits(text);
    case "ab":
      return digits(text.slice(0, 2));
    case "aa.bb":
      return /^\d{4}$/.test(text) ? `${Number(text.slice(0, 2))}.${text.slice(2)}` : "";
    case "aa.b":
      return /^\d{4}$/.test(text) ? `${Number(text.slice(0, 2))}.${Number(text.slice(2))}` : "";
    case "a.bb.c":
      return /^\d{4}$/.test(text) ? `${text[0]}.${text.slice(1, 3)}.${text[3]}` : "";
    case "transmission":
      return transmissionVersion(text);
    case "utorrent":
      return utorrentVersion(id.slice(at, at + 5));
    case "ktorrent":
      return /^..[DR]/.test(text)
        ? `${digits(text.slice(0, 2))} ${text[2] === "R" ? "RC" : "dev"} ${digit(text[3])}`
        : digits(text.slice(0, 3));
    case "dashes":
      return /^(\d{1,2}(?:-\d{1,2}){2})/.exec(id.slice(at))?.[1].replaceAll("-", ".") ?? "";
    case "text":
      return /^[0-9.]+/.exec(id.slice(at))?.[0] ?? "";
    case "build":
      return /^\d{4}$/.test(text) ? `build ${text}` : "";
    case "shadow": {
      const used = /^[0-9A-Za-z.]+/.exec(id.slice(at, at + 5))?.[0] ?? "";
      return digits(used.replace(/0+$/, "").padEnd(Math.min(3, used.length), "0"));
    }
    case "binary":
      return `${id.charCodeAt(at)}.${String(id.charCodeAt(at + 1)).padStart(2, "0")}`;
  }
}

/** `0006` is 0.6, `0072` is 0.72, `111Z` is 1.11+, `2940` is 2.94, `4050` is 4.0.5. */
function transmissionVersion(text: string): string {
  if (!/^\d{3}/.test(text)) return digits(text.slice(0, 3));
  const last = /\d/.test(text[3]) ? text[3] : "x";
  if (text.startsWith("000")) return `0.${last}`;
  if (text.startsWith("00")) return `0.${text[2]}${last}`;
  const suffix = /[XZ]$/.test(text) ? "+" : text.endsWith("B") ? " beta" : "";
  if (text[0] >= "4") return `${digits(text.slice(0, 3))}${suffix}`;
  return `${text[0]}.${text.slice(1, 3)}${suffix}`;
}

/** Hexadecimal digits, a build letter (B beta); a fifth character makes the third a number of two. */
function utorrentVersion(text: string): string {
  if (!/^[0-9A-Fa-f]{3}/.test(text)) return "";
  const parts = [...text.slice(0, 3)].map((one) => parseInt(one, 16));
  if (/^\d{4}[^-]/.test(text)) parts[2] = Number(text.slice(2, 4));
  const mark = text[4] === "-" ? text[3] : text[4];
  return parts.join(".") + (mark === "B" || mark === "b" ? " beta" : "");
}

/** One digit of base 62 (64), or "x". */
function digit(char: string): string {
  const value = DIGITS.indexOf(char);
  return value < 0 ? "x" : String(value);
}

function digits(text: string): string {
  return [...text].map(digit).join(".");
}

/**
 * The client named by the key `v` of a DHT message, `length` bytes at `at`: two letters as in an
 * Azureus-style peer ID and a version of two bytes, or null.
 */
export function clientFromDhtVersion(
  bytes: Uint8Array,
  at: number,
  length: number,
): string | null {
  if (length < 2) return null;
  const code = latin1(bytes, at, 2);
  const row = AZUREUS.get(code);
  if (row === undefined) return null;
  if (length < 4) return row.name;
  const high = bytes[at + 2];
  const low = bytes[at + 3];
  switch (code) {
    case "UT": // build number
    case "UM":
    case "UW":
    case "BT":
      return `${row.name} (build ${high * 256 + low})`;
    case "LT": // major, minor; one byte 0x20 once meant 2.0
      return high >= 16 ? `${row.name} ${high >> 4}.${high & 15}` : `${row.name} ${high}.${low}`;
    case "lt": // minor, patch of 0.x
      return `${row.name} 0.${high}.${low >> 4}`;
    case "TR":
      return high === 0 ? row.name : `${row.name} ${high}.${low}`;
    default:
      return row.name;
  }
}

/** The client named by the header `User-Agent` in `[at, end)`: product and version, printable. */
export function clientFromUserAgent(bytes: Uint8Array, at: number, end: number): string | null {
  const text = printable(bytes, at, Math.min(end, at + MAX_NAME));
  const utorrent = /^(?:uTorrent|µTorrent)\/(\d)(\d)(\d)/.exec(text);
  if (utorrent !== null) return `µTorrent ${utorrent[1]}.${utorrent[2]}.${utorrent[3]}`;
  const product = /^([A-Za-zµ][\w .:\-]*?)[/ ]v?(\d[\w.\-]*)/.exec(text);
  if (product !== null) return `${product[1]} ${product[2]}`;
  return /^[A-Za-z]/.test(text) ? text.split(/[/;(]/)[0].trim() || null : null;
}

const KEY_V = ascii("v");
const QUERY_PEER_ID = new WordSet(["peer_id"]);
const JSON_PEER_ID = '"peer_id":"';
const EXTENSION_PAYLOAD = 6; // u32 length, 20, extended id
const ANNOUNCE_PEER_ID = 36; // BEP 15
const ANNOUNCE_LENGTH = 98;
const UTP_HEADER_LENGTH = 20;
const head = new HttpHead();
const decodedId = new Uint8Array(PEER_ID_LENGTH);

/**
 * Names the client behind `match`, found in the payload (or stream prefix) `[start, end)`, where
 * `start` is where the detector began. Null when nothing there says it.
 */
export function describeClient(
  match: Match,
  bytes: Uint8Array,
  start: number,
  end: number,
): string | null {
  switch (match.method) {
    case "peer-wire":
    case "mse":
      return fromHandshake(bytes, start, end);
    case "extension":
    case "mid-stream":
    case "fast":
      return fromExtension(bytes, start, end);
    case "http-tracker":
    case "web-seed":
      return fromRequest(bytes, start, end);
    case "websocket-tracker":
      return fromRequest(bytes, start, end) ?? fromJson(bytes, start, end);
    case "dht":
      return fromDht(bytes, start, end);
    case "udp-tracker":
      return end - start >= ANNOUNCE_LENGTH
        ? clientFromPeerId(bytes, start + ANNOUNCE_PEER_ID)
        : null;
    case "utp":
      return fromHandshake(bytes, start + UTP_HEADER_LENGTH, end);
    default:
      return null;
  }
}

function fromHandshake(bytes: Uint8Array, start: number, end: number): string | null {
  if (!startsWith(bytes, start, end, HANDSHAKE) || end - start < HANDSHAKE_LENGTH) return null;
  return clientFromPeerId(bytes, start + PEER_ID) ??
    fromExtension(bytes, start + HANDSHAKE_LENGTH, end);
}

/** The key `v` of an extension handshake (BEP 10): any text. */
function fromExtension(bytes: Uint8Array, start: number, end: number): string | null {
  const dictAt = start + EXTENSION_PAYLOAD;
  if (dictAt >= end || bytes[start + 4] !== EXTENDED || bytes[start + 5] !== 0) return null;
  const value = findKey(bytes, dictAt, end, KEY_V);
  if (value < 0) return null;
  const text = stringStart(bytes, value, end);
  if (text < 0) return null;
  const length = Math.min(stringLength(bytes, value, end), MAX_NAME);
  return printable(bytes, text, text + length) || null;
}

function fromDht(bytes: Uint8Array, start: number, end: number): string | null {
  const value = findKey(bytes, start, end, KEY_V);
  if (value < 0) return null;
  const text = stringStart(bytes, value, end);
  return text < 0 ? null : clientFromDhtVersion(bytes, text, stringLength(bytes, value, end));
}

/** The query's `peer_id`, or the header `User-Agent`. */
function fromRequest(bytes: Uint8Array, start: number, end: number): string | null {
  if (head.request(bytes, start, end) === NOT_HTTP) return null;
  let at = head.queryStart;
  while (at >= 0 && at < head.targetEnd) {
    const keyEnd = queryKeyEnd(bytes, at, head.targetEnd);
    const next = queryValueEnd(bytes, keyEnd, head.targetEnd);
    if (QUERY_PEER_ID.has(bytes, at, keyEnd - at) && percentDecode(bytes, keyEnd + 1, next)) {
      const client = clientFromPeerId(decodedId, 0);
      if (client !== null) return client;
    }
    at = next + 1;
  }
  const agent = head.values[USER_AGENT];
  return agent < 0 ? null : clientFromUserAgent(bytes, agent, valueEnd(bytes, agent, end));
}

/** Decodes into {@link decodedId}; false when it is not 20 bytes. */
function percentDecode(bytes: Uint8Array, at: number, end: number): boolean {
  let length = 0;
  while (at < end && length < PEER_ID_LENGTH) {
    let byte = bytes[at++];
    if (byte === 0x25 && end - at >= 2) {
      byte = hexDigit(bytes[at]) * 16 + hexDigit(bytes[at + 1]);
      at += 2;
    }
    decodedId[length++] = byte;
  }
  return length === PEER_ID_LENGTH && at >= end;
}

/** A message in an unmasked frame: its peer ID is ASCII in every WebTorrent client. */
function fromJson(bytes: Uint8Array, start: number, end: number): string | null {
  const text = latin1(bytes, start, Math.min(end - start, 4096));
  const at = text.indexOf(JSON_PEER_ID);
  if (at < 0 || start + at + JSON_PEER_ID.length + PEER_ID_LENGTH > end) return null;
  return clientFromPeerId(bytes, start + at + JSON_PEER_ID.length);
}

function latin1(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** Text for a log line: UTF-8 or Latin-1, no control characters, no line breaks. */
function printable(bytes: Uint8Array, at: number, end: number): string {
  const part = bytes.subarray(at, end);
  let text = new TextDecoder().decode(part);
  if (text.includes("\ufffd")) text = String.fromCharCode(...part);
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, "").trim();
}
