/** What stands in the router: nothing, btblocker, or another inline program. */

import { fileURLToPath } from "node:url";
import { askControl } from "../../../src/blocker/control.ts";
import type { Counter } from "../../../src/gateway/queue/counters.ts";
import { queueRules } from "../../../src/gateway/rules/queue_rules.ts";
import type { Program } from "../../../src/demo/program.ts";
import { Bed, spawnInRouter } from "./bed.ts";

const ENTRY = fileURLToPath(new URL("../../../main.ts", import.meta.url));
const START_TIMEOUT_MS = 20_000;
/** Another program does not tell when it is ready. */
const SETTLE_MS = 3_000;
/** Units of a second in /proc/PID/stat (USER_HZ). */
const CLOCK_TICKS = 100;

/** Why clean packets, and all are clean here, were not forwarded or not judged. */
export interface Losses {
  /** Dropped because the queue was full, or because its socket was. */
  queueDropped: number;
  socketDropped: number;
  /** Packets that met a DROP rule. */
  ruleDrops: number;
  /** Of btblocker: packets it dropped, passed unjudged, flows it took for BitTorrent. */
  dropped: number;
  unjudged: number;
  detections: number;
}

export interface ContenderOptions {
  /** Environment of btblocker. */
  env?: Record<string, string>;
  /** Command of another program, for a shell. */
  command?: string;
  /** Commands run in the router first. */
  setup?: readonly (readonly string[])[];
}

export class Contender implements AsyncDisposable {
  /** What the start took, the kernel's check of the programs most of all. */
  private atStart = { user: 0, kernel: 0 };

  private constructor(
    readonly name: string,
    readonly bed: Bed,
    readonly program: Program | null,
  ) {}

  /** A router without any rule. */
  static async unfiltered(): Promise<Contender> {
    return new Contender("unfiltered", await Bed.create(), null);
  }

  /** A router that follows connections and does nothing else: what any stateful firewall costs. */
  static async conntrack(name = "conntrack only"): Promise<Contender> {
    const bed = await Bed.create();
    await bed.router.run(
      ["iptables", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT"],
    );
    return new Contender(name, bed, null);
  }

  static async start(name: string, options: ContenderOptions): Promise<Contender> {
    const { env = {}, command, setup = [] } = options;
    const bed = await Bed.create();
    try {
      for (const line of setup) await bed.router.run(line);
      const line = command === undefined
        ? [Deno.execPath(), "run", "--quiet", "--no-prompt", "-A", ENTRY, "run"]
        : ["sh", "-c", command];
      const contender = new Contender(name, bed, spawnInRouter(bed, line, env));
      await contender.started(command === undefined);
      bed.spent = async () => {
        const { user, kernel } = contender.processorTime;
        return { seconds: user + kernel, judged: (await contender.status())?.packets ?? 0 };
      };
      return contender;
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
  }

  private async started(isOurs: boolean): Promise<void> {
    const program = this.program!;
    if (isOurs) {
      await program.printedMatch(/Guarding/, START_TIMEOUT_MS);
      this.atStart = this.allProcessorTime;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if (program.exit !== null) throw new Error(`${this.name} has ended:\n${program.text()}`);
  }

  /** btblocker's counters; null of others. */
  async status(): Promise<Record<Counter, number> | null> {
    if (this.program === null) return null;
    const answer = await askControl(this.bed.routerInode, "status", null);
    return (answer?.result as { counters: Record<Counter, number> } | undefined)?.counters ?? null;
  }

  async losses(): Promise<Losses> {
    const { router } = this.bed;
    const queues = await router.run(
      ["sh", "-c", "cat /proc/net/netfilter/nfnetlink_queue 2>/dev/null || true"],
    );
    // Columns: queue, port, waiting, copy mode, copy range, queue dropped, user dropped, last id, 1
    const rows = queues.trim().split("\n").map((line) => line.trim().split(/\s+/).map(Number));
    const sum = (column: number) => rows.reduce((total, row) => total + (row[column] || 0), 0);
    const rules = await router.run(["sh", "-c", "iptables-save -c; ip6tables-save -c"]);
    let ruleDrops = 0;
    for (const [, packets] of rules.matchAll(/^\[(\d+):\d+\] .* -j DROP/gm)) {
      ruleDrops += Number(packets);
    }
    const counters = await this.status();
    return {
      queueDropped: sum(5),
      socketDropped: sum(6),
      ruleDrops,
      dropped: (counters?.dropped ?? 0) + (counters?.bannedDrops ?? 0),
      unjudged: counters?.unjudged ?? 0,
      detections: counters?.detections ?? 0,
    };
  }

  /** Resident memory of the program in MB (10^6), 0 without one. */
  get residentMegabytes(): number {
    let kibibytes = 0;
    for (const pid of this.processes()) {
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      kibibytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    }
    return kibibytes * 1024 / 1e6;
  }

  /** Seconds of processor time since it was ready, in user space and in the kernel. */
  get processorTime(): { user: number; kernel: number } {
    const { user, kernel } = this.allProcessorTime;
    return { user: user - this.atStart.user, kernel: kernel - this.atStart.kernel };
  }

  private get allProcessorTime(): { user: number; kernel: number } {
    const time = { user: 0, kernel: 0 };
    for (const pid of this.processes()) {
      const fields = statFields(pid);
      time.user += Number(fields[11]) / CLOCK_TICKS;
      time.kernel += Number(fields[12]) / CLOCK_TICKS;
    }
    return time;
  }

  /** The program and what it has started: its process group. */
  private processes(): number[] {
    if (this.program === null) return [];
    const group = this.program.pid;
    const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name));
    return pids.filter((pid) => pid > 0 && Number(statFields(pid)[2]) === group);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.bed[Symbol.asyncDispose]();
  }
}

/** Fields of /proc/PID/stat from the third one, the state; none of a process that has ended. */
function statFields(pid: number): string[] {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

/** Rules that send every packet of every flow to btblocker: spread as its own, but without marks. */
export function inspectAllRules(queues: number): string[][] {
  const rules = queueRules({ queueNumber: 0, queueCount: queues }, 4, true);
  return rules.map((rule) => ["sh", "-c", `iptables -t mangle -A FORWARD ${rule}`]);
}
