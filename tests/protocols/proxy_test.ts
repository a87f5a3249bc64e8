import assert from "node:assert/strict";
import { detectSocks, negotiationLength } from "../../src/protocols/socks/negotiation.ts";
import { hex, join, latin1, readsOnlyItsRange } from "./datagrams.ts";
import { testProperties, testTable } from "./streams.ts";

const INNER = latin1("\x13BitTorrent protocol");

// socks.pcap, first payloads of each kind; RFC 1928 and 1929, section 2.
const SOCKS5_CLIENT = hex("050100 05010003 0e7777772e676f6f676c652e636f6d 0050");
const SOCKS5_SERVER = hex("0500 050000010a0000020050");
const SOCKS5_PASSWORD_CLIENT = join(
  hex("05020002 0104"),
  latin1("user"),
  hex("04"),
  latin1("pass"),
  hex("050100015db8d8770050"),
);
const SOCKS5_PASSWORD_SERVER = hex("0502 0100 05000001000000000000");
const SOCKS5_IPV6 = hex("050100 05010004 20010db8000100000000000000000002 c8d6");
const SOCKS4 = hex("040100505db8d87700");
const SOCKS4A = hex("0401005000000001007777772e6578616d706c652e636f6d00");
const SOCKS4_SERVER = hex("005adfb20ab49cf9");
const CONNECT = latin1("CONNECT peer.example:6881 HTTP/1.1\r\nHost: peer.example:6881\r\n\r\n");
const CONNECT_AGAIN = join(
  CONNECT,
  latin1("CONNECT peer.example:6881 HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n"),
);
const CONNECTED = latin1("HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n");
const REFUSED_FIRST = join(
  latin1("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 5\r\n\r\nhello"),
  CONNECTED,
);

// As libtorrent 2.0 and i2pd write them; SAM V3 of the I2P project.
const I2P_DESTINATION = "A-b~".repeat(129);
const SAM_CONNECT = latin1(
  `HELLO VERSION MIN=3.1 MAX=3.1\nSTREAM CONNECT ID=lt DESTINATION=${I2P_DESTINATION} SILENT=false\n`,
);
const SAM_ACCEPT = latin1("HELLO VERSION MIN=3.0 MAX=3.1\nSTREAM ACCEPT ID=lt SILENT=false\n");
const SAM_CONNECTED = latin1("HELLO REPLY RESULT=OK VERSION=3.1\nSTREAM STATUS RESULT=OK\n");
const SAM_CALLED = join(
  SAM_CONNECTED,
  latin1(`${I2P_DESTINATION} FROM_PORT=0 TO_PORT=0\n`),
);
const SAM_SILENT = latin1("HELLO REPLY RESULT=OK VERSION=3.1\n");

// HAProxy, "The PROXY protocol", sections 2.1 and 2.2.
const PROXY1 = latin1("PROXY TCP4 192.0.2.1 192.0.2.2 56324 6881\r\n");
const PROXY2 = hex("0d0a0d0a000d0a515549540a 21 11 000c c0000201 c0000202 dc04 1ae1");
const PROXY2_LOCAL = hex("0d0a0d0a000d0a515549540a 20 00 0000");

const negotiations: readonly (readonly [string, Uint8Array, boolean])[] = [
  ["SOCKS5", SOCKS5_CLIENT, true],
  ["SOCKS5 reply", SOCKS5_SERVER, false],
  ["SOCKS5 with user and password", SOCKS5_PASSWORD_CLIENT, true],
  ["SOCKS5 reply after user and password", SOCKS5_PASSWORD_SERVER, false],
  ["SOCKS5 to IPv6", SOCKS5_IPV6, true],
  ["SOCKS4", SOCKS4, true],
  ["SOCKS4a", SOCKS4A, true],
  ["SOCKS4 reply", SOCKS4_SERVER, false],
  ["HTTP CONNECT", CONNECT, true],
  ["HTTP CONNECT in lower case", CONNECT.map((byte, i) => (i < 7 ? byte | 0x20 : byte)), true],
  ["HTTP CONNECT, again after 407", CONNECT_AGAIN, true],
  ["response to CONNECT", CONNECTED, false],
  ["response after 407", REFUSED_FIRST, false],
  ["the PROXY protocol's line", PROXY1, true],
  ["its header", PROXY2, true],
  ["its header of a health check", PROXY2_LOCAL, true],
  ["I2P's SAM", SAM_CONNECT, true],
  ["SAM waiting for a call", SAM_ACCEPT, true],
  ["SAM's answer", SAM_CONNECTED, false],
  ["SAM's call", SAM_CALLED, false],
  ["SAM's silent answer", SAM_SILENT, false],
];

for (const [name, negotiation, fromClient] of negotiations) {
  const read = (bytes: Uint8Array, start: number, end: number) =>
    negotiationLength(bytes, start, end, fromClient);
  Deno.test(`negotiationLength() measures ${name}`, () => {
    const stream = join(negotiation, INNER);
    assert.equal(readsOnlyItsRange(read, stream), negotiation.length);
    for (let cut = 1; cut < negotiation.length; cut++) {
      const length = readsOnlyItsRange(read, stream.slice(0, cut), undefined, stream.slice(cut));
      // A CONNECT that is refused and repeated is a whole negotiation at its first blank line.
      assert.ok(length === -1 || (negotiation === CONNECT_AGAIN && length === CONNECT.length));
    }
  });
}

const others: readonly (readonly [string, Uint8Array, boolean])[] = [
  ["a peer wire handshake", INNER, true],
  ["a request", latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), true],
  ["CONNECT without a port", latin1("CONNECT /path HTTP/1.1\r\n\r\n"), true],
  ["a page", latin1("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n\x13BitTorrent protocol"), false],
  [
    "a page of unknown length",
    latin1("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<"),
    false,
  ],
  ["a tracker's bare answer", latin1("HTTP/1.0 200 OK\r\n\r\nd8:intervali5ee"), false],
  ["an error", latin1("HTTP/1.1 404 Not Found\r\n\r\n"), false],
  ["SOCKS5 without methods", hex("0500"), true],
  ["a greeting without a request", hex("050100 06010001"), true],
  ["a request to port 0", hex("050100 05010001 0a000001 0000"), true],
  ["SOCKS4 to 0.0.0.0", hex("040100500000000000"), true],
  ["an MQTT-like byte 4", hex("0404 4d515454"), true],
  ["TLS", hex("1603010200010001fc0303"), true],
  ["zeros", new Uint8Array(32), false],
  ["a longer line than the PROXY protocol's", latin1(`PROXY ${"x".repeat(120)}\r\n`), true],
  ["the PROXY protocol from who was called", PROXY1, false],
  ["another version of it", hex("0d0a0d0a000d0a515549540a 31 11 0000"), true],
  ["POST", latin1("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), true],
  ["empty lines before a request", latin1("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), true],
  ["SMTP's HELO", latin1("HELO mail.example\r\n"), true],
  ["HEAD", latin1("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), true],
  ["SAM and another question", latin1("HELLO VERSION MIN=3.1\nHELP\n"), true],
  ["SAM's refusal", latin1("HELLO REPLY RESULT=NOVERSION\n"), false],
];
for (const [name, bytes, fromClient] of others) {
  Deno.test(`negotiationLength() finds none in ${name}`, () => {
    assert.equal(negotiationLength(bytes, 0, bytes.length, fromClient), 0);
  });
}

Deno.test("negotiationLength() takes a stream that begins with d for a tracker's answer only by its first key", () => {
  const length = CONNECTED.length;
  for (
    const [body, expected] of [
      ["d\xeb\x8d\xaa", length], // a key of MSE's, recorded
      ["d8\xeb\x8d", length],
      ["d", -1],
      ["d8", -1],
      ["d8:interval", 0],
      ["d10:tracker id", 0],
    ] as const
  ) {
    const bytes = join(CONNECTED, latin1(body));
    assert.equal(negotiationLength(bytes, 0, bytes.length, false), expected, body);
  }
});

testTable("detectSocks", detectSocks, [
  { name: "accepts SOCKS5 with its request", bytes: SOCKS5_CLIENT, expected: "SOCKS5 request" },
  { name: "accepts user and password", bytes: SOCKS5_PASSWORD_CLIENT, expected: "SOCKS5 request" },
  { name: "accepts a reply", bytes: SOCKS5_SERVER, expected: "SOCKS5 reply" },
  { name: "waits behind a greeting", bytes: hex("050100"), expected: "more" },
  { name: "accepts SOCKS4", bytes: SOCKS4, expected: "SOCKS4 request" },
  { name: "accepts SOCKS4a", bytes: SOCKS4A, expected: "SOCKS4a request" },
  {
    name: "rejects SOCKS4 with something behind it: nothing is sent before the reply",
    bytes: join(SOCKS4, hex("00")),
    expected: "no",
  },
  {
    name: "rejects SOCKS4 to a multicast address",
    bytes: hex("04010050e0000001 00"),
    expected: "no",
  },
  {
    name: "rejects a user id with control characters",
    bytes: hex("040100505db8d8770100"),
    expected: "no",
  },
  {
    name: "rejects other protocols' 05",
    bytes: hex("05000b0310000000480000000100"),
    expected: "no",
  },
  { name: "rejects an unassigned method", bytes: hex("05014005010001"), expected: "no" },
  { name: "rejects other first bytes", bytes: hex("0601000501000a"), expected: "no" },
]);

testProperties("detectSocks", detectSocks, [
  SOCKS5_CLIENT,
  SOCKS5_PASSWORD_CLIENT,
  SOCKS5_SERVER,
  SOCKS4,
  SOCKS4A,
]);
