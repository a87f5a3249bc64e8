/** One thread of the test with several: all ban the same 200 addresses, an hour each, in rounds. */
/// <reference lib="deno.worker" />

import { parseBanKey } from "../../../src/gateway/bans/ban_key.ts";
import { Offenders } from "../../../src/gateway/bans/offenders.ts";

const HOUR = 3_600_000;
const KEYS = Array.from({ length: 200 }, (_, i) => parseBanKey(`198.51.100.${i}`)!);

self.onmessage = (
  { data }: MessageEvent<
    { memory: SharedArrayBuffer; gate: SharedArrayBuffer; threads: number; rounds: number }
  >,
) => {
  const { memory, gate, threads, rounds } = data;
  const offenders = new Offenders(memory);
  const arrived = new Int32Array(gate);
  for (let round = 0; round < rounds; round++) {
    const now = round * HOUR;
    for (const key of KEYS) offenders.banned(key, now + HOUR, now);
    // The clock of the test goes on when all have banned.
    const count = Atomics.add(arrived, 0, 1) + 1;
    if (count === threads * (round + 1)) {
      Atomics.add(arrived, 1, 1);
      Atomics.notify(arrived, 1);
    }
    while (Atomics.load(arrived, 1) <= round) {
      Atomics.wait(arrived, 1, round);
    }
  }
  self.postMessage(null);
};
