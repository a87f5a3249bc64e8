/**
 * WebSocket trackers (WebTorrent, "bittorrent-tracker"): JSON messages in WebSocket frames
 * (RFC 6455). The client's frames are masked; messages may be compressed (RFC 7692). Binary messages are
 * asked whether a peer's stream goes on in them.
 */

import { greater, i32be, lesser, u16be } from "../../packet/bytes.ts";
import { latin1 } from "../client_name.ts";
import { isLetter } from "../characters.ts";
import { CUT_HEAD, CUT_LINE, type HttpHead, NOT_HTTP, readHead, UPGRADE } from "../http.ts";
import { inflateBeginning } from "./inflate.ts";
import { type JsonAnswer, readTrackerJson } from "./json_message.ts";
import { isMatch, match, NEED_MORE, type StreamAnswer } from "../match.ts";
import { detectTunnelledHandshake } from "../peer_wire/tunnelled.ts";
import { PrefixSet } from "../word_set.ts";

const MESSAGE = match("websocket-tracker", "message", "proof", "WebTorrent tracker message");

const WEBSOCKET = new PrefixSet(["websocket"]);
const STATUS_SWITCHING = 101;

/** First byte: FIN, RSV1…3, opcode. */
const FIN = 0x80;
/** RSV1: the message is compressed (RFC 7692, 6). */
const COMPRESSED = 0x40;
const RESERVED = 0x30;
const OPCODE = 0x0f;
const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const FIRST_CONTROL = 8;
const LAST_CONTROL = 10;
/** Second byte: MASK, length. */
const MASK = 0x80;
const LENGTH16 = 126;
const LENGTH64 = 127;
const OPEN_OBJECT = 0x7b;
/** Frames read at one place: messages in fragments, and pings between them. */
const MAX_FRAMES = 256;
/** Frames passed over in one segment. */
const MAX_PASSED = 8192;

/** A message, unmasked and put together; bounded like the stream prefix it comes from. */
const message = new Uint8Array(4096);
/** Its text where it is compressed: what decides stands in the first few hundred bytes. */
const inflated = new Uint8Array(1024);
/** Compressed bytes read at one place, and messages: announces are large, and each message costs. */
const MAX_COMPRESSED = 512;
const MAX_INFLATED = 3;

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

/**
 * Looks at frames from a frame boundary on; the caller knows that this is a WebSocket. A message may
 * come in fragments, with control frames between them (RFC 6455, 5.4), and compressed (RFC 7692).
 */
export function detectWebsocketFrame(bytes: Uint8Array, start: number, end: number): StreamAnswer {
  let at = start;
  let filled = -1; // bytes of the message at hand; -1 between messages
  let isCompressed = false;
  let isBinary = false;
  inflates = 0;
  compressedLeft = MAX_COMPRESSED;
  for (let frames = 0; frames < MAX_FRAMES; frames++) {
    if (!readFrame(bytes, at, end)) {
      if (filled < 0) return at >= end && frames > 0 ? null : NEED_MORE;
      return readMessage(filled, isCompressed, isBinary);
    }
    const first = bytes[at];
    const opcode = first & OPCODE;
    if ((first & RESERVED) !== 0) return null;
    const dataEnd = frame.data + frame.length;
    at = dataEnd;
    if (opcode >= FIRST_CONTROL && opcode <= LAST_CONTROL) continue;
    if (opcode === TEXT || opcode === BINARY) {
      if (filled >= 0) return null;
      filled = 0;
      isBinary = opcode === BINARY;
      isCompressed = (first & COMPRESSED) !== 0;
      if (isCompressed && ++inflates > MAX_INFLATED) return null;
    } else if (opcode !== CONTINUATION || filled < 0 || (first & COMPRESSED) !== 0) return null;
    filled = addData(bytes, filled, lesser(end, dataEnd));
    if (dataEnd > end || filled === message.length) {
      return readMessage(filled, isCompressed, isBinary);
    }
    if ((first & FIN) === 0) continue;
    const answer = readMessage(filled, isCompressed, isBinary);
    if (isMatch(answer)) return answer;
    filled = -1;
  }
  return null;
}

/** Whether the byte at `at` may be the first of a WebSocket's: a message begins, or a control frame. */
export function beginsWebsocket(bytes: Uint8Array, at: number): boolean {
  const opcode = bytes[at] & OPCODE;
  if ((bytes[at] & RESERVED) !== 0) return false;
  return opcode === TEXT || opcode === BINARY ||
    (opcode >= FIRST_CONTROL && opcode <= LAST_CONTROL);
}

/** What is said of a message that goes on. */
function answerOf(answer: JsonAnswer): StreamAnswer {
  return answer === "match" ? MESSAGE : answer === "cut" ? NEED_MORE : null;
}

/**
 * Behind the frames of `[at, end)`, which {@link detectWebsocketFrame} has read together: where the
 * first one begins that is not there, possibly past `end`, or whose header is cut. -1 for more frames
 * than anybody sends in one segment.
 */
export function websocketFramesEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let frames = 0; at < end; frames++) {
    // Empty frames, of which most fit in a segment, in fewer steps.
    if (at + 1 < end && bytes[at + 1] === 0) at += 2;
    else if (readFrame(bytes, at, end)) at = frame.data + frame.length;
    else break;
    if (frames === MAX_PASSED) return -1;
  }
  return at;
}

/** The text of the message in which {@link detectWebsocketTracker} or a frame's test has matched. */
export function websocketText(bytes: Uint8Array, start: number, end: number): string | null {
  const answer = isLetter(bytes[start])
    ? detectWebsocketTracker(bytes, start, end)
    : detectWebsocketFrame(bytes, start, end);
  return answer === MESSAGE ? latin1(text, 0, textLength) : null;
}

/** The frame last read: where its data begins, its length, and its mask or -1. */
const frame = { data: 0, length: 0, mask: -1 };

/** Of a frame's data; positions stay small integers with it. */
const MOST_LENGTH = 1 << 30;

/** RFC 6455, 5.2; false when the header is cut. A length beyond a GiB is taken for one. */
function readFrame(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 2) return false;
  const isMasked = (bytes[at + 1] & MASK) !== 0;
  let length = bytes[at + 1] & ~MASK;
  at += 2;
  if (length === LENGTH16) {
    if (end - at < 2) return false;
    length = u16be(bytes, at);
    at += 2;
  } else if (length === LENGTH64) {
    if (end - at < 8) return false;
    const low = i32be(bytes, at + 4);
    length = i32be(bytes, at) === 0 && low >= 0 && low < MOST_LENGTH ? low : MOST_LENGTH;
    at += 8;
  }
  if (isMasked && end - at < 4) return false;
  frame.mask = isMasked ? at : -1;
  frame.data = isMasked ? at + 4 : at;
  frame.length = length;
  return true;
}

/** Adds the frame's data up to `dataEnd` to the message; answers its length. */
function addData(bytes: Uint8Array, filled: number, dataEnd: number): number {
  const { data, mask } = frame;
  const length = lesser(dataEnd - data, message.length - filled);
  for (let i = 0; i < length; i++) {
    message[filled + i] = mask < 0 ? bytes[data + i] : bytes[data + i] ^ bytes[mask + (i & 3)];
  }
  return filled + greater(0, length);
}

/** What {@link detectWebsocketFrame} has left to inflate. */
let inflates = 0;
let compressedLeft = 0;

/** The text that was read last. */
let text = message;
let textLength = 0;

function readMessage(length: number, isCompressed: boolean, isBinary: boolean): StreamAnswer {
  text = message;
  textLength = length;
  if (isCompressed) {
    text = inflated;
    const compressed = Math.min(length, compressedLeft);
    compressedLeft -= compressed;
    textLength = inflateBeginning(message, 0, compressed, inflated);
    if (textLength < 0) return null;
  }
  if (isBinary) {
    const isMasked = frame.mask >= 0; // as a client's are
    const handshake = detectTunnelledHandshake(text, 0, textLength, isMasked);
    if (handshake !== null) return handshake;
  }
  // One byte says of nearly everything that it is no JSON object.
  if (textLength > 0 && text[0] !== OPEN_OBJECT && text[0] > 0x20) return null;
  return answerOf(readTrackerJson(text, 0, textLength));
}
