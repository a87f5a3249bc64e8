/**
 * What nfnetlink tells of nft's rules (linux/netfilter/nfnetlink.h and nf_tables.h). Every transaction
 * of nft is told there, also those of iptables' nft back end: a flush, say, with which firewalld begins
 * each reload.
 */

// struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port
const HEADER_LENGTH = 16;
const TYPE = 4;
const NFGENMSG_LENGTH = 4;
// struct nlattr: u16 length, u16 type
const ATTRIBUTE_LENGTH = 4;

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
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  if (view.byteLength < HEADER_LENGTH) return "removal";
  let event: RuleEvent = null;
  for (let at = 0; at + HEADER_LENGTH <= view.byteLength;) {
    const length = view.getUint32(at, true);
    if (length < HEADER_LENGTH || at + length > view.byteLength) return "removal";
    const type = view.getUint16(at + TYPE, true);
    const isRemoval = type === DELETE_RULE || type === DELETE_CHAIN || type === DELETE_TABLE;
    if (isRemoval || type === NEW_RULE) {
      const table = tableOf(datagram.subarray(at + HEADER_LENGTH + NFGENMSG_LENGTH, at + length));
      const isOurs = table === null || ours.includes(table);
      if (isRemoval && isOurs) return "removal";
      if (!isOurs && (type === NEW_RULE || type === DELETE_RULE)) event = "change";
    }
    at += (length + 3) & ~3; // NLMSG_ALIGN
  }
  return event;
}

/** The table's name among the attributes of a message, which ends with a 0. */
function tableOf(attributes: Uint8Array): string | null {
  const view = new DataView(attributes.buffer, attributes.byteOffset, attributes.byteLength);
  for (let at = 0; at + ATTRIBUTE_LENGTH <= view.byteLength;) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_LENGTH || at + length > view.byteLength) return null;
    if (view.getUint16(at + 2, true) === TABLE) {
      const name = attributes.subarray(at + ATTRIBUTE_LENGTH, at + length - 1);
      return new TextDecoder().decode(name);
    }
    at += (length + 3) & ~3;
  }
  return null;
}
