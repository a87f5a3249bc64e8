/**
 * Programs that say small messages over a cipher without authentication, behind padding as MSE's:
 * beginnings of made-up ones that `deno task bench:mse` has found, beside a swarm of the same address
 * and among several suspects. Each has by chance what a handshake, `unchoke` or a block has.
 */
import assert from "node:assert/strict";
import { TestEngine, torrents } from "./conversation.ts";
import { isOneOfSeveral, Play, SWARM } from "./play.ts";

function hasSwarm(test: TestEngine): void {
  SWARM.forEach((beginning, i) =>
    new Play(test, `10.0.0.1:4000${i + 2}`, `198.18.${i + 2}.1:2000${i + 2}`).say(beginning)
  );
}

const BESIDES: Readonly<Record<string, (test: TestEngine) => void>> = {
  "several suspects": isOneOfSeveral,
  "a swarm": hasSwarm,
  "a host that torrents": torrents,
};

const BEGINNINGS: Readonly<Record<string, readonly string[]>> = {
  "a shell that echoes, with tags of 4 bytes": [
    ">311 <387 >438 <439 >68 <68 >5 <5 >5 <5 >5 <5 >5 <891 >5 <5 >5 <5 >53 <80 >35 <63 >5 <1400w",
    ">150 <106 >63 <41 >68 <68 >5 <5 >5 <1055w >27 <13 >5 <59 >5 <5 >34 <73 >5 <2455w",
    ">540 <281 >368 <122 >68 <68 >5 <5 >5 <1756w >5 <5 >5 <1439w >5 <2587w >28 <10 >5 <5",
  ],
  "answers of 5 bytes": [
    ">182 <118 >439 <78 >68 <5 >14 <11 >14 <5 >14 <5 >22 <4210w >38 <4 >14 <7 >90 <11 >49 <5",
    ">465 <590 >267 <469 >68 <30 >119 <5 >51 <4617w >34 <11 >119 <30 >14 <11",
    ">260 <538 >143 <484 >68 <5 >109 <30 >109 <7 >14 <5 >85 <1270w >14 <30 >46 <11",
  ],
  "headers and bodies": [
    ">395 <293 >453 <319 >68 <72 >48 <221 >340 <14 <4406w >431 <87 <3196w >75 <110 <1539w",
    ">159 <544 >533 <82 >68 <44 >106 <9 <4576w >55 <26 <4244w >8 <567 >26 <25 >28 <46 <5723w >109",
    ">140 <579 >155 <147 >68 <15 >66 <114 >86 <14 <5046w >29 <56 >116 <435 >66 <70 <3820w >7 <30 >341",
    ">132 <482 >124 <458 >41 <58 >95 <5 >53 <14 <5740w >553 <22 <5329w >117 <458 <2993w >13 <119 <3269w",
    ">592 <136 >124 <269 >153 <5 <5479w >75 <104 >59 <64 >569 <90 <3973w >51 <109 <3682w >253 <183",
    ">260 <389 >565 <100 >68 <92 <4613w >92 <284 <2761w >111 <77 >106 <10 >112 <193 <5027w >38 <194 >71 <41 <3247w >77",
  ],
  "a fourth message too short for MSE's": [
    ">582 <244 >124 <5 >73 <2640w >35 <48 >29 <16 >19 <1956w >20",
    ">331 <187 >124 <4 >14 <5 >102 <2640w >14 <30 >46 <11",
  ],
  "16 KiB behind a header of 2 and a tag of 16, asked for by 17": [
    ">286 <141 >279 <143 >68 <16402w >17 <17 <16402w <16402w >17 <17 <16402w <16402w >17 <17",
    ">291 <456 >345 <85 >68 <16402w >17 >17 <17 <16402w <16402w <16402w >13 <17 >49 <16402w",
    ">251 <472 >124 <272 >92 <13 <16402w >17 <17 <16402w >17 <17 <16402w >13",
    ">273 <178 >124 <318 >74 <16402w >17 <17 <16402w >17 <17 <16402w >17 <17 >170 <16402w",
  ],
  "16 KiB behind 18 bytes and 8 more, between two that echo a handshake's length": [
    ">318 <482 >183 <107 >68 <68 >15 <5 >48 <44 >34 <16410w >34 <16410w >34 <16410w",
  ],
  "a script": [
    ">428 <448 >158 <82 >107 <29 >93 <125 >22 <16332w >68 <70 >103 <33 >73 <42 >107 <29",
  ],
};

for (const [name, beginnings] of Object.entries(BEGINNINGS)) {
  for (const [besides, happens] of Object.entries(BESIDES)) {
    Deno.test(`encrypted: ${name}, beside ${besides}, is let be`, () => {
      for (const text of beginnings) {
        const test = new TestEngine();
        happens(test);
        test.detections.length = 0;
        new Play(test).say(text);
        assert.deepEqual(test.found, [], text);
      }
    });
  }
}

Deno.test("small messages: a fourth message as long as a block is none, whatever stands behind it", () => {
  // MTProxy's, padded: an answer of that length, and a question of 68.
  const test = new TestEngine();
  torrents(test);
  test.detections.length = 0;
  new Play(test).say(">416 <246 >360 <16397w >68 <37763w >81 <166 >318 <47761w");
  assert.deepEqual(test.found, []);
});
