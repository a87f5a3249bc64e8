/**
 * The rules of rule_text.ts for machines that have nft alone: one table for both families.
 *
 * What was run: all of it but the `queue` statement, which needs a kernel with nft_queue. Tests load
 * the rules with a counter in its place and send packets through them. Of `queue` itself the syntax is
 * nft(8)'s, and that a range is balanced by the addresses, both directions alike, as --queue-balance
 * does it, is from the kernel's source (nft_queue.c and xt_NFQUEUE.c call the same nfqueue_hash).
 */

import { replacedInPlace, stripChains } from "./copy_strip.ts";
import { hex, type Marks, marksOf, withMasks } from "./marks.ts";
import { CHAIN, MARKED_CHAIN, QUEUE_CHAIN, RECHECK_CHAIN, SERVICE_CHAIN } from "./own_rules.ts";
import { queueGroups, TUNNEL_PROTOCOLS } from "./queue_rules.ts";
import {
  DATAGRAM,
  type GuardedTraffic,
  HEADERS_ONLY,
  marksServices,
  recheckBits,
  savedStates,
} from "./rule_text.ts";

export const NFT_TABLE = "btblocker";

/** Input of `nft -f` that makes the table, or replaces it as a whole. */
export function nftText(traffic: GuardedTraffic): string {
  return `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\ntable inet ${NFT_TABLE} {\n` +
    `${nftChains(traffic).join("")}}\n`;
}

/**
 * Input of `nft -f` that changes the rules of a table whose base chains stay: no packet is lost (see
 * {@link replacedInPlace}).
 */
export function nftChange(traffic: GuardedTraffic): string {
  const chains = nftChains(traffic);
  const unused = [RECHECK_CHAIN, SERVICE_CHAIN].filter((name) =>
    !chains.some((chain) => chain.startsWith(`\tchain ${name} `))
  );
  return replacedInPlace(NFT_TABLE, [...unused.map((name) => chain(name, [])), ...chains]) +
    unused.map((name) => `delete chain inet ${NFT_TABLE} ${name}\n`).join("");
}

function nftChains(traffic: GuardedTraffic): string[] {
  return [
    ...traffic.recheck > 0 ? [chain(RECHECK_CHAIN, recheckRules(traffic))] : [],
    ...marksServices(traffic)
      ? [chain(SERVICE_CHAIN, [saveState(traffic.marks, traffic.marks.clear)])]
      : [],
    chain(QUEUE_CHAIN, [
      ...EMPTY_SEGMENTS.map((match) => `${match} return`),
      ...queueRules(traffic),
    ]),
    ...mainChains(traffic),
    ...traffic.stripsCopies ? stripChains(traffic.marks) : [],
    ...traffic.chains.map((hook) => {
      const lo = hook === "INPUT"
        ? 'iifname != "lo" '
        : hook === "OUTPUT"
        ? 'oifname != "lo" '
        : "";
      const type = `type filter hook ${hook.toLowerCase()} priority 50; policy accept;`;
      return chain(hook, [type, `${lo}jump ${CHAIN}`]);
    }),
  ];
}

function chain(name: string, lines: readonly string[]): string {
  return `\tchain ${name} {\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}\n`;
}

/**
 * What `chainRules` and `jumps` have for iptables; a chain that is jumped to stands before those that
 * jump. nft's own matches cost a fraction of iptables', so that one jump serves.
 */
function mainChains(traffic: GuardedTraffic): string[] {
  const { marks, recheck, monitorOnly, distrustsStates = false } = traffic;
  const believed = (...rules: string[]) => distrustsStates ? [] : rules;
  const { mask, clear, drop, seal, sealMask, sealedClear, sealedDrop } = marks;
  const connection = (state: number) => `ct mark & ${hex(mask)} == ${hex(state)}`;
  const packet = (state: number) => `meta mark & ${hex(sealMask)} == ${hex(state)}`;
  const save = (state: number) => saveState(marks, state);
  const saved = savedStates(traffic);
  const forget = `ct mark & ${hex(mask)} != 0 ${save(0)}`;
  const dropped = `${connection(drop)} ${monitorOnly ? "return" : "drop"}`;
  const services = serviceRules(traffic);
  const foreign = `meta mark & ${hex(mask)} == 0`;
  return [
    chain(MARKED_CHAIN, [
      `${packet(sealedClear)} ${save(saved.clear)}`,
      `${packet(sealedDrop)} ${save(saved.drop)}`,
      ...monitorOnly ? [] : [`${packet(sealedDrop)} drop`],
      `meta mark & ${hex(seal.bits)} == ${hex(seal.value)} ` +
      `meta mark set meta mark & ${hex(~sealMask)}`,
      `${packet(0)} return`,
      ...services,
      ...believed(`${foreign} ${connection(clear)} return`, `${foreign} ${dropped}`),
      `goto ${QUEUE_CHAIN}`,
    ]),
    chain(CHAIN, [
      `tcp flags & (fin | syn | rst | ack) == syn ${forget}`,
      `meta l4proto udp ct state related ct status & confirmed == 0 ${packet(0)} ${forget}`,
      ...believed(
        `${connection(clear)} ${packet(0)} ` + (recheck > 0 ? `goto ${RECHECK_CHAIN}` : "return"),
      ),
      `meta mark & ${hex(sealMask)} != 0 goto ${MARKED_CHAIN}`,
      ...services,
      ...believed(dropped),
      `goto ${QUEUE_CHAIN}`,
    ]),
  ];
}

function saveState({ mask }: Marks, state: number): string {
  return `ct mark set ct mark & ${hex(~mask)} | ${hex(state)}`;
}

/** As `serviceRules` for iptables; a set takes any number of ports. */
function serviceRules(traffic: GuardedTraffic): string[] {
  const { whitelistPorts: ports } = traffic;
  const end = marksServices(traffic) ? `goto ${SERVICE_CHAIN}` : "return";
  if (ports.length === 0) return [];
  const set = `{ ${ports.toSorted((a, b) => a - b).join(", ")} }`; // as nft lists it
  return [["original", "dport"], ["reply", "sport"]].map(([direction, port]) =>
    `meta l4proto { tcp, udp } th ${port} ${set} ct direction ${direction} counter ${end}`
  );
}

function recheckRules(traffic: GuardedTraffic): string[] {
  const { recheck, marks: { sealedPass, sealMask } } = traffic;
  const recall = `meta mark set meta mark & ${hex(~sealMask)} | ${hex(sealedPass)}`;
  return [
    `meta length <= ${HEADERS_ONLY} return`,
    `meta l4proto tcp @th,32,32 & ${hex(recheckBits(recheck))} == 0 ${recall}`,
    `meta l4proto udp numgen random mod ${Math.max(1, Math.round(recheck / DATAGRAM))} 0 ${recall}`,
    `meta mark & ${hex(sealMask)} == ${hex(sealedPass)} goto ${QUEUE_CHAIN}`,
  ];
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
  for (const line of withMasks(text).split("\n").map((line) => line.trim())) {
    const chain = /^chain (\S+) \{$/.exec(line)?.[1];
    if (chain !== undefined) chains.set(chain, rules = []);
    else if (line === "}") rules = null;
    else if (line !== "") rules?.push(outlineOfRule(line));
  }
  return chains;
}

/** `queue 0-3`, `hook forward`, `jump BTBLOCKER`, `drop`, or `set 0x30000000` for what goes on. */
function outlineOfRule(rule: string): string {
  const hook = /^type \w+ (hook \w+) /.exec(rule)?.[1];
  if (hook !== undefined) return hook;
  const queue = /\bqueue (.*)$/.exec(rule)?.[1];
  if (queue === undefined) {
    const end = /(?:drop|return|accept|(?:jump|goto) \S+)$/.exec(rule)?.[0] ?? "set";
    const mask = /meta mark & (0x[0-9a-f]+) [!=]= /.exec(rule)?.[1];
    const ports = /th [ds]port (?:\{ )?([\d, -]+)/.exec(rule)?.[1] ?? "";
    return `${end} ${mask === undefined ? "" : hex(Number(mask))} ${ports.trim()}`;
  }
  // `num 0-3 bypass`; since nft 0.9.9 `flags bypass to 0-3`.
  const numbers = /\d+(?:-\d+)?/.exec(queue)?.[0];
  return queue.includes("bypass") && !queue.includes("fanout")
    ? `queue ${numbers}`
    : `queue ${queue}`;
}

/** The marks of a table as `nft list table` prints it, null where it has no rules of ours. */
export function nftMarks(listed: string): Marks | null {
  const listing = withMasks(listed);
  const [, sealMask, state] = /meta mark & (0x\w+) == (0x\w+) ct mark set/.exec(listing) ?? [];
  const [, mask] = /\bct mark & (0x\w+) == 0x\w+ meta mark & /.exec(listing) ?? [];
  if (sealMask === undefined || mask === undefined) return null;
  const others = ~Number(mask);
  return marksOf(Number(mask), {
    bits: Number(sealMask) & others,
    value: Number(state) & others,
  });
}
