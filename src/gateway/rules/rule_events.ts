/**
 * What nfnetlink tells of nft's rules (linux/netfilter/nfnetlink.h and nf_tables.h). Every transaction
 * of nft is told there, also those of iptables' nft back end: a flush, say, with which firewalld begins
 * each reload.
 */

import { bytesOf, CUT, netlinkAttributes, netlinkMessages } from "../netlink.ts";

const NFGENMSG_LENGTH = 4;

const SUBSYSTEM = 10 << 8; // NFNL_SUBSYS_NFTABLES
const DELETE_TABLE = SUBSYSTEM | 2;
const DELETE_CHAIN = SUBSYSTEM | 5;
const NEW_RULE = SUBSYSTEM | 6;
const DELETE_RULE = SUBSYSTEM | 8;
/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE and NFTA_RULE_TABLE alike. */
const TABLE = 1;

/** Of more than one the first. */
export type RuleEvent =
  /** A rule, chain or table left one of our tables. */
  | "removal"
  /** A rule came into a table of others, or left it. */
  | "change"
  /** Neither; elements of sets come and go all the time. */
  | null;

/**
 * What a datagram of messages tells; tables of such a name, in whichever family, are ours. An empty
 * datagram means that some were lost: anything may have happened.
 */
export function readRuleEvent(datagram: Uint8Array, ours: readonly string[]): RuleEvent {
  let event: RuleEvent = null;
  let isEmpty = true;
  for (const { type, body } of netlinkMessages(datagram)) {
    isEmpty = false;
    if (type === CUT) return "removal";
    const isRemoval = type === DELETE_RULE || type === DELETE_CHAIN || type === DELETE_TABLE;
    if (!isRemoval && type !== NEW_RULE) continue;
    const table = tableOf(body);
    const isOurs = table === null || ours.includes(table);
    if (isRemoval && isOurs) return "removal";
    if (!isOurs && (type === NEW_RULE || type === DELETE_RULE)) event = "change";
  }
  return isEmpty ? "removal" : event;
}

/** The table's name among the attributes of a message, which ends with a 0. */
function tableOf(body: DataView): string | null {
  for (const { type, value } of netlinkAttributes(body, NFGENMSG_LENGTH)) {
    if (type === TABLE) return new TextDecoder().decode(bytesOf(value).subarray(0, -1));
  }
  return null;
}
