import assert from "node:assert/strict";
import { Front } from "../../src/blocker/front.ts";
import { EnvironmentError, UsageError } from "../../src/errors.ts";

Deno.test("before the bans are open, whoever asks is told that it is starting", async () => {
  const front = new Front();
  const request = { action: "list", addresses: [], durationSeconds: 1 };
  for (const [command, argument] of [["bans", request], ["status", null]] as const) {
    const ask = () => front.handlers[command](argument);
    assert.throws(
      ask,
      (error) => error instanceof EnvironmentError && /is starting/.test(`${error}`),
    );
  }
  front.desk = {
    answer: (asked) => Promise.resolve([{ type: "cleared", bans: asked.addresses.length }]),
  };
  assert.deepEqual(await front.handlers.bans(request), [{ type: "cleared", bans: 0 }]);
  assert.throws(() => front.handlers.bans({ action: "lift" }), UsageError);
});
