import assert from "node:assert/strict";
import { describeLimit, FloodBound } from "../../src/report/flood_bound.ts";

function bound(most = 1_000, perSecond = 100) {
  const clock = { nowMs: 0 };
  const told: number[] = [];
  const of = new FloodBound({
    ...{ most, perSecond },
    tell: (leftOut) => told.push(leftOut),
    nowMs: () => clock.nowMs,
  });
  const enter = (bytes: number, tellsOfBan = false) => {
    const isAdmitted = of.admits(tellsOfBan);
    if (isAdmitted) of.spend(bytes);
    return isAdmitted;
  };
  return { clock, told, of, enter };
}

Deno.test("FloodBound takes its whole at once, then what comes in by the second", () => {
  const { clock, of, enter } = bound();
  for (let i = 0; i < 10; i++) assert.ok(enter(100));
  assert.ok(!enter(100));
  clock.nowMs = 1_000; // 100 bytes more
  assert.ok(enter(100));
  assert.ok(!enter(100));
  assert.equal(of.leftOut, 2);
});

Deno.test("FloodBound keeps room for entries that tell of a ban, whatever else comes", () => {
  const { enter, of } = bound();
  while (enter(100));
  assert.ok(enter(100, true));
  assert.ok(enter(150, true)); // a quarter of 1,000
  assert.ok(!enter(100, true), "these have an end too");
  assert.equal(of.leftOut, 2);
});

Deno.test("FloodBound says at once that something is left out, then hourly, and at the end", () => {
  const { clock, told, of, enter } = bound(1_000, 1);
  while (enter(1_000));
  assert.deepEqual(told, [1]);
  for (let i = 0; i < 50; i++) enter(1_000);
  assert.deepEqual(told, [1]);
  clock.nowMs = 3_600_000;
  assert.ok(enter(1_000), "the flood is over");
  assert.deepEqual(told, [1, 51], "what has been left out meanwhile");
  clock.nowMs = 7_200_000;
  assert.ok(enter(1_000));
  assert.deepEqual(told, [1, 51], "nothing more");
  assert.ok(!enter(1_000));
  of[Symbol.dispose]();
  of[Symbol.dispose]();
  assert.deepEqual(told, [1, 51, 52]);
});

Deno.test("describeLimit() names both sizes", () => {
  assert.equal(
    describeLimit({ most: 64 << 20, perSecond: 1_024 }),
    "it takes 67 MB at once, then 1.0 kB a second",
  );
});
