import assert from "node:assert/strict";
import { detectUdpTracker } from "../../src/protocols/udp_tracker/detect.ts";
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

// Bytes typed from the tables of BEP 15.
const connect = hex("0000041727101980 00000000 5eed0001");
const announce = join(
  hex("1122334455667788 00000001 5eed0002"), // connection id, action, transaction id
  latin1("abcdefghij0123456789"), // info-hash
  latin1("-qB4520-abcdefghijkl"),
  hex("0000000000000000 000000000bebc200 0000000000000000"), // downloaded, left, uploaded
  hex("00000002 00000000 1234abcd ffffffff 1ae1"), // event, address, key, num_want, port
);
const change = (offset: number, bytes: string) => {
  const changed = announce.slice();
  changed.set(hex(bytes), offset);
  return changed;
};
const wanting = (peers: number) => {
  const changed = announce.slice();
  new DataView(changed.buffer).setInt32(92, peers); // num_want
  return changed;
};
const withPeerId = (peerId: string) => {
  const changed = announce.slice();
  changed.set(latin1(peerId.padEnd(20, "x")), 36);
  return changed;
};

const rows: readonly (readonly [string, Uint8Array, string | undefined])[] = [
  ["a connect request", connect, "proof"],
  ["a longer connect request", join(connect, hex("0000")), "proof"],
  ["a protocol id one bit off", hex("0000041727101981 00000000 5eed0001"), undefined],
  ["a connect request of another action", hex("0000041727101980 00000001 5eed0001"), undefined],
  ["a connect request of 15 bytes", connect.slice(0, 15), undefined],
  ["an announce", announce, "strong"],
  ["an announce with BEP 41 options", join(announce, hex("0205"), latin1("/path")), "strong"],
  ["an announce of 100 bytes", join(announce, hex("0000")), "strong"],
  ["num_want 200", change(92, "000000c8"), "strong"],
  ["unknown left", change(64, "7fffffffffffffff"), "strong"],
  ["event 4, paused (BEP 21)", change(80, "00000004"), "strong"],
  ["event 5", change(80, "00000005"), undefined],
  ["num_want -2", change(92, "fffffffe"), undefined],
  ["port 0", change(96, "0000"), undefined],
  ["300 TiB uploaded", change(72, "0001200000000000"), undefined],
  ["action 2", change(8, "00000002"), undefined],
  ["an announce of 97 bytes", announce.slice(0, 97), undefined],
  ["a peer id of Transmission", withPeerId("-TR3000-"), "strong"],
  ["a peer id with a tilde", withPeerId("-A~0010-"), "strong"],
  ["a peer id of Mainline", withPeerId("M7-9-2--"), "strong"],
  ["a peer id of BitTornado", withPeerId("T03I--00"), "strong"],
  ["a peer id of Shad0w", withPeerId("S58B-----"), "strong"],
  ["a peer id without its last dash", withPeerId("-qB45200"), undefined],
  ["a peer id with a point in its version", withPeerId("-lt1.2+-"), "strong"],
  ["a peer id with a mark that no client has", withPeerId("-?B4520-"), undefined],
  ["a peer id with another second mark", withPeerId("-q?4520-"), undefined],
  ["a peer id with a space in its version", withPeerId("-qB45 0-"), undefined],
  ["a peer id with a slash in its version", withPeerId("-qB452/-"), undefined],
  ["a peer id that begins with a digit", withPeerId("77-9-2--"), undefined],
  ["a peer id that begins with a sign", withPeerId("[7-9-2--"), undefined],
  ["a letter without a version", withPeerId("Mx-9-2--"), undefined],
  ["a letter, a version, one dash", withPeerId("M7x9x2x-"), undefined],
  ["a letter, a version, a space", withPeerId("M7-9 2--"), undefined],
  ["10,000 peers wanted", wanting(10_000), "strong"],
  ["10,001 peers wanted", wanting(10_001), undefined],
  ["the tracker's default of peers", wanting(-1), "strong"],
  ["-2 peers wanted", wanting(-2), undefined],
  ["a peer id of zeros", withPeerId("\0".repeat(20)), undefined],
  ["a word as peer id", withPeerId("Hello, World--"), undefined],
  ["a connect response", hex("00000000 5eed0001 1122334455667788"), undefined],
  ["zeros", new Uint8Array(98), undefined],
];
for (const [name, bytes, strength] of rows) {
  Deno.test(`detectUdpTracker() ${strength ? `has ${strength} for` : "rejects"} ${name}`, () => {
    const found = readsOnlyItsRange(detectUdpTracker, bytes);
    assert.equal(found?.strength, strength);
    if (found) assert.equal(found.method, "udp-tracker");
  });
}

Deno.test("detectUdpTracker() finds no part of a request", () => {
  everyCutIsClean(detectUdpTracker, connect);
  everyCutIsClean(detectUdpTracker, announce);
  everyBitFlipIsHarmless(detectUdpTracker, connect);
  everyBitFlipIsHarmless(detectUdpTracker, announce);
  for (let bit = 0; bit < 96; bit++) { // none of the fixed bits may differ
    const changed = connect.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    assert.equal(detect(detectUdpTracker, changed), null);
  }
});

Deno.test("property: detectUdpTracker() reads any bytes without harm", () => {
  anyBytesAreHarmless(detectUdpTracker, [connect, announce]);
  const beginnings = [connect.slice(0, 6), announce.slice(0, 36)];
  eachRandomPayload(randomPayloadCount(), beginnings, (bytes, start, end) => {
    assert.ok(!decides(detectUdpTracker(bytes, start, end)));
  });
});
