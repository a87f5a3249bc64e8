import assert from "node:assert/strict";
import { StallWatch } from "../../../src/gateway/queue/stalls.ts";

Deno.test("StallWatch tells a queue in which packets wait and none is judged", () => {
  const watch = new StallWatch();
  const waiting = new Map([[0, { waiting: 5 }], [1, { waiting: 0 }]]);
  const judged = (first: number, second: number) => new Map([[0, first], [1, second]]);
  assert.deepEqual(watch.look(judged(10, 7), waiting), [], "seen for the first time");
  assert.deepEqual(watch.look(judged(11, 7), waiting), [], "queue 0 moves, 1 is idle");
  assert.deepEqual(watch.look(judged(11, 7), waiting), [0], "queue 0 stands still");
  assert.deepEqual(watch.look(judged(12, 7), waiting), [], "it moves again");
  assert.deepEqual(watch.look(judged(12, 7), new Map()), [], "nothing waits");
  assert.deepEqual(watch.look(judged(12, 7), waiting), [], "packets that have come since");
});
