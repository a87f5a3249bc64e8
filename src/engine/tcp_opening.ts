import { isMatch, NEED_MORE, type StreamAnswer } from "../protocols/match.ts";
import { detectPeerWire } from "../protocols/peer_wire.ts";
import { detectHttpTracker } from "../protocols/http_tracker.ts";
import { detectWebSeed } from "../protocols/web_seed.ts";
import { detectWebsocketTracker } from "../protocols/websocket_tracker.ts";
import { detectMention } from "../protocols/mentions.ts";
import { detectSocks } from "../protocols/proxy.ts";

const PEER_WIRE_FIRST = 19;
const SOCKS4 = 4;
const SOCKS5 = 5;

/**
 * Judges the first bytes of a stream, or of an HTTP message within one. The first byte says which
 * detectors can have an opinion, so most openings cost one comparison.
 */
export function judgeOpening(
  bytes: Uint8Array,
  start: number,
  end: number,
  blockSocks: boolean,
  blockMentions: boolean,
): StreamAnswer {
  if (start >= end) return NEED_MORE;
  const first = bytes[start];
  if (first === PEER_WIRE_FIRST) return detectPeerWire(bytes, start, end);
  if (isLetter(first)) return judgeHttp(bytes, start, end, blockMentions);
  if (blockSocks && (first === SOCKS4 || first === SOCKS5)) return detectSocks(bytes, start, end);
  return null;
}

/** A request line begins with a method of letters, a response with `HTTP/`. */
export function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function judgeHttp(
  bytes: Uint8Array,
  start: number,
  end: number,
  blockMentions: boolean,
): StreamAnswer {
  const tracker = detectHttpTracker(bytes, start, end);
  if (isMatch(tracker)) return tracker;
  const webSeed = detectWebSeed(bytes, start, end);
  if (isMatch(webSeed)) return webSeed;
  const websocket = detectWebsocketTracker(bytes, start, end);
  if (isMatch(websocket)) return websocket;
  const mention = blockMentions ? detectMention(bytes, start, end) : null;
  if (isMatch(mention)) return mention;
  return tracker ?? webSeed ?? websocket ?? mention;
}
