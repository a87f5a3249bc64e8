/**
 * The metrics for Prometheus. Nothing is counted here: each scrape reads one snapshot of what the
 * workers count anyway. Only a blocker with STATUS_LISTEN loads this module.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { FleetCalls } from "../fleet/fleet_state.ts";
import type { Latency } from "../gateway/queue/counters.ts";
import { METHODS } from "../protocols/match.ts";
import type { DetectionFileStatus } from "../report/detection_files.ts";
import type { Status, WorkerStatus, XdpStatus } from "./status.ts";

/** A value with its labels. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Metric {
  readonly name: string;
  readonly type: typeof Counter | typeof Gauge;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly samples: (status: Status) => readonly Sample[];
}

const one = (value: (status: Status) => number) => (status: Status): Sample[] => [
  [{}, value(status)],
];

/** One sample a queue; none where the value is not known. */
const eachQueue = (value: (worker: WorkerStatus) => number | null) => (status: Status): Sample[] =>
  status.workers.flatMap((worker) => {
    const sample = value(worker);
    return sample === null ? [] : [[{ queue: `${worker.queue}` }, sample]];
  });

const eachInterface = (value: (xdp: XdpStatus) => number) => (status: Status): Sample[] =>
  status.xdp.map((xdp) => [{ interface: xdp.interface }, value(xdp)]);

const eachFile = (value: (file: DetectionFileStatus) => number) => (status: Status): Sample[] =>
  Object.entries(status.detectionFiles).map(([file, one]) => [{ file }, value(one)]);

/** One sample for each part that this machine has in a fleet, by CrowdSec's names for them. */
const eachRole = (samples: (calls: FleetCalls) => readonly Sample[]) => ({ fleet }: Status) =>
  [["machine", fleet?.reports] as const, ["bouncer", fleet?.takesOver] as const].flatMap(
    ([role, calls]): Sample[] =>
      (calls ? samples(calls) : []).map(([labels, value]) => [{ role, ...labels }, value]),
  );

const METRICS: readonly Metric[] = [
  { // the original's name, without the suffix that is usual today
    name: "btblocker_packets_processed",
    type: Counter,
    help: "Packets taken from the queues",
    samples: one(({ counters }) => counters.packets),
  },
  {
    name: "btblocker_detections_total",
    type: Counter,
    help: "Flows found to be BitTorrent",
    labels: ["method"],
    samples: ({ methods }) => METHODS.map((method) => [{ method }, methods[method] ?? 0]),
  },
  {
    name: "btblocker_banned_ips",
    type: Gauge,
    help: "Bans in force",
    samples: one(({ bans }) => bans),
  },
  {
    name: "btblocker_ban_limit",
    type: Gauge,
    help: "Bans kept at most",
    samples: one(({ banLimit }) => banLimit),
  },
  {
    name: "btblocker_processed_bytes_total",
    type: Counter,
    help: "Bytes of the packets taken from the queues, as far as they were copied",
    samples: one(({ counters }) => counters.bytes),
  },
  {
    name: "btblocker_verdicts_total",
    type: Counter,
    help: "Packets by what was done with them",
    labels: ["verdict"],
    samples: ({ counters }) => [
      [{ verdict: "accept" }, counters.accepted],
      [{ verdict: "release" }, counters.released],
      [{ verdict: "drop" }, counters.dropped],
      [{ verdict: "drop_banned" }, counters.bannedDrops],
    ],
  },
  {
    name: "btblocker_flows_total",
    type: Counter,
    help: "Flows seen",
    samples: one(({ counters }) => counters.flows),
  },
  {
    name: "btblocker_payload_flows_total",
    type: Counter,
    help: "Flows seen with payload",
    samples: one(({ counters }) => counters.payloadFlows),
  },
  {
    name: "btblocker_released_flows_total",
    type: Counter,
    help: "Flows judged clean, which the kernel passes on by itself from then on",
    samples: one(({ counters }) => counters.released),
  },
  {
    name: "btblocker_packets_whitelisted_total",
    type: Counter,
    help: "Packets accepted unjudged for a port of the white list, the first ones of their flows",
    samples: one(({ counters }) => counters.whitelisted),
  },
  {
    name: "btblocker_service_connections_total",
    type: Counter,
    help:
      "Connections to whitelisted services that the rules release, without a trip to user space",
    samples: one(({ counters }) => counters.serviceConnections),
  },
  {
    name: "btblocker_foreign_mark_packets_total",
    type: Counter,
    help: "Packets that came with bits of MARK_MASK, set by another program",
    samples: one(({ counters }) => counters.foreignMarks),
  },
  {
    name: "btblocker_undecided_flows",
    type: Gauge,
    help: "Undecided flows that were seen within the last minute, by what they wait for",
    labels: ["wait"],
    samples: ({ undecided }) => Object.entries(undecided).map(([wait, flows]) => [{ wait }, flows]),
  },
  {
    name: "btblocker_packets_unparsed_total",
    type: Counter,
    help: "Packets accepted that are not TCP or UDP or cannot be read",
    samples: one(({ counters }) => counters.unparsed),
  },
  {
    name: "btblocker_packets_faulty_total",
    type: Counter,
    help: "Packets accepted because the engine failed on them",
    samples: one(({ counters }) => counters.faults),
  },
  {
    name: "btblocker_packets_unjudged_total",
    type: Counter,
    help: "Packets the kernel let pass because queue or socket were full",
    labels: ["queue"],
    samples: eachQueue(({ unjudged }) => unjudged),
  },
  {
    name: "btblocker_queue_packets_total",
    type: Counter,
    help: "Packets taken from the queue",
    labels: ["queue"],
    samples: eachQueue(({ packets }) => packets),
  },
  {
    name: "btblocker_queue_drops_total",
    type: Counter,
    help: "Packets the kernel dropped because queue or socket were full",
    labels: ["queue"],
    samples: eachQueue(({ kernelDrops }) => kernelDrops),
  },
  {
    name: "btblocker_queue_waiting_packets",
    type: Gauge,
    help: "Packets waiting for a verdict",
    labels: ["queue"],
    samples: eachQueue(({ waiting }) => waiting),
  },
  {
    name: "btblocker_verdicts_refused_total",
    type: Counter,
    help: "Verdicts the kernel refused because the packet was gone",
    labels: ["queue"],
    samples: eachQueue(({ refusedVerdicts }) => refusedVerdicts),
  },
  {
    name: "btblocker_messages_malformed_total",
    type: Counter,
    help: "Messages of the kernel that cannot be read",
    labels: ["queue"],
    samples: eachQueue(({ malformed }) => malformed),
  },
  {
    name: "btblocker_worker_up",
    type: Gauge,
    help: "Whether the worker of the queue runs",
    labels: ["queue"],
    samples: eachQueue(({ running }) => running ? 1 : 0),
  },
  {
    name: "btblocker_worker_restarts_total",
    type: Counter,
    help: "Restarts of the worker of the queue after a crash",
    labels: ["queue"],
    samples: eachQueue(({ restarts }) => restarts),
  },
  {
    name: "btblocker_xdp_drops_total",
    type: Counter,
    help: "Packets of banned addresses dropped by XDP",
    labels: ["interface"],
    samples: eachInterface(({ packetsDropped }) => packetsDropped),
  },
  {
    name: "btblocker_xdp_dropped_bytes_total",
    type: Counter,
    help: "Bytes of banned addresses dropped by XDP",
    labels: ["interface"],
    samples: eachInterface(({ bytesDropped }) => bytesDropped),
  },
  {
    name: "btblocker_xdp_attached",
    type: Gauge,
    help: "Whether bans hold in the kernel on the interface (while there are any)",
    labels: ["interface", "mode"],
    samples: ({ xdp }) =>
      xdp.map(({ interface: name, mode }) => [
        { interface: name, mode: mode ?? "none" },
        mode === null ? 0 : 1,
      ]),
  },
  {
    name: "btblocker_first_look_packets_total",
    type: Counter,
    help: "Packets that the kernel's first look let pass without a trip to user space",
    labels: [],
    samples: ({ firstLook }) => firstLook === null ? [] : [[{}, firstLook.packets]],
  },
  {
    name: "btblocker_first_look_flows_total",
    type: Counter,
    help: "Flows that the kernel's first look has released, by what they opened with",
    labels: ["kind"],
    samples: ({ firstLook }) =>
      Object.entries(firstLook?.flows ?? {}).map(([kind, flows]) => [{ kind }, flows]),
  },
  {
    name: "btblocker_detection_entries_lost_total",
    type: Counter,
    help: "Detections that could not be written to the detection log or pcap",
    labels: ["file"],
    samples: eachFile(({ lost }) => lost),
  },
  {
    name: "btblocker_detection_entries_left_out_total",
    type: Counter,
    help: "Detections left out of the detection log or pcap because there were too many",
    labels: ["file"],
    samples: eachFile(({ leftOut }) => leftOut),
  },
  {
    name: "btblocker_fleet_up",
    type: Gauge,
    help: "Whether the last call to the fleet's API was answered well",
    labels: ["role"],
    samples: eachRole(({ connected }) => [[{}, connected ? 1 : 0]]),
  },
  {
    name: "btblocker_fleet_last_success_timestamp_seconds",
    type: Gauge,
    help: "Unix time of the last call to the fleet's API that was answered well",
    labels: ["role"],
    samples: eachRole(({ lastSuccess }) =>
      lastSuccess === null ? [] : [[{}, Date.parse(lastSuccess) / 1000]]
    ),
  },
  {
    name: "btblocker_fleet_failures_total",
    type: Counter,
    help: "Calls to the fleet's API that failed, by what kept the answer away",
    labels: ["role", "trouble"],
    samples: eachRole(({ failures }) =>
      Object.entries(failures).map(([trouble, count]) => [{ trouble }, count])
    ),
  },
  {
    name: "btblocker_fleet_waiting_bans",
    type: Gauge,
    help: "Bans not reported to the fleet yet",
    samples: one(({ fleet }) => fleet?.reports?.waiting ?? 0),
  },
  {
    name: "btblocker_fleet_lost_bans_total",
    type: Counter,
    help: "Bans never reported to the fleet because too many waited",
    samples: one(({ fleet }) => fleet?.reports?.lost ?? 0),
  },
  {
    name: "btblocker_fleet_held_bans",
    type: Gauge,
    help: "Addresses and networks that the fleet has decisions about",
    samples: one(({ fleet }) => fleet?.takesOver?.held ?? 0),
  },
  {
    name: "btblocker_monitor_only",
    type: Gauge,
    help: "Whether it only watches and drops nothing",
    samples: one(({ monitorOnly }) => monitorOnly ? 1 : 0),
  },
  {
    name: "btblocker_build_info",
    type: Gauge,
    help: "Always 1; the labels tell what runs",
    labels: ["version", "commit"],
    samples: ({ version, commit }) => [[{ version, commit }, 1]],
  },
  {
    name: "process_start_time_seconds",
    type: Gauge,
    help: "Unix time of the start",
    samples: one(({ started }) => Date.parse(started) / 1000),
  },
  {
    name: "process_resident_memory_bytes",
    type: Gauge,
    help: "Memory in use",
    samples: one(() => Deno.memoryUsage().rss),
  },
  {
    name: "process_cpu_seconds_total",
    type: Counter,
    help: "Processor time in user and kernel mode",
    samples: one(() => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
  },
];

/** The exposition for Prometheus. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #metrics: readonly (readonly [Metric, Counter | Gauge])[];
  readonly #latency = new LatencyHistogram(this.#registry);

  constructor() {
    this.#metrics = METRICS.map((metric) => {
      const { name, type, help, labels = [] } = metric;
      const registers = [this.#registry];
      return [metric, new type({ name, help, labelNames: [...labels], registers })];
    });
  }

  /** Of {@link text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The snapshot in Prometheus' text format. */
  text(status: Status): Promise<string> {
    for (const [{ samples }, metric] of this.#metrics) {
      metric.reset();
      for (const [labels, value] of samples(status)) metric.inc({ ...labels }, value);
    }
    this.#latency.latency = status.latency;
    return this.#registry.metrics();
  }
}

const LATENCY = {
  name: "btblocker_verdict_latency_seconds",
  help: "From the receipt of a batch of packets to its verdicts being sent",
};

/** prom-client's histogram counts by itself; this one shows what the workers have counted. */
class LatencyHistogram extends Histogram {
  latency: Latency = { boundsUs: [], buckets: [0], sumUs: 0 };

  constructor(registry: Registry) {
    super({ ...LATENCY, registers: [registry] });
  }

  /** What the registry asks for; not in the declared types. */
  getForPromString() {
    const { boundsUs, buckets, sumUs } = this.latency;
    const values: { metricName: string; value: number; labels: Record<string, string> }[] = [];
    const add = (suffix: string, value: number, labels: Record<string, string> = {}) =>
      values.push({ metricName: `${LATENCY.name}_${suffix}`, value, labels });
    let count = 0;
    for (const [index, bucket] of buckets.entries()) {
      count += bucket;
      const le = index < boundsUs.length ? `${boundsUs[index] / 1e6}` : "+Inf";
      add("bucket", count, { le });
    }
    add("sum", sumUs / 1e6);
    add("count", count);
    return Promise.resolve({ ...LATENCY, type: "histogram", aggregator: "sum", values });
  }
}
