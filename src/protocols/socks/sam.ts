/**
 * Streams through an I2P router: lines of text on each connection, behind which the stream begins. Spec:
 * "SAM V3" of the I2P project. libtorrent, and so qBittorrent and Deluge, ask a router so, which may be
 * another machine's.
 */
import { ascii, startsWith } from "../../packet/bytes.ts";
import { behindLine, CUT, lineBehind, NONE } from "./reading.ts";

const LF = 0x0a;
const SPACE = 0x20;

const HELLO = ascii("HELLO VERSION");
/** Behind these the stream begins. */
const STREAMS = ["STREAM CONNECT ", "STREAM ACCEPT "].map(ascii);
/** What else is asked before. */
const QUESTIONS = ["NAMING LOOKUP ", "SESSION CREATE ", "DEST GENERATE"].map(ascii);

const WELCOME = ascii("HELLO REPLY RESULT=OK");
const CONNECTED = [ascii("STREAM STATUS RESULT=OK")];
const ANSWERS = ["NAMING REPLY ", "SESSION STATUS ", "DEST REPLY "].map(ascii);

/** A destination has 387 bytes and more; `=` is its padding. */
const SHORTEST_DESTINATION = 516;
const DESTINATION = ascii(" DESTINATION=");

/** Whether a stream of either side may begin with it: "HE", which no response of HTTP does. */
export function isSam(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes[start] === HELLO[0] && (end - start === 1 || bytes[start + 1] === HELLO[1]);
}

/** Position behind the lines of who asks the router. */
export function samRequest(bytes: Uint8Array, start: number, end: number): number {
  let at = lineBehind(bytes, start, end, HELLO);
  while (at > 0) {
    if (at >= end) return CUT;
    const stream = lineOf(bytes, at, end, STREAMS);
    if (stream !== NONE) return stream;
    at = lineOf(bytes, at, end, QUESTIONS);
  }
  return at;
}

/**
 * Position behind the router's lines: where it was asked to be silent the stream follows the first, and who
 * waited for a call is told by whom.
 */
export function samReply(bytes: Uint8Array, start: number, end: number): number {
  let at = lineBehind(bytes, start, end, WELCOME);
  while (at > 0) {
    if (at >= end) return CUT;
    const connected = lineOf(bytes, at, end, CONNECTED);
    if (connected > 0) return behindDestination(bytes, connected, end);
    const next = lineOf(bytes, at, end, ANSWERS);
    if (next === NONE) return connected === CUT ? CUT : at;
    at = next;
  }
  return at;
}

/** Behind the line that names who calls, which need not be there. */
function behindDestination(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isBase64(bytes[at])) at++;
  if (at === end) return CUT;
  if (at - start < SHORTEST_DESTINATION) return start;
  return bytes[at] === LF || bytes[at] === SPACE ? behindLine(bytes, at, end) : start;
}

/** Where a whole request says with whom to connect, or `end` where it waits for a call. */
export function samDestination(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (startsWith(bytes, at, end, DESTINATION)) return at + DESTINATION.length;
  }
  return end;
}

/** {@link lineBehind} of the first word that fits; CUT where one may. */
function lineOf(
  bytes: Uint8Array,
  at: number,
  end: number,
  words: readonly Uint8Array[],
): number {
  for (const word of words) {
    const after = lineBehind(bytes, at, end, word);
    if (after !== NONE) return after;
  }
  return NONE;
}

/** I2P's alphabet has `-` and `~` for `+` and `/`. */
function isBase64(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d || byte === 0x7e || byte === 0x3d;
}
