/** What the running blocker tells of itself, put together from its parts. */
import { banScope } from "./settings.ts";
import { EnvironmentError } from "../errors.ts";
import type { Config } from "../config/options.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { BanDesk } from "./ban_desk.ts";
import type { FirstLook } from "../gateway/first_look/first_look.ts";
import type { BanSide } from "../gateway/bans/ban_side.ts";
import {
  readCounters,
  sumCounters,
  sumLatency,
  workerCounters,
} from "../gateway/queue/counters.ts";
import { queueStatistics } from "../gateway/queue/queue_statistics.ts";
import type { QueueWorkers } from "../gateway/queue/queue_workers.ts";
import type { DetectionFiles } from "../report/detection_files.ts";
import { type DetectionHistory, TrafficHistory, type TrafficTotals } from "../status/history.ts";
import { log } from "../report/log.ts";
import type { BanStatus, Status, StatusSource, WorkerStatus } from "../status/status.ts";
import { buildInfo } from "../version.ts";
import { StartTime } from "./start_time.ts";

/** The parts, asked for anew each time: a reload changes the settings. */
export interface StatusParts {
  readonly settings: { readonly config: Config };
  readonly bans: BanSide;
  readonly desk: BanDesk;
  readonly detections: DetectionHistory;
  readonly detectionFiles: DetectionFiles;
}

/** The parts that run once the rules are in. */
export interface RunningParts {
  readonly workers: QueueWorkers;
  /** Null where this machine is in no fleet. */
  readonly fleet: Fleet | null;
  /** Null where every flow's first packets come to user space. */
  readonly look: FirstLook | null;
}

const SAMPLE_MS = 1_000;

/** Keeps the last hour, and serves STATUS_LISTEN where it is set. */
export class BlockerStatus implements StatusSource, AsyncDisposable {
  readonly traffic = new TrafficHistory(performance.now());
  readonly detections: DetectionHistory;
  readonly #parts: StatusParts;
  #running: RunningParts | null = null;
  #address: string | null = null;
  readonly #build = buildInfo();
  readonly #startTime = new StartTime();
  readonly #undo = new AsyncDisposableStack();

  private constructor(parts: StatusParts) {
    this.#parts = parts;
    this.detections = parts.detections;
    const timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#undo.defer(() => clearInterval(timer));
  }

  /** Takes the address of STATUS_LISTEN, before any rule is installed; throws where it cannot. */
  static async start(parts: StatusParts): Promise<BlockerStatus> {
    const status = new BlockerStatus(parts);
    const { statusListen: listen, statusToken: token } = parts.settings.config;
    if (listen === "") return status;
    try {
      const { StatusServer } = await import("../status/status_server.ts");
      const isReady = () => status.isReady;
      const server = await StatusServer.start({ listen, token, source: status, isReady });
      status.#address = status.#undo.use(server).address;
      return status;
    } catch (error) {
      await status[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** From now on there is something to tell. */
  ready(running: RunningParts): void {
    this.#running = running;
    if (this.#address !== null) log.info("Status page at {address}", { address: this.#address });
  }

  get isReady(): boolean {
    return this.#running !== null;
  }

  nowMs(): number {
    return performance.now();
  }

  /** Throws EnvironmentError before {@link ready}. */
  status(): Status {
    const { workers, fleet, look } = this.#started();
    const { bans } = this.#parts;
    const config = this.#parts.settings.config;
    const { queueCount } = config;
    const each = this.#workers(config);
    const drops = bans.xdp?.drops();
    const rates = {
      packets: this.traffic.rate("packets"),
      bytes: this.traffic.rate("bytes"),
      dropped: this.traffic.rate("dropped"),
      detections: this.traffic.rate("detections"),
    };
    return {
      ...this.#build,
      pid: Deno.pid,
      started: this.#startTime.text,
      healthy: each.every(({ running }) => running),
      chains: config.chains,
      monitorOnly: config.monitorOnly,
      policy: config.policy,
      banTarget: config.banTarget,
      banScope: banScope(config),
      banDurationSeconds: config.banDuration,
      banDurationMaxSeconds: config.banFactor === 1 ? config.banDuration : config.banDurationMax,
      counters: sumCounters(workers.counters, queueCount),
      latency: sumLatency(workers.counters, queueCount),
      rates,
      workers: each,
      bans: bans.bans.size,
      banLimit: config.banLimit,
      xdp: (bans.xdp?.attachments ?? []).map(({ name, mode, isAttached, reason, problem }) => {
        const { packets, bytes } = drops?.get(name) ?? { packets: 0, bytes: 0 };
        const dropped = { packetsDropped: packets, bytesDropped: bytes };
        return { interface: name, mode, attached: isAttached, reason, problem, ...dropped };
      }),
      firstLook: look?.counters ?? null,
      undecided: workers.undecided(),
      methods: this.detections.methods,
      detectionFiles: this.#parts.detectionFiles.status,
      fleet: fleet?.state ?? null,
    };
  }

  #started(): RunningParts {
    if (this.#running !== null) return this.#running;
    throw new EnvironmentError("Cannot tell yet: btblocker is starting");
  }

  #workers({ queueNum, queueCount }: Config): WorkerStatus[] {
    const { workers } = this.#started();
    const { running } = workers;
    const kernel = queueStatistics();
    return Array.from({ length: queueCount }, (_, worker) => {
      const queue = queueNum + worker;
      return {
        queue,
        running: running[worker],
        waiting: kernel.get(queue)?.waiting ?? null,
        kernelDrops: kernel.get(queue)?.dropped ?? null,
        ...readCounters(workerCounters(workers.counters, worker)),
      };
    });
  }

  bans(): readonly BanStatus[] {
    return this.#parts.desk.list();
  }

  liftBan(address: string): boolean {
    return this.#parts.desk.remove([address])[0].wasBanned;
  }

  #sample(): void {
    if (!this.isReady) return;
    this.traffic.sample(this.nowMs(), this.#totals());
  }

  #totals(): TrafficTotals {
    const { workers } = this.#started();
    const { config } = this.#parts.settings;
    const { packets, bytes, dropped, bannedDrops, detections, unjudged } = sumCounters(
      workers.counters,
      config.queueCount,
    );
    return { packets, bytes, dropped: dropped + bannedDrops, detections, unjudged };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo[Symbol.asyncDispose]();
  }
}
