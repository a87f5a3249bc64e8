/**
 * Two hosts and a router in network namespaces; real BitTorrent through the router without the
 * blocker, then with it, and a plain download beside both.
 */

import { createHash } from "node:crypto";
import { demoPeerCommand, ownCommand } from "./command.ts";
import { programEnvironment } from "./environment.ts";
import { type Host, Network } from "./network.ts";
import { output, type Program } from "./program.ts";
import { DOWNLOAD_LENGTH, WEB_PORT } from "./internet.ts";
import { createTorrent, type Torrent, verifiedBytes } from "./torrent.ts";
import type { Attempt } from "./user.ts";
import { EnvironmentError } from "../errors.ts";

const CONTENT_LENGTH = 4 << 20;
/** How long an attempt may try; what works needs a second. */
const PATIENCE_MS = 5_000;
/** aria2 tries encryption first, and waits between its attempts. */
const CLIENT_PATIENCE_MS = 12_000;
const BLOCKER_START_MS = 20_000;
/** A client that speaks BitTorrent for real, used when it is installed. */
const REAL_CLIENT = "aria2c";

/** One kind of traffic, from an address of its own, so that the ban of one does not stop the next. */
interface Traffic {
  name: string;
  address: string;
  isBitTorrent: boolean;
  /** How much has arrived when all has. */
  whole: number;
  /** Whether that is bytes or answers. */
  unit: "bytes" | "answers";
  attempt(): Promise<Attempt>;
}

/** What became of one kind of traffic. */
export interface DemoRow {
  traffic: string;
  address: string;
  isBitTorrent: boolean;
  unit: "bytes" | "answers";
  whole: number;
  without: Attempt;
  with: Attempt;
  /** `method (reason)` of the detection, and who was banned. */
  detected: string | null;
}

export interface DemoResult {
  /** Name and version of the real client that took part, or null. */
  readonly client: string | null;
  readonly rows: readonly DemoRow[];
  /** All is as it should be. */
  readonly good: boolean;
  /** What the blocker said. */
  readonly log: string;
}

/** Runs the demo; everything is removed again. @param say told what is going on */
export async function runDemo(say: (line: string) => void): Promise<DemoResult> {
  requireTools();
  const client = await realClient();
  say("Two hosts and a router in network namespaces; the blocker will run in the router.");
  say(
    client === null
      ? `No BitTorrent client found (${REAL_CLIENT}); a small peer of our own stands in.`
      : `Found ${client}, a real client: it takes part beside a small peer of our own.`,
  );
  await using network = await Network.create("btdemo");
  const user = await network.addHost("user");
  const internet = await network.addHost("internet");
  const torrent = createTorrent({
    length: CONTENT_LENGTH,
    pieceLength: 65_536,
    trackers: [`http://${internet.ipv4}:${WEB_PORT}/announce`],
  });
  const contentPath = `${network.directory}/content`;
  await Deno.writeFile(contentPath, torrent.content);
  const { pieceLength, infoHash } = torrent;
  const address = internet.ipv4;
  const servers = demoPeerCommand({
    role: "internet",
    address,
    contentPath,
    pieceLength,
    infoHash,
  });
  await internet.spawn(servers).printedMatch(/ready/, 10_000);
  const kinds = await trafficKinds(network, user, internet, torrent, client !== null);

  say("Without btblocker …");
  const before = await attemptAll(kinds);
  say("With btblocker …");
  const blocker = await startBlocker(network);
  const after = await attemptAll(kinds);
  const log = blocker.text();
  const stopped = await blocker.stop("SIGTERM", 5_000);
  const rows = kinds.map((kind, index): DemoRow => ({
    traffic: kind.name,
    address: kind.address,
    isBitTorrent: kind.isBitTorrent,
    unit: kind.unit,
    whole: kind.whole,
    without: before[index],
    with: after[index],
    detected: detectionOf(kind.address, log),
  }));
  const good = stopped.code === 0 && rows.every(isAsItShouldBe);
  return { client, rows, good, log };
}

function requireTools(): void {
  if (Deno.build.os !== "linux") {
    throw new EnvironmentError("Cannot run the demo: it needs Linux's network namespaces");
  }
  for (const tool of ["ip", "nsenter", "setpriv", "setsid"]) {
    if (findProgram(tool) !== null) continue;
    throw new EnvironmentError(
      `Cannot run the demo: ${tool} is missing`,
      "apt-get install iproute2 util-linux",
    );
  }
}

function findProgram(name: string): string | null {
  // Root's path may lack the directories of system programs.
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
  for (const directory of path.split(":")) {
    try {
      if (Deno.statSync(`${directory}/${name}`).isFile) return `${directory}/${name}`;
    } catch {
      // Not here.
    }
  }
  return null;
}

/** Name and version of the real client, or null. */
async function realClient(): Promise<string | null> {
  if (findProgram(REAL_CLIENT) === null) return null;
  const version = await output([REAL_CLIENT, "--version"]);
  return version.split("\n")[0].replace(" version", "");
}

async function trafficKinds(
  network: Network,
  user: Host,
  internet: Host,
  torrent: Torrent,
  withClient: boolean,
): Promise<Traffic[]> {
  const { infoHash, pieceLength } = torrent;
  const checksum = createHash("sha1").update(torrent.content).digest("hex");
  const kinds: Traffic[] = [];
  const add = async (kind: Omit<Traffic, "address" | "attempt">, how: Traffic["attempt"]) => {
    const address = user.ipv4.replace(/\d+$/, String(11 + kinds.length));
    await output(["ip", "-n", user.namespace, "address", "add", `${address}/24`, "dev", "eth0"]);
    kinds.push({ ...kind, address, attempt: how });
    return address;
  };
  /** A process of our own: it prints its result. */
  const own = (order: (from: string) => Parameters<typeof demoPeerCommand>[0]) => {
    const from = kinds.length; // the address follows from the place in the list
    return async (): Promise<Attempt> => {
      const program = user.spawn(demoPeerCommand(order(kinds[from].address)));
      await program.status;
      const line = program.text().trim().split("\n").at(-1) ?? "";
      try {
        return JSON.parse(line);
      } catch {
        throw new Error(`The demo's peer failed: ${program.text()}`);
      }
    };
  };
  const to = internet.ipv4;
  const timeoutMs = PATIENCE_MS;
  const bytes = { isBitTorrent: true, whole: CONTENT_LENGTH, unit: "bytes" as const };
  const answers = { isBitTorrent: true, unit: "answers" as const };
  await add(
    { name: "Torrent, our own peer", ...bytes },
    own((from) => ({
      role: "leech",
      ...{ from, to, timeoutMs, infoHash, pieceLength, checksum },
      length: CONTENT_LENGTH,
    })),
  );
  if (withClient) {
    const at = kinds.length;
    await add(
      { name: `Torrent, ${REAL_CLIENT}`, ...bytes },
      () => runClient(network, user, torrent, kinds[at].address),
    );
  }
  await add(
    { name: "DHT ping", ...answers, whole: 1 },
    own((from) => ({ role: "ping", from, to, timeoutMs })),
  );
  await add(
    { name: "UDP tracker announce", ...answers, whole: 2 },
    own((from) => ({ role: "announce", from, to, timeoutMs, infoHash })),
  );
  await add(
    { name: "HTTP download", isBitTorrent: false, whole: DOWNLOAD_LENGTH, unit: "bytes" },
    own((from) => ({ role: "download", from, to, timeoutMs: 4 * timeoutMs })),
  );
  return kinds;
}

/** The real client as leecher; its pieces are counted on the disk. */
async function runClient(
  network: Network,
  user: Host,
  torrent: Torrent,
  address: string,
): Promise<Attempt> {
  const directory = await Deno.makeTempDir({ dir: network.directory });
  const file = `${directory}/sample.torrent`;
  await Deno.writeFile(file, torrent.file);
  const program = user.spawn([
    REAL_CLIENT,
    "--no-conf",
    `--dir=${directory}`,
    `--interface=${address}`,
    "--enable-dht=false",
    "--enable-dht6=false",
    "--bt-enable-lpd=false",
    "--disk-cache=0",
    "--file-allocation=none",
    "--seed-time=0",
    "--follow-torrent=mem",
    file,
  ]);
  const deadline = performance.now() + CLIENT_PATIENCE_MS;
  let received = 0;
  do {
    await new Promise((resolve) => setTimeout(resolve, 300));
    received = await verifiedBytes(torrent, `${directory}/${torrent.name}`);
  } while (
    received < CONTENT_LENGTH && performance.now() < deadline && program.exit === null
  );
  await program.stop();
  return { received, complete: received === CONTENT_LENGTH };
}

function attemptAll(kinds: readonly Traffic[]): Promise<Attempt[]> {
  return Promise.all(kinds.map((kind) => kind.attempt()));
}

/** Starts the blocker in the router, with settings of its own whatever the machine's are. */
async function startBlocker(network: Network): Promise<Program> {
  const config = `${network.directory}/config.toml`;
  await Deno.writeTextFile(config, "");
  const interfaces = network.hosts.map((host) => host.routerInterface).join(",");
  const blocker = network.router.spawn([
    ...ownCommand(),
    "run",
    "--config",
    config,
    "--interface",
    interfaces,
    "--chains",
    "FORWARD",
    "--policy",
    "default",
    "--ban-duration",
    "60",
    "--log-level",
    "info",
    "--log-format",
    "text",
  ], { env: programEnvironment(Deno.env.toObject()), clearEnv: true });
  try {
    await blocker.printedMatch(/Guarding /, BLOCKER_START_MS);
  } catch {
    throw new EnvironmentError(`Cannot start the blocker in the demo:\n${blocker.text().trim()}`);
  }
  return blocker;
}

/** What the blocker said about the first detection of this address. */
function detectionOf(address: string, log: string): string | null {
  for (const line of log.split("\n")) {
    const at = line.indexOf("[DETECT]");
    if (at < 0 || !line.includes(`${address}:`)) continue;
    // [DETECT] UDP source → destination method (reason) - action
    return line.slice(at).replace(/^\[DETECT\] \S+ \S+ → \S+ /, "");
  }
  return null;
}

function isAsItShouldBe(row: DemoRow): boolean {
  if (!row.without.complete) return false;
  if (!row.isBitTorrent) return row.with.complete && row.detected === null;
  return row.with.received === 0 && row.detected !== null;
}
