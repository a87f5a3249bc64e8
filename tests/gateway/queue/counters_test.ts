import assert from "node:assert/strict";
import {
  COUNTER_INDEX,
  countersByteLength,
  countLatency,
  LATENCY_BOUNDS_US,
  readCounters,
  sumCounters,
  sumLatency,
  workerCounters,
} from "../../../src/gateway/queue/counters.ts";

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

Deno.test("the latency of a batch falls into one bucket, and workers are summed", () => {
  const buffer = new SharedArrayBuffer(countersByteLength(2));
  const last = LATENCY_BOUNDS_US.at(-1)!;
  for (const latencyUs of [0, 10, 10.5, last, last + 1]) {
    countLatency(workerCounters(buffer, 1), latencyUs);
  }
  countLatency(workerCounters(buffer, 0), 10);
  const { boundsUs, buckets, sumUs } = sumLatency(buffer, 2);
  assert.equal(buckets.length, boundsUs.length + 1);
  assert.deepEqual([...buckets.slice(0, 3), ...buckets.slice(-2)], [3, 1, 0, 1, 1]);
  assert.equal(sumUs, 0 + 10 + 10.5 + last + last + 1 + 10);
  assert(Object.values(sumCounters(buffer, 2)).every((value) => value === 0)); // apart from them
});
