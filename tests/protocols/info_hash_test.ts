import assert from "node:assert/strict";
import { type Kind, match, type Method } from "../../src/protocols/match.ts";
import { kindRow, METHOD_ROWS, readInfoHash } from "../../src/protocols/methods.ts";
import { hex, join, latin1 } from "./datagrams.ts";

/** A text message in one frame (RFC 6455, 5.2). */
const inFrame = (text: string) => join(hex("817e"), Uint8Array.of(0, text.length), latin1(text));

const HASH = "00ff41f9b3d3c1ae4ef2a1b2c3d4e5f601234567";
const RAW = hex(HASH);
const PSTR = "13426974546f7272656e742070726f746f636f6c";
const HANDSHAKE = join(hex(PSTR), new Uint8Array(8), RAW, latin1("-qB4520-abcdefghijkl"));
const ESCAPED = HASH.replace(/../g, "%$&");

// Method, kind, what it is and where specified, bytes, info-hash.
const CASES: readonly (readonly [Method, Kind, string, Uint8Array, string | null])[] = [
  ["peer-wire", "handshake", "BEP 3", HANDSHAKE, HASH],
  ["peer-wire", "handshake", "cut in the hash", HANDSHAKE.subarray(0, 47), null],
  ["mse", "plain-handshake", "in the clear", HANDSHAKE, HASH],
  ["mse", "by-host", "encrypted", HANDSHAKE.subarray(1), null],
  [
    "utp",
    "handshake",
    "behind a header with a selective ack (BEP 29)",
    join(hex("0101000000000001000000000000100000010001000400000000"), HANDSHAKE),
    HASH,
  ],
  ["utp", "opened", "a header alone", hex("2100000000000001000000000000100000010001"), null],
  [
    "dht",
    "get_peers",
    "BEP 5",
    join(
      latin1("d1:ad2:id20:abcdefghij01234567899:info_hash20:"),
      RAW,
      latin1("e1:q9:get_peers1:t2:aa1:y1:qe"),
    ),
    HASH,
  ],
  [
    "dht",
    "ping",
    "has none",
    latin1("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"),
    null,
  ],
  [
    "udp-tracker",
    "announce",
    "BEP 15",
    join(hex("0102030405060708 00000001 5eed0001"), RAW, new Uint8Array(62)),
    HASH,
  ],
  [
    "udp-tracker",
    "announce-response",
    "names peers, no torrent",
    hex("00000001 5eed0001 00000708 00000001 00000002 c0a80102 1ae1 c0a80103 1ae1"),
    null,
  ],
  ["udp-tracker", "connect", "BEP 15", hex("0000041727101980 00000000 5eed0001"), null],
  [
    "http-tracker",
    "announce",
    "BEP 3, percent-encoded",
    latin1(`GET /announce?peer_id=x&info_hash=${ESCAPED}&port=1 HTTP/1.1\r\n`),
    HASH,
  ],
  [
    "http-tracker",
    "announce",
    "one byte short",
    latin1(`GET /announce?info_hash=${ESCAPED.slice(3)}&port=1 HTTP/1.1\r\n`),
    null,
  ],
  [
    "web-seed",
    "piece-by-hash",
    "BEP 17",
    latin1(`GET /s?info_hash=${ESCAPED}&piece=0 HTTP/1.1`),
    HASH,
  ],
  [
    "lsd",
    "announce",
    "BEP 14, upper case",
    latin1(`BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: ${HASH.toUpperCase()}\r\n\r\n`),
    HASH,
  ],
  [
    "websocket-tracker",
    "message",
    "escaped as JSON",
    inFrame(
      '{"info_hash":"\\u0000\\u00ffA\\u00f9\\u00b3\\u00d3\\u00c1\\u00ae' +
        'N\\u00f2\\u00a1\\u00b2\\u00c3\\u00d4\\u00e5\\u00f6\\u0001#Eg","action":"announce"}',
    ),
    HASH,
  ],
];

for (const [method, kind, name, bytes, expected] of CASES) {
  Deno.test(`readInfoHash() of ${method} ${kind}: ${name}`, () => {
    const found = match(method, kind as never, "proof", "test");
    const room = join(latin1("info_hash"), bytes, latin1("info_hash"));
    assert.equal(readInfoHash(found, room, 9, 9 + bytes.length), expected);
  });
}

Deno.test("kindRow() takes what a kind says before what its method says", () => {
  const row = (method: Method, kind: Kind) => kindRow(match(method, kind as never, "proof", ""));
  const client = { doer: "sender", bans: "client", bansJoined: "client", alone: true } as const;
  assert.deepEqual(row("dht", "ping"), client);
  assert.deepEqual(row("dht", "get_peers"), { ...client, bans: "always", bansJoined: "always" });
  assert.equal(row("http-tracker", "magnet-mention").bans, "never");
  assert.deepEqual(row("utp", "opened"), {
    ...{ doer: "both", bans: "evidence", bansJoined: "evidence", alone: false },
  });
  const { bans, bansJoined } = row("mid-stream", "chain");
  assert.deepEqual([bans, bansJoined], ["always", "evidence"]);
  assert.equal(row("extension", "holepunch").bansJoined, "never", "a kind's own comes first");
});

Deno.test("every kind has its row", async () => {
  const { KINDS } = await import("../../src/protocols/match.ts");
  for (const [method, kinds] of Object.entries(KINDS)) {
    assert.deepEqual(Object.keys(METHOD_ROWS[method as Method].kinds).sort(), [...kinds].sort());
  }
});
