/**
 * Who else uses marks, and which bits: read from the listings of the tools, pure; and which two bits
 * are then left for us.
 */

import { EnvironmentError, UsageError } from "../../errors.ts";
import { hex, withMasks } from "./marks.ts";
import { type HookedRule, iptablesRules, nftHooks } from "./mark_hooks.ts";
import { nftElements, withElements } from "./nft_elements.ts";
import { isOwnChain, isOwnRule } from "./own_rules.ts";

/** One rule, filter or device that uses marks; bits as signed words. */
export interface MarkUser {
  /** As its tool lists it, with the tool's name where that is not plain. */
  readonly who: string;
  /** Bits that it sets in packets' marks, or asks for there. */
  readonly packets: number;
  /** Bits that it overwrites in connections' marks… */
  readonly connections: number;
  /** …and those that it sets there by itself. */
  readonly states: number;
  /** Bits that it copies from connections' marks into packets'. */
  readonly copies: number;
  /** Bits of connections' marks that it asks for: `-m connmark --mark 1` asks for all of them. */
  readonly asks: number;
  /** It asks for packets' marks as a whole, and for another than 0: `-m mark --mark 1`. */
  readonly asksPackets: boolean;
  /** The hooks by which a rule is reached (mark_hooks.ts); 0 of what is no rule. */
  readonly hooks: number;
}

/** Listings by tool; what is not there is empty. */
export interface MarkListings {
  /** Of iptables-save, all families and back ends, one after another. */
  readonly iptables: string;
  /**
   * Tables of nft that are iptables' and listed there: "ip mangle". As nft words their rules they lose
   * what counts here: `--save-mark --nfmask 0xff --ctmask 0xff` becomes `ct mark set mark and 0xff`.
   */
  readonly iptablesTables: readonly string[];
  /** nft list ruleset */
  readonly nft: string;
  /** ip rule, both families */
  readonly ipRule: string;
  /** tc filter show, all devices */
  readonly tc: string;
  /** wg show all fwmark */
  readonly wireGuard: string;
  /** Names of the network interfaces. */
  readonly interfaces: readonly string[];
}

const ALL = -1;

/** Everybody of these listings who uses marks. */
export function findMarkUsers(listings: MarkListings): MarkUser[] {
  return [
    ...iptablesRules(listings.iptables).flatMap(readIptablesRule),
    ...readRuleset(listings.nft, listings.iptablesTables),
    ...listings.ipRule.split("\n").flatMap(readIpRule),
    ...listings.tc.split("\n").flatMap(readTcLine),
    ...listings.wireGuard.split("\n").flatMap(readWireGuard),
    // Its programs in the kernel mark packets with identities, and no rule shows it.
    ...listings.interfaces.some((name) => name.startsWith("cilium"))
      ? [userOf("Cilium", { packets: 0xffff_0f00 })]
      : [],
  ];
}

function userOf(who: string, bits: Partial<Omit<MarkUser, "who">>): MarkUser {
  const { packets = 0, connections = 0, states = 0, copies = 0, asks = 0 } = bits;
  const { asksPackets = false, hooks = 0 } = bits;
  return {
    ...{ asksPackets, hooks },
    ...{ who, packets: packets | 0, copies: copies | 0 },
    ...{ connections: connections | 0, states: states | 0, asks: asks | 0 },
  };
}

/** One user, or none where no bit is used. */
function user(who: string, bits: Partial<Omit<MarkUser, "who">>): MarkUser[] {
  const one = userOf(who.trim(), bits);
  const { packets, connections, states, copies, asks, asksPackets } = one;
  const usesNone = (packets | connections | states | copies | asks) === 0 && !asksPackets;
  return usesNone ? [] : [one];
}

/** The bits of `VALUE` or `VALUE/MASK` as something asked for: a mask is somebody's field. */
function fieldOf(text: string): number {
  const [value, mask] = text.split("/").map(Number);
  return mask === undefined || mask === 0xffff_ffff ? value : mask;
}

function readIptablesRule({ line, hooks }: HookedRule): MarkUser[] {
  if (isOwnRule(line)) return [];
  let packets = 0;
  for (const [, field] of line.matchAll(/ -m mark (?:! )?--mark (\S+)/g)) packets |= fieldOf(field);
  const set = /-j MARK --set-xmark (\w+)\//.exec(line);
  const tproxy = /--tproxy-mark (\w+)\//.exec(line);
  packets |= Number(set?.[1] ?? 0) | Number(tproxy?.[1] ?? 0);
  const overwritten = /-j CONNMARK --set-xmark (\w+)\/(\w+)/.exec(line);
  const copied = /--(save|restore)-mark(?: --nfmask (\S+) --ctmask (\S+))?/.exec(line);
  const [, direction, nfMask = ALL, ctMask = ALL] = copied ?? [];
  return user(line, {
    ...{ packets, hooks, asksPackets: WHOLE_PACKETS.test(line) },
    asks: direction === "restore" && SPARES_UNMARKED.test(line) ? 0 : askedByIptables(line),
    connections: overwritten !== null
      ? Number(overwritten[1]) | Number(overwritten[2])
      : direction === "save"
      ? Number(ctMask)
      : 0,
    states: Number(overwritten?.[1] ?? 0),
    copies: direction === "restore" ? Number(nfMask) & Number(ctMask) : 0,
  });
}

const WHOLE_PACKETS = / -m mark (?:! )?--mark 0x[0-9a-f]*[1-9a-f][0-9a-f]*(?:\/0xffffffff)? /;

/** Of a connection that has bits of ours alone it restores those, which are taken out of packets. */
const SPARES_UNMARKED = / -m connmark ! --mark 0x0(?: |\/0xffffffff )/;

function askedByIptables(line: string): number {
  let bits = 0;
  for (const [, field] of line.matchAll(/ -m connmark (?:! )?--mark (\S+)/g)) {
    bits |= Number(field.split("/")[1] ?? ALL);
  }
  return bits;
}

/** nft's rules, those of our own chains and tables left out, and these tables. */
function readRuleset(listing: string, except: readonly string[]): MarkUser[] {
  const users: MarkUser[] = [];
  const hooksOf = nftHooks(listing);
  const elementsOf = nftElements(listing);
  let table = "";
  let chain = "";
  let isTableLeftOut = false;
  let isLeftOut = false;
  for (const line of withMasks(listing).split("\n").map((line) => line.trim())) {
    const [, kind, family, name] = /^(table|chain) (?:(\w+) )?(\S+) \{/.exec(line) ?? [];
    if (kind === "table") {
      table = `${family} ${name}`;
      isLeftOut = isTableLeftOut = name.startsWith("btblocker") || except.includes(table);
    } else if (kind === "chain") {
      chain = name;
      isLeftOut = isTableLeftOut || isOwnChain(name);
    } else if (!isLeftOut && USES_MARKS.test(line)) {
      const rule = withElements(line, table, elementsOf);
      users.push(...readNftRule(rule, `nft, table ${table}: ${line}`, hooksOf(table, chain)));
    }
  }
  return users;
}

const NUMBER = "(?:0x[0-9a-f]+|\\d+)";
const AND = "(?:and|&)";

/** In a rule; a set's `type mark` and `typeof ct mark` are none. */
const USES_MARKS = /^(?!type(?:of)? ).*\bmark\b/;

function readNftRule(line: string, who: string, hooks: number): MarkUser[] {
  // What is set: up to the next statement, which no number or operator begins.
  const packetSet = /(?<!ct )(?:meta )?\bmark set (.*)/.exec(line)?.[1] ?? "";
  const connectionSet = /\bct mark set (.*)/.exec(line)?.[1] ?? "";
  let packets = line.includes("ct mark set") && packetSet === connectionSet
    ? 0
    : valueOf(packetSet);
  const match = new RegExp(
    `(?<!ct )(?:meta )?\\bmark (?:${AND} (${NUMBER}) )?(?:[!=]= ?)?(${NUMBER})(?! [|^&])`,
    "g",
  );
  const tests = line.replace(/\bmark set .*?(?=(?:ct|meta) mark|$)/g, "");
  for (const [, mask, value] of tests.matchAll(match)) packets |= Number(mask ?? value);
  for (const [, elements] of tests.matchAll(SET_OF_MARKS)) {
    for (const element of elements.split(",")) packets |= bitsOfElement(element);
  }
  return user(who, {
    ...{ packets, hooks, asksPackets: WHOLE_NFT.test(withoutSetMarks(line)) },
    asks: askedByNft(line),
    connections: connectionSet === "" ? 0 : overwrittenBy(connectionSet),
    states: connectionSet === "" ? 0 : valueOf(connectionSet),
    copies: /^ct mark\b/.test(packetSet) ? copiedBy(packetSet) : 0,
  });
}

/** Of a mark, or of those from one to another. */
function bitsOfElement(element: string): number {
  const [, from, to] = /(0x[0-9a-f]+)(?:-(0x[0-9a-f]+))?/.exec(element) ?? [];
  if (to === undefined) return Number(from ?? 0);
  return Number(from) | Number(to) | bitsUpTo(Number(from) ^ Number(to));
}

/** All bits of the numbers from 0 to this one. */
function bitsUpTo(number: number): number {
  return number === 0 ? 0 : ALL >>> Math.clz32(number);
}

/** Bits of `ct mark` as something looked for: in a comparison, a set, or as the key of a map. */
function askedByNft(line: string): number {
  const looked = withoutSetMarks(line).replaceAll(/\bmark set ct mark\b/g, "ct mark");
  let bits = 0;
  for (
    const [, mask] of looked.matchAll(new RegExp(`\\bct mark\\b(?: ${AND} (${NUMBER}))?`, "g"))
  ) {
    bits |= Number(mask ?? ALL);
  }
  return bits;
}

/** A set, or a map whose keys are marks: what a key stands for is no mark. */
const SET_OF_MARKS =
  /(?<!ct )(?:\bmeta )?\bmark (?:\. [\w. ]+? )?(?:[!=]= )?(?:vmap |map )?\{([^}]*)\}/g;

/** In a comparison with another number than 0, a set or a map. */
const WHOLE_NFT =
  /(?<!ct )(?:\bmeta )?\bmark (?:[!=]= )?(?:0x[0-9a-f]*[1-9a-f][0-9a-f]*\b(?! [|^&])|\{|@|vmap\b|map\b)/;

function withoutSetMarks(line: string): string {
  return line.replaceAll(SET_MARK, (all, map: string | undefined) => map === undefined ? "" : all);
}

/** A mark set to a mark, whole or changed by numbers; what is looked up by that is a map. */
const SET_MARK = new RegExp(
  `(?:ct |meta )?\\bmark set (?:ct |meta )?mark(?: (?:and|or|xor|[&|^]) ${NUMBER})*( map\\b)?|` +
    `\\bct mark set`,
  "g",
);

/** Bits that an expression may bring into a mark: what remains of the old one brings none. */
function valueOf(expression: string): number {
  const map = /\bmap \{([^}]*)\}/.exec(expression)?.[1];
  if (map !== undefined) {
    const values = [...map.matchAll(new RegExp(`: (${NUMBER})`, "g"))];
    return values.reduce((bits, [, value]) => bits | Number(value), 0);
  }
  const kept = new RegExp(
    `^(?:ct|meta)? ?mark(?: ${AND} ${NUMBER})?(?: (?:or|\\||xor|\\^) (${NUMBER}))?`,
  )
    .exec(expression);
  if (kept !== null) return Number(kept[1] ?? 0);
  const [, modulus, offset] = /\bmod (\d+)(?: offset (\d+))?$/.exec(expression) ?? [];
  if (modulus !== undefined) return bitsUpTo(Number(offset ?? 0) + Number(modulus) - 1);
  return Number(new RegExp(`^${NUMBER}`).exec(expression)?.[0] ?? 0);
}

/** Bits of a connection's mark that do not outlive `ct mark set EXPRESSION`. */
function overwrittenBy(expression: string): number {
  const kept = new RegExp(`^ct mark ${AND} (${NUMBER})`).exec(expression);
  if (kept !== null) return ~Number(kept[1]) | valueOf(expression);
  return /^ct mark (?:or|\||xor|\^)/.test(expression) ? valueOf(expression) : ALL;
}

function copiedBy(expression: string): number {
  const mask = new RegExp(`^ct mark ${AND} (${NUMBER})`).exec(expression);
  return mask === null ? ALL : Number(mask[1]);
}

function readIpRule(line: string): MarkUser[] {
  const field = /\bfwmark (\S+)/.exec(line)?.[1];
  return field === undefined ? [] : user(`ip rule ${line.trim()}`, { packets: fieldOf(field) });
}

/** fw(8), u32's and flower's marks, skbedit, connmark, ct and ctinfo of tc. */
function readTcLine(line: string): MarkUser[] {
  const handle = /\bfw\b.* handle (\S+)/.exec(line)?.[1];
  const edit = /\bskbedit\b.* mark (\S+)/.exec(line)?.[1];
  const looked = /^ *mark 0x\w+ (0x\w+) \(success/.exec(line)?.[1];
  const connection = /^ *ct_mark (\S+)/.exec(line)?.[1];
  const commit = /\baction order \d+: +ct commit\b.* mark (\S+)/.exec(line)?.[1];
  const [state, mask = ALL] = commit?.split("/").map(Number) ?? [0, 0];
  // SQM keeps a flow's DSCP in its connection's mark, if a bit beside says so.
  const [, dscp, stored] = /^\s*index \d+ .* dscp (0x\w+) (0x\w+)/.exec(line) ?? [];
  const copied = /^\s*index \d+ .* cpmark (0x\w+)/.exec(line)?.[1];
  return user(`tc ${line.trim()}`, {
    packets: (handle === undefined ? 0 : fieldOf(handle)) |
      (edit === undefined ? 0 : fieldOf(edit)) | Number(looked ?? 0),
    connections: state | mask,
    states: state,
    asks: Number(dscp ?? 0) | Number(stored ?? 0) |
      (connection === undefined ? 0 : Number(connection.split("/")[1] ?? ALL)),
    copies: /\baction order \d+: connmark\b/.test(line) ? ALL : Number(copied ?? 0),
  });
}

function readWireGuard(line: string): MarkUser[] {
  const [name, mark] = line.split("\t");
  return /^0x/.test(mark ?? "") ? user(`WireGuard ${name}`, { packets: Number(mark) }) : [];
}

/**
 * Marks of programs that may come later: a start beside them must not depend on who was first. Of
 * each what it sets in packets, from its documentation or source.
 */
export const WELL_KNOWN: readonly number[] = [
  0x00ff_0000, // Tailscale, and OpenWrt's pbr
  0x0000_c000, // Kubernetes: kube-proxy's masquerade and drop
  0xffff_0f00, // Cilium
  0xffff_0000, // Calico
  0x6d6f_6c65, // Mullvad
  0x696a_f100, // UniFi split-vpn
  0x7000_0000, // zapret: nfqws, tpws and its filter
  0x0000_3f00, // mwan3
  0x0000_00ff, // fw4 and qos scripts
  0x0000_ca6c, // wg-quick: 51820
  0x0000_e1f1, // NordVPN
  0x0000_2000, // container port mappings (CNI, netavark)
  ...[0xff, 0xfff, 0xffff], // numbers that people choose
];

/**
 * The two bits that are best left to us.
 *
 * @param asked MARK_MASK; `auto`: two that nobody uses, and well-known programs seldom
 * @throws UsageError for a mask that others use, naming them; EnvironmentError where none is left
 */
export function chooseMask(asked: number | "auto", users: readonly MarkUser[]): number {
  if (asked === "auto") return freeMask(users);
  const others = users.filter(({ packets, states }) => ((packets | states) & asked) !== 0)
    .map(({ who }) => who);
  if (others.length === 0) return asked;
  throw new UsageError(
    `Cannot use MARK_MASK=${hex(asked)}: others use these bits (${others.join("; ")}); ` +
      `MARK_MASK=auto takes two that are free`,
  );
}

function freeMask(users: readonly MarkUser[]): number {
  const taken = users.reduce(
    (bits, { packets, states, asks }) => bits | packets | states | (asks === ALL ? 0 : asks),
    0,
  );
  const timesKnown = (bit: number) => WELL_KNOWN.filter((bits) => (bits >>> bit & 1) === 1).length;
  const free = Array.from({ length: 32 }, (_, bit) => bit)
    .filter((bit) => (taken >>> bit & 1) === 0)
    .sort((a, b) => timesKnown(a) - timesKnown(b) || b - a);
  if (free.length < 2) {
    const who = users.filter(({ packets, states }) => (packets | states) !== 0)
      .map((one) => one.who).join("; ");
    throw new EnvironmentError(
      `Cannot find two bits of marks that nobody uses: ${who}`,
      "free two, or set MARK_MASK to two that do not matter",
    );
  }
  return ((1 << free[0]) | (1 << free[1])) >>> 0;
}
