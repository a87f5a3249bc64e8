/**
 * The queue's loop on datagrams that no kernel sends, or only on a bad day: every packet in them that
 * can be read gets its verdict, the rest is counted, and nothing ends the loop. ENOBUFS and EINTR
 * come from a real queue, in a namespace.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createEvent } from "../../ffi/libc.ts";
import { Engine, type EngineCounters, INSPECT } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import {
  countersByteLength,
  readCounters,
  workerCounters,
} from "../../src/gateway/queue/counters.ts";
import { marksOf } from "../../src/gateway/rules/marks.ts";
import { type FlowJudge, QueueJudge } from "../../src/gateway/queue/queue_judge.ts";
import { QueueLoop } from "../../src/gateway/queue/queue_loop.ts";
import { Network } from "../../src/demo/network.ts";
import { packetMessage } from "../fuzz/queue.ts";
import { Random } from "../fuzz/random.ts";
import { mutate } from "../fuzz/mutate.ts";
import { liveImpossible } from "../gateway/live.ts";
import { hex } from "../protocols/datagrams.ts";
import { DatagramPair } from "./datagram_pair.ts";
import { ip, join, UDP, udp } from "./packets.ts";

const ENDS = { source: "10.0.0.1", destination: "198.51.100.1" };
const DATAGRAM = ip({ ...ENDS, protocol: UDP }, udp(5000, 6000, new Uint8Array(100), ENDS));
const linuxOnly = Deno.build.os !== "linux";

/** An engine that wants more of every flow. */
const INSPECTING: FlowJudge & { readonly counters: EngineCounters } = {
  judge: () => INSPECT,
  detection: null,
  counters: {
    ...{ packets: 0, payloadPackets: 0, flows: 0, payloadFlows: 0, detections: 0 },
    whitelisted: 0,
  },
};

/** A loop over a pair of sockets, and what it makes of datagrams. */
class Loop implements Disposable {
  readonly #pair = new DatagramPair();
  readonly #counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
  readonly #loop: QueueLoop;
  readonly #judge: QueueJudge;

  constructor(engine = INSPECTING) {
    this.#loop = new QueueLoop(this.#pair.inner, 0, createEvent(), this.#counters, engine);
    this.#judge = new QueueJudge({
      engine,
      bans: null,
      chain: { marks: marksOf(0x3000_0000), savesMarks: true, monitors: true, sharesTable: false },
      ...{ monitorOnly: false, onDetection() {}, onFault() {} },
    }, this.#counters);
  }

  /** Ids up to which verdicts were given, after the loop has read the datagram. */
  give(datagram: Uint8Array<ArrayBuffer>): number[] {
    this.#pair.put(datagram);
    this.#loop.finish(this.#judge);
    const ids: number[] = [];
    for (let sent = this.#pair.get(); sent !== null; sent = this.#pair.get()) {
      const view = new DataView(sent.buffer, sent.byteOffset);
      for (let at = 0; at < sent.length; at += view.getUint32(at, true)) {
        ids.push(view.getUint32(at + 28)); // nfqnl_msg_verdict_hdr.id
      }
    }
    return ids;
  }

  get counters() {
    return readCounters(this.#counters);
  }

  [Symbol.dispose](): void {
    this.#pair[Symbol.dispose]();
  }
}

/** A message of any type: struct nlmsghdr, then the body. */
function message(type: number, body: Uint8Array, length = 16 + body.length) {
  const bytes = new Uint8Array(16 + ((body.length + 3) & ~3));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  bytes.set(body, 16);
  return bytes;
}

const packet = (id: number) => packetMessage(id, DATAGRAM);
const [NOOP, ERROR, DONE, OVERRUN] = [1, 2, 3, 4];
const errorOf = (errno: number) => {
  const body = new Uint8Array(20); // -errno, then the header of the message that caused it
  new DataView(body.buffer).setInt32(0, -errno, true);
  return message(ERROR, body);
};
const badAttribute = (length: number) => {
  const bytes = packet(1);
  new DataView(bytes.buffer).setUint16(20, length, true);
  return bytes;
};

interface Row {
  readonly name: string;
  readonly datagram: Uint8Array<ArrayBuffer>;
  readonly verdicts: readonly number[];
  readonly malformed?: number;
  readonly refused?: number;
}

const rows: readonly Row[] = [
  { name: "a packet", datagram: packet(1), verdicts: [1] },
  { name: "one byte", datagram: Uint8Array.of(20), verdicts: [], malformed: 1 },
  { name: "a header cut short", datagram: packet(1).slice(0, 15), verdicts: [], malformed: 1 },
  {
    name: "a header alone",
    datagram: message(0x300, new Uint8Array()),
    verdicts: [],
    malformed: 1,
  },
  { name: "a packet cut short", datagram: packet(1).slice(0, 90), verdicts: [], malformed: 1 },
  {
    name: "a length beyond the datagram",
    datagram: message(0x300, packet(1).slice(16), 0xffff_fff0),
    ...{ verdicts: [], malformed: 1 },
  },
  {
    name: "a length of 0, which a careless reader would read for ever",
    datagram: message(0x300, packet(1).slice(16), 0),
    ...{ verdicts: [], malformed: 1 },
  },
  { name: "an attribute of length 0", datagram: badAttribute(0), verdicts: [], malformed: 1 },
  { name: "an attribute of 65,535", datagram: badAttribute(0xffff), verdicts: [], malformed: 1 },
  { name: "a packet header cut", datagram: badAttribute(9), verdicts: [], malformed: 1 },
  {
    name: "no packet at all (no payload attribute)",
    datagram: packetMessage(9, new Uint8Array()),
    verdicts: [9],
  },
  {
    name: "another family in its header",
    datagram: (() => {
      const bytes = packet(1);
      bytes[16] = 99;
      return bytes;
    })(),
    verdicts: [1], // the packet itself says what it is
  },
  {
    name: "an ARP packet's bytes",
    datagram: packetMessage(3, hex("0001 0800 06040001 020000000001 0a000001")),
    verdicts: [3],
  },
  {
    name: "messages of other kinds in between",
    datagram: join(
      message(NOOP, new Uint8Array()),
      packet(1),
      message(OVERRUN, new Uint8Array(4)),
      message(0x1234, new Uint8Array(7)),
      packet(2),
      message(DONE, new Uint8Array(4)),
    ),
    verdicts: [2], // one message for both
  },
  {
    name: "errors and receipts in between",
    datagram: join(errorOf(2), packet(1), errorOf(0), packet(2), errorOf(22), errorOf(0)),
    ...{ verdicts: [2], refused: 2 },
  },
  {
    name: "an error cut short behind a packet",
    datagram: join(packet(1), message(ERROR, new Uint8Array(2))),
    ...{ verdicts: [1], malformed: 1 },
  },
  {
    name: "garbage behind a packet",
    datagram: join(packet(1), hex("deadbeefdeadbeefdeadbeefdeadbeefdeadbeef")),
    ...{ verdicts: [1], malformed: 1 },
  },
  {
    name: "a datagram larger than its slot",
    datagram: packetMessage(1, new Uint8Array(70_000)),
    ...{ verdicts: [], malformed: 1 },
  },
];

for (const { name, datagram, verdicts, malformed = 0, refused = 0 } of rows) {
  Deno.test({
    name: `queue: ${name}`,
    ignore: linuxOnly,
    fn() {
      using loop = new Loop();
      assert.deepEqual(loop.give(datagram), verdicts);
      const { counters } = loop;
      assert.equal(counters.malformed, malformed);
      assert.equal(counters.refusedVerdicts, refused);
      assert.deepEqual(loop.give(packet(77)), [77], "the next one");
    },
  });
}

Deno.test({
  name: "queue: packet ids wrap at 2^32 without a gap, and a gap across it is counted",
  ignore: linuxOnly,
  fn() {
    using loop = new Loop();
    const give = (...ids: number[]) => loop.give(join(...ids.map(packet)));
    assert.deepEqual(give(0xffff_fffd, 0xffff_fffe, 0xffff_ffff, 0, 1), [1]);
    assert.equal(loop.counters.unjudged, 0);
    give(5); // 2, 3 and 4 were let through
    assert.equal(loop.counters.unjudged, 3);
    give(0xffff_fff0); // an old one: no gap of four thousand million
    assert.equal(loop.counters.unjudged, 3);
    give(2); // 15 to 2^32 - 1, then 0 and 1
    assert.equal(loop.counters.unjudged, 20);
    assert.equal(loop.counters.packets, 8);
  },
});

Deno.test({
  name: "queue: mutated datagrams never end the loop",
  ignore: linuxOnly,
  fn() {
    using loop = new Loop();
    const seeds = rows.map(({ datagram }) => datagram).filter(({ length }) => length < 10_000);
    const random = new Random(Date.now());
    for (let i = 0; i < 3_000; i++) {
      const datagram = mutate(random.pick(seeds), random, seeds).slice(0, 20_000);
      if (datagram.length > 0) loop.give(datagram);
    }
    assert.deepEqual(loop.give(packet(77)), [77]);
    const { packets, accepted, faults } = loop.counters;
    assert.equal(accepted, packets);
    assert.equal(faults, 0);
  },
});

Deno.test({
  name: "the worker's counters have what the engine has counted",
  ignore: linuxOnly,
  fn() {
    const policy = { ...CAPTURE_POLICY, whitelistPorts: [6000] };
    const engine = new Engine({ flows: 1024, policy });
    using loop = new Loop(engine);
    loop.give(packet(1));
    loop.give(packet(2));
    assert.equal(loop.counters.whitelisted, 2);
    assert.equal(loop.counters.flows, 0);
    engine.setPolicy(CAPTURE_POLICY);
    engine.clear(); // who called whom in the flows that were passed over is known
    loop.give(packet(3));
    const { whitelisted, flows, payloadFlows, payloadPackets } = loop.counters;
    assert.deepEqual([whitelisted, flows, payloadFlows, payloadPackets], [2, 1, 1, 1]);
  },
});

const impossible = liveImpossible("iptables");
const live = impossible === null ? "" : ` (skipped: ${impossible})`;
const program = fileURLToPath(new URL("./programs/stressed_queue.ts", import.meta.url));

for (const how of ["overrun", "interrupted"]) {
  Deno.test({
    name: `queue: a real socket ${
      how === "overrun" ? "in ENOBUFS" : "with EINTR all the time"
    }${live}`,
    ignore: impossible !== null,
    async fn() {
      await using network = await Network.create("btnl");
      const host = await network.addHost("host");
      const rule = ["-p", "udp", "-j", "NFQUEUE", "--queue-num", "7"];
      await host.run(["iptables", "-w", "-A", "OUTPUT", ...rule]);
      const command = [Deno.execPath(), "run", "--quiet", "--unstable-net", "-A", program, how];
      const result = JSON.parse(await host.run(command, 60_000));
      assert.ok(result.happened > 0, JSON.stringify(result));
      assert.equal(result.packets + result.unjudged, result.sent, JSON.stringify(result));
      assert.equal(result.accepted, result.packets);
      if (how === "interrupted") assert.equal(result.unjudged, 0);
    },
  });
}
