/**
 * Whose rules hand connections that would be forwarded to a program of this machine, a transparent
 * proxy: read from the listings of the tools, pure. FORWARD never sees these.
 */

import { iptablesRules, isPrerouting, nftHooks } from "./mark_hooks.ts";
import type { RuleListings } from "./queue_users.ts";

/** The rules, as their tools list them; equal ones of both families are one. */
export function findDivertingRules({ iptables, iptablesTables, nft }: RuleListings): string[] {
  const found = iptablesRules(iptables).filter(({ line, hooks }) =>
    isPrerouting(hooks) && (/ -j TPROXY /.test(line) || isGeneralRedirect(line))
  ).map(({ line }) => line);
  const hooksOf = nftHooks(nft);
  let [table, chain] = ["", ""];
  for (const line of nft.split("\n").map((line) => line.trim())) {
    const [, kind, family, name] = /^(table|chain) (?:(\w+) )?(\S+) \{/.exec(line) ?? [];
    if (kind === "table") table = `${family} ${name}`;
    if (kind === "chain") chain = name;
    if (kind !== undefined || iptablesTables.includes(table)) continue;
    if (!/(?:^| )(?:tproxy (?:ip6? )?to|redirect to) /.test(line)) continue;
    const isOfOnePort = / redirect /.test(` ${line}`) && NFT_PORT.test(line);
    if (!isOfOnePort && isPrerouting(hooksOf(table, chain))) {
      found.push(`nft, table ${table}: ${line}`);
    }
  }
  return [...new Set(found)];
}

/** Of named ports it may be this machine's own service, or somebody's DNS. */
function isGeneralRedirect(line: string): boolean {
  return / -p tcp .*-j REDIRECT(?: |$)/.test(line) && !/ --dports? /.test(line);
}

const NFT_PORT = /\bdport (?!!=)/;

/** What to say of such rules where neither INPUT nor OUTPUT is judged. */
export function describeDivertingRules(rules: readonly string[]): string {
  return `Rules hand connections to a proxy on this machine, which FORWARD does not see: ` +
    rules.join("; ");
}

export const DIVERTING_REMEDY = "add INPUT,OUTPUT to CHAINS";
