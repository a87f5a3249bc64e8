/** The lines are what Deno 2.9 prints. */
import assert from "node:assert/strict";
import { countsOf, countsOfRun } from "../../scripts/testing/counts.ts";

const cases = [
  ["all passed", "ok | 12 passed | 0 failed (2s)\n", [12, 0, 0]],
  ["steps and skips", "ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)\n", [12, 0, 1]],
  ["failed steps", "\nFAILED | 1 passed (1 step) | 2 failed (3 steps) | 4 ignored (1m2s)\n", [
    1,
    2,
    4,
  ]],
  ["the last of several", "ok | 1 passed | 0 failed (2s)\nok | 3 passed | 0 failed (2s)\n", [
    3,
    0,
    0,
  ]],
  ["no summary", "error: Module not found\n", [0, 0, 0]],
] as const;
for (const [name, text, [passed, failed, skipped]] of cases) {
  Deno.test(`countsOf() reads ${name}`, () => {
    assert.deepEqual(countsOf(text), { passed, failed, skipped });
  });
}

const runs: [name: string, text: string, success: boolean, failed: number][] = [
  ["all passed", "ok | 2 passed | 0 failed (2s)\n", true, 0],
  ["all skipped", "ok | 0 passed | 0 failed | 2 ignored (2s)\n", true, 0],
  ["two failed", "FAILED | 1 passed | 2 failed (2s)\n", false, 2],
  ["an error outside of tests", "ok | 2 passed | 0 failed (2s)\n", false, 1],
  ["a process that was killed", "running 2 tests\nbad ...", false, 1],
  ["a file without a test", "ok | 0 passed | 0 failed (16ms)\n", true, 1],
  ["a summary of another Deno", "2 tests passed\n", true, 1],
];
for (const [name, text, success, failed] of runs) {
  Deno.test(`countsOfRun() of ${name}: ${failed} failed`, () => {
    assert.equal(countsOfRun(text, success).failed, failed);
  });
}
