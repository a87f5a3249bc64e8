/**
 * Takes our state out of packets' marks where another program copied the connection's mark there as a
 * whole (`CONNMARK --restore-mark`, `meta mark set ct mark`): with it, `ip rule fwmark 2` would see
 * 0x82000002 and match no more. Only what is a copy goes: where packet and connection both say clean.
 * A flow that is BitTorrent dies anyway, and a mark that another program set by itself stays.
 *
 * Installed only while such a rule is there. With nft behind all rules that mark before a route is
 * chosen; where there is no nft at the end of iptables' mangle chains, which a packet that was
 * accepted there does not reach.
 */

import { hex, type Marks } from "./marks.ts";

/** Beside the rules of iptables; native rules of nft have the chains in their own table. */
export const COPIES_TABLE = "btblocker_copies";
export const COPIES_CHAIN = "BTBLOCKER_COPIES";

/** Wherever marks are copied: before a route is chosen by them, or before qdiscs of tc ask for them. */
export const MARKING_HOOKS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const;

/** Behind what marks (-150 to 0 is usual), before our own chain (50). */
const PRIORITY = 40;

/** The chains for nft. */
export function stripChains({ mask, clear }: Marks): string[] {
  const copied = `ct mark & ${hex(mask)} == ${hex(clear)} meta mark & ${hex(mask)} == ${
    hex(clear)
  }`;
  const strip = `${copied} counter meta mark set meta mark & ${hex(~mask)}`;
  return MARKING_HOOKS.map((hook) => {
    // A route hook looks for the route again when the mark has changed.
    const type = hook === "OUTPUT" ? "route" : "filter";
    return `\tchain copies_${hook.toLowerCase()} {\n` +
      `\t\ttype ${type} hook ${hook.toLowerCase()} priority ${PRIORITY}; policy accept;\n` +
      `\t\t${strip}\n\t}\n`;
  });
}

/** Input of `nft -f` that puts the table there, or in place of what it holds, or takes it away. */
export function copiesText(marks: Marks | null): string {
  if (marks === null) return `table inet ${COPIES_TABLE}\ndelete table inet ${COPIES_TABLE}\n`;
  return replacedInPlace(COPIES_TABLE, stripChains(marks));
}

/**
 * Input of `nft -f` that puts these chains in place of what the table's hold. A base chain that goes,
 * to come again, takes with it every packet that waits in any queue (nf_queue_nf_hook_drop in the
 * kernel): so those that stand are kept, and only their rules go.
 */
export function replacedInPlace(table: string, chains: readonly string[]): string {
  const text = `table inet ${table} {\n${chains.join("")}}\n`;
  return `${text}flush table inet ${table}\n${text}`;
}

/** The same rule for iptables. */
export function stripRule({ mask, clear }: Marks): string {
  const is = `--mark ${hex(clear)}/${hex(mask)}`;
  return `-A ${COPIES_CHAIN} -m connmark ${is} -m mark ${is} -j MARK --set-xmark 0x0/${hex(mask)}`;
}
