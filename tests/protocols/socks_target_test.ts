import assert from "node:assert/strict";
import { formatAddress } from "../../src/packet/address.ts";
import { readTarget } from "../../src/protocols/socks/target.ts";
import { negotiationLength } from "../../src/protocols/socks/negotiation.ts";
import { latin1 } from "../engine/conversation.ts";

const NAME = "a name";
const GREETING = "\x05\x01\x00";
const V4 = "\x01\xcb\x00\x71\x09\xc8\xd5";
const V6 = "\x04\x20\x01\x0d\xb8" + "\0".repeat(11) + "\x07\xc8\xd5";

const cases: readonly (readonly [string, string, string, number])[] = [
  ["SOCKS5, IPv4", `${GREETING}\x05\x01\x00${V4}`, "203.0.113.9", 51_413],
  ["SOCKS5, IPv6", `${GREETING}\x05\x01\x00${V6}`, "2001:db8::7", 51_413],
  ["SOCKS5, a name", `${GREETING}\x05\x01\x00\x03\x04peer\xc8\xd5`, NAME, 51_413],
  [
    "SOCKS5, an address in letters",
    `${GREETING}\x05\x01\x00\x03\x0b203.0.113.9\xc8\xd5`,
    "203.0.113.9",
    51_413,
  ],
  [
    "SOCKS5 behind user and password",
    `\x05\x02\x00\x02\x01\x03joe\x02pw\x05\x01\x00${V4}`,
    "203.0.113.9",
    51_413,
  ],
  ["SOCKS4", "\x04\x01\xc8\xd5\xcb\x00\x71\x09user\0", "203.0.113.9", 51_413],
  ["SOCKS4a", "\x04\x01\xc8\xd5\0\0\0\x01user\0peer\0", NAME, 51_413],
  ["CONNECT, IPv4", "CONNECT 203.0.113.9:51413 HTTP/1.1\r\n\r\n", "203.0.113.9", 51_413],
  ["CONNECT, IPv6", "CONNECT [2001:db8::7]:51413 HTTP/1.1\r\n\r\n", "2001:db8::7", 51_413],
  ["CONNECT, a name", "CONNECT peer:51413 HTTP/1.1\r\nHost: peer:51413\r\n\r\n", NAME, 51_413],
  ["VLESS, IPv4", `\0${"u".repeat(16)}\0\x01\xc8\xd5\x01\xcb\x00\x71\x09`, "203.0.113.9", 51_413],
  ["SAM", "HELLO VERSION MIN=3.1 MAX=3.1\nSTREAM CONNECT ID=lt DESTINATION=A-b~\n", NAME, 65_535],
  ["SAM, waiting", "HELLO VERSION MIN=3.1 MAX=3.1\nSTREAM ACCEPT ID=lt\n", NAME, 65_535],
  ["VLESS, a name", `\0${"u".repeat(16)}\0\x01\xc8\xd5\x02\x04peer`, NAME, 51_413],
];

/** The four words, one before them and one behind, and the port. */
function read(text: string): { words: Int32Array; port: number } {
  const bytes = latin1(`xx${text}\x17\x03\x03`);
  const end = 2 + text.length;
  assert.equal(negotiationLength(bytes, 2, end, true), text.length, "it is a whole negotiation");
  const words = new Int32Array(6).fill(7);
  return { port: readTarget(bytes, 2, end, words, 1), words };
}

for (const [name, text, address, port] of cases) {
  Deno.test(`readTarget() ${name}`, () => {
    const { words, port: read_ } = read(text);
    assert.equal(read_, port);
    assert.deepEqual([words[0], words[5]], [7, 7], "nothing beside them is written");
    if (address === NAME) assert.equal(words[1] >>> 24, 0xff, "nobody's address");
    else assert.equal(formatAddress(words, 1), address);
  });
}

Deno.test("readTarget() tells names apart, however they are written, in all networks' first halves", () => {
  const of = (name: string) => read(`CONNECT ${name}:443 HTTP/1.1\r\n\r\n`).words.subarray(1, 5);
  assert.deepEqual(of("Peer.Example"), of("peer.example"));
  assert.deepEqual(
    of("peer.example"),
    read(`\x05\x01\x00\x05\x01\x00\x03\x0cpeer.example\x01\xbb`).words.subarray(1, 5),
  );
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) seen.add(of(`peer${i}.example`).subarray(0, 2).join());
  assert.equal(seen.size, 2000);
});
