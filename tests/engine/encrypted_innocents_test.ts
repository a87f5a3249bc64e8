/** Programs over a cipher without authentication whose lengths look like MSE's: they are let be. */
import assert from "node:assert/strict";
import { TestEngine, torrents } from "./conversation.ts";
import { BESIDES, Play, SWARM, SWARMS } from "./play.ts";

/** Beginnings with the lengths that authenticated encryption can show, and none it cannot. */
const INNOCENTS: readonly (readonly [string, string])[] = [
  ["Shadowsocks, a latency test", ">199 <229 >120 <197 >120 <197"],
  ["Shadowsocks, its third message 124 by chance", ">199 <229 >124 <82 >124 <82 >124 <82 <5000w"],
  ["Shadowsocks, 68 by chance", ">199 <229 >90 <90 >68 <68 >68 <50 <20000w"],
  ["VMess", ">402 <111 >150 <2066w >124 <2066w"],
  ["NTCP2", ">196 <192 >709 <825 >261 <68 >68 <120"],
  ["obfs4", ">600 <600 >543 <543 >1448 <543"],
  ["eMule", ">137 <130 >109 <119 >49 <22 >46 <6 <10240w"],
  ["RLPx", ">307 <210 >176 <176 >112 <48 >48 <48"],
  ["a shell through a stream cipher", ">300 <200 >60 <60 >1 <1 >1 <1 >5 <5 >17 <17 <900"],
  ["MQTT through one", ">130 <120 >70 <5 >40 <4 >2 <2 >17 <4"],
  [
    "a shell, 124 and 68 by chance",
    ">240 <184 >124 <287 >2 <68 >5 <5 >1 <1 >1 <1938w >1 <1766w >17 <17 >17 <17 >17 <17 >17 <17",
  ],
  [
    "headers of 13 before bodies, 68 by chance",
    ">256 <606 >514 <490 >96 <68 >54 <39 >23 <13 <3128w >17 <2000w >17 <2000w >17 <2000w >17 <2000w",
  ],
  [
    "a chat of 5, 9 and 17, 82 by chance",
    ">326 <313 >553 <82 >34 <9 >34 <17 >9 <17 >14 <14 >14 <5 >17 <11380w >34 <34 >14 <13 >5 <17",
  ],
];
for (const [name, text] of INNOCENTS) {
  for (const [besides, happens] of Object.entries(BESIDES)) {
    Deno.test(`encrypted: ${name} beside ${besides} is let be`, () => {
      const test = new TestEngine();
      happens(test);
      test.detections.length = 0;
      new Play(test).say(text);
      assert.deepEqual(test.found, []);
    });
  }
}

Deno.test("encrypted: one length of small messages and a block behind it are not enough beside others", () => {
  for (
    const text of [
      ">576 <267 >339 <432 >68 <19 >70 <16397w >5 <6", // PostgreSQL over a stream cipher
      ">482 <103 >434 <208 >171 <17 >71 <17 <91 >17 >92 <17 >14 <14 <10152 >17 <39039w >17 >17", // messenger
    ]
  ) {
    for (const [name, happens] of Object.entries(BESIDES)) {
      const test = new TestEngine();
      happens(test);
      test.detections.length = 0;
      new Play(test).say(text);
      assert.deepEqual(test.found, [], `${name}: ${text}`);
    }
  }
});

Deno.test("encrypted: a tunnel of packets is found by nothing that all of its packets share", () => {
  // With 16 bytes more an acknowledgement is 68, with 8 a SYN and its answer; some of them are 17 n.
  for (
    const text of [
      ">267 <398 >76 <76 >68 <68 >76 <76 >68 <14256w >408 <14189w >340 <11176w >272",
      ">146 <361 >88 <88 >68 >355 <68 >68 <68 >88 <88 >68 <5548w >136 >154 <345 <7431w >136",
      ">129 <232 >88 <88 >68 >185 <68 <1428w >68 >564 <742 <8827w >204 <16397w >204 <8630w >204",
      ">493 <257 >357 <518 >68 <68 >48 >350 <568 <13778w >240 <16397w >68 >68",
      ">138 <355 >76 <76 >68 <68 >68 <68 <3000w >68 >68 <68 <7408w >204 >68 <68",
      ">400 <165 >88 <88 >68 >88 <88 >68 <2856w >68 >68 <68 <16397w >408 <1428w >68",
    ]
  ) {
    for (const [name, happens] of Object.entries(BESIDES)) {
      const test = new TestEngine();
      happens(test);
      test.detections.length = 0;
      new Play(test).say(text);
      assert.deepEqual(test.found, [], `${name}: ${text}`);
    }
  }
});

Deno.test("encrypted: an echo of five bytes is one fact, in a swarm too", () => {
  // A shell's tags of four bytes and a key, behind paddings that are a handshake's length by chance.
  const text = ">149 <239 >124 <82 >5 <5 >63 <71 >5 <2643 >5 <5";
  for (const ends of Object.values(SWARMS)) {
    const test = new TestEngine();
    SWARM.forEach((beginning, i) => new Play(test, ...ends(i + 2)).say(beginning));
    new Play(test).say(text);
    assert.deepEqual(test.found, []);
  }
});

Deno.test("encrypted: one length of a handshake and one end of blocks are not enough beside evidence", () => {
  // NFS's answers of 32 KiB are as long as two blocks behind `unchoke` with what is allowed fast.
  const reads = ">196 <32844 >196 <32844 >784";
  const text = `>530 <485 >124 <315 >192 <84 >172 <168 >184 <84 >188 <116 ${reads}`;
  const test = new TestEngine();
  torrents(test);
  const before = test.found.length;
  new Play(test).say(text);
  assert.equal(test.found.length, before);
});
