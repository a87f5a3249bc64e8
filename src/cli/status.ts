/** `btblocker status`: what the running blocker tells through its socket, once or every second. */
import { WAIT_WORDS, WAITS } from "../engine/undecided.ts";
import { EnvironmentError } from "../errors.ts";
import type { FleetCalls } from "../fleet/fleet_state.ts";
import { askControl } from "../blocker/control.ts";
import { networkNamespaceInode } from "../gateway/network/network_namespace.ts";
import { latencyQuantileUs, type Status } from "../status/status.ts";
import { formatBytes, formatCount, formatDuration, printable } from "../text.ts";

export interface StatusOptions {
  /** One JSON object a line, as `/api/status` has it. */
  readonly json: boolean;
  /** Again every second, until interrupted or the blocker stops. */
  readonly watch: boolean;
}

const WATCH_MS = 1_000;

/**
 * Prints the status; returns the exit code, 1 where a queue is not served (HEALTHCHECK of the image),
 * or throws EnvironmentError where no blocker runs.
 */
export async function status({ json, watch }: StatusOptions): Promise<number> {
  const inode = networkNamespaceInode();
  const look = async () => {
    const answer = await askControl(inode, "status", null);
    if (answer !== null) return answer.result as Status;
    throw new EnvironmentError(
      "Cannot show the status: btblocker does not run in this network namespace",
      "start it with btblocker run",
    );
  };
  const isTerminal = Deno.stdout.isTerminal();
  const useColour = isTerminal && !Deno.noColor;
  const text = (status: Status) =>
    json ? JSON.stringify(status) : statusText(status, Date.now(), useColour);
  if (!watch) {
    const status = await look();
    print(`${text(status)}\n`);
    return status.healthy ? 0 : 1;
  }
  using screen = isTerminal && !json ? new Screen() : null;
  for (;;) {
    const now = text(await look());
    if (!print(screen?.frame(now) ?? `${now}\n${json ? "" : "\n"}`)) return 0;
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
}

/** False when nobody reads any more (`| head`). */
function print(text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}

/** The terminal's other screen, so that what stood there is back afterwards. */
class Screen implements Disposable {
  readonly #leave = () => {
    print("\x1b[?25h\x1b[?1049l");
    Deno.exit(0);
  };

  constructor() {
    Deno.addSignalListener("SIGINT", this.#leave);
    Deno.addSignalListener("SIGTERM", this.#leave);
    print("\x1b[?1049h\x1b[?25l");
  }

  /** Written over the last one, line by line, so that nothing flickers. */
  frame(text: string): string {
    return `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[K\n\x1b[J`;
  }

  [Symbol.dispose](): void {
    print("\x1b[?25h\x1b[?1049l");
    Deno.removeSignalListener("SIGINT", this.#leave);
    Deno.removeSignalListener("SIGTERM", this.#leave);
  }
}

type Colour = "bold" | "dim" | "green" | "yellow" | "red";
const CODES: Readonly<Record<Colour, number>> = {
  bold: 1,
  dim: 90,
  green: 32,
  yellow: 33,
  red: 31,
};

/** The status for people: a head, amounts, and a table each of queues, interfaces and methods. */
export function statusText(status: Status, nowMs: number, useColour = false): string {
  const paint = (colour: Colour, text: string) =>
    useColour ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
  const blocks = [
    head(status, nowMs, paint),
    table(["", "A SECOND", "IN ALL"], amounts(status), [1, 2], paint),
    undecided(status, paint),
    queues(status, paint),
    interfaces(status, paint),
    methods(status, paint),
  ];
  return blocks.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

type Paint = (colour: Colour, text: string) => string;

function head(status: Status, nowMs: number, paint: Paint): string[] {
  const { version, commit, started, pid, chains, policy, bans, banLimit } = status;
  const up = formatDuration((nowMs - Date.parse(started)) / 1000);
  const title = `${paint("bold", `btblocker ${version}`)} (${commit}), process ${pid}, up ${up}`;
  const verb = status.monitorOnly ? paint("yellow", "Watching") : paint("green", "Guarding");
  const banned = `${formatCount(bans, "ban")} in force (at most ${number(banLimit)})`;
  return [
    title,
    `${verb} ${chains.join(", ")}, ${policy} policy, ${whatOfBans(status)}`,
    ...health(status, paint),
    ...missing(status, paint),
    banned,
    ...fleet(status, nowMs, paint),
  ];
}

function whatOfBans(status: Status): string {
  const { monitorOnly, banTarget, banScope, banDurationSeconds, banDurationMaxSeconds } = status;
  if (monitorOnly || banTarget === "none") return "bans nobody";
  const whom = banTarget === "both" ? "both ends" : `the ${banTarget}`;
  const scope = banScope === "endpoint" ? " (its port only)" : "";
  const longest = banDurationMaxSeconds === banDurationSeconds
    ? ""
    : `, repeated offenders up to ${formatDuration(banDurationMaxSeconds)}`;
  return `bans ${whom}${scope} for ${formatDuration(banDurationSeconds)}${longest}`;
}

function health({ workers, counters, latency }: Status, paint: Paint): string[] {
  const down = workers.filter(({ running }) => !running).map(({ queue }) => queue);
  const kernelDrops = workers.reduce((sum, one) => sum + (one.kernelDrops ?? 0), 0);
  const lines: string[] = [];
  if (down.length > 0) {
    lines.push(paint("red", `Not served, packets pass unjudged: queue ${down.join(", ")}`));
  }
  if (counters.unjudged > 0) {
    lines.push(paint("yellow", `${formatCount(counters.unjudged, "packet")} passed unjudged`));
  }
  if (kernelDrops > 0) {
    lines.push(paint("yellow", `The kernel dropped ${formatCount(kernelDrops, "packet")}`));
  }
  if (counters.faults > 0) {
    lines.push(paint("yellow", `${formatCount(counters.faults, "packet")} could not be judged`));
  }
  if (counters.foreignMarks > 0) {
    const packets = formatCount(counters.foreignMarks, "packet");
    lines.push(paint("red", `${packets} came with bits of MARK_MASK set by another program`));
  }
  if (lines.length === 0) {
    lines.push(workers.length === 1 ? "The worker runs" : `All ${workers.length} workers run`);
  }
  const half = latencyQuantileUs(latency, 0.5);
  const most = latencyQuantileUs(latency, 0.99);
  if (half !== null && most !== null) {
    const longest = latency.boundsUs.at(-1)!;
    const upTo = (us: number) => us === Infinity ? `over ${time(longest)}` : `up to ${time(us)}`;
    lines.push(`From receipt to verdict: half of the batches ${upTo(half)}, 99 % ${upTo(most)}`);
  }
  return lines;
}

/** What the detection log and the detection pcap do not have; nothing where that is nothing. */
function missing({ detectionFiles: { log, pcap } }: Status, paint: Paint): string[] {
  const files = [
    { name: "detection log", one: "entry", many: "entries", ...log },
    { name: "detection pcap", one: "packet", many: "packets", ...pcap },
  ];
  return files.flatMap(({ name, one, many, lost, leftOut }) => {
    const count = (count: number) => `${number(count)} ${count === 1 ? one : many}`;
    const parts: string[] = [];
    if (lost > 0) parts.push(`${count(lost)} could not be written`);
    if (leftOut > 0) parts.push(`${count(leftOut)} left out, too many at once`);
    return parts.length === 0 ? [] : [paint("yellow", `In the ${name} ${parts.join("; ")}`)];
  });
}

function fleet({ fleet }: Status, nowMs: number, paint: Paint): string[] {
  const lines: string[] = [];
  if (fleet?.reports) {
    const { waiting, lost } = fleet.reports;
    const facts = [`${formatCount(waiting, "ban")} waiting`];
    if (lost > 0) facts.push(paint("yellow", `${formatCount(lost, "ban")} lost, too many waited`));
    lines.push(half("Reports to the fleet", fleet.reports, facts, nowMs, paint));
  }
  if (fleet?.takesOver) {
    const facts = [`${formatCount(fleet.takesOver.held, "ban")} held`];
    lines.push(half("Takes over from the fleet", fleet.takesOver, facts, nowMs, paint));
  }
  return lines;
}

/** `Takes over from the fleet: last 3s ago, 1,204 bans held`. */
function half(
  what: string,
  { connected, lastSuccess, lastFailure }: FleetCalls,
  facts: readonly string[],
  nowMs: number,
  paint: Paint,
): string {
  const last = lastSuccess === null
    ? "not yet"
    : `last ${formatDuration((nowMs - Date.parse(lastSuccess)) / 1000)} ago`;
  const line = `${what}: ${[last, ...facts].join(", ")}`;
  if (connected || lastFailure === null) return line;
  const { trouble, problem } = lastFailure;
  return `${line}; ${paint("yellow", `${trouble}: ${printable(problem)}`)}`;
}

function time(us: number): string {
  return us < 1000 ? `${us} µs` : `${us / 1000} ms`;
}

function amounts({ counters, rates, firstLook }: Status): string[][] {
  return [
    ...firstLook === null ? [] : settled(firstLook),
    ["Packets judged", rate(rates.packets), number(counters.packets)],
    ["Bytes judged", formatBytes(rates.bytes), formatBytes(counters.bytes)],
    ["Packets dropped", rate(rates.dropped), number(counters.dropped + counters.bannedDrops)],
    ["Detections", rate(rates.detections), number(counters.detections)],
    ["Flows seen", "", number(counters.flows)],
    ["Flows released", "", number(counters.released)],
    ["Packets whitelisted", "", number(counters.whitelisted)],
    ["Flows of whitelisted services", "", number(counters.serviceConnections)],
  ];
}

/** What never came to user space, with the kinds that there were. */
function settled({ packets, flows }: NonNullable<Status["firstLook"]>): string[][] {
  const kinds = Object.entries(flows).filter(([, count]) => count > 0);
  const told = kinds.map(([kind, count]) => `${kind} ${number(count)}`).join(", ");
  const all = kinds.reduce((sum, [, count]) => sum + count, 0);
  return [
    ["Packets passed in the kernel", "", number(packets)],
    [`Flows settled there${told === "" ? "" : ` (${told})`}`, "", number(all)],
  ];
}

/** Flows that still come to user space, by what they wait for. */
function undecided({ undecided }: Status, paint: Paint): string[] {
  const rows = WAITS.filter((wait) => undecided[wait] > 0)
    .map((wait) => [WAIT_WORDS[wait], number(undecided[wait])]);
  return rows.length === 0 ? [] : table(["UNDECIDED, WAITING FOR", "FLOWS"], rows, [1], paint);
}

function queues({ workers }: Status, paint: Paint): string[] {
  const headings = ["QUEUE", "WORKER", "PACKETS", "WAITING", "UNJUDGED", "RESTARTS"];
  const rows = workers.map(({ queue, running, packets, waiting, unjudged, restarts }) => [
    `${queue}`,
    running ? "runs" : "DOWN",
    ...[number(packets), waiting === null ? "-" : number(waiting)],
    ...[number(unjudged), number(restarts)],
  ]);
  return table(headings, rows, [2, 3, 4, 5], paint);
}

function interfaces({ xdp }: Status, paint: Paint): string[] {
  if (xdp.length === 0) return ["No interface is guarded: bans hold in the queue workers only"];
  const rows = xdp.map((
    { interface: name, mode, attached, reason, problem, packetsDropped, bytesDropped },
  ) => [
    printable(name),
    number(packetsDropped),
    formatBytes(bytesDropped),
    printable(
      mode === null
        ? problem ?? "not attached"
        : `${mode} (${reason})${attached ? "" : ", off while nobody is banned"}`,
    ),
  ]);
  return table(["BANS ON", "DROPPED", "BYTES", "MODE"], rows, [1, 2], paint);
}

function methods({ methods }: Status, paint: Paint): string[] {
  const rows = Object.entries(methods).sort(([, a], [, b]) => b - a)
    .map(([method, count]) => [method, number(count)]);
  return rows.length === 0 ? [] : table(["METHOD", "DETECTIONS"], rows, [1], paint);
}

/** Columns two spaces apart; those of numbers end in line. */
function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: readonly number[],
  paint: Paint,
): string[] {
  const widths = headings.map((heading, column) =>
    rows.reduce((width, row) => Math.max(width, row[column].length), heading.length)
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) =>
      numbers.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])
    ).join("  ").trimEnd();
  return [paint("dim", line(headings)), ...rows.map(line)];
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

/** One decimal where there are few. */
function rate(value: number): string {
  return value < 9.95 ? `${Math.round(value * 10) / 10}` : number(Math.round(value));
}
