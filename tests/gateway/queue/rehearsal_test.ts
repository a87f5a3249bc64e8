import assert from "node:assert/strict";
import { Engine } from "../../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../../src/engine/policy.ts";
import {
  countersByteLength,
  readCounters,
  workerCounters,
} from "../../../src/gateway/queue/counters.ts";
import { QueueJudge } from "../../../src/gateway/queue/queue_judge.ts";
import { Rehearsal } from "../../../src/gateway/queue/rehearsal.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";

const MARKS = marksOf(0x3000_0000, { bits: 0x0ff0_0000, value: 0x05a0_0000 });
const CHAIN = { marks: MARKS, savesMarks: true, monitors: true, sharesTable: false };
/** More than any rehearsal takes. */
const ENOUGH = 100_000;

for (const strict of [false, true]) {
  Deno.test(`a rehearsal is of packets that are read, judged and released, strict ${strict}`, () => {
    const counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
    const policy = { ...CAPTURE_POLICY, strict, blockSocks: true, blockMentions: true };
    const engine = new Engine({ flows: 256, policy });
    const faults: unknown[] = [];
    const rehearsal = new Rehearsal(
      new QueueJudge({
        ...{ engine, bans: null, chain: CHAIN, monitorOnly: false },
        ...{ onDetection: () => {}, onFault: (error) => faults.push(error) },
      }, counters),
    );
    let flows = 0;
    for (; !rehearsal.isOver && flows < ENOUGH; flows++) rehearsal.go(1_000 + flows);
    assert.ok(rehearsal.isOver);
    const { packets, unparsed, dropped, released, foreignMarks } = readCounters(counters);
    assert.deepEqual({ faults, unparsed, foreignMarks }, {
      ...{ faults: [], unparsed: 0, foreignMarks: 0 },
    });
    // A strict engine drops what looks random and is of several flows of a host; it is told to nobody.
    assert.equal(dropped > 0, strict);
    assert.equal(packets, flows * 7.5, "three of four are TCP's, with SYN and SYN-ACK");
    assert.equal(engine.counters.payloadFlows, flows);
    assert.equal(engine.counters.payloadPackets, flows * 6);
    assert.ok(released > flows / 4, `${released} packets of ${flows} flows released`);
  });
}
