/**
 * What the table of `mse_table.ts` asks of an encrypted flow, on the first turns of real clients and
 * on those of programs that look alike.
 */
import assert from "node:assert/strict";
import { CLEAN, DROP } from "../../src/engine/engine.ts";
import { Conversation, latin1, TestEngine, torrents } from "./conversation.ts";
import { asksTracker, HOST, isOneOfSeveral, PEER, Play, says } from "./play.ts";

const BESIDES: Readonly<Record<string, (test: TestEngine) => void>> = {
  nothing: () => {},
  host: torrents,
  several: isOneOfSeveral,
  named: (test) => asksTracker(test, PEER),
};

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

/** Third messages with a handshake, between paddings; of who calls three and who is called by three. */
const SWARM = [">412 <458 >124 <301", ">478 <238 >124 <470", ">207 <580 >124 <187"];
const SWARMS: Readonly<Record<string, (i: number) => [string, string]>> = {
  "fan-out": (i) => [`10.0.0.1:4000${i}`, `198.18.${i}.1:2000${i}`],
  called: (i) => [`198.18.${i}.1:4000${i}`, PEER],
};

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

/** Suspects whose first messages are, by chance, nearly as long as one another. */
function areSuspectsAlike(test: TestEngine, others: readonly string[]): void {
  others.forEach((text, index) => {
    new Play(test, `10.0.0.1:5100${index}`, `198.18.${index}.1:2100${index}`).say(text);
  });
  assert.deepEqual(test.found, []);
}

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

Deno.test("encrypted: what one end alone can do hides nothing", () => {
  const rest = ">124 <82 <268 >5 <5 >17 <1448";
  const beginnings: readonly [string, (flow: Conversation, test: TestEngine) => void][] = [
    ["a first byte by itself", (flow) => {
      flow.say(0, latin1("1")).sayRandom(0, 215).sayRandom(1, 296);
    }],
    ["a key that begins with its own length", (flow, test) => {
      flow.say(0, Uint8Array.of(0, 214, ...test.random(214))).sayRandom(1, 296);
    }],
    ["a key of which 15 bytes are text", (flow, test) => {
      flow.say(0, Uint8Array.of(...latin1("GET /index.html"), ...test.random(201))).sayRandom(
        1,
        296,
      );
    }],
    ["padding that is not random", (flow, test) => {
      flow.say(0, Uint8Array.of(...test.random(96), ...new Uint8Array(300)))
        .say(1, Uint8Array.of(...test.random(96), ...new Uint8Array(80)));
    }],
  ];
  for (const [name, begin] of beginnings) {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", HOST, PEER).open();
    begin(flow, test);
    says(flow, rest);
    assert.deepEqual(test.found, ["mse strong"], name);
  }
});

Deno.test("encrypted: a decoy in the key's place that dies on the way hides nothing", () => {
  for (const decoy of ["HELLO WORLD, nothing to see.\n", "GET /index.html HTT", "SSH-2.0-x"]) {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", HOST, PEER).open();
    flow.sayAndForget(0, latin1(decoy.repeat(8))).sayRandom(0, 196).sayRandom(1, 296);
    flow.sayRandom(0, 124).sayRandom(1, 82).sayRandom(1, 268);
    flow.sayRandom(0, 5).sayRandom(1, 5).sayRandom(0, 17).sayRandom(1, 1448);
    assert.deepEqual(test.found, ["mse strong"], decoy);
  }
});

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

/** Data as a relay reads and writes it: what is allowed fast and four blocks, then requests. */
const RELAYED = ">603 <131 >452 <21 >68 <294 >277";
/** Whose seed says no more of itself than who asks, so that it takes the requests. */
const NOT_LONGER = RELAYED.replace("<294", "<277");

Deno.test("encrypted: requests just when relayed data has ended whole blocks behind its beginning", () => {
  const data = "<10136 <10136 <21720 <6324 <13032 <4290"; // 50 + 4 blocks
  const found: readonly (readonly [string, boolean])[] = [
    [`${RELAYED} ${data} >136`, true],
    [`${RELAYED} ${data} >120`, true], // 6 requests and two haves
    [`${RELAYED} <10136 <10136 >18 <21720 <6324 >9 <13032 <4290 >136`, true], // haves in between
    [`${RELAYED} <10136 <10136 <21720 <6324 <13032 <4245 >136`, true], // `unchoke` alone
    // A block's end stands where the relay had no more to read.
    [`>606 <528 >563 <508 >68 <293 >285 <10136 <10136 <12116 <16853 <10136 <6261 >136`, true],
    [`>606 <528 >563 <508 >68 <293 >250 <10136 <10136 <12116 <16853 <10136 <6261 >140`, false],
    [`${NOT_LONGER} ${data} >136`, true],
    [`${NOT_LONGER} ${data} >140`, false],
    [`${NOT_LONGER} ${data} >18`, false],
    [`${RELAYED} <10136 <10136 <21720 <6324 <13032 <4291 >136`, false],
    [`${RELAYED} <10136 <10136 <21720 <6324 <13032 <4239 >136`, false],
    [`>603 <131 >452 <21 >69 <294 >277 ${data} >136`, false],
    // aria2: an empty list of peers, `unchoke` and six blocks, joined (recorded).
    [
      ">421 <291 >528 <482 >68 <68 >185 <185 >115 <11584 <11584 <17376 <5792 <6730 <37648 <7681 >162",
      true,
    ],
    // The handshake came with the third message: enough with what both say of their extensions (recorded).
    [`>353 <385 >301 >68 <255 <294 >277 ${data} >136`, true],
    [`>353 <385 >301 >68 <255 <294 >240 ${data} >136`, false],
  ];
  for (const [text, isFound] of found) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
  const beside = new TestEngine();
  isOneOfSeveral(beside);
  new Play(beside).say(found.at(-1)![0]);
  assert.deepEqual(beside.found, ["mse strong"], "one of several");
});

Deno.test("encrypted: behind a relay what both say of their extensions stands for a handshake's length", () => {
  // Recorded of qBittorrent: the handshake went out within the third message.
  const opening = ">548 <593 >450 <245 <293 >286";
  const data = "<10136 <6324 <18824 <18824 <11530"; // 50 + 4 blocks
  for (
    const [text, isFound] of [
      [`${opening} ${data} >136 <13 <16384w`, true],
      [`${opening} ${data} >136 <16397 <32794w`, true],
      // `unchoke` and what is allowed fast by itself, a have between them and the data.
      [
        ">568 <520 >149 <61 <293 >294 <50 >9 <11584 <11584 <17376 <23168 <1824 <52 >81 >17 <16397w",
        true,
      ],
      // Alone three blocks are not enough, nor is what is no such sum.
      [`${opening} <10136 <6324 <18824 <13957 >136 <5000`, false],
      [`${opening} <10136 <6324 <18824 <18824 <11531 >136 <13 <16384w`, false],
      [`${opening} ${data} >140 <5000 <16384w`, false],
      // Not alike, and not in a write by itself.
      [`>548 <593 >450 <245 <293 >250 ${data} >136 <13 <16384w`, false],
      [`>548 <593 >450 <538 >286 ${data} >136 <13 <16384w`, false],
    ] as const
  ) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
});

Deno.test("encrypted: behind a relay blocks are waited for beyond the first requests' where both say the same", () => {
  const test = new TestEngine();
  isOneOfSeveral(test);
  new Play(test).say(
    ">430 <250 >569 <286 <293 >285 <10136 <10136 <14480 <5792 <20272 <4822 <5792 <11584 <8688 >18 >34 " +
      ">27 <16397 <16397 >129",
  );
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

Deno.test("encrypted: a decoy in the place of the answer's key that dies on the way hides nothing", () => {
  const decoy = latin1("HELLO WORLD, nothing to see.\n".repeat(4));
  const orders: [string, (flow: Conversation) => Conversation][] = [
    ["before the key", (flow) => flow.sayAndForget(1, decoy).sayRandom(0, 196)],
    ["behind the key", (flow) => flow.sayRandom(0, 196).sayAndForget(1, decoy)],
  ];
  for (const [name, begin] of orders) {
    const test = new TestEngine();
    const flow = begin(new Conversation(test, "tcp", HOST, PEER).open());
    flow.sayRandom(1, 296).sayRandom(0, 124).sayRandom(1, 82).sayRandom(1, 268);
    flow.sayRandom(0, 5).sayRandom(1, 5).sayRandom(0, 17).sayRandom(1, 1448);
    assert.deepEqual(test.found, ["mse strong"], name);
  }
});

Deno.test("encrypted: an answer that has arrived is no decoy, and the flow is let go", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp", HOST, PEER).open();
  flow.say(1, latin1("220 ready when you are, and not before\r\n")).sayRandom(0, 196);
  assert.equal(flow.lastVerdict, CLEAN);
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

/** Each conversation by itself, and whether it is found. */
function findsOf(conversations: readonly (readonly [text: string, isFound: boolean])[]): void {
  for (const [text, isFound] of conversations) {
    const test = new TestEngine();
    new Play(test).say(text);
    assert.deepEqual(test.found, isFound ? ["mse strong"] : [], text);
  }
}

Deno.test("encrypted: the first four blocks, joined with what stands before them, are one length of many", () => {
  // qBittorrent by itself, through a proxy that joined all that stood before.
  const text = ">275 <220 >489 <51 <293 >286 <65638w >154";
  findsOf([
    [text, true],
    [text.replace("65638", "65637"), false],
    [text.replace("65638", `${50 + 3 * 16_397}`), false],
    [text.replace("<293", "<286"), false],
    [text.replace("<293", "<305"), false],
    [text.replace(">154", ">155"), false],
  ]);
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

Deno.test("encrypted: what one says behind its handshake, joined with it by a relay, is what the other says", () => {
  // aria2 through a CONNECT proxy, recorded: `unchoke` and six blocks in one stroke.
  const text = ">484 <287 >90 <111 >68 <253 >185 <8 >115 <98387w >17";
  findsOf([
    [text, true],
    [text.replace("253", "254"), false],
    [text.replace("98387", "98386"), false],
    [text.replace(">17", ">18"), false],
  ]);
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

Deno.test("encrypted: what aria2 says of itself by IPv6 is short, and the same from both sides", () => {
  // Recorded with one of four seeds.
  const text = ">541 <249 >345 <509 >68 <68 >95 <95 >13 <13 >102 <9996 <6401 <4284";
  const test = new TestEngine();
  for (const other of ["198.18.2.1:20001", "198.18.3.1:20002"]) {
    new Play(test, "10.0.0.1:40001", other).say(">479 <489 >102 <508 >68 <68 >95 <95 >5");
  }
  assert.deepEqual([new Play(test).say(text).passed, test.found], [0, ["mse strong"]]);
});

Deno.test("encrypted: what aria2 says of itself behind two handshakes tells of one that a relay has joined", () => {
  const shown = [
    ">479 <489 >102 <508 >68 <68 >185 <185 >102",
    ">260 <300 >452 <78 >68 <68 >185 <185 >102",
  ];
  const joined = ">484 <287 >90 <111 >68 <253 >185 <8 >115 <16397w";
  const echoed = ">484 <287 >90 <111 >68 <68 >185 <185 >39 <39 <16396w";
  for (
    const [others, text, passed, found] of [
      [shown, joined, 0, ["mse strong"]], // the first data, not the first block's end
      [shown, joined.replace(">185", ">188"), 15_928, ["mse strong"]],
      [shown, joined.replace(">68", ">69"), 16_397, []],
      [shown, joined.replace("<253", "<279").replace("16397", "16396"), 16_396, []],
      [shown.map((text) => text.replace("<68", "<69")), joined, 15_928, ["mse strong"]],
      [shown, echoed, 16_396, []], // an echo is no kin
    ] as const
  ) {
    const test = new TestEngine();
    others.forEach((other, i) =>
      new Play(test, `10.0.0.1:4000${i}`, `198.18.${i + 2}.1:2000${i}`).say(other)
    );
    assert.deepEqual([new Play(test).say(text).passed, test.found], [passed, found], text);
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
