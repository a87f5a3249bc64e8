import assert from "node:assert/strict";
import fc from "fast-check";
import type { EnginePolicy } from "../../../src/engine/policy.ts";
import {
  type Kind,
  KINDS,
  match,
  type Method,
  METHODS,
  type Strength,
} from "../../../src/protocols/match.ts";
import { type MatchedFields, matchedFields } from "../../../src/report/analysis/matched_field.ts";
import { hex, join, latin1 } from "../../protocols/datagrams.ts";
import { detectionAt } from "./captured_detection.ts";

/** `0-20 name: content`, the content as text where all of it is, else in hexadecimal. */
function inWords({ fields }: MatchedFields, payload: Uint8Array, isDecisive: boolean): string[] {
  return fields.filter((field) => field.isDecisive === isDecisive).map(({ start, end, name }) => {
    const part = payload.subarray(start, end);
    const isText = part.every((byte) => byte >= 0x20 && byte < 0x7f);
    return `${start}-${end} ${name}: ${isText ? String.fromCharCode(...part) : part.toHex()}`;
  });
}

const PSTR = "13426974546f7272656e742070726f746f636f6c";
const STRICT = { strict: true };

// Capture, frame, policy, method and reason, decisive fields. Positions counted in the bytes.
const CAPTURED: readonly (readonly [string, number, Partial<EnginePolicy>, string, string[]])[] = [
  ["deluge-tcp-http-tracker.pcap", 41, {}, "peer-wire handshake", [
    `0-20 protocol name (BEP 3: pstr): ${PSTR}`,
  ]],
  ["aria2-default-direct.pcap", 16, {}, "mse handshake behind an encrypted negotiation", [
    `0-20 protocol name (BEP 3: pstr): ${PSTR}`,
  ]],
  [
    "rtorrent-mse-rc4-udp-tracker.pcap",
    29,
    {},
    "mse encrypted, lengths of a handshake and messages",
    [],
  ],
  ["libtorrent-tcp-mid-stream.pcap", 46, {}, "mid-stream chain of peer wire messages", [
    "469-474 piece: length 16393, id 7: 0000400907",
    "474-478 index: 0000000f",
    "478-482 begin: 00000000",
  ]],
  [
    "aria2-tcp-http-tracker.pcap",
    5,
    {},
    "http-tracker announce request, not by its headers a client's",
    [
      "14-72 info_hash: info_hash=%EF%B7%C4eV%3D%C1%21%BFB%A4s%D1%A5ME%F2%01%85%",
      "73-115 peer_id: peer_id=A2-1-36-0-%C7S%7Fi%8A%A1X%EA%84%17",
      "210-220 port: port=51413",
    ],
  ],
  ["libtorrent-web-seed.pcap", 4, {}, "web-seed range requested by a client (BEP 19)", [
    "44-74 User-Agent: User-Agent: libtorrent/2.0.8.0",
    "100-120 Range: Range: bytes=0-65535",
  ]],
  ["libtorrent-dht-mse-rc4.pcap", 4, {}, "dht get_peers query", [
    "5-32 a.id (node id): 323a696432303a",
    "67-81 q (query): 1:q9:get_peers",
    "97-103 y (message type): 1:y1:q",
  ]],
  ["aria2-mse-rc4-udp-tracker.pcap", 4, {}, "udp-tracker connect request", [
    "0-8 protocol_id (magic 0x41727101980): 0000041727101980",
    "8-12 action (0): 00000000",
  ]],
  ["libtorrent-default-direct.pcap", 4, {}, "utp uTP connection opened", [
    "0-1 type, version: !",
    "2-4 connection_id: 5e",
    "18-20 ack_nr: Eu",
  ]],
  [
    "libtorrent-utp-mid-stream.pcap",
    11,
    {},
    "utp uTP headers in both directions agree",
    ["0-1", "2-4", "4-8", "8-12", "16-18", "18-20"],
  ],
  ["libtorrent-lsd.pcap", 1, {}, "lsd local announce", [
    "0-20 request line: BT-SEARCH * HTTP/1.1",
    "63-113 Infohash: Infohash: c46d279ab49d56308e748dab96cf3ba35975fc",
  ]],
  ["libtorrent-tcp-socks5.pcap", 9, { blockSocks: true }, "socks SOCKS5 request", [
    "0-3 SOCKS5: version, command or reply, reserved: 050300",
    "3-4 address type: 01",
    "4-8 address: 00000000",
    "8-10 port: ",
  ]],
  [
    "aria2-default-direct.pcap",
    13,
    STRICT,
    "entropy random handshake on an unknown port",
    [],
  ],
  [
    "http-pages-about-bittorrent.pcap",
    45,
    { blockMentions: true },
    "http-tracker mention: .torrent requested",
    ["11-19 path end: .torrent"],
  ],
];

for (const [capture, frame, policy, what, expected] of CAPTURED) {
  Deno.test(`matchedFields() of ${capture}, frame ${frame}: ${what}`, async () => {
    const { match, payload } = await detectionAt(capture, frame, policy);
    assert.equal(`${match.method} ${match.reason}`, what);
    const found = matchedFields(match, payload);
    const words = inWords(found, payload, true);
    assert.equal(words.length, expected.length, words.join("\n"));
    expected.forEach((line, i) => assert.equal(words[i].slice(0, line.length), line));
    if (expected.length > 0) return;
    assert.deepEqual(found.fields.map(({ start, end, name }) => [start, end, name]), [
      [0, payload.length, "random bytes"],
    ]);
    assert.match(found.note!, /^Nothing in it can be matched/);
  });
}

function message(id: number, body: Uint8Array): Uint8Array {
  const length = body.length + 1;
  return join(Uint8Array.of(0, 0, length >> 8, length & 255, id), body);
}

const extended = (id: number, text: string) => message(20, join(Uint8Array.of(id), latin1(text)));
const HASH = "abcdefghijklmnopqrst";
const MASK = hex("a1b2c3d4");
const JSON_ANNOUNCE = `{"action":"announce","info_hash":"${HASH}"}`;

// Method, reason, payload (after the specifications), decisive fields.
const MADE: readonly (readonly [Method, Strength, string, string, Uint8Array, string[]])[] = [
  [
    "extension",
    "proof",
    "extension handshake",
    "behind an unchoke", // BEP 10
    join(hex("0000000101"), extended(0, "d1:md6:ut_pexi1e6:ut_foxi2ee1:pi6881ee")),
    ["5-10 message header (length, id 20: extended): 0000002814", "16-27 m.ut_pex: 6:ut_pexi1e"],
  ],
  [
    "extension",
    "proof",
    "peer exchange (ut_pex)",
    "BEP 11",
    extended(1, "d5:added6:abcdef7:added.f1:\x10e"),
    [
      "0-5 message header (length, id 20: extended): 0000001f14",
      "7-22 added: 5:added6:abcdef",
      "22-34 added.f: 373a61646465642e66313a10",
    ],
  ],
  [
    "extension",
    "strong",
    "comment exchange (ut_comment)",
    "cut by the sample's end",
    extended(2, "d6:filter20:" + HASH + "8:msg_typei0e3:numi20ee").slice(0, 40),
    [
      "0-5 message header (length, id 20: extended): 0000003914",
      "7-38 filter: 6:filter20:" + HASH,
    ],
  ],
  [
    "fast",
    "strong",
    "chain of Fast extension messages",
    "allowed fast, request", // BEP 6, BEP 3
    hex("000000051100000005 0000000d06000000050000400000004000"),
    [
      "0-5 allowed fast: length 5, id 17: 0000000511",
      "5-9 index: 00000005",
      "9-14 request: length 13, id 6: 0000000d06",
      "14-18 index: 00000005",
      "18-22 begin: 00004000",
      "22-26 length: 00004000",
    ],
  ],
  [
    "mid-stream",
    "strong",
    "chain of peer wire messages",
    "at the end of a piece",
    join(latin1("the rest of a piece"), hex("0000000d06000000050000400000004000")),
    [
      "19-24 request: length 13, id 6: 0000000d06",
      "24-28 index: 00000005",
      "28-32 begin: 00004000",
      "32-36 length: 00004000",
    ],
  ],
  [
    "peer-wire",
    "proof",
    "handshake",
    "the second of two segments",
    latin1("orrent protocol" + "\0".repeat(8) + HASH + "-XX0001-abcdefghijkl"),
    ["0-15 protocol name (BEP 3: pstr): orrent protocol"],
  ],
  [
    "peer-wire",
    "proof",
    "handshake",
    "behind an HTTP CONNECT",
    latin1("CONNECT a:1 HTTP/1.1\r\n\r\n\x13BitTorrent protocol"),
    [`24-44 protocol name (BEP 3: pstr): ${PSTR}`],
  ],
  [
    "http-tracker",
    "proof",
    "scrape request",
    "BEP 48",
    latin1(`GET /scrape?info_hash=${HASH} HTTP/1.1\r\n\r\n`),
    ["5-11 last path segment: scrape", `12-42 info_hash: info_hash=${HASH}`],
  ],
  [
    "http-tracker",
    "proof",
    "announce request",
    "whose beginning came before",
    latin1(`&peer_id=${HASH}&port=6881&info_hash=${HASH} HTTP/1.1\r\nHost: a\r\n\r\n`),
    [
      `1-29 peer_id: peer_id=${HASH}`,
      "30-39 port: port=6881",
      `40-70 info_hash: info_hash=${HASH}`,
    ],
  ],
  [
    "http-tracker",
    "proof",
    "announce response",
    "in chunks",
    latin1(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19\r\nd8:intervali60e5:peers0:e\r\n",
    ),
    ["52-66 interval: 8:intervali60e", "66-75 peers: 5:peers0:"],
  ],
  [
    "web-seed",
    "strong",
    "piece by info-hash (BEP 17)",
    "BEP 17",
    latin1(`GET /seed?info_hash=${HASH}&piece=7 HTTP/1.1\r\n\r\n`),
    [`10-40 info_hash: info_hash=${HASH}`, "41-48 piece: piece=7"],
  ],
  [
    "http-tracker",
    "strong",
    "mention: magnet link",
    "in a page",
    latin1('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href="magnet:?xt=urn:btih:aa&x">'),
    ["53-75 link: magnet:?xt=urn:btih:aa"],
  ],
  [
    "websocket-tracker",
    "proof",
    "WebTorrent tracker message",
    "unmasked (RFC 6455)",
    join(hex("8137"), latin1(JSON_ANNOUNCE)),
    ['3-22 action: "action":"announce"', `23-57 info_hash: "info_hash":"${HASH}"`],
  ],
  [
    "websocket-tracker",
    "proof",
    "WebTorrent tracker message",
    "masked",
    join(hex("81b7"), MASK, latin1(JSON_ANNOUNCE).map((byte, i) => byte ^ MASK[i & 3])),
    ["7-26 action (masked): ", "27-61 info_hash (masked): "],
  ],
  [
    "dht",
    "proof",
    "error",
    'BEP 5, "Errors"',
    latin1("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"),
    [
      "1-37 e (error): 1:eli201e23:A Generic Error Ocurrede",
      "44-50 y (message type): 1:y1:e",
    ],
  ],
  [
    "dht",
    "proof",
    "ping query",
    "in a SOCKS5 datagram (RFC 1928, 7)",
    join(hex("000000017f0000011ae1"), latin1(`d1:ad2:id20:${HASH}e1:q4:ping1:t2:aa1:y1:qe`)),
    [
      `15-42 a.id (node id): 2:id20:${HASH}`,
      "43-52 q (query): 1:q4:ping",
      "59-65 y (message type): 1:y1:q",
    ],
  ],
  [
    "udp-tracker",
    "strong",
    "announce response to its request",
    "BEP 15",
    hex("00000001 5eed0001 00000708 00000001 00000002 c0a80102 1ae1"),
    ["0-4 action (1): 00000001", "4-8 transaction_id: 5eed0001"],
  ],
  [
    "udp-tracker",
    "proof",
    "scrape request of a connection",
    "BEP 15",
    join(hex("0102030405060708 00000002 5eed0001"), latin1(HASH)),
    ["0-8 connection_id: 0102030405060708", "8-12 action (2): 00000002"],
  ],
  [
    "utp",
    "proof",
    "peer wire handshake in uTP",
    "BEP 29",
    join(hex("0100 5eed 11223344 00000000 00100000 0002 0001"), hex(PSTR), new Uint8Array(48)),
    ["0-1 type, version: 01", `20-40 protocol name (BEP 3: pstr): ${PSTR}`],
  ],
  [
    "socks",
    "proof",
    "SOCKS4a request",
    "SOCKS 4A",
    join(hex("04010050 00000001"), latin1("me\0tracker.example\0")),
    ["0-2 SOCKS4: version, command: 0401", "2-4 port: 0050", "4-8 address: 00000001"],
  ],
];

/** Every `match(method, kind, strength, reason)` of the sources. */
function* matchesOf(directory: URL): Generator<[Method, Kind, Strength, string]> {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) {
      yield* matchesOf(new URL(`${name}/`, directory));
      continue;
    }
    const text = Deno.readTextFileSync(new URL(name, directory));
    for (
      const [, method, kind, strength, reason] of text.matchAll(
        /match\(\s*"([a-z-]+)",\s*(?:"([a-z0-9-]+)"|name[^,]*),\s*"([a-z]+)",\s*(?:"([^"]+)"|`[^`]*`),?\s*\)/g,
      )
    ) {
      yield [
        method as Method,
        (kind ?? "ping") as Kind,
        strength as Strength,
        reason ?? "ping query",
      ];
    }
  }
}

const ALL = ["protocols", "engine"]
  .flatMap((folder) => [...matchesOf(new URL(`../../../src/${folder}/`, import.meta.url))]);

function kindOf(method: Method, reason: string): Kind {
  return ALL.find((row) => row[0] === method && row[3] === reason)![1];
}

for (const [method, strength, reason, name, payload, expected] of MADE) {
  Deno.test(`matchedFields() of ${method}, ${reason}: ${name}`, () => {
    const found = matchedFields(match(method, kindOf(method, reason), strength, reason), payload);
    const words = inWords(found, payload, true);
    assert.equal(words.length, expected.length, words.join("\n"));
    expected.forEach((line, i) => assert.equal(words[i].slice(0, line.length), line));
  });
}

Deno.test("matchedFields() reads a masked WebSocket message", () => {
  const [, , , , payload] = MADE.find(([, , , name]) => name === "masked")!;
  const { fields } = matchedFields(match("websocket-tracker", "message", "proof", "x"), payload);
  assert.deepEqual(
    fields.map(({ name, value }) => [name, value]),
    [
      ["frame header and mask", null],
      ["action (masked)", '"action":"announce"'],
      ["info_hash (masked)", `"info_hash":"${HASH}"`],
    ],
  );
});

Deno.test("matchedFields() says when what matched is not in the bytes", () => {
  const { fields, note } = matchedFields(
    match("peer-wire", "handshake", "proof", "handshake"),
    hex("ff"),
  );
  assert.deepEqual(fields, []);
  assert.match(note!, /^What matched is not in the bytes kept/);
});

Deno.test("every kind has a detector, and every method is one of the list", () => {
  assert.deepEqual(new Set(ALL.map(([method]) => method)), new Set(METHODS));
  for (const method of METHODS) {
    if (method === "dht") continue; // its queries are rows of the signature table
    const found = ALL.filter((row) => row[0] === method).map(([, kind]) => kind);
    assert.deepEqual([...new Set(found)].sort(), [...KINDS[method]].sort(), method);
  }
});

Deno.test("matchedFields() never throws, and stays inside the payload", () => {
  const known = [...MADE.map(([, , , , payload]) => payload)];
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 512 }),
    // Real ones with bytes changed, cut anywhere: the readers get far into them.
    fc.tuple(
      fc.constantFrom(...known),
      fc.array(fc.tuple(fc.nat(511), fc.nat(255)), { maxLength: 6 }),
      fc.nat(512),
      fc.nat(60),
    ).map(([bytes, changes, end, start]) => {
      const copy = bytes.slice();
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy.subarray(start % 2 === 0 ? start : 0, end);
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...ALL), payloads, ([method, kind, strength, reason], payload) => {
      const { fields } = matchedFields(match(method, kind, strength, reason), payload);
      let last = 0;
      for (const { start, end, name } of fields) {
        assert.ok(last <= start && start < end && end <= payload.length, name);
        last = end;
      }
    }),
    { numRuns: 20_000 },
  );
});
