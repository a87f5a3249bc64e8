/** The running blocker, as {@link start} has put it together. */
import { compareConfigs, variablesOf } from "../config/load.ts";
import type { Config } from "../config/options.ts";
import type { BanSide } from "../gateway/bans/ban_side.ts";
import type { DropMarks } from "../gateway/conntrack/drop_marks.ts";
import { checkWhitelist } from "../gateway/network/local_addresses.ts";
import { readCounters, sumCounters, workerCounters } from "../gateway/queue/counters.ts";
import type { QueueWorkers } from "../gateway/queue/queue_workers.ts";
import { StallWatch } from "../gateway/queue/stalls.ts";
import type { KeptRules } from "../gateway/rules/kept_rules.ts";
import type { DetectionFiles } from "../report/detection_files.ts";
import { log, setupLog } from "../report/log.ts";
import type { Status } from "../status/status.ts";
import { formatCount } from "../text.ts";
import type { BlockerStatus } from "./blocker_status.ts";
import { judgeSettings } from "./settings.ts";

/** The parts that a reload changes or a status tells of. */
export interface BlockerParts {
  /** The settings in force; a reload replaces them. */
  readonly settings: { config: Config };
  readonly detectionFiles: DetectionFiles;
  readonly bans: BanSide;
  readonly status: BlockerStatus;
  readonly workers: QueueWorkers;
  /** Null where the rules are others'. */
  readonly rules: KeptRules | null;
  /** Null where no chain saves states in connections' marks. */
  readonly dropMarks: DropMarks | null;
}

/** A flow whose ban has ended is dropped for so long at most. */
const MARKS_MS = 10_000;

export class Blocker implements AsyncDisposable {
  readonly #parts: BlockerParts;
  readonly #undo: AsyncDisposableStack;
  readonly #stalls = new StallWatch();
  #sweepTimer: ReturnType<typeof setInterval> | undefined;
  #marksTimer: ReturnType<typeof setInterval> | undefined;

  /** @param undo stops all parts, the last one first */
  constructor(parts: BlockerParts, undo: AsyncDisposableStack) {
    this.#parts = parts;
    this.#undo = undo;
    this.#startSweeping();
  }

  get #config(): Config {
    return this.#parts.settings.config;
  }

  status(): Status {
    return this.#parts.status.status();
  }

  /**
   * Takes over what can change without a restart, and says what cannot. All or nothing: what can fail
   * comes first, and throws with everything as it was.
   */
  async reload(asked: Config): Promise<void> {
    const { settings, detectionFiles, bans, workers, rules } = this.#parts;
    const { live, restart } = compareConfigs(this.#config, asked);
    const kept = Object.fromEntries(restart.map((name) => [name, this.#config[name]]));
    const config: Config = { ...asked, ...kept };
    checkWhitelist(config.whitelistIps);
    const whitelistedBefore = this.#config.whitelistPorts;
    const whitelistedNow = new Set(config.whitelistPorts);
    await rules?.change(config);
    settings.config = config;
    setupLog({ level: config.logLevel, format: config.logFormat });
    bans.setWhitelist(config.whitelistIps);
    bans.setOpenPorts(config.whitelistPorts);
    bans.setMonitorOnly(config.monitorOnly);
    workers.apply(judgeSettings(config, bans));
    detectionFiles.open(config);
    // What was dropped by other rules of judgement, and what is whitelisted now, is judged anew.
    if (live.length > 0) this.#parts.dropMarks?.forgetUnbanned();
    this.#parts.dropMarks?.forgetServices(new Set(whitelistedBefore).difference(whitelistedNow));
    this.#startSweeping();
    log.info("Reloaded: {changes}", { changes: variablesOf(live) || "nothing changed" });
    if (restart.length > 0) {
      log.warn("Not taken over until a restart: {options}", { options: variablesOf(restart) });
    }
  }

  /** "Guarding FORWARD: 1,204 packets judged, 3 detections, 1 ban", for `systemctl status`. */
  statusLine(): string {
    const { chains, monitorOnly, queueCount } = this.#config;
    const { workers, bans } = this.#parts;
    const { packets, detections } = sumCounters(workers.counters, queueCount);
    const counts = [
      `${formatCount(packets, "packet")} judged`,
      formatCount(detections, "detection"),
      formatCount(bans.bans.size, "ban"),
    ];
    return `${monitorOnly ? "Watching" : "Guarding"} ${chains.join(", ")}: ${counts.join(", ")}`;
  }

  /** False where packets wait in a queue and none was judged since the last call. */
  isMoving(): boolean {
    const { queueNum, queueCount } = this.#config;
    const { counters } = this.#parts.workers;
    const judged = new Map<number, number>();
    for (let worker = 0; worker < queueCount; worker++) {
      const { packets } = readCounters(workerCounters(counters, worker));
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

  #startSweeping(): void {
    clearInterval(this.#sweepTimer);
    clearInterval(this.#marksTimer);
    const sweepMarks = () => {
      const lifetimeMs = this.#config.banDuration * 1000;
      const flows = this.#parts.dropMarks?.sweep(performance.now(), lifetimeMs) ?? 0;
      if (flows > 0) log.debug("{flows} flows are judged anew, their bans have ended", { flows });
    };
    sweepMarks();
    this.#marksTimer = setInterval(sweepMarks, MARKS_MS);
    const sweep = () => {
      const ended = this.#parts.bans.bans.sweep();
      if (ended > 0) log.debug("{ended} bans have ended", { ended });
    };
    this.#sweepTimer = setInterval(sweep, this.#config.cleanupInterval * 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweepTimer);
    clearInterval(this.#marksTimer);
    await this.#undo[Symbol.asyncDispose]();
  }
}
