/**
 * Mixed traffic for a long time, at a bounded rate, and what it leaves behind:
 *
 *     deno task soak [MINUTES]
 *
 * 5 minutes unless told otherwise, 120 at night. Recorded swarms and everything else that was
 * recorded are played again and again, beside downloads. Memory must be flat, descriptors must not
 * grow, and the counters must add up.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../scripts/arguments.ts";
import { delay } from "../lab/client.ts";
import { Bed } from "../robustness/bed.ts";

/** A packet is judged in some microseconds; the rest of the machine is for those who send. */
const PACKETS_A_SECOND = 3_000;
/** Of resident memory, between the second and the last quarter of the run. */
const GROWTH_MIB = 24;
/** A leak grows in every round: so many of a soak as short as that. */
const SHORT_ROUNDS = 5;
const SHORT_SECONDS = 120;

const REPLAYER = fileURLToPath(new URL("./replayer.ts", import.meta.url));

interface Sample {
  seconds: number;
  memoryMib: number;
  descriptors: number;
}

export interface SoakResult {
  seconds: number;
  packets: number;
  unjudged: number;
  detections: number;
  downloads: number;
  slopeMibAnHour: number;
  growthMib: number;
  descriptors: [first: number, last: number];
  memoryMib: [first: number, last: number];
}

/** Runs it; throws where something does not hold. */
export async function soak(seconds: number): Promise<SoakResult> {
  await using bed = await Bed.create();
  const { router, attacker, network } = bed;
  const noRedirects = ["all", "default", attacker.routerInterface]
    .map((name) => `net.ipv4.conf.${name}.send_redirects=0`);
  await router.run(["sysctl", "-qw", ...noRedirects]);
  await bed.start({
    ...{ BAN_DURATION: "20", CLEANUP_INTERVAL: "5", LOG_LEVEL: "info" },
    DETECTION_LOG: `${network.directory}/detections`,
  });
  await touchTables(bed);
  let { samples, downloads } = await play(bed, seconds);
  // On a busy machine the tables are not full yet: what was to fill them has passed unjudged in part.
  for (let round = 1; round < SHORT_ROUNDS && seconds < SHORT_SECONDS; round++) {
    if (growth(samples) < GROWTH_MIB) break;
    const more = await play(bed, seconds);
    samples = more.samples;
    downloads += more.downloads;
  }
  const { counters } = await bed.accounted(); // packets in
  const { packets, unjudged, accepted, released, dropped, bannedDrops } = counters;
  assert.equal(packets, accepted + released + dropped + bannedDrops, "verdicts out");
  assert.equal(counters.faults + counters.restarts + counters.malformed, 0);
  assert.ok(counters.detections > 0);
  const growthMib = growth(samples);
  const [first, last] = [samples[Math.floor(samples.length / 4)], samples.at(-1)!];
  assert.ok(growthMib < GROWTH_MIB, `${growthMib} MiB more:\n${JSON.stringify(samples)}`);
  assert.ok(last.descriptors <= first.descriptors + 3, JSON.stringify(samples));
  assert.equal((await bed.blocker.stop()).code, 0);
  return {
    ...{ seconds, packets, unjudged, downloads, growthMib, detections: counters.detections },
    slopeMibAnHour: slope(samples.slice(samples.length / 4)) * 3600,
    descriptors: [first.descriptors, last.descriptors],
    memoryMib: [first.memoryMib, last.memoryMib],
  };
}

/** Traffic for so long, and what the blocker held meanwhile. */
async function play(
  bed: Bed,
  seconds: number,
): Promise<{ samples: Sample[]; downloads: number }> {
  const samples: Sample[] = [];
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const replay = bed.attacker.spawn([
    ...[Deno.execPath(), "run", "--quiet", "-A", REPLAYER],
    ...[bed.mac, String(PACKETS_A_SECOND), String(seconds)],
  ]);
  let downloads = 0;
  const downloading = (async () => {
    while (elapsed() < seconds) {
      await bed.download("10M");
      downloads++;
    }
  })();
  const every = Math.max(1, seconds / 60);
  while (elapsed() < seconds) {
    await delay(every * 1000);
    samples.push({
      seconds: elapsed(),
      memoryMib: bed.memory(),
      descriptors: bed.descriptors(),
    });
  }
  await downloading;
  assert.equal((await replay.status).code, 0, replay.text());
  return { samples, downloads };
}

/** MiB from the second to the last quarter. */
function growth(samples: readonly Sample[]): number {
  const quarter = (n: number) =>
    samples.slice((samples.length * n) / 4, samples.length * (n + 1) / 4);
  const mean = (list: Sample[]) =>
    list.reduce((sum, { memoryMib }) => sum + memoryMib, 0) / list.length;
  return mean(quarter(3)) - mean(quarter(1));
}

/**
 * The tables are there from the start, but the kernel gives a page of them only when it is written to:
 * flows enough to fill them all, so that what grows after this is a leak.
 */
async function touchTables(bed: Bed): Promise<void> {
  for (const kind of ["syn", "udp", "tiny"] as const) {
    await bed.send({ kind, count: 150_000, rate: 40_000 });
    await bed.router.run(["conntrack", "-F"]);
  }
  // Bans and what is known of hosts have tables too.
  await bed.send({ kind: "dht", count: 40_000, rate: 10_000, sources: 40_000 });
  await bed.router.run(["conntrack", "-F"]);
}

/** MiB a second, by least squares. */
function slope(samples: readonly Sample[]): number {
  const n = samples.length;
  const x = samples.reduce((sum, { seconds }) => sum + seconds, 0) / n;
  const y = samples.reduce((sum, { memoryMib }) => sum + memoryMib, 0) / n;
  let [above, below] = [0, 0];
  for (const { seconds, memoryMib } of samples) {
    above += (seconds - x) * (memoryMib - y);
    below += (seconds - x) ** 2;
  }
  return above / below;
}

if (import.meta.main) {
  const { numberAt } = commandLine("deno task soak [MINUTES]", {}, 1);
  const minutes = numberAt(0, "MINUTES", 5);
  console.log(JSON.stringify(await soak(minutes * 60), null, 2));
  Deno.exit(0);
}
