import assert from "node:assert/strict";
import { BlockRhythm } from "../../src/engine/block_rhythm.ts";
import { areBlocks, areBlocksOfHost, areBlocksOfSwarm } from "../../src/engine/joined_table.ts";
import { FlowRecord, HELLO_A } from "../../src/engine/flow_record.ts";
import { ACK, Packet, PSH } from "../../src/packet/packet.ts";

/** What the ends of writes decide: nothing, in a swarm, beside evidence, alone. */
type Blocks = 0 | 1 | 2 | 3;
const NO_BLOCKS = 0;
const TWO_BLOCKS = 1;
const SOME_BLOCKS = 2;
const CLEAR_BLOCKS = 3;

/** Segments of one flow, as TcpInspector hands them on. */
class Segments {
  readonly #flow = new FlowRecord(1);
  readonly #rhythm = new BlockRhythm(this.#flow);
  readonly #packet = new Packet();
  /** The most that was known at any time, and how many segments had passed by then. */
  most: Blocks = NO_BLOCKS;
  after = 0;
  #count = 0;

  constructor(sequence = 0x7fff_f000) {
    this.#flow.setNext(0, sequence);
    this.#flow.setNext(1, sequence);
  }

  say(direction: number, length: number, isPushed = true): this {
    this.#flow.count(direction, length);
    this.#flow.setNext(direction, (this.#flow.next(direction) + length) | 0);
    this.#packet.payloadLength = length;
    this.#packet.flags = ACK | (isPushed ? PSH : 0);
    this.#count++;
    const known = this.#rhythm.observe(direction, this.#packet) ? this.#known() : NO_BLOCKS;
    if (known > this.most) {
      this.most = known;
      this.after = this.#count;
    }
    return this;
  }

  #known(): Blocks {
    const { blocks, hasHeader, chunks } = this.#rhythm;
    if (areBlocks(blocks, hasHeader)) return CLEAR_BLOCKS;
    if (areBlocksOfHost(blocks, hasHeader, chunks, true)) return SOME_BLOCKS;
    return areBlocksOfSwarm(blocks, chunks, true) ? TWO_BLOCKS : NO_BLOCKS;
  }

  /** A write in segments of the path's size, PSH where it ends. */
  write(direction: number, length: number, path = 1448): this {
    for (let left = length; left > 0; left -= path) {
      this.say(direction, Math.min(left, path), left <= path);
    }
    return this;
  }

  noteHandshake(): this {
    this.#flow.noteLength(HELLO_A);
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

/** Recorded between two hosts alone, RC4 forced, offloading on, limited to 100 000 bytes a second, joined somewhere. */
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
    const segments = play(text, new Segments());
    assert.deepEqual([segments.most, segments.after], [most, after]);
  });
}

Deno.test("BlockRhythm: blocks over Ethernet, segment by segment, across the wrap of numbers", () => {
  for (const sequence of [0, -5000, 0x7fff_ff00]) {
    const segments = new Segments(sequence);
    segments.write(1, 700);
    for (let i = 0; i < 3; i++) segments.write(1, 2 * 16_397);
    assert.equal(segments.most, SOME_BLOCKS);
    segments.write(1, 16_397);
    assert.equal(segments.most, CLEAR_BLOCKS);
  }
});

Deno.test("BlockRhythm: a have between two blocks takes one back, and they are found again", () => {
  const segments = new Segments().write(1, 700);
  for (let i = 0; i < 8; i++) segments.write(1, 16_397).write(1, 9);
  assert.equal(segments.most, NO_BLOCKS);
  for (let i = 0; i < 4; i++) segments.write(1, 16_397);
  assert.equal(segments.most, CLEAR_BLOCKS);
});

Deno.test("BlockRhythm: an end without PSH is no end of a write", () => {
  const segments = new Segments().write(1, 700);
  for (let i = 0; i < 8; i++) segments.say(1, 16_397, false);
  assert.equal(segments.most, NO_BLOCKS);
});

Deno.test("BlockRhythm: the sides change places, and nothing is left of what was counted", () => {
  const segments = new Segments().write(1, 700).write(1, 16_397).write(1, 16_397);
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
      const segments = new Segments().say(0, 124).say(1, 5).say(1, 900);
      for (let i = 0; i < 80; i++) segments.write(1, step, path);
      assert.ok(segments.most < SOME_BLOCKS, `${step} over ${path}: ${segments.most}`);
    }
  }
});

Deno.test("BlockRhythm: writes of some times 863 bytes, of which a block is nineteen, decide nothing", () => {
  for (let times = 1; times < 57; times++) {
    if (times % 19 === 0) continue;
    for (const path of [...PATHS, 65_160]) {
      const segments = new Segments().say(0, 124).say(1, 5).say(1, 900);
      for (let i = 0; i < 160; i++) segments.write(1, 863 * times, path);
      assert.ok(segments.most < SOME_BLOCKS, `${863 * times} over ${path}: ${segments.most}`);
    }
  }
});

Deno.test("BlockRhythm: bulk in full segments decides nothing, joined or not, pushed or not", () => {
  for (const path of PATHS) {
    for (const joinedTo of [1, 2, 11, 44]) {
      for (const isPushed of [true, false]) {
        const segments = new Segments().say(0, 124).say(1, 5).say(1, 900);
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
      const segments = new Segments().say(0, 124).say(1, 5).say(1, 900);
      for (let i = 0; i < 400; i++) segments.say(1, size * (1 + random(6)));
      assert.ok(segments.most < SOME_BLOCKS, `${size}: ${segments.most}`);
    }
  }
});

Deno.test("BlockRhythm: a flow without facts is soon given up", () => {
  const segments = new Segments().noteHandshake().say(0, 300).say(1, 400).say(0, 124);
  assert.equal(segments.isPossible, true, "a handshake by its length: the blocks may come");
  for (let i = 0; i < 60; i++) segments.write(1, 1400);
  assert.equal(segments.isPossible, false);
  assert.equal(new Segments().say(0, 300).say(1, 400).say(0, 125).isPossible, false);
});
