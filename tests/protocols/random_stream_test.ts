/** Random bytes must not convict anybody: every detector of streams, 200 000 payloads and more. */
import assert from "node:assert/strict";
import { detectExtension } from "../../src/protocols/extension/detect.ts";
import { detectHttpTracker } from "../../src/protocols/http_tracker/detect.ts";
import { isMatch } from "../../src/protocols/match.ts";
import { detectMention } from "../../src/protocols/mentions/detect.ts";
import { detectPeerWire } from "../../src/protocols/peer_wire/detect.ts";
import { detectSocks } from "../../src/protocols/socks/negotiation.ts";
import { detectWebSeed } from "../../src/protocols/web_seed/detect.ts";
import {
  detectWebsocketFrame,
  detectWebsocketTracker,
} from "../../src/protocols/websocket_tracker/detect.ts";
import { eachRandomPayload, hex, latin1, randomPayloadCount } from "./datagrams.ts";

// What gets the noise behind it past the first tests of each detector, short of a match.
const beginnings = {
  detectPeerWire: [latin1("\x13BitTorrent")],
  detectExtension: [
    hex("00000040140064"),
    hex("000000401401"),
    latin1("\0\0\0\x60\x14\x01d5:added6:"),
  ],
  detectHttpTracker: [
    latin1("GET /announce?info_hash="),
    latin1("HTTP/1.1 200 OK\r\n\r\nd8:interval"),
  ],
  detectWebSeed: [latin1("GET /a HTTP/1.1\r\nUser-Agent: "), latin1("GET /data?fid=")],
  detectWebsocketTracker: [latin1("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x7e")],
  detectWebsocketFrame: [hex("81fe0400"), latin1('\x81\x7e\x04\x00{"info_hash":"')],
  detectMention: [
    latin1("GET /a?b=magnet"),
    latin1("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"),
  ],
  detectSocks: [hex("0501"), hex("0500")],
};
const detectors = {
  detectPeerWire,
  detectExtension,
  detectHttpTracker,
  detectWebSeed,
  detectWebsocketTracker,
  detectWebsocketFrame,
  detectMention,
  detectSocks,
};

for (const [name, detector] of Object.entries(detectors)) {
  const starts = beginnings[name as keyof typeof beginnings];
  Deno.test(`${name}() finds nothing in random payloads`, () => {
    eachRandomPayload(randomPayloadCount(), starts, (bytes, start, end) => {
      const answer = detector(bytes, start, end);
      assert.ok(!isMatch(answer) || answer.strength === "hint");
    });
  });
}
