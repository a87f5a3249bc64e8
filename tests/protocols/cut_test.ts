import assert from "node:assert/strict";
import fc from "fast-check";
import { ascii } from "../../src/packet/bytes.ts";
import { detectCutDatagram } from "../../src/protocols/cut_datagram.ts";
import { detectDht } from "../../src/protocols/dht/detect.ts";
import { detectCutRequest } from "../../src/protocols/http_tracker/detect_cut.ts";

const ID = "abcdefghij0123456789";
const HASH = "mnopqrstuvwxyz123456";
/** BEP 15: connection, action 1, transaction, info-hash, peer id; 98 bytes in all. */
const announce = (action: string, peerId: string) =>
  `\x12\x34\x56\x78\x9a\xbc\xde\xf0\0\0\0${action}\x5e\xed\0\x01${HASH}${peerId}`;

const datagrams: readonly (readonly [string, string, number, string | null])[] = [
  ["get_peers", `d1:ad2:id20:${ID}9:info_hash20:abc`, 104, "get_peers"],
  ["announce_peer", `d1:ad2:id20:${ID}12:implied_porti1`, 140, "announce_peer"],
  ["find_node, cut in its id", `d1:ad2:id20:abcde`, 92, "query"],
  ["a response", `d1:rd2:id20:${ID}5:nodes208:xyz`, 288, "response"],
  ["a response behind the asker's address", `d2:ip6:abcdef1:rd2:id20:${ID}5:no`, 288, "response"],
  ["local discovery", "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPo", 119, "announce"],
  ["an announce of BEP 15", announce("\x01", "-qB4520-abcdef"), 98, "announce-by-peer-id"],
  ["an id of 21 bytes", `d1:ad2:id21:${ID}`, 104, null],
  ["another key in the arguments", `d1:ad3:foo20:${ID}`, 104, null],
  ["no key behind the id", `d1:ad2:id20:${ID}x9:info_hash`, 104, null],
  ["a dictionary of others", "d8:announce35:udp://tracker.example.org:6969", 104, null],
  ["an announce without a client's mark", announce("\x01", "aaaaaaaaaaaaaa"), 98, null],
  ["an announce that is too short", announce("\x01", "-qB4520-abcdef"), 90, null],
  ["another action", announce("\x02", "-qB4520-abcdef"), 98, null],
];
for (const [name, text, length, kind] of datagrams) {
  Deno.test(`of a cut datagram: ${name}: ${kind ?? "nothing"}`, () => {
    const bytes = ascii(text);
    assert.equal(detectCutDatagram(bytes, 0, bytes.length, length)?.kind ?? null, kind);
  });
}

for (
  const [name, text, isFound] of [
    ["an announce", "GET /announce?info_hash=%12%34%56%78%9a%bc", true],
    ["an announce cut in an escape", "GET /announce?info_hash=%12%3", true],
    ["a scrape behind a key", "GET /a1b2c3d4/scrape.php?info_hash=abcdefghij0123456789&inf", true],
    ["another key first", "GET /announce?port=6881&info_hash=%12", true],
    ["no hash yet", "GET /announce?info_hash=", false],
    ["a hash of 19 bytes", "GET /announce?info_hash=abcdefghij012345678&peer", false],
    ["another path", "GET /torrents?info_hash=%12%34%56", false],
    ["another key", "GET /announce?id=%12%34%56", false],
    ["a whole request line", "GET /announce?info_hash=%12%34 HTTP/1.1\r\nHost: ", false],
  ] as const
) {
  Deno.test(`of a cut request: ${name}: ${isFound ? "found" : "nothing"}`, () => {
    const bytes = ascii(text);
    assert.equal(detectCutRequest(bytes, 0, bytes.length) !== null, isFound);
  });
}

const WHOLE = [
  `d1:ad2:id20:${ID}9:info_hash20:${HASH}e1:q9:get_peers1:t2:aa1:v4:LT\x02\x081:y1:qe`,
  `d1:ad2:id20:${ID}6:target20:${HASH}e1:q9:find_node1:t2:aa1:y1:qe`,
  `d2:ip6:abcdef1:rd2:id20:${ID}5:nodes26:${"n".repeat(26)}e1:t2:aa1:y1:re`,
].map(ascii);

Deno.test("a message that is found whole is found cut, once its node's id begins", () => {
  for (const whole of WHOLE) {
    assert.ok(detectDht(whole, 0, whole.length) !== null);
    const begins = new TextDecoder("latin1").decode(whole).indexOf("2:id20:") + 7;
    for (let end = 0; end < whole.length; end++) {
      const isFound = detectCutDatagram(whole, 0, end, whole.length) !== null;
      assert.equal(isFound, end >= begins, `${end} bytes`);
    }
  }
});

Deno.test("random bytes that are cut are nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 90 }), (bytes) => {
      assert.equal(detectCutDatagram(bytes, 0, bytes.length, 1400), null);
      assert.equal(detectCutRequest(bytes, 0, bytes.length), null);
    }),
    { numRuns: 20_000 },
  );
});
