/**
 * A handshake inside another protocol's messages: a stream that goes on through a WebSocket (RFC 6455),
 * as plain proxies and TCP tunnels send it, perhaps behind a proxy's own header. It begins a message,
 * where nobody quotes: text stands behind quotation marks, records or a capture's headers.
 */
import { isMatch, match, type StreamAnswer } from "../match.ts";
import { negotiationLength } from "../socks/negotiation.ts";
import { detectPeerWire } from "./detect.ts";

const TUNNELLED = match(
  "peer-wire",
  "tunnelled-handshake",
  "proof",
  "handshake in a WebSocket message",
);

/**
 * Looks for a handshake at the beginning of the message `[start, end)`, or right behind the proxies'
 * negotiations there; NEED_MORE where all that is there of one is right.
 *
 * @param fromClient whether the message is of the side that opened the connection
 */
export function detectTunnelledHandshake(
  bytes: Uint8Array,
  start: number,
  end: number,
  fromClient: boolean,
): StreamAnswer {
  let at = start;
  for (;;) {
    const length = negotiationLength(bytes, at, end, fromClient);
    if (length <= 0 || at + length >= end) break;
    at += length;
  }
  const answer = detectPeerWire(bytes, at, end);
  return isMatch(answer) ? TUNNELLED : answer;
}
