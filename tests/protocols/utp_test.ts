import assert from "node:assert/strict";
import { detectUtp, isFreshSyn, utpHeaderEnd } from "../../src/protocols/utp/detect.ts";
import {
  anyBytesAreHarmless,
  decides,
  eachRandomPayload,
  everyBitFlipIsHarmless,
  everyCutIsClean,
  hex,
  join,
  latin1,
  randomPayloadCount,
  readsOnlyItsRange,
} from "./datagrams.ts";

// bittorrent_utp.pcap: a SYN, and a DATA packet with the peer wire handshake (its start).
const syn = hex("41005302 10eeb2f0 00000000 00000000 e7f5 0000");
const data = hex("01005303 10f06876 09f12917 00100000 e7f6 49c6");
const handshake = join(data, latin1("\x13BitTorrent protocol"), hex("00000000001800050ca4c8e7"));
const HEADER = "5303 10f06876 09f12917 00100000 e7f6 49c6";

const headers: readonly (readonly [string, string, number])[] = [
  ["DATA", `0100 ${HEADER} 61`, 20],
  ["DATA without data", `0100 ${HEADER}`, -1],
  ["FIN", `1100 ${HEADER}`, 20],
  ["STATE", `2100 ${HEADER}`, 20],
  ["STATE with data", `2100 ${HEADER} 61`, -1],
  ["RESET", `3100 ${HEADER}`, 20],
  ["SYN", `4100 ${HEADER}`, 20],
  ["type 5", `5100 ${HEADER}`, -1],
  ["version 0", `2000 ${HEADER}`, -1],
  ["version 2", `2200 ${HEADER}`, -1],
  ["a selective ack (bittorrent_utp.pcap)", `2101 ${HEADER} 0004 01000000`, 26],
  ["a selective ack of 8 bytes before data", `0101 ${HEADER} 0008 0100000000000000 61`, 30],
  ["a selective ack of 0 bytes", `2101 ${HEADER} 0000`, -1],
  ["a selective ack of 5 bytes", `2101 ${HEADER} 0005 0100000000`, -1],
  ["a selective ack that is cut", `2101 ${HEADER} 0004 010000`, -1],
  ["extension bits (Transmission's STATE)", `2102 ${HEADER} 0008 0000000000000000`, 30],
  ["a close reason (libtorrent)", `3103 ${HEADER} 0004 00000001`, 26],
  ["two extensions", `2101 ${HEADER} 0304 01000000 0004 00000001`, 32],
  ["an extension after the end", `2101 ${HEADER} 0104 01000000`, -1],
  ["extension 4", `2104 ${HEADER} 0004 00000000`, -1],
  ["a window of 1 GiB", "2100 5303 10f06876 09f12917 40000000 e7f6 49c6", -1],
  ["19 bytes", `2100 ${HEADER.slice(0, -2)}`, -1],
];
for (const [name, text, expected] of headers) {
  Deno.test(`utpHeaderEnd() of ${name} is ${expected}`, () => {
    const read = (bytes: Uint8Array, start: number, end: number) =>
      Math.max(-1, utpHeaderEnd(bytes, start, end) - start);
    assert.equal(readsOnlyItsRange(read, hex(text)), expected);
  });
}

const syns: readonly (readonly [string, string, boolean])[] = [
  ["libtorrent's", "41005302 10eeb2f0 00000000 00000000 e7f5 0000", true],
  ["libutp's, with a window", "41004567 ed639296 00000000 00100000 23c6 0000", true],
  [
    "old libutp's, with bits",
    "41025302 10eeb2f0 00000000 00100000 e7f5 0000 0008" + "00".repeat(8),
    true,
  ],
  ["one that acknowledges", "41005302 10eeb2f0 00000000 00000000 e7f5 0001", false],
  ["one with a difference", "41005302 10eeb2f0 00000001 00000000 e7f5 0000", false],
  ["one that is padded", "41005302 10eeb2f0 00000000 00000000 e7f5 0000 61", true],
  ["one without a clock", "41005302 00000000 00000000 00000000 e7f5 0000", false],
  ["one without a sequence number", "41005302 10eeb2f0 00000000 00000000 0000 0000", false],
  // DNS, id 0x4100, "A" record of "ab": 20 bytes that other tools take for a SYN.
  ["a DNS query", "4100 0100 0001 0000 0000 0000 02616200 0001 0001", false],
  [
    "a CoAP GET with a one-byte token",
    "4101 5302 10 b4 74657374 00 00 00 00 00 00 e7f5 0000",
    false,
  ],
];
for (const [name, text, expected] of syns) {
  Deno.test(`isFreshSyn() of ${name} is ${expected}`, () => {
    assert.equal(readsOnlyItsRange(isFreshSyn, hex(text)), expected);
  });
}

Deno.test("detectUtp() finds the peer wire handshake in DATA, whole", () => {
  const found = readsOnlyItsRange(detectUtp, handshake);
  assert.equal(found?.strength, "proof");
  assert.equal(found?.method, "utp");
  everyCutIsClean(detectUtp, handshake, (length) => length >= 40);
  everyBitFlipIsHarmless(detectUtp, handshake);
});

Deno.test("detectUtp() finds it after a selective ack, and nowhere else", () => {
  const name = latin1("\x13BitTorrent protocol");
  const detectIn = (...parts: Uint8Array[]) => readsOnlyItsRange(detectUtp, join(...parts));
  assert.ok(detectIn(hex(`0101 ${HEADER} 0004 01000000`), name));
  assert.equal(detectIn(hex(`1100 ${HEADER}`), name), null); // FIN
  assert.equal(detectIn(hex(`0100 ${HEADER} 00`), name), null); // not at its start
  assert.equal(detectIn(hex(`0200 ${HEADER}`), name), null);
  assert.equal(detectIn(name), null); // TCP's form
});

Deno.test("property: uTP reads take any bytes without harm", () => {
  const headers = [syn, handshake, hex(`2101 ${HEADER} 0304 01000000 0004 00000001`)];
  anyBytesAreHarmless(detectUtp, headers);
  eachRandomPayload(randomPayloadCount(), [data, hex("0101")], (bytes, start, end) => {
    assert.ok(!decides(detectUtp(bytes, start, end)));
    assert.ok(utpHeaderEnd(bytes, start, end) <= end);
  });
});
