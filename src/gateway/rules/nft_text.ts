/**
 * The rules of rule_text.ts for machines that have nft alone: one table for both families.
 *
 * What was run: all of it but the `queue` statement, which needs a kernel with nft_queue. Tests load
 * the rules with a counter in its place and send packets through them. Of `queue` itself the syntax is
 * nft(8)'s, and that a range is balanced by the addresses, both directions alike, as --queue-balance
 * does it, is from the kernel's source (nft_queue.c and xt_NFQUEUE.c call the same nfqueue_hash).
 */

import { hex } from "./marks.ts";
import {
  CHAIN,
  DATAGRAM,
  type GuardedTraffic,
  HEADERS_ONLY,
  queueGroups,
  RECHECK_CHAIN,
  recheckBits,
  TUNNEL_PROTOCOLS,
} from "./rule_text.ts";

export const NFT_TABLE = "btblocker";

/** Input of `nft -f` that makes the table, or replaces it as a whole. */
export function nftText(traffic: GuardedTraffic): string {
  const { marks, recheck, monitorOnly } = traffic;
  const mask = hex(marks.mask);
  const rest = hex(~marks.mask);
  const connection = (state: number) => `ct mark & ${mask} == ${hex(state)}`;
  const packet = (state: number) => `meta mark & ${mask} == ${hex(state)}`;
  const save = (state: number) => `ct mark set ct mark & ${rest} | ${hex(state)}`;
  const rules = [
    `tcp flags & (fin | syn | rst | ack) == syn ct mark & ${mask} != 0 ${save(0)}`,
    `${connection(marks.clear)} ${packet(0)} ` +
    (recheck > 0 ? `goto ${RECHECK_CHAIN}` : "return"),
    monitorOnly
      ? `${connection(marks.drop)} ${packet(0)} return`
      : `${connection(marks.drop)} drop`,
    `${packet(marks.clear)} ${save(marks.clear)}`,
    `${packet(marks.drop)} ${save(marks.drop)}`,
    ...monitorOnly ? [] : [`${packet(marks.drop)} drop`],
    ...EMPTY_SEGMENTS.map((match) => `${packet(0)} ${match} return`),
    ...queueRules(traffic).map((rule) => `${packet(0)} ${rule}`),
    `meta mark set meta mark & ${rest}`,
  ];
  const recall = `meta mark set meta mark | ${mask}`;
  const recheckRules = recheck <= 0 ? [] : [
    `meta length <= ${HEADERS_ONLY} return`,
    `meta l4proto tcp @th,32,32 & ${hex(recheckBits(recheck))} == 0 ${recall}`,
    `meta l4proto udp numgen random mod ${Math.max(1, Math.round(recheck / DATAGRAM))} 0 ${recall}`,
    ...queueRules(traffic).map((rule) => `${packet(marks.pass)} ${rule}`),
  ];
  const chain = (name: string, lines: readonly string[]) =>
    `\tchain ${name} {\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}\n`;
  const hooks = traffic.chains.map((hook) => {
    const lo = hook === "INPUT" ? 'iifname != "lo" ' : hook === "OUTPUT" ? 'oifname != "lo" ' : "";
    const type = `type filter hook ${hook.toLowerCase()} priority 50; policy accept;`;
    return chain(hook, [type, `${lo}jump ${CHAIN}`]);
  });
  return `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\ntable inet ${NFT_TABLE} {\n` +
    (recheck > 0 ? chain(RECHECK_CHAIN, recheckRules) : "") + chain(CHAIN, rules) +
    hooks.join("") + "}\n";
}

/**
 * Segments that surely carry nothing, as `emptySegments` has them for iptables: packets of the length
 * of both headers, without options and with timestamps. nft cannot add the header's length up, so
 * the data offset is compared: with it, these lengths leave room for no option of IP and no extension
 * header.
 */
const EMPTY_SEGMENTS = [[4, 40, 5], [4, 52, 8], [6, 60, 5], [6, 72, 8]].map(
  ([version, length, words]) =>
    `meta nfproto ipv${version} meta length ${length} tcp flags & (fin | syn | rst) == 0 ` +
    `tcp doff ${words}`,
);

/** As `queueRules` for iptables, but a transport header is found behind extension headers too. */
function queueRules(traffic: GuardedTraffic): string[] {
  const { queueNumber, queueCount } = traffic;
  const queue = (first: number, count: number) =>
    `queue num ${count > 1 ? `${first}-${first + count - 1}` : first} bypass`;
  const groups = queueGroups(traffic).map(({ first, count, ports }) => {
    const test = ports === null
      ? ""
      : ` @th,0,32 & ${hex(ports.mask)} { ${ports.values.map(hex).join(", ")} }`;
    return `meta l4proto { tcp, udp }${test} ${queue(first, count)}`;
  });
  return [
    ...groups,
    `meta l4proto { ${TUNNEL_PROTOCOLS.join(", ")} } ${queue(queueNumber, queueCount)}`,
  ];
}

/**
 * Whether a table, as `nft list table` prints it, holds these rules: the same chains on the same
 * hooks, in each as many rules with the same ends, and the same queues under the same mask. How nft
 * writes matches differs between its versions, so they are not compared.
 */
export function holdsNftRules(listing: string, traffic: GuardedTraffic): boolean {
  const wanted = outlineOf(nftText(traffic));
  const found = outlineOf(listing);
  return wanted.size === found.size &&
    [...wanted].every(([chain, rules]) => rules.join() === found.get(chain)?.join());
}

/** Of each chain what its rules do, in their order. */
function outlineOf(text: string): Map<string, string[]> {
  const chains = new Map<string, string[]>();
  let rules: string[] | null = null;
  for (const line of text.split("\n").map((line) => line.trim())) {
    const chain = /^chain (\S+) \{$/.exec(line)?.[1];
    if (chain !== undefined) chains.set(chain, rules = []);
    else if (line === "}") rules = null;
    else if (line !== "") rules?.push(outlineOfRule(line));
  }
  return chains;
}

/** `queue 0-3 0x30000000`, `hook forward`, `jump BTBLOCKER`, `drop`, or `set` for what goes on. */
function outlineOfRule(rule: string): string {
  const hook = /^type filter (hook \w+) /.exec(rule)?.[1];
  if (hook !== undefined) return hook;
  const queue = /\bqueue (.*)$/.exec(rule)?.[1];
  if (queue === undefined) {
    return /(?:drop|return|accept|(?:jump|goto) \S+)$/.exec(rule)?.[0] ?? "set";
  }
  // `num 0-3 bypass`; since nft 0.9.9 `flags bypass to 0-3`.
  const numbers = /\d+(?:-\d+)?/.exec(queue)?.[0];
  if (!queue.includes("bypass") || queue.includes("fanout")) return `queue ${queue}`;
  const mask = Number(/meta mark & (0x[0-9a-f]+) /.exec(rule)?.[1]);
  return `queue ${numbers} ${hex(mask)}`;
}
