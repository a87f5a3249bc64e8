import assert from "node:assert/strict";
import {
  BlockRhythm,
  type Blocks,
  CLEAR_BLOCKS,
  NO_BLOCKS,
  SOME_BLOCKS,
  TWO_BLOCKS,
} from "../../src/engine/block_rhythm.ts";
import { FlowRecord } from "../../src/engine/flow_record.ts";
import { ACK, Packet, PSH } from "../../src/packet/packet.ts";

/** Segments of one flow, as TcpInspector hands them on. */
class Segments {
  readonly #flow = new FlowRecord(1);
  readonly #rhythm = new BlockRhythm(this.#flow);
  readonly #packet = new Packet();
  readonly #hasBeginning: boolean;
  /** The most that was known at any time, and how many segments had passed by then. */
  most: Blocks = NO_BLOCKS;
  after = 0;
  #count = 0;

  constructor(hasBeginning: boolean, sequence = 0x7fff_f000) {
    this.#hasBeginning = hasBeginning;
    this.#flow.setNext(0, sequence);
    this.#flow.setNext(1, sequence);
  }

  say(direction: number, length: number, isPushed = true): this {
    this.#flow.count(direction, length);
    this.#flow.setNext(direction, (this.#flow.next(direction) + length) | 0);
    this.#packet.payloadLength = length;
    this.#packet.flags = ACK | (isPushed ? PSH : 0);
    this.#count++;
    const known = this.#rhythm.observe(direction, this.#packet, this.#hasBeginning);
    if (known > this.most) {
      this.most = known;
      this.after = this.#count;
    }
    return this;
  }

  /** A write in segments of the path's size, PSH where it ends. */
  write(direction: number, length: number, path = 1448): this {
    for (let left = length; left > 0; left -= path) {
      this.say(direction, Math.min(left, path), left <= path);
    }
    return this;
  }

  get isPossible(): boolean {
    return this.#rhythm.isPossible();
  }
}

/** `>439 <100x3`: initiator and responder, lengths as captured, times in a row. */
function play(text: string, segments: Segments): Segments {
  for (const [, side, length, times] of text.matchAll(/([<>])(\d+)(?:x(\d+))?/g)) {
    for (let i = Number(times ?? 1); i > 0; i--) segments.say(side === ">" ? 0 : 1, Number(length));
  }
  return segments;
}

/** Recorded between two hosts alone, RC4 forced, offloading on (as tests/captures/*-mse-rc4-*). */
const alone: readonly (readonly [string, string, number])[] = [
  ["aria2", ">439 <100 >548 <87 >68 <68 >185 <185 >115 <8 <10136 <6261 <16397 <15928 <469", 13],
  ["deluge", ">105 <152 >216 <395 >68 <307 >300 <50 <8688 <7709 <13 <15928", 11],
  ["libtorrent", ">589 <188 >164 <23 >68 <294 >287 <50 <8688 <7709 <13 <15928", 11],
  ["qBittorrent", ">272 <532 >141 <85 >68 <293 >286 <50 <8688 <7709 >34 <13 <15928", 12],
  ["rtorrent", ">451 <407 >124 <200 >117 <4 >4 >5 <5 >34 <13 <10136 <6248 <13 <15928", 13],
  ["Transmission", ">298 <267 >124 <82 <159 >194 <35 <5 >73 <3000x21 <2588", 12],
  [
    "Transmission, the seeder calls, few ends of writes",
    ">329 <209 >124 <82 <159 >236 <77 >5 <73 >3000 >2856x3 >5712 >9996 >18564 >19748",
    17,
  ],
];
for (const [name, text, after] of alone) {
  Deno.test(`BlockRhythm: ${name} is clear by itself`, () => {
    const segments = play(text, new Segments(true));
    assert.deepEqual([segments.most, segments.after], [CLEAR_BLOCKS, after]);
  });
}

/** The same, limited to 100 000 bytes a second, joined somewhere. */
const joined: readonly (readonly [string, string, Blocks, number])[] = [
  ["aria2", "<9000 >139 <16397x3", SOME_BLOCKS, 5],
  ["deluge", "<5000 <456 >34 <13 >9 <16384 >34 <13 <225 >9x6 <16159", SOME_BLOCKS, 8],
  ["qBittorrent", "<5000 <925 >9 >77 <13 <31856 <925 >68 >9x3 <13", SOME_BLOCKS, 12],
  ["rtorrent", "<7000 <456 >60 <13 <15928 <456 <15928x2 <938", TWO_BLOCKS, 9],
  ["Transmission", "<3000x7 <2000 <3000x8", SOME_BLOCKS, 5],
  ["Transmission, slow path", `<900 ${"<3000 <2896x7 <728 ".repeat(4)}`, SOME_BLOCKS, 29],
];
for (const [name, text, most, after] of joined) {
  Deno.test(`BlockRhythm: ${name}, joined in the middle, decides with evidence`, () => {
    const segments = play(text, new Segments(false));
    assert.deepEqual([segments.most, segments.after], [most, after]);
  });
}

Deno.test("BlockRhythm: blocks over Ethernet, segment by segment, across the wrap of numbers", () => {
  for (const sequence of [0, -5000, 0x7fff_ff00]) {
    const segments = new Segments(false, sequence);
    segments.write(1, 700);
    for (let i = 0; i < 3; i++) segments.write(1, 2 * 16_397);
    assert.equal(segments.most, SOME_BLOCKS);
    segments.write(1, 16_397);
    assert.equal(segments.most, CLEAR_BLOCKS);
  }
});

Deno.test("BlockRhythm: a have between two blocks takes one back, and they are found again", () => {
  const segments = new Segments(false).write(1, 700);
  for (let i = 0; i < 8; i++) segments.write(1, 16_397).write(1, 9);
  assert.equal(segments.most, NO_BLOCKS);
  for (let i = 0; i < 4; i++) segments.write(1, 16_397);
  assert.equal(segments.most, CLEAR_BLOCKS);
});

Deno.test("BlockRhythm: an end without PSH is no end of a write", () => {
  const segments = new Segments(false).write(1, 700);
  for (let i = 0; i < 8; i++) segments.say(1, 16_397, false);
  assert.equal(segments.most, NO_BLOCKS);
});

Deno.test("BlockRhythm: the sides change places, and nothing is left of what was counted", () => {
  const segments = new Segments(false).write(1, 700).write(1, 16_397).write(1, 16_397);
  assert.equal(segments.isPossible, true);
  segments.write(0, 60_000);
  assert.equal(segments.isPossible, false);
});

/** Steps of other protocols, and steps beside our own. */
const STEPS = [
  16_384, // bare buffers
  16_396,
  16_398, // HTTP/2 DATA with a gRPC header
  16_400, // NBD
  16_405, // TLS, ChaCha20 in version 1.2
  16_406, // TLS 1.3
  16_413, // TLS 1.2, GCM
  16_417, // Shadowsocks
  16_420,
  32_768,
  32_804, // SSH channel data
  65_536,
  2999,
  3001,
  500,
  1000,
  1500,
];
const PATHS = [1200, 1250, 1360, 1380, 1400, 1420, 1440, 1448, 1460];

Deno.test("BlockRhythm: writes of one size, segment by segment and joined, decide nothing", () => {
  for (const step of STEPS) {
    for (const path of [...PATHS, 65_160]) {
      for (const hasBeginning of [true, false]) {
        const segments = new Segments(hasBeginning);
        // All that a beginning may say by chance is said.
        segments.say(0, 124).say(1, 5).say(1, 900);
        for (let i = 0; i < 80; i++) segments.write(1, step, path);
        assert.ok(segments.most < SOME_BLOCKS, `${step} over ${path}: ${segments.most}`);
      }
    }
  }
});

Deno.test("BlockRhythm: bulk in full segments decides nothing, joined or not, pushed or not", () => {
  for (const path of PATHS) {
    for (const joinedTo of [1, 2, 11, 44]) {
      for (const isPushed of [true, false]) {
        const segments = new Segments(true).say(0, 124).say(1, 5).say(1, 900);
        for (let i = 0; i < 700; i++) segments.say(1, path * joinedTo, isPushed);
        assert.ok(segments.most < SOME_BLOCKS, `${joinedTo} of ${path}: ${segments.most}`);
      }
    }
  }
});

Deno.test("BlockRhythm: messages of 500, 1000 or 1500 bytes, joined by chance, decide nothing", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
    return (seed >>> 16) % below;
  };
  for (const size of [500, 1000, 1500]) {
    for (let run = 0; run < 50; run++) {
      const segments = new Segments(true).say(0, 124).say(1, 5).say(1, 900);
      for (let i = 0; i < 400; i++) segments.say(1, size * (1 + random(6)));
      assert.ok(segments.most < SOME_BLOCKS, `${size}: ${segments.most}`);
    }
  }
});

Deno.test("BlockRhythm: a flow without facts is soon given up", () => {
  const segments = new Segments(true).say(0, 300).say(1, 400).say(0, 124);
  assert.equal(segments.isPossible, true, "a handshake by its length: the blocks may come");
  for (let i = 0; i < 60; i++) segments.write(1, 1400);
  assert.equal(segments.isPossible, false);
  assert.equal(new Segments(true).say(0, 300).say(1, 400).say(0, 125).isPossible, false);
});
