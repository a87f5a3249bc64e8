/**
 * A short round of fuzzing (`deno task fuzz` runs for hours): nothing throws, no packet takes longer
 * than a millisecond, nothing grows. The seed is new each time; a finding prints it.
 */
import assert from "node:assert/strict";
import { fuzz } from "./run.ts";
import { createTargets } from "./targets.ts";

/** For all targets together. */
const SECONDS = Number(Deno.env.get("FUZZ_SECONDS") ?? 20);
/** What compiled code, caches and the young generation may add. */
const GROWTH_MIB = 128;

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
    return Deno.memoryUsage().rss / 2 ** 20;
  };
  const before = round(0.4); // what it needs is there now
  const after = round(0.6);
  for (const target of targets) target.check?.();
  assert.ok(after - before < GROWTH_MIB, `${before} MiB, then ${after} MiB (seed ${seed})`);
});
