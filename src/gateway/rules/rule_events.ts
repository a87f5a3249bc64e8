/**
 * Which messages of nfnetlink tell that something left one of our tables (linux/netfilter/nfnetlink.h
 * and nf_tables.h). Every transaction of nft is told there, also those of iptables' nft back end: a
 * flush, say, with which firewalld begins each reload.
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
const DELETE_RULE = SUBSYSTEM | 8;
/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE and NFTA_RULE_TABLE alike. */
const TABLE = 1;

/**
 * Whether a datagram tells of a rule, chain or table that left a table of such a name, in whichever
 * family. An empty datagram means that some were lost.
 */
export function tellsOfRemoval(datagram: Uint8Array, tables: readonly string[]): boolean {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  if (view.byteLength < HEADER_LENGTH) return true;
  for (let at = 0; at + HEADER_LENGTH <= view.byteLength;) {
    const length = view.getUint32(at, true);
    if (length < HEADER_LENGTH || at + length > view.byteLength) return true;
    const type = view.getUint16(at + TYPE, true);
    const isRemoval = type === DELETE_RULE || type === DELETE_CHAIN || type === DELETE_TABLE;
    if (isRemoval) {
      const table = tableOf(datagram.subarray(at + HEADER_LENGTH + NFGENMSG_LENGTH, at + length));
      if (table === null || tables.includes(table)) return true;
    }
    at += (length + 3) & ~3; // NLMSG_ALIGN
  }
  return false;
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
