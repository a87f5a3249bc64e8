/**
 * What a driver can do of XDP, as the kernel tells since Linux 6.3: the generic netlink family
 * "netdev" (Documentation/netlink/specs/netdev.yaml). Asking changes nothing, unlike an attempt to
 * attach, for which some drivers restart the card.
 */
import { askNetlink } from "../../ffi/libc_net.ts";

const NETLINK_GENERIC = 16;
const NLM_F_REQUEST = 1;
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const NETDEV_CMD_DEV_GET = 1;
const NETDEV_A_DEV_IFINDEX = 1;
const NETDEV_A_DEV_XDP_FEATURES = 3;

const NLMSGHDR = 16; // length, type, flags, sequence number, port
const GENLMSGHDR = 4; // command, version, reserved
const ATTRIBUTE_HEADER = 4;

/** NETDEV_XDP_ACT_* */
const BASIC = 1n << 0n;
const HW_OFFLOAD = 1n << 4n;
const RX_SG = 1n << 5n;

export interface XdpFeatures {
  /** Native mode, dropping included. */
  readonly isNative: boolean;
  readonly isOffload: boolean;
  /** Native mode with packets in several buffers (jumbo frames). */
  readonly takesFragments: boolean;
}

/** Null where the kernel does not tell (before 6.3). */
export function xdpFeatures(interfaceIndex: number): XdpFeatures | null {
  const family = familyId("netdev");
  if (family === null) return null;
  const index = new Uint8Array(new Uint32Array([interfaceIndex]).buffer);
  const request = netlinkRequest(family, NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, index);
  const bits = numberIn(askNetlink(NETLINK_GENERIC, request), NETDEV_A_DEV_XDP_FEATURES);
  return bits === null ? null : featuresOf(bits);
}

export function featuresOf(bits: bigint): XdpFeatures {
  return {
    isNative: (bits & BASIC) !== 0n,
    isOffload: (bits & HW_OFFLOAD) !== 0n,
    takesFragments: (bits & RX_SG) !== 0n,
  };
}

function familyId(name: string): number | null {
  const text = new TextEncoder().encode(`${name}\0`);
  const request = netlinkRequest(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, text);
  const id = numberIn(askNetlink(NETLINK_GENERIC, request), CTRL_ATTR_FAMILY_ID);
  return id === null ? null : Number(id);
}

/** A generic netlink message with one attribute. */
export function netlinkRequest(
  family: number,
  command: number,
  attribute: number,
  value: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const at = NLMSGHDR + GENLMSGHDR;
  const bytes = new Uint8Array(at + ATTRIBUTE_HEADER + aligned(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, family, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  bytes[NLMSGHDR] = command;
  bytes[NLMSGHDR + 1] = 1; // version
  view.setUint16(at, ATTRIBUTE_HEADER + value.length, true);
  view.setUint16(at + 2, attribute, true);
  bytes.set(value, at + ATTRIBUTE_HEADER);
  return bytes;
}

/** The number in an attribute of 2, 4 or 8 bytes; null where the answer is an error or lacks it. */
export function numberIn(answer: Uint8Array | number, attribute: number): bigint | null {
  if (typeof answer === "number" || answer.length < NLMSGHDR + GENLMSGHDR) return null;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  if (view.getUint16(4, true) < GENL_ID_CTRL) return null; // NLMSG_ERROR
  const end = Math.min(view.getUint32(0, true), answer.length);
  for (let at = NLMSGHDR + GENLMSGHDR; at + ATTRIBUTE_HEADER <= end;) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER || at + length > end) return null;
    const value = at + ATTRIBUTE_HEADER;
    if (view.getUint16(at + 2, true) === attribute) {
      switch (length - ATTRIBUTE_HEADER) {
        case 2:
          return BigInt(view.getUint16(value, true));
        case 4:
          return BigInt(view.getUint32(value, true));
        case 8:
          return view.getBigUint64(value, true);
        default:
          return null;
      }
    }
    at += aligned(length);
  }
  return null;
}

/** Netlink pads attributes to four bytes. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}
