/** Encrypted flows of BiglyBT, which cuts its first messages anywhere: no handshake's length shows. */
import assert from "node:assert/strict";
import { DROP } from "../../src/engine/engine.ts";
import { Conversation, TestEngine } from "./conversation.ts";
import {
  areSuspectsAlike,
  BESIDES,
  findsOf,
  HOST,
  isOneOfSeveral,
  PEER,
  Play,
  says,
} from "./play.ts";

/** BiglyBT cuts its first messages anywhere, so that no handshake's length is to be seen. */
const CUT_BEGINNINGS: readonly string[] = [
  ">58 >125 <490 >48 >57 >149 >137 >73 >57 >57 >92 >266 <116 <294 >9 >155 <50 <13 <16384w",
  ">142 >43 <166 >100 <433 >132 >115 <294 >9 >138 <50 <13 <16384w",
  ">123 >99 >37 <434 >68 >132 >123 >89 >126 >96 >97 >29 <476 <253 >9 >138 <13 >17 <16397w >17 <16397w",
];

Deno.test("encrypted: without a handshake's length, blocks that were announced are enough", () => {
  for (const [i, text] of CUT_BEGINNINGS.entries()) {
    const test = new TestEngine();
    const { passed } = new Play(test).say(text);
    assert.deepEqual(test.found, ["mse strong"], text);
    assert.ok(passed < (i === 2 ? 33_000 : 16_397), `${passed} of ${text}`);
  }
});

Deno.test("encrypted: without a handshake's length, what announces blocks and blocks must both be there", () => {
  for (
    const text of [
      ">142 >43 <166 >100 <433 >132 >115 <294 >9 >138 <50 <13 <16385w", // no block
      ">142 >43 <166 >100 <433 >132 >115 <294 >9 >138 <16397w >200 <16397w", // not announced
      ">142 >43 <166 >1200 <433 >132 >115 <294 >9 >138 <50 <13 <16384w", // no third message
    ]
  ) {
    for (const happens of Object.values(BESIDES)) {
      const test = new TestEngine();
      happens(test);
      test.detections.length = 0;
      new Play(test).say(text);
      assert.deepEqual(test.found, [], text);
    }
  }
});

Deno.test("encrypted: requests between a block's header and the block hide neither", () => {
  // BiglyBT asks libtorrent, recorded: its handshake is cut anywhere.
  for (const further of [">119", ">85", ">17 >34"]) {
    const test = new TestEngine();
    const text = `>130 <494 >691 <55 <294 >9 >138 <50 >17 <13 ${further} <16384w`;
    assert.equal(new Play(test).say(text).passed, 15_928, further);
    assert.deepEqual(test.found, ["mse strong"], further);
  }
  const test = new TestEngine();
  new Play(test).say(">130 <494 >691 <55 <294 >9 >138 <50 >17 <13 >120 <16384w");
  assert.deepEqual(test.found, []);
});

Deno.test("encrypted: a beginning that is cut in small pieces stands for a handshake's length", () => {
  const found: readonly (readonly [string, boolean])[] = [
    // Transmission and libtorrent seed to BiglyBT, recorded; `unchoke` in what extensions say; one request.
    [">62 >75 <329 >92 >124 >2 <82 >9 <159 >6 >127 >5 <35 <5 >17 >17 >17 >9 >9 <3000w", true],
    [">114 >22 <100 >51 >129 >74 >138 >145 >75 <82 <164 >9 >6 >132 >17 >119 <3000 <3000", true],
    [">113 >53 <237 >48 >65 >77 >134 >68 >115 <237 <294 >9 >133 >5 <50 >17 <13 >119 <10136", false],
    // Written at once, of one length, of other lengths; no handshake's length; no chunk.
    [">137 <329 >218 <82 >9 <159 >6 >127 >5 <35 <5 >17 <3000", false],
    [">96 >96 <329 >96 >96 >96 <82 >9 <159 >6 >127 >5 <35 <5 >17 <3000", false],
    [">40 >90 <329 >150 >20 >90 <82 >9 <159 >6 >127 >5 <35 <5 >17 <3000", false],
    [">62 >75 <329 >92 >124 >2 <83 >9 <159 >6 >127 >5 <35 <5 >17 <3000", false],
    [">62 >75 <329 >92 >124 >2 <82 >9 <159 >6 >127 >6 <35 <6 >17 <2999", false],
    // A piece that is as long as a handshake is none.
    [">62 >75 <329 >92 >124 >68 <83 >9 <159 >6 >127 >5 <35 <5 >17 <2999", false],
  ];
  for (const [text, isFound] of found) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
  const test = new TestEngine();
  isOneOfSeveral(test);
  new Play(test).say(found[2][0]);
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("encrypted: a block whose beginning was held back ends where it ends, whoever had said more", () => {
  // BiglyBT asks libtorrent: with its padding it has said more than what has passed of the other.
  const text =
    ">147 >50 <333 >125 >109 >99 >134 >42 <283 <294 >9 >138 <50 >17 <13 <10136 <5792 >119 <456";
  const test = new TestEngine({ holds: true });
  areSuspectsAlike(test, [">428 <316 >523 <217 >68", ">402", ">598"]);
  new Play(test).say(text);
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("encrypted: beginnings in pieces that B's handshake follows are several, however short", () => {
  // Transmission seeds to BiglyBT, recorded; no first message is of 288 bytes.
  const text =
    ">62 >134 >60 >28 <156 >122 >120 >113 >121 >113 >86 <82 <159 >9 >138 <40 >17 >17 >85 <3000";
  const others = [
    ">73 >43 <102 >125 >144 >106 >99 >112 >55 <82",
    ">89 >59 <546 >141 >99 >77 >107 <82",
  ];
  const third = ">102 >7 <263 >127 >138 >121 >13 <35";
  for (
    const [beside, isFound] of [
      [[...others, third], true],
      [[...others.map((other) => other.replace("<82", "<83")), third], false],
      [[], false],
    ] as const
  ) {
    const test = new TestEngine();
    areSuspectsAlike(test, beside);
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], beside.join(", "));
  }
});

/** Recorded: libtorrent seeds to BiglyBT, whose four beginnings are cut anywhere. */
const CUT_KIN = [
  ">133 >54 <356 >78 >79 >102 >149 >140 >78 >110 >39 <508 <294 >9 >274 <50 <8688w",
  ">67 >82 >32 <355 >70 >110 >109 <94 >52 >94 >141 >107 >15 <294 >9 >257 >17 <50 <8688w",
  ">106 >71 <159 >108 >146 >75 >62 >51 >11 <110 <294 >9 >138 <50 >17 <13 <10136w",
  ">60 >78 >78 <110 >117 >103 >69 >89 >116 >62 >70 <406 <294 >9 >138 <50 >17 <13 <10136w",
];

Deno.test("encrypted: beginnings in pieces that B answers alike are kin, and none has a block", () => {
  const begun = CUT_KIN.map((text) => text.slice(0, text.indexOf("<294") + 4));
  for (const [i, text] of CUT_KIN.entries()) {
    const others = begun.filter((_, other) => other !== i);
    for (
      const [beside, isFound] of [
        [others, true],
        [others.map((other) => other.replace("<294", "<295")), false],
        [others.map((other) => other.replaceAll(/>\d+ (?=>)/g, "")), false], // written at once
        [others.slice(0, 1), false],
        [[], false],
      ] as const
    ) {
      const test = new TestEngine();
      areSuspectsAlike(test, beside);
      assert.equal(
        new Play(test).say(text).passed === 0,
        isFound,
        `${text} beside ${beside.join(", ")}`,
      );
    }
    for (const other of [text.replace("<50 ", "<51 "), text.replace("<50 ", "<500 ")]) {
      const test = new TestEngine();
      areSuspectsAlike(test, others);
      assert.ok(new Play(test).say(other).passed > 0, other);
    }
  }
});

Deno.test("encrypted: of several in pieces the foremost's first data is held back until others are kin", () => {
  const [begun] = CUT_KIN[0].split(" <8688w");
  const test = new TestEngine({ holds: true });
  const others = [1, 2, 3].map((i) =>
    new Play(test, `10.0.0.1:5100${i}`, `198.18.${i}.1:2100${i}`)
  );
  for (const [i, other] of others.entries()) other.say(CUT_KIN[i + 1].replace(/ <294 .*/, ""));
  const flow = new Conversation(test, "tcp", HOST, PEER).open();
  says(flow, begun);
  const data = test.random(8688);
  assert.equal(flow.sayAndForget(1, data).lastVerdict, DROP);
  for (const other of others) other.say("<294");
  test.nowMs += 200;
  flow.say(1, data);
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("encrypted: a block behind a beginning in pieces, and what B says of itself, are enough among kin", () => {
  // aria2 seeds to BiglyBT, recorded: allowed before it unchokes, and `unchoke` behind an empty list of peers.
  const asked = ">97 >123 >60 <299 >62 >65 >98 >34 <296 <253 >9 >274 <16397w >17 <16397w";
  const unchoked = ">133 >92 >86 <348 >124 >87 >115 >48 <498 <253 >9 >138 <13 >17 <16397w";
  const others = [
    ">90 >79 >71 <499 >141 >116 >61 >88 <238 <253",
    ">80 >123 >23 <546 >84 >52 >59 <177 <253",
  ];
  const cases: readonly (readonly [string, readonly string[], number])[] = [
    [asked, others, 1],
    [asked, [], 2],
    [unchoked, [], 1],
    [
      unchoked.replace(/>133 .* <348 /, ">311 <348 ").replace(/>124 .* <498/, ">374 <498"),
      others,
      3,
    ],
    [asked.replaceAll("16397", "16396"), others, 3],
    [unchoked.replace("<253 ", ""), [], 3],
  ];
  for (const [text, beside, blocks] of cases) {
    const test = new TestEngine();
    areSuspectsAlike(test, beside);
    const { passed } = new Play(test).say(text);
    assert.equal(test.found.length > 0, blocks < 3, text);
    if (blocks < 3) assert.ok(passed < 16_397 * blocks, `${passed} of ${text}`);
  }
});

Deno.test("encrypted: a third message is answered before the length of what is sent with it", () => {
  // BiglyBT asks libtorrent: the first piece of its third message is all that is answered.
  const text = ">120 <282 >54 <59 >129 >138 >4 <294 >9 >138 <50 >17 <13 >119 <10136 <6248";
  for (const [third, isFound] of [[56, true], [55, true], [54, true], [53, false]] as const) {
    const test = new TestEngine();
    new Play(test).say(text.replace(">54", `>${third}`));
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], `${third}`);
  }
});

Deno.test("encrypted: of several whose beginning hides in few pieces the first data is held back", () => {
  const others = [">428 <316 >523 <217 <159", ">402", ">598"];
  // libtorrent and Transmission seed to BiglyBT, recorded.
  const granted = ">103 >32 <138 >128 <104 >95 >76 >136 <294 >9 >138 <50 >17 <13";
  const told = ">113 <592 >119 >139 >69 <82 <159 >9 >138 <35 <5";
  for (
    const [text, beside, isHeld] of [
      [granted, others, true],
      [granted, [], false],
      [granted.replace("<50 ", "<51 "), others, false],
      [granted.replace(/<13$/, "<14"), others, false],
      [told, others, true],
      [told, others.map((other) => other.replace("<159", "<160")), false],
      [told.replace("<82", "<83").replace(/<5$/, "<17"), others, false],
    ] as const
  ) {
    const test = new TestEngine({ holds: true });
    areSuspectsAlike(test, beside);
    const flow = new Conversation(test, "tcp", HOST, PEER).open();
    says(flow, text);
    flow.sayAndForget(1, test.random(3000));
    assert.equal(flow.lastVerdict === DROP, isHeld, `${text} beside ${beside.join(", ")}`);
    assert.deepEqual(test.found, []);
  }
});

Deno.test("encrypted: of a beginning nobody can see the first block is enough behind `unchoke`, requests and a header", () => {
  // rtorrent seeds to BiglyBT, recorded.
  const text =
    ">81 >63 >147 <452 >114 >139 >55 >98 >123 >113 >149 <14 <190 >9 >6 >127 >5 <5 >17 <13 <10136 <5792 >119 <456";
  findsOf([
    [text, true],
    [text.replace("<456", "<457"), false],
    [text.replace("<5 >17", "<6 >17"), false],
  ]);
});
