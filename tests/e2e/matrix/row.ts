/** One row of the client matrix: a swarm of real clients without the blocker, then with it. */

import { delay, type Mode } from "../../lab/client.ts";
import { CLIENTS, type Discovery, Lab, peerPort, startSwarm, type Swarm } from "../../lab/lab.ts";
import { forward, moveBehind, type Proxy, type ProxyKind, startProxy } from "../../lab/proxies.ts";
import { type Rate, slowLink } from "../../lab/rate.ts";
import { Blocker } from "../blocker.ts";
import { WireCounter } from "./wire.ts";

export interface Row {
  seeder: string;
  leecher: string;
  mode: Mode;
  discovery: Discovery;
  family: 4 | 6;
  /** Seeders at distinct addresses and ports. */
  seeders: number;
  /** The blocker starts in the middle of the transfer, which is slow then: {@link RUNNING_RATE}. */
  midTransfer?: boolean;
  /** What each seeder sends at most. */
  rate?: Rate;
  /** What the leecher reaches its peers through. */
  proxy?: ProxyKind;
  /** Settings of the blocker that are not the defaults: environment variables. */
  settings?: Record<string, string>;
}

export interface RowResult {
  row: Row;
  /** Whether the swarm completes without the blocker; where it does not, the row proves nothing. */
  completes: boolean;
  /** Seconds until it was complete; until a quarter was, where the blocker starts then. */
  seconds: number;
  /** Verified bytes of the leecher since the blocker guards. */
  bytes: number;
  /** Those of them that came later than {@link STOPS_WITHIN_MS} after it began to guard. */
  lateBytes: number;
  /** Payload that reached the leecher from its peers since the blocker guards ({@link WireCounter}). */
  wireBytes: number;
  /** Methods that were detected, in order of first sight. */
  methods: string[];
  banned: number;
  /** What went wrong in the laboratory itself. */
  problem?: string;
}

const LENGTH = 1 << 20;
const WITHOUT_MS = 180_000;
/** How long a blocked leecher may try: longer than it needed without the blocker. */
const SHORTEST_TRY_MS = 15_000;
/** A running transfer shows itself within some blocks; they are slow, whatever the machine is. */
const STOPS_WITHIN_MS = 5_000;
/** Of a transfer that the blocker interrupts: by the number of seeders, so that all take as long. */
const MID_TRANSFER_LENGTH = { alone: 2 << 20, several: 4 << 20 };
/** Bytes a second of each seeder then. */
const RUNNING_RATE = { alone: 100_000, several: 50_000 };
/** What a lone encrypted peer may bring before its lengths are known: another program's, or by a proxy. */
const MOST_OF_ONE_PEER = 128 << 10;

/**
 * Whether nothing in the row shows what it is but the lengths of one encrypted connection, and they not
 * before its first block: of each program with itself they do.
 */
function isLoneAndLate({ seeder, leecher, mode, discovery, seeders, midTransfer, proxy }: Row) {
  const isAlone = discovery === "direct" && seeders === 1 && !midTransfer;
  return mode.startsWith("mse") && isAlone && (seeder !== leecher || proxy !== undefined);
}

/**
 * Where the result is as it should be and the row proves something: it was seen and nothing arrived; of a lone
 * encrypted peer, another program's, at most 128 KiB on the wire; of a running transfer nothing after its stop.
 */
export function isBlocked(result: RowResult): boolean {
  const { row, completes, bytes, lateBytes, wireBytes, methods, problem } = result;
  // A client that was slow to ask looks like one that was stopped.
  if (problem !== undefined || !completes || methods.length === 0) return false;
  if (row.midTransfer) return lateBytes === 0;
  return isLoneAndLate(row) ? wireBytes <= MOST_OF_ONE_PEER : bytes === 0;
}

export function rowName(row: Row) {
  const { seeder, leecher, mode, discovery, family, seeders, midTransfer, rate, proxy } = row;
  const who = seeder === leecher ? seeder : `${seeder} to ${leecher}`;
  return [
    who,
    mode,
    discovery,
    `IPv${family}`,
    seeders > 1 ? `${seeders} seeders` : "",
    rate === undefined ? "" : rateName(rate),
    proxy === undefined ? "" : `through ${proxy}`,
    midTransfer ? "begun before btblocker" : "",
    ...Object.entries(row.settings ?? {}).map(([name, value]) => `${name}=${value}`),
  ].filter((part) => part !== "").join(", ");
}

export function rateName({ bytesPerSecond, by }: Rate): string {
  return `${bytesPerSecond / 1000} kB/s by ${by === "link" ? "the link" : "the client"}`;
}

/**
 * Runs a row in laboratories of its own.
 *
 * @param watchMs how long a transfer stopped in the middle must stay stopped
 */
export async function runRow(row: Row, watchMs = 30_000): Promise<RowResult> {
  try {
    return row.midTransfer ? await midTransfer(row, watchMs) : await fromTheStart(row);
  } catch (error) {
    return { ...nothing(row), problem: error instanceof Error ? error.message : String(error) };
  }
}

function nothing(row: Row): RowResult {
  const counts = { seconds: 0, bytes: 0, lateBytes: 0, wireBytes: 0, banned: 0 };
  return { row, completes: false, methods: [], ...counts };
}

/** A swarm, and what of it reaches the leecher; the tracker is a host of its own. */
async function swarmOf(
  row: Row,
  lab: Lab,
  length: number,
): Promise<{ swarm: Swarm; wire: WireCounter }> {
  const { mode, discovery, family, seeders, rate } = row;
  const tracker = lab.outer[row.seeders];
  const beside = row.proxy === undefined ? [tracker.ipv4, tracker.ipv6] : [];
  const wire = await WireCounter.start(lab.inner, beside);
  if (rate?.by === "link") {
    for (const host of lab.outer.slice(0, seeders)) await slowLink(host, rate.bytesPerSecond);
  }
  const proxy = row.proxy === undefined ? undefined : await throughProxy(row, lab, row.proxy);
  const swarm = await startSwarm(lab, {
    seeder: CLIENTS[row.seeder],
    leecher: CLIENTS[row.leecher],
    ...{ mode, discovery, family, seeders, length },
    uploadLimit: rate?.by === "client" ? rate.bytesPerSecond : undefined,
    proxy,
  });
  return { swarm, wire };
}

/** A proxy on the last host, where else the tracker is; for a client that knows none, what it dials. */
async function throughProxy(row: Row, lab: Lab, kind: ProxyKind): Promise<Proxy | undefined> {
  const host = lab.outer[row.seeders];
  const seeders = lab.outer.slice(0, row.seeders);
  const directory = await lab.newDirectory("proxy");
  const proxy = await startProxy(kind, host, directory, row.family);
  for (const [index, seeder] of seeders.entries()) await moveBehind(host, seeder, index);
  if (CLIENTS[row.leecher].takesProxy) return proxy;
  const peers = seeders.map((seeder, index) => ({
    host: row.family === 4 ? seeder.ipv4 : seeder.ipv6,
    port: peerPort(index),
  }));
  await forward(lab.inner, proxy, peers, `${directory}/forward.log`);
  return undefined;
}

/** Seconds without the blocker, null when it does not complete; rows that differ in settings share it. */
const without = new Map<string, Promise<number | null>>();

function secondsWithout(row: Row): Promise<number | null> {
  const name = rowName({ ...row, settings: undefined });
  const known = without.get(name);
  if (known !== undefined) return known;
  const measured = measureWithout(row);
  without.set(name, measured);
  // A laboratory that failed says nothing.
  measured.catch(() => without.delete(name));
  return measured;
}

async function measureWithout(row: Row): Promise<number | null> {
  await using lab = await Lab.create({ outer: row.seeders + 1 });
  const { swarm } = await swarmOf(row, lab, LENGTH);
  const began = performance.now();
  const bytes = await swarm.leecher.completed(WITHOUT_MS);
  return bytes < LENGTH ? null : (performance.now() - began) / 1000;
}

async function fromTheStart(row: Row): Promise<RowResult> {
  const seconds = await secondsWithout(row);
  if (seconds === null) return nothing(row);
  await using lab = await Lab.create({ outer: row.seeders + 1 });
  const blocker = await startBlocker(lab, row);
  const { swarm, wire } = await swarmOf(row, lab, LENGTH);
  const bytes = await swarm.leecher.completed(Math.max(SHORTEST_TRY_MS, seconds * 1500));
  const counts = { seconds, bytes, lateBytes: bytes, wireBytes: await wire.bytes() };
  return await report(row, counts, swarm, blocker);
}

async function midTransfer(row: Row, watchMs: number): Promise<RowResult> {
  await using lab = await Lab.create({ outer: row.seeders + 1 });
  const count = row.seeders === 1 ? "alone" : "several";
  const length = MID_TRANSFER_LENGTH[count];
  const bytesPerSecond = RUNNING_RATE[count];
  const slow: Row = { ...row, rate: row.rate ?? { bytesPerSecond, by: "link" } };
  const { swarm, wire } = await swarmOf(slow, lab, length);
  const began = performance.now();
  while (await swarm.leecher.verifiedBytes() < length / 4) {
    if (performance.now() - began > WITHOUT_MS) return nothing(row);
    await delay(200);
  }
  const seconds = (performance.now() - began) / 1000;
  const blocker = await startBlocker(lab, row);
  const [verifiedBefore, wireBefore] = [await swarm.leecher.verifiedBytes(), await wire.bytes()];
  if (verifiedBefore === length) {
    throw new Error("complete before the blocker started");
  }
  await delay(STOPS_WITHIN_MS);
  const stoppedAt = await swarm.leecher.verifiedBytes();
  await delay(watchMs);
  const verified = await swarm.leecher.verifiedBytes();
  const counts = {
    ...{ seconds, bytes: verified - verifiedBefore, lateBytes: verified - stoppedAt },
    wireBytes: await wire.bytes() - wireBefore,
  };
  return await report(row, counts, swarm, blocker);
}

function startBlocker(lab: Lab, { settings, proxy, seeders }: Row): Promise<Blocker> {
  // Behind a proxy the seeders are off the router.
  const hosts = proxy === undefined ? lab.network.hosts : [lab.inner, lab.outer[seeders]];
  const interfaces = hosts.map((host) => host.routerInterface);
  return Blocker.start(lab.router, interfaces, lab.directory, settings);
}

async function report(
  row: Row,
  counts: Pick<RowResult, "seconds" | "bytes" | "lateBytes" | "wireBytes">,
  swarm: Swarm,
  blocker: Blocker,
): Promise<RowResult> {
  const detections = await blocker.detections();
  const methods = [...new Set(detections.map(({ method }) => method))];
  const banned = (await blocker.banned()).size;
  await swarm.leecher.stop();
  return { row, completes: true, ...counts, methods, banned };
}
