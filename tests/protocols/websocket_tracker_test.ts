import {
  detectWebsocketFrame,
  detectWebsocketTracker,
  websocketFramesEnd,
} from "../../src/protocols/websocket_tracker/detect.ts";
import assert from "node:assert/strict";
import zlib from "node:zlib";
import fc from "fast-check";
import { inflateBeginning } from "../../src/protocols/websocket_tracker/inflate.ts";
import { isMatch } from "../../src/protocols/match.ts";
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

/** A message in frames of `size` bytes (RFC 6455, 5.4), masked, with a ping behind the first. */
function fragments(message: Uint8Array, size: number, rsv1 = 0): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = String.fromCharCode(...message.subarray(at, at + size));
    const fin = at + size >= message.length ? 0x80 : 0;
    parts.push(frame(part, fin | (at === 0 ? 1 | rsv1 : 0), KEY));
    if (at === 0) parts.push(frame("p", 0x89, KEY));
  }
  return join(...parts);
}

/** As permessage-deflate sends it (RFC 7692, 7.2.1): flushed, without the last four bytes. */
function deflated(text: string | Uint8Array, level = 6): Uint8Array {
  const data = typeof text === "string" ? latin1(text) : text;
  const options = { level, finishFlush: zlib.constants.Z_SYNC_FLUSH };
  return new Uint8Array(zlib.deflateRawSync(data, options)).slice(0, -4);
}
const LONG = ANNOUNCE.replace("}]}", `},${'{"offer":{"sdp":"v=0"},"offer_id":"y"},'.repeat(200)}`);

testTable("detectWebsocketTracker", detectWebsocketTracker, [
  ...[1, 20, 64, 125].map((size) => ({
    name: `accepts a message in frames of ${size} bytes`,
    bytes: join(UPGRADE, fragments(latin1(ANNOUNCE), size)),
    expected: MATCH,
  })),
  ...[0, 1, 6, 9].map((level) => ({
    name: `accepts a compressed message, level ${level}`,
    bytes: join(UPGRADE, fragments(deflated(ANNOUNCE, level), 8000, 0x40)),
    expected: MATCH,
  })),
  {
    name: "accepts a compressed message in fragments",
    bytes: join(UPGRADE, fragments(deflated(ANNOUNCE), 64, 0x40)),
    expected: MATCH,
  },
  {
    name: "accepts a long compressed message by its beginning",
    bytes: join(UPGRADE, fragments(deflated(LONG), 60_000, 0x40)).slice(0, 700),
    expected: MATCH,
  },
  {
    name: "waits for more of a compressed message",
    bytes: join(UPGRADE, fragments(deflated(ANNOUNCE), 30, 0x40)).slice(0, UPGRADE.length + 60),
    expected: "more",
  },
  {
    name: "rejects a compressed chat",
    bytes: join(UPGRADE, fragments(deflated('{"text":"hello","room":"announce"}'), 900, 0x40)),
    expected: "no",
  },
  {
    name: "rejects a message that grows a thousandfold",
    bytes: join(UPGRADE, fragments(deflated(new Uint8Array(1_000_000)), 4000, 0x40)),
    expected: "no",
  },
  {
    name: "rejects what refers to an earlier message",
    bytes: join(UPGRADE, frame("\x2a\x02\x11\x00", 0xc1, KEY)),
    expected: "no",
  },
  {
    name: "accepts an announce behind another message",
    bytes: join(UPGRADE, frame('{"action":"ping"}', 0x81, KEY), frame(ANNOUNCE, 0x81, KEY)),
    expected: MATCH,
  },
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

// BEP 3; "VLESS": version, id, no additions, TCP, port, IPv4 address.
const PEER = `\x13BitTorrent protocol${"\0".repeat(8)}${"h".repeat(20)}-qB4520-abcdefghijkl`;
const VLESS = `\0${"u".repeat(16)}\0\x01\xc8\xd5\x01\xcb\x00\x71\x09`;
const TUNNELLED = "handshake in a WebSocket message";

testTable("detectWebsocketFrame, a tunnel,", detectWebsocketFrame, [
  { name: "accepts a peer's handshake", bytes: frame(PEER, 0x82, KEY), expected: TUNNELLED },
  { name: "accepts the other peer's", bytes: frame(PEER, 0x82), expected: TUNNELLED },
  { name: "accepts it behind VLESS", bytes: frame(VLESS + PEER, 0x82, KEY), expected: TUNNELLED },
  {
    name: "accepts it behind another message",
    bytes: join(frame("\x05\x01\0", 0x82, KEY), frame(PEER, 0x82, KEY)),
    expected: TUNNELLED,
  },
  {
    name: "waits for the rest of it",
    bytes: frame(PEER, 0x82, KEY).slice(0, 20),
    expected: "more",
  },
  { name: "rejects text of it", bytes: frame(PEER, 0x81, KEY), expected: "no" },
  { name: "rejects a quotation", bytes: frame(`"${PEER}"`, 0x82, KEY), expected: "no" },
  {
    name: "rejects a capture's record",
    bytes: frame("\0".repeat(16) + "E\0\0\x6c" + "\0".repeat(36) + PEER, 0x82, KEY),
    expected: "no",
  },
  {
    name: "rejects a log of it over a message queue",
    bytes: frame(`0\x60\0\x03log${PEER}`, 0x82),
    expected: "no",
  },
]);

testProperties("detectWebsocketTracker", detectWebsocketTracker, [CLIENT, SERVER]);
testProperties("detectWebsocketFrame", detectWebsocketFrame, [frame(ANNOUNCE, 0x81, KEY)]);
testProperties("detectWebsocketFrame", detectWebsocketFrame, [frame(PEER, 0x82, KEY)]);

Deno.test("property: inflateBeginning() is zlib's beginning, whatever is cut off", () => {
  const texts = fc.tuple(fc.uint8Array({ maxLength: 1500 }), fc.constantFrom(2, 30, 256))
    .map(([bytes, kinds]) => bytes.map((byte) => byte % kinds));
  const level = fc.integer({ min: 0, max: 9 });
  fc.assert(fc.property(texts, level, fc.nat(4), fc.nat(2000), (text, level, strategy, cut) => {
    const data = new Uint8Array(zlib.deflateRawSync(text, { level, strategy }));
    const into = new Uint8Array(1024);
    const whole = inflateBeginning(data, 0, data.length, into);
    assert.equal(whole, Math.min(text.length, into.length));
    assert.deepEqual(into.subarray(0, whole), text.subarray(0, whole));
    const part = inflateBeginning(data, 0, Math.min(cut, data.length), into);
    assert.ok(part >= 0);
    assert.deepEqual(into.subarray(0, part), text.subarray(0, part));
  }));
});

Deno.test("property: inflateBeginning() of any bytes ends inside its buffer", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const into = new Uint8Array(64);
    const length = inflateBeginning(bytes, 0, bytes.length, into);
    assert.ok(length >= -1 && length <= into.length);
  }));
});

/** `count` compressed messages, and behind them an announce in the same segment. */
function behindCompressed(count: number): Uint8Array {
  const others = Array.from({ length: count }, () => fragments(deflated('{"a":1}'), 8000, 0x40));
  return join(...others, frame(ANNOUNCE, 0x81, KEY));
}

Deno.test("detectWebsocketFrame() reads a few compressed messages of one segment", () => {
  const few = behindCompressed(3);
  const answer = detectWebsocketFrame(few, 0, few.length);
  assert.ok(isMatch(answer) && answer.reason === MATCH);
  const many = behindCompressed(40); // each costs as much as a packet
  assert.equal(detectWebsocketFrame(many, 0, many.length), null);
});

Deno.test("websocketFramesEnd() is behind all frames that are read together", () => {
  // Frame by frame, whoever follows a stream would read a segment as often as it has frames.
  const frames = behindCompressed(4);
  assert.equal(websocketFramesEnd(frames, 0, frames.length), frames.length);
  assert.equal(websocketFramesEnd(frames, 0, frames.length - 9), frames.length);
  const cut = join(frames, frame("x").slice(0, 1));
  assert.equal(websocketFramesEnd(cut, 0, cut.length), frames.length);
});
