/** Every pure reader of bytes: no throw, and nothing outside its range is read. */
import {
  findKey,
  integerAt,
  skipElement,
  stringLength,
  stringStart,
} from "../../src/protocols/bencode.ts";
import { detectCutDatagram } from "../../src/protocols/cut_datagram.ts";
import { detectDht } from "../../src/protocols/dht/detect.ts";
import { detectCutDht } from "../../src/protocols/dht/detect_cut.ts";
import { detectExtension } from "../../src/protocols/extension/detect.ts";
import { detectHttpTracker } from "../../src/protocols/http_tracker/detect.ts";
import { detectCutRequest } from "../../src/protocols/http_tracker/detect_cut.ts";
import { detectLsd } from "../../src/protocols/lsd/detect.ts";
import { isMatch, type StreamAnswer } from "../../src/protocols/match.ts";
import { detectMention } from "../../src/protocols/mentions/detect.ts";
import { looksRandom } from "../../src/protocols/mse/detect.ts";
import { describeClient, readInfoHash, readPeers } from "../../src/protocols/methods.ts";
import { detectPeerWire } from "../../src/protocols/peer_wire/detect.ts";
import { detectSslTorrent } from "../../src/protocols/peer_wire/tls.ts";
import { detectSocks, negotiationLength } from "../../src/protocols/socks/negotiation.ts";
import { innerDatagram } from "../../src/protocols/socks/datagram.ts";
import { detectCutAnnounce, detectUdpTracker } from "../../src/protocols/udp_tracker/detect.ts";
import { detectUtp, utpHeaderEnd } from "../../src/protocols/utp/detect.ts";
import { detectWebSeed } from "../../src/protocols/web_seed/detect.ts";
import {
  detectWebsocketFrame,
  detectWebsocketTracker,
} from "../../src/protocols/websocket_tracker/detect.ts";

type Read = (bytes: Uint8Array, start: number, end: number) => unknown;

/** Answers relative to the start, so that two buffers can be compared. */
const relative = (read: (bytes: Uint8Array, start: number, end: number) => number): Read =>
(
  bytes,
  start,
  end,
) => {
  const at = read(bytes, start, end);
  return at < 0 || Number.isNaN(at) ? at : at - start;
};

/** A detector, and what is read after it has matched. */
const detector =
  (detect: (b: Uint8Array, s: number, e: number) => StreamAnswer): Read => (bytes, start, end) => {
    const answer = detect(bytes, start, end);
    if (!isMatch(answer)) return answer;
    const peers: number[] = [];
    readPeers(answer, bytes, start, end, { peer: (...words) => void peers.push(...words) });
    return [
      answer.reason,
      describeClient(answer, bytes, start, end),
      readInfoHash(answer, bytes, start, end),
      ...peers,
    ].join();
  };

/** What was sent, where this much of it was recorded. */
const SENT_LENGTH = 1_400;

const ID = Uint8Array.of(0x69, 0x64);

export const READERS: Readonly<Record<string, Read>> = {
  detectPeerWire: detector(detectPeerWire),
  detectSslTorrent: detector(detectSslTorrent),
  detectExtension: detector(detectExtension),
  detectHttpTracker: detector(detectHttpTracker),
  detectWebSeed: detector(detectWebSeed),
  detectWebsocketTracker: detector(detectWebsocketTracker),
  detectWebsocketFrame: detector(detectWebsocketFrame),
  detectMention: detector(detectMention),
  detectSocks: detector(detectSocks),
  detectDht: detector(detectDht),
  detectLsd: detector(detectLsd),
  detectUdpTracker: detector(detectUdpTracker),
  detectUtp: detector(detectUtp),
  detectCutDatagram: detector((b, s, e) => detectCutDatagram(b, s, e, SENT_LENGTH)),
  detectCutDht: detector(detectCutDht),
  detectCutAnnounce: detector((b, s, e) => detectCutAnnounce(b, s, e, SENT_LENGTH)),
  detectCutRequest: detector(detectCutRequest),
  utpHeaderEnd: relative(utpHeaderEnd),
  innerDatagram: relative(innerDatagram),
  skipElement: relative(skipElement),
  stringStart: relative(stringStart),
  stringLength,
  integerAt,
  findKey: relative((bytes, start, end) => findKey(bytes, start, end, ID)),
  "negotiationLength (client)": (b, s, e) => negotiationLength(b, s, e, true),
  "negotiationLength (server)": (b, s, e) => negotiationLength(b, s, e, false),
  looksRandom,
};

const MARGIN = 64;
const rooms = [0x00, 0x65, 0xff].map((fill) => new Uint8Array(65_535 + 2 * MARGIN).fill(fill));

/** Asks every reader, with different bytes around the input: all answers must be alike. */
export function readEverywhere(input: Uint8Array): void {
  for (const [name, read] of Object.entries(READERS)) {
    let first: unknown;
    for (const [index, room] of rooms.entries()) {
      room.set(input, MARGIN);
      const answer = read(room, MARGIN, MARGIN + input.length);
      if (index === 0) first = answer;
      else if (!Object.is(answer, first)) {
        throw new Error(`${name} read outside its range: ${String(first)}, ${String(answer)}`);
      }
    }
  }
  for (const [index, room] of rooms.entries()) {
    room.fill([0x00, 0x65, 0xff][index], MARGIN, MARGIN + input.length);
  }
}
