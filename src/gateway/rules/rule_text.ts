/**
 * The rules as text: pure functions from what is to be guarded to the input of iptables-restore.
 *
 * A judged packet comes back by NF_REPEAT with a sealed state in its mark (marks.ts) and runs through
 * the chain once more; the chain moves the state into the connection's mark:
 *
 *     new connection on an old 5-tuple (SYN), or a helper's child → BTBLOCKER_FORGET: forget the state
 *                                              it was born with
 *     connection clean, nothing of ours in the packet's mark → past our chain    the fast path
 *     something of ours in the packet's mark → BTBLOCKER_MARKED
 *     either end has a whitelisted port      → BTBLOCKER_PORTS: it is the service called →
 *                                              BTBLOCKER_SERVICE: save that it is clean; else as below
 *     connection BitTorrent                  → DROP         MONITOR_ONLY: RETURN
 *     anything else                          → BTBLOCKER_QUEUE: no payload, or noted by the first look:
 *                                              RETURN; settled by it → BTBLOCKER_LOOKED: save that
 *                                              it is clean; NFQUEUE
 *
 *     BTBLOCKER_MARKED: a sealed state       → save it in the connection's mark, take the seal off;
 *                                              BitTorrent: DROP, else RETURN
 *                       another program's mark → as above, but where it has bits of MARK_MASK the
 *                                              connection's are not believed either: it may have copied
 *                                              its own there. The worker judges, and saves nothing
 *
 * Every judged packet ends in this pass, whether or not conntrack knows it: no packet is queued twice.
 *
 * Nearly all packets are of clean connections, and each match of iptables costs them tens of
 * nanoseconds: what they meet are the jumps' own matches in the hook's chain, and no jump is taken.
 */

import { COPIES_CHAIN, MARKING_HOOKS, stripRule } from "./copy_strip.ts";
import { hex, type Marks } from "./marks.ts";
import {
  CHAIN,
  deletion,
  findOwnRules,
  FORGET_CHAIN,
  JUDGING_CHAINS,
  LOOKED_CHAIN,
  MARKED_CHAIN,
  PORTS_CHAIN,
  QUEUE_CHAIN,
  RARE_CHAIN,
  RECHECK_CHAIN,
  removalLines,
  SERVICE_CHAIN,
} from "./own_rules.ts";
import { PORT_PROTOCOLS, queueRules } from "./queue_rules.ts";

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
  /** WHITELIST_PORTS: connections to these are not judged. */
  readonly whitelistPorts: readonly number[];
  /** Another program copies connections' marks into packets': take our state out again. */
  readonly stripsCopies: boolean;
  /**
   * Another program sets our bits in connections' marks: no packet passes or dies by them, each is
   * judged.
   */
  readonly distrustsStates?: boolean;
  /**
   * Another program asks for connections' marks as a whole, and would not find what it looks for beside
   * bits of ours: a clean connection gets none, and each of its packets is judged.
   */
  readonly leavesMarks?: boolean;
  /** The kernel's first look; without, user space sees each flow's first packets. */
  readonly firstLook?: FirstLookRules | null;
}

/** The programs of the kernel's first look (first_look.ts). */
export interface FirstLookRules {
  /** Paths that they are pinned at. */
  readonly look: string;
  readonly settled: string;
  /** Bridged packets come to iptables: they are left to user space, which knows a bridge's ports. */
  readonly sparesBridged: boolean;
}

/** Matches of iptables that a kernel may lack. */
export interface Matches {
  /** xt_u32: without it segments without payload are queued too, the flows between two addresses are
   * one worker's, and no TCP is called back by RECHECK. */
  readonly u32: boolean;
  /** xt_conntrack and xt_multiport: without them connections to whitelisted services make the trip to
   * user space, and the children of conntrack's helpers keep the state of their parents. */
  readonly services: boolean;
  /** xt_bpf: without it each flow's first packets make the trip to user space. */
  readonly bpf: boolean;
}
export const ALL_MATCHES: Matches = { u32: true, services: true, bpf: true };

/** Largest GSO packet: a window of the sequence space as wide holds the start of one at least. */
const RECHECK_WINDOW = 65_536;
/** Typical bytes of a full UDP datagram, to turn bytes into packets. */
export const DATAGRAM = 1_400;
/** Packets of IP and TCP headers alone; they are not worth a trip. */
export const HEADERS_ONLY = 99;

/** The rules of our chains, in iptables' words. */
export function chainRules(
  traffic: GuardedTraffic,
  family: 4 | 6,
  matches: Matches = ALL_MATCHES,
): string[] {
  const { marks, recheck, monitorOnly, distrustsStates = false } = traffic;
  const { mask, clear, drop } = marks;
  const believed = (...rules: string[]) => distrustsStates ? [] : rules;
  const connection = (state: number) => `-m connmark --mark ${hex(state)}/${hex(mask)}`;
  const unmarked = unmarkedTest(marks);
  const dropped = `${connection(drop)} -j ${monitorOnly ? "RETURN" : "DROP"}`;
  const services = matches.services ? serviceRules(traffic) : [];
  const known = recheck > 0 ? `-g ${RECHECK_CHAIN}` : "-j RETURN";
  const clean = goesPast(traffic, matches) ? [] : [`${connection(clear)} ${unmarked} ${known}`];
  const judged = [...believed(dropped), `-g ${QUEUE_CHAIN}`];
  const main = [
    ...believed(...clean),
    `-m mark ! --mark 0x0/${hex(marks.sealMask)} -g ${MARKED_CHAIN}`,
    ...matches.services ? portRules(traffic) : [],
    ...judged,
  ];
  const foreign = `-m mark --mark 0x0/${hex(mask)}`;
  const marked = [
    ...verdictRules(traffic),
    ...services,
    ...believed(`${foreign} ${connection(clear)} -j RETURN`, `${foreign} ${dropped}`),
    `-g ${QUEUE_CHAIN}`,
  ];
  const looks = matches.bpf ? traffic.firstLook ?? null : null;
  const queue = [
    ...(matches.u32 ? emptySegments(family) : []).map((match) =>
      `-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH NONE ${match} -j RETURN`
    ),
    ...looks === null ? [] : lookRules(looks, unmarked),
    ...queueRules(traffic, family, matches.u32),
  ];
  return [
    ...inChain(CHAIN, main),
    ...inChain(MARKED_CHAIN, marked),
    ...services.length > 0 ? inChain(PORTS_CHAIN, [...services, ...judged]) : [],
    ...inChain(QUEUE_CHAIN, queue),
    ...inChain(FORGET_CHAIN, [
      `-m connmark ! --mark 0x0/${hex(mask)} -j CONNMARK --set-xmark 0x0/${hex(mask)}`,
    ]),
    ...goesPast(traffic, matches)
      ? inChain(RARE_CHAIN, [
        `${bornWithState(marks)} -g ${FORGET_CHAIN}`,
        `-m conntrack --ctstate INVALID,UNTRACKED -g ${CHAIN}`,
      ])
      : [],
    ...services.length > 0 && marksServices(traffic)
      ? inChain(SERVICE_CHAIN, [`-j CONNMARK --set-xmark ${hex(clear)}/${hex(mask)}`])
      : [],
    ...looks === null ? [] : inChain(LOOKED_CHAIN, [
      `-j CONNMARK --set-xmark ${hex(savedStates(traffic).clear)}/${hex(mask)}`,
    ]),
    ...recheck > 0 ? inChain(RECHECK_CHAIN, recheckRules(traffic, family, matches)) : [],
  ];
}

function unmarkedTest({ sealMask }: Marks): string {
  return `-m mark --mark 0x0/${hex(sealMask)}`;
}

/** A connection that a helper (SIP, TFTP) expected begins with its parent's mark. */
function bornWithState(marks: Marks): string {
  return `-p udp -m conntrack --ctstate RELATED ! --ctstatus CONFIRMED ${unmarkedTest(marks)}`;
}

/** Whether connections to whitelisted services are marked: where a clean one's packets are not judged. */
export function marksServices({ whitelistPorts, ...traffic }: GuardedTraffic): boolean {
  return whitelistPorts.length > 0 && sparesClean(traffic);
}

/** Whether a clean connection's packets take none of the jumps: without conntrack's match they must. */
function goesPast(traffic: Parameters<typeof sparesClean>[0], { services }: Matches): boolean {
  return services && sparesClean(traffic);
}

/** Whether no packet of a clean connection is judged. */
function sparesClean(
  { recheck, distrustsStates = false, leavesMarks = false }: Pick<
    GuardedTraffic,
    "recheck" | "distrustsStates" | "leavesMarks"
  >,
): boolean {
  return recheck === 0 && !distrustsStates && !leavesMarks;
}

/** What is written into connections' marks for a state; a flow that dies anyway may show it. */
export function savedStates(
  { marks: { clear, drop }, monitorOnly, leavesMarks = false }: Pick<
    GuardedTraffic,
    "marks" | "monitorOnly" | "leavesMarks"
  >,
): { clear: number; drop: number } {
  return leavesMarks ? { clear: 0, drop: monitorOnly ? 0 : drop } : { clear, drop };
}

/**
 * A packet that the first look lets pass is done with. What it does not let pass belongs to a flow that
 * is settled, or to user space: asked in this order, most packets cost one program. Neither is asked
 * of a packet that is called back or has another program's mark: those are user space's.
 */
function lookRules(
  { look, settled, sparesBridged }: FirstLookRules,
  unmarked: string,
): string[] {
  const routed = sparesBridged ? "-m physdev ! --physdev-is-bridged " : "";
  return [[look, "-j RETURN"], [settled, `-g ${LOOKED_CHAIN}`]].flatMap(([program, target]) =>
    PORT_PROTOCOLS.map(([protocol]) =>
      `-p ${protocol} ${unmarked} ${routed}-m bpf --object-pinned ${program} ${target}`
    )
  );
}

function inChain(chain: string, rules: readonly string[]): string[] {
  return rules.map((rule) => `-A ${chain} ${rule}`);
}

/** A packet that comes back with a verdict leaves these without its seal. */
function verdictRules(traffic: GuardedTraffic): string[] {
  const { marks, monitorOnly } = traffic;
  const { mask, seal, sealMask, sealedClear, sealedDrop } = marks;
  const { clear, drop } = savedStates(traffic);
  const sealed = (state: number) => `-m mark --mark ${hex(state)}/${hex(sealMask)}`;
  const save = (state: number) => `-j CONNMARK --set-xmark ${hex(state)}/${hex(mask)}`;
  return [
    `${sealed(sealedClear)} ${save(clear)}`,
    `${sealed(sealedDrop)} ${save(drop)}`,
    ...monitorOnly ? [] : [`${sealed(sealedDrop)} -j DROP`],
    `-m mark --mark ${hex(seal.value)}/${hex(seal.bits)} -j MARK --set-xmark 0x0/${hex(sealMask)}`,
    `${sealed(0)} -j RETURN`,
  ];
}

/** xt_multiport takes so many ports. */
const PORTS_A_RULE = 15;

/** Lists of ports as xt_multiport takes them. */
function portLists(ports: readonly number[]): string[] {
  const lists: string[] = [];
  for (let at = 0; at < ports.length; at += PORTS_A_RULE) {
    lists.push(ports.slice(at, at + PORTS_A_RULE).join(","));
  }
  return lists;
}

/** Whether either end has such a port: one match for all the packets that have none. */
function portRules({ whitelistPorts }: GuardedTraffic): string[] {
  return portLists(whitelistPorts).flatMap((ports) =>
    PORT_PROTOCOLS.map(([protocol]) =>
      `-p ${protocol} -m multiport --ports ${ports} -g ${PORTS_CHAIN}`
    )
  );
}

/**
 * Connections to these ports are clean. Conntrack knows who called whom: in the direction of the first
 * packet the service is the destination, in the other the source. A caller's own port counts for
 * nothing: what listens on 443 to hide is judged in the connections that it opens.
 */
function serviceRules(traffic: GuardedTraffic): string[] {
  const target = marksServices(traffic) ? `-g ${SERVICE_CHAIN}` : "-j RETURN";
  return portLists(traffic.whitelistPorts).flatMap((ports) =>
    PORT_PROTOCOLS.flatMap(([protocol]) =>
      [["ORIGINAL", "dports"], ["REPLY", "sports"]].map(([direction, end]) =>
        `-p ${protocol} -m multiport --${end} ${ports} -m conntrack --ctdir ${direction} ${target}`
      )
    )
  );
}

/** Packets of released flows that are judged again; the seal tells the worker why they come. */
function recheckRules(traffic: GuardedTraffic, family: 4 | 6, { u32 }: Matches): string[] {
  const { recheck, marks: { sealedPass, sealMask } } = traffic;
  const recall = `-j MARK --set-xmark ${hex(sealedPass)}/${hex(sealMask)}`;
  return [
    `-m length --length 0:${HEADERS_ONLY} -j RETURN`,
    ...u32 ? [`-p tcp -m u32 --u32 "${sequenceInWindow(recheck, family)}" ${recall}`] : [],
    `-p udp -m statistic --mode random --probability ${probability(recheck)} ${recall}`,
    `-m mark --mark ${hex(sealedPass)}/${hex(sealMask)} -g ${QUEUE_CHAIN}`,
  ];
}

/**
 * Segments that surely carry nothing: IP and TCP headers without options, and with the 12 bytes of
 * timestamps (RFC 7323), where only a data offset of 8 words leaves no byte over. Acknowledgements
 * tell the engine nothing. What ends a connection must not overtake its last bytes, so FIN and RST
 * take the same way as these; SYN says where the stream begins.
 *
 * The first look, which comes behind them, notes nothing of such. PSH, which stands in the last segment
 * of what a program has written, spares a flow's first messages both matches.
 */
function emptySegments(family: 4 | 6): string[] {
  return family === 4
    ? ["-m length --length 40", '-m length --length 52 -m u32 --u32 "0>>22&0x3C@12>>28=8"']
    : ["-m length --length 60", '-m length --length 72 -m u32 --u32 "4>>8&0xFF=6&&52>>28=8"'];
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

/**
 * Jumps from a hook's chain, in their order. What a host says to itself is not queued. A clean
 * connection's packet takes none but as RECHECK has it, or where marks are not believed.
 *
 * Of a packet that conntrack keeps no connection for (a wrong checksum, out of its window, NOTRACK)
 * `connmark` says nothing, neither that it is clean nor that it is not; without `conntrack` to tell
 * those, nothing goes past. Both questions to `conntrack` are one match, since each costs every packet.
 *
 * A packet may take two of the last three: the first saves what its seal says and takes it off, so that
 * no packet is queued twice. They stand in this order for it: without a seal the other would be taken
 * for what its connection is not yet known to be.
 */
export function jumps(
  hook: HookChain,
  { marks, ...traffic }: GuardedTraffic,
  matches: Matches = ALL_MATCHES,
): string[] {
  const { mask, clear, sealMask } = marks;
  const except = hook === "INPUT" ? "! -i lo " : hook === "OUTPUT" ? "! -o lo " : "";
  const forgetting = `-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ${FORGET_CHAIN}`;
  const rules = goesPast(traffic, matches)
    ? [
      forgetting,
      `-m conntrack --ctstate INVALID,RELATED,UNTRACKED -j ${RARE_CHAIN}`,
      `-m connmark ! --mark ${hex(clear)}/${hex(mask)} -j ${CHAIN}`,
      `-m mark ! --mark 0x0/${hex(sealMask)} -j ${CHAIN}`,
    ]
    : [
      forgetting,
      ...matches.services ? [`${bornWithState(marks)} -j ${FORGET_CHAIN}`] : [],
      `-j ${CHAIN}`,
    ];
  return rules.map((rule) => `${hook} ${except}${rule}`);
}

/**
 * Input of iptables-restore --noflush that puts the rules in place of whatever is ours already.
 *
 * @param strips whether copies of our state are taken out of packets' marks by iptables: copy_strip.ts
 */
export function installText(
  traffic: GuardedTraffic,
  family: 4 | 6,
  table: Table,
  saved: string,
  { matches = ALL_MATCHES, strips = false }: { matches?: Matches; strips?: boolean } = {},
): string {
  const own = findOwnRules(saved);
  const here = own.find((rules) => rules.table === table);
  const unused = new Set([
    ...traffic.recheck > 0 ? [] : [RECHECK_CHAIN],
    ...matches.bpf && traffic.firstLook ? [] : [LOOKED_CHAIN],
    ...goesPast(traffic, matches) ? [] : [RARE_CHAIN],
    ...matches.services && traffic.whitelistPorts.length > 0 ? [] : [PORTS_CHAIN],
    ...matches.services && marksServices(traffic) ? [] : [SERVICE_CHAIN],
  ]);
  const chains = JUDGING_CHAINS.filter((chain) => !unused.has(chain));
  const stale = (here?.chains ?? []).filter((chain) => !chains.includes(chain));
  const lines = [
    `*${table}`,
    ...chains.map((chain) => `:${chain} - [0:0]`), // makes the chain, or empties it
    ...(here?.jumps ?? []).map(deletion),
    ...stale.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`]),
    ...chainRules(traffic, family, matches),
    ...traffic.chains.flatMap((hook) => insertions(jumps(hook, traffic, matches), table)),
    "COMMIT",
  ];
  const elsewhere = own.filter((rules) => rules.table !== table).flatMap(removalLines);
  return [...lines, ...elsewhere, ...strips ? stripLines(traffic.marks) : [], ""].join("\n");
}

/** The jumps are the first rules of mangle, and the last ones of security. */
function insertions(rules: readonly string[], table: Table): string[] {
  return table === "mangle"
    ? rules.toReversed().map((rule) => `-I ${rule}`)
    : rules.map((rule) => `-A ${rule}`);
}

function stripLines(marks: Marks): string[] {
  return [
    "*mangle",
    `:${COPIES_CHAIN} - [0:0]`,
    stripRule(marks),
    ...MARKING_HOOKS.map((hook) => `-A ${hook} -j ${COPIES_CHAIN}`),
    "COMMIT",
  ];
}
