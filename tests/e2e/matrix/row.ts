/** One row of the client matrix: a swarm of real clients without the blocker, then with it. */

import { delay, type Mode } from "../../lab/client.ts";
import { CLIENTS, type Discovery, Lab, startSwarm, type Swarm } from "../../lab/lab.ts";
import { Blocker } from "../blocker.ts";

export interface Row {
  seeder: string;
  leecher: string;
  mode: Mode;
  discovery: Discovery;
  family: 4 | 6;
  /** Seeders at distinct addresses and ports. */
  seeders: number;
  /** The blocker starts in the middle of the transfer. */
  midTransfer?: boolean;
}

export interface RowResult {
  row: Row;
  /** Whether the swarm completes without the blocker; where it does not, the row proves nothing. */
  completes: boolean;
  /** Seconds until it was complete. */
  seconds: number;
  /** Verified bytes of the leecher with the blocker; for mid-transfer rows after 3 seconds. */
  bytes: number;
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
/** Or three times what btblocker itself needed to start, on a machine that is slower than that. */
const STOPS_WITHIN_MS = 3_000;
const MID_TRANSFER_LENGTH = 8 << 20;
const MID_TRANSFER_SPEED = 100_000;

/** Where the result is as it should be: nothing arrived, and the row proves something. */
export function isBlocked({ completes, bytes, problem }: RowResult): boolean {
  return problem === undefined && completes && bytes === 0;
}

export function rowName({ seeder, leecher, mode, discovery, family, seeders, midTransfer }: Row) {
  const who = seeder === leecher ? seeder : `${seeder} to ${leecher}`;
  const count = seeders > 1 ? `, ${seeders} seeders` : "";
  const when = midTransfer ? ", begun before btblocker" : "";
  return `${who}, ${mode}, ${discovery}, IPv${family}${count}${when}`;
}

/**
 * Runs a row in laboratories of its own.
 *
 * @param watchMs how long a transfer stopped in the middle must stay stopped
 */
export async function runRow(row: Row, watchMs = 60_000): Promise<RowResult> {
  const empty = { row, completes: false, seconds: 0, bytes: 0, methods: [], banned: 0 };
  try {
    return row.midTransfer ? await midTransfer(row, watchMs) : await fromTheStart(row);
  } catch (error) {
    return { ...empty, problem: error instanceof Error ? error.message : String(error) };
  }
}

function swarmOf(lab: Lab, row: Row, more: { length: number; uploadLimit?: number }) {
  const { mode, discovery, family, seeders } = row;
  const seeder = CLIENTS[row.seeder];
  const leecher = CLIENTS[row.leecher];
  return startSwarm(lab, { seeder, leecher, mode, discovery, family, seeders, ...more });
}

async function fromTheStart(row: Row): Promise<RowResult> {
  let seconds: number;
  {
    await using lab = await Lab.create({ outer: row.seeders + 1 });
    const swarm = await swarmOf(lab, row, { length: LENGTH });
    const began = performance.now();
    const bytes = await swarm.leecher.completed(WITHOUT_MS);
    seconds = (performance.now() - began) / 1000;
    if (bytes < LENGTH) {
      return { row, completes: false, seconds, bytes, methods: [], banned: 0 };
    }
  }
  await using lab = await Lab.create({ outer: row.seeders + 1 });
  const blocker = await startBlocker(lab);
  const swarm = await swarmOf(lab, row, { length: LENGTH });
  const bytes = await swarm.leecher.completed(Math.max(SHORTEST_TRY_MS, seconds * 1500));
  return await report(row, seconds, bytes, swarm, blocker);
}

async function midTransfer(row: Row, watchMs: number): Promise<RowResult> {
  await using lab = await Lab.create({ outer: row.seeders + 1 });
  const uploadLimit = MID_TRANSFER_SPEED;
  const swarm = await swarmOf(lab, row, { length: MID_TRANSFER_LENGTH, uploadLimit });
  const began = performance.now();
  while (await swarm.leecher.verifiedBytes() < 2 * uploadLimit) {
    if (performance.now() - began > WITHOUT_MS) {
      return { row, completes: false, seconds: 0, bytes: 0, methods: [], banned: 0 };
    }
    await delay(200);
  }
  const seconds = (performance.now() - began) / 1000;
  const start = performance.now();
  const blocker = await startBlocker(lab);
  await delay(Math.max(STOPS_WITHIN_MS, 3 * (performance.now() - start)));
  const stoppedAt = await swarm.leecher.verifiedBytes();
  if (stoppedAt === MID_TRANSFER_LENGTH) throw new Error("complete before the blocker started");
  await delay(watchMs);
  const bytes = await swarm.leecher.verifiedBytes() - stoppedAt;
  return await report(row, seconds, bytes, swarm, blocker);
}

function startBlocker(lab: Lab): Promise<Blocker> {
  const interfaces = lab.network.hosts.map((host) => host.routerInterface);
  return Blocker.start(lab.router, interfaces, lab.directory);
}

async function report(
  row: Row,
  seconds: number,
  bytes: number,
  swarm: Swarm,
  blocker: Blocker,
): Promise<RowResult> {
  const detections = await blocker.detections();
  const methods = [...new Set(detections.map(({ method }) => method))];
  const banned = (await blocker.banned()).size;
  await swarm.leecher.stop();
  return { row, completes: true, seconds, bytes, methods, banned };
}
