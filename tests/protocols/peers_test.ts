import assert from "node:assert/strict";
import fc from "fast-check";
import { KINDS, match, type Method } from "../../src/protocols/match.ts";
import { readPeers } from "../../src/protocols/methods.ts";
import { hex, join, latin1 } from "./datagrams.ts";

/** The peers of a message, as hexadecimal words and the port, read inside a larger buffer. */
function peersOf(method: Method, payload: Uint8Array, family?: number): string[] {
  const list: string[] = [];
  const word = (value: number) => {
    assert.ok(Object.is(value, value | 0), "signed 32-bit words");
    return (value >>> 0).toString(16);
  };
  const sink = {
    peer(w0: number, w1: number, w2: number, w3: number, port: number) {
      list.push(`${word(w0)}:${word(w1)}:${word(w2)}:${word(w3)} ${port}`);
    },
  };
  const pad = latin1("6:peers6");
  const buffer = join(pad, payload, pad);
  readPeers(
    match(method, KINDS[method][0], "proof", "test"),
    buffer,
    pad.length,
    pad.length + payload.length,
    sink,
    family,
  );
  return list;
}

const A = "0:0:ffff:c0000201 6881"; // 192.0.2.1
const B = "0:0:ffff:cb007109 51413"; // 203.0.113.9
const C = "20010db8:0:0:1 6881"; // 2001:db8::1
const COMPACT_A = "\xc0\x00\x02\x01\x1a\xe1";
const COMPACT_B = "\xcb\x00\x71\x09\xc8\xd5";
const COMPACT_C = "\x20\x01\x0d\xb8" + "\0".repeat(11) + "\x01\x1a\xe1";

Deno.test("readPeers() of a DHT answer: values of both families, not nodes", () => {
  const node = "n".repeat(26);
  const text = `d1:rd2:id20:abcdefghij01234567895:nodes26:${node}6:valuesl6:${COMPACT_A}` +
    `18:${COMPACT_C}6:${COMPACT_B}ee1:t2:aa1:y1:re`;
  assert.deepEqual(peersOf("dht", latin1(text)), [A, C, B]);
  assert.deepEqual(peersOf("dht", latin1("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re")), []);
});

Deno.test("readPeers() of a UDP tracker's answer", () => {
  const head = hex("00000001 5eed0002 00000708 00000001 00000002");
  assert.deepEqual(peersOf("udp-tracker", join(head, latin1(COMPACT_A + COMPACT_B))), [A, B]);
  assert.deepEqual(peersOf("udp-tracker", join(head, latin1(COMPACT_C)), 6), [C]);
  assert.deepEqual(peersOf("udp-tracker", join(head, latin1(COMPACT_A + "\xcb\0"))), [A]); // cut
  assert.deepEqual(peersOf("udp-tracker", head), []);
  assert.deepEqual(peersOf("udp-tracker", hex("0000041727101980 00000000 5eed0001")), []);
});

Deno.test("readPeers() of an HTTP tracker's answer, compact (BEP 23, BEP 7)", () => {
  const body = `d8:intervali1800e5:peers12:${COMPACT_A}${COMPACT_B}6:peers618:${COMPACT_C}e`;
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
  const expected = [A, B, C];
  const length = (text: string) => text.length.toString(16);
  assert.deepEqual(peersOf("http-tracker", latin1(`${head}\r\n${body}`)), expected);
  assert.deepEqual(peersOf("http-tracker", latin1(body)), expected);
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${
    length(body)
  }\r\n${body}\r\n0\r\n\r\n`;
  assert.deepEqual(peersOf("http-tracker", latin1(chunked)), expected);
  const long = body + "x".repeat(0xd5 - body.length); // a size that begins with "d"
  const chunk = `${head}\r\n${length(long)}\r\n${long}\r\n`;
  assert.deepEqual(peersOf("http-tracker", latin1(chunk)), expected);
  assert.deepEqual(peersOf("http-tracker", latin1(head)), []);
});

Deno.test("readPeers() of an HTTP tracker's answer, dictionaries (BEP 3)", () => {
  const entry = (ip: string, port: number) =>
    `d2:ip${ip.length}:${ip}7:peer id20:-qB4520-abcdefghijkl4:porti${port}ee`;
  const peers = (...entries: string[]) =>
    peersOf("http-tracker", latin1(`d8:intervali1800e5:peersl${entries.join("")}ee`));
  assert.deepEqual(peers(entry("192.0.2.1", 6881), entry("203.0.113.9", 51413)), [A, B]);
  const addresses: readonly (readonly [string, string | null])[] = [
    ["2001:db8::1", C],
    ["2001:0DB8:0:0:0:0:0:1", C],
    ["2001:db8::0:0:1", C],
    ["::ffff:192.0.2.1", A],
    ["1::", "10000:0:0:0 6881"],
    ["::1:2", "0:0:0:10002 6881"],
    ["1:2:3:4:5:6:7:8", "10002:30004:50006:70008 6881"],
    ["1:2:3:4:5:6:1.2.3.4", "10002:30004:50006:1020304 6881"],
    ["192.0.2.256", null],
    ["192.0.2", null],
    ["192.0.2.1.1", null],
    ["192.0.2.", null],
    ["0.0.0.0", null],
    ["::", null],
    ["1:2:3:4:5:6:7", null],
    ["1:2:3:4:5:6:7:8:9", null],
    ["1::2::3", null],
    ["1:2:3:4:5:6:7:8::", null],
    ["1:2:", null],
    ["12345::", null],
    ["g::", null],
    ["tracker.example.org", null],
    ["", null],
  ];
  for (const [text, expected] of addresses) {
    assert.deepEqual(peers(entry(text, 6881)), expected === null ? [] : [expected], text);
  }
  assert.deepEqual(peers(entry("192.0.2.1", 0), entry("192.0.2.1", 65536)), []);
});

Deno.test("readPeers() of a PEX message (BEP 11), inside its length", () => {
  const dictionary = `d5:added12:${COMPACT_A}${COMPACT_B}7:added.f2:\0\0` +
    `6:added618:${COMPACT_C}7:dropped6:${"\x01".repeat(6)}e`;
  const size = dictionary.length + 2;
  const frame = (length: number, id: string) => `\0\0\0${String.fromCharCode(length)}${id}\x01`;
  assert.deepEqual(peersOf("extension", latin1(frame(size, "\x14") + dictionary)), [A, B, C]);
  assert.deepEqual(peersOf("extension", latin1(frame(40, "\x14") + dictionary)), [A, B]);
  assert.deepEqual(peersOf("extension", latin1(frame(size, "\x13") + dictionary)), []);
});

Deno.test("readPeers() of other messages names nobody, nor do port 0 and address 0", () => {
  assert.deepEqual(peersOf("peer-wire", latin1(COMPACT_A)), []);
  const head = hex("00000001 5eed0002 00000708 00000001 00000002");
  const none = latin1("\0\0\0\0\x1a\xe1" + "\xc0\x00\x02\x01\0\0");
  assert.deepEqual(peersOf("udp-tracker", join(head, none)), []);
  assert.deepEqual(peersOf("udp-tracker", join(head, new Uint8Array(18)), 6), []);
});

Deno.test("readPeers() stops after 512", () => {
  const head = hex("00000001 5eed0002 00000708 00000001 00000002");
  const many = join(head, latin1(COMPACT_A.repeat(1000)));
  assert.equal(peersOf("udp-tracker", many).length, 512);
});

Deno.test("property: readPeers() takes any bytes", () => {
  const methods = fc.constantFrom<Method>("dht", "udp-tracker", "http-tracker", "extension");
  const beginnings = fc.constantFrom(
    "",
    "d1:rd6:valuesl6:",
    "d5:peersl",
    "d5:peersld2:ip",
    "d6:peers6",
    "HTTP/1.1 200 OK\r\n\r\nd5:peers",
    "\0\0\0\x30\x14\x01d5:added",
    "\0\0\0\x01",
  );
  const tails = fc.array(fc.constantFrom(...latin1("dlie0123456789:.abcf\r\n")), { maxLength: 80 });
  fc.assert(
    fc.property(methods, beginnings, tails, (method, beginning, tail) => {
      peersOf(method, join(latin1(beginning), Uint8Array.from(tail)));
    }),
    { numRuns: 3000 },
  );
});
