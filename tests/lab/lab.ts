/**
 * The laboratory of the tests: a {@link Network} of one inner host (the user), outer hosts (the
 * peers and trackers of the internet) and the router between them, where the blocker or tcpdump
 * runs, with a temporary directory for everything the programs write.
 */

import { fileURLToPath } from "node:url";
import { type Host, Network } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";
import { type Client, type Endpoint, FIRST_PEER_PORT, type Mode } from "./client.ts";
import type { RunningClient } from "./client.ts";
import { aria2 } from "./clients/aria2.ts";
import { biglybt } from "./clients/biglybt.ts";
import { ctorrent } from "./clients/ctorrent.ts";
import { deluge } from "./clients/deluge.ts";
import { ktorrent } from "./clients/ktorrent.ts";
import { libtorrent } from "./clients/libtorrent.ts";
import { qbittorrent } from "./clients/qbittorrent.ts";
import { rtorrent } from "./clients/rtorrent.ts";
import { transmission } from "./clients/transmission.ts";
import { webtorrent } from "./clients/webtorrent.ts";
import { TRIXIE, WEBSOCKET_TRACKER } from "./cache.ts";
import type { Proxy } from "./proxies.ts";
import { clientInRoot } from "./root.ts";
import { createTorrent, type Torrent } from "../../src/demo/torrent.ts";

const OF_THIS_SYSTEM = {
  transmission,
  qbittorrent,
  aria2,
  rtorrent,
  deluge,
  libtorrent,
  ktorrent,
  webtorrent,
  ctorrent,
  biglybt,
};
/** Debian's newer versions: Transmission 4.1, qBittorrent 5.1, aria2 1.37, Deluge 2.2, libtorrent 2.0.11. */
const NEWER = { transmission, qbittorrent, aria2, deluge, libtorrent };

export const CLIENTS: Readonly<Record<string, Client>> = {
  ...OF_THIS_SYSTEM,
  ...Object.fromEntries(
    Object.values(NEWER).map((client) => clientInRoot(client, TRIXIE, "trixie"))
      .map((client) => [client.name, client]),
  ),
};

export const TRACKER_PORT = 6_969;

const SOURCE = fileURLToPath(new URL("./", import.meta.url));

/** Why tests in namespaces cannot run here, or null. */
export function labImpossible(): string | null {
  if (Deno.build.os !== "linux") return "needs Linux";
  if (Deno.uid() !== 0) return "needs root";
  for (const tool of ["ip", "nsenter", "setpriv", "iptables", "sysctl"]) {
    if (!programPresent(tool)) return `needs ${tool}`;
  }
  const probe = new Deno.Command("unshare", { args: ["--net", "true"], stderr: "null" });
  return probe.outputSync().success ? null : "needs the right to create network namespaces";
}

/** Whether a program is on the path (or, with a slash, there); of a device, whether it can be opened. */
export function programPresent(program: string): boolean {
  if (program.startsWith("/dev/")) {
    try {
      Deno.openSync(program, { read: true, write: true }).close();
      return true;
    } catch {
      return false;
    }
  }
  return new Deno.Command("sh", { args: ["-c", `command -v "$0"`, program], stdout: "null" })
    .outputSync().success;
}

export class Lab implements AsyncDisposable {
  private constructor(
    readonly network: Network,
    readonly inner: Host,
    readonly outer: readonly Host[],
  ) {}

  static async create(options: { outer?: number; offload?: boolean } = {}): Promise<Lab> {
    const network = await Network.create("bt");
    try {
      const { outer = 2, offload } = options;
      const inner = await network.addHost("inner", { offload });
      const hosts: Host[] = [];
      for (let i = 1; i <= outer; i++) hosts.push(await network.addHost(`outer${i}`, { offload }));
      return new Lab(network, inner, hosts);
    } catch (cause) {
      await network.dispose();
      throw cause;
    }
  }

  get router(): Host {
    return this.network.router;
  }

  /** For everything the programs write; removed with the lab. */
  get directory(): string {
    return this.network.directory;
  }

  /** A new directory under the lab's. */
  async newDirectory(name: string): Promise<string> {
    // Some clients' own order languages end words at spaces and brackets.
    const prefix = `${name.replace(/\W+/g, "-")}-`;
    return await Deno.makeTempDir({ dir: this.directory, prefix });
  }

  /** Starts a tracker (HTTP and UDP) on a host; with `peers` it names those and learns none. */
  async startTracker(host: Host, peers?: readonly Endpoint[]): Promise<Program> {
    const names = peers?.map((p) =>
      p.host.includes(":") ? `[${p.host}]:${p.port}` : `${p.host}:${p.port}`
    );
    const program = host.spawn([
      Deno.execPath(),
      "run",
      "--quiet",
      "-A",
      `${SOURCE}tracker.ts`,
      `--http=${TRACKER_PORT}`,
      `--udp=${TRACKER_PORT}`,
      ...(names === undefined ? [] : [`--peers=${names.join(",")}`]),
    ], { log: `${this.directory}/tracker-${host.name}.log` });
    await program.printedMatch(/ready/);
    return program;
  }

  /** Starts a tracker that is asked over WebSocket and names peers for WebRTC. */
  async startWebSocketTracker(host: Host): Promise<Program> {
    const script = [Deno.execPath(), "run", "--quiet", "-A", WEBSOCKET_TRACKER];
    const program = host.spawn([...script, String(TRACKER_PORT)], {
      log: `${this.directory}/tracker-${host.name}.log`,
    });
    await program.printedMatch(/ready/);
    return program;
  }

  /** Starts bare DHT nodes that know each other; DHT does not work among two nodes. */
  async startDhtNodes(hosts: readonly Host[], count: number): Promise<Endpoint[]> {
    const nodes: Endpoint[] = [];
    for (let i = 0; i < count; i++) {
      const host = hosts[i % hosts.length];
      const port = 20_000 + i;
      const order = JSON.stringify({
        settings: {
          listen_interfaces: `0.0.0.0:${port},[::]:${port}`,
          enable_dht: true,
          dht_restrict_routing_ips: false,
          dht_restrict_search_ips: false,
        },
        dht: nodes.slice(0, 4).map((node) => [node.host, node.port]),
      });
      const script = `${SOURCE}libtorrent_client.py`;
      const program = host.spawn(["/usr/bin/python3", script, order], {
        log: `${this.directory}/dht${i}.log`,
      });
      await program.printedMatch(/^ready/m);
      nodes.push({ host: host.ipv4, port });
    }
    return nodes;
  }

  dispose(): Promise<void> {
    return this.network.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** The port of a seeder. */
export function peerPort(index: number): number {
  return FIRST_PEER_PORT + 1 + index;
}

/** How the leecher learns of its peers. */
export type Discovery = "http" | "udp" | "websocket" | "direct" | "magnet" | "dht";

export interface SwarmOptions {
  seeder: Client;
  leecher: Client;
  mode: Mode;
  /** Where the two sides are to be told different things. */
  seederMode?: Mode;
  discovery: Discovery;
  family?: 4 | 6;
  /** Seeders at distinct addresses. */
  seeders?: number;
  length?: number;
  uploadLimit?: number;
  torrent?: Torrent;
  proxy?: Proxy;
}

export interface Swarm {
  torrent: Torrent;
  leecher: RunningClient;
  seeders: RunningClient[];
  trackers: Program[];
}

/**
 * Starts seeders on the outer hosts, then a leecher on the inner host; the tracker or the DHT's
 * first nodes are on the last outer host.
 */
export async function startSwarm(lab: Lab, options: SwarmOptions): Promise<Swarm> {
  const { mode, discovery, family = 4, seeders: count = 1, length = 1 << 20 } = options;
  const address = (host: Host) => family === 4 ? host.ipv4 : host.ipv6;
  const trackerHost = lab.outer[lab.outer.length - 1];
  const bracketed = family === 4 ? trackerHost.ipv4 : `[${trackerHost.ipv6}]`;
  const peers = lab.outer.slice(0, count).map((host, index) => ({
    host: address(host),
    port: peerPort(index),
  }));
  const everyoneAsks = discovery === "http" || discovery === "udp" || discovery === "magnet";
  const schemes: Partial<Record<Discovery, string>> = { udp: "udp", websocket: "ws" };
  const url = `${schemes[discovery] ?? "http"}://${bracketed}:${TRACKER_PORT}/announce`;
  // Without a tracker on the network, one inside the leecher's own namespace names the peers.
  const own = `http://127.0.0.1:${TRACKER_PORT}/announce`;
  // Not where that would be asked through a proxy, in the clear.
  const asksOwn = discovery === "direct" && options.proxy === undefined;
  const byWebSocket = discovery === "websocket";
  const trackers = everyoneAsks || byWebSocket ? [url] : asksOwn ? [own] : [];
  const torrent = options.torrent ?? createTorrent({ length, trackers });
  const started: Program[] = [];
  if (everyoneAsks) started.push(await lab.startTracker(trackerHost));
  if (byWebSocket) started.push(await lab.startWebSocketTracker(trackerHost));
  if (discovery === "direct" && !options.leecher.takesPeers) {
    started.push(await lab.startTracker(lab.inner, peers));
  }
  const dht = discovery === "dht" ? await lab.startDhtNodes([trackerHost], 12) : undefined;
  const common = { torrent, dht };
  const seeders: RunningClient[] = [];
  for (const [index, { port }] of peers.entries()) {
    seeders.push(
      await options.seeder.start({
        ...common,
        host: lab.outer[index],
        port,
        directory: await lab.newDirectory(`${options.seeder.name}-seed`),
        mode: options.seederMode ?? mode,
        role: "seed",
        uploadLimit: options.uploadLimit,
      }),
    );
  }
  const leecher = await options.leecher.start({
    ...common,
    host: lab.inner,
    port: FIRST_PEER_PORT,
    directory: await lab.newDirectory(`${options.leecher.name}-leech`),
    mode,
    role: "leech",
    magnet: discovery === "magnet",
    peers: discovery === "direct" ? peers : undefined,
    proxy: options.proxy,
  });
  return { torrent, leecher, seeders, trackers: started };
}
