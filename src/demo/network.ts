/**
 * A small routed network in network namespaces: hosts, each on a link of its own to one router.
 * The demo shows the blocker in it, the tests run real clients in it. Nothing in it can reach the
 * machine's own networks, and everything in it is gone after {@link Network.dispose}, also after an
 * interrupt; what a killed process leaves goes with the next network. Needs root and iproute2.
 */

import { EnvironmentError } from "../errors.ts";
import { output, Program, type ProgramOptions } from "./program.ts";

/** Where `ip netns` keeps the handles of named namespaces. */
const HANDLES = "/run/netns";

/** For programs to put things back at the end of the network; nobody waits for what they leave. */
const GRACE_MS = 2_000;

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
  run(command: readonly string[], timeoutMs?: number): Promise<string> {
    return output(this.inside(command), timeoutMs);
  }

  /** Writes numbers below /proc/sys/net, which are this network's: what sysctl does, if it is there. */
  async setKernel(values: Readonly<Record<string, number>>): Promise<void> {
    const writes = Object.entries(values).map(([name, value]) =>
      `echo ${value} > /proc/sys/net/${name}`
    );
    await this.run(["sh", "-c", writes.join(" && ")]);
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
    // The process id tells networks of several processes apart, the counter those of one, whose
    // threads each begin at a number of their own.
    removeAbandoned(label);
    const name = `${label}${Deno.pid}-${created++ % 2 ** 32}`;
    const directory = await Deno.makeTempDir({ prefix: `btblocker-${name}-` });
    const network = new Network(name, directory);
    try {
      await network.addNamespace(network.router);
      await network.router.setKernel(FORWARDING);
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
      await where.setKernel({ [`ipv6/conf/${device}/accept_dad`]: 0 });
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
    // Started by what has not noticed yet that the network is going.
    if (this.disposing !== null) program.kill("SIGKILL");
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
    const deadline = performance.now() + 30_000;
    while (performance.now() < deadline) {
      const link = await output(["ip", "-n", host.namespace, "-o", "link", "show", "eth0"]);
      if (/ state UP /.test(link)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Synchronous, so that it also works while the process is being ended. */
  private remove(): void {
    for (const { namespace } of [...this.hosts, this.router]) deleteNamespace(namespace);
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
    await Promise.all([...this.programs].map((program) => program.stop("SIGTERM", GRACE_MS)));
    this.remove();
    releaseFromInterrupts(this);
  }
}

/** Networks of this thread that still stand. */
const standing = new Set<Network>();
let interrupted = false;

/** Exit codes of a shell: 128 and the signal's number. */
const INTERRUPTS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const listeners = Object.entries(INTERRUPTS)
  .map(([signal, exitCode]) => [signal as keyof typeof INTERRUPTS, () => leave(exitCode)] as const);

function guardAgainstInterrupts(network: Network): void {
  standing.add(network);
  if (standing.size > 1) return;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
}

function releaseFromInterrupts(network: Network): void {
  standing.delete(network);
  if (standing.size > 0 || interrupted) return;
  for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
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
  // The end of this process is that of its other threads too, which may have networks (tests).
  const isOfThisProcess = (pid: number) => pid === Deno.pid;
  const deadline = performance.now() + 2 * GRACE_MS;
  while (namespacesOf("[a-z]+", isOfThisProcess).length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  removeAll("[a-z]+", isOfThisProcess);
  Deno.exit(exitCode);
}

/** Labels whose abandoned networks this thread has removed. */
const swept = new Set<string>();

/** Removes the networks of processes that have ended without: killed, or crashed. */
function removeAbandoned(label: string): void {
  if (swept.has(label)) return;
  swept.add(label);
  removeAll(label, (pid) => !isAlive(pid));
}

function removeAll(label: string, isWanted: (pid: number) => boolean): void {
  for (const namespace of namespacesOf(label, isWanted)) deleteNamespace(namespace);
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  for (const name of namesIn(temporary, `btblocker-${label}`, isWanted)) {
    try {
      Deno.removeSync(`${temporary}/${name}`, { recursive: true });
    } catch {
      // Another thread has been faster.
    }
  }
}

function namespacesOf(label: string, isWanted: (pid: number) => boolean): string[] {
  return namesIn(HANDLES, label, isWanted);
}

/** Names of networks with this label (a pattern) and of these processes. */
function namesIn(directory: string, label: string, isWanted: (pid: number) => boolean): string[] {
  const pattern = new RegExp(`^${label}(\\d+)-\\d+-\\w+$`);
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => {
      const pid = pattern.exec(name)?.[1];
      return pid !== undefined && isWanted(Number(pid));
    });
  } catch {
    return []; // nobody has made a namespace yet
  }
}

function isAlive(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}

/** Synchronous, so that it also works while the process is being ended. Twice is harmless. */
function deleteNamespace(name: string): void {
  new Deno.Command("ip", { args: ["netns", "delete", name], stderr: "null" }).outputSync();
}

let created = crypto.getRandomValues(new Uint32Array(1))[0];

const FORWARDING = { "ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1 };
