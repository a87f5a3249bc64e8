/**
 * Where an innocent program is watched: a router with the blocker, behind it the user of the program
 * and a host that torrents with forced encryption all the while, before it the peers of the one and
 * the servers of the other.
 */

import assert from "node:assert/strict";
import { type Host, Network } from "../../../src/demo/network.ts";
import type { Program } from "../../../src/demo/program.ts";
import { output } from "../../../src/demo/program.ts";
import { createTorrent } from "../../../src/demo/torrent.ts";
import { FIRST_PEER_PORT, type Mode, type RunningClient } from "../../lab/client.ts";
import { libtorrent } from "../../lab/clients/libtorrent.ts";
import { until } from "../../until.ts";
import { Blocker, type LoggedDetection } from "../blocker.ts";

/**
 * Who torrents: a host of its own beside the user's; the user's own; or one that has the same
 * address as the user behind a translating router.
 */
export type Torrenter = "beside" | "same host" | "shared address";

const OUTER = 4;
const TORRENT_LENGTH = 4 << 20;
/** The router of the home whose hosts share an address. */
const SHARED = "198.18.100.2";

/** The log's line of a detection, with its ports. */
export interface Detection extends LoggedDetection {
  src_port: number;
  dest_port: number;
}

export class Stage implements AsyncDisposable {
  /** Addresses of the programs' servers. */
  readonly servers: string[] = [];
  private recorder: Program | null = null;
  /** The clients of who torrents. */
  private leechers: RunningClient[] = [];

  private constructor(
    readonly network: Network,
    private readonly home: Network | null,
    readonly torrenter: Torrenter,
    /** Uses the program. */
    readonly user: Host,
    readonly outer: readonly Host[],
    readonly blocker: Blocker,
    /** The addresses by which the router sees the user and who torrents. */
    readonly seen: { user: string; torrenter: string },
  ) {}

  /** Builds it and waits until who torrents has been detected. */
  static async create(torrenter: Torrenter): Promise<Stage> {
    const network = await Network.create("innocents");
    let home: Network | null = null;
    try {
      const outer: Host[] = [];
      for (let i = 1; i <= OUTER; i++) outer.push(await network.addHost(`outer${i}`));
      if (torrenter === "shared address") home = await Network.create("innocentshome");
      const inside = home ?? network;
      // Of no reserved network: i2pd talks to none of those.
      const place = (third: number) => ({ ipv4: `203.1.${third}.2`, ipv6: `fd77:${third}::2` });
      const user = await inside.addHost("user", place(1));
      const other = torrenter === "same host" ? user : await inside.addHost("torrenter", place(2));
      const interfaces = network.hosts.map((host) => host.routerInterface);
      if (home !== null) interfaces.push(await joinTranslated(network, home));
      const settings: Record<string, string> = { BAN_DURATION: "2" }; // it torrents again and again
      // Several behind one address are told apart by ports (docs/campus-vlans.md).
      if (torrenter !== "beside") settings.BAN_SCOPE = "endpoint";
      const blocker = await Blocker.start(network.router, interfaces, network.directory, settings);
      const address = (host: Host) => home === null ? host.ipv4 : SHARED;
      const seen = { user: address(user), torrenter: address(other) };
      const stage = new Stage(network, home, torrenter, user, outer, blocker, seen);
      await stage.torrent(other);
      await stage.record(interfaces[interfaces.length - (torrenter === "beside" ? 2 : 1)]);
      return stage;
    } catch (cause) {
      await home?.dispose();
      await network.dispose();
      throw cause;
    }
  }

  get directory(): string {
    return this.network.directory;
  }

  /** A new directory that every program may read. */
  async newDirectory(name: string): Promise<string> {
    const path = await Deno.makeTempDir({ dir: this.directory, prefix: `${name}-` });
    await Deno.chmod(path, 0o755);
    return path;
  }

  /** A further address of an outer host for a server, in a network of its own. */
  async serverAddress(host: Host): Promise<string> {
    const address = `203.0.${this.servers.length + 1}.7`;
    this.servers.push(address);
    await host.run(["ip", "address", "add", `${address}/32`, "dev", "lo"]);
    await this.network.router.run(["ip", "route", "add", `${address}/32`, "via", host.ipv4]);
    return address;
  }

  /** Everything that was detected of the user or of a server. */
  async wronged(): Promise<Detection[]> {
    const all = await this.blocker.detections() as Detection[];
    return all.filter((detection) =>
      this.servers.includes(detection.src_ip) || this.servers.includes(detection.dest_ip) ||
      (this.torrenter === "beside" &&
        [detection.src_ip, detection.dest_ip].includes(this.seen.user))
    );
  }

  /** How often who torrents was detected so far. */
  async detectionsOfTorrenter(): Promise<number> {
    return (await this.ofTorrenter()).length;
  }

  /**
   * Who torrents begins anew, with nothing: a client that was cut off from its peers again and again
   * calls them more and more seldom, one whose bans were so short that it has all by now says nothing,
   * and neither is detected meanwhile.
   */
  async torrentAgain(): Promise<void> {
    this.leechers = await Promise.all(this.leechers.map(async ({ program, options }) => {
      await program.stop();
      return libtorrent.start({ ...options, directory: await this.newDirectory("leech") });
    }));
  }

  /**
   * The program has done what it does: nothing of it was detected, nobody of it banned. Also stops
   * the blocker.
   */
  async assertUntouched(): Promise<void> {
    const { blocker, seen } = this;
    assert.deepEqual(await this.wronged(), []);
    const wronged = this.torrenter === "beside" ? [seen.user, ...this.servers] : this.servers;
    const logged = [...await blocker.banned()].filter((target) => names(target, wronged));
    assert.deepEqual(logged, [], "bans by the log");
    const listed = await blocker.command("bans", "list", "--json");
    for (const address of wronged) assert(!listed.includes(address), `banned: ${listed}`);
    const { counters } = JSON.parse(await blocker.command("status", "--json"));
    assert(counters.payloadPackets > 0, "no packet was judged");
    assert.equal((await blocker.stop()).code, 0, blocker.log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recorder?.stop("SIGINT");
    await this.home?.dispose();
    await this.network.dispose();
  }

  private async ofTorrenter(): Promise<Detection[]> {
    const wronged = new Set((await this.wronged()).map((row) => JSON.stringify(row)));
    const all = await this.blocker.detections() as Detection[];
    return all.filter((row) =>
      [row.src_ip, row.dest_ip].includes(this.seen.torrenter) && !wronged.has(JSON.stringify(row))
    );
  }

  /** Has `leecher` torrent from all outer hosts: over forced RC4, and in the open beside that. */
  private async torrent(leecher: Host): Promise<void> {
    const modes: Mode[] = this.torrenter === "beside" ? ["mse-rc4"] : ["mse-rc4", "tcp"];
    for (const [index, mode] of modes.entries()) {
      const port = FIRST_PEER_PORT + index * (OUTER + 1);
      this.leechers.push(await startSwarm(this, leecher, mode, port));
    }
    const methods = this.torrenter === "beside" ? ["mse"] : ["mse", "peer-wire"];
    await until(
      async () => {
        const found = (await this.ofTorrenter()).map(({ method }) => method);
        return methods.every((method) => found.includes(method));
      },
      () => `who torrents was not detected by ${methods.join(", ")}\n${this.blocker.log}`,
    );
  }

  /** With INNOCENTS_CAPTURE=DIR: what passes the user's link of the router, for a look afterwards. */
  private async record(link: string): Promise<void> {
    const directory = Deno.env.get("INNOCENTS_CAPTURE");
    if (directory === undefined) return;
    const path = `${directory}/${this.torrenter.replace(" ", "-")}-${Date.now()}.pcap`;
    const tcpdump = ["tcpdump", "-i", link, "-s", "0", "-U", "-Z", "root", "-w", path];
    this.recorder = this.network.router.spawn(tcpdump);
    await this.recorder.printedMatch(/listening on/);
  }
}

/** Seeders on the outer hosts, then a leecher that is given them. */
async function startSwarm(
  stage: Stage,
  leecher: Host,
  mode: Mode,
  port: number,
): Promise<RunningClient> {
  const torrent = createTorrent({ length: TORRENT_LENGTH, name: `${mode}.bin` });
  const peers = stage.outer.map(({ ipv4 }, index) => ({ host: ipv4, port: port + 1 + index }));
  await Promise.all(stage.outer.map(async (host, index) =>
    libtorrent.start({
      ...{ host, torrent, mode, role: "seed", port: peers[index].port },
      directory: await stage.newDirectory("seed"),
    })
  ));
  const directory = await stage.newDirectory("leech");
  return await libtorrent.start({
    ...{ host: leecher, torrent, mode, role: "leech", port, peers, directory },
  });
}

/** Joins a home to a network by one translated address; gives the network's interface to it. */
async function joinTranslated(network: Network, home: Network): Promise<string> {
  const [outside, inside] = [network.router, home.router];
  const link = "to_home";
  await output([
    ...["ip", "-n", outside.namespace, "link", "add", link, "type", "veth"],
    ...["peer", "name", "uplink", "netns", inside.namespace],
  ]);
  const gateway = SHARED.replace(/\d+$/, "1");
  for (
    const [host, name, address] of [[outside, link, gateway], [inside, "uplink", SHARED]] as const
  ) {
    await host.run(["ip", "address", "add", `${address}/24`, "dev", name]);
    await host.run(["ip", "link", "set", name, "up"]);
  }
  await inside.run(["ip", "route", "add", "default", "via", gateway]);
  const translate = ["-t", "nat", "-A", "POSTROUTING", "-o", "uplink", "-j", "MASQUERADE"];
  await inside.run(["iptables", "-w", "10", ...translate]);
  return link;
}

/** Whether a ban's target (an address, one with a port, a network) begins with one of these. */
function names(target: string, addresses: readonly string[]): boolean {
  return addresses.some((address) => target === address || target.startsWith(`${address}:`));
}
