/**
 * Positions in the head of an HTTP/1 request or response. Spec: RFC 9112. Shared by the detectors
 * of trackers, web seeds, WebSocket trackers and proxies.
 *
 * A {@link HttpHead} is one long-lived object that is filled again for every call; the detectors that
 * are asked about one opening share it ({@link readHead}).
 */

import { ascii, lesser, startsWith } from "../packet/bytes.ts";
import { PrefixSet } from "./word_set.ts";
import { hexDigit, isDigit, isLetter } from "./characters.ts";

const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const PERCENT = 0x25;
const ASTERISK = 0x2a;

const VERSION = ascii("HTTP/");

/** Longest method looked at; trackers and proxies know GET, HEAD, POST and CONNECT. */
const MAX_METHOD = 7;

/** Bytes of a head that are read: as many as servers take. */
export const MAX_HEAD = 8192;
/** Header lines that are read: more than servers take (Apache's LimitRequestFields is 100). */
const MAX_HEADER_LINES = 128;

/** Empty lines, and blanks, that are passed over. */
const MAX_SKIPPED = 16;

/** What {@link HttpHead.request} and {@link HttpHead.response} answer. */
export const NOT_HTTP = 0;
/** A possible beginning: even the first line is cut. Positions up to `end` are set. */
export const CUT_LINE = 1;
/** The first line is complete, the head goes on past `end`. */
export const CUT_HEAD = 2;
/** The empty line that ends the head was seen. */
export const WHOLE_HEAD = 3;

export type HeadState = typeof NOT_HTTP | typeof CUT_LINE | typeof CUT_HEAD | typeof WHOLE_HEAD;

/** Headers whose values are kept: indices of {@link HttpHead.values}. */
export const CONTENT_LENGTH = 0;
export const CONTENT_TYPE = 1;
export const LOCATION = 2;
export const RANGE = 3;
export const TRANSFER_ENCODING = 4;
export const UPGRADE = 5;
export const USER_AGENT = 6;
export const CONNECTION = 7;
const HEADERS = [
  "content-length:",
  "content-type:",
  "location:",
  "range:",
  "transfer-encoding:",
  "upgrade:",
  "user-agent:",
  "connection:",
];
/**
 * Headers that browsers send with whatever a page makes them fetch, and that no page can take away
 * from all of them; programs that speak to trackers have no use for any.
 */
const BROWSER_HEADERS = [
  "accept-language:",
  "sec-fetch-mode:",
  "cookie:",
  "dnt:",
  "origin:",
  "referer:",
  "sec-ch-",
  "sec-fetch-dest:",
  "sec-fetch-site:",
  "sec-fetch-storage-access:",
  "sec-fetch-user:",
  "sec-gpc:",
  "upgrade-insecure-requests:",
];
/** Headers of programs that ask for somebody else: load balancers and proxies (RFC 9110, 7.6.3; RFC 7239). */
const FORWARDED_HEADERS = [
  "forwarded:",
  "via:",
  "cf-connecting-ip:",
  "true-client-ip:",
  "x-forwarded-",
  "x-real-ip:",
];
/** Those that programs of Node and Deno send too, by `fetch`: any language, and a mode without a site. */
const ACCEPT_LANGUAGE = HEADERS.length;
const SEC_FETCH_MODE = HEADERS.length + 1;
const FIRST_FORWARDED = HEADERS.length + BROWSER_HEADERS.length;
const HEADER_NAMES = new PrefixSet([...HEADERS, ...BROWSER_HEADERS, ...FORWARDED_HEADERS]);
const BROWSER_AGENT = new PrefixSet(["mozilla/"]);

/**
 * Positions in one head; -1 where there is no such part (yet).
 *
 * @internal
 */
export class HttpHead {
  /** What {@link read} answered. */
  state: HeadState = NOT_HTTP;
  /** Whether {@link read} found a response. */
  isResponse = false;
  /** End of the method, which stands at the start of the stream or behind empty lines. */
  methodEnd = -1;
  targetStart = -1;
  targetEnd = -1;
  pathEnd = -1;
  /** First byte of the last segment of the path. */
  lastSegment = -1;
  /** After the question mark; -1 without a query. The query ends at `targetEnd`. */
  queryStart = -1;
  /** Three-digit status of a response. */
  status = -1;
  /** First header line. */
  headersStart = -1;
  /** First byte of the value by header ({@link USER_AGENT}, …), of those whose line is complete. */
  readonly values: Int32Array = new Int32Array(HEADERS.length);
  /** First byte after the head's empty line. */
  bodyStart = -1;
  /** Whether a header stands in it that browsers send, and no program by Node's or Deno's `fetch`. */
  hasBrowserHeader = false;
  /** Whether one does that such programs send too; a page may have its visitor's browser say as much. */
  hasFetchHeader = false;
  /** Whether one says that the sender asks for somebody else, whose name and words the others are. */
  isForwarded = false;

  /**
   * Whether a web page can have had this request sent by its visitor, who does not know of it: the
   * headers are a browser's, or not all there to be seen.
   */
  get mayBeBrowsers(): boolean {
    return this.hasBrowserHeader || this.hasFetchHeader || this.state !== WHOLE_HEAD;
  }

  /** Reads the head of a response or, where it is none, of a request. */
  read(bytes: Uint8Array, start: number, end: number): HeadState {
    end = lesser(end, start + MAX_HEAD);
    this.state = bytes[start] === RESPONSE_START[0] ? this.response(bytes, start, end) : NOT_HTTP;
    this.isResponse = this.state !== NOT_HTTP;
    if (!this.isResponse) this.state = this.request(bytes, start, end);
    return this.state;
  }

  /** Reads a request line and looks for the end of the head. */
  request(bytes: Uint8Array, start: number, end: number): HeadState {
    const state = this.requestLine(bytes, start, end);
    return state === CUT_HEAD ? this.readHeaders(bytes, end) : state;
  }

  /** Reads a request line alone; `CUT_HEAD` when it is complete. */
  requestLine(bytes: Uint8Array, start: number, end: number): HeadState {
    this.#clear();
    // Servers ignore empty lines before a request (RFC 9112, 2.2) and most take more than one space
    // behind the method: programs that hide requests send them so.
    if (start >= end) return NOT_HTTP;
    end = lesser(end, start + MAX_HEAD);
    let at = skipLineEnds(bytes, start, end);
    if (at === end && at - start < MAX_SKIPPED) return CUT_LINE;
    start = at;
    while (at < end && isLetter(bytes[at])) {
      if (at - start === MAX_METHOD) return NOT_HTTP;
      at++;
    }
    if (at === start) return NOT_HTTP;
    if (at === end) return CUT_LINE;
    if (!isBlank(bytes[at]) || at - start < 3) return NOT_HTTP;
    this.methodEnd = at;
    at++;
    while (at < end && at - this.methodEnd < MAX_SKIPPED && isBlank(bytes[at])) at++;
    if (at === end) return CUT_LINE;
    // origin form, absolute form or authority form; the last begins with a host or [address].
    const first = bytes[at];
    if (first !== SLASH && first !== 0x5b && !isLetter(first) && !isDigit(first)) return NOT_HTTP;
    this.targetStart = at;
    this.lastSegment = at;
    for (; at < end; at++) {
      const byte = bytes[at];
      if (byte <= SPACE) {
        if (isTargetEnd(byte)) break;
        return NOT_HTTP;
      }
      if (byte === SLASH) this.lastSegment = at + 1;
      else if (byte === QUESTION) {
        this.pathEnd = at;
        this.queryStart = ++at;
        while (at < end && (bytes[at] > SPACE || !isTargetEnd(bytes[at]))) at++;
        break;
      }
    }
    this.targetEnd = at;
    if (this.pathEnd < 0) this.pathEnd = at;
    if (at === end) return CUT_LINE;
    this.headersStart = lineEnd(bytes, at, end);
    if (this.headersStart < 0) return CUT_LINE;
    // A line of another protocol ends here: without a version only a query makes it a request.
    return this.queryStart >= 0 || hasVersion(bytes, at, this.headersStart) ? CUT_HEAD : NOT_HTTP;
  }

  /** Reads a status line and looks for the end of the head. */
  response(bytes: Uint8Array, start: number, end: number): HeadState {
    this.#clear();
    for (let i = 0; i < RESPONSE_START.length; i++) {
      if (start + i >= end) return i === 0 ? NOT_HTTP : CUT_LINE;
      if (bytes[start + i] !== RESPONSE_START[i]) return NOT_HTTP;
    }
    // HTTP/1.x, space, three digits
    const at = start + RESPONSE_START.length;
    if (end - at < 5) return CUT_LINE;
    if (!isDigit(bytes[at]) || bytes[at + 1] !== SPACE) return NOT_HTTP;
    let status = 0;
    for (let i = 2; i < 5; i++) {
      if (!isDigit(bytes[at + i])) return NOT_HTTP;
      status = status * 10 + bytes[at + i] - 0x30;
    }
    this.status = status;
    this.headersStart = lineEnd(bytes, at, end);
    return this.headersStart < 0 ? CUT_LINE : this.readHeaders(bytes, end);
  }

  /** Behind a complete line: notes the headers somebody asks for, and finds the end of the head. */
  readHeaders(bytes: Uint8Array, end: number): HeadState {
    let at = this.headersStart;
    for (let lines = 0; at < end && lines <= MAX_HEADER_LINES; lines++) {
      if (bytes[at] === LF) {
        this.bodyStart = at + 1;
        return WHOLE_HEAD;
      }
      if (bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF) {
        this.bodyStart = at + 2;
        return WHOLE_HEAD;
      }
      const next = lineEnd(bytes, at, end);
      if (next < 0) return CUT_HEAD;
      const header = HEADER_NAMES.indexOf(bytes, at, next);
      if (header >= FIRST_FORWARDED) this.isForwarded = true;
      else if (header >= HEADERS.length) this.#noteBrowser(header, bytes, at, next);
      else if (header >= 0 && this.values[header] < 0) {
        const value = valueStart(bytes, at + HEADERS[header].length, next);
        this.values[header] = value;
        if (header === USER_AGENT && BROWSER_AGENT.indexOf(bytes, value, next) >= 0) {
          this.hasBrowserHeader = true;
        }
      }
      at = next;
    }
    return CUT_HEAD;
  }

  #noteBrowser(header: number, bytes: Uint8Array, at: number, end: number): void {
    if (header === SEC_FETCH_MODE) this.hasFetchHeader = true;
    else if (header === ACCEPT_LANGUAGE && isAny(bytes, at + "accept-language:".length, end)) {
      this.hasFetchHeader = true;
    } else this.hasBrowserHeader = true;
  }

  #clear(): void {
    this.methodEnd = -1;
    this.targetStart = -1;
    this.targetEnd = -1;
    this.pathEnd = -1;
    this.lastSegment = -1;
    this.queryStart = -1;
    this.status = -1;
    this.headersStart = -1;
    for (let header = 0; header < HEADERS.length; header++) this.values[header] = -1;
    this.bodyStart = -1;
    this.hasBrowserHeader = false;
    this.hasFetchHeader = false;
    this.isForwarded = false;
  }
}

const shared = new HttpHead();

/**
 * The head at the beginning of a stream, of either side. One object for all callers: it is valid
 * until the next call. A detector that is given none reads its own.
 */
export function readHead(bytes: Uint8Array, start: number, end: number): HttpHead {
  shared.read(bytes, start, end);
  return shared;
}

const RESPONSE_START = Uint8Array.from("HTTP/1.", (char) => char.charCodeAt(0));

/** Whether `HTTP/` stands in the rest of a request line. */
function hasVersion(bytes: Uint8Array, at: number, end: number): boolean {
  for (; at + VERSION.length <= end; at++) if (startsWith(bytes, at, end, VERSION)) return true;
  return false;
}

/** First byte after the line feed that ends the line at `at`, or -1 when `end` cuts the line. */
export function lineEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) if (bytes[at++] === LF) return at;
  return -1;
}

/** First byte that is no line end, of those that may stand before a request. */
export function skipLineEnds(bytes: Uint8Array, at: number, end: number): number {
  const stop = lesser(end, at + MAX_SKIPPED);
  while (at < stop && (bytes[at] === CR || bytes[at] === LF)) at++;
  return at;
}

function isTargetEnd(byte: number): boolean {
  return byte === SPACE || byte === CR || byte === LF;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function valueStart(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at;
}

/** Whether the value at `at` is `*`, with the line's end behind it. */
function isAny(bytes: Uint8Array, at: number, end: number): boolean {
  const value = valueStart(bytes, at, end);
  return value < end && bytes[value] === ASTERISK && valueEnd(bytes, value, end) === value + 1;
}

/** First byte after the header value at `at`: the line's CR or LF, or `end`. */
export function valueEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== CR && bytes[at] !== LF) at++;
  return at;
}

/** The decimal number at `at` (at most 9 digits), or -1 when there is none. */
export function decimalAt(bytes: Uint8Array, at: number, end: number): number {
  let value = -1;
  for (let digits = 0; at < end && isDigit(bytes[at]) && digits < 9; at++, digits++) {
    value = (value < 0 ? 0 : value * 10) + bytes[at] - 0x30;
  }
  return value;
}

/**
 * The header value at `at` as a decimal number, or -1 where it is none, or one of more than 9 digits: a
 * part of it would be another number, and what stands there in a body be taken for a message.
 */
export function wholeDecimalAt(bytes: Uint8Array, at: number, end: number): number {
  let stop = at;
  while (stop < end && isDigit(bytes[stop])) stop++;
  if (stop - at > 9 || (stop < end && !isBlank(bytes[stop]) && !isTargetEnd(bytes[stop]))) {
    return -1;
  }
  return decimalAt(bytes, at, stop);
}

/** Bytes that `[at, end)` stands for after percent-decoding (RFC 3986, 2.1); -1 if malformed. */
export function percentDecodedLength(bytes: Uint8Array, at: number, end: number): number {
  let length = 0;
  while (at < end) {
    if (bytes[at] === PERCENT) {
      if (end - at < 3 || hexDigit(bytes[at + 1]) < 0 || hexDigit(bytes[at + 2]) < 0) return -1;
      at += 3;
    } else at++;
    length++;
  }
  return length;
}

/** Percent-decodes `[at, end)` into `into`; false when it does not fill it exactly. */
export function percentDecode(
  bytes: Uint8Array,
  at: number,
  end: number,
  into: Uint8Array,
): boolean {
  let length = 0;
  while (at < end && length < into.length) {
    let byte = bytes[at++];
    if (byte === PERCENT && end - at >= 2) {
      byte = hexDigit(bytes[at]) * 16 + hexDigit(bytes[at + 1]);
      at += 2;
    }
    into[length++] = byte;
  }
  return length === into.length && at >= end;
}
