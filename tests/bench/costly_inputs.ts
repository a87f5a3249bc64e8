/**
 * Inputs made to cost much: what somebody sends who wants to keep the blocker busy. Each is a flow of
 * packets whose payloads are given; `deno task bench` times them, and the fuzzer begins its search
 * for worse ones with them.
 */
import { deflateRawSync } from "node:zlib";

type Bytes = Uint8Array<ArrayBuffer>;

export interface CostlyInput {
  readonly name: string;
  readonly isTcp: boolean;
  /** Whether a SYN comes first; else the flow is joined in the middle. */
  readonly isOpened: boolean;
  /** One payload a packet, all from the same end. */
  readonly payloads: readonly Bytes[];
}

const encoder = new TextEncoder();
const ascii = (text: string): Bytes => encoder.encode(text);

/** `text` around as many of `unit` as make `length` bytes. */
function filled(head: string, unit: string, tail: string, length: number): Bytes {
  const times = Math.floor((length - head.length - tail.length) / unit.length);
  return ascii(head + unit.repeat(times) + tail);
}

const NODE_ID = "1:ad2:id20:abcdefghij0123456789e";
const PING_TAIL = "1:q4:ping1:t2:aa1:y1:qe";

/** Ones in a dictionary whose keys are all different and in order: what a sorted reader reads too. */
function sortedKeys(length: number): Bytes {
  let text = "d";
  for (let i = 0; text.length < length - 6; i++) text += `3:${String(i).padStart(3, "0")}0:`;
  return ascii(text + "e");
}

/** Extension messages (BEP 10) of dictionaries of one key, one after the other. */
function extensionMessages(length: number): Bytes {
  const body = ascii("\x14\x01d1:ai1ee");
  const message = new Uint8Array(4 + body.length);
  message[3] = body.length;
  message.set(body, 4);
  const whole = new Uint8Array(Math.floor(length / message.length) * message.length);
  for (let at = 0; at < whole.length; at += message.length) whole.set(message, at);
  return whole;
}

function oneByte(text: Bytes): Bytes[] {
  return [...text].map((byte) => Uint8Array.of(byte));
}

/** A WebSocket frame (RFC 6455) from a client, compressed (RFC 7692): `text` deflated. */
function compressedFrame(text: string): Bytes {
  const body = deflateRawSync(text);
  const frame = new Uint8Array(8 + body.length);
  frame.set([0xc1, 0x80 | 126, body.length >> 8, body.length & 255]);
  frame.set(body, 8); // the mask is 0
  return frame;
}

/** Frames of one compressed message each, masked with zeros, as many as `length` bytes take. */
function compressedFrames(text: string, length: number): Bytes {
  const body = deflateRawSync(text);
  const frame = new Uint8Array(6 + body.length);
  frame.set([0xc1, 0x80 | body.length]);
  frame.set(body, 6);
  const whole = new Uint8Array(Math.floor(length / frame.length) * frame.length);
  for (let at = 0; at < whole.length; at += frame.length) whole.set(frame, at);
  return whole;
}

/** A request for a WebSocket, behind which frames stand. */
export const UPGRADE = ascii(
  "GET /announce HTTP/1.1\r\nHost: t.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
);

function datagram(name: string, payload: Bytes): CostlyInput {
  return { name, isTcp: false, isOpened: false, payloads: [payload] };
}

function segments(name: string, payloads: readonly Bytes[], isOpened = true): CostlyInput {
  return { name, isTcp: true, isOpened, payloads };
}

export const COSTLY_INPUTS: readonly CostlyInput[] = [
  datagram("DHT, empty keys, 1400", filled("d", "0:0:", "e", 1400)),
  datagram("DHT, empty keys, 8192", filled("d", "0:0:", "e", 8192)),
  datagram("DHT, empty keys, 65507", filled("d", "0:0:", "e", 65_507)),
  datagram("DHT, sorted keys, 1400", sortedKeys(1400)),
  datagram("DHT, a list of lists, 1400", filled(`d${NODE_ID}1:bl`, "le", `e${PING_TAIL}`, 1400)),
  datagram(
    "DHT, a list of integers, 8192",
    filled(`d${NODE_ID}1:bl`, "i1e", `e${PING_TAIL}`, 8192),
  ),
  datagram("DHT, a ping behind keys, 1400", filled(`d${NODE_ID}`, "1:b0:", PING_TAIL, 1400)),
  segments("extension messages, joined, 65400", [extensionMessages(65_400)], false),
  segments("extension messages, opened, 65400", [extensionMessages(65_400)]),
  segments("GET /?&&&… in one-byte segments", oneByte(filled("GET /?", "&", "", 1400))),
  segments("GET /?&&&… in one segment, 65400", [filled("GET /?", "&", "", 65_400)]),
  segments(
    "header lines in one-byte segments",
    oneByte(filled("GET / HTTP/1.1\r\n", "a:b\r\n", "", 1400)),
  ),
  segments("pipelined requests, 65400", [filled("", "GET / HTTP/1.1\r\n\r\n", "", 65_400)]),
  segments("a tracker's answer of lists, 65400", [
    filled("HTTP/1.1 200 OK\r\n\r\nd8:intervali1e1:xl", "le", "ee", 65_400),
  ]),
  segments("a tracker's answer of empty keys, 65400", [
    filled("HTTP/1.1 200 OK\r\n\r\nd", "0:0:", "e", 65_400),
  ]),
  segments("query keys, a megabyte in segments", [
    filled("GET /announce?", "a&", "", 60_000),
    ...Array.from({ length: 8 }, () => filled("", "port&", "", 60_000)),
  ]),
  segments("header lines in one segment, 65400", [
    filled("GET / HTTP/1.1\r\n", "a:b\r\n", "", 65_400),
  ]),
  segments("an extension message of lists, opened, 65400", [
    filled("\0\0\x7f\x7f\x14\x01d1:xl", "le", "", 0x7f83),
  ]),
  segments("an extension message of lists, joined, 65400", [
    filled("\0\0\x7f\x7f\x14\x01d1:xl", "le", "", 0x7f83),
  ], false),
  segments("an extension handshake of empty keys, joined", [
    filled("\0\0\x7f\x7f\x14\0d1:xl", "0:0:", "", 0x7f83),
  ], false),
  segments("line feeds, 65400", [filled("", "\n", "", 65_400)]),
  segments("a bomb in a WebSocket frame", [UPGRADE, compressedFrame(" ".repeat(1 << 20))]),
  segments("deflated JSON in a WebSocket", [UPGRADE, compressedFrame('{"a":{},'.repeat(8000))]),
  segments("compressed frames in a WebSocket, 1400", [
    UPGRADE,
    compressedFrames('{"action":"a","b":[1,2,3]}', 1400),
  ]),
  segments("compressed frames in a WebSocket, 65400", [
    UPGRADE,
    compressedFrames('{"action":"a","b":[1,2,3]}', 65_400),
  ]),
  segments("deflated frames of other words, 65400", [
    UPGRADE,
    compressedFrames("{ abcdefghij abcdefghij abcdefghik [4,5,6,2,3,1] {}{}{}[][] 123", 65_400),
  ]),
  segments("empty frames in a WebSocket, 1400", [UPGRADE, filled("", "\x01\0\0\0", "", 1400)]),
  segments("pings in a WebSocket, 65400", [UPGRADE, filled("", "\x89\0", "", 65_400)]),
  segments("heads of pieces, joined, 65400", [filled("", "\0\0\x40\x09\x07\0", "", 65_400)], false),
  segments("haves, joined, 65400", [filled("", "\0\0\0\x05\x04\0\0\0\x07", "", 65_400)], false),
  segments(
    "another protocol's messages, joined",
    [filled("", "\0\0\0\x01\x20", "", 65_400)],
    false,
  ),
];
