/** Whose rules send packets to queues of ours: read from the listings of the tools, pure. */

import { iptablesRules } from "./mark_hooks.ts";
import type { MarkListings } from "./mark_users.ts";
import { NFT_TABLE } from "./nft_text.ts";
import { isOwnRule } from "./own_rules.ts";

/** Numbers of queues, the last one included. */
interface QueueRange {
  readonly from: number;
  readonly to: number;
}

/** What says who sends packets to queues. */
export type RuleListings = Pick<MarkListings, "iptables" | "iptablesTables" | "nft">;

/**
 * The rules of others, as their tools list them, that send packets to one of these queues; equal ones
 * of both families are one. A named map of nft's is not looked into.
 */
export function findQueueUsers(
  { iptables, iptablesTables, nft }: RuleListings,
  first: number,
  count: number,
): string[] {
  const isOurs = ({ from, to }: QueueRange) => from < first + count && to >= first;
  const found = iptablesRules(iptables).map(({ line }) => line).filter((line) =>
    !isOwnRule(line) && iptablesQueues(line).some(isOurs)
  );
  let table = "";
  for (const line of nft.split("\n").map((line) => line.trim())) {
    table = /^table (\w+ \S+) \{/.exec(line)?.[1] ?? table;
    const isLeftOut = table === `inet ${NFT_TABLE}` || iptablesTables.includes(table);
    if (!isLeftOut && nftQueues(line).some(isOurs)) found.push(`nft, table ${table}: ${line}`);
  }
  return [...new Set(found)];
}

/** What to say of such rules. */
export function describeQueueUsers(users: readonly string[]): string {
  return `Rules of others send packets to a queue of ours: ${users.join("; ")}: ${QUEUE_HARM}`;
}

export const QUEUE_REMEDY = "remove these rules, or choose another QUEUE_NUM";

const QUEUE_HARM = "so every packet is judged, which is slow, and where they lack " +
  "--queue-bypass (nft: bypass) nothing of theirs passes while btblocker is stopped";

/** -j NFQUEUE and the old -j QUEUE, which is queue 0. */
function iptablesQueues(line: string): QueueRange[] {
  if (/ -j QUEUE(?: |$)/.test(line)) return [{ from: 0, to: 0 }];
  if (!/ -j NFQUEUE(?: |$)/.test(line)) return [];
  const [, from, to] = / --queue-(?:num|balance) (\d+)(?::(\d+))?/.exec(line) ?? [];
  return [rangeOf(from ?? "0", to)];
}

/**
 * `queue num 0-3 bypass` and, since nft 0.9.9, `queue flags bypass to 0-3`; a number that is reckoned
 * (`symhash mod 4 offset 2`), or looked up in a map that stands there.
 */
function nftQueues(line: string): QueueRange[] {
  const [, target] = /(?:^| )queue(?: flags [\w,]+)? (?:num|to) (.+)/.exec(line) ?? [];
  if (target === undefined) return /(?:^| )queue(?:$| flags )/.test(line) ? [rangeOf("0")] : [];
  const [, from, to] = /^(\d+)(?:-(\d+))?/.exec(target) ?? [];
  if (from !== undefined) return [rangeOf(from, to)];
  const [, elements] = /\bmap \{([^}]*)\}/.exec(target) ?? [];
  if (elements !== undefined) {
    return [...elements.matchAll(/ : (\d+)(?:-(\d+))?/g)].map(([, from, to]) => rangeOf(from, to));
  }
  const [, modulus, offset = "0"] = /\bmod (\d+)(?: offset (\d+))?/.exec(target) ?? [];
  if (modulus === undefined) return [];
  return [{ from: Number(offset), to: Number(offset) + Number(modulus) - 1 }];
}

function rangeOf(from: string, to: string = from): QueueRange {
  return { from: Number(from), to: Number(to) };
}
