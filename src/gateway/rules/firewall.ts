/**
 * Puts the rules into the kernel and takes them out again, with whatever the machine has: iptables
 * (both back ends, IPv4 and IPv6 apart) or nft alone. Others' rules are never touched; installing
 * twice is like once; what a crashed run left is replaced.
 */

import { EnvironmentError } from "../../errors.ts";
import { CommandError, commandFailure, execute, run } from "./command.ts";
import { COPIES_CHAIN, COPIES_TABLE, copiesText } from "./copy_strip.ts";
import { readMarkListings, readRuleListings } from "./mark_listings.ts";
import type { RuleListings } from "./queue_users.ts";
import { findMarkUsers, type MarkUser } from "./mark_users.ts";
import { hex, type Marks } from "./marks.ts";
import { holdsNftRules, NFT_TABLE, nftChange, nftMarks, nftText } from "./nft_text.ts";
import {
  findOwnRules,
  isEmptyTable,
  MARKED_CHAIN,
  QUEUE_CHAIN,
  removalText,
  savedMarks,
} from "./own_rules.ts";
import {
  ALL_MATCHES,
  type GuardedTraffic,
  installText,
  jumps,
  type Matches,
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
/** What to do without, in this order, where the kernel refuses the rules. */
const MATCHES_TO_TRY: readonly Matches[] = [true, false].flatMap((bpf) => [
  { ...ALL_MATCHES, bpf },
  { u32: false, services: true, bpf },
  { u32: true, services: false, bpf },
  { u32: false, services: false, bpf },
]);

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
    /** Whether copies of our state can be taken out of packets' marks by nft. */
    private readonly hasNft: boolean,
  ) {}

  /** What the native table's base chains go by, as it was put there last; null: never. */
  #baseChains: string | null = null;
  /** What the kernel lacks has been told. */
  #hasWarned = false;

  /**
   * Looks for the tools; the first of `tables` that the kernel has. Throws when none works.
   *
   * @param warn told once when rules had to be installed without a match that the kernel lacks
   * @param withNft false: as on a machine without nft; for tests
   */
  static async open(
    backend: Backend = "system",
    tables: readonly Table[] = TABLES,
    warn: (message: string) => void = () => {},
    withNft = true,
  ): Promise<Firewall> {
    const tools: Iptables[] = [];
    const warnings: string[] = [];
    const ipv4 = await findIptables(4, backend, tables);
    if (ipv4 instanceof EnvironmentError) {
      if (backend === "system" && await nftWorks()) return new Firewall([], warnings, warn, true);
      throw ipv4;
    }
    tools.push(ipv4);
    if (await exists("/proc/net/if_inet6")) {
      const ipv6 = await findIptables(6, backend, tables);
      if (ipv6 instanceof EnvironmentError) {
        warnings.push(`IPv6 is on but not guarded: ${ipv6.message}`);
      } else tools.push(ipv6);
    }
    return new Firewall(tools, warnings, warn, withNft && await nftLists());
  }

  /** Whether judged packets must run on through further rules of their chain (see {@link Table}). */
  get sharesTable(): boolean {
    return this.tools.some((tool) => tool.table === "mangle");
  }

  /** Names of the tables that have rules of ours. */
  get tableNames(): readonly string[] {
    if (this.tools.length === 0) return [NFT_TABLE];
    return [...new Set(this.tools.map(({ table }) => table)), COPIES_TABLE];
  }

  /** Whether it speaks to iptables, which has matches of its own. */
  get hasMatches(): boolean {
    return this.tools.length > 0;
  }

  /** "IPv4 and IPv6, iptables (nf_tables), table security" */
  describe(): string {
    if (this.tools.length === 0) return `IPv4 and IPv6, nft, table ${NFT_TABLE}`;
    const families = this.tools.map((tool) => `IPv${tool.family}`).join(" and ");
    const [{ variant, table }] = this.tools;
    return `${families}, iptables (${variant}), table ${table}`;
  }

  /** Everybody else on this machine who uses marks. */
  async markUsers(): Promise<MarkUser[]> {
    return findMarkUsers(await readMarkListings());
  }

  /** All rules of this machine. */
  rules(): Promise<RuleListings> {
    return readRuleListings();
  }

  /** The marks of the rules that are installed, by an earlier run or `rules install`; null for none. */
  async installedMarks(): Promise<Marks | null> {
    if (this.tools.length > 0) return savedMarks(await save(this.tools[0]));
    const { success, stdout } = await execute("nft", ["list", "table", "inet", NFT_TABLE]);
    return success ? nftMarks(stdout) : null;
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
      await this.#restoreNatively(traffic);
      return;
    }
    for (const tool of this.tools) {
      await this.#restoreWith(tool, traffic);
    }
    if (this.hasNft && (traffic.stripsCopies || await this.#stripsByNft())) {
      const text = copiesText(traffic.stripsCopies ? traffic.marks : null);
      await run("nft", ["-f", "-"], text, "install the rules against copied marks");
    }
  }

  async #restoreNatively(traffic: GuardedTraffic): Promise<void> {
    const baseChains = [...traffic.chains, `${traffic.stripsCopies}`].join();
    const text = baseChains === this.#baseChains ? nftChange(traffic) : nftText(traffic);
    await run("nft", ["-f", "-"], text, "install the firewall rules");
    this.#baseChains = baseChains;
  }

  /** Without what the kernel lacks, which is told once. */
  async #restoreWith(tool: Iptables, traffic: GuardedTraffic): Promise<void> {
    const strips = traffic.stripsCopies && !this.hasNft;
    let refusal: unknown;
    for (const matches of MATCHES_TO_TRY) {
      try {
        await change(
          tool,
          "install the firewall rules",
          (saved) => installText(traffic, tool.family, tool.table, saved, { matches, strips }),
        );
        this.#warnOfMissing(traffic, matches);
        return;
      } catch (error) {
        refusal ??= error;
        if (!(error instanceof CommandError) || !mayLackMatch(error.stderr)) throw error;
      }
    }
    throw refusal;
  }

  async #stripsByNft(): Promise<boolean> {
    return (await execute("nft", ["list", "table", "inet", COPIES_TABLE])).success;
  }

  /** Whether the rules as they were installed last have the kernel's first look. */
  hasFirstLook = false;

  #warnOfMissing(
    { recheck, firstLook = null }: GuardedTraffic,
    { u32, services, bpf }: Matches,
  ): void {
    this.hasFirstLook = bpf && firstLook !== null;
    const lacksLook = firstLook !== null && !bpf;
    if (this.#hasWarned || (u32 && services && !lacksLook)) return;
    this.#hasWarned = true;
    const lost = [
      "segments without payload are queued too",
      "all flows between two addresses go to one worker",
      ...recheck > 0 ? ["RECHECK looks at UDP only"] : [],
    ];
    if (!u32) this.warn(`The kernel has no u32 match (module xt_u32): ${lost.join(", ")}`);
    if (lacksLook) {
      this.warn(
        "The kernel has no bpf match (module xt_bpf): the first packets of every connection make " +
          "the trip to user space",
      );
    }
    if (!services) {
      this.warn(
        "The kernel has no conntrack or multiport match (modules xt_conntrack, xt_multiport): " +
          "connections to WHITELIST_PORTS make the trip to user space",
      );
    }
  }

  /** Removes all that is ours, in both families; nothing there is no error. */
  async remove(): Promise<void> {
    if (this.tools.length === 0) {
      const text = `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\n`;
      await run("nft", ["-f", "-"], text, "remove the firewall rules");
      return;
    }
    const failures: unknown[] = [];
    const attempt = (step: Promise<void>) => step.catch((error) => failures.push(error));
    for (const tool of this.tools) { // what fails in one family keeps the other's from nothing
      await attempt(change(tool, "remove the firewall rules", removalText));
    }
    // Base chains that go take with them what waits in a queue: so once nothing comes to ours.
    if (await this.#stripsByNft()) await execute("nft", ["-f", "-"], copiesText(null));
    for (const tool of this.tools) await attempt(removeEmptyTable(tool));
    if (failures.length > 0) throw failures[0];
  }

  /** The rules as they would be installed where nothing of ours is: one text a family. */
  preview(traffic: GuardedTraffic): string[] {
    if (this.tools.length === 0) return [nftText(traffic)];
    return this.tools.map(({ family, command, table }) => {
      return `# ${command}-restore --noflush\n${installText(traffic, family, table, "")}`;
    });
  }

  /**
   * Whether all families hold our chain with just these rules, as `rules install` leaves it, and how
   * many connections the rules for whitelisted services have released since they were put there;
   * where no connection's mark is believed, or RECHECK is on, how many packets they let pass.
   */
  async look(traffic: GuardedTraffic): Promise<InstalledRules> {
    if (this.tools.length === 0) {
      const { success, stdout } = await execute("nft", ["list", "table", "inet", NFT_TABLE]);
      const isInstalled = success && holdsNftRules(stdout, traffic);
      if (!isInstalled) this.#baseChains = null; // it may hold somebody's
      return {
        isInstalled,
        serviceConnections: sumOf(stdout, / ct direction \w+ counter packets (\d+) /gm),
      };
    }
    let serviceConnections = 0;
    let isInstalled = !traffic.stripsCopies || !this.hasNft || await this.#stripsByNft();
    for (const tool of this.tools) {
      const counted = await save(tool, ["-c"]);
      serviceConnections += sumOf(counted, /^\[(\d+):\d+\] -A BTBLOCKER\S* .* --ctdir .*$/gm);
      const saved = counted.replaceAll(/^\[\d+:\d+\] /gm, "");
      isInstalled &&= this.#holds(tool, saved, traffic);
    }
    return { isInstalled, serviceConnections };
  }

  #holds(tool: Iptables, saved: string, traffic: GuardedTraffic): boolean {
    const own = findOwnRules(saved);
    const here = own.find((rules) => rules.table === tool.table);
    if (here === undefined || !hasJumps(here.jumps, traffic)) return false;
    const strips = traffic.stripsCopies && !this.hasNft;
    if (strips && !own.some(({ chains }) => chains.includes(COPIES_CHAIN))) return false;
    const section = tableSection(saved, tool.table);
    return section.some((line) => savesFor(line, traffic)) &&
      section.some((line) => queuesFor(line, traffic));
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

/** What stands in the kernel of our rules. */
export interface InstalledRules {
  readonly isInstalled: boolean;
  readonly serviceConnections: number;
}

function sumOf(text: string, count: RegExp): number {
  return [...text.matchAll(count)].reduce((sum, [, number]) => sum + Number(number), 0);
}

/** Either as every kernel can have them, or as those with xt_conntrack do. */
function hasJumps(found: readonly string[], traffic: GuardedTraffic): boolean {
  return [true, false].some((services) =>
    traffic.chains
      .flatMap((hook) => jumps(hook, traffic, { ...ALL_MATCHES, services }))
      .every((rule) => found.includes(`-A ${rule}`))
  );
}

/** A rule of ours that queues to these queues. */
function queuesFor(line: string, { queueNumber, queueCount }: GuardedTraffic): boolean {
  const wanted = queueCount > 1
    ? `--queue-balance ${queueNumber}:${queueNumber + queueCount - 1}`
    : `--queue-num ${queueNumber}`;
  return line.startsWith(`-A ${QUEUE_CHAIN} `) && line.includes(`-j NFQUEUE ${wanted} `);
}

/** The rule of ours that saves these states, under this seal. */
function savesFor(line: string, { marks }: GuardedTraffic): boolean {
  const sealed = `--mark ${hex(marks.sealedClear)}/${hex(marks.sealMask)} `;
  return line.startsWith(`-A ${MARKED_CHAIN} `) && line.includes(sealed);
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

/** Whether nft is there and the kernel has it. */
async function nftLists(): Promise<boolean> {
  return (await execute("nft", ["list", "tables"])).success;
}

async function save(tool: Iptables, args: readonly string[] = []): Promise<string> {
  const command = `${tool.command}-save`;
  const all = await execute(command, args);
  if (all.success) return all.stdout;
  // The list of the legacy back end's tables is root's to read; the tables themselves are not.
  const sections: string[] = [];
  for (const table of TABLES) {
    const { success, stdout } = await execute(command, [...args, "-t", table]);
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

/**
 * Whether iptables-restore may have failed for want of a match: what its back ends say where they or
 * the kernel lack one. Not all of them name it.
 */
export function mayLackMatch(stderr: string): boolean {
  const named =
    /Couldn't load match [`'](u32|conntrack|multiport|bpf)|Extension (u32|conntrack|multiport|bpf) /;
  return named.test(stderr) || /No chain\/target\/match by that name/.test(stderr) ||
    /\bbpf: /.test(stderr) || // its program cannot be opened
    /RULE_\w+ failed \(No such file or directory\)/.test(stderr);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
