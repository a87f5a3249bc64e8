/**
 * What the table of `mse_table.ts` asks of an encrypted flow, on the first turns of real clients: by
 * itself, and beside what is known of its host.
 */
import assert from "node:assert/strict";
import { Conversation, TestEngine } from "./conversation.ts";
import { areSuspectsAlike, asksTracker, BESIDES, HOST, PEER, Play } from "./play.ts";

/** Turns as recorded, then blocks as they are asked for. */
const PAIRS: readonly (readonly [string, string, number])[] = [
  ["libtorrent, libtorrent", ">206 <180 >507 <49 >68 <294 >287 <50 <16397w", 0],
  ["libtorrent, aria2", ">197 <204 >258 <166 >68 <294 >174 >107 <50 <16397w", 15_928],
  ["aria2, aria2", ">278 <476 >123 <498 >68 <68 >174 <174 >107 <16397w", 15_928],
  ["aria2, rtorrent", ">454 <135 >124 <428 <155 >121 >5 <5 >34 <16397w", 15_928],
  ["rtorrent, rtorrent", ">228 <171 >124 <200 >117 <3 >4 >5 <5 >34 <13 <16384w", 0],
  ["rtorrent, Transmission", ">266 <227 >124 <200 <3 >118 >5 <5 >68 <13 <16384w", 0],
  ["Transmission, itself", ">284 <492 >124 <82 <123 >123 <5 >73 <3000w", 0],
  [
    "Transmission, unchoked before it says more",
    ">282 <362 >124 <82 <159 >236 >5 <156 <73 >3000w",
    0,
  ],
  ["Transmission, aria2", ">447 <286 >500 <82 >68 >186 <195 >13 <5 >102 <3000w", 2896],
  ["Transmission, Transmission 4", ">194 <110 >124 <82 <159 >217 <35 <5 >5 >544 <3000w", 0],
  [
    "Transmission, Transmission 4, pieces said",
    ">373 <268 >124 <82 <159 >232 <35 <5 >5 >544 >9 >54 <3000w",
    0,
  ],
  ["Transmission calls Transmission 4", ">425 <282 >124 <252 >236 <77 <5 >5 <544 >3000w", 2896],
  ["Transmission, qBittorrent", ">321 <463 >241 >68 <82 >202 <123 >5 <5 >68 <3000w", 0],
  ["qBittorrent, Transmission", ">220 <393 >124 <461 <282 >123 >73 <50 <13 <16384w", 15_928],
  ["KTorrent, libtorrent", ">356 <291 >20 >104 <90 <295 >5 >145 <50 <13 <16384w", 0],
  ["KTorrent, itself", ">399 <171 >20 >20 >84 <14 <68 <5 <123 >5 >5 >123 <5 >17 <16397w", 0],
  ["WebTorrent, itself", ">347 <373 >122 <71 >68 <68 >5 <85 >75 >10 <5 >17 <13 <16384w", 0],
  ["libtorrent, WebTorrent", ">229 <354 >500 <94 >68 <295 >5 >85 <50 >17 <13 <16384w", 15_928],
  ["aria2, itself, writes piled up", ">554 <503 >472 <85 >68 <68 >113 <113 >81 <8 <16397w", 0],
  ["the seeder calls", ">252 <223 >136 <431 >68 <271 >235 <73 >23 >16397w", 15_928],
];

function turnsOf(pair: string): string {
  return PAIRS.find(([name]) => name === pair)![1];
}

for (const [name, text, most] of PAIRS) {
  for (const [besides, happens] of Object.entries(BESIDES)) {
    Deno.test(`encrypted, ${name}, beside ${besides}: no block is completed`, () => {
      const test = new TestEngine();
      happens(test);
      test.detections.length = 0;
      const { passed } = new Play(test).say(text);
      assert.deepEqual(test.found, ["mse strong"]);
      assert.ok(passed <= most, `${passed} bytes of data passed`);
      if (besides === "nothing") assert.equal(test.detections[0].match.kind, "lengths");
    });
  }
}

Deno.test("encrypted: beside evidence, what is in the beginning is enough without a block", () => {
  const texts = [
    ...["aria2, rtorrent", "Transmission, itself", "qBittorrent, Transmission"].map(turnsOf),
    // Transmission with pieces already, unchoked in what it is told first; a path that joins further writes.
    ">454 <524 >124 <82 <165 >261 >73 <3000 <5792 <8688",
    // Transmission 4 with itself: `unchoke` before `interested`, 32 requests, pieces it got meanwhile.
    ">606 <243 >124 <264 >225 <35 <5 >5 >544 <10136w",
    ">232 <586 >124 <264 >217 <35 <5 >5 >544 >18 >86 <10136w",
    ">307 <594 >124 <252 >262 <118 >5 <5 <544 <17 <561 >9996w",
  ];
  for (const text of texts) {
    for (const besides of ["host", "several", "named"]) {
      const test = new TestEngine();
      BESIDES[besides](test);
      test.detections.length = 0;
      assert.equal(new Play(test).say(text).passed, 0, `${text} beside ${besides}`);
      assert.deepEqual(test.found, ["mse strong"]);
    }
  }
});

/** aria2 seeds, libtorrent and Deluge ask: what allowed fast pieces bring, right behind their words. */
const ONE_BLOCK = [
  ">304 <221 >215 >68 <378 <253 >287 <16397w <49191w",
  ">391 <432 >287 >68 <14 <253 >300 <16397w <49191w",
];

Deno.test("encrypted: one block as the first write, behind words in their places, is enough alone", () => {
  for (const text of ONE_BLOCK) {
    const test = new TestEngine();
    assert.ok(new Play(test).say(text).passed <= 15_928, text);
    assert.deepEqual(test.found, ["mse strong"]);
  }
});

Deno.test("encrypted: one block is not enough alone elsewhere, of another length, or after others", () => {
  for (
    const text of [
      ">304 <221 >215 >68 <378 <253 >287 <16398w <20000w",
      ">304 <221 >215 >68 <378 <253 >287 <5000w <16397w",
      ">304 <221 >215 >68 <378 <253 >287 <32794w",
      ">304 <221 >215 >68 <378 >287 <253 <16397w", // the fourth message by itself
      ">304 <221 >215 >68 <378 <253 >287 <90 >80 <16397w",
      ">304 <221 >215 >69 <378 <253 >287 <16397w",
    ]
  ) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, [], text);
  }
});

Deno.test("encrypted: a block that ended with the next one's header is one, once blocks have ended", () => {
  // As recorded of aria2: windows hide where the second and third end.
  const first = ">304 <221 >215 >68 <378 >287 <90 >80 <16397w";
  const test = new TestEngine();
  new Play(test).say(`${first} <49204w`);
  assert.deepEqual(test.found, ["mse strong"]);
  const other = new TestEngine();
  new Play(other).say(">304 <221 >215 >68 <378 >287 <90 >80 <16410w <49191w");
  assert.deepEqual(other.found, []);
});

Deno.test("encrypted: behind SOCKS5 the first turn is the tunnel's, on a proxy's own port too", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp", HOST, "198.51.100.1:1080").open()
    .say(0, Uint8Array.of(5, 1, 0)).say(1, Uint8Array.of(5, 0))
    .say(0, Uint8Array.of(5, 1, 0, 1, 203, 0, 113, 9, 0xc8, 0xd5))
    .say(1, Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
  for (const [side, length] of [[0, 228], [1, 171], [0, 124], [1, 200], [0, 5], [1, 5]] as const) {
    flow.sayRandom(side, length);
  }
  flow.sayRandom(0, 34).sayRandom(1, 13).sayRandom(1, 1448);
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("encrypted: 32 requests at once are enough alone behind a handshake and `unchoke`", () => {
  const found: readonly (readonly [string, boolean])[] = [
    // Transmission 4.1 with itself, on a link of 50 kB/s; who seeds calls; asked further.
    [">189 <197 >124 <264 >217 <35 <5 >5 >544 >9 <10136w", true],
    [">332 <322 >124 <252 >247 <77 >5 <5 <544 >9996w", true],
    [">123 <197 >124 <252 >247 <118 >5 <5 <544 <17 <17 <17 >9996w", true],
    [">189 <197 >124 <264 >217 <35 <5 >549 <10136w", false], // no recorded program says so
    [">189 <197 >124 <264 >217 <35 <5 >5 >527 <10136w", false],
    [">189 <197 >124 <264 >217 <35 <5 >5 >561 <10136w", false],
    [">189 <197 >124 <264 >217 <35 <5 >5 >544 >62 <10136w", false],
    [">189 <197 >124 <264 >217 <35 <5 >5 >544 >62 >17 <10136w", false],
    [">189 <197 >124 <264 >217 <35 <5 >5 >17 >544 <10136w", false],
    [">189 <197 >125 <264 >217 <35 <5 >5 >544 <10136w", false],
    [">189 <197 >124 <264 >217 <35 <6 >5 >544 <10136w", false],
    [">189 <197 >124 <264 >217 <35 <5 >6 >544 <10136w", false],
  ];
  for (const [text, isFound] of found) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
});

Deno.test("encrypted: two that say the same of themselves may have names of other lengths", () => {
  const beside = (text: string, besides: string) => {
    const test = new TestEngine();
    BESIDES[besides](test);
    test.detections.length = 0;
    return new Play(test).say(text).passed;
  };
  const text = ">308 <295 >411 <112 >68 <307 >285 <50 <65588w"; // Deluge seeds, qBittorrent asks
  for (const besides of ["several", "host", "named"]) {
    assert.equal(beside(text, besides), 0, besides);
  }
  for (const besides of Object.keys(BESIDES)) {
    assert.ok(beside(text.replace(">285", ">282"), besides) > 16_397, besides);
  }
  assert.ok(beside(text, "nothing") > 16_397);
});

Deno.test("encrypted, in step: padding that is as long as a handshake hides none that follows it", () => {
  const texts = [
    ">206 <180 >507 <82 >68 <294 >287 <50 <16397w",
    ">206 <180 >124 <49 >68 <294 >287 <50 <16397w",
    ">206 <180 >124 <82 >68 <294 >287 <50 <16397w",
  ];
  for (const text of texts) {
    const test = new TestEngine();
    assert.equal(new Play(test).say(text).passed, 0, text);
    assert.deepEqual(test.found, ["mse strong"], text);
  }
  for (const text of [...texts, ">494 <583 >155 <82 >68 <294 >185 >142 <50 <65588w"]) {
    const test = new TestEngine();
    areSuspectsAlike(test, [">428 <316 >523 <217 >68", ">402", ">598"]);
    assert.equal(new Play(test).say(text).passed, 0, text);
    // The very same but for the handshake's place.
    const other = new TestEngine();
    areSuspectsAlike(other, [">428 <316 >523 <217 >68", ">402", ">598"]);
    assert.ok(new Play(other).say(text.replace(">68", ">69")).passed > 0, text);
  }
});

Deno.test("encrypted: behind both handshakes requests stay asked through what else the asker says", () => {
  // Transmission seeds to Deluge, recorded: it unchokes in what it says of its extensions.
  const text = ">104 <140 >521 >68 <82 >226 <164 >73 >6 >96";
  for (
    const [besides, data, isFound] of [
      ["several", "<3000", true],
      ["host", "<3000", true],
      ["named", "<3000", true],
      ["nothing", "<3000 <3000", true],
      ["nothing", "<3000", false],
    ] as const
  ) {
    const test = new TestEngine();
    BESIDES[besides](test);
    test.detections.length = 0;
    new Play(test).say(`${text} ${data}`);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], `${data} beside ${besides}`);
  }
});

Deno.test("encrypted: who is named as a peer and connects at once is one with a handshake's length", () => {
  const turns = [[1, 200], [0, 300], [1, 124], [0, 100]] as const;
  for (const opens of ["openBoth", "open"] as const) {
    const test = new TestEngine();
    asksTracker(test, PEER);
    const before = test.found.length;
    const flow = new Conversation(test, "tcp", HOST, PEER)[opens]();
    for (const [side, length] of turns) flow.sayRandom(side, length);
    const found = opens === "openBoth" ? ["mse strong"] : [];
    assert.deepEqual(test.found.slice(before), found, opens);
  }
});
