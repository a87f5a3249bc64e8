import assert from "node:assert/strict";
import { StartTime } from "../../src/blocker/start_time.ts";

Deno.test("a machine without a clock of its own: the start is told by the time that came from the network", () => {
  let [wallMs, bootMs] = [10_000, 500_000];
  const start = new StartTime(() => wallMs, () => bootMs);
  assert.equal(start.text, "1970-01-01T00:00:10.000Z");
  [wallMs, bootMs] = [Date.parse("2026-11-29T09:00:30.000Z"), 530_000];
  assert.equal(start.text, "2026-11-29T09:00:00.000Z");
  [wallMs, bootMs] = [Date.parse("2026-11-29T07:00:40.000Z"), 540_000];
  assert.equal(start.text, "2026-11-29T07:00:00.000Z", "set back");
});

Deno.test("the start is the same moment each time it is told", () => {
  let [wallMs, bootMs] = [1_000_000, 0];
  const start = new StartTime(() => wallMs, () => bootMs);
  const first = start.text;
  [wallMs, bootMs] = [1_060_004, 60_000];
  assert.equal(start.text, first);
});
