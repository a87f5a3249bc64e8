import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BITTORRENT,
  CLEAN,
  type Detection,
  DROP,
  Engine,
  INSPECT,
  RESET,
  type Verdict,
} from "../../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../../src/engine/policy.ts";
import {
  COUNTERS,
  countersByteLength,
  readCounters,
  workerCounters,
} from "../../../src/gateway/queue/counters.ts";
import type { Chain } from "../../../src/gateway/rules/chain.ts";
import { hex, marksOf } from "../../../src/gateway/rules/marks.ts";
import { QueueJudge, type QueueJudgeOptions } from "../../../src/gateway/queue/queue_judge.ts";
import {
  NF_ACCEPT,
  NF_DROP,
  NF_REPEAT,
  QueueMessage,
} from "../../../src/gateway/queue/queue_message.ts";

/** RFC 791 and RFC 768: 192.168.1.100:51234 → 8.8.8.8:6881 with the four bytes `d1:a`. */
const PACKET = Uint8Array.fromHex(
  "45000020000040004011" + "0000" + "c0a80164" + "08080808" + "c8221ae1000c0000" + "64313a61",
);
const FOREIGN = 0x0004_0001; // bits of somebody else
const MARKS = marksOf(0x3000_0000, { bits: 0x0ff0_0000, value: 0x05a0_0000 });
const CHAIN: Chain = { marks: MARKS, savesMarks: true, monitors: true, sharesTable: false };
const NO_CHAIN: Chain = { ...CHAIN, savesMarks: false };

function judgeOf(verdict: Verdict | "throw", options: Partial<QueueJudgeOptions> = {}) {
  const counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
  const detections: Detection[] = [];
  const faults: unknown[] = [];
  const engine = {
    detection: null as Detection | null,
    judge(): Verdict {
      if (verdict === "throw") throw new Error("a fault");
      return verdict;
    },
  };
  const judge = new QueueJudge({
    engine,
    bans: null,
    chain: CHAIN,
    monitorOnly: false,
    onDetection: (detection) => detections.push(detection),
    onFault: (error) => faults.push(error),
    ...options,
  }, counters);
  return { judge, engine, detections, faults, counts: () => readCounters(counters) };
}

function messageOf(packet: Uint8Array, mark = FOREIGN): QueueMessage {
  const message = new QueueMessage();
  message.mark = mark;
  message.hook = 2;
  message.payloadEnd = packet.length;
  return message;
}

const banned = { drops: () => true };
const rows: readonly [
  string,
  Verdict | "throw",
  Partial<QueueJudgeOptions>,
  number,
  number,
  string,
][] = [
  ["wanted more of", INSPECT, {}, NF_ACCEPT, FOREIGN, "accepted"],
  ["clean", CLEAN, {}, NF_REPEAT, FOREIGN | MARKS.sealedClear, "released"],
  ["BitTorrent", BITTORRENT, {}, NF_REPEAT, FOREIGN | MARKS.sealedDrop, "dropped"],
  ["older, its ends told", RESET, { onOlder: () => true }, NF_DROP, FOREIGN, "dropped"],
  ["older, its ends not told", RESET, { onOlder: () => false }, NF_ACCEPT, FOREIGN, "accepted"],
  ["to be dropped alone", DROP, {}, NF_DROP, FOREIGN, "dropped"],
  ["the engine's fault", "throw", {}, NF_ACCEPT, FOREIGN, "faults"],
  ["banned", INSPECT, { bans: banned }, NF_DROP, FOREIGN, "bannedDrops"],
  [
    "banned, monitored",
    INSPECT,
    { bans: banned, monitorOnly: true },
    NF_ACCEPT,
    FOREIGN,
    "accepted",
  ],
  [
    "BitTorrent, monitored",
    BITTORRENT,
    { monitorOnly: true },
    NF_REPEAT,
    FOREIGN | MARKS.sealedDrop,
    "released",
  ],
  [
    "BitTorrent, monitored behind others' rules",
    BITTORRENT,
    { monitorOnly: true, chain: { ...CHAIN, monitors: false } },
    NF_REPEAT,
    FOREIGN | MARKS.sealedClear,
    "released",
  ],
  [
    "to be dropped alone, monitored",
    DROP,
    { monitorOnly: true },
    NF_REPEAT,
    FOREIGN | MARKS.sealedDrop,
    "released",
  ],
  ["clean, no chain of ours", CLEAN, { chain: NO_CHAIN }, NF_ACCEPT, FOREIGN, "accepted"],
  [
    "BitTorrent, no chain of ours",
    BITTORRENT,
    { chain: NO_CHAIN },
    NF_DROP,
    FOREIGN,
    "dropped",
  ],
  [
    "wanted more of, others' rules behind",
    INSPECT,
    { chain: { ...CHAIN, sharesTable: true } },
    NF_REPEAT,
    FOREIGN | MARKS.sealedPass,
    "accepted",
  ],
  [
    "clean, others' rules behind",
    CLEAN,
    { chain: { ...CHAIN, sharesTable: true } },
    NF_REPEAT,
    FOREIGN | MARKS.sealedClear,
    "released",
  ],
];

for (const [name, engineSays, options, verdict, mark, counter] of rows) {
  Deno.test(`QueueJudge, a packet ${name}`, () => {
    const { judge, counts } = judgeOf(engineSays, options);
    judge.judge(messageOf(PACKET), PACKET, 1000);
    assert.equal(judge.verdict, verdict);
    assert.equal(judge.mark, mark);
    const { packets, bytes, ...rest } = counts();
    assert.equal(packets, 1);
    assert.equal(bytes, PACKET.length);
    assert.equal(rest[counter as keyof typeof rest], 1);
  });
}

Deno.test("QueueJudge strips the mark of a packet that RECHECK called back", () => {
  const { judge } = judgeOf(INSPECT);
  judge.judge(messageOf(PACKET, FOREIGN | MARKS.sealedPass), PACKET, 1000);
  assert.equal(judge.verdict, NF_ACCEPT);
  assert.equal(judge.mark, FOREIGN);
});

/** Mullvad, UniFi split-vpn, zapret; one in the seal's bits alone; one that is all but sealed. */
const FOREIGN_MARKS = [0x6d6f_6c65, 0x696a_f100, 0x1000_0000, 0x0010_0000, 0x15b0_0000];
const direct = [
  ["clean", CLEAN, {}, NF_ACCEPT, "accepted"],
  ["BitTorrent", BITTORRENT, {}, NF_DROP, "dropped"],
  ["BitTorrent, monitored", BITTORRENT, { monitorOnly: true }, NF_ACCEPT, "accepted"],
  ["wanted more of", INSPECT, { chain: { ...CHAIN, sharesTable: true } }, NF_ACCEPT, "accepted"],
] as const;

for (const mark of FOREIGN_MARKS) {
  for (const [name, engineSays, options, verdict, counter] of direct) {
    Deno.test(`QueueJudge takes ${hex(mark)} for no verdict and gives none by it: ${name}`, () => {
      const told: number[] = [];
      const onForeignMark = (foreign: number) => told.push(foreign);
      const { judge, counts } = judgeOf(engineSays, { ...options, onForeignMark });
      judge.judge(messageOf(PACKET, mark), PACKET, 1000);
      assert.equal(judge.verdict, verdict);
      assert.equal(judge.mark, mark); // as it was
      assert.equal(counts()[counter], 1);
      assert.equal(counts().foreignMarks, 1);
      assert.deepEqual(told, [mark]);
    });
  }
}

Deno.test("QueueJudge behind rules of others leaves all marks alone", () => {
  const chain = { ...CHAIN, savesMarks: false };
  const { judge, counts } = judgeOf(CLEAN, { chain });
  judge.judge(messageOf(PACKET, 0x6d6f_6c65), PACKET, 1000);
  assert.equal(judge.mark, 0x6d6f_6c65);
  assert.equal(counts().foreignMarks, 0);
});

Deno.test("QueueJudge accepts and counts what is no TCP or UDP packet", () => {
  const { judge, counts } = judgeOf(BITTORRENT);
  for (const packet of [new Uint8Array(0), PACKET.subarray(0, 19), new Uint8Array(60).fill(0xff)]) {
    judge.judge(messageOf(packet), packet, 1000);
    assert.equal(judge.verdict, NF_ACCEPT);
  }
  assert.equal(counts().unparsed, 3);
});

Deno.test("QueueJudge reports a detection once it has its verdict", () => {
  const { judge, engine, detections } = judgeOf(BITTORRENT);
  const detection = { mayBan: true } as Detection;
  engine.detection = detection;
  judge.judge(messageOf(PACKET), PACKET, 1000);
  assert.deepEqual(detections, [detection]);
  assert.equal(judge.verdict, NF_REPEAT);
});

Deno.test("QueueJudge with the real engine: any bytes get a verdict and no fault", () => {
  const engine = new Engine({ flows: 1024, policy: CAPTURE_POLICY });
  const { judge, faults, counts } = judgeOf(INSPECT, { engine });
  let time = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (noise, framed) => {
      const packet = framed ? Uint8Array.of(...PACKET, ...noise) : noise;
      if (framed) packet[3] = packet.length;
      judge.judge(messageOf(packet), packet, time += 10);
      assert([NF_ACCEPT, NF_DROP, NF_REPEAT].includes(judge.verdict));
      assert.equal(judge.mark & ~MARKS.sealMask, FOREIGN);
    }),
    { numRuns: 3000 },
  );
  assert.deepEqual(faults, []);
  assert(COUNTERS.every((name) => Number.isInteger(counts()[name])));
});

Deno.test("QueueJudge: a monitor looks at each packet of a tunnel", () => {
  const outer = Uint8Array.fromHex("45000034000040004004" + "0000" + "c0000201" + "c0000202");
  const { judge, counts } = judgeOf(DROP, { monitorOnly: true });
  const packet = Uint8Array.of(...outer, ...PACKET);
  judge.judge(messageOf(packet), packet, 0);
  assert.equal(judge.verdict, NF_ACCEPT);
  assert.equal(counts().accepted, 1);
});
