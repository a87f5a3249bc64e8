import assert from "node:assert/strict";
import { Backoff } from "../src/backoff.ts";

Deno.test("waits double up to a minute, and to ten where a key is wrong", () => {
  const backoff = new Backoff(60_000, () => 0.5);
  const waits = Array.from({ length: 8 }, () => backoff.failed("away"));
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1000));
  backoff.succeeded();
  assert.equal(backoff.failed("away"), 1_000);
  backoff.succeeded();
  const slow = Array.from({ length: 6 }, () => backoff.failed("forbidden"));
  assert.deepEqual(slow, [60, 120, 240, 480, 600, 600].map((seconds) => seconds * 1000));
});

Deno.test("waits differ by a quarter, so that machines do not come together", () => {
  const [least, most] = [0, 1].map((random) => new Backoff(60_000, () => random).failed("away"));
  assert.equal(least, 750);
  assert.equal(most, 1_250);
});
