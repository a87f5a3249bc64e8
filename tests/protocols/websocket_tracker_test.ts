import {
  detectWebsocketFrame,
  detectWebsocketTracker,
} from "../../src/protocols/websocket_tracker/detect.ts";
import { hex, join, latin1 } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

const UPGRADE = latin1(
  "GET / HTTP/1.1\r\nHost: tracker.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
);
const SWITCHING = latin1(
  "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: Upgrade\r\n\r\n",
);

/** RFC 6455, 5.2; `key` masks as a client does. */
function frame(text: string, first = 0x81, key?: Uint8Array): Uint8Array {
  const payload = latin1(text);
  const mask = key === undefined ? 0 : 0x80;
  const length = payload.length < 126
    ? Uint8Array.of(first, mask | payload.length)
    : Uint8Array.of(first, mask | 126, payload.length >> 8, payload.length);
  if (key === undefined) return join(length, payload);
  return join(length, key, payload.map((byte, i) => byte ^ key[i % 4]));
}

const KEY = hex("a1b2c3d4");
// The order and escapes of "bittorrent-tracker": info_hash is Latin-1 in UTF-8.
const ANNOUNCE = '{"numwant":5,"uploaded":0,"downloaded":0,"left":98304,"event":"started",' +
  '"action":"announce","info_hash":"\xc3\xbd>\xc2\xab\\u00137\xc3\xa4abcdefghijkl\\\\\\"","peer_id":' +
  '"-WW0107-abcdefghijkl","offers":[{"offer":{"type":"offer","sdp":"v=0\\r\\n"},"offer_id":"x"}]}';
const RESPONSE = '{"complete":1,"incomplete":0,"action":"announce","interval":120,' +
  '"info_hash":"abcdefghijklmnopqrst"}';

const MATCH = "WebTorrent tracker message";
const CLIENT = join(UPGRADE, frame(ANNOUNCE, 0x81, KEY));
const SERVER = join(SWITCHING, frame(RESPONSE));

testTable("detectWebsocketTracker", detectWebsocketTracker, [
  { name: "accepts a client's masked announce", bytes: CLIENT, expected: MATCH },
  { name: "accepts a server's response", bytes: SERVER, expected: MATCH },
  {
    name: "accepts it behind a ping",
    bytes: join(UPGRADE, frame("hi", 0x89, KEY), frame(ANNOUNCE, 0x81, KEY)),
    expected: MATCH,
  },
  { name: "waits for a frame", bytes: UPGRADE, expected: "more" },
  { name: "waits for the rest of the head", bytes: UPGRADE.slice(0, 50), expected: "more" },
  {
    name: "rejects the same message without an upgrade",
    bytes: join(latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), frame(ANNOUNCE, 0x81, KEY)),
    expected: "no",
  },
  {
    name: "rejects another use of WebSockets",
    bytes: join(UPGRADE, frame('{"action":"announce","room":"abcdefghijklmnopqrst"}', 0x81, KEY)),
    expected: "no",
  },
  {
    name: "rejects a chat about it",
    bytes: join(
      UPGRADE,
      frame('{"text":"{\\"action\\":\\"announce\\",\\"info_hash\\":\\"x\\"}"}', 0x81, KEY),
    ),
    expected: "no",
  },
  {
    name: "rejects the keys of a nested object",
    bytes: join(UPGRADE, frame(`{"body":${RESPONSE}}`, 0x81, KEY)),
    expected: "no",
  },
  {
    name: "rejects an info_hash of 40 digits",
    bytes: join(UPGRADE, frame(`{"action":"announce","info_hash":"${"0a".repeat(20)}"}`)),
    expected: "no",
  },
  {
    name: "cannot read a compressed message",
    bytes: join(UPGRADE, frame(ANNOUNCE, 0xc1, KEY)),
    expected: "no",
  },
]);

testTable("detectWebsocketFrame", detectWebsocketFrame, [
  { name: "accepts a masked message", bytes: frame(ANNOUNCE, 0x81, KEY), expected: MATCH },
  {
    name: "accepts a scrape",
    bytes: frame(RESPONSE.replace("announce", "scrape")),
    expected: MATCH,
  },
  {
    name: "accepts offers before the action",
    bytes: frame('{"info_hash":"abcdefghijklmnopqrst","offers":[{"offer":{}'),
    expected: MATCH,
  },
  {
    name: "accepts an answer that is relayed",
    bytes: frame(
      '{"peer_id":"-WW0107-abcdefghijkl","offer_id":"q","info_hash":"abcdefghijklmnopqrst"}',
    ),
    expected: MATCH,
  },
  {
    name: "rejects a whole frame that is cut JSON",
    bytes: frame('{"info_hash":"abc'),
    expected: "no",
  },
  {
    name: "waits for the rest of a fragment",
    bytes: frame('{"info_hash":"abc', 0x01),
    expected: "more",
  },
  { name: "rejects text", bytes: frame("hello"), expected: "no" },
]);

testProperties("detectWebsocketTracker", detectWebsocketTracker, [CLIENT, SERVER]);
testProperties("detectWebsocketFrame", detectWebsocketFrame, [frame(ANNOUNCE, 0x81, KEY)]);
