/** What is measured, by what program, and what the aim is (issue numbers are in the project's plan). */

import {
  type Bed,
  ECHO_PORT,
  HTTP_PORT,
  IPERF_PORT,
  JUDGED_PORT,
  QUIC_PORT,
  TLS_PORT,
  UNKNOWN_PORT,
  WHITELISTED_DNS_PORT,
  WHITELISTED_TLS_PORT,
} from "./bed.ts";

/** How a measure is compared: the quotient to the reference's, or what is added to it. */
export type Aim = ({ readonly ratio: number } | { readonly added: number }) & {
  /** The reference; the unfiltered router by default. */
  readonly beside?: "stateful";
};

export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly aim: Aim;
  /** Also measured with every packet inspected, with this aim. */
  readonly inspectAll?: Aim;
  /** Segmentation offload on. */
  readonly offload: boolean;
  /** Key of the value in what {@link run} gives. */
  readonly key: string;
  /** Seconds of the run before the first that counts; 1 if not given. */
  readonly warmUp?: number;
  /** Seconds of a run that counts, where fewer would measure something else. */
  readonly leastSeconds?: number;
  /** Measures with the same run are taken from one. */
  readonly run: (bed: Bed, seconds: number) => Promise<Readonly<Record<string, number>>>;
}

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: { readonly bits_per_second: number; readonly lost_percent?: number };
  };
}

async function iperf(bed: Bed, seconds: number, args: readonly string[]) {
  const command = ["iperf3", "-J", "-c", bed.server.ipv4, "-p", `${IPERF_PORT}`]
    .concat("-t", `${seconds}`, args);
  // The server may not have closed the connections of the run before.
  for (let attempt = 1;; attempt++) {
    try {
      const report: IperfReport = JSON.parse(
        await bed.runOnClient(command, (seconds + 30) * 1000),
      );
      if (report.error === undefined) return report.end;
      throw new Error(report.error);
    } catch (error) {
      if (attempt === 3) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function tcp(bed: Bed, seconds: number, connections: number) {
  const end = await iperf(bed, seconds, ["-P", `${connections}`]);
  return { gigabits: (end.sum_received?.bits_per_second ?? 0) / 1e9 };
}

async function udp(bed: Bed, seconds: number, length: number) {
  const { sum } = await iperf(bed, seconds, ["-u", "-b", "0", "-l", `${length}`]);
  const arrived = 1 - (sum?.lost_percent ?? 0) / 100;
  return { gigabits: (sum?.bits_per_second ?? 0) * arrived / 1e9 };
}

async function newConnections(bed: Bed, seconds: number) {
  const report = await bed.runOnClient([
    ...["wrk", "-t1", "-c32", `-d${seconds}s`, "-H", "Connection: close"],
    `http://${bed.server.ipv4}:${HTTP_PORT}/`,
  ], (seconds + 30) * 1000);
  return { perSecond: Number(/^Requests\/sec:\s+([\d.]+)/m.exec(report)?.[1]) };
}

/** Each has one flow at a time. */
const CLIENTS = 4;

/** New flows of an exchange a second, and of btblocker µs of processor time and packets judged each. */
function newFlows(exchange: string, port: number) {
  return async (bed: Bed, seconds: number) => {
    const before = await bed.spent();
    const args = [exchange, bed.server.ipv4, port, seconds];
    const counts: { flows: number; unanswered: number }[] = await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        return JSON.parse(await bed.load((seconds + 30) * 1000, "new_flows.ts", ...args));
      }),
    );
    const flows = counts.reduce((sum, count) => sum + count.flows, 0);
    const unanswered = counts.reduce((sum, count) => sum + count.unanswered, 0);
    const after = await bed.spent();
    return {
      perSecond: (flows - unanswered) / seconds,
      cpu: (after.seconds - before.seconds) / flows * 1e6,
      judged: (after.judged - before.judged) / flows,
    };
  };
}

const FLOWS_A_SECOND = 200;

async function firstRoundTrips(bed: Bed, seconds: number) {
  const count = seconds * FLOWS_A_SECOND;
  const report = await bed.load(
    count * 20 + 30_000,
    ...["first_round_trips.ts", bed.server.ipv4] as const,
    ...[TLS_PORT, UNKNOWN_PORT, JUDGED_PORT, ECHO_PORT, count],
  );
  const times: Record<string, number[]> = JSON.parse(report);
  const result: Record<string, number> = {};
  for (const [name, values] of Object.entries(times)) {
    values.sort((a, b) => a - b);
    result[`${name}50`] = values[Math.floor(values.length * 0.5)];
    result[`${name}99`] = values[Math.floor(values.length * 0.99)];
  }
  return result;
}

const tcpOne = (bed: Bed, seconds: number) => tcp(bed, seconds, 1);
const tcpSixteen = (bed: Bed, seconds: number) => tcp(bed, seconds, 16);

const udpFull = (bed: Bed, seconds: number) => udp(bed, seconds, 1400);
const udpShort = (bed: Bed, seconds: number) => udp(bed, seconds, 64);
const newTls = newFlows("tls", TLS_PORT);
const newQuic = newFlows("quic", QUIC_PORT);
const newWhitelisted = newFlows("tls", WHITELISTED_TLS_PORT);
const newLookups = newFlows("dns", WHITELISTED_DNS_PORT);

const perSecond = { unit: "1/s", key: "perSecond", offload: true };
const stateful = (ratio: number): Aim => ({ ratio, beside: "stateful" });
const judged = { unit: "", key: "judged", offload: true, aim: { added: 0 } };
/**
 * A worker's code is as fast as it becomes after some 3,000 packets at one a wake, and after 6 s of new HTTP
 * connections, in which the compiler takes 5 % of a core: V8 optimises what has run often.
 */
const COMPILED = 8;
/** As long as by default: in one second of 16 connections, 0.2 are their beginning and no bulk traffic. */
const BEHIND_BEGINNING = 4;
const roundTrip = { unit: "µs", offload: true, run: firstRoundTrips, warmUp: COMPILED };

export const MEASURES: readonly Measure[] = [
  {
    ...{ name: "bulk TCP, 16 connections, MTU packets", unit: "Gbit/s", key: "gigabits" },
    ...{ run: tcpSixteen, offload: false, aim: stateful(0.97), inspectAll: { ratio: 0.6 } },
    leastSeconds: BEHIND_BEGINNING,
  },
  {
    ...{ name: "bulk TCP, 1 connection, GSO on", unit: "Gbit/s", key: "gigabits", run: tcpOne },
    ...{ offload: true, aim: { ratio: 0.97 }, inspectAll: { ratio: 0.75 } },
  },
  {
    ...{ name: "bulk UDP, 1400 bytes, 1 flow", unit: "Gbit/s", key: "gigabits", run: udpFull },
    ...{ offload: true, aim: stateful(0.97) },
  },
  {
    ...{ name: "bulk UDP, 64 bytes, 1 flow", unit: "Gbit/s", key: "gigabits", run: udpShort },
    ...{ offload: true, aim: stateful(0.97) },
  },
  { ...perSecond, name: "new TLS connections a second", run: newTls, aim: stateful(0.97) },
  {
    ...{ name: "  processor time of each", unit: "µs", key: "cpu", offload: true, run: newTls },
    aim: { added: 3 },
  },
  { ...perSecond, name: "new QUIC connections a second", run: newQuic, aim: stateful(0.97) },
  {
    ...perSecond,
    ...{ name: "new whitelisted connections a second", run: newWhitelisted, aim: stateful(0.98) },
  },
  { ...judged, name: "  packets judged of each", run: newWhitelisted },
  { ...perSecond, name: "whitelisted DNS lookups a second", run: newLookups, aim: stateful(0.98) },
  { ...judged, name: "  packets judged of each lookup", run: newLookups },
  {
    ...perSecond,
    ...{ name: "new HTTP connections a second", run: newConnections, aim: stateful(0.9) },
    warmUp: COMPILED,
  },
  { ...roundTrip, name: "TLS, first round trips, p50", key: "tls50", aim: { added: 15 } },
  { ...roundTrip, name: "TLS, first round trips, p99", key: "tls99", aim: { added: 100 } },
  { ...roundTrip, name: "unknown, first round trips, p50", key: "unknown50", aim: { added: 100 } },
  { ...roundTrip, name: "unknown, first round trips, p99", key: "unknown99", aim: { added: 500 } },
  {
    ...{ ...roundTrip, name: "unknown, judged in user space, first round trips, p50" },
    ...{ key: "judged50", aim: { added: 100 } },
  },
  {
    ...{ ...roundTrip, name: "unknown, judged in user space, first round trips, p99" },
    ...{ key: "judged99", aim: { added: 500 } },
  },
  { ...roundTrip, name: "UDP request and response, p50", key: "udp50", aim: { added: 100 } },
  { ...roundTrip, name: "UDP request and response, p99", key: "udp99", aim: { added: 500 } },
];
