/**
 * WebSocket trackers (WebTorrent, "bittorrent-tracker"): JSON messages in WebSocket frames
 * (RFC 6455). The client's frames are masked; compressed ones (RFC 7692) cannot be read.
 */

import { u16be, u32be } from "../../packet/bytes.ts";
import { CUT_HEAD, CUT_LINE, type HttpHead, NOT_HTTP, readHead, UPGRADE } from "../http.ts";
import { type JsonAnswer, readTrackerJson } from "./json_message.ts";
import { match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { PrefixSet } from "../word_set.ts";

const MESSAGE = match("websocket-tracker", "message", "proof", "WebTorrent tracker message");

const WEBSOCKET = new PrefixSet(["websocket"]);
const STATUS_SWITCHING = 101;

/** First byte: FIN, RSV1…3, opcode. */
const FIN = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const TEXT = 1;
const BINARY = 2;
const FIRST_CONTROL = 8;
const LAST_CONTROL = 10;
/** Second byte: MASK, length. */
const MASK = 0x80;
const LENGTH16 = 126;
const LENGTH64 = 127;
const OPEN_OBJECT = 0x7b;
/** Pings and the like before the first message. */
const MAX_FRAMES = 8;

/** An unmasked message; bounded like the stream prefix it comes from. */
const unmasked = new Uint8Array(4096);

/**
 * Looks at the beginning of a stream, of either side: the Upgrade request (or its 101 response),
 * then frames. {@link NEED_MORE} as long as no text frame has come.
 */
export function detectWebsocketTracker(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: HttpHead = readHead(bytes, start, end),
): StreamAnswer {
  const state = head.state;
  if (state === NOT_HTTP) return null;
  if (state === CUT_LINE) return NEED_MORE;
  if (head.isResponse && head.status !== STATUS_SWITCHING) return null;
  const headersEnd = state === CUT_HEAD ? end : head.bodyStart;
  const upgrade = head.values[UPGRADE];
  if (upgrade < 0) return state === CUT_HEAD ? NEED_MORE : null;
  if (WEBSOCKET.indexOf(bytes, upgrade, headersEnd) < 0) return null;
  if (state === CUT_HEAD || head.bodyStart >= end) return NEED_MORE;
  return detectWebsocketFrame(bytes, head.bodyStart, end);
}

/** Looks at frames from a frame boundary on; the caller knows that this is a WebSocket. */
export function detectWebsocketFrame(bytes: Uint8Array, start: number, end: number): StreamAnswer {
  let at = start;
  for (let frame = 0; frame < MAX_FRAMES; frame++) {
    if (end - at < 2) return NEED_MORE;
    const first = bytes[at];
    const opcode = first & OPCODE;
    if ((first & RESERVED) !== 0) return null;
    const masked = (bytes[at + 1] & MASK) !== 0;
    let length = bytes[at + 1] & ~MASK;
    at += 2;
    if (length === LENGTH16) {
      if (end - at < 2) return NEED_MORE;
      length = u16be(bytes, at);
      at += 2;
    } else if (length === LENGTH64) {
      if (end - at < 8) return NEED_MORE;
      if (u32be(bytes, at) !== 0) return null;
      length = u32be(bytes, at + 4);
      at += 8;
    }
    const key = at;
    if (masked) at += 4;
    if (at > end) return NEED_MORE;
    if (opcode === TEXT || opcode === BINARY) {
      const answer = readMessage(bytes, masked ? key : -1, at, Math.min(end, at + length));
      if (answer === "match") return MESSAGE;
      const whole = (first & FIN) !== 0 && at + length <= end;
      return answer === "cut" && !whole ? NEED_MORE : null;
    }
    if (opcode < FIRST_CONTROL || opcode > LAST_CONTROL) return null;
    at += length;
  }
  return null;
}

function readMessage(bytes: Uint8Array, key: number, at: number, end: number): JsonAnswer {
  if (key < 0) return readTrackerJson(bytes, at, end);
  // One byte says of nearly everything that it is no JSON object.
  if (at < end && (bytes[at] ^ bytes[key]) !== OPEN_OBJECT) return "no";
  const length = Math.min(end - at, unmasked.length);
  for (let i = 0; i < length; i++) unmasked[i] = bytes[at + i] ^ bytes[key + (i & 3)];
  return readTrackerJson(unmasked, 0, length);
}
