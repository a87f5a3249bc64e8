/**
 * Puts the live side together, each part undone by the failure of a later one and at the stop, in
 * reverse: queues are bound before rules send packets to them, and rules are gone before queues are.
 */

import { loadNetfilterQueue } from "../../ffi/netfilter_queue.ts";
import { EnvironmentError } from "../errors.ts";
import { sumCounters } from "./queue/counters.ts";
import { type Backend, Firewall } from "./rules/firewall.ts";
import type { LogLine } from "../log_line.ts";
import { QueueWorkers } from "./queue/queue_workers.ts";
import type { GuardedTraffic, Table } from "./rules/rule_text.ts";
import type { DetectionReport, JudgeSettings } from "./queue/worker_protocol.ts";

/** The ban side: bans in the kernel and in user space, whoever provides them. */
export interface BanSide {
  /** What of it works where, for the log's line about the start: "bans in XDP on eth0 (native)". */
  describe(): string;
}

export interface GatewayOptions {
  readonly traffic: GuardedTraffic;
  readonly manageRules: boolean;
  readonly settings: JudgeSettings;
  /** Flows kept by each worker, a power of two. */
  readonly flows: number;
  readonly onDetection: (report: DetectionReport) => void;
  readonly log: LogLine;
  /** Attaches the ban side after the queues are bound and before rules are installed. */
  readonly attachBans: (undo: AsyncDisposableStack) => Promise<BanSide> | BanSide;
  readonly backend?: Backend;
  /** Tables of iptables to choose from, the preferred one first. */
  readonly tables?: readonly Table[];
  /** The module of the workers; for tests. */
  readonly workerModule?: URL;
}

/** How often it is looked whether packets had to pass unjudged, and whether the rules still stand. */
const OVERLOAD_CHECK_MS = 5_000;
const RULES_CHECK_MS = 8_000;

/** The running gateway. Disposing of it removes all it put into the kernel. */
export class Gateway implements AsyncDisposable {
  private constructor(
    private readonly undo: AsyncDisposableStack,
    readonly workers: QueueWorkers,
    private readonly rules: KeptRules | null,
  ) {}

  static async start(options: GatewayOptions): Promise<Gateway> {
    const { traffic, log, settings, flows, onDetection, manageRules } = options;
    requireNetAdmin();
    loadNetfilterQueue();
    const firewall = await openFirewall(options);
    for (const warning of firewall?.warnings ?? []) log("warn", warning);
    const chainSavesMarks = manageRules || (await firewall?.isInstalled(traffic) ?? false);
    await using undo = new AsyncDisposableStack();
    const workers = undo.use(
      await QueueWorkers.start({
        queueNumber: traffic.queueNumber,
        queueCount: traffic.queueCount,
        marks: traffic.marks,
        chainSavesMarks,
        chainMonitors: manageRules,
        sharesTable: firewall?.sharesTable ?? false,
        ...{ settings, flows, onDetection, log },
        ...options.workerModule === undefined ? {} : { module: options.workerModule },
      }),
    );
    const bans = await options.attachBans(undo);
    let rules: KeptRules | null = null;
    if (manageRules && firewall !== null) {
      await warnOfConflicts(firewall, options);
      undo.use(await firewall.install(traffic));
      rules = undo.use(new KeptRules(firewall, traffic, log));
    }
    undo.use(watchOverload(workers, options));
    const how = !manageRules
      ? `rules of others${chainSavesMarks ? "" : ", every packet they queue is judged"}`
      : firewall!.describe();
    const mode = settings.monitorOnly ? "Watching" : "Guarding";
    log(
      "info",
      `${mode} ${traffic.chains.join(", ")} (${how}) by ${queues(traffic)}; ${bans.describe()}`,
    );
    return new Gateway(undo.move(), workers, rules);
  }

  /** Takes settings over without a gap. Rejects when the rules cannot be changed; then nothing is. */
  async apply(settings: JudgeSettings): Promise<void> {
    await this.rules?.setMonitorOnly(settings.monitorOnly);
    this.workers.apply(settings);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.undo[Symbol.asyncDispose]();
  }
}

function queues({ queueNumber, queueCount }: GuardedTraffic): string {
  return queueCount === 1
    ? `NFQUEUE ${queueNumber}`
    : `NFQUEUE ${queueNumber} to ${queueNumber + queueCount - 1}`;
}

/** Without rules to manage, a missing tool is no obstacle. */
async function openFirewall(
  { manageRules, backend, tables, log }: GatewayOptions,
): Promise<Firewall | null> {
  try {
    return await Firewall.open(backend, tables, (message) => log("warn", message));
  } catch (error) {
    if (manageRules || !(error instanceof EnvironmentError)) throw error;
    return null;
  }
}

const CAP_NET_ADMIN = 12;

/** Throws when this process lacks the right that everything here needs. */
export function requireNetAdmin(): void {
  let effective: bigint;
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  } catch {
    return; // no such file: the kernel will say what is missing
  }
  if ((effective >> BigInt(CAP_NET_ADMIN) & 1n) === 1n) return;
  throw new EnvironmentError(
    "Cannot guard this machine: the right to administer its network is missing",
    "grant CAP_NET_ADMIN or run as root",
  );
}

async function warnOfConflicts(firewall: Firewall, { traffic, log }: GatewayOptions) {
  for (const rule of await firewall.conflicts(traffic.marks)) {
    log(
      "warn",
      `A rule uses the bits of MARK_MASK, so flows may be judged again and again: ${rule}`,
    );
  }
}

/** The installed rules: changed with the mode, restored when another program flushed them. */
class KeptRules implements AsyncDisposable {
  #traffic: GuardedTraffic;
  readonly #timer: ReturnType<typeof setInterval>;
  /** One change of the rules after the other. */
  #changing: Promise<void> = Promise.resolve();
  #isLooking = false;
  #isFailing = false;

  constructor(
    private readonly firewall: Firewall,
    traffic: GuardedTraffic,
    private readonly log: LogLine,
  ) {
    this.#traffic = traffic;
    this.#timer = setInterval(() => {
      if (this.#isLooking) return;
      this.#isLooking = true;
      this.#changing = this.#changing.then(() => this.#look());
    }, RULES_CHECK_MS);
  }

  /** Lets flows that are known as BitTorrent pass, or drops them from now on. */
  async setMonitorOnly(monitorOnly: boolean): Promise<void> {
    if (monitorOnly === this.#traffic.monitorOnly) return;
    const traffic = { ...this.#traffic, monitorOnly };
    const change = this.#changing.then(() => this.firewall.restore(traffic));
    this.#changing = change.catch(() => {});
    await change;
    this.#traffic = traffic;
  }

  async #look(): Promise<void> {
    try {
      if (!await this.firewall.isInstalled(this.#traffic)) {
        await this.firewall.restore(this.#traffic);
        this.log("warn", "Another program removed the firewall rules; they are installed again");
      }
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.log("error", (error as Error).message);
      this.#isFailing = true;
    }
    this.#isLooking = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#changing; // else it would restore what is being removed
  }
}

/** Says when packets had to be let through unjudged, at most once a check. */
function watchOverload(workers: QueueWorkers, { traffic, log }: GatewayOptions): Disposable {
  let known = 0;
  const timer = setInterval(() => {
    const { unjudged } = sumCounters(workers.counters, traffic.queueCount);
    if (unjudged > known) {
      log("warn", `${unjudged - known} packets passed unjudged: more came than could be judged`);
    }
    known = unjudged;
  }, OVERLOAD_CHECK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
