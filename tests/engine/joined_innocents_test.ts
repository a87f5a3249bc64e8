/**
 * Programs over a cipher without authentication, in flows older than the blocker, beside a running
 * swarm of the same address: what their lengths have in common with MSE's must not be enough.
 */
import assert from "node:assert/strict";
import { Conversation, TestEngine, torrents } from "./conversation.ts";

/**
 * `>17 <12000`: writes of either side, in segments of a path's size, again and again.
 *
 * @param isSlow writes pile up in front of a slow link, so that none is seen to end
 */
function play(flow: Conversation, text: string, times: number, isSlow = false): void {
  for (let i = 0; i < times; i++) {
    for (const [, side, digits] of text.matchAll(/([<>])(\d+)/g)) {
      for (let left = Number(digits); left > 0; left -= 1448) {
        const isEnd = left <= 1448 && !(isSlow && side === "<");
        flow.sayRandom(side === ">" ? 0 : 1, Math.min(left, 1448), isEnd);
      }
    }
  }
}

/** The address torrents, and three of its flows have had blocks. */
function hasSwarm(test: TestEngine): void {
  torrents(test);
  for (const peer of [2, 3, 4]) {
    const flow = new Conversation(
      test,
      "tcp",
      `10.0.0.1:4000${peer}`,
      `198.18.${peer}.1:2000${peer}`,
    );
    play(flow, "<1000 >17", 1);
    play(flow, "<16397", 4);
  }
  assert.equal(test.found.filter((found) => found === "mse strong").length, 3);
  test.detections.length = 0;
}

const INNOCENTS: readonly (readonly [string, string])[] = [
  // a tag of 8 bytes behind each key and its echo; 9 is the length of `have`
  ["a shell with tags of 8 bytes", ">9 <9 >9 <9 >17 <17 >26 <40 >9 <9 >35 <60"],
  // one picture ends a block behind the one before it, by chance
  [
    "a camera, whose sign of life is 9 bytes",
    "<6500 >9 <55005 >9 <2051 <5877 >9 <4900 >9 <8393 >9 <16397 >9 <7596 <55005 >9 <3195 >9 <5902",
  ],
  ["a chat of 9 and 17 bytes", ">17 <9 >9 <17 >9 <34 >17 <26"],
  ["screens of 12 000 bytes, answered by 17", "<12000 >17"],
  ["screens of 6000 bytes, answered by 17", "<6000 >17"],
  ["blocks of 16 KiB behind 5 bytes, asked for by 17, told by 9", ">17 <16389 >9 >17 <16389"],
  [
    "blocks of 16 KiB behind 28 bytes, two at once too",
    "<16412 >43 <16412 >9 <32824 >18 <16412 >43",
  ],
  ["blocks of 16 KiB behind 20 bytes, asked for by 17, told by 9", ">17 <16404 >9 >17 <16404"],
  // three sizes of data, one just one block or three, or nearly
  ["answers of 32, one to three blocks", "<49191 >32 <98382 >64 <49191 >32 <49191 >32 <8349 >66"],
  ["answers of 58, one to a block", "<40687 >67 <16397 >58 <16397 >58 <36585 >80 <32794 >116"],
  [
    "answers of 60 to three blocks, two such at once too",
    "<98382 >120 <49191 >60 <49191 >60 <44938 >51 <70956 >196 <35478 >98 <44938 >51",
  ],
  ["answers of 51 to three blocks, as many as asked for", "<49191 >51 <49191 >51 <38000 >77"],
  [
    "answers of 9, 34 and 71, nearly a block",
    "<15337 >71 <7247 >9 <16243 >34 <32486 >68 <16243 >34 <16243 >34 <7247 >9 <16243 >34",
  ],
  [
    "screens of 3000, two now and then, and others",
    "<3000 >79 <6000 >158 <3000 >79 <3000 >79 <3000 >79 <3000 >79 <3000 >79 <20369 >38",
  ],
];
for (const [name, text] of INNOCENTS) {
  for (const isBeside of [false, true]) {
    Deno.test(`joined${isBeside ? ", beside a swarm" : ""}: ${name}`, () => {
      const test = new TestEngine();
      if (isBeside) hasSwarm(test);
      const flow = new Conversation(test, "tcp", "10.0.0.1:50000", "198.51.100.1:40000");
      play(flow, "<20000 >140", 1);
      play(flow, text, 60);
      assert.deepEqual(test.found, []);
    });
  }
}

const SLOW: readonly (readonly [string, string])[] = [
  ["blocks of 16 KiB behind 8 bytes, each asked for by 35", "<16392 >35 <16392 >35 <16392 >9 >35"],
  ["blocks of 16 KiB behind 16 bytes, each asked for by 26", "<16400 >26 <16400 >9 >26"],
  [
    "answers of 9, 17 and 75",
    "<16390 >9 <16390 >9 <16390 >9 <16390 >75 <16390 >9 <16390 >17 <16390 >9 <16390 >9 <16390 >17 " +
    "<16390 >75 <32780 >18 <32780 >34 <16390 >9 <32780 >150 <16390 >17 <16390 >9 <16390 >17 " +
    "<16390 >17 <32780 >34 <16390 >17 <32780 >34 <16390 >17 <16390 >17 <16390 >9 <32780 >150 " +
    "<16390 >17 <16390 >17 <16390 >75",
  ],
  [
    // frames of 16 KiB behind 9 bytes; `PING` of 17, two windows of 26, an empty frame of 9; and a head
    "HTTP/2 over a stream cipher",
    "<16393 >17 <16393 >26 >9 <16393 >71 <16393 >17 <16393 >71 <16393 >17 <49179 >13",
  ],
  [
    "small messages behind up to three blocks",
    "<11932 >13 <18420 >37 <24967 >36 <44677 >44 <583 >100 <5699 >68 <41416 >84 <14998 >82 <24002 >53 " +
    "<38756 >16 <27734 >72 <25849 >47 <36398 >74 <11325 >27 <13983 >76 <30771 >113 <26504 >14 " +
    "<24497 >88 <27506 >120 <7069 >70 <47038 >95 <38026 >35 <18345 >62 <1785 >44 <23567 >61 <37788 >44",
  ],
  [
    "small messages behind up to three blocks, once more",
    "<9000 >86 <5497 >89 <33672 >71 <29156 >94 <6281 >115 <24909 >117 <48285 >40 <27119 >70 " +
    "<18578 >71 <41860 >70 <39560 >61 <20963 >88 <24239 >70",
  ],
];
for (const [name, text] of SLOW) {
  Deno.test(`joined, behind a slow link, beside a swarm: ${name}`, () => {
    for (const times of [1, 4]) {
      const test = new TestEngine();
      hasSwarm(test);
      const flow = new Conversation(test, "tcp", "10.0.0.1:50000", "198.51.100.1:40000");
      play(flow, "<20000 >140", 1);
      play(flow, text, times, true);
      assert.deepEqual(test.found, []);
    }
  });
}

Deno.test("joined: requests at blocks' ends are an agreement once a block", () => {
  // Blocks piled up at the sender, whose ends nobody sees: only what asks for them speaks.
  const ask = (test: TestEngine) => {
    const flow = new Conversation(test, "tcp", "10.0.0.1:50000", "198.51.100.1:40000");
    for (let block = 0; block < 16; block++) {
      flow.sayRandom(0, 17);
      if (block % 3 === 0) flow.sayRandom(0, 9);
      for (let left = 16_397; left > 0; left -= 1448) {
        flow.sayRandom(1, Math.min(left, 1448), false);
      }
    }
  };
  const test = new TestEngine();
  ask(test);
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("joined: libtransmission's writes of 3000 in three flows, whose haves go with requests", () => {
  // With what is left of a quota now and then; screens of 3000 have none.
  const chunks = `${"<3000 ".repeat(8)}<2000 >311`;
  for (
    const [text, isFound] of [[chunks, true], ["<12000 >311", false], [
      "<6000 >311",
      false,
    ]] as const
  ) {
    const test = new TestEngine();
    for (const peer of [2, 3, 4]) {
      const ends = [`10.0.0.1:4000${peer}`, `198.18.${peer}.1:2000${peer}`];
      const flow = new Conversation(test, "tcp", ends[0], ends[1]);
      play(flow, "<20000 >140", 1);
      play(flow, text, 20);
    }
    assert.equal(test.found.length > 0, isFound, text);
    // Often no other of its connections shows as much.
    if (isFound) assert.ok(test.detections[0].mayBan, "an older encrypted swarm's host is banned");
  }
});

Deno.test("joined: requests with many haves, as of small pieces, do not speak against blocks", () => {
  // aria2 with seeders that limit themselves, as recorded: a burst a second, and requests of 4 and 7 haves,
  // of 6 and 3, of 2 and 7, of 3 and 3; the seeder refuses (17 bytes) what it will not send.
  const burst = "<16397 <16397 <65588 ";
  const sums = `${burst}>131 ${burst}>129 >9 ${burst}>97 ${burst}>78 >165 `;
  for (
    const [text, isFound] of [
      [sums, true],
      // Of other lengths, of too few kinds, of none too short for authenticated encryption.
      [sums.replace(">131", ">132").replace(">97", ">96").replace(">129", ">130"), false],
      [`${burst}>131 ${burst}>97 >165 >9 `, false],
      [sums.replace(">9 ", ""), false],
    ] as const
  ) {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", "10.0.0.1:50000", "198.51.100.1:40000");
    play(flow, "<20000 >160 >29", 1);
    play(flow, text, 4);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
});

Deno.test("joined: what is refused between blocks is no end elsewhere", () => {
  const burst = "<16397 <16397 <65588 ";
  for (const [said, isFound] of [["<17 ", true], ["<34 ", true], ["<18 ", false]] as const) {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", "10.0.0.1:50000", "198.51.100.1:40000");
    play(flow, "<20000 >140", 1);
    play(flow, `${burst}${said}>165 >148 ${burst}${said.repeat(2)}>165 >129 `, 4);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], said);
  }
});
