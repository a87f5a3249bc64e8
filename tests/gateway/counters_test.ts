import assert from "node:assert/strict";
import {
  COUNTER_INDEX,
  countersByteLength,
  readCounters,
  sumCounters,
  workerCounters,
} from "../../src/gateway/counters.ts";

Deno.test("workers count apart and are summed", () => {
  const buffer = new SharedArrayBuffer(countersByteLength(3));
  for (let worker = 0; worker < 3; worker++) {
    workerCounters(buffer, worker)[COUNTER_INDEX.packets] = 10 ** worker;
    workerCounters(buffer, worker)[COUNTER_INDEX.payloadFlows] = worker; // the last one
  }
  assert.equal(readCounters(workerCounters(buffer, 1)).packets, 10);
  const sums = sumCounters(buffer, 3);
  assert.equal(sums.packets, 111);
  assert.equal(sums.payloadFlows, 3);
  assert.equal(sums.unjudged, 0);
});

Deno.test("counters of two workers share no cache line", () => {
  const buffer = new SharedArrayBuffer(countersByteLength(2));
  assert.equal(workerCounters(buffer, 1).byteOffset % 64, 0);
});
