/**
 * Names of BitTorrent clients, for people who read logs. Runs once a detection, after the packet
 * was judged, so it may create strings. Everything that came from the wire is made printable.
 */

import {
  AZUREUS_STYLE,
  type ClientRow,
  MAINLINE_STYLE,
  OTHER_STYLES,
  SHADOW_STYLE,
  type Version,
} from "./client_table.ts";

/** Peer IDs are 20 bytes (BEP 3). */
export const PEER_ID_LENGTH = 20;
/** Longest name taken from the wire. */
export const MAX_NAME = 64;

/** Shadow's base 64, which also orders Azureus-style digits (base 62). */
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-";

const AZUREUS = new Map(AZUREUS_STYLE.map((row) => [row.prefix, row]));
/** The client's name by the two letters that it has in Azureus-style peer IDs and in the DHT, or null. */
export function clientByCode(code: string): string | null {
  return AZUREUS.get(code)?.name ?? null;
}

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

/** One byte per character. */
export function latin1(bytes: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let i = at; i < Math.min(at + length, bytes.length); i++) {
    text += String.fromCharCode(bytes[i]);
  }
  return text;
}

const UTF8 = new TextDecoder();

/** Text for a log line: UTF-8 or Latin-1, no control characters, no line breaks. */
export function logText(bytes: Uint8Array, at: number, end: number): string {
  let text = UTF8.decode(bytes.subarray(at, end));
  if (text.includes("\ufffd")) text = latin1(bytes, at, end - at);
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, "").trim();
}
