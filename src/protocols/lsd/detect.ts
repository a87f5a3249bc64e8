/**
 * Local service discovery. Spec: BEP 14, an HTTP-like message to 239.192.152.143 or
 * [ff15::efc0:988f], port 6771 (clients also answer by unicast). The port and the groups prove
 * nothing, so this looks at the text alone.
 */
import { ascii, startsWith } from "../../packet/bytes.ts";
import { hexDigit } from "../characters.ts";
import { INFO_HASH_DIGITS } from "../info_hash.ts";
import { type Match, match } from "../match.ts";

const REQUEST_LINE = ascii("BT-SEARCH * HTTP/1.1");
const FIRST = REQUEST_LINE[0];
const INFO_HASH_HEADER = ascii("infohash:");
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
  return findInfoHash(bytes, start, end) < 0 ? null : ANNOUNCE;
}

/** Where the digits of the first info-hash of a BT-SEARCH message stand, or -1. */
export function findInfoHash(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < MIN_LENGTH || bytes[start] !== FIRST) return -1;
  if (!startsWith(bytes, start, end, REQUEST_LINE)) return -1;
  const limit = Math.min(end, start + MAX_LENGTH);
  let at = start + REQUEST_LINE.length;
  if (bytes[at] === CR) at++;
  if (at >= limit || bytes[at] !== LF) return -1;
  at++;
  while (at < limit && bytes[at] !== CR && bytes[at] !== LF) { // an empty line ends the headers
    const digits = infoHashIn(bytes, at, limit);
    if (digits >= 0) return digits;
    while (at < limit && bytes[at] !== LF) at++;
    at++;
  }
  return -1;
}

/** Where the digits of `Infohash: <40 hex digits>` at `at` stand, alone on its line; or -1. */
function infoHashIn(bytes: Uint8Array, at: number, end: number): number {
  const name = INFO_HASH_HEADER.length;
  if (end - at < name + INFO_HASH_DIGITS) return -1;
  for (let i = 0; i < name; i++) {
    const byte = bytes[at + i];
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== INFO_HASH_HEADER[i]) return -1;
  }
  at += name;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  if (end - at < INFO_HASH_DIGITS) return -1;
  const first = at;
  const rest = at + INFO_HASH_DIGITS;
  for (; at < rest; at++) if (hexDigit(bytes[at]) < 0) return -1;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at >= end || bytes[at] === CR || bytes[at] === LF ? first : -1;
}
