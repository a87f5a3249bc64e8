/** `btblocker run`: the blocker, from its settings to its end by a signal. */

import { interfaceName } from "../../ffi/libc.ts";
import { compareConfigs, type LoadedConfig, variablesOf } from "../config/load.ts";
import type { Config } from "../config/options.ts";
import { DEFAULT_FLOWS } from "../engine/engine.ts";
import { EnvironmentError } from "../errors.ts";
import { answerInFleet, readBanRequest } from "../gateway/bans/ban_commands.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { type FleetSettings, fleetSettings } from "../fleet/settings.ts";
import { BanSide } from "../gateway/bans/ban_side.ts";
import { ControlServer } from "../blocker/control.ts";
import { readCounters, sumCounters, workerCounters } from "../gateway/queue/counters.ts";
import { marksOf } from "../gateway/rules/marks.ts";
import { networkNamespaceInode } from "../gateway/network/network_namespace.ts";
import type { GuardedTraffic } from "../gateway/rules/rule_text.ts";
import { StallWatch } from "../gateway/queue/stalls.ts";
import { Gateway, requireNetAdmin } from "../gateway/supervisor.ts";
import type { DetectionReport, JudgeSettings } from "../gateway/queue/worker_protocol.ts";
import { reportDetection } from "../report/console.ts";
import { DetectionFiles } from "../report/detection_files.ts";
import type { DetectionRecord } from "../report/detection_record.ts";
import { DetectionHistory } from "../status/history.ts";
import { log, logLine, setupLog } from "../report/log.ts";
import { ServiceManager } from "../blocker/systemd.ts";
import { formatCount } from "../text.ts";
import { BlockerStatus } from "./blocker_status.ts";

/** Blocks until SIGINT or SIGTERM. `reload` reads the settings again, for SIGHUP. */
export async function run(
  loaded: LoadedConfig,
  reload: () => Promise<LoadedConfig>,
): Promise<number> {
  setupLog({ level: loaded.config.logLevel, format: loaded.config.logFormat });
  using signals = new Signals(); // before anything is changed, so that all of it is undone
  using service = new ServiceManager();
  await using blocker = await Blocker.start(loaded.config);
  service.ready(blocker.statusLine());
  using _status = everyFewSeconds(() => service.status(blocker.statusLine()));
  service.watch(() => blocker.isMoving());
  while (await signals.next() === "reload") {
    service.reloading();
    try {
      await blocker.reload((await reload()).config);
    } catch (error) {
      log.error("Cannot reload, the settings stay as they were: {problem}", {
        problem: (error as Error).message,
      });
    }
    service.ready(blocker.statusLine());
  }
  log.info("Stopping");
  service.stopping();
  return 0;
}

/** What a Linux machine sends a service: stop, or read the settings again. */
class Signals implements Disposable {
  #waiting: ((event: "stop" | "reload") => void) | null = null;
  #stop = false;
  #reload = false;
  readonly #onStop = () => this.#deliver("stop");
  readonly #onReload = () => this.#deliver("reload");

  constructor() {
    Deno.addSignalListener("SIGINT", this.#onStop);
    Deno.addSignalListener("SIGTERM", this.#onStop);
    Deno.addSignalListener("SIGHUP", this.#onReload);
  }

  #deliver(event: "stop" | "reload"): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) waiting(event);
    else if (event === "stop") this.#stop = true;
    else this.#reload = true; // several in a row are one
  }

  next(): Promise<"stop" | "reload"> {
    if (this.#stop) return Promise.resolve("stop");
    if (this.#reload) {
      this.#reload = false;
      return Promise.resolve("reload");
    }
    return new Promise((resolve) => this.#waiting = resolve);
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#onStop);
    Deno.removeSignalListener("SIGTERM", this.#onStop);
    Deno.removeSignalListener("SIGHUP", this.#onReload);
  }
}

const STATUS_MS = 10_000;

/** Calls `action` now and then while the program runs. */
function everyFewSeconds(action: () => void): Disposable {
  const timer = setInterval(action, STATUS_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Everything that runs. */
class Blocker implements AsyncDisposable {
  #config: Config;
  readonly #undo = new AsyncDisposableStack();
  #bans!: BanSide;
  #gateway!: Gateway;
  #fleet: Fleet | null = null;
  #status: BlockerStatus | null = null;
  readonly #detections = new DetectionHistory();
  readonly #detectionFiles = new DetectionFiles((message) => logLine("warn", message));
  #sweepTimer: ReturnType<typeof setInterval> | undefined;
  readonly #stalls = new StallWatch();

  private constructor(config: Config) {
    this.#config = config;
  }

  static async start(config: Config): Promise<Blocker> {
    const blocker = new Blocker(config);
    try {
      await blocker.#start();
      return blocker;
    } catch (error) {
      await blocker[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const config = this.#config;
    const fleet = fleetSettings(config);
    requireNetAdmin();
    warnOfDirections(config);
    // The lock first: a second blocker must not touch the first one's rules and maps.
    this.#undo.use(
      new ControlServer(networkNamespaceInode(), {
        bans: async (asked) => {
          const { bans, local } = this.#bans;
          const fleet = this.#fleet;
          const lift = fleet === null ? null : (addresses: readonly string[]) => {
            return fleet.lift(addresses);
          };
          const request = readBanRequest(asked);
          const answers = await answerInFleet(bans, local.never, request, lift);
          // What waits to be told would bring the ban back.
          if (request.action === "remove") fleet?.forget(request.addresses);
          if (request.action === "clear") fleet?.forget(null);
          return answers;
        },
        status: () => {
          if (this.#status !== null) return this.#status.status();
          throw new EnvironmentError("Cannot tell yet: btblocker is starting");
        },
      }),
    );
    // What can be refused is refused before the kernel is touched: a service manager that starts us
    // again and again is not to flap the rules.
    if (fleet !== null) (await import("../fleet/files.ts")).checkFleetFiles(fleet);
    this.#undo.use(this.#detectionFiles).open(config);
    this.#bans = this.#undo.use(
      BanSide.open({
        interfaces: config.interfaces,
        xdpMode: config.xdpMode,
        scope: config.banScope,
        limit: config.banLimit,
        networks: fleet !== null,
        persist: config.persistBans,
        whitelistIps: config.whitelistIps,
        monitorOnly: config.monitorOnly,
        log: logLine,
      }),
    );
    this.#status = this.#undo.use(
      await BlockerStatus.start({
        config: () => this.#config,
        bans: this.#bans,
        detections: this.#detections,
        detectionFiles: this.#detectionFiles,
      }),
    );
    this.#gateway = this.#undo.use(
      await Gateway.start({
        traffic: guardedTraffic(config),
        manageRules: config.manageRules,
        settings: this.#judgeSettings(),
        flows: DEFAULT_FLOWS,
        onDetection: (report) => this.#report(report),
        log: logLine,
        attachBans: () => {
          this.#bans.attach();
          return this.#bans;
        },
      }),
    );
    if (fleet !== null) await this.#joinFleet(fleet);
    this.#startSweeping();
    this.#undo.defer(() => clearInterval(this.#sweepTimer));
    const { workers } = this.#gateway;
    this.#status.ready({ workers, fleet: this.#fleet });
  }

  async #joinFleet(settings: FleetSettings): Promise<void> {
    const { Fleet } = await import("../fleet/fleet.ts");
    const { bans, local } = this.#bans;
    const limit = this.#config.banLimit;
    this.#fleet = Fleet.start({ settings, bans, limit, never: local.never, log: logLine });
    this.#undo.use(this.#fleet);
  }

  /** Takes over what can change without a restart, and says what cannot. */
  async reload(config: Config): Promise<void> {
    const { live, restart } = compareConfigs(this.#config, config);
    const kept = Object.fromEntries(restart.map((name) => [name, this.#config[name]]));
    this.#config = { ...config, ...kept };
    setupLog({ level: config.logLevel, format: config.logFormat });
    this.#bans.setWhitelist(config.whitelistIps);
    this.#bans.setMonitorOnly(config.monitorOnly);
    await this.#gateway.apply(this.#judgeSettings());
    this.#detectionFiles.open(this.#config);
    this.#startSweeping();
    log.info("Reloaded: {changes}", { changes: variablesOf(live) || "nothing changed" });
    if (restart.length > 0) {
      log.warn("Not taken over until a restart: {options}", { options: variablesOf(restart) });
    }
  }

  /** "Guarding FORWARD: 1,204 packets judged, 3 detections, 1 ban", for `systemctl status`. */
  statusLine(): string {
    const { chains, monitorOnly, queueCount } = this.#config;
    const { packets, detections } = sumCounters(this.#gateway.workers.counters, queueCount);
    const counts = [
      `${formatCount(packets, "packet")} judged`,
      formatCount(detections, "detection"),
      formatCount(this.#bans.bans.size, "ban"),
    ];
    return `${monitorOnly ? "Watching" : "Guarding"} ${chains.join(", ")}: ${counts.join(", ")}`;
  }

  /** False where packets wait in a queue and none was judged since the last call. */
  isMoving(): boolean {
    const { queueNum, queueCount } = this.#config;
    const judged = new Map<number, number>();
    for (let worker = 0; worker < queueCount; worker++) {
      const { packets } = readCounters(workerCounters(this.#gateway.workers.counters, worker));
      judged.set(queueNum + worker, packets);
    }
    const stalled = this.#stalls.look(judged);
    if (stalled.length > 0) {
      log.error("Packets wait and none is judged in NFQUEUE {queues}", {
        queues: stalled.join(", "),
      });
    }
    return stalled.length === 0;
  }

  #judgeSettings(): JudgeSettings {
    const config = this.#config;
    return {
      policy: {
        strict: config.policy === "strict",
        blockSocks: config.blockSocks,
        blockMentions: config.blockMentions,
        whitelistPorts: config.whitelistPorts,
      },
      monitorOnly: config.monitorOnly,
      copiesPackets: config.detectionPcap !== "",
      bans: this.#bans.workerSetup({
        target: config.banTarget,
        durationSeconds: config.banDuration,
        requiresReply: config.banRequiresReply,
      }),
    };
  }

  #startSweeping(): void {
    clearInterval(this.#sweepTimer);
    const sweep = () => {
      const ended = this.#bans.bans.sweep();
      if (ended > 0) log.debug("{ended} bans have ended", { ended });
    };
    this.#sweepTimer = setInterval(sweep, this.#config.cleanupInterval * 1000);
  }

  #report(report: DetectionReport): void {
    const { detection, timeMs, inputInterface, outputInterface, monitorOnly, banned } = report;
    const record: DetectionRecord = {
      timeMs,
      interface: interfaceName(inputInterface || outputInterface) ?? "",
      detection,
      action: monitorOnly ? "monitored" : "dropped",
      bans: banned.map((target) => ({ target, seconds: this.#config.banDuration })),
    };
    reportDetection(log, record);
    this.#fleet?.add(report, this.#config.banDuration);
    this.#detectionFiles.write(record, report.packet);
    this.#detections.add(performance.now(), record);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo[Symbol.asyncDispose]();
  }
}

/** What the settings say is to be guarded. */
export function guardedTraffic(config: Config): GuardedTraffic {
  return {
    chains: config.chains,
    queueNumber: config.queueNum,
    queueCount: config.queueCount,
    marks: marksOf(config.markMask),
    recheck: config.recheck,
    monitorOnly: config.monitorOnly,
  };
}

/** One direction alone shows no answer, so no sender is known to be real. */
function warnOfDirections({ chains }: Config): void {
  const [has, lacks] = chains.includes("INPUT") ? ["INPUT", "OUTPUT"] : ["OUTPUT", "INPUT"];
  if (chains.includes(has as "INPUT") === chains.includes(lacks as "INPUT")) return;
  log.warn(
    "CHAINS has {has} without {lacks}: only one direction of this machine's own traffic is seen, " +
      "so less is recognised and less is banned",
    { has, lacks },
  );
}
