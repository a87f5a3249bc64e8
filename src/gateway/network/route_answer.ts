/** Questions to the routing table and their answers (rtnetlink(7), linux/rtnetlink.h). */
import { i32be } from "../../packet/bytes.ts";
import { MAPPED } from "../../packet/packet.ts";
import { aligned } from "../netlink.ts";

const HEADER_LENGTH = 16; // struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port
const RTMSG_LENGTH = 12;
const ATTRIBUTE_HEADER_LENGTH = 4; // u16 length (with this header), u16 type
const TYPE = 4;
const FLAGS = 6;
const RTM_FAMILY = HEADER_LENGTH;
const RTM_DESTINATION_BITS = HEADER_LENGTH + 1;
const RTM_TYPE = HEADER_LENGTH + 7;
const RTM_FLAGS = HEADER_LENGTH + 8;

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const NLM_F_REQUEST = 1;
/** The route as it stands in the table, with all its next hops, not the one way that is chosen. */
const RTM_F_FIB_MATCH = 0x2000;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_MULTIPATH = 9;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const AF_INET = 2;
const AF_INET6 = 10;

/** struct rtnexthop: u16 length (with attributes), u8 flags, u8 hops, i32 interface. */
const NEXT_HOP_LENGTH = 8;
const NEXT_HOP_INTERFACE = 4;

/** Interfaces of a route that are told apart; an equal-cost route seldom has more next hops. */
export const MOST_NEXT_HOPS = 8;

/** What a route says of an address. */
export interface RouteAnswer {
  /** One of this machine's own addresses. */
  isOwn: boolean;
  /** Interfaces that packets to it go out of: `interfaces[0 … count - 1]`. */
  count: number;
  readonly interfaces: Int32Array;
}

/** Which way packets to the address in `words[at … at + 3]` go. */
export function routeQuestion(words: Int32Array, at: number): Uint8Array<ArrayBuffer> {
  const isIpv4 = words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED;
  const addressLength = isIpv4 ? 4 : 16;
  const attribute = HEADER_LENGTH + RTMSG_LENGTH;
  const bytes = new Uint8Array(attribute + ATTRIBUTE_HEADER_LENGTH + addressLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(TYPE, RTM_GETROUTE, true);
  view.setUint16(FLAGS, NLM_F_REQUEST, true);
  view.setUint8(RTM_FAMILY, isIpv4 ? AF_INET : AF_INET6);
  view.setUint8(RTM_DESTINATION_BITS, addressLength * 8);
  view.setUint32(RTM_FLAGS, RTM_F_FIB_MATCH, true);
  view.setUint16(attribute, ATTRIBUTE_HEADER_LENGTH + addressLength, true);
  view.setUint16(attribute + 2, RTA_DST, true);
  const first = isIpv4 ? 3 : 0;
  for (let word = first; word < 4; word++) {
    view.setInt32(attribute + ATTRIBUTE_HEADER_LENGTH + (word - first) * 4, words[at + word]);
  }
  return bytes;
}

/** Reads the kernel's answer into `answer`; no interfaces where there is no such route. */
export function readRoute(bytes: Uint8Array, answer: RouteAnswer): void {
  answer.isOwn = false;
  answer.count = 0;
  const end = Math.min(bytes.length, bytes.length < 4 ? 0 : u32(bytes, 0));
  if (end < HEADER_LENGTH + RTMSG_LENGTH || u16(bytes, TYPE) !== RTM_NEWROUTE) return;
  const type = bytes[RTM_TYPE];
  answer.isOwn = type === RTN_LOCAL;
  if (type !== RTN_UNICAST) return; // unreachable, prohibited, a black hole, broadcast
  let at = HEADER_LENGTH + RTMSG_LENGTH;
  while (end - at >= ATTRIBUTE_HEADER_LENGTH) {
    const length = u16(bytes, at);
    if (length < ATTRIBUTE_HEADER_LENGTH || length > end - at) return;
    const value = at + ATTRIBUTE_HEADER_LENGTH;
    switch (u16(bytes, at + 2)) {
      case RTA_OIF:
        if (length >= ATTRIBUTE_HEADER_LENGTH + 4) add(answer, u32(bytes, value));
        break;
      case RTA_MULTIPATH:
        readNextHops(bytes, value, at + length, answer);
        break;
    }
    at += aligned(length);
  }
}

function readNextHops(bytes: Uint8Array, at: number, end: number, answer: RouteAnswer): void {
  while (end - at >= NEXT_HOP_LENGTH) {
    const length = u16(bytes, at);
    if (length < NEXT_HOP_LENGTH || length > end - at) return;
    add(answer, u32(bytes, at + NEXT_HOP_INTERFACE));
    at += aligned(length);
  }
}

function add(answer: RouteAnswer, interfaceNumber: number): void {
  if (answer.count < MOST_NEXT_HOPS) answer.interfaces[answer.count++] = interfaceNumber;
}

// Netlink's own fields are in host order, which is little-endian wherever Deno runs.
function u16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  const word = i32be(bytes, at);
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) |
    (word >>> 24)) >>> 0;
}
