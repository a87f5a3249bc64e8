import assert from "node:assert/strict";
import { detectDht, findDhtValues } from "../../src/protocols/dht/detect.ts";
import {
  anyBytesAreHarmless,
  decides,
  detect,
  eachRandomPayload,
  everyBitFlipIsHarmless,
  everyCutIsClean,
  hex,
  join,
  latin1,
  randomPayloadCount,
  readsOnlyItsRange,
} from "./datagrams.ts";

const NODE = "\x70\xca\xda\xa4\x55\x60\x8c\x5d\x11\xc1\xee\xb8\x4e\x8b\x58\xcb\xb8\x1f\xa3\x69" +
  "\x43\xbe\x67\x65\xb7\x30"; // compact node info, arkime-bt-udp.pcap frame 2
const NODE6 = NODE.slice(0, 20) + "\x20\x01\x0d\xb8" + "\0".repeat(11) + "\x01\x1a\xe1";

// BEP 5's own examples where they exist.
const positives: readonly (readonly [string, string, string])[] = [
  ["ping", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", "ping query"],
  ["a ping's answer", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", "response"],
  ["an error", "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee", "error"],
  ["an error of a code alone", "d1:eli203ee1:t2:aa1:y1:ee", "error"],
  ["the last code of BEP 44", "d1:eli302e1:xe1:t2:aa1:y1:ee", "error"],
  ["an error without text", "d1:eli203e0:e1:t1:a1:y1:ee", "error"],
  [
    "find_node",
    "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
    "find_node query",
  ],
  [
    "get_peers with want, noseed and scrape (BEP 32, 33)",
    "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456" +
    "6:noseedi1e6:scrapei1e4:wantl2:n42:n6ee1:q9:get_peers1:t2:aa1:y1:qe",
    "get_peers query",
  ],
  [
    "announce_peer with n (libtorrent) and implied_port",
    "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz123456" +
    "1:n4:name4:porti6881e4:seedi1e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:v4:LT\x01\x021:y1:qe",
    "announce_peer query",
  ],
  [
    "a find_node answer with nodes, ip and p (BEP 42)",
    `d2:ip6:]/\x01\x02ab1:rd2:id20:0123456789abcdefghij5:nodes52:${NODE}${NODE}1:pi46645ee1:t2:aa1:y1:re`,
    "response",
  ],
  [
    "nodes6 (BEP 32)",
    `d1:rd2:id20:0123456789abcdefghij6:nodes638:${NODE6}e1:t2:aa1:y1:re`,
    "response",
  ],
  [
    "get_peers answer with values",
    "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
    "get_peers response",
  ],
  [
    "values of IPv6 (BEP 32)",
    `d1:rd2:id20:abcdefghij01234567895:token1:a6:valuesl18:${NODE6.slice(20)}ee1:t2:aa1:y1:re`,
    "get_peers response",
  ],
  [
    "get (BEP 44)",
    "d1:ad2:id20:abcdefghij01234567893:seqi1e6:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe",
    "get query",
  ],
  [
    "put (BEP 44)",
    "d1:ad2:id20:abcdefghij01234567895:token1:x1:vi12ee1:q3:put1:t2:aa1:y1:qe",
    "put query",
  ],
  [
    "sample_infohashes (BEP 51)",
    "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e" +
    "1:q17:sample_infohashes1:t2:aa1:y1:qe",
    "sample_infohashes query",
  ],
  [
    "samples (BEP 51)",
    "d1:rd2:id20:abcdefghij01234567898:intervali60e3:numi1e7:samples20:mnopqrstuvwxyz123456e" +
    "1:t2:aa1:y1:re",
    "response",
  ],
  [
    "read-only (BEP 43)",
    "d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe",
    "ping query",
  ],
  [
    "a method of another extension",
    "d1:ad2:id20:abcdefghij0123456789e1:q7:unknown1:t2:aa1:y1:qe",
    "query",
  ],
  [
    "a method that begins as a known one does",
    "d1:ad2:id20:abcdefghij0123456789e1:q5:pings1:t2:aa1:y1:qe",
    "query",
  ],
  ["keys out of order", "d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee", "ping query"],
  [
    "bytes after the dictionary",
    "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re\0\0\0\0",
    "response",
  ],
  [
    "a method's name in an answer (arkime-bt-udp.pcap frame 3)",
    "d1:q9:find_node1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
    "response",
  ],
];
for (const [name, text, reason] of positives) {
  Deno.test(`detectDht() finds ${name}`, () => {
    const found = readsOnlyItsRange(detectDht, latin1(text));
    assert.equal(found?.reason, reason);
    assert.equal(found?.strength, "proof");
    assert.equal(found?.method, "dht");
  });
}

const negatives: readonly (readonly [string, string])[] = [
  ["no transaction id", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe"],
  ["an integer as transaction id", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:ti7e1:y1:qe"],
  ["no type", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aae"],
  ["an unknown type", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:xe"],
  ["a type of two bytes", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y2:rre"],
  ["a node id of 19 bytes", "d1:rd2:id19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re"],
  ["no node id", "d1:rd5:token2:abe1:t2:aa1:y1:re    "],
  ["a query without a method", "d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe"],
  ["a query with an answer's values", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:qe"],
  ["an answer with a query's arguments", "d1:ad2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re"],
  [
    "nodes of 25 bytes",
    `d1:rd2:id20:0123456789abcdefghij5:nodes25:${NODE.slice(1)}e1:t2:aa1:y1:re`,
  ],
  [
    "nodes6 of 37 bytes",
    `d1:rd2:id20:0123456789abcdefghij6:nodes637:${NODE6.slice(1)}e1:t2:aa1:y1:re`,
  ],
  [
    "samples of 19 bytes",
    "d1:rd2:id20:abcdefghij01234567897:samples19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re",
  ],
  ["arguments in a list", "d1:al2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"],
  ["values of 7 bytes", "d1:rd2:id20:abcdefghij01234567896:valuesl7:axje.u1ee1:t2:aa1:y1:re"],
  ["values that are no list", "d1:rd2:id20:abcdefghij01234567896:values6:axje.ue1:t2:aa1:y1:re"],
  ["an error of another protocol over KRPC", "d1:eli404e9:Not founde1:t2:aa1:y1:ee"],
  ["a code below BEP 5's", "d1:eli200e2:OKe1:t2:aa1:y1:ee"],
  ["a code above BEP 44's", "d1:eli303e9:See Othere1:t2:aa1:y1:ee"],
  ["an error that is a string", "d1:e23:A Generic Error Ocurred1:t2:aa1:y1:ee"],
  ["an error without a code", "d1:el23:A Generic Error Occurree1:t2:aa1:y1:ee"],
  ["an error with three items", "d1:eli201e7:Generic3:onee1:t2:aa1:y1:ee"],
  ["a tracker's answer", "d8:completei1e10:incompletei0e8:intervali1800e5:peers6:abcdefe"],
  ["an extension handshake", "d1:md11:ut_metadatai2e6:ut_pexi1ee1:pi6881e1:v3:abc4:reqqi250ee"],
  ["rtpengine's control protocol", "d3:sdp9:v=0\r\no=- 7:call-id3:abc7:command5:offere"],
  ["cjdns", "d2:ei01:f4:getp1:q4:ping4:txid4:abcd1:pi20ee"],
  ["text that begins with d", "d20:09 the weather is fine, is it not? Yes, it is."],
  ["a torrent", "d8:announce19:http://example.org/4:infod6:lengthi1e4:name1:aee"],
];
for (const [name, text] of negatives) {
  Deno.test(`detectDht() rejects ${name}`, () => {
    assert.equal(readsOnlyItsRange(detectDht, latin1(text)), null);
  });
}

// arkime-bt-udp.pcap frame 1: uTorrent asks for a node.
const captured = hex(
  "64313a6164323a696432303a5a68d3ec069f47fef50e79ddf086ac4d2e5e2622363a74617267657432303a5a794bf8" +
    "d902c9446cfa18f9a0ca82abe44400c865313a71393a66696e645f6e6f6465313a74343a76fd8227313a76343a5554" +
    "73f2313a79313a7165",
);

Deno.test("detectDht() finds a captured query, and no part of it", () => {
  assert.equal(detect(detectDht, captured)?.reason, "find_node query");
  everyCutIsClean(detectDht, captured);
  everyBitFlipIsHarmless(detectDht, captured);
});

Deno.test("detectDht() finds no part of any message", () => {
  for (const [name, text] of positives) {
    const bytes = latin1(text.replace(/\0+$/, ""));
    everyCutIsClean(detectDht, bytes);
    assert.ok(detect(detectDht, bytes), name);
  }
});

Deno.test("property: detectDht() reads any bytes without harm", () => {
  anyBytesAreHarmless(detectDht, positives.map(([, text]) => latin1(text)));
});

Deno.test("property: random payloads are no DHT", () => {
  const beginnings = [latin1("d"), latin1("d1:"), latin1("d1:ad2:id20:"), latin1("d1:eli2")];
  eachRandomPayload(randomPayloadCount(), beginnings, (bytes, start, end) => {
    assert.ok(!decides(detectDht(bytes, start, end)));
  });
});

Deno.test("findDhtValues() gives a position", () => {
  assert.equal(findDhtValues(captured, 0, captured.length), -1);
  const [, answer] = positives.find(([name]) => name.includes("answer with values"))!;
  const bytes = join(latin1("xx"), latin1(answer));
  assert.equal(answer.slice(findDhtValues(bytes, 2, bytes.length) - 2).slice(0, 9), "l6:axje.u");
});

Deno.test("detectDht() reads dictionaries of as many keys as messages have, and no more", () => {
  const ping = (top: number, inside: number) =>
    latin1(
      `d1:ad2:id20:${NODE.slice(0, 20)}${"1:zi1e".repeat(inside)}e1:q4:ping${
        "1:zi1e".repeat(top)
      }` +
        "1:t2:aa1:y1:qe",
    );
  const found = (message: Uint8Array) => detectDht(message, 0, message.length)?.reason;
  assert.equal(found(ping(40, 40)), "ping query");
  assert.equal(found(ping(90, 0)), undefined);
  assert.equal(found(ping(0, 90)), undefined);
});
