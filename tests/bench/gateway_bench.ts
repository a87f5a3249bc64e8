/**
 * What the gateway costs: traffic through a router with btblocker beside the same traffic through a
 * router without a filter, in namespaces, interleaved, medians, as ratios. Needs root, iperf3, wrk and
 * ethtool: `scripts/install_test_tools.sh --bench`.
 *
 *   deno task bench:gateway [options]
 *
 *   --quick                 3 runs of 1 second instead of 5 of 4
 *   --runs N --seconds N
 *   --only PATTERN          only the measures whose name matches: "bulk", "HTTP|lookup"
 *   --gateway-cmd COMMAND   measure another inline program too, started in its router's namespace
 *   --workers N             of btblocker; 2 by default
 *   --xdp MODE              XDP_MODE of btblocker; auto by default, as it is shipped
 *   --pin                   the two ends each on a core of its own, for machines that do other work too
 *   --skip-memory           without the million flows
 *   --drops                 also what is dropped of a banned sender, beside iptables (clang; a minute)
 *   --profile               only where a packet's time goes in user space; needs no root
 *
 * "stateful" is a router that only follows connections, as NAT or any firewall makes it: btblocker
 * keeps its decisions in the connections' marks, so that is the part of its cost which most routers
 * have already.
 *
 * Loads and blocker share the machine's cores, as the traffic of a router and its filter do, so that
 * only the ratios mean something.
 */

import { commandLine, numberOf } from "../../scripts/arguments.ts";
import { type AimRow, aimsTable } from "./gateway/aims_table.ts";
import { Bed } from "./gateway/bed.ts";
import { Contender, inspectAllRules, type Losses } from "./gateway/contenders.ts";
import { type Aim, type Measure, MEASURES } from "./gateway/measures.ts";
import { printPacketPath } from "./gateway/packet_path.ts";
import { Namespaces } from "../bpf/namespaces.ts";
import { median } from "./corpus.ts";
import { compileBare, measureDrops } from "./xdp_drop_bench.ts";

const FLOOD_FLOWS = 1_000_000;
const FLOOD_RATE = 60_000;
/** Resident, with 2 queues: idle, and after the flood. */
const MEMORY_AIMS_MB = { idle: 100, flooded: 130 };
const IDLE_SECONDS = 3;
const SHIPPED = "btblocker";
const INSPECTED = "every packet inspected";
const AGAIN = "conntrack only, again";

const USAGE = "deno task bench:gateway [--quick] [--runs 5] [--seconds 4] [--only REGEXP] " +
  "[--gateway-cmd COMMAND] [--workers 2] [--xdp auto] [--skip-memory] [--drops] [--pin] [--profile]";
const { values: options } = commandLine(USAGE, {
  quick: { type: "boolean", default: false },
  runs: { type: "string" },
  seconds: { type: "string" },
  only: { type: "string", default: "" },
  "gateway-cmd": { type: "string" },
  workers: { type: "string", default: "2" },
  xdp: { type: "string", default: "auto" },
  "skip-memory": { type: "boolean", default: false },
  drops: { type: "boolean", default: false },
  pin: { type: "boolean", default: false },
  profile: { type: "boolean", default: false },
}, 0);
if (options.profile) {
  printPacketPath();
  Deno.exit();
}
Bed.pinned = options.pin;
const runs = numberOf("--runs", options.runs ?? (options.quick ? "3" : "5"), USAGE);
const seconds = numberOf("--seconds", options.seconds ?? (options.quick ? "1" : "4"), USAGE);
const measures = MEASURES.filter(({ name }) => new RegExp(options.only).test(name));

/** Values of a contender, by measure and run. */
type Values = Map<Measure, number[]>;

await using stack = new AsyncDisposableStack();
const contenders = await startContenders();
const values = new Map<Contender, Values>(
  contenders.map(({ contender }) => [contender, new Map()]),
);
const [reference, stateful] = contenders.map(({ contender }) => contender);

/** Of btblocker as shipped, and with every packet inspected: the last thing that is printed. */
const aims: AimRow[] = [];

await measureAll();
printMeasures();
await printIdle();
if (!options["skip-memory"]) await printMemory();
await printLosses();
if (options.drops) await printDrops();
console.log(`\nthe aims, ${new Date().toISOString().slice(0, 10)}:\n`);
console.log(aimsTable(aims));

interface Entry {
  readonly contender: Contender;
  readonly measures: readonly Measure[];
  readonly aimOf: (measure: Measure) => Aim | undefined;
}

async function startContenders(): Promise<Entry[]> {
  const usual = (measure: Measure) => measure.aim;
  const entries: Entry[] = [];
  const add = async (starting: Promise<Contender>, aimOf: Entry["aimOf"]) => {
    const contender = stack.use(await starting);
    entries.push({ contender, aimOf, measures: measures.filter((m) => aimOf(m) !== undefined) });
  };
  await add(Contender.unfiltered(), usual);
  await add(Contender.conntrack(), usual);
  // The same once more: what of a ratio is nothing but two routers in two places of memory.
  await add(
    Contender.conntrack(AGAIN),
    (measure) => "ratio" in measure.aim ? measure.aim : undefined,
  );
  const env: Record<string, string> = { QUEUE_COUNT: options.workers, XDP_MODE: options.xdp };
  await add(Contender.start(SHIPPED, { env }), usual);
  if (options.xdp !== "off") {
    const off = { env: { ...env, XDP_MODE: "off" } };
    await add(Contender.start("btblocker, XDP_MODE=off", off), usual);
  }
  const inspectAll = {
    env: { ...env, MANAGE_RULES: "false" },
    setup: inspectAllRules(Number(options.workers)),
  };
  if (measures.some((measure) => measure.inspectAll !== undefined)) {
    await add(
      Contender.start(INSPECTED, inspectAll),
      (measure) => measure.inspectAll,
    );
  }
  const command = options["gateway-cmd"];
  if (command !== undefined) await add(Contender.start("gateway-cmd", { command }), usual);
  return entries;
}

async function measureAll(): Promise<void> {
  const kinds = [...new Set(measures.map((measure) => measure.run))];
  // The first run warms up caches and compilers, and is not counted.
  for (let run = 0; run <= runs; run++) {
    // Each is first and last in its turn: what one leaves to the next is not always the same one's.
    const order = contenders.map((_, index) => contenders[(index + run) % contenders.length]);
    for (const kind of kinds) {
      for (const { contender, measures } of order) {
        const ours = measures.filter((measure) => measure.run === kind);
        if (ours.length === 0) continue;
        await contender.bed.setOffload(ours[0].offload);
        const { warmUp = 1, leastSeconds = 0 } = ours[0];
        const lasts = run === 0 ? warmUp : Math.max(seconds, leastSeconds);
        const result = await kind(contender.bed, lasts);
        if (run === 0) continue;
        for (const measure of ours) {
          const known = values.get(contender)!;
          known.set(measure, [...known.get(measure) ?? [], result[measure.key]]);
        }
      }
      Deno.stderr.writeSync(new TextEncoder().encode("."));
    }
  }
  Deno.stderr.writeSync(new TextEncoder().encode("\n"));
}

function printMeasures(): void {
  const isAimed = (name: string) => name === SHIPPED || name === INSPECTED;
  console.log(`medians of ${runs} runs of ${seconds} s, interleaved`);
  for (const { contender, measures, aimOf } of contenders.slice(1)) {
    console.log(row(contender.name, "unfiltered", "here", "cost", "aim", "to stateful"));
    for (const measure of measures) {
      const of = (which: Contender) => values.get(which)!.get(measure)!;
      const now = of(contender);
      const before = of(reference);
      const aim = aimOf(measure)!;
      const cost = costOf(aim, now, before);
      const toStateful = costOf(aim, now, of(stateful));
      const decisive = aim.beside === "stateful" ? toStateful : cost;
      if (isAimed(contender.name)) {
        const value = (which: Contender) => `${short(median(of(which)))} ${measure.unit}`.trim();
        aims.push({
          what: contender.name === SHIPPED ? measure.name : `${contender.name}: ${measure.name}`,
          ...{ unfiltered: value(reference), stateful: value(stateful), here: value(contender) },
          ...{ toUnfiltered: costText(aim, cost), toStateful: costText(aim, toStateful) },
          ...{ aim: aimText(aim), isReached: isReached(aim, decisive) },
        });
      }
      console.log(
        row(
          `  ${measure.name}`,
          `${short(median(before))} ${measure.unit}`,
          `${short(median(now))} ${measure.unit}`,
          costText(aim, cost),
          aimText(aim),
          contender === stateful ? "" : costText(aim, toStateful),
        ) + (contender.program === null || isReached(aim, decisive) ? "" : "  not reached"),
      );
    }
  }
}

/** The quotient of runs that were neighbours in time, so that what else the machine did cancels out. */
function costOf(aim: Aim, now: readonly number[], before: readonly number[]): number {
  return "ratio" in aim
    ? median(now.map((value, run) => value / before[run]))
    : median(now) - median(before);
}

function isReached(aim: Aim, cost: number): boolean {
  return "ratio" in aim ? cost >= aim.ratio - 0.005 : cost <= aim.added;
}

function costText(aim: Aim, cost: number): string {
  return "ratio" in aim ? cost.toFixed(2) : `${cost < 0 ? "" : "+"}${cost.toFixed(1)}`;
}

function aimText(aim: Aim): string {
  const { beside = "unfiltered" } = aim;
  return "ratio" in aim ? `≥ ${aim.ratio.toFixed(2)} ${beside}` : `≤ ${aim.added}`;
}

function short(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

function row(...[name, ...columns]: string[]): string {
  return name.padEnd(42) + columns.map((text) => text.padStart(18)).join("");
}

async function printIdle(): Promise<void> {
  for (const { contender } of contenders) {
    if (contender.program === null) continue;
    const before = contender.processorTime;
    await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
    const after = contender.processorTime;
    const used = after.user - before.user + after.kernel - before.kernel;
    const percent = (used / IDLE_SECONDS) * 100;
    console.log(`${contender.name}: idle, ${percent.toFixed(1)} % of a core (aim < 1 %)`);
  }
}

/** Floods until so many flows were seen; a packet more that passes unjudged is no flow. */
async function printMemory(): Promise<void> {
  for (const { contender, aimOf } of contenders) {
    if (contender.program === null || aimOf !== contenders[0].aimOf) continue;
    const before = contender.residentMegabytes;
    const known = (await contender.status())?.flows ?? 0;
    let flows = 0;
    for (let rounds = 0; flows < FLOOD_FLOWS && rounds < 3; rounds++) {
      const missing = Math.ceil((FLOOD_FLOWS - flows) * 1.01); // random ones occur twice
      await contender.bed.load(120_000, "flood.ts", missing, FLOOD_RATE);
      const status = await contender.status();
      if (status === null) break;
      flows = status.flows - known;
    }
    const after = contender.residentMegabytes;
    if (contender.name === SHIPPED) {
      for (
        const [what, megabytes, most] of [
          ["resident memory, 2 queues, idle", before, MEMORY_AIMS_MB.idle],
          ["resident memory after a million flows", after, MEMORY_AIMS_MB.flooded],
        ] as const
      ) {
        const here = `${megabytes.toFixed(0)} MB`;
        aims.push({ what, here, aim: `≤ ${most} MB`, isReached: megabytes <= most });
      }
    }
    const seen = flows > 0 ? `${(flows / 1e6).toFixed(2)} million flows` : "the flood";
    console.log(
      `${contender.name}: ${before.toFixed(0)} MB resident (aim ≤ ${MEMORY_AIMS_MB.idle}), ` +
        `${after.toFixed(0)} after ${seen} (aim ≤ ${MEMORY_AIMS_MB.flooded})${
          before > MEMORY_AIMS_MB.idle || after > MEMORY_AIMS_MB.flooded ? "  not reached" : ""
        }`,
    );
  }
}

async function printLosses(): Promise<void> {
  for (const { contender } of contenders) {
    if (contender.program === null) continue;
    const losses: Losses = await contender.losses();
    const lost = losses.queueDropped + losses.socketDropped + losses.ruleDrops + losses.dropped;
    const details = Object.entries(losses).map(([name, count]) => `${name} ${count}`).join(", ");
    if (contender.name === SHIPPED) {
      aims.push({
        what: "packets lost, all runs",
        here: `${lost}`,
        aim: "0",
        isReached: lost === 0,
      });
    }
    console.log(`${contender.name}: ${lost} packets lost (aim 0): ${details}`);
    const status = await contender.status();
    if (status === null) continue;
    const { user, kernel } = contender.processorTime;
    console.log(
      `  ${status.packets} packets judged, ${
        (status.packets / status.batches).toFixed(1)
      } a batch, ` +
        `µs of processor time each: ${((user / status.packets) * 1e6).toFixed(2)} in user space, ` +
        `${((kernel / status.packets) * 1e6).toFixed(2)} in the kernel`,
    );
  }
}

/** What tc ingress drops of a banned sender, as shipped on these interfaces, beside iptables. */
async function printDrops(): Promise<void> {
  await using hosts = await Namespaces.create();
  const object = await compileBare();
  const rates = await measureDrops(hosts, object).finally(() => Deno.remove(object));
  const ratio = rates.tc / rates.iptables;
  aims.push({
    what: "drop of a banned sender",
    ...{ here: `${Math.round(rates.tc)} 1/s`, stateful: `${Math.round(rates.iptables)} 1/s (raw)` },
    ...{ toStateful: ratio.toFixed(2), aim: "≥ 1.00 iptables raw", isReached: ratio >= 0.995 },
  });
}
