/** Asks the tools of this machine who uses marks and queues; a tool that is not there lists nothing. */

import { execute } from "./command.ts";
import type { MarkListings } from "./mark_users.ts";
import type { RuleListings } from "./queue_users.ts";

const SAVES = ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"];
/** Before iptables had two back ends. */
const OLD_SAVES = ["iptables", "ip6tables"];

/** A container host has hundreds of devices; filters by mark are on few. */
const DEVICES = 256;

export async function readMarkListings(): Promise<MarkListings> {
  const interfaces = readInterfaces();
  const [rules, ipRule, tc, wireGuard] = await Promise.all([
    readRuleListings(),
    listRules(),
    listFilters(interfaces.slice(0, DEVICES)),
    output("wg", ["show", "all", "fwmark"]),
  ]);
  return { ...rules, ipRule, tc, wireGuard, interfaces };
}

/** Rules of the firewall alone. */
export async function readRuleListings(): Promise<RuleListings> {
  const [iptables, nft] = await Promise.all([listTables(), output("nft", ["list", "ruleset"])]);
  return { ...iptables, nft };
}

async function listTables(): Promise<Pick<MarkListings, "iptables" | "iptablesTables">> {
  const saves = await Promise.all(SAVES.map((name) => output(`${name}-save`, [])));
  if (saves.some((text) => text !== "")) {
    const [ipv4, ipv6] = saves; // the others are no tables of nft
    const iptablesTables = [...tablesIn(ipv4, "ip"), ...tablesIn(ipv6, "ip6")];
    return { iptables: saves.join("\n"), iptablesTables };
  }
  const old = await Promise.all(OLD_SAVES.map((name) => output(`${name}-save`, [])));
  return { iptables: old.join("\n"), iptablesTables: [] };
}

/** Tables of a listing of iptables-nft-save; one that nft has changed beyond its words is not there. */
function tablesIn(saved: string, family: "ip" | "ip6"): string[] {
  return [...saved.matchAll(/^\*(\w+)$/gm)].map(([, table]) => `${family} ${table}`);
}

async function listRules(): Promise<string> {
  return await output("ip", ["-4", "rule"]) + "\n" + await output("ip", ["-6", "rule"]);
}

/** All in one run of tc: it is started once for hundreds of devices. */
async function listFilters(interfaces: readonly string[]): Promise<string> {
  const lines = interfaces.flatMap((name) =>
    ["", " ingress", " egress"].map((where) => `filter show dev ${name}${where}\n`)
  );
  return (await execute("tc", ["-force", "-batch", "-"], lines.join(""))).stdout;
}

function readInterfaces(): string[] {
  try {
    return [...Deno.readDirSync("/sys/class/net")].map(({ name }) => name);
  } catch {
    return [];
  }
}

async function output(command: string, args: readonly string[]): Promise<string> {
  return (await execute(command, args)).stdout;
}
