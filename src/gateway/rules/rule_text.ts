/**
 * The rules as text: pure functions from what is to be guarded to the input of iptables-restore, and
 * from the output of iptables-save to what of it is ours.
 *
 * A judged packet comes back by NF_REPEAT with a state in its mark and runs through the chain once
 * more; the chain moves the state into the connection's mark:
 *
 *     new connection on an old 5-tuple (SYN)  → forget the old one's state
 *     connection clean, packet not just judged → RETURN       the fast path
 *     connection BitTorrent                    → DROP         MONITOR_ONLY: RETURN
 *     packet's mark clean or BitTorrent        → save it in the connection's mark; BitTorrent: DROP
 *     packet's mark empty, TCP without payload → RETURN      nothing to judge
 *     packet's mark empty, TCP, UDP or tunnel  → NFQUEUE      nobody listens: on to the next hook
 *     strip the state from the packet's mark
 *
 * The packet's state is looked at after the fast path only when it is there, and every judged packet
 * ends in this pass, whether or not conntrack knows it: no packet is queued twice.
 */

import { hex, type Marks } from "./marks.ts";

export const CHAIN = "BTBLOCKER";
/** Calls packets of released flows back to the queue (RECHECK). */
export const RECHECK_CHAIN = "BTBLOCKER_RECHECK";

export const HOOK_CHAINS = ["INPUT", "FORWARD", "OUTPUT"] as const;
export type HookChain = typeof HOOK_CHAINS[number];

/**
 * Where the chain hangs. `security` is the last table of a hook and nobody else's: packets the
 * firewall drops are not judged, and a packet that passes unjudged (nobody listens, queue full), which
 * leaves the table at once, misses no rule. Where the kernel lacks it, `mangle` serves: there the
 * jump is the first rule, and every judged packet is sent through the chain again, so that the rules
 * behind it (TCPMSS, say) see it.
 */
export type Table = "security" | "mangle";
export const TABLES: readonly Table[] = ["security", "mangle"];

export interface GuardedTraffic {
  readonly chains: readonly HookChain[];
  readonly queueNumber: number;
  readonly queueCount: number;
  readonly marks: Marks;
  /** Bytes of a released flow after which some packets of it are judged again; 0: never. */
  readonly recheck: number;
  /** Flows known as BitTorrent pass: MONITOR_ONLY. They are dropped once it is off. */
  readonly monitorOnly: boolean;
}

/** What is queued: protocols with ports, by name and number… */
const PORT_PROTOCOLS = [["tcp", 6], ["udp", 17]] as const;
/** …and what is looked into: IPv4 and IPv6 in IP (RFC 2003, 2473), GRE (RFC 2784). */
export const TUNNEL_PROTOCOLS = ["4", "41", "47"];

/** Largest GSO packet: a window of the sequence space as wide holds the start of one at least. */
const RECHECK_WINDOW = 65_536;
/** Typical bytes of a full UDP datagram, to turn bytes into packets. */
export const DATAGRAM = 1_400;
/** Packets of IP and TCP headers alone; they are not worth a trip. */
export const HEADERS_ONLY = 99;

/**
 * The rules of {@link CHAIN} and {@link RECHECK_CHAIN}, in iptables' words.
 *
 * @param hasU32 whether the kernel has xt_u32: without it segments without payload are queued too, the
 * flows between two addresses are one worker's, and no TCP is called back by RECHECK
 */
export function chainRules(
  traffic: GuardedTraffic,
  family: 4 | 6,
  hasU32 = true,
): string[] {
  const { marks, recheck, monitorOnly } = traffic;
  const mask = hex(marks.mask);
  const is = (state: number) => `--mark ${hex(state)}/${mask}`;
  const save = `-j CONNMARK --save-mark --nfmask ${mask} --ctmask ${mask}`;
  const rules = [
    `-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connmark ! ${is(0)} ` +
    `-j CONNMARK --set-xmark 0x0/${mask}`,
    `-m connmark ${is(marks.clear)} -m mark ${is(0)} ` +
    (recheck > 0 ? `-g ${RECHECK_CHAIN}` : "-j RETURN"),
    monitorOnly
      ? `-m connmark ${is(marks.drop)} -m mark ${is(0)} -j RETURN`
      : `-m connmark ${is(marks.drop)} -j DROP`,
    `-m mark ${is(marks.clear)} ${save}`,
    `-m mark ${is(marks.drop)} ${save}`,
    ...monitorOnly ? [] : [`-m mark ${is(marks.drop)} -j DROP`],
    ...(hasU32 ? emptySegments(family) : []).map((match) =>
      `-p tcp -m mark ${is(0)} -m tcp --tcp-flags FIN,SYN,RST NONE ${match} -j RETURN`
    ),
    ...queueRules(traffic, family, hasU32).map((rule) => `-m mark ${is(0)} ${rule}`),
    `-j MARK --set-xmark 0x0/${mask}`,
  ].map((rule) => `-A ${CHAIN} ${rule}`);
  if (recheck <= 0) return rules;
  const recall = `-j MARK --set-xmark ${mask}/${mask}`; // both bits tell the worker why it comes
  const recheckRules = [
    `-m length --length 0:${HEADERS_ONLY} -j RETURN`,
    ...hasU32 ? [`-p tcp -m u32 --u32 "${sequenceInWindow(recheck, family)}" ${recall}`] : [],
    `-p udp -m statistic --mode random --probability ${probability(recheck)} ${recall}`,
    ...queueRules(traffic, family, hasU32).map((rule) => `-m mark ${is(marks.pass)} ${rule}`),
  ];
  return [...rules, ...recheckRules.map((rule) => `-A ${RECHECK_CHAIN} ${rule}`)];
}

/**
 * Segments that surely carry nothing: IP and TCP headers without options, and with the 12 bytes of
 * timestamps (RFC 7323), where only a data offset of 8 words leaves no byte over. Acknowledgements
 * tell the engine nothing. What ends a connection must not overtake its last bytes, so FIN and RST
 * take the same way as these; SYN says where the stream begins.
 */
function emptySegments(family: 4 | 6): string[] {
  return family === 4
    ? ["-m length --length 40", '-m length --length 52 -m u32 --u32 "0>>22&0x3C@12>>28=8"']
    : ["-m length --length 60", '-m length --length 72 -m u32 --u32 "4>>8&0xFF=6&&52>>28=8"'];
}

/** Groups of queues that the flows between two addresses are spread over, where so many divide them. */
const PORT_GROUPS = [4, 2];

/** Queues beside each other, and whose packets they get. */
export interface QueueGroup {
  readonly first: number;
  readonly count: number;
  /** Null: all that no group before wants. */
  readonly ports: PortBits | null;
}

/** Of both ports as they stand in the header, a word of 32 bits with the source port first. */
export interface PortBits {
  readonly mask: number;
  /** What may be left of the ports under the mask. */
  readonly values: readonly number[];
}

/**
 * Both directions of a flow must reach one worker: the kernel chooses among the queues of a rule by
 * the addresses, whichever is the source. --queue-cpu-fanout would choose by processor and tear flows
 * apart. The ports choose among groups of queues before, so that two hosts alone do not keep one
 * worker busy while the others sleep.
 *
 * @returns in the order in which the rules must stand
 */
export function queueGroups(
  { queueNumber, queueCount }: Pick<GuardedTraffic, "queueNumber" | "queueCount">,
): QueueGroup[] {
  const groups = PORT_GROUPS.find((count) => queueCount % count === 0) ?? 1;
  const count = queueCount / groups;
  return Array.from({ length: groups }, (_, index) => {
    const group = (index + 1) % groups;
    const ports = group === 0 ? null : portsOfGroup(groups, group);
    return { first: queueNumber + group * count, count, ports };
  });
}

/**
 * The ports' bits above the lowest differ by `group`, whichever is the source. The lowest bit is no
 * choice: Linux gives connections ports of one parity.
 */
function portsOfGroup(groups: number, group: number): PortBits {
  const word = (source: number, destination: number) => (source << 17) | (destination << 1);
  const values = Array.from({ length: groups }, (_, port) => word(port, port ^ group));
  return { mask: word(groups - 1, groups - 1), values };
}

/** The rules that queue, without what they demand of the marks. */
export function queueRules(
  traffic: Pick<GuardedTraffic, "queueNumber" | "queueCount">,
  family: 4 | 6,
  hasU32: boolean,
): string[] {
  const { queueNumber: first, queueCount: count } = traffic;
  const all: QueueGroup = { first, count, ports: null };
  const rules: string[] = [];
  for (const [protocol, number] of PORT_PROTOCOLS) {
    for (const group of hasU32 ? queueGroups(traffic) : [all]) {
      const test = group.ports === null ? "" : portTest(group.ports, family, number);
      rules.push(`-p ${protocol} ${test}${target(group)}`);
    }
  }
  for (const tunnel of TUNNEL_PROTOCOLS) rules.push(`-p ${tunnel} ${target(all)}`);
  return rules;
}

function target({ first, count }: QueueGroup): string {
  const queues = count > 1
    ? `--queue-balance ${first}:${first + count - 1}`
    : `--queue-num ${first}`;
  return `-j NFQUEUE ${queues} --queue-bypass`;
}

/** With xt_u32, for IPv6 only where the transport header is the first. */
function portTest({ mask, values }: PortBits, family: 4 | 6, protocol: number): string {
  const ports = `${hex(mask)}=${values.map(hex).join(",")}`;
  const test = family === 4 ? `0>>22&0x3C@0&${ports}` : `4>>8&0xFF=${protocol}&&40&${ports}`;
  return `-m u32 --u32 "${test}" `;
}

/** Bits of the TCP sequence number that are 0 in the first 64 KiB of every `recheck` bytes. */
export function recheckBits(recheck: number): number {
  const period = 2 ** Math.ceil(Math.log2(Math.max(recheck, 2 * RECHECK_WINDOW)));
  return Math.min(period, 2 ** 32) - RECHECK_WINDOW;
}

/** A test of xt_u32: the sequence number's bits at offset 4 of the TCP header. */
function sequenceInWindow(recheck: number, family: 4 | 6): string {
  const bits = hex(recheckBits(recheck));
  return family === 4 ? `0>>22&0x3C@4&${bits}=0` : `44&${bits}=0`;
}

function probability(recheck: number): string {
  return Math.min(1, DATAGRAM / recheck).toFixed(10);
}

/** Jump from a hook's chain. What a host says to itself is not queued. */
function jump(chain: HookChain): string {
  const except = chain === "INPUT" ? "! -i lo " : chain === "OUTPUT" ? "! -o lo " : "";
  return `${except}-j ${CHAIN}`;
}

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
      const [, chain] = line.split(" ", 2);
      const target = / -[jg] (\S+)/.exec(line)?.[1] ?? "";
      if (isOwnChain(target) && !isOwnChain(chain)) current?.jumps.push(line);
    }
  }
  return found.filter(({ jumps, chains }) => jumps.length + chains.length > 0);
}

function isOwnChain(name: string): boolean {
  return name === CHAIN || name === RECHECK_CHAIN;
}

/** Input of iptables-restore --noflush that puts the rules in place of whatever is ours already. */
export function installText(
  traffic: GuardedTraffic,
  family: 4 | 6,
  table: Table,
  saved: string,
  hasU32 = true,
): string {
  const own = findOwnRules(saved);
  const here = own.find((rules) => rules.table === table);
  const chains = traffic.recheck > 0 ? [CHAIN, RECHECK_CHAIN] : [CHAIN];
  const stale = (here?.chains ?? []).filter((chain) => !chains.includes(chain));
  const lines = [
    `*${table}`,
    ...chains.map((chain) => `:${chain} - [0:0]`), // makes the chain, or empties it
    ...(here?.jumps ?? []).map(deletion),
    ...stale.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`]),
    ...chainRules(traffic, family, hasU32),
    ...traffic.chains.map((chain) =>
      table === "mangle" ? `-I ${chain} 1 ${jump(chain)}` : `-A ${chain} ${jump(chain)}`
    ),
    "COMMIT",
  ];
  const elsewhere = own.filter((rules) => rules.table !== table).flatMap(removalLines);
  return [...lines, ...elsewhere, ""].join("\n");
}

/** Input of iptables-restore --noflush that removes what is ours; null when nothing is. */
export function removalText(saved: string): string | null {
  const lines = findOwnRules(saved).flatMap(removalLines);
  return lines.length === 0 ? null : [...lines, ""].join("\n");
}

function removalLines({ table, jumps, chains }: OwnRules): string[] {
  return [
    `*${table}`,
    ...jumps.map(deletion),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    "COMMIT",
  ];
}

function deletion(rule: string): string {
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

/**
 * Rules of others that copy or set the bits of our mask: they would show our state to others, or
 * make flows be judged again and again.
 */
export function markConflicts(saved: string, marks: Marks): string[] {
  const conflicts: string[] = [];
  for (const line of saved.split("\n")) {
    if (!line.startsWith("-A ") || isOwnChain(line.split(" ", 2)[1])) continue;
    if (/ -j (CONNMARK|MARK) /.test(line) && (touchedBits(line) & marks.mask) !== 0) {
      conflicts.push(line);
    }
  }
  return conflicts;
}

/** Bits that a rule copies between marks, sets in packets, or overwrites in connections. */
function touchedBits(rule: string): number {
  const copied = /--(?:save|restore)-mark(?: --nfmask (\S+) --ctmask (\S+))?/.exec(rule);
  if (copied) return copied[1] === undefined ? -1 : Number(copied[1]) & Number(copied[2]);
  const set = /-j (\w+) --set-xmark (\w+)\/(\w+)/.exec(rule);
  if (set === null) return 0;
  const [, target, value, mask] = set;
  // Clearing our bits in a packet does no harm: it comes to our chain without them anyway.
  return target === "CONNMARK" ? Number(value) | Number(mask) : Number(value);
}
