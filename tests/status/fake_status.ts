/** A blocker that exists in numbers only: feeds the server and the page in tests. */
import type { FleetCalls, FleetState } from "../../src/fleet/fleet_state.ts";
import type { Counter } from "../../src/gateway/queue/counters.ts";
import { COUNTERS, LATENCY_BOUNDS_US } from "../../src/gateway/queue/counters.ts";
import { noWaits } from "../../src/engine/undecided.ts";
import { DetectionHistory, TrafficHistory } from "../../src/status/history.ts";
import type { BanStatus, Status, StatusSource } from "../../src/status/status.ts";
import { UsageError } from "../../src/errors.ts";
import { record } from "../report/detection_fixture.ts";

export function counters(values: Partial<Record<Counter, number>> = {}): Record<Counter, number> {
  const zeros = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<Counter, number>;
  return { ...zeros, ...values };
}

/** A status with something everywhere. */
export function status(changes: Partial<Status> = {}): Status {
  const worker = counters({ packets: 600, accepted: 500, released: 60, dropped: 30, restarts: 1 });
  return {
    version: "1.2.3",
    commit: "abcdef0",
    date: null,
    pid: 4711,
    started: "2024-01-15T18:00:00.000Z",
    healthy: true,
    chains: ["FORWARD"],
    monitorOnly: false,
    policy: "default",
    banTarget: "source",
    banScope: "ip",
    banDurationSeconds: 18_000,
    banDurationMaxSeconds: 18_000,
    counters: counters({
      ...{ packets: 1200, bytes: 345_678, accepted: 1000, released: 120, dropped: 60 },
      ...{ bannedDrops: 20, flows: 130, payloadFlows: 100, detections: 7, restarts: 1 },
      ...{ whitelisted: 15, serviceConnections: 3210 },
    }),
    latency: {
      boundsUs: LATENCY_BOUNDS_US,
      buckets: [...LATENCY_BOUNDS_US.map((_, index) => index === 2 ? 90 : 1), 0],
      sumUs: 12_345,
    },
    rates: { packets: 12.5, bytes: 3456, dropped: 1, detections: 0.2 },
    workers: [
      { queue: 0, running: true, waiting: 0, kernelDrops: 0, ...worker },
      { queue: 1, running: true, waiting: 3, kernelDrops: 0, ...worker },
    ],
    bans: 2,
    banLimit: 131_072,
    firstLook: null,
    undecided: { ...noWaits(), answer: 4, http: 2 },
    xdp: [
      {
        interface: "eth0",
        mode: "native",
        attached: true,
        reason: "driver mlx5_core keeps its offloads with XDP",
        problem: null,
        packetsDropped: 9,
        bytesDropped: 900,
      },
      {
        interface: "wg0",
        mode: null,
        attached: false,
        reason: null,
        problem: "There is no interface wg0",
        ...NOTHING,
      },
    ],
    methods: { "dht": 5, "peer-wire": 2 },
    detectionFiles: { log: { lost: 0, leftOut: 0 }, pcap: { lost: 0, leftOut: 0 } },
    fleet: null,
    ...changes,
  };
}

/** A machine in a fleet, 2 hours after the start of {@link status}. */
export function fleetState(calls: Partial<FleetCalls> = {}): FleetState {
  const well: FleetCalls = {
    connected: true,
    lastSuccess: "2024-01-15T20:00:00.000Z",
    lastFailure: null,
    failures: { away: 0, forbidden: 0 },
  };
  return {
    reports: { ...well, ...calls, waiting: 3, lost: 0 },
    takesOver: { ...well, ...calls, held: 1204 },
  };
}

const NOTHING = { packetsDropped: 0, bytesDropped: 0 };

export class FakeSource implements StatusSource {
  readonly traffic = new TrafficHistory(0);
  readonly detections = new DetectionHistory();
  now: Status = status();
  list: BanStatus[] = [];
  /** How often the bans were read. */
  reads = 0;

  status(): Status {
    return this.now;
  }

  /** As of a blocker that has run for two hours. */
  nowMs(): number {
    return performance.now() + 7_200_000;
  }

  bans(): readonly BanStatus[] {
    this.reads++;
    return this.list;
  }

  liftBan(address: string): boolean {
    if (!/^[\d.:a-f]+$/.test(address)) throw new UsageError(`Cannot unban ${address}`);
    const before = this.list.length;
    this.list = this.list.filter((ban) => ban.address !== address);
    this.now = { ...this.now, bans: this.list.length };
    return this.list.length < before;
  }

  /** A detection now. */
  detect(...changes: Parameters<typeof record>): void {
    const [ofRecord, ofDetection] = changes;
    this.detections.add(this.nowMs(), record({ timeMs: Date.now(), ...ofRecord }, ofDetection));
    const { counters } = this.now;
    this.now = { ...this.now, counters: { ...counters, detections: this.detections.count } };
  }
}

export function ban(address: string, changes: Partial<BanStatus> = {}): BanStatus {
  const nowMs = Date.now();
  return {
    ...{ address, protocol: null, port: null, reason: "dht", packets: 12 },
    sinceMs: nowMs - 60_000,
    untilMs: nowMs + 3_600_000,
    ...changes,
  };
}
