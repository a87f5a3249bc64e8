/**
 * Proxy negotiations that stand before a tunnelled stream: VLESS, SOCKS4 and 4a, SOCKS5 (RFC 1928) with
 * user and password (RFC 1929), HTTP CONNECT (RFC 9110, 9.3.6), I2P's SAM;
 * and what load balancers say first (PROXY protocol).
 */

import { ascii, i32be, u16be } from "../../packet/bytes.ts";
import { isDigit, isLetter } from "../characters.ts";
import {
  CONTENT_LENGTH,
  CONTENT_TYPE,
  decimalAt,
  HttpHead,
  TRANSFER_ENCODING,
  WHOLE_HEAD,
} from "../http.ts";
import { match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { PrefixSet } from "../word_set.ts";
import { isProxyHeader, proxyHeader } from "./proxy_protocol.ts";
import { CUT, NONE } from "./reading.ts";
import { isSam, samReply, samRequest } from "./sam.ts";

/** {@link negotiationLength}: the stream does not begin with a negotiation known here. */
const NO_NEGOTIATION = 0;
/** {@link negotiationLength}: a negotiation that is not complete yet. */
const NEGOTIATING = -1;

const SOCKS5_REQUEST = match("socks", "socks5-request", "proof", "SOCKS5 request");
const SOCKS5_REPLY = match("socks", "socks5-reply", "strong", "SOCKS5 reply");
const SOCKS4_REQUEST = match("socks", "socks4-request", "strong", "SOCKS4 request");
const SOCKS4A_REQUEST = match("socks", "socks4a-request", "proof", "SOCKS4a request");

export const VERSION4 = 4;
export const VERSION5 = 5;
const AUTHENTICATION_VERSION = 1; // RFC 1929
const COMMAND_CONNECT = 1;
const COMMAND_BIND = 2;
const COMMAND_ASSOCIATE = 3;
export const ADDRESS_IPV4 = 1;
export const ADDRESS_NAME = 3;
export const ADDRESS_IPV6 = 4;
const METHOD_PASSWORD = 2;
const LAST_REPLY = 8; // RFC 1928, section 6
const GRANTED = 0x5a; // SOCKS4
const LAST_REPLY4 = 0x5d;
const REPLY4_LENGTH = 8;
/** User ids and names longer than this are no negotiation. */
const MAX_TEXT = 255;
/** VLESS (Xray): version 0, then the id; its addresses are numbered otherwise than SOCKS's. */
export const VLESS_VERSION = 0;
const VLESS_ADDITIONS = 17;
const VLESS_MOST_ADDITIONS = 64;
const VLESS_UDP = 2;
const VLESS_SHORTEST = 26;
/** CONNECT requests on one connection: each refused for want of credentials but the last. */
const MAX_ATTEMPTS = 4;

const CONNECT = new PrefixSet(["CONNECT "]);
const DICTIONARY = 0x64;
const COLON = 0x3a;
const STATUS_AUTHENTICATE = 407;

const head = new HttpHead();

/**
 * Bytes of a proxy negotiation at the beginning of a stream, after which the tunnelled stream
 * begins; {@link NO_NEGOTIATION} or {@link NEGOTIATING}. `fromClient`: the bytes are those of the
 * side that opened the connection. The server's side is only telling next to the client's.
 */
export function negotiationLength(
  bytes: Uint8Array,
  start: number,
  end: number,
  fromClient: boolean,
): number {
  if (start >= end) return NEGOTIATING;
  const first = bytes[start];
  const after = fromClient
    ? first === VERSION5
      ? socks5Request(bytes, start, end)
      : first === VERSION4
      ? socks4Request(bytes, start, end)
      : first === VLESS_VERSION
      ? vlessRequest(bytes, start, end)
      : isProxyHeader(first)
      ? proxyHeader(bytes, start, end)
      : isSam(bytes, start, end)
      ? samRequest(bytes, start, end)
      : isLetter(first)
      ? connectRequest(bytes, start, end)
      : NONE
    : first === VERSION5
    ? socks5Reply(bytes, start, end)
    : first === 0
    ? socks4Reply(bytes, start, end)
    : isSam(bytes, start, end)
    ? samReply(bytes, start, end)
    : isLetter(first)
    ? connectResponse(bytes, start, end)
    : NONE;
  return after > 0 ? after - start : after === CUT ? NEGOTIATING : NO_NEGOTIATION;
}

/** Looks for SOCKS at the beginning of a stream of either side, for BLOCK_SOCKS. */
export function detectSocks(bytes: Uint8Array, start: number, end: number): StreamAnswer {
  if (start >= end) return null;
  const first = bytes[start];
  if (first === VERSION5) {
    const after = socks5Request(bytes, start, end);
    if (after > 0) return SOCKS5_REQUEST;
    const reply = socks5Reply(bytes, start, end);
    // 05 00 05 00 00 …: six fixed bytes and an address of the length they say.
    if (reply > 0) return SOCKS5_REPLY;
    return after === CUT || reply === CUT ? NEED_MORE : null;
  }
  if (first === VERSION4) {
    const after = socks4Request(bytes, start, end);
    if (after === CUT) return NEED_MORE;
    if (after < 0) return null;
    if (isSocks4a(bytes, start)) return SOCKS4A_REQUEST;
    // The client waits for the answer: nothing may follow. A user id or none makes no difference.
    return after === end && isUnicast(bytes[start + 4]) ? SOCKS4_REQUEST : null;
  }
  return null;
}

// Each reader below answers with the position after the negotiation, NONE, or CUT.

/** Where the request of a whole SOCKS5 negotiation begins, behind greeting, user and password. */
export function socks5RequestAt(bytes: Uint8Array, start: number): number {
  const at = start + 2 + bytes[start + 1];
  if (bytes[at] !== AUTHENTICATION_VERSION) return at;
  const password = at + 2 + bytes[at + 1];
  return password + 1 + bytes[password];
}

/** Greeting, user and password if the server asked for them, request. */
function socks5Request(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 2) return CUT;
  const methods = bytes[start + 1];
  if (methods === 0) return NONE;
  let at = start + 2 + methods;
  let offersPassword = false;
  for (let i = start + 2; i < at && i < end; i++) {
    if (bytes[i] === METHOD_PASSWORD) offersPassword = true;
    // IANA has assigned 0 to 9, 0x80 and above are private; 0xff is "none acceptable".
    if (bytes[i] === 0xff || (bytes[i] > 9 && bytes[i] < 0x80)) return NONE;
  }
  if (at >= end) return CUT;
  if (bytes[at] === AUTHENTICATION_VERSION && offersPassword) {
    at++;
    for (let field = 0; field < 2; field++) { // user, password: u8 length, text
      if (at >= end) return CUT;
      if (bytes[at] === 0 && field === 0) return NONE;
      at += 1 + bytes[at];
    }
    if (at >= end) return CUT;
  }
  if (bytes[at] !== VERSION5) return NONE;
  if (end - at < 4) return CUT;
  const command = bytes[at + 1];
  if (command < COMMAND_CONNECT || command > COMMAND_ASSOCIATE || bytes[at + 2] !== 0) return NONE;
  const after = socks5AddressEnd(bytes, at + 3, end);
  // A port of 0 is only meant by UDP ASSOCIATE (and by BIND).
  if (after > 0 && command === COMMAND_CONNECT && u16be(bytes, after - 2) === 0) return NONE;
  return after;
}

/** Method chosen, answer to user and password if they were asked for, reply. */
function socks5Reply(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 2) return CUT;
  const method = bytes[start + 1];
  let at = start + 2;
  if (method === METHOD_PASSWORD) {
    if (end - at < 2) return CUT;
    if (bytes[at] !== AUTHENTICATION_VERSION || bytes[at + 1] !== 0) return NONE;
    at += 2;
  } else if (method !== 0) return NONE;
  if (at >= end) return CUT;
  if (bytes[at] !== VERSION5) return NONE;
  if (end - at < 4) return CUT;
  if (bytes[at + 1] > LAST_REPLY || bytes[at + 2] !== 0) return NONE;
  return socks5AddressEnd(bytes, at + 3, end);
}

/** Address type, address, port; the position after them. */
function socks5AddressEnd(bytes: Uint8Array, at: number, end: number): number {
  let after: number;
  switch (bytes[at]) {
    case ADDRESS_IPV4:
      after = at + 1 + 4 + 2;
      break;
    case ADDRESS_IPV6:
      after = at + 1 + 16 + 2;
      break;
    case ADDRESS_NAME: {
      if (at + 1 >= end) return CUT;
      const length = bytes[at + 1];
      if (length === 0) return NONE;
      const nameEnd = Math.min(at + 2 + length, end);
      for (let i = at + 2; i < nameEnd; i++) if (!isPrintable(bytes[i])) return NONE;
      after = at + 2 + length + 2;
      break;
    }
    default:
      return NONE;
  }
  return after <= end ? after : CUT;
}

/** `04`, command, port, address, user id and NUL; 4a: address 0.0.0.x, then a name and NUL. */
function socks4Request(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 2) return CUT;
  const command = bytes[start + 1];
  if (command !== COMMAND_CONNECT && command !== COMMAND_BIND) return NONE;
  if (end - start < 8) return CUT;
  if (u16be(bytes, start + 2) === 0 || i32be(bytes, start + 4) === 0) return NONE;
  const after = textEnd(bytes, start + 8, end);
  if (after < 0 || !isSocks4a(bytes, start)) return after;
  const name = textEnd(bytes, after, end);
  return name === after + 1 ? NONE : name;
}

/** Address 0.0.0.x with x > 0 announces a name (SOCKS 4A). */
export function isSocks4a(bytes: Uint8Array, start: number): boolean {
  return bytes[start + 4] === 0 && bytes[start + 5] === 0 && bytes[start + 6] === 0;
}

/** Position after the NUL of a printable text. */
function textEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let length = 0; length <= MAX_TEXT; length++) {
    if (at >= end) return CUT;
    const byte = bytes[at++];
    if (byte === 0) return at;
    if (!isPrintable(byte)) return NONE;
  }
  return NONE;
}

/** Version 0, a user's id of 16 bytes, additions behind their length, command, port, address (VLESS). */
function vlessRequest(bytes: Uint8Array, start: number, end: number): number {
  // Nearly anything begins with a zero: only a whole header is one, none is waited for.
  const at = vlessPort(bytes, start);
  if (end - start < VLESS_SHORTEST || at + 4 > end) return NONE;
  const command = bytes[at - 1];
  if (command < COMMAND_CONNECT || command > VLESS_UDP || u16be(bytes, at) === 0) return NONE;
  if (bytes[start + VLESS_ADDITIONS] > VLESS_MOST_ADDITIONS) return NONE;
  let after: number;
  switch (bytes[at + 2]) {
    case 1:
      after = at + 3 + 4;
      break;
    case 2:
      after = at + 4 + bytes[at + 3];
      for (let i = at + 4; i < Math.min(after, end); i++) if (!isPrintable(bytes[i])) return NONE;
      break;
    case 3:
      after = at + 3 + 16;
      break;
    default:
      return NONE;
  }
  return after <= end ? after : NONE;
}

/** Where a VLESS header has the port. */
export function vlessPort(bytes: Uint8Array, start: number): number {
  return start + VLESS_ADDITIONS + 1 + bytes[start + VLESS_ADDITIONS] + 1;
}

function socks4Reply(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 2) return CUT;
  const code = bytes[start + 1];
  if (code < GRANTED || code > LAST_REPLY4) return NONE;
  return end - start < REPLY4_LENGTH ? CUT : start + REPLY4_LENGTH;
}

/** `CONNECT host:port HTTP/1.x` and its headers, again after each 407. */
function connectRequest(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const state = connectHead(bytes, at, end);
    if (state !== WHOLE_HEAD) return attempt === 0 || state === CUT ? state : at;
    at = head.bodyStart;
  }
  return NONE;
}

/** WHOLE_HEAD, NONE or CUT. */
function connectHead(bytes: Uint8Array, at: number, end: number): number {
  if (CONNECT.indexOf(bytes, at, end) < 0) return isPrefixOfConnect(bytes, at, end) ? CUT : NONE;
  const state = head.request(bytes, at, end);
  if (state === WHOLE_HEAD) return endsWithPort(bytes) ? WHOLE_HEAD : NONE;
  return state === 0 ? NONE : CUT;
}

const CONNECT_WORD = ascii("connect ");

/** Whether all that has come may be the beginning of `CONNECT `, which is understood in any case. */
function isPrefixOfConnect(bytes: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  if (length === 0 || length >= CONNECT_WORD.length) return false;
  for (let i = 0; i < length; i++) if ((bytes[at + i] | 0x20) !== CONNECT_WORD[i]) return false;
  return true;
}

/** Whether the target is in authority form, `host:port`. */
function endsWithPort(bytes: Uint8Array): boolean {
  let at = head.targetEnd - 1;
  const last = at;
  while (at > head.targetStart && isDigit(bytes[at])) at--;
  return at < last && at > head.targetStart && bytes[at] === 0x3a;
}

/** The 2xx without a body that opens the tunnel, after any 407 with its page. */
function connectResponse(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const state = head.response(bytes, at, end);
    if (state === 0) return NONE;
    if (state !== WHOLE_HEAD) return CUT;
    const body = head.bodyStart;
    const length = head.values[CONTENT_LENGTH];
    const bodyLength = length < 0 ? 0 : Math.max(0, decimalAt(bytes, length, body));
    // RFC 9110, 9.3.6: a 2xx answer to CONNECT has neither header (some proxies say length 0).
    const chunked = head.values[TRANSFER_ENCODING] >= 0;
    if (chunked) return NONE;
    if (head.status >= 200 && head.status <= 299) {
      const isTunnel = bodyLength === 0 &&
        head.values[CONTENT_TYPE] < 0;
      if (!isTunnel) return NONE;
      // An answer without a length may also be a page, or a tracker's dictionary, up to the end of
      // the connection: the first bytes behind the head tell.
      if (body >= end) return CUT;
      const isPage = isDictionary(bytes, body, end);
      return isPage === null ? CUT : isPage ? NONE : body;
    }
    if (head.status !== STATUS_AUTHENTICATE) return NONE;
    at = body + bodyLength;
    if (at >= end) return CUT;
  }
  return NONE;
}

/**
 * Whether a bencoded dictionary begins so, by its first key's length (BEP 3); null where that is cut. A key of
 * MSE has the first byte once in 256 times.
 */
function isDictionary(bytes: Uint8Array, start: number, end: number): boolean | null {
  if (bytes[start] !== DICTIONARY) return false;
  if (start + 1 === end) return null;
  if (!isDigit(bytes[start + 1])) return false;
  return start + 2 === end ? null : isDigit(bytes[start + 2]) || bytes[start + 2] === COLON;
}

function isPrintable(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f;
}

/** First byte of an IPv4 address that a server can have. */
function isUnicast(first: number): boolean {
  return first > 0 && first < 224;
}

/** Where the tunnelled stream begins: behind proxy negotiations of either side, else 0. */
export function tunnelStart(bytes: Uint8Array): number {
  const end = bytes.length;
  let at = 0;
  for (;;) {
    const negotiation = Math.max(
      negotiationLength(bytes, at, end, true),
      negotiationLength(bytes, at, end, false),
    );
    if (negotiation <= 0 || at + negotiation >= end) return at;
    at += negotiation;
  }
}
