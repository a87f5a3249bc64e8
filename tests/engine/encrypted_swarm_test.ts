/** What an encrypted flow must show by itself when its host has others: several suspects, a swarm. */
import assert from "node:assert/strict";
import { TestEngine } from "./conversation.ts";
import { areSuspectsAlike, BESIDES, isOneOfSeveral, Play, SWARM, SWARMS } from "./play.ts";

/** Recorded with four seeders of Transmission 4.1's and libtorrent's. */
const IN_SWARM = [
  ">283 <196 >124 <264 >216 <35 <5 >73 <10136w",
  ">412 <458 >124 <301 <294 >202 <6 <74 >73 <50 <10136w",
  ">478 <238 >124 <470 <294 >209 >73 <50 <8688w",
  ">123 <197 >124 <252 >247 <118 >5 <5 <187 >9996w", // eleven blocks were left to ask for
];
for (const [kind, ends] of Object.entries(SWARMS)) {
  Deno.test(`encrypted, ${kind}: in a swarm an unchoke and requests behind a handshake are enough`, () => {
    const play = (text: string, swarm = SWARM) => {
      const test = new TestEngine();
      swarm.forEach((beginning, i) => new Play(test, ...ends(i + 2)).say(beginning));
      assert.deepEqual(test.found, []);
      const { passed } = new Play(test).say(text);
      return [passed, ...test.detections.map(({ match }) => match.kind)];
    };
    for (const text of IN_SWARM) {
      const [first, second] = text.split(" ");
      assert.deepEqual(play(text), [0, kind], text);
      for (
        const other of [
          SWARM.slice(1).map((beginning) => beginning.replace(">124", ">125")),
          SWARM.map((beginning) => beginning.replace(/<(458|238|580)/, second)),
          SWARM.map((beginning) => beginning.replace(/>(412|478|207)/, first)),
        ]
      ) assert.notDeepEqual(play(text, other)[1], "called", `${text} beside ${other}`);
    }
    for (
      const text of [
        ">283 <196 >125 <264 >216 <35 <5 >73 <10136w",
        ">283 <196 >124 <264 >216 <35 <6 >73 <10136w",
        ">283 <196 >124 <264 >216 <35 <5 >72 <10136w",
        ">412 <458 >124 <301 <294 >202 <6 <74 >73 <60 <10136w",
        ">412 <458 >124 <301 <294 >202 <6 <74 >72 <50 <10136w",
        ">412 <458 >125 <301 <294 >202 <6 <74 >73 <50 <10136w",
        ">412 <458 >124 <301 <294 >202 <6 <74 >73 <50 >10136w",
        ">412 <458 >124 <301 <127 >202 <6 <74 >73 <50 <10136w",
        ">412 <458 >124 <301 >202 <6 <74 >73 <50 <10136w",
        ">412 <458 >124 <301 <294 >202 <6 >35 <74 >73 <50 <10136w",
        ">412 <458 >124 <301 <294 >202 <73 >50 <10136w",
      ]
    ) assert.ok(Number(play(text)[0]) >= 9996, text);
  });
}

Deno.test("encrypted: requests are none where who sent them sends data, or something else stands between", () => {
  for (
    const text of [
      ">606 <243 >124 <264 >225 <35 <5 >5 >544 >10136w",
      ">606 <243 >124 <264 >225 <35 <5 >5 >544 >62 <10136w",
      ">606 <243 >124 <264 >225 <5 >35 <35 >544 <10136w",
      ">606 <243 >124 <264 >225 <35 <5 >5 >545 <10136w",
    ]
  ) {
    const test = new TestEngine();
    isOneOfSeveral(test);
    assert.ok(new Play(test).say(text).passed > 10_000, text);
    assert.deepEqual(test.found, [], text);
  }
});

Deno.test("encrypted: 13 bytes before data are a header or a short message, not both", () => {
  const test = new TestEngine();
  isOneOfSeveral(test);
  new Play(test).say(">521 <418 >124 <93 >14 <5 >5 <105 >60 >13 >2175w");
  assert.deepEqual(test.found, []);
});

/** A seed of libtorrent's at the first write, which holds four blocks: nothing says where one ends. */
const IN_STEP = ">357 <475 >89 <490 >68 <294 >286 <50 <65588w";

Deno.test("encrypted: beside other suspects what a seed says is enough before its first data", () => {
  for (
    const [text, isEnough] of [
      [IN_STEP, true],
      [">598 <357 >146 <85 >68 <293 >287 <50 <65588w", true], // qBittorrent seeds
      [">345 <133 >104 <499 >68 <307 >300 <50 <65588w", true], // Deluge
      // Handshakes right behind the third message and the fourth, each in a write of its own.
      [">403 <575 >520 >68 <175 <295 >288 <50 <65588w", true],
      [">236 <382 >557 >68 <291 <299 >287 <50 <65588w", true],
      [">404 <458 >450 <29 >68 <294 >295 <50 <65588w", false],
      [">404 <458 >450 <29 >68 <294 >291 <50 <65588w", false],
      [">404 <458 >450 <29 >68 <190 >183 <50 <65588w", false],
      [">197 <204 >258 <166 >68 <294 >174 >107 <50 <65588w", false], // aria2 asks
    ] as const
  ) {
    for (const besides of ["several", "host", "named"]) {
      const test = new TestEngine();
      BESIDES[besides](test);
      test.detections.length = 0;
      assert.equal(new Play(test).say(text).passed, 0, `${text} beside ${besides}`);
      assert.deepEqual(test.found, ["mse strong"]);
    }
    // Of one program with itself the seed's words are a little longer: enough alone.
    const { passed } = new Play(new TestEngine()).say(text);
    assert.equal(passed === 0, isEnough, `${text} alone`);
  }
});

Deno.test("encrypted: two handshakes behind unlike padding make several, where first messages are alike", () => {
  const own = ">201 <324 >332 <84 >68 <294 >295 <50 <65588w"; // all as recorded
  for (
    const [others, isEnough] of [
      [[">233 <348 >340 <400 >68", ">265 <577 >341 <169 >68", ">264 <234 >240 <49"], true],
      [[">233 <348 >340 <400", ">265 <577 >341", ">264 <234 >240 <49"], false],
      [[">233 <348 >340 <90 >68", ">265 <577", ">264"], false], // as long as the other's
      [[">233 <348 >340 <400 >69", ">265 <577 >341 <169 >67", ">264 <234 >240 <49"], false],
    ] as const
  ) {
    const test = new TestEngine();
    areSuspectsAlike(test, others);
    assert.equal(new Play(test).say(own).passed === 0, isEnough, others.join(", "));
  }
});

Deno.test("encrypted: a seed's words at other turns, or without what stands before, are not enough", () => {
  for (
    const text of [
      ">357 <475 >89 <490 >68 <127 >286 <50 <20000w",
      ">357 <475 >89 <490 >68 <294 >63 <50 <20000w",
      ">357 <475 >89 <490 >68 <294 >286 <41 <20000w",
      ">357 <475 >89 <490 >68 <294 >286 <60 >60 <50 <20000w",
      ">357 <475 >89 <490 >68 <294 >286 <50 >60 <20000w",
      ">357 <475 >89 <490 >67 <294 >286 <50 <20000w",
      ">357 <475 >89 >67 <490 <294 >286 <50 <20000w",
      ">357 <475 >89 >68 <784 >286 <50 <20000w",
      ">357 <475 >89 >68 <490 <294 >60 >286 <50 <20000w",
      ">357 <475 >89 >68 <490 <294 >286 <60 >60 <50 <20000w",
    ]
  ) {
    const test = new TestEngine();
    isOneOfSeveral(test);
    new Play(test, "10.0.0.1:50001", "198.18.9.1:20009").say(">403 <514 >247 <114 >68");
    new Play(test).say(text);
    assert.deepEqual(test.found, [], text);
  }
});

/** Recorded, four seeders called at once: the extensions and, apart from them, peers and requests. */
const TOLD_APART = [
  ">494 <583 >155 <113 >68 <294 >185 >142 <50 <65588w", // libtorrent seeds, aria2 asks
  ">161 <234 >94 <114 >68 <293 >185 >142 <50 <65588w", // qBittorrent
  ">261 <422 >97 <329 >68 <307 >185 >115 <50 <65588w", // Deluge
];

Deno.test("encrypted: in step, the seventh turn in two messages, is enough beside another handshake", () => {
  const others = [">428 <316 >523 <217 >68", ">402", ">598"];
  for (
    const [beside, isEnough] of [
      [others, true],
      [[">428 <316 >523 <217 >69", ...others.slice(1)], false],
      [others.map((text) => text.split(" ")[0]), false],
      [others.slice(0, 1), false],
      [[], false],
    ] as const
  ) {
    for (const text of TOLD_APART) {
      const test = new TestEngine();
      areSuspectsAlike(test, beside);
      const { passed } = new Play(test).say(text);
      assert.equal(passed === 0, isEnough, `${text} beside ${beside}`);
    }
  }
  for (const text of TOLD_APART) {
    const [, third, fourth] = text.match(/<\d+ >(\d+) <(\d+) >68/)!;
    const test = new TestEngine();
    areSuspectsAlike(test, [`>428 <316 >${third} <${fourth} >68`, ">402", ">598"]); // no padding
    assert.ok(new Play(test).say(text).passed > 0, text);
  }
});

Deno.test("encrypted: out of step two messages in the seventh turn, or one unlike the sixth, are not enough", () => {
  for (
    const text of [
      ">494 <583 >155 <113 >68 <294 >185 >142 <51 <20000w",
      ">494 <583 >155 <113 >68 <294 >185 >142 <50 >142 <20000w",
      ">494 <583 >155 <113 >67 <294 >185 >142 <50 <20000w",
      ">494 <583 >155 <113 >68 <127 >185 >142 <50 <20000w",
      ">494 <583 >155 <113 >68 <294 >327 <50 <20000w",
      ">494 <583 >155 <113 >68 <307 >282 <50 <20000w",
    ]
  ) {
    const test = new TestEngine();
    areSuspectsAlike(test, [">428 <316 >523 <217 >68", ">402", ">598"]);
    new Play(test).say(text);
    assert.deepEqual(test.found, [], text);
  }
});

Deno.test("encrypted: requests before `unchoke` decide in a swarm with the first data", () => {
  const swarm = [">431 <413 >124 <378", ">387 <574 >124 <335", ">207 <362 >124 <49"];
  for (
    const [text, isFound] of [
      // rtorrent asks qBittorrent and libtorrent, recorded.
      [">128 <479 >124 <437 <310 >121 >39 <5 <32794w", true],
      [">231 <126 >124 <386 <311 >121 >39 <5 <32794w", true],
      [">231 <126 >124 <386 <311 >121 >39 <6 <32794w", false],
      [">231 <126 >124 <386 <311 >121 >40 <5 <32794w", false],
      [">231 <126 >124 <386 <311 >121 >39 <5 >9 <32794w", false],
      [">231 <126 >125 <386 <311 >121 >39 <5 <32794w", false],
      [">231 <126 >124 <386 <311 >121 <5 >39 <5 <32794w", true],
      [">231 <126 >124 <386 <311 >121 >39 >5 <32794w", false],
    ] as const
  ) {
    for (const others of [swarm, swarm.map((other) => other.replace("124", "125"))]) {
      const test = new TestEngine();
      areSuspectsAlike(test, others);
      const isNone = new Play(test).say(text).passed === 0;
      assert.equal(isNone, isFound && others === swarm, `${text} beside ${others.join(", ")}`);
    }
  }
});

Deno.test("encrypted: a swarm's paddings are spread in sum, where one of two further messages has none", () => {
  // Transmission 4 seeds to Transmission 3, recorded: its answers are of 122 bytes' spread.
  const own = ">455 <384 >124 <264 >216 <35 <5 >73 <10136w";
  const others = [">138 <500 >124 <264", ">367 <404 >124 <264", ">470 <378 >124 <264"];
  for (
    const [beside, isEnough] of [
      [others, true],
      [others.map((text) => text.replace(/<\d+ >124/, "<440 >124")), false],
      [others.map((text) => text.replace(/^>\d+/, ">400")), false],
      [others.map((text) => text.replace("124", "125")), false],
    ] as const
  ) {
    const test = new TestEngine();
    areSuspectsAlike(test, beside);
    assert.equal(new Play(test).say(own).passed === 0, isEnough, beside.join(", "));
  }
});

Deno.test("encrypted: what aria2 says of itself by IPv6 is short, and the same from both sides", () => {
  // Recorded with one of four seeds.
  const text = ">541 <249 >345 <509 >68 <68 >95 <95 >13 <13 >102 <9996 <6401 <4284";
  const test = new TestEngine();
  for (const other of ["198.18.2.1:20001", "198.18.3.1:20002"]) {
    new Play(test, "10.0.0.1:40001", other).say(">479 <489 >102 <508 >68 <68 >95 <95 >5");
  }
  assert.deepEqual([new Play(test).say(text).passed, test.found], [0, ["mse strong"]]);
});
