import { isMatch, NEED_MORE, type StreamAnswer } from "../protocols/match.ts";
import { detectPeerWire } from "../protocols/peer_wire/detect.ts";
import { detectSslTorrent, RECORD_HANDSHAKE } from "../protocols/peer_wire/tls.ts";
import { CUT_LINE, type HttpHead, NOT_HTTP, skipLineEnds } from "../protocols/http.ts";
import { detectHttpTracker } from "../protocols/http_tracker/detect.ts";
import { detectWebSeed } from "../protocols/web_seed/detect.ts";
import { detectWebsocketTracker } from "../protocols/websocket_tracker/detect.ts";
import { detectMention } from "../protocols/mentions/detect.ts";
import { detectSocks } from "../protocols/socks/negotiation.ts";
import { PREFIX_LENGTH } from "./prefix_pool.ts";
import { isLetter } from "../protocols/characters.ts";

const PEER_WIRE_FIRST = 19;
const SOCKS4 = 4;
const SOCKS5 = 5;
const SPACE = 0x20;
const TAB = 0x09;
const TILDE = 0x7e;
const SLASH = 0x2f;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Judges the first bytes of a stream, or of an HTTP message within one. The first byte says which
 * detectors can have an opinion, so most openings cost one comparison.
 *
 * @param head becomes that of the message, for whoever follows it; {@link NOT_HTTP} where it is none
 */
export function judgeOpening(
  bytes: Uint8Array,
  start: number,
  end: number,
  blockSocks: boolean,
  blockMentions: boolean,
  head: HttpHead,
): StreamAnswer {
  head.state = NOT_HTTP;
  head.isResponse = false;
  if (start >= end) return NEED_MORE;
  const first = bytes[start];
  if (first === RECORD_HANDSHAKE) return detectSslTorrent(bytes, start, end);
  if (first === PEER_WIRE_FIRST) return detectPeerWire(bytes, start, end);
  if (isLetter(first) || first === CR || first === LF) {
    return judgeHttp(bytes, start, end, blockMentions, head);
  }
  if (blockSocks && (first === SOCKS4 || first === SOCKS5)) return detectSocks(bytes, start, end);
  return null;
}

/** Bytes of an opening that are read anew with each segment: handshakes and negotiations are shorter. */
const SHORT = 512;
/** Of a longer one a sixteenth must have come. */
const GROWTH = 4;

/**
 * Whether the opening `[start, end)`, of which the bytes up to `before` have been judged already, is
 * worth another judgement. Who sends a head byte by byte must not make us read it all each time: what
 * the head says counts for the receiver when its empty line has come, what follows it when there is
 * more of it. The whole of a prefix is always judged.
 */
export function mayDecide(bytes: Uint8Array, start: number, before: number, end: number): boolean {
  const length = end - start;
  if (length <= SHORT || length >= PREFIX_LENGTH) return true;
  if (end - before >= (before - start) >> GROWTH) return true;
  // An empty line: two line feeds, perhaps with a carriage return between them.
  for (let at = Math.max(start + 2, before); at < end; at++) {
    if (bytes[at] !== LF) continue;
    if (bytes[at - 1] === LF || (bytes[at - 1] === CR && bytes[at - 2] === LF)) return true;
  }
  return false;
}

/** Longest method of a request line, and `HTTP`. */
const MAX_METHOD = 8;

/**
 * Whether the bytes may begin an HTTP message: letters, then the space of a request line or the
 * slash of a status line (RFC 9112, sections 3 and 4). Other text, an SSH banner say, has neither.
 */
export function isHttpLike(bytes: Uint8Array, start: number, end: number): boolean {
  start = skipLineEnds(bytes, start, end);
  const stop = Math.min(end, start + MAX_METHOD);
  let at = start;
  while (at < stop && isLetter(bytes[at])) at++;
  return at > start && at < end &&
    (bytes[at] === SPACE || bytes[at] === TAB || bytes[at] === SLASH);
}

/** Bytes of text that a key has by chance once in 500 times. */
const SOME_TEXT = 4;

/** Whether the bytes are text that may go on as the first line of an HTTP request. */
export function isCutLine(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: HttpHead,
): boolean {
  if (end - start < SOME_TEXT) return false;
  if (head.read(bytes, start, end) !== CUT_LINE || head.isResponse) return false;
  for (let at = start; at < end; at++) if (bytes[at] < SPACE || bytes[at] > TILDE) return false;
  return true;
}

function judgeHttp(
  bytes: Uint8Array,
  start: number,
  end: number,
  blockMentions: boolean,
  head: HttpHead,
): StreamAnswer {
  if (head.read(bytes, start, end) === NOT_HTTP) return null;
  const tracker = detectHttpTracker(bytes, start, end, head);
  if (isMatch(tracker)) return tracker;
  const webSeed = detectWebSeed(bytes, start, end, head);
  if (isMatch(webSeed)) return webSeed;
  const websocket = detectWebsocketTracker(bytes, start, end, head);
  if (isMatch(websocket)) return websocket;
  const mention = blockMentions ? detectMention(bytes, start, end, head) : null;
  if (isMatch(mention)) return mention;
  return tracker ?? webSeed ?? websocket ?? mention;
}
