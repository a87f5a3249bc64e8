/** What the running blocker tells of itself: to `btblocker status`, to Prometheus, to the page. */
import type { FleetState } from "../fleet/fleet_state.ts";
import type { Wait } from "../engine/undecided.ts";
import type { Counter, Latency } from "../gateway/queue/counters.ts";
import type { Method } from "../protocols/match.ts";
import type { BuildInfo } from "../version.ts";
import type { DetectionFilesStatus } from "../report/detection_files.ts";
import type { DetectionHistory, TrafficHistory } from "./history.ts";

/** A snapshot. Counts are since the start. */
export interface Status extends BuildInfo {
  readonly pid: number;
  /** ISO 8601. */
  readonly started: string;
  /** All workers serve their queues. */
  readonly healthy: boolean;
  readonly chains: readonly string[];
  readonly monitorOnly: boolean;
  readonly policy: string;
  readonly banTarget: string;
  readonly banScope: string;
  readonly banDurationSeconds: number;
  /** Of repeated offenders; the same where bans do not grow. */
  readonly banDurationMaxSeconds: number;
  /** Sums over all workers. */
  readonly counters: Readonly<Record<Counter, number>>;
  readonly latency: Latency;
  /** A second, over the last few seconds. */
  readonly rates: Rates;
  readonly workers: readonly WorkerStatus[];
  /** Bans in force, ended ones not yet swept included. */
  readonly bans: number;
  /** Bans kept at most. */
  readonly banLimit: number;
  readonly xdp: readonly XdpStatus[];
  /** Detections, by each method that has any. */
  readonly methods: Readonly<Partial<Record<Method, number>>>;
  readonly detectionFiles: DetectionFilesStatus;
  /** Null where this machine is in no fleet. */
  readonly fleet: FleetState | null;
  /** What the kernel's first look has settled; null where there is none. */
  readonly firstLook: FirstLookStatus | null;
  /** Undecided flows that were seen within the last minute, by what they wait for. */
  readonly undecided: Readonly<Record<Wait, number>>;
}

export interface Rates {
  readonly packets: number;
  readonly bytes: number;
  readonly dropped: number;
  readonly detections: number;
}

/** One queue with its worker. */
export interface WorkerStatus extends Readonly<Record<Counter, number>> {
  readonly queue: number;
  readonly running: boolean;
  /** Packets in the kernel's queue; null where the kernel does not tell. */
  readonly waiting: number | null;
  /** Packets the kernel dropped instead of letting them pass. */
  readonly kernelDrops: number | null;
}

export interface FirstLookStatus {
  /** Packets that made no trip to user space. */
  readonly packets: number;
  /** Flows released, by what they opened with (`tls`, `dns`, …). */
  readonly flows: Readonly<Record<string, number>>;
}

export interface XdpStatus {
  readonly interface: string;
  /** Null where nothing can be attached. */
  readonly mode: string | null;
  /** Whether the program is on it now: where it comes and goes, while anybody is banned. */
  readonly attached: boolean;
  /** Why this mode was taken. */
  readonly reason: string | null;
  /** Why nothing can be attached. */
  readonly problem: string | null;
  /** Packets of banned addresses dropped there. */
  readonly packetsDropped: number;
  readonly bytesDropped: number;
}

/** A ban, as the page lists it. Times are Unix time in milliseconds. */
export interface BanStatus {
  readonly address: string;
  readonly protocol: "tcp" | "udp" | null;
  /** Null: the whole address. */
  readonly port: number | null;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly reason: string;
  readonly packets: number;
}

/** The running blocker, as the status server sees it. */
export interface StatusSource {
  status(): Status;
  /** Now, by the clock of the histories. */
  nowMs(): number;
  readonly traffic: TrafficHistory;
  readonly detections: DetectionHistory;
  /** Bans in force, the newest first. Reads the kernel's maps: dear where there are many. */
  bans(): readonly BanStatus[];
  /** Lifts all bans of an address; false when there was none. Throws UsageError for no address. */
  liftBan(address: string): boolean;
}

/** An upper bound of the time that this part (0 … 1) of the batches took; null without batches. */
export function latencyQuantileUs(
  { boundsUs, buckets }: Latency,
  part: number,
): number | null {
  const count = buckets.reduce((sum, bucket) => sum + bucket, 0);
  if (count === 0) return null;
  let seen = 0;
  for (const [index, bucket] of buckets.entries()) {
    seen += bucket;
    if (seen >= count * part) return boundsUs[index] ?? Infinity;
  }
  return Infinity;
}
