/** Encrypted flows through proxies: who is spoken with is the target, who is held is the user. */
import assert from "node:assert/strict";
import { PSH } from "../../src/packet/packet.ts";
import { Conversation, HANDSHAKE, latin1, TestEngine } from "./conversation.ts";
import { asksTracker, HOST, Play, says } from "./play.ts";
import {
  ADDRESSES,
  calls,
  KIN,
  NAMES,
  NEGOTIATIONS,
  PROXY,
  RELAYED,
  type Target,
} from "./proxied.ts";

/** Enough beside others of the host, and not alone: 124, requests and data, what is allowed fast. */
const ENOUGH_OF_SEVERAL = ">220 <393 >124 <461 <282 >123 >73 <50 <13 <4000w";

/** Suspects of a host through one proxy to these targets, with paddings of many lengths. */
function others(test: TestEngine, how: string, targets: readonly Target[], host = "10.0.0.1") {
  for (const [i, target] of targets.entries()) {
    const first = [110, 600, 333, 480][i];
    new Play(test, `${host}:4000${i}`, PROXY, (flow) => NEGOTIATIONS[how](flow, target))
      .say(`>${first}`);
  }
}

for (const [how, negotiate] of Object.entries(NEGOTIATIONS)) {
  for (const [kind, targets] of Object.entries({ addresses: ADDRESSES, names: NAMES })) {
    Deno.test(`proxied, ${how}: several ${kind} behind one proxy are several places`, () => {
      const test = new TestEngine();
      others(test, how, targets);
      const play = new Play(test, HOST, PROXY, (flow) => negotiate(flow, "203.0.113.9:51413"));
      play.say(ENOUGH_OF_SEVERAL);
      assert.deepEqual(test.found, ["mse strong"]);
      assert.equal(test.detections[0].match.kind, "fan-out");
    });
  }

  Deno.test(`proxied, ${how}: one place, many times, is one`, () => {
    const test = new TestEngine();
    others(test, how, ["198.18.2.1:20002", "198.18.2.1:20002", "198.18.2.1:20002"]);
    new Play(test, HOST, PROXY, (flow) => negotiate(flow, "198.18.2.1:20002"))
      .say(ENOUGH_OF_SEVERAL);
    assert.deepEqual(test.found, []);
  });

  Deno.test(`proxied, ${how}: what another user of the proxy does lowers no bar`, () => {
    const test = new TestEngine();
    others(test, how, ADDRESSES, "10.0.0.2");
    for (
      const [peer, address] of [["10.0.0.2:40009", PROXY], ["203.0.113.5:6881", "10.0.0.2:6881"]]
    ) {
      const torrenter = new Conversation(test, "tcp", peer, address).open();
      if (address === PROXY) negotiate(torrenter, "203.0.113.8:51413");
      torrenter.say(0, HANDSHAKE).say(1, HANDSHAKE);
    }
    test.detections.length = 0;
    new Play(test, HOST, PROXY, (flow) => negotiate(flow, "203.0.113.9:51413"))
      .say(ENOUGH_OF_SEVERAL);
    assert.deepEqual(test.found, []);
  });

  Deno.test(`proxied, ${how}: a target's handshake is not held against the proxy`, () => {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", HOST, PROXY).open();
    negotiate(flow, "203.0.113.9:51413");
    flow.say(1, HANDSHAKE).say(0, latin1("GET / HTTP/1.1\r\n\r\n"));
    assert.deepEqual(test.found, ["peer-wire proof"]);
    assert.equal(test.detections[0].ban, false);
    assert.equal(test.detections[0].source, "198.51.100.1");
  });

  Deno.test(`proxied, ${how}: its user's handshake is held against the user`, () => {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", HOST, PROXY).open();
    negotiate(flow, "203.0.113.9:51413");
    flow.say(0, HANDSHAKE);
    assert.equal(test.detections[0].ban, true);
    assert.equal(test.detections[0].source, "10.0.0.1");
  });
}

Deno.test("proxied: an endpoint that was named is one behind a proxy too", () => {
  for (
    const [target, kinds] of [["203.0.113.9:51413", ["named-peer"]], ["203.0.113.8:51413", []]]
  ) {
    const test = new TestEngine();
    asksTracker(test, "203.0.113.9:51413");
    test.detections.length = 0;
    // 19 bits, one less than a host with evidence needs.
    new Play(test, HOST, PROXY, (flow) => NEGOTIATIONS.SOCKS5(flow, target as Target))
      .say(">220 <393 >124 <461 <282 >123 >75 <50 <13 <4000w >17");
    assert.deepEqual(test.detections.map(({ match }) => match.kind), kinds, String(target));
  }
});

Deno.test("proxied: what was ruled out no longer counts among its user's targets", () => {
  const test = new TestEngine();
  others(test, "SOCKS5", ADDRESSES);
  for (const [i, target] of ADDRESSES.entries()) {
    // The second turn is no key.
    new Conversation(test, "tcp", `10.0.0.1:4100${i}`, PROXY).open();
    const flow = new Conversation(test, "tcp", `10.0.0.1:4200${i}`, PROXY).open();
    NEGOTIATIONS.SOCKS5(flow, target);
    flow.sayRandom(0, 300).sayRandom(1, 20).sayRandom(0, 20);
  }
  new Play(test, HOST, PROXY, (flow) => NEGOTIATIONS.SOCKS5(flow, "203.0.113.9:51413"))
    .say(ENOUGH_OF_SEVERAL);
  assert.deepEqual(test.found, []);
});

/** The same of qBittorrent, whose handshakes go out with the third message. */
const KIN_APART = [
  ">571 <412 >239 >68 <372 <293 >285",
  ">606 <528 >563 <508 <293 >286",
  ">271 <162 >169 <266 <293 >294",
];
const RELAYED_APART = ">228 <236 >266 >68 <490 <293 >285 <10136w";

function playsKin(
  kin: readonly string[],
  own: string,
  targets: readonly Target[] = ADDRESSES,
): TestEngine {
  const test = new TestEngine();
  for (const [i, text] of kin.entries()) {
    new Play(
      test,
      `10.0.0.1:4000${i}`,
      PROXY,
      (flow) => NEGOTIATIONS.SOCKS5(flow, targets[i]),
    ).say(text);
  }
  new Play(test, HOST, PROXY, (flow) => NEGOTIATIONS.SOCKS5(flow, "203.0.113.9:51413")).say(own);
  return test;
}

Deno.test("proxied: several places that tell as much of extensions are one torrent's, before its data", () => {
  for (const [kin, own] of [[KIN, RELAYED], [KIN_APART, RELAYED_APART]] as const) {
    const test = playsKin(kin, own);
    assert.deepEqual(test.detections.map(({ match }) => match.kind), ["fan-out"], own);
    assert.equal(test.detections[0].ban, true);
  }
});

Deno.test("proxied: one place, other lengths, or no handshake's are no such torrent's", () => {
  const instead = (from: string, to: string) => KIN.map((text) => text.replace(from, to));
  const same: Target[] = ["198.18.2.1:20002", "198.18.2.1:20002", "198.18.2.1:20002"];
  for (
    const [i, test] of [
      playsKin(KIN, RELAYED, same),
      playsKin(instead("<294", "<293"), RELAYED), // told another length
      playsKin(instead(">68", ">69"), RELAYED),
      playsKin(KIN, RELAYED.replace(">68", ">69")),
      playsKin(KIN, RELAYED.replace(">276", ">250")), // not alike
      playsKin(KIN.slice(1), RELAYED.replace(">68", ">68 <9")), // no turn of its own
      playsKin([], RELAYED),
      // All alike, as a program's own lengths are, and no padding before them.
      playsKin(KIN.map(() => ">397 <233 >330 <230 >68 <294"), RELAYED),
      playsKin(KIN_APART, RELAYED_APART.replace(">68", ">67")),
      // A third message of 124, as one without padding is, and one padded so.
      playsKin(KIN_APART, RELAYED_APART.replace(">266 >68", ">124")),
      playsKin(KIN_APART.slice(2), RELAYED_APART),
    ].entries()
  ) assert.deepEqual(test.found, [], String(i));
});

Deno.test("proxied: one other place is enough where it has shown a handshake too, behind other paddings", () => {
  const one = [KIN[0], ...KIN.slice(1).map((text) => text.split(" >68")[0])];
  assert.deepEqual(playsKin(one, RELAYED).found, ["mse strong"]);
  const alike = RELAYED.replace(">330 <230", ">260 <460"); // further paddings as the other's
  assert.deepEqual(playsKin(one, alike).found, []);
  assert.deepEqual(playsKin([KIN[0]], RELAYED).found, [], "two places are not several");
});

/** Its handshake went out within the third message. */
const HIDDEN_APART = KIN_APART[1] + " <10136w";
const SHOWN_APART = RELAYED_APART.replace(" <10136w", "");

Deno.test("proxied: a handshake within the third message is made up for by two others that say as much", () => {
  const others = [KIN_APART[0], SHOWN_APART, ">271 <162"];
  assert.deepEqual(playsKin(others, HIDDEN_APART).found, ["mse strong"]);
  for (
    const [i, test] of [
      playsKin(KIN_APART, HIDDEN_APART), // one other has shown it
      playsKin([KIN_APART[0], SHOWN_APART.replace("<293", "<294"), ">271 <162"], HIDDEN_APART),
      playsKin(others, HIDDEN_APART.replace(">286", ">291")), // hardly longer
      playsKin(others, HIDDEN_APART.replace("<508 <293", "<801")), // no write of its own
    ].entries()
  ) assert.deepEqual(test.found, i === 1 ? test.found : [], String(i));
});

Deno.test("proxied: what both say alike, as long as others' words, and what may be a request are not enough", () => {
  const others = [KIN_APART[0], SHOWN_APART, ">271 <162"];
  const script = ">97 <451 >523 <508 <293 >293 <10136w >34 <451";
  assert.deepEqual(playsKin(others, script).found, []);
  assert.deepEqual(playsKin(others, script.replace(">293", ">286")).found, ["mse strong"]);
});

Deno.test("proxied: a handshake's length, others' words and what may be requests are not enough", () => {
  const kin = KIN.map((text) => text.replace("<294", "<132"));
  assert.deepEqual(playsKin(kin, ">397 <233 >330 <230 >68 <132 >153 <4535w").found, []);
  assert.deepEqual(playsKin(KIN, RELAYED).found, ["mse strong"]);
});

Deno.test("proxied: aria2's requests behind an empty list of peers, with what both say before them", () => {
  const own = ">414 <348 >230 <239 >68 <68 >185 <185 >115 <10136w";
  const several = [">220 <90", ">550 <90", ">130 <90"];
  assert.deepEqual(playsKin(several, own).found, ["mse strong"]);
  for (
    const other of [
      own.replace(">115", ">116"),
      own.replace("<185", "<186"),
      own.replace("<68", "<69"),
      own.replace(">68", ">69"),
    ]
  ) assert.deepEqual(playsKin(several, other).found, [], other);
  assert.deepEqual(playsKin([], own).found, [], "a lone one");
});

/** qBittorrent's, all of whose first messages the relay has joined but one's. */
const JOINED = [
  ">473 <509 >98 <721 >285",
  ">476 <585 >384 <672 >285",
  ">361 <467 >371 <721 >286",
];
const SHOWN = ">227 <377 >501 >68 <325 <293 >285 <10136w";

Deno.test("proxied: what the initiator says back is as long in kin too, where a relay hides the rest", () => {
  assert.deepEqual(playsKin(JOINED, SHOWN).found, ["mse strong"]);
  const differently = JOINED.map((text, i) => text.replace(/>28\d$/, `>${288 + i}`));
  assert.deepEqual(playsKin(differently, SHOWN).found, []);
  assert.deepEqual(playsKin(JOINED.slice(2), SHOWN).found, [], "two places");
  assert.deepEqual(playsKin(JOINED, SHOWN.replace(">68 ", "")).found, [], "no handshake");
});

Deno.test("proxied: a program that says the same in each flow, two blocks long by chance, is none of kin", () => {
  // Two others of its address torrent.
  const swarm = [">201 <333 >80 <147 >68 <294 >277", ">388 <590 >280 <502 >68 <294 >277"];
  const same = (padding: string) => `${padding} <147 >147 <53 >504 <133 >465`;
  const beside = [...swarm, same(">316 <486 >203 <359")];
  const own = `${same(">120 <200 >333 <359")} <32794w`;
  assert.deepEqual(playsKin(beside, own).found, []);
  const asks = own.replaceAll("147", "190").replace("<190", "<196"); // it says a little more of itself
  const others = [
    ...swarm,
    same(">316 <486 >203 <359").replaceAll("147", "190").replace("<190", "<196"),
  ];
  assert.deepEqual(playsKin(others, asks).found, ["mse strong"]);
});

/** All handshakes went out within the third message; one relay has left what is allowed fast by itself. */
const ALL_HIDDEN = [
  ">361 <381 >266 <137 <293 >286",
  ">266 <423 >307 <154 <298 >285",
  ">224 <164 >320 <308 <293",
];
const GRANTED_APART = ">497 <465 >424 <168 <293 >286 <50 <10136w";

Deno.test("proxied: what is allowed fast, right before data, is as good as a handshake", () => {
  assert.deepEqual(playsKin(ALL_HIDDEN, GRANTED_APART).found, ["mse strong"]);
  for (
    const own of [
      GRANTED_APART.replace("<50", "<51"),
      GRANTED_APART.replace("<50 ", ""),
      GRANTED_APART.replace(">286", ">292"), // not shorter
      GRANTED_APART.replace("<168 <293", "<461"), // no write of its own
    ]
  ) assert.deepEqual(playsKin(ALL_HIDDEN, own).found, [], own);
  assert.deepEqual(playsKin(ALL_HIDDEN.slice(2), GRANTED_APART).found, [], "two places");
});

Deno.test("proxied: a constant script is no kin of a swarm beside it that told 5 bytes more", () => {
  const swarm = [">201 <333 >80 <147 >68 <294 >277", ">388 <590 >280 <502 >68 <294 >277"];
  const script = "<289 >289 <359 >314 <417 >19633w <3465w >42 <35229w >109 <414";
  const beside = [...swarm, `>316 <486 >203 <359 ${script}`];
  assert.deepEqual(playsKin(beside, `>482 <250 >253 <418 ${script} ${script}`).found, []);
});

/** None has shown a handshake by itself; the first of them, with its data; first messages hardly spread. */
const HARDLY_SPREAD = [
  ">344 <285 >585 <78 <293 >285",
  ">328 <185 >559 >68 <99 <293 >285",
  ">218 <262 >604 <57 <293 >285",
];
/** Three: the four that were recorded are enough by themselves. */
const FIRST_BLOCKS = ">344 <179 >424 <92 <293 >286 <49241w >34";

Deno.test("proxied: kin without a handshake are one torrent's when the first blocks have come and more is asked for", () => {
  assert.deepEqual(playsKin(HARDLY_SPREAD, FIRST_BLOCKS).found, ["mse strong"]);
  // `unchoke` behind what one has told.
  const joined = HARDLY_SPREAD.map((text) => text.replace("<293 >285", "<298 >299"));
  assert.deepEqual(playsKin(joined, FIRST_BLOCKS).found, ["mse strong"]);
  for (
    const [i, test] of [
      playsKin(HARDLY_SPREAD, FIRST_BLOCKS.replace("49241", "49240")),
      playsKin(HARDLY_SPREAD.map((text) => text.replace("<293 >285", "<295 >299")), FIRST_BLOCKS),
      // As much padding in sum, for each.
      playsKin([">344 <285 >424 <78 <293 >285", ">328 <185 >440 <99 <293 >285"], FIRST_BLOCKS),
      playsKin(HARDLY_SPREAD.slice(2), FIRST_BLOCKS),
    ].entries()
  ) assert.deepEqual(test.found, [], String(i));
});

Deno.test("proxied: of such kin the first block's end is enough, behind what is allowed fast", () => {
  const own = FIRST_BLOCKS.replace("<49241w >34", "<16447w");
  assert.deepEqual(playsKin(HARDLY_SPREAD, own).found, ["mse strong"]);
  for (
    const [i, test] of [
      playsKin(HARDLY_SPREAD, own.replace("16447", "16446")),
      playsKin(HARDLY_SPREAD, own.replace(">286", ">290")), // hardly longer
      playsKin(HARDLY_SPREAD.slice(2), own),
      playsKin([], own),
    ].entries()
  ) assert.deepEqual(test.found, [], String(i));
});

Deno.test("proxied: where all is joined that was told, what was told back and the first blocks are left", () => {
  const own = ">410 <325 >251 <655 >285 <65638w >136";
  assert.deepEqual(playsKin(HARDLY_SPREAD, own).found, ["mse strong"]);
  for (
    const [i, test] of [
      playsKin(HARDLY_SPREAD, own.replace("65638", "65637")),
      playsKin(HARDLY_SPREAD, own.replace(">136", ">133")),
      playsKin(HARDLY_SPREAD, own.replace(">285", ">288")),
      playsKin(HARDLY_SPREAD, own.replace("<655", "<205")), // no room for a handshake and what is told
      playsKin(HARDLY_SPREAD.map((text) => text.replace("<293", "<330")), own), // others told much more
      playsKin(HARDLY_SPREAD.slice(2), own),
    ].entries()
  ) assert.deepEqual(test.found, [], String(i));
});

Deno.test("proxied: what is sent again does not count where the first blocks end", () => {
  const test = playsKin(HARDLY_SPREAD, "");
  const flow = says(
    calls(test, "10.0.0.1:50001", "203.0.113.9:51413"),
    FIRST_BLOCKS.split(" <49241")[0],
  );
  const data = test.random(65_638);
  for (const end of [20_000, 20_000, 40_000, 65_638]) {
    flow.sayAndForget(1, data.subarray(0, end), PSH);
  }
  assert.deepEqual(test.found, ["mse strong"]);
});

Deno.test("proxied: what is allowed fast stays so through what the other has", () => {
  const own = GRANTED_APART.replace("<50", "<50 >9 >162 >9");
  assert.deepEqual(playsKin(ALL_HIDDEN, own).found, ["mse strong"]);
  assert.deepEqual(playsKin(ALL_HIDDEN, own.replace(">162", ">164")).found, []);
});

/** A lone libtorrent peer: the relay reads what is allowed fast with the first four blocks behind it. */
const GRANT_JOINED = ">145 <468 >159 <138 >68 <294 >277 <65638w";

Deno.test("proxied: the first blocks end behind what is allowed fast, joined with them by the relay", () => {
  const finds = (text: string) => {
    const test = new TestEngine();
    new Play(test, HOST, PROXY, (flow) => NEGOTIATIONS.SOCKS5(flow, ADDRESSES[0])).say(text);
    return test.found;
  };
  assert.deepEqual(finds(GRANT_JOINED), ["mse strong"]);
  // Asked for more before the last of them had come.
  assert.deepEqual(finds(GRANT_JOINED.replace("<65638w", "<52660w >34 <12978w")), ["mse strong"]);
  for (
    const [from, to] of [
      ["<65638w", "<65637w"],
      ["<65638w", "<65593w"], // `unchoke` alone is not libtorrent's
      ["<294", "<277"], // says no more of itself than who asks
      ["<294", "<299"],
      [">68", ">69"],
    ]
  ) assert.deepEqual(finds(GRANT_JOINED.replace(from, to)), [], to);
});

Deno.test("proxied: behind CONNECT a key of whoever begins with any byte is one", () => {
  for (const side of [0, 1] as const) {
    for (let first = 0; first < 256; first++) {
      const test = new TestEngine();
      const flow = new Conversation(test, "tcp", HOST, PROXY).open();
      NEGOTIATIONS.CONNECT(flow, "peer.example:51413");
      for (const [turn, length] of [284, 492].entries()) {
        const key = test.random(length);
        if (turn === side) key[0] = first;
        flow.say(turn === 0 ? 0 : 1, key);
      }
      says(flow, ">124 <82 <123 >123 <5 >73 <1448 <1448");
      assert.deepEqual(test.found, ["mse strong"], `${side} ${first.toString(16)}`);
    }
  }
});
