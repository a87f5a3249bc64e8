/**
 * The real queue worker, but it dies at a random moment of its first second under load, between any
 * two steps of its loop: with packets taken and not judged, judged and not answered, or none. A thread
 * cannot be killed as a process can; nothing it does itself is spared here, as at a kill -9. The worker
 * of a queue that has crashed {@link CRASHES} times runs on.
 */
import { BatchReceiver, Poller } from "../../../ffi/libc.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { HostEvidence } from "../../../src/engine/host_evidence.ts";
import { COUNTER_INDEX, workerCounters } from "../../../src/gateway/queue/counters.ts";
import { QueueMessage, VerdictBatch } from "../../../src/gateway/queue/queue_message.ts";
import { runQueueThread } from "../../../src/gateway/queue/queue_thread.ts";

const CRASHES = 3;
const WITHIN_MS = 1_000;

/** Steps of the loop, outside of the judge's care. */
const STEPS: readonly [owner: object, step: string][] = [
  [BatchReceiver.prototype, "receive"],
  [Poller.prototype, "wait"],
  [QueueMessage.prototype, "read"],
  [VerdictBatch.prototype, "add"],
];

runQueueThread((setup) => {
  const crashed = workerCounters(setup.counters, setup.worker)[COUNTER_INDEX.restarts];
  if (crashed < CRASHES) crashSoon();
  return new Engine({
    ...{ flows: setup.flows, policy: setup.settings.policy },
    evidence: new HostEvidence(setup.evidence),
  });
});

/** Has a step fail once a random time is over, before or after it is done. */
function crashSoon(): void {
  const atMs = performance.now() + Math.random() * WITHIN_MS;
  const [owner, step] = STEPS[Math.floor(Math.random() * STEPS.length)];
  const isAfter = Math.random() < 0.5;
  const original = Reflect.get(owner, step) as (...args: unknown[]) => unknown;
  const crashing = function (this: unknown, ...args: unknown[]): unknown {
    const isNow = performance.now() >= atMs;
    if (isNow && !isAfter) throw new Error(`crashed before ${step}()`);
    const result = original.apply(this, args);
    if (isNow) throw new Error(`crashed after ${step}()`);
    return result;
  };
  Reflect.set(owner, step, crashing);
}
