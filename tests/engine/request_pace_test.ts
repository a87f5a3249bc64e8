import assert from "node:assert/strict";
import { isPace, isPaceOfHost, isPaceOfSwarm } from "../../src/engine/joined_table.ts";
import { FlowRecord } from "../../src/engine/flow_record.ts";
import { RequestPace } from "../../src/engine/request_pace.ts";
import { ACK, Packet } from "../../src/packet/packet.ts";
import { Random } from "../fuzz/random.ts";
import { Conversation, TestEngine } from "./conversation.ts";

/**
 * Recorded over RC4 behind links of 50 kB/s, joined somewhere: `<` what has been acknowledged since
 * the last message, `>` bytes that a message of the asker's adds to its stream.
 */
const LIBTORRENT = [
  "<20000 >26 <14480 >44 <15928 >17 <14480 >70 <17376 >26 <17376 >44 <18824 >26 <15928 >44 <17376 " +
  ">17 <17376 >53 <18824 >26 <15928 >44 <17376 >26 <17376 >44 <18824 >44 <15928 >43 <17376 >53",
  "<20000 >26 <17376 >44 <17376 >17 <17376 >70 <17376 >26 <17376 >44 <17376 >44 <17376 >26 <17376 " +
  ">26 <17376 >44 <17376 >44 <17376 >26 <17376 >70 <17376 >17 <17376 >53 <17376 >17 <17376 >53",
  "<20000 >53 <26064 >17 <26064 >87 <26064 >53 <26064 >53 <26064 >61 <26064 >52 <26064 >61 <26064 " +
  ">53 <26064 >70 <23168 >44 <23168 >43 <23168 >53 <20272 >35 <11584 >61 <5792 >9 <18824 >35",
];
const QBITTORRENT =
  "<20000 >113 <33304 >105 <5792 >17 <59368 >105 <37648 >70 <56472 >78 <37648 >61 <37648 >79 " +
  "<27512 >78 <37648 >61 <27512 >61 <37648 >61 <27512 >61 <37648 >61 <23168 >61 <23168 >17 <23168 >44 <13032 >61 " +
  "<24616 >17 <0 >18 <15928 >26 <43440 >104 <43440 >61";

/** What is known after the steps of `text`, each as often as `x` says. */
function play(text: string): RequestPace {
  const flow = new FlowRecord(1);
  const pace = new RequestPace(flow);
  const packet = new Packet();
  packet.flags = ACK;
  let acknowledged = 0x7fff_8000;
  for (const [, side, digits, again] of text.matchAll(/([<>~])(\d+)(?:x(\d+))?/g)) {
    for (let i = Number(again ?? 1); i > 0; i--) {
      const length = Number(digits);
      if (side === "<") {
        flow.count(1, length);
        acknowledged = (acknowledged + length) | 0;
        continue;
      }
      flow.count(0, length);
      packet.acknowledgement = acknowledged;
      // `~`: the segment begins with something that was sent before.
      packet.payloadLength = side === "~" ? length + 52 : length;
      pace.observe(0, packet, length);
    }
  }
  return pace;
}

/** Steps in turns, so often. */
const times = (count: number, ...steps: string[]) =>
  Array.from({ length: count }, (_, at) => steps[at % steps.length]).join(" ");

Deno.test("RequestPace: recorded libtorrent is in pace message by message, and decides alone", () => {
  for (const text of LIBTORRENT) {
    assert.ok(isPaceOfSwarm(play(text)));
    assert.ok(isPaceOfHost(play(text)));
    assert.ok(isPace(play(text)), text);
  }
  // The first message is where counting begins, the second may be anywhere.
  assert.equal(play("<20000 >26 <14480 >44").inPace, 0);
  assert.equal(play("<20000 >26 <14480 >44 <15928 >17").inPace, 1);
});

Deno.test("RequestPace: qBittorrent, which asks less evenly, does beside others", () => {
  assert.ok(isPaceOfSwarm(play(QBITTORRENT)));
  assert.ok(!isPace(play(QBITTORRENT)));
});

Deno.test("RequestPace: what was sent again in front of a message is no part of it", () => {
  assert.ok(isPace(play(LIBTORRENT[1].replaceAll(">", "~"))));
});

Deno.test("RequestPace: `keep-alive` and `interested` between do nothing", () => {
  assert.ok(isPace(play(LIBTORRENT[1].replaceAll("<17376 >26", ">4 >5 <17376 >26"))));
});

/** Each as often as a joined flow is followed, and more: 1 MiB are 64 blocks. */
const OTHERS: readonly (readonly [name: string, text: string])[] = [
  ["17 bytes a block, and nothing else", times(128, "<16397", ">17")],
  [
    "one update a record of TLS, one to three at once",
    times(150, "<16406", ">35", "<32812", ">70", "<49218", ">105"),
  ],
  ["the same inside VMess", times(128, "<16442", ">53")],
  ["three sizes, a block each", times(126, "<16400", ">17", "<16400", ">26", "<16400", ">35")],
  [
    "mouse events of 17 behind screens of some KB",
    times(120, "<5000", ">17", "<700", ">17", "<9000", ">17"),
  ],
  [
    "requests, but half as much data",
    times(120, "<8192", ">26", "<8192", ">44", "<8192", ">61", "<8192", ">53", "<8192", ">43"),
  ],
  [
    "requests, but twice as much",
    times(120, "<32800", ">26", "<32800", ">44", "<32800", ">53", "<32800", ">35", "<32800", ">62"),
  ],
  [
    "16 bytes more each, a tag",
    times(120, "<17376", ">42", "<17376", ">60", "<17376", ">33", "<17376", ">69", "<17376", ">59"),
  ],
  [
    "every fifth of another size",
    times(120, "<17376", ">26", "<17376", ">44", "<17376", ">17", "<17376", ">53", "<17376", ">50"),
  ],
  ["in long messages alone", times(120, "<163970", ">210", "<163970", ">197", "<163970", ">244")],
  ["the side that sends more", LIBTORRENT[1].replaceAll(/<\d+/g, "")],
];
for (const [name, text] of OTHERS) {
  Deno.test(`RequestPace: not ${name}`, () => {
    const pace = play(text);
    assert.deepEqual([isPace(pace), isPaceOfHost(pace), isPaceOfSwarm(pace)], [
      false,
      false,
      false,
    ]);
  });
}

Deno.test("RequestPace: messages of any size behind as many bytes as one likes are in no pace", () => {
  const random = new Random(1);
  let most = 0;
  for (let round = 0; round < 500; round++) {
    const steps = Array.from(
      { length: 64 },
      () => `<${1 + random.below(49_191)} >${2 + random.below(119)}`,
    );
    most = Math.max(most, play(steps.join(" ")).inPace);
  }
  assert.ok(most < 8, `${most} in pace`);
});

/** A flow that nobody saw begin, at the client's side `host`. */
function join(test: TestEngine, peer: number): Conversation {
  const flow = new Conversation(
    test,
    "tcp",
    `10.0.0.1:4000${peer}`,
    `198.51.${peer}.1:2000${peer}`,
  ).skipSyns();
  return flow.sayRandom(1, 1448, false).sayRandom(0, 120);
}

/** The steps of `text` in segments of a path's size, none of which ends a write. */
function say(flow: Conversation, text: string): Conversation {
  for (const [, side, digits] of text.matchAll(/([<>])(\d+)/g)) {
    if (side === ">") flow.sayRandom(0, Number(digits));
    for (let left = side === ">" ? 0 : Number(digits); left > 0; left -= 1448) {
      flow.sayRandom(1, Math.min(left, 1448), false);
    }
  }
  return flow;
}

Deno.test("joined in the middle, slow libtorrent is found by itself", () => {
  for (const text of LIBTORRENT) {
    const test = new TestEngine();
    say(join(test, 1), text);
    assert.deepEqual(test.found, ["mse strong"]);
    assert.equal(test.detections[0].match.reason, "encrypted, lengths of requests and pieces");
  }
});

Deno.test("joined in the middle, three such flows of a host are found sooner", () => {
  const early = (text: string) => text.split(" ").slice(0, 16).join(" ");
  const found = (flows: number) => {
    const test = new TestEngine();
    for (let peer = 1; peer <= flows; peer++) say(join(test, peer), early(LIBTORRENT[peer % 3]));
    return test.found.length;
  };
  assert.equal(found(1), 0);
  assert.equal(found(2), 0);
  assert.ok(found(3) > 0);
});
