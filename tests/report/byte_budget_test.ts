import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteBudget } from "../../src/report/byte_budget.ts";

Deno.test("ByteBudget gives its whole at once, then what comes in by the second", () => {
  const budget = new ByteBudget(1_000, 100, 0);
  assert.ok(budget.has(0));
  budget.spend(999);
  assert.ok(budget.has(0));
  budget.spend(200); // the last may owe
  assert.ok(!budget.has(0));
  assert.ok(!budget.has(1_990));
  assert.ok(budget.has(2_000));
  budget.spend(10);
  assert.ok(budget.has(1_000_000));
  budget.spend(1_000);
  assert.ok(!budget.has(1_000_000), "it never holds more than its whole");
});

Deno.test("ByteBudget has what is more than the reserve", () => {
  const budget = new ByteBudget(1_000, 100, 0);
  budget.spend(700);
  assert.ok(budget.has(0, 299));
  assert.ok(!budget.has(0, 300));
  assert.ok(budget.has(10, 300), "a byte came in");
});

Deno.test("ByteBudget: whatever is asked when, no more is spent than the time allows", () => {
  const asked = fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 400 }));
  fc.assert(fc.property(fc.array(asked), (steps) => {
    const budget = new ByteBudget(1_000, 100, 0);
    let nowMs = 0;
    let spent = 0;
    for (const [waitMs, bytes] of steps) {
      nowMs += waitMs;
      if (!budget.has(nowMs)) continue;
      budget.spend(bytes);
      spent += bytes;
    }
    assert.ok(spent <= 1_000 + nowMs / 10 + 400, `${spent} in ${nowMs} ms`);
  }));
});
