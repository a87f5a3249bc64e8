/** One router between a client and a server, in namespaces of its own; each contender has one. */

import { fileURLToPath } from "node:url";
import { type Host, Network } from "../../../src/demo/network.ts";
import type { Program } from "../../../src/demo/program.ts";

export const IPERF_PORT = 5201;
export const HTTP_PORT = 8080;
export const ECHO_PORT = 9000;
/** The exchanges of openings.ts: on ports that are not whitelisted by default, and on one that is. */
export const TLS_PORT = 8443;
export const UNKNOWN_PORT = 7777;
export const JUDGED_PORT = 7778;
export const QUIC_PORT = 8443;
export const WHITELISTED_TLS_PORT = 443;
export const WHITELISTED_DNS_PORT = 53;
const EXCHANGE_SERVERS = [
  ["tls", TLS_PORT],
  ["tls", WHITELISTED_TLS_PORT],
  ["unknown", UNKNOWN_PORT],
  ["judged", JUDGED_PORT],
  ["quic", QUIC_PORT],
  ["dns", WHITELISTED_DNS_PORT],
] as const;

const HERE = fileURLToPath(new URL("./", import.meta.url));
const READY_TIMEOUT_MS = 15_000;

export class Bed implements AsyncDisposable {
  private offload = true;
  /** Seconds of processor time of what stands in the router, and packets that it has judged. */
  spent: () => Promise<{ seconds: number; judged: number }> = () =>
    Promise.resolve({ seconds: 0, judged: 0 });

  private constructor(
    readonly network: Network,
    readonly client: Host,
    readonly server: Host,
  ) {}

  /** Whether the two ends stay each on a core of its own, wherever the scheduler would have them. */
  static pinned = false;

  static async create(): Promise<Bed> {
    const network = await Network.create("bench");
    try {
      const client = await network.addHost("client");
      const server = await network.addHost("server");
      const bed = new Bed(network, client, server);
      await bed.prepare();
      return bed;
    } catch (error) {
      await network.dispose();
      throw error;
    }
  }

  get router(): Host {
    return this.network.router;
  }

  /** Where the flood goes: answered by nobody, not even by the server's ICMP. */
  private async prepare(): Promise<void> {
    const { client, server, router } = this;
    await router.run(["ip", "route", "add", "10.0.0.0/8", "via", server.ipv4]);
    await server.run(["ip", "route", "add", "blackhole", "10.0.0.0/8"]);
    await client.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65535"]);
    const spawn = (command: string[], name: string) =>
      server.spawn(onCore(1, command), { log: `${this.network.directory}/${name}.log` });
    spawn(["iperf3", "-s", "-p", `${IPERF_PORT}`], "iperf3");
    const http = spawn(denoCommand("server.ts", "http", HTTP_PORT), "http");
    const echo = spawn(denoCommand("server.ts", "udp", ECHO_PORT), "echo");
    await http.printedMatch(/ready/, READY_TIMEOUT_MS);
    await echo.printedMatch(/ready/, READY_TIMEOUT_MS);
    for (const [exchange, port] of EXCHANGE_SERVERS) {
      const command = denoCommand("server.ts", exchange, port);
      await spawn(command, `${exchange}${port}`).printedMatch(/ready/, READY_TIMEOUT_MS);
    }
  }

  /** Segmentation offload on all interfaces; without it every packet is of the MTU's size. */
  async setOffload(on: boolean): Promise<void> {
    if (on === this.offload) return;
    this.offload = on;
    const word = on ? "on" : "off";
    const { client, server, router } = this;
    const interfaces = [
      [client, "eth0"],
      [server, "eth0"],
      [router, client.routerInterface],
      [router, server.routerInterface],
    ] as const;
    for (const [host, name] of interfaces) {
      await host.run(["ethtool", "-K", name, "tso", word, "gso", word, "gro", word]);
    }
  }

  /** Runs one of the load programs on the client and gives what it prints. */
  load(timeoutMs: number, script: string, ...args: (string | number)[]): Promise<string> {
    return this.runOnClient(denoCommand(script, ...args), timeoutMs);
  }

  runOnClient(command: readonly string[], timeoutMs: number): Promise<string> {
    return this.client.run(onCore(0, command), timeoutMs);
  }

  /** Inode of the router's namespace, which names the blocker's control socket. */
  get routerInode(): number {
    return Deno.statSync(`/run/netns/${this.router.namespace}`).ino!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network.dispose();
  }
}

/** Starts something in a bed's router. */
export function spawnInRouter(
  bed: Bed,
  command: readonly string[],
  env: Record<string, string>,
): Program {
  return bed.router.spawn(command, { log: `${bed.network.directory}/gateway.log`, env });
}

function onCore(core: number, command: readonly string[]): string[] {
  return Bed.pinned ? ["taskset", "--cpu-list", `${core}`, ...command] : [...command];
}

function denoCommand(script: string, ...args: (string | number)[]): string[] {
  return [Deno.execPath(), "run", "--quiet", "-A", `${HERE}${script}`, ...args.map(String)];
}
