import assert from "node:assert/strict";
import { detectLsd } from "../../src/protocols/lsd/detect.ts";
import {
  anyBytesAreHarmless,
  decides,
  detect,
  eachRandomPayload,
  everyBitFlipIsHarmless,
  everyCutIsClean,
  latin1,
  randomPayloadCount,
  readsOnlyItsRange,
} from "./datagrams.ts";

const HASH = "0123456789abcdefABCDEF0123456789abcdef01";
// bt_search.pcap frame 1, its hash replaced.
const message = "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 63836\r\n" +
  `Infohash: ${HASH}\r\n\r\n\r\n`;

const rows: readonly (readonly [string, string, boolean])[] = [
  ["a message", message, true],
  ["the IPv6 group", message.replace("239.192.152.143", "[ff15::efc0:988f]"), true],
  ["a cookie (BEP 14)", message.replace("\r\n\r\n", "\r\ncookie: 1a2b\r\n\r\n"), true],
  ["the header in capitals", message.replace("Infohash", "INFOHASH"), true],
  ["the header without a space", message.replace("Infohash: ", "infohash:"), true],
  ["several info-hashes", message.replace("Infohash", `Infohash: ${HASH}\r\nInfohash`), true],
  ["bare line feeds", message.replaceAll("\r", ""), true],
  ["no empty line", message.trimEnd(), true],
  ["39 digits", message.replace(HASH, HASH.slice(1)), false],
  ["41 digits", message.replace(HASH, HASH + "0"), false],
  ["a digit that is none", message.replace("cdef", "cdeg"), false],
  ["no info-hash", message.replace("Infohash", "Infolash"), false],
  ["an info-hash after the empty line", message.replace("\r\nPort", "\r\n\r\nPort"), false],
  ["another method", message.replace("BT-SEARCH", "M-SEARCH"), false],
  ["UPnP's M-SEARCH", 'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\n'.padEnd(90, "x"), false],
  ["a message about one", "See: " + message, false],
  ["another version", message.replace("HTTP/1.1", "HTTP/1.2"), false],
];
for (const [name, text, expected] of rows) {
  Deno.test(`detectLsd() ${expected ? "finds" : "rejects"} ${name}`, () => {
    const found = readsOnlyItsRange(detectLsd, latin1(text));
    assert.equal(found?.strength, expected ? "proof" : undefined);
  });
}

Deno.test("detectLsd() needs the whole info-hash", () => {
  const bytes = latin1(message);
  everyCutIsClean(detectLsd, bytes, (length) => length >= message.indexOf(HASH) + HASH.length);
  everyBitFlipIsHarmless(detectLsd, bytes);
  assert.equal(detect(detectLsd, bytes)?.method, "lsd");
});

Deno.test("property: detectLsd() reads any bytes without harm, and random ones are no LSD", () => {
  anyBytesAreHarmless(detectLsd, [latin1(message)]);
  const beginnings = [latin1("BT-SEARCH * HTTP/1.1\r\n"), latin1(message.slice(0, 80))];
  eachRandomPayload(randomPayloadCount(), beginnings, (bytes, start, end) => {
    assert.ok(!decides(detectLsd(bytes, start, end)));
  });
});
