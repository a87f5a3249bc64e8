import assert from "node:assert/strict";
import fc from "fast-check";
import { CaptureClock } from "../../src/capture/capture_clock.ts";

const START = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

/** The clock's time for a frame recorded at `timeMs`. */
function advance(clock: CaptureClock, timeMs: number): number {
  const packet = { timeMs: NaN };
  clock.stamp(packet, { timeMs });
  return packet.timeMs;
}

/** Minutes on the clock after each frame recorded at these minutes after the start. */
function run(...minutes: number[]): number[] {
  const clock = new CaptureClock();
  return minutes.map((minute) => (advance(clock, START + minute * 60_000) - START) / 60_000);
}

const YEARS = 50 * 365 * 24 * 60;

for (
  const [name, recorded, expected] of [
    ["follows the times of a recording", [0, 1, 2.5, 12], [0, 1, 2.5, 12]],
    ["lets packets out of order wait", [0, 1, 0.5, 2], [0, 1, 1, 2]],
    ["takes no notice of one frame of 1970", [0, 1, -YEARS, 2, 3], [0, 1, 1, 2, 3]],
    ["takes no notice of one frame of the far future", [0, 1, YEARS, 2, 3], [0, 1, 1, 2, 3]],
    ["puts an older recording behind a newer", [0, 1, -600, -599, -598], [0, 1, 1, 2, 3]],
    ["believes a silence one frame late", [0, 30, 31], [0, 0, 31]],
    ["counts a day of silence as an hour", [0, 1440, 1441], [0, 0, 61]],
    ["stands with two clocks by turns", [0, -YEARS, 1, 1 - YEARS, 2, 2 - YEARS], [
      0,
      0,
      1,
      1,
      2,
      2,
    ]],
  ] as const
) {
  Deno.test(`CaptureClock ${name}`, () => assert.deepEqual(run(...recorded), expected));
}

Deno.test("CaptureClock of any times: never back, and at most an hour a frame", () => {
  const time = fc.oneof(
    fc.double(),
    fc.double({ min: 0, max: 1e14 }),
    fc.integer({ min: START, max: START + 1e6 }),
  );
  fc.assert(
    fc.property(fc.array(time, { maxLength: 50 }), (times) => {
      const clock = new CaptureClock();
      let before = advance(clock, START);
      for (const timeMs of times) {
        const now = advance(clock, timeMs);
        // A silence of an hour and, on top, the step of up to ten minutes to the frame behind it.
        assert.ok(
          now >= before && now <= before + HOUR + 600_000,
          `${before} → ${now} at ${timeMs}`,
        );
        before = now;
      }
    }),
    { numRuns: 2000 },
  );
});
