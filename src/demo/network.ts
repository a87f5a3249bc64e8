/**
 * A small routed network in network namespaces: hosts, each on a link of its own to one router.
 * The demo shows the blocker in it, the tests run real clients in it. Nothing in it can reach the
 * machine's own networks, and everything in it is gone after {@link Network.dispose}, also after an
 * interrupt. Needs root and iproute2.
 */

import { EnvironmentError } from "../errors.ts";
import { output, Program, type ProgramOptions } from "./program.ts";

/** Where `ip netns` keeps the handles of named namespaces. */
const HANDLES = "/run/netns";

export interface HostOptions {
  /** IPv4 address of the host; the router is `.1` of its /24. Default `198.18.n.2`. */
  ipv4?: string;
  /** IPv6 address of the host; the router is `::1` of its /64. Default `2001:db8:n::2`. */
  ipv6?: string;
  /** Segmentation and checksum offload of the link; off gives packets as they are on a cable. */
  offload?: boolean;
}

/** One namespace: a host behind the router, or the router itself. */
export class Host {
  constructor(
    readonly name: string,
    /** Its name for `ip netns`. */
    readonly namespace: string,
    readonly ipv4: string,
    readonly ipv6: string,
    private readonly network: Network,
  ) {}

  /** The interface of the router that leads to this host. */
  get routerInterface(): string {
    return `to_${this.name}`;
  }

  /** The command line that runs `command` with this host's network and everything else as it is. */
  inside(command: readonly string[]): string[] {
    return ["nsenter", `--net=${HANDLES}/${this.namespace}`, ...command];
  }

  /** Starts a program that ends with the network at the latest. */
  spawn(command: readonly string[], options: ProgramOptions = {}): Program {
    // The kernel ends it when the thread that started it dies, so that not even SIGKILL leaves it.
    const program = new Program(
      this.inside(["setpriv", "--pdeathsig", "KILL", ...command]),
      options,
    );
    this.network.adopt(program);
    return program;
  }

  /** Runs a command to its end and gives its standard output; throws when it fails. */
  run(command: readonly string[], timeoutMs = 20_000): Promise<string> {
    return output(this.inside(command), timeoutMs);
  }
}

/** Hosts and a router; see the file's comment. */
export class Network implements AsyncDisposable {
  readonly hosts: Host[] = [];
  readonly router: Host;
  private readonly programs = new Set<Program>();
  private disposing: Promise<void> | null = null;

  private constructor(
    private readonly prefix: string,
    /** For what the programs write; removed with the network. */
    readonly directory: string,
  ) {
    this.router = new Host("router", `${prefix}-router`, "", "", this);
    guardAgainstInterrupts(this);
  }

  /** An empty network with a forwarding router. `label` begins the names of its namespaces. */
  static async create(label: string): Promise<Network> {
    if (Deno.uid() !== 0) {
      throw new EnvironmentError("Cannot create network namespaces: not root", "run as root");
    }
    // The process id tells networks of several processes apart, the counter those of one.
    const directory = await Deno.makeTempDir({ prefix: "btblocker-" });
    const network = new Network(`${label}${Deno.pid}-${created++}`, directory);
    try {
      await network.addNamespace(network.router);
      await network.router.run(["sysctl", "-qw", ...FORWARDING]);
    } catch (cause) {
      await network.dispose();
      throw cause;
    }
    return network;
  }

  /** Adds a host with a link to the router, addresses and default routes. */
  async addHost(name: string, options: HostOptions = {}): Promise<Host> {
    const number = this.hosts.length + 1;
    const ipv4 = options.ipv4 ?? `198.18.${number}.2`;
    const ipv6 = options.ipv6 ?? `2001:db8:${number}::2`;
    const host = new Host(name, `${this.prefix}-${name}`, ipv4, ipv6, this);
    this.hosts.push(host);
    await this.addNamespace(host);
    const link = host.routerInterface;
    const gateway4 = ipv4.replace(/\d+$/, "1");
    const gateway6 = ipv6.replace(/[0-9a-f]+$/, "1");
    const { namespace } = host;
    const router = this.router.namespace;
    await output(
      ["ip", "-n", router, "link", "add", link, "type", "veth", "peer", "eth0", "netns", namespace],
    );
    // Duplicate address detection would keep the addresses unusable for a second; and the router's own
    // link-local ones, without which it looks for no neighbour.
    for (const [where, device] of [[this.router, link], [host, "eth0"]] as const) {
      await where.run(["sysctl", "-qw", `net.ipv6.conf.${device}.accept_dad=0`]);
    }
    if (options.offload === false) {
      for (const [where, name] of [[this.router, link], [host, "eth0"]] as const) {
        await where.run(["ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off"]);
        await where.run(["ethtool", "-K", name, "tx", "off", "rx", "off"]);
      }
    }
    await output(["ip", "-n", namespace, "address", "add", `${ipv4}/24`, "dev", "eth0"]);
    await output(["ip", "-n", namespace, "address", "add", `${ipv6}/64`, "dev", "eth0"]);
    await output(["ip", "-n", router, "address", "add", `${gateway4}/24`, "dev", link]);
    await output(["ip", "-n", router, "address", "add", `${gateway6}/64`, "dev", link]);
    await output(["ip", "-n", router, "link", "set", link, "up"]);
    await output(["ip", "-n", namespace, "link", "set", "eth0", "up"]);
    await output(["ip", "-n", namespace, "route", "add", "default", "via", gateway4]);
    await output(["ip", "-n", namespace, "-6", "route", "add", "default", "via", gateway6]);
    await this.linkUp(host);
    return host;
  }

  /** Makes `program` end with the network. */
  adopt(program: Program): void {
    this.programs.add(program);
    program.status.then(() => this.programs.delete(program));
  }

  /** Ends the programs that are still running, then removes the namespaces. Twice is harmless. */
  dispose(): Promise<void> {
    return this.disposing ??= this.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  private async addNamespace(host: Host): Promise<void> {
    await output(["ip", "netns", "add", host.namespace]);
    await output(["ip", "-n", host.namespace, "link", "set", "lo", "up"]);
  }

  /** The kernel notices a carrier up to a second late, and libtorrent listens only where one is. */
  private async linkUp(host: Host): Promise<void> {
    const deadline = performance.now() + 5_000;
    while (performance.now() < deadline) {
      const link = await output(["ip", "-n", host.namespace, "-o", "link", "show", "eth0"]);
      if (/ state UP /.test(link)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Synchronous, so that it also works while the process is being ended. */
  private remove(): void {
    for (const { namespace } of [...this.hosts, this.router]) {
      new Deno.Command("ip", { args: ["netns", "delete", namespace], stderr: "null" }).outputSync();
    }
    try {
      Deno.removeSync(this.directory, { recursive: true });
    } catch {
      // A program that is just being ended may still write; what is left lies in /tmp.
    }
  }

  /** Ends the programs at once, without time to put things back. */
  killAll(): void {
    for (const program of this.programs) program.kill("SIGKILL");
  }

  private async end(): Promise<void> {
    await Promise.all([...this.programs].map((program) => program.stop()));
    this.remove();
    releaseFromInterrupts(this);
  }
}

/** Networks of this process that still stand. */
const standing = new Set<Network>();
let interrupted = false;
const onInterrupt = () => leave(130);
const onTerminate = () => leave(143);

function guardAgainstInterrupts(network: Network): void {
  standing.add(network);
  if (standing.size > 1) return;
  Deno.addSignalListener("SIGINT", onInterrupt);
  Deno.addSignalListener("SIGTERM", onTerminate);
}

function releaseFromInterrupts(network: Network): void {
  standing.delete(network);
  if (standing.size > 0 || interrupted) return;
  Deno.removeSignalListener("SIGINT", onInterrupt);
  Deno.removeSignalListener("SIGTERM", onTerminate);
}

/** Programs get their time to put things back; a second interrupt does not wait for them. */
async function leave(exitCode: number): Promise<void> {
  if (interrupted) {
    for (const network of standing) network.killAll();
    return;
  }
  interrupted = true;
  // Again while there are any: what is interrupted may be about to build the next one.
  while (standing.size > 0) {
    await Promise.allSettled([...standing].map((network) => network.dispose()));
  }
  Deno.exit(exitCode);
}

let created = crypto.getRandomValues(new Uint16Array(1))[0]; // several threads of one process count

const FORWARDING = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
