/**
 * A short round of fuzzing (`deno task fuzz` runs for hours): nothing throws, no packet takes longer
 * than a millisecond, nothing grows. The seed is new each time; a finding prints it.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fuzz } from "./run.ts";
import { createTargets } from "./targets.ts";

/** For all targets together. */
const SECONDS = Number(Deno.env.get("FUZZ_SECONDS") ?? 20);
/** What compiled code and caches may add. */
const GROWTH_MIB = 32;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

Deno.test("mutated packets, payloads, messages, captures and settings do no harm", async () => {
  const targets = await createTargets();
  const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
  const seed = Date.now() % 1_000_000;
  const round = (share: number) => {
    for (const target of targets) {
      const ms = SECONDS * share * 1000 * target.weight / weights;
      const { inputs, longestUs } = fuzz({ ...target, check: undefined }, ms, seed);
      assert.ok(inputs > 0, target.name);
      console.log(`${target.name}: ${inputs} inputs, longest ${longestUs} µs`);
    }
    // Readers of captures leave buffers of a MiB each: garbage is not growth.
    collectGarbage();
    const { heapUsed, external } = Deno.memoryUsage();
    return (heapUsed + external) / 2 ** 20;
  };
  const before = round(0.4); // what it needs is there now
  const after = round(0.6);
  for (const target of targets) target.check?.();
  assert.ok(after - before < GROWTH_MIB, `${before} MiB, then ${after} MiB (seed ${seed})`);
});
