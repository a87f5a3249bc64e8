/**
 * Fuzzes everything that reads bytes of strangers:
 *
 *     deno task fuzz [MINUTES] [SEED]
 *
 * 60 minutes unless told otherwise. A finding ends it with the input in hexadecimal and the seed;
 * the memory it uses is printed once a round and must not grow. A third of the time goes into the
 * search for what costs: the dearest inputs of each target are kept, changed, and printed.
 */
import { commandLine } from "../../scripts/arguments.ts";
import { confirm, createCostTargets, type Dearest, measureUsual, searchCost } from "./costs.ts";
import { fuzz } from "./run.ts";
import { createTargets } from "./targets.ts";

const { numberAt } = commandLine("deno task fuzz [MINUTES] [SEED]", {}, 2);
const minutes = numberAt(0, "MINUTES", 60);
const firstSeed = numberAt(1, "SEED", Date.now() % 1_000_000);
const ROUND_SECONDS = 60;

const targets = await createTargets();
const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
const costTargets = await createCostTargets();
const dearest = costTargets.map((): Dearest[] => []);
const usual = await measureUsual();
console.log(`usual packet: ${usual.toFixed(0)} ns`);
const COST_SHARE = 1 / 3;
/** Bytes printed of an input. */
const SHOWN = 40;

function searchCosts(milliseconds: number, seed: number): void {
  for (const [i, target] of costTargets.entries()) {
    const share = milliseconds / costTargets.length;
    const inputs = searchCost(target, dearest[i], usual, share, seed);
    confirm(target, dearest[i], usual);
    const [{ input, ns, ratio }] = dearest[i];
    console.log(
      `cost of ${target.name}: ${inputs} inputs, dearest ${(ns / 1000).toFixed(1)} µs, ` +
        `${ratio.toFixed(1)} usual packets: ${input.length} bytes, ${
          input.subarray(0, SHOWN).toHex()
        }`,
    );
  }
}

const end = performance.now() + minutes * 60_000;
for (let round = 0; performance.now() < end; round++) {
  const length = Math.min(ROUND_SECONDS * 1000, end - performance.now());
  for (const target of targets) {
    const { inputs, longestUs } = fuzz(
      target,
      length * (1 - COST_SHARE) * target.weight / weights,
      firstSeed + round,
    );
    const slow = target.isPacket ? `, longest ${longestUs} µs` : "";
    console.log(`${target.name}: ${inputs} inputs, seed ${firstSeed + round}${slow}`);
  }
  searchCosts(length * COST_SHARE, firstSeed + round);
  const { rss, heapUsed } = Deno.memoryUsage();
  console.log(`round ${round}: ${rss >> 20} MiB resident, ${heapUsed >> 20} MiB of heap`);
}
