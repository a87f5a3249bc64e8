import assert from "node:assert/strict";
import { CUT, FlowRecord, ONE_BLOCK } from "../../src/engine/flow_record.ts";
import { isEnoughOfKin } from "../../src/engine/kin_table.ts";

Deno.test("kin: blocks that end behind what is allowed fast count alike in the sum and in what is asked for", () => {
  const flow = new FlowRecord(1).select(0);
  flow.raise(CUT | ONE_BLOCK);
  flow.told = 300;
  const writes = { chunks: 0, isAmongFirst: true };
  for (
    const [bits, blocks, endsBehindGrant, isEnough] of [
      [21, 1, false, false],
      [21, 0, true, false], // the sum has a block
      [22, 0, true, true],
      [18, 0, false, true], // nothing hangs on its pieces
    ] as const
  ) {
    const isFound = isEnoughOfKin(bits, flow, { ...writes, blocks, endsBehindGrant });
    assert.equal(isFound, isEnough, `${bits} bits`);
  }
});
