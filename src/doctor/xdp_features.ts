/**
 * What a driver can do of XDP, as the kernel tells since Linux 6.3: the generic netlink family
 * "netdev" (Documentation/netlink/specs/netdev.yaml). Asking changes nothing, unlike an attempt to
 * attach, for which some drivers restart the card.
 */
import { askNetlink } from "../../ffi/libc_net.ts";
import {
  netlinkAttribute,
  netlinkAttributes,
  netlinkMessages,
  netlinkRequest,
} from "../gateway/netlink.ts";

const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const NETDEV_CMD_DEV_GET = 1;
const NETDEV_A_DEV_IFINDEX = 1;
const NETDEV_A_DEV_XDP_FEATURES = 3;

const GENLMSGHDR = 4; // command, version, reserved
const VERSION = 1;

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
  const request = genericRequest(family, NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, index);
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
  const request = genericRequest(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, text);
  const id = numberIn(askNetlink(NETLINK_GENERIC, request), CTRL_ATTR_FAMILY_ID);
  return id === null ? null : Number(id);
}

/** A generic netlink message with one attribute. */
export function genericRequest(
  family: number,
  command: number,
  attribute: number,
  value: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const header = Uint8Array.of(command, VERSION, 0, 0);
  return netlinkRequest(family, 0, header, netlinkAttribute(attribute, value));
}

/** The number in an attribute of 2, 4 or 8 bytes; null where the answer is an error or lacks it. */
export function numberIn(answer: Uint8Array | number, attribute: number): bigint | null {
  if (typeof answer === "number") return null;
  const message = netlinkMessages(answer).next().value;
  if (message === undefined || message.type < GENL_ID_CTRL) return null; // NLMSG_ERROR
  for (const { type, value } of netlinkAttributes(message.body, GENLMSGHDR)) {
    if (type !== attribute) continue;
    switch (value.byteLength) {
      case 2:
        return BigInt(value.getUint16(0, true));
      case 4:
        return BigInt(value.getUint32(0, true));
      case 8:
        return value.getBigUint64(0, true);
      default:
        return null;
    }
  }
  return null;
}
