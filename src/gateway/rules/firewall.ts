/**
 * Puts the rules into the kernel and takes them out again, with whatever the machine has: iptables
 * (both back ends, IPv4 and IPv6 apart) or nft alone. Others' rules are never touched; installing
 * twice is like once; what a crashed run left is replaced.
 */

import { EnvironmentError } from "../../errors.ts";
import type { Marks } from "./marks.ts";
import { holdsNftRules, NFT_TABLE, nftText } from "./nft_text.ts";
import {
  CHAIN,
  findOwnRules,
  type GuardedTraffic,
  installText,
  isEmptyTable,
  markConflicts,
  removalText,
  type Table,
  TABLES,
} from "./rule_text.ts";

/** `system`: what the command `iptables` is; the others are for machines that have both. */
export type Backend = "system" | "nft" | "legacy";

/** Commands of iptables by back end; the first that works is used. */
const COMMANDS: Readonly<Record<Backend, readonly string[]>> = {
  system: ["iptables", "iptables-legacy"],
  nft: ["iptables-nft"],
  legacy: ["iptables-legacy"],
};
/** Both back ends, to find what a run with the other one left. */
const ALL_COMMANDS = ["iptables-nft", "iptables-legacy"];

/** The xtables lock may be held by another program for so many seconds. */
const LOCK_SECONDS = "5";
/** Another program may change its rules between our look and our change. */
const ATTEMPTS = 3;
const TIMEOUT_MS = 15_000;

/** One family's tool: `iptables` or `ip6tables`, of one back end. */
interface Iptables {
  readonly family: 4 | 6;
  readonly command: string;
  /** "nf_tables" or "legacy", as it says itself. */
  readonly variant: string;
  readonly table: Table;
}

export class Firewall {
  private constructor(
    private readonly tools: readonly Iptables[],
    /** What could not be had, in words for the log. */
    readonly warnings: readonly string[],
    private readonly warn: (message: string) => void,
  ) {}

  /** What the kernel lacks has been told. */
  #hasWarned = false;

  /**
   * Looks for the tools; the first of `tables` that the kernel has. Throws when none works.
   *
   * @param warn told once when rules had to be installed without a match that the kernel lacks
   */
  static async open(
    backend: Backend = "system",
    tables: readonly Table[] = TABLES,
    warn: (message: string) => void = () => {},
  ): Promise<Firewall> {
    const tools: Iptables[] = [];
    const warnings: string[] = [];
    const ipv4 = await findIptables(4, backend, tables);
    if (ipv4 instanceof EnvironmentError) {
      if (backend === "system" && await nftWorks()) return new Firewall([], warnings, warn);
      throw ipv4;
    }
    tools.push(ipv4);
    if (await exists("/proc/net/if_inet6")) {
      const ipv6 = await findIptables(6, backend, tables);
      if (ipv6 instanceof EnvironmentError) {
        warnings.push(`IPv6 is on but not guarded: ${ipv6.message}`);
      } else tools.push(ipv6);
    }
    return new Firewall(tools, warnings, warn);
  }

  /** Whether judged packets must run on through further rules of their chain (see {@link Table}). */
  get sharesTable(): boolean {
    return this.tools.some((tool) => tool.table === "mangle");
  }

  /** "IPv4 and IPv6, iptables (nf_tables), table security" */
  describe(): string {
    if (this.tools.length === 0) return `IPv4 and IPv6, nft, table ${NFT_TABLE}`;
    const families = this.tools.map((tool) => `IPv${tool.family}`).join(" and ");
    const [{ variant, table }] = this.tools;
    return `${families}, iptables (${variant}), table ${table}`;
  }

  /** Rules of others that use our mark bits. */
  async conflicts(marks: Marks): Promise<string[]> {
    const lists = await Promise.all(
      this.tools.map(async (tool) => markConflicts(await save(tool), marks)),
    );
    return [...new Set(lists.flat())];
  }

  /** Installs the rules of all families, or none. Disposing of the result removes them. */
  async install(traffic: GuardedTraffic): Promise<AsyncDisposable> {
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.remove());
    if (this.tools.length > 0) await this.removeOtherBackends();
    await this.restore(traffic);
    return undo.move();
  }

  /** Puts the rules in place of whatever is ours already. */
  async restore(traffic: GuardedTraffic): Promise<void> {
    if (this.tools.length === 0) {
      await run("nft", ["-f", "-"], nftText(traffic), "install the firewall rules");
      return;
    }
    for (const tool of this.tools) {
      const install = (hasU32: boolean) =>
        change(tool, "install the firewall rules", (saved) => {
          return installText(traffic, tool.family, tool.table, saved, hasU32);
        });
      try {
        await install(true);
      } catch (error) {
        if (!(error instanceof CommandError) || !mayLackU32(error.stderr)) throw error;
        await install(false);
        this.#warnOfU32(traffic);
      }
    }
  }

  #warnOfU32({ recheck }: GuardedTraffic): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const lost = [
      "segments without payload are queued too",
      "all flows between two addresses go to one worker",
      ...recheck > 0 ? ["RECHECK looks at UDP only"] : [],
    ];
    this.warn(`The kernel has no u32 match (module xt_u32): ${lost.join(", ")}`);
  }

  /** Removes all that is ours, in both families; nothing there is no error. */
  async remove(): Promise<void> {
    if (this.tools.length === 0) {
      const text = `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\n`;
      await run("nft", ["-f", "-"], text, "remove the firewall rules");
      return;
    }
    const failures: unknown[] = [];
    for (const tool of this.tools) {
      try {
        await change(tool, "remove the firewall rules", removalText);
        await removeEmptyTable(tool);
      } catch (error) {
        failures.push(error); // the other family's rules are removed all the same
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** The rules as they would be installed where nothing of ours is: one text a family. */
  preview(traffic: GuardedTraffic): string[] {
    if (this.tools.length === 0) return [nftText(traffic)];
    return this.tools.map(({ family, command, table }) => {
      return `# ${command}-restore --noflush\n${installText(traffic, family, table, "")}`;
    });
  }

  /** Whether all families hold our chain with just these rules, as `rules install` leaves it. */
  async isInstalled(traffic: GuardedTraffic): Promise<boolean> {
    if (this.tools.length === 0) {
      const { success, stdout } = await execute("nft", ["list", "table", "inet", NFT_TABLE]);
      return success && holdsNftRules(stdout, traffic);
    }
    for (const tool of this.tools) {
      const saved = await save(tool);
      const own = findOwnRules(saved).find((rules) => rules.table === tool.table);
      if (own === undefined || own.jumps.length < traffic.chains.length) return false;
      if (!tableSection(saved, tool.table).some((line) => queuesFor(line, traffic))) return false;
    }
    return true;
  }

  private async removeOtherBackends(): Promise<void> {
    for (const tool of this.tools) {
      for (const command of ALL_COMMANDS) {
        const name = familyCommand(command, tool.family);
        if (name === tool.command || !(await variantOf(name))) continue;
        const other: Iptables = { ...tool, command: name };
        const saved = await execute(`${name}-save`, []);
        // With the system's own back end this finds nothing: its rules are replaced, not removed.
        if (!saved.success || (await variantOf(name)) === tool.variant) continue;
        if (findOwnRules(saved.stdout).length === 0) continue;
        await change(other, "remove the firewall rules of an earlier run", removalText);
      }
    }
  }
}

/** A rule of our chain that queues to these queues under this mask. */
function queuesFor(line: string, { queueNumber, queueCount, marks }: GuardedTraffic): boolean {
  if (!line.startsWith(`-A ${CHAIN} `) || !line.includes("-j NFQUEUE")) return false;
  const mask = `/0x${(marks.mask >>> 0).toString(16)}`;
  const wanted = queueCount > 1
    ? `--queue-balance ${queueNumber}:${queueNumber + queueCount - 1}`
    : `--queue-num ${queueNumber}`;
  return line.includes(mask) && line.includes(wanted);
}

function tableSection(saved: string, table: string): string[] {
  const lines = saved.split("\n");
  const start = lines.indexOf(`*${table}`);
  return start < 0 ? [] : lines.slice(start + 1, lines.indexOf("COMMIT", start));
}

/** `iptables-nft` for IPv6 is `ip6tables-nft`. */
function familyCommand(command: string, family: 4 | 6): string {
  return family === 4 ? command : command.replace("iptables", "ip6tables");
}

async function findIptables(
  family: 4 | 6,
  backend: Backend,
  tables: readonly Table[],
): Promise<Iptables | EnvironmentError> {
  let failure: EnvironmentError | undefined;
  for (const name of COMMANDS[backend]) {
    const command = familyCommand(name, family);
    const variant = await variantOf(command);
    if (variant === null) {
      failure ??= new EnvironmentError(
        `Cannot find ${command}`,
        "install iptables, or run `deno task setup` as root",
      );
      continue;
    }
    for (const table of tables) {
      const args = ["-w", LOCK_SECONDS, "-t", table, "-S", "FORWARD"];
      const { success, stderr } = await execute(command, args);
      if (success) return { family, command, variant, table };
      failure = commandFailure(`list the rules with ${command}`, stderr);
    }
  }
  return failure!;
}

/** "nf_tables" or "legacy", null when the command is not there. */
async function variantOf(command: string): Promise<string | null> {
  const { success, stdout } = await execute(command, ["--version"]);
  if (!success) return null;
  return /\((\w+)\)/.exec(stdout)?.[1] ?? "legacy"; // before 1.8 there was but one
}

/** Whether nft is there and the kernel has its queue expression. */
async function nftWorks(): Promise<boolean> {
  const probe = `table inet ${NFT_TABLE}_probe { chain probe { queue num 0 bypass; }; }\n`;
  return (await execute("nft", ["--check", "-f", "-"], probe)).success;
}

async function save(tool: Iptables): Promise<string> {
  const command = `${tool.command}-save`;
  const all = await execute(command, []);
  if (all.success) return all.stdout;
  // The list of the legacy back end's tables is root's to read; the tables themselves are not.
  const sections: string[] = [];
  for (const table of TABLES) {
    const { success, stdout } = await execute(command, ["-t", table]);
    if (success) sections.push(stdout);
  }
  if (sections.length > 0) return sections.join("");
  throw commandFailure(`list the firewall rules with ${command}`, all.stderr);
}

/** Looks at the rules and changes them in one transaction; again when another program came between. */
async function change(
  tool: Iptables,
  action: string,
  textFor: (saved: string) => string | null,
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    const text = textFor(await save(tool));
    if (text === null) return;
    const args = ["--noflush", "-w", LOCK_SECONDS];
    const { success, stderr } = await execute(`${tool.command}-restore`, args, text);
    if (success) return;
    if (attempt === ATTEMPTS) {
      throw commandFailure(`${action} with ${tool.command}-restore`, stderr);
    }
  }
}

/**
 * The nft back end makes a table by our using it: an empty one is taken away again, which changes
 * nothing for anyone. The chains go only while they are empty.
 */
async function removeEmptyTable(tool: Iptables): Promise<void> {
  if (tool.variant !== "nf_tables" || !isEmptyTable(await save(tool), tool.table)) return;
  await execute(tool.command, ["-w", LOCK_SECONDS, "-t", tool.table, "-X"]);
  const family = tool.family === 4 ? "ip" : "ip6";
  const listed = await execute("nft", ["list", "table", family, tool.table]);
  if (listed.success && /^table \w+ \w+ \{\s*\}\s*$/.test(listed.stdout)) {
    await execute("nft", ["delete", "table", family, tool.table]);
  }
}

async function run(
  command: string,
  args: readonly string[],
  input: string | undefined,
  action: string,
): Promise<string> {
  const { success, stdout, stderr } = await execute(command, args, input);
  if (!success) throw commandFailure(`${action} with ${command}`, stderr);
  return stdout;
}

/** A command of the system failed. */
class CommandError extends EnvironmentError {
  constructor(message: string, hint: string | undefined, readonly stderr: string) {
    super(message, hint);
  }
}

/**
 * Whether iptables-restore may have failed for want of xt_u32: what its back ends say where they or
 * the kernel lack a match. Not all of them name it.
 */
export function mayLackU32(stderr: string): boolean {
  return /Couldn't load match [`']u32|Extension u32 |No chain\/target\/match by that name/
    .test(stderr) || /RULE_\w+ failed \(No such file or directory\)/.test(stderr);
}

function commandFailure(action: string, stderr: string): CommandError {
  const reason = stderr.trim().split("\n")[0] || "it gave no reason";
  const hint = /permission denied|must be root/i.test(stderr)
    ? "grant CAP_NET_ADMIN or run as root"
    : undefined;
  return new CommandError(`Cannot ${action}: ${reason}`, hint, stderr);
}

interface Result {
  success: boolean;
  stdout: string;
  stderr: string;
}

/** Runs a command without a shell; one that is not there is a failure like another. */
async function execute(command: string, args: readonly string[], input?: string): Promise<Result> {
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      env: { LC_ALL: "C", PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).spawn();
    const output = child.output();
    if (input !== undefined) {
      const writer = child.stdin.getWriter();
      // A command that fails early does not read its input; its own message says more.
      await writer.write(new TextEncoder().encode(input)).catch(() => {});
      await writer.close().catch(() => {});
    }
    const { success, stdout, stderr } = await output;
    const decoder = new TextDecoder();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { success: false, stdout: "", stderr: `${command} not found` };
    }
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
