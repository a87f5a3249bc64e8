/**
 * What of iptables' tables is ours: the names of our chains, finding them and what leads to them in
 * the output of iptables-save, and taking them out.
 */

import { COPIES_CHAIN } from "./copy_strip.ts";
import { type Marks, marksOf } from "./marks.ts";

export const CHAIN = "BTBLOCKER";
/** Packets with something in the bits of our seal: verdicts that come back, and foreign marks. */
export const MARKED_CHAIN = "BTBLOCKER_MARKED";
/** What is judged. */
export const QUEUE_CHAIN = "BTBLOCKER_QUEUE";
/** Takes from a connection the state that it was born with. */
export const FORGET_CHAIN = "BTBLOCKER_FORGET";
/** Packets without a connection, and of connections that another one announced. */
export const RARE_CHAIN = "BTBLOCKER_RARE";
/** Packets of which either end has a whitelisted port: is it the service called? */
export const PORTS_CHAIN = "BTBLOCKER_PORTS";
/** Connections to whitelisted services: clean from their first packet on. */
export const SERVICE_CHAIN = "BTBLOCKER_SERVICE";
/** Calls packets of released flows back to the queue (RECHECK). */
export const RECHECK_CHAIN = "BTBLOCKER_RECHECK";
/** Packets that the kernel's first look lets pass: of flows that it has settled, or may settle yet. */
export const LOOKED_CHAIN = "BTBLOCKER_LOOKED";
export const JUDGING_CHAINS: readonly string[] = [
  CHAIN,
  MARKED_CHAIN,
  QUEUE_CHAIN,
  FORGET_CHAIN,
  RARE_CHAIN,
  PORTS_CHAIN,
  SERVICE_CHAIN,
  RECHECK_CHAIN,
  LOOKED_CHAIN,
];

/** What of a table is ours, from an earlier run or this one. */
export interface OwnRules {
  readonly table: string;
  /** Rules of others' chains that lead to ours, as iptables-save prints them ("-A FORWARD …"). */
  readonly jumps: readonly string[];
  readonly chains: readonly string[];
}

/** Finds our chains and the jumps to them in the output of iptables-save. */
export function findOwnRules(saved: string): OwnRules[] {
  const found: { table: string; jumps: string[]; chains: string[] }[] = [];
  for (const line of saved.split("\n")) {
    const current = found.at(-1);
    if (line.startsWith("*")) {
      found.push({ table: line.slice(1).trim(), jumps: [], chains: [] });
    } else if (line.startsWith(":")) {
      const chain = line.slice(1).split(" ", 1)[0];
      if (isOwnChain(chain)) current?.chains.push(chain);
    } else if (line.startsWith("-A ")) {
      if (isOwnRule(line) && !isOwnChain(line.split(" ", 2)[1])) current?.jumps.push(line);
    }
  }
  return found.filter(({ jumps, chains }) => jumps.length + chains.length > 0);
}

/** Whether a rule, as iptables-save prints it, is ours: it stands in a chain of ours or leads to one. */
export function isOwnRule(line: string): boolean {
  const target = / -[jg] (\S+)/.exec(line)?.[1] ?? "";
  return isOwnChain(line.split(" ", 2)[1]) || isOwnChain(target);
}

/** Whether a chain of iptables, or of our table of nft, is ours. */
export function isOwnChain(name: string): boolean {
  return JUDGING_CHAINS.includes(name) || name === COPIES_CHAIN;
}

/** Input of iptables-restore --noflush that removes what is ours; null when nothing is. */
export function removalText(saved: string): string | null {
  const lines = findOwnRules(saved).flatMap(removalLines);
  return lines.length === 0 ? null : [...lines, ""].join("\n");
}

/** Lines of iptables-restore that remove what is ours of a table. */
export function removalLines({ table, jumps, chains }: OwnRules): string[] {
  return [
    `*${table}`,
    ...jumps.map(deletion),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    "COMMIT",
  ];
}

/** The rule that takes a rule out again. */
export function deletion(rule: string): string {
  return `-D${rule.slice(2)}`;
}

/** Whether a table holds no rule and no chain but the built-in ones, as we leave it behind. */
export function isEmptyTable(saved: string, table: string): boolean {
  const lines = saved.split("\n");
  const start = lines.indexOf(`*${table}`);
  if (start < 0) return false;
  const end = lines.indexOf("COMMIT", start);
  return lines.slice(start + 1, end).every((line) => /^:[A-Z]+ ACCEPT/.test(line));
}

/** The marks of the rules of ours that are there, null where none are. */
export function savedMarks(saved: string): Marks | null {
  const save = new RegExp(
    `^-A ${MARKED_CHAIN} -m mark --mark (\\w+)/(\\w+) -j CONNMARK --set-xmark \\w+/(\\w+)$`,
    "m",
  );
  const [, state, sealMask, mask] = save.exec(saved)?.map(Number) ?? [];
  if (mask === undefined) return null;
  return marksOf(mask, { bits: sealMask & ~mask, value: state & ~mask });
}
