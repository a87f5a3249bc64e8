/**
 * Two hosts in network namespaces for the tests of the XDP filter: `gateway`, where it runs, and
 * `outside`, which talks to it. They have a mount namespace of their own too, with a bpffs and a
 * /run/btblocker that nobody else sees and that outlive the filter's process.
 */
import { fileURLToPath } from "node:url";
import { until } from "../until.ts";
import { DEFAULT_SETTINGS, type FilterSettings } from "./filter_process.ts";
import { bpfImpossible } from "./possible.ts";

export type HostName = "gateway" | "outside";

const here = fileURLToPath(new URL("./", import.meta.url));
const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
let created = crypto.getRandomValues(new Uint32Array(1))[0]; // several threads of one process count

/** Why the tests with namespaces cannot run; null if they can. */
export const namespaceProblem: string | null = bpfImpossible ?? (() => {
  try {
    const args = ["--mount", "--net", "true"];
    const { success } = new Deno.Command("unshare", { args, stderr: "null" }).outputSync();
    return success ? null : "no right to create namespaces";
  } catch (error) {
    return (error as Error).message;
  }
})();

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Namespaces implements AsyncDisposable {
  readonly #prefix = `bt${Deno.pid}x${created++}`;
  readonly #names: HostName[] = [];
  readonly #processes: Deno.ChildProcess[] = [];
  readonly #holder: Deno.ChildProcess;

  private constructor() {
    const script = "mount -t bpf bpf /sys/fs/bpf && mkdir -p /run/btblocker && " +
      "mount -t tmpfs tmpfs /run/btblocker && echo && exec sleep infinity";
    this.#holder = new Deno.Command("unshare", {
      args: ["--mount", "--propagation", "private", "sh", "-c", script],
      stdout: "piped",
    }).spawn();
  }

  static async create(): Promise<Namespaces> {
    const namespaces = new Namespaces();
    try {
      const reader = namespaces.#holder.stdout.getReader();
      await reader.read();
      await reader.cancel();
      for (const name of ["gateway", "outside"] as const) {
        await run("ip", "netns", "add", namespaces.#netns(name));
        namespaces.#names.push(name);
        await namespaces.ip(name, "link", "set", "lo", "up");
      }
      return namespaces;
    } catch (error) {
      await namespaces[Symbol.asyncDispose]();
      throw error;
    }
  }

  #netns(name: HostName): string {
    return `${this.#prefix}${name}`;
  }

  /** `ip …` in a host; throws where it fails. */
  async ip(host: HostName, ...args: string[]): Promise<string> {
    return await run("ip", "-n", this.#netns(host), ...args);
  }

  /** A veth pair between the hosts, named alike on both sides, up, with the gateway's addresses. */
  async connect(name: string, addresses: { gateway: string[]; outside: string[] }): Promise<void> {
    const peer = ["peer", "name", name, "netns", this.#netns("outside")];
    await this.ip("gateway", "link", "add", name, "type", "veth", ...peer);
    for (const host of ["gateway", "outside"] as const) {
      for (const address of addresses[host]) {
        await this.ip(host, "address", "add", address, "dev", name, "nodad");
      }
      await this.ip(host, "link", "set", name, "up");
    }
  }

  /** The command line that runs a command in a host, with the hosts' mount namespace. */
  inside(host: HostName, command: readonly string[]): string[] {
    const mount = `--mount=/proc/${this.#holder.pid}/ns/mnt`;
    return ["nsenter", mount, `--net=/run/netns/${this.#netns(host)}`, "--", ...command];
  }

  /** A command in a host. */
  command(host: HostName, options: Deno.CommandOptions, ...command: string[]): Deno.Command {
    const [program, ...args] = this.inside(host, command);
    return new Deno.Command(program, { ...options, args });
  }

  /** Runs a command to its end. */
  async run(host: HostName, ...command: string[]): Promise<CommandResult> {
    const result = await this.command(host, {}, ...command).output();
    const text = new TextDecoder();
    const [stdout, stderr] = [text.decode(result.stdout), text.decode(result.stderr)];
    return { code: result.code, stdout, stderr };
  }

  /** `btblocker …` in the gateway. */
  btblocker(...args: string[]): Promise<CommandResult> {
    return this.btblockerIn("gateway", ...args);
  }

  btblockerIn(host: HostName, ...args: string[]): Promise<CommandResult> {
    return this.run(host, Deno.execPath(), "run", "-q", "-A", main, ...args);
  }

  /** Sends from each source to its destination until the end of the test. */
  talk(...pairs: [source: string, destination: string][]): void {
    const args = ["run", "-q", "-A", `${here}talker.ts`, JSON.stringify(pairs)];
    this.#processes.push(this.command("outside", {}, Deno.execPath(), ...args).spawn());
  }

  /**
   * Starts the filter in the gateway and waits until it guards (or has failed).
   *
   * @param without capabilities it is not to have, as `-bpf,-sys_admin`
   */
  startFilter(settings: Partial<FilterSettings>, without?: string): Promise<Filter> {
    return this.startFilterIn("gateway", settings, without);
  }

  async startFilterIn(
    host: HostName,
    settings: Partial<FilterSettings>,
    without?: string,
  ): Promise<Filter> {
    const argument = JSON.stringify({ ...DEFAULT_SETTINGS, ...settings });
    const args = ["run", "-q", "-A", `${here}filter_process.ts`, argument];
    const options = { stdin: "piped", stdout: "piped" } as const;
    const drop = without === undefined ? [] : ["setpriv", "--bounding-set", without, "--"];
    const child = this.command(host, options, ...drop, Deno.execPath(), ...args).spawn();
    this.#processes.push(child);
    const filter = new Filter(child);
    await filter.waitFor((log) => log.some((entry) => entry.ready || entry.level === "fatal"));
    return filter;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [...this.#processes, this.#holder]) {
      try {
        child.kill("SIGKILL");
      } catch {
        // ended already
      }
      await child.status;
    }
    for (const name of [...this.#names]) await this.remove(name);
  }

  /** Removes a host's namespace, which ends with its last process. */
  async remove(host: HostName): Promise<void> {
    await run("ip", "netns", "delete", this.#netns(host));
    this.#names.splice(this.#names.indexOf(host), 1);
  }
}

interface LogEntry {
  readonly ready?: true;
  readonly answer?: unknown;
  readonly level?: "info" | "warn" | "error" | "fatal";
  readonly message?: string;
}

/** A running filter process. */
export class Filter {
  readonly log: LogEntry[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #answers: unknown[] = [];

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const entry of lines.map((line) => JSON.parse(line) as LogEntry)) {
        if (entry.answer === undefined) this.log.push(entry);
        else this.#answers.push(entry.answer);
      }
    }
    this.log.push({ level: "fatal", message: "ended" });
  }

  /** Waits until the log satisfies. */
  async waitFor(satisfies: (log: readonly LogEntry[]) => boolean): Promise<void> {
    await until(() => satisfies(this.log), () => this.messages());
  }

  /** All log messages. */
  messages(): string {
    return this.log.map(({ level, message }) => `${level}: ${message}`).join("\n");
  }

  /** Has the process do something; one question at a time. */
  async ask<T>(command: string, argument: unknown = null): Promise<T> {
    const request = JSON.stringify({ command, argument });
    await this.#input.write(new TextEncoder().encode(`${request}\n`));
    await until(() => this.#answers.length > 0, () => `no answer to ${command}`);
    return this.#answers.shift() as T;
  }

  /** Waits until datagrams of `source` arrive, or no longer do. */
  async hears(source: string, wanted: boolean, timeoutMs?: number): Promise<void> {
    const isSo = async () => {
      const heard = await this.ask<Record<string, { lastMs: number }>>("heard");
      return (source in heard && Date.now() - heard[source].lastMs < 300) === wanted;
    };
    await until(isSo, () => `${wanted ? "no" : "still"} datagrams of ${source}`, timeoutMs);
  }

  async kill(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    this.#child.kill(signal);
    const status = await this.#child.status;
    await this.#reading;
    return status;
  }
}

async function run(command: string, ...args: string[]): Promise<string> {
  const result = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder();
  if (result.success) return text.decode(result.stdout);
  throw new Error(`${command} ${args.join(" ")}: ${text.decode(result.stderr)}`);
}
