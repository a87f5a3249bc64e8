/**
 * Fuzzes everything that reads bytes of strangers:
 *
 *     deno task fuzz [MINUTES] [SEED]
 *
 * 60 minutes unless told otherwise. A finding ends it with the input in hexadecimal and the seed;
 * the memory it uses is printed once a round and must not grow.
 */
import { fuzz } from "./run.ts";
import { createTargets } from "./targets.ts";

const minutes = Number(Deno.args[0] ?? 60);
const firstSeed = Number(Deno.args[1] ?? Date.now() % 1_000_000);
const ROUND_SECONDS = 60;

const targets = await createTargets();
const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
const end = performance.now() + minutes * 60_000;
for (let round = 0; performance.now() < end; round++) {
  const length = Math.min(ROUND_SECONDS * 1000, end - performance.now());
  for (const target of targets) {
    const { inputs, longestUs } = fuzz(target, length * target.weight / weights, firstSeed + round);
    const slow = target.isPacket ? `, longest ${longestUs} µs` : "";
    console.log(`${target.name}: ${inputs} inputs, seed ${firstSeed + round}${slow}`);
  }
  const { rss, heapUsed } = Deno.memoryUsage();
  console.log(`round ${round}: ${rss >> 20} MiB resident, ${heapUsed >> 20} MiB of heap`);
}
