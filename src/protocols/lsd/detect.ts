/**
 * Local service discovery. Spec: BEP 14, an HTTP-like message to 239.192.152.143 or
 * [ff15::efc0:988f], port 6771 (clients also answer by unicast). The port and the groups prove
 * nothing, so this looks at the text alone.
 */
import { ascii, startsWith } from "../../packet/bytes.ts";
import { type Match, match } from "../match.ts";

const REQUEST_LINE = ascii("BT-SEARCH * HTTP/1.1");
const FIRST = REQUEST_LINE[0];
const INFO_HASH_HEADER = ascii("infohash:");
const INFO_HASH_DIGITS = 40;
const MIN_LENGTH = REQUEST_LINE.length + 2 + INFO_HASH_HEADER.length + INFO_HASH_DIGITS;
/** BEP 14: a message stays below 1400 bytes; a longer one is not read further. */
const MAX_LENGTH = 2048;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

const ANNOUNCE = match("lsd", "announce", "proof", "local announce");

/** A BT-SEARCH message with at least one info-hash. */
export function detectLsd(bytes: Uint8Array, start: number, end: number): Match | null {
  if (end - start < MIN_LENGTH || bytes[start] !== FIRST) return null;
  if (!startsWith(bytes, start, end, REQUEST_LINE)) return null;
  const limit = Math.min(end, start + MAX_LENGTH);
  let at = start + REQUEST_LINE.length;
  if (bytes[at] === CR) at++;
  if (at >= limit || bytes[at] !== LF) return null;
  at++;
  while (at < limit && bytes[at] !== CR && bytes[at] !== LF) { // an empty line ends the headers
    if (isInfoHash(bytes, at, limit)) return ANNOUNCE;
    while (at < limit && bytes[at] !== LF) at++;
    at++;
  }
  return null;
}

/** `Infohash: <40 hex digits>` at `at`, the name in any case, alone on its line. */
function isInfoHash(bytes: Uint8Array, at: number, end: number): boolean {
  const name = INFO_HASH_HEADER.length;
  if (end - at < name + INFO_HASH_DIGITS) return false;
  for (let i = 0; i < name; i++) {
    const byte = bytes[at + i];
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== INFO_HASH_HEADER[i]) return false;
  }
  at += name;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  if (end - at < INFO_HASH_DIGITS) return false;
  const digits = at + INFO_HASH_DIGITS;
  for (; at < digits; at++) if (!isHexDigit(bytes[at])) return false;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at >= end || bytes[at] === CR || bytes[at] === LF;
}

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
}
