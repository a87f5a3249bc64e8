/**
 * The bed of the live tests: a user who downloads, a server, a host that attacks and one that is
 * attacked, and the blocker in the router between them.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { type Host, Network } from "../../src/demo/network.ts";
import { randomBytes } from "../../src/demo/torrent.ts";
import type { Status } from "../../src/status/status.ts";
import { Blocker } from "../e2e/blocker.ts";
import { liveImpossible } from "../gateway/live.ts";
import { until } from "../until.ts";
import { startFileServer } from "../lab/file_server.ts";
import { ip, UDP, udp } from "./packets.ts";
import type { Order } from "./programs/sender.ts";

export const impossible = liveImpossible("iptables", "curl", "conntrack");
if (impossible !== null) console.log(`tests/robustness: skipped: ${impossible}`);

/** Long forms (nightly): `deno task test:robustness`. */
export const isLong = Deno.env.get("ROBUSTNESS") === "long";

const SENDER = fileURLToPath(new URL("./programs/sender.ts", import.meta.url));
const PORT = 8_000;
const FILE_LENGTH = 30 << 20;

export class Bed implements AsyncDisposable {
  #blocker: Blocker | null = null;

  private constructor(
    readonly network: Network,
    readonly user: Host,
    readonly server: Host,
    readonly attacker: Host,
    readonly target: Host,
    readonly mac: string,
    readonly checksum: string,
  ) {}

  static async create(): Promise<Bed> {
    const network = await Network.create("btro");
    try {
      const user = await network.addHost("user");
      const server = await network.addHost("server");
      const attacker = await network.addHost("attacker");
      const target = await network.addHost("target");
      // Answers to forged addresses end at the attacker's link; the target answers nothing.
      await network.router.run([
        ...["ip", "route", "add", "10.0.0.0/8", "via", attacker.ipv4],
      ]);
      await target.run(["iptables", "-w", "-P", "INPUT", "DROP"]);
      const content = randomBytes(FILE_LENGTH);
      const file = `${network.directory}/file`;
      await Deno.writeFile(file, content);
      await startFileServer(network, server, PORT, file);
      const link = await network.router.run(["ip", "-o", "link", "show", attacker.routerInterface]);
      const mac = /link\/ether (\S+)/.exec(link)![1];
      const checksum = createHash("sha256").update(content).digest("hex");
      return new Bed(network, user, server, attacker, target, mac, checksum);
    } catch (error) {
      await network.dispose();
      throw error;
    }
  }

  get router(): Host {
    return this.network.router;
  }

  get blocker(): Blocker {
    assert(this.#blocker !== null);
    return this.#blocker;
  }

  /** Starts the blocker, or another one. */
  async start(settings: Record<string, string> = {}): Promise<Blocker> {
    const interfaces = this.network.hosts.map((host) => host.routerInterface);
    const { directory } = this.network;
    const common = { QUEUE_COUNT: "2", DETECTION_LOG: "", LOG_LEVEL: "info" };
    return this.#blocker = await Blocker.start(this.router, interfaces, directory, {
      ...common,
      ...settings,
    });
  }

  async status(): Promise<Status> {
    let text = "";
    await until(async () => {
      text = await this.blocker.command("status", "--json").catch((error: Error) => {
        // With a hundred thousand detections to tell of, it is late on a busy machine.
        if (!error.message.includes("is it hanging?")) throw error;
        return "";
      });
      return text !== "";
    });
    return JSON.parse(text);
  }

  /** The status as soon as it is as wanted; a packet takes its time to be judged on a busy machine. */
  async settled(isSo: (status: Status) => boolean): Promise<Status> {
    let status = await this.status();
    await until(
      async () => isSo(status) || isSo(status = await this.status()),
      () => JSON.stringify(status),
    );
    return status;
  }

  /** The status when every packet that was queued is counted: judged, or passed unjudged. */
  async accounted(): Promise<Status> {
    // Gaps in the packet ids tell of those that passed: some packets more in each queue show the last.
    // They are of nobody who is banned, and begin as KRPC does, so that the kernel's first look leaves them.
    const last = Array.from({ length: 64 }, (_, i) => {
      const ends = { source: `10.255.255.${i + 1}`, destination: this.target.ipv4 };
      const noise = new TextEncoder().encode("d1:a nothing of the DHT");
      return ip({ ...ends, protocol: UDP }, udp(1_024 + i * 7, 8_080 + i, noise, ends));
    });
    await this.sendPackets(...last);
    let [counted, queued] = [0, 0];
    const isAccounted = async ({ counters }: Status) => {
      counted = counters.packets + counters.unjudged;
      return counted === (queued = await this.queuedPackets());
    };
    let status = await this.status();
    await until(
      async () => await isAccounted(status) || await isAccounted(status = await this.status()),
      () => `${queued} packets were queued, ${counted} are counted`,
    );
    return status;
  }

  /** Packets that the rules have sent to the queues since the blocker has started. */
  async queuedPackets(): Promise<number> {
    let sum = 0;
    for (const command of ["iptables-save", "ip6tables-save"]) {
      const saved = await this.router.run([command, "-c"]);
      for (const [, count] of saved.matchAll(/^\[(\d+):\d+\] -A BTBLOCKER_QUEUE .*-j NFQUEUE/gm)) {
        sum += Number(count);
      }
    }
    return sum;
  }

  /** Downloads the file; throws when it is not what the server has. Seconds it took. */
  async download(rate = "100M", seconds = 300): Promise<number> {
    const began = performance.now();
    const url = `http://${this.server.ipv4}:${PORT}/`;
    const fetch = `curl -sf --limit-rate ${rate} -m ${seconds} ${url} | sha256sum`;
    const printed = await this.user.run(["sh", "-c", fetch], (seconds + 5) * 1000);
    assert.equal(printed.split(" ")[0], this.checksum, "the download is damaged or cut");
    return (performance.now() - began) / 1000;
  }

  /** Has the attacker, or another host, send; how many frames it has sent. */
  async send(
    order: Omit<Order, "mac" | "destination"> & Partial<Order>,
    from: Host = this.attacker,
  ): Promise<number> {
    const whole: Order = { mac: this.mac, destination: this.target.ipv4, ...order };
    const command = [Deno.execPath(), "run", "--quiet", "-A", SENDER, JSON.stringify(whole)];
    return Number(await from.run(command, 600_000));
  }

  /** Frames of one's own, from the IP header on, sent once each by the attacker. */
  async sendPackets(...packets: Uint8Array[]): Promise<void> {
    await this.sendPacketsFrom(this.attacker, ...packets);
  }

  /** The same by another host: what it puts on its link, whoever it says it is. */
  async sendPacketsFrom(host: Host, ...packets: Uint8Array[]): Promise<void> {
    const link = await this.router.run(["ip", "-o", "link", "show", host.routerInterface]);
    const mac = /link\/ether (\S+)/.exec(link)![1];
    const hex = packets.map((packet) => packet.toHex());
    await this.send({ kind: "frames", count: 0, rate: 0, packets: hex, mac }, host);
  }

  /** Addresses and endpoints that are banned. */
  async banned(): Promise<string[]> {
    const listed = await this.blocker.command("bans", "list", "--json");
    return listed.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).address);
  }

  /** Resident memory of the blocker, MiB. */
  memory(): number {
    return readStatus(this.pid, "VmRSS") / 1024;
  }

  /** Its open descriptors. */
  descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.pid}/fd`)].length;
  }

  /** The blocker's own process: nsenter, setpriv and setsid have become it. */
  get pid(): number {
    return this.blocker.program.pid;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network.dispose();
  }
}

/** A number of /proc/PID/status. */
export function readStatus(pid: number, field: string): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(text)![1]);
}
