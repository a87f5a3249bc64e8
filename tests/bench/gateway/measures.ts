/** What is measured, by what program, and what the aim is (issue numbers are in the project's plan). */

import { type Bed, ECHO_PORT, HTTP_PORT, IPERF_PORT } from "./bed.ts";

/** How a measure is compared: the quotient to the unfiltered router's, or what is added to it. */
export type Aim =
  | { readonly ratio: number }
  | { readonly added: number };

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

async function udp(bed: Bed, seconds: number) {
  const { sum } = await iperf(bed, seconds, ["-u", "-b", "0", "-l", "1400"]);
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

const FLOWS_A_SECOND = 200;

async function firstRoundTrips(bed: Bed, seconds: number) {
  const count = seconds * FLOWS_A_SECOND;
  const report = await bed.load(
    count * 20 + 30_000,
    ...["first_round_trips.ts", bed.server.ipv4] as const,
    ...[HTTP_PORT, ECHO_PORT, count],
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

const P50 = { added: 100 };
const P99 = { added: 1000 };
const roundTrip = { unit: "µs", offload: true, run: firstRoundTrips };

export const MEASURES: readonly Measure[] = [
  {
    ...{ name: "bulk TCP, 1 connection, GSO on", unit: "Gbit/s", key: "gigabits", run: tcpOne },
    ...{ offload: true, aim: { ratio: 0.97 }, inspectAll: { ratio: 0.75 } },
  },
  {
    ...{ name: "bulk TCP, 16 connections, MTU packets", unit: "Gbit/s", key: "gigabits" },
    ...{ run: tcpSixteen, offload: false, aim: { ratio: 0.95 }, inspectAll: { ratio: 0.4 } },
  },
  {
    ...{ name: "bulk UDP, 1400 bytes, 1 flow", unit: "Gbit/s", key: "gigabits", run: udp },
    ...{ offload: true, aim: { ratio: 0.95 } },
  },
  {
    ...{ name: "new connections a second", unit: "1/s", key: "perSecond", run: newConnections },
    ...{ offload: true, aim: { ratio: 0.8 } },
  },
  { ...roundTrip, name: "TCP handshake, p50", key: "handshake50", aim: P50 },
  { ...roundTrip, name: "TCP handshake, p99", key: "handshake99", aim: P99 },
  { ...roundTrip, name: "first request and response, p50", key: "request50", aim: P50 },
  { ...roundTrip, name: "first request and response, p99", key: "request99", aim: P99 },
  { ...roundTrip, name: "UDP request and response, p50", key: "udp50", aim: P50 },
  { ...roundTrip, name: "UDP request and response, p99", key: "udp99", aim: P99 },
];
