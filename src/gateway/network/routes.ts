/**
 * The routes of this network namespace, of every table and family (RTM_GETROUTE, rtnetlink(7)): which
 * interfaces are uplinks, and who is a next hop. /proc/net/route knows the main table alone, and one
 * next hop of a route that has several.
 */
import { visitNetlink } from "../../../ffi/libc_net.ts";
import { interfaceName } from "../../../ffi/libc.ts";
import { i32be } from "../../packet/bytes.ts";
import { MAPPED } from "../../packet/packet.ts";
import {
  aligned,
  bytesOf,
  netlinkAttributes,
  netlinkMessages,
  netlinkRequest,
  NLM_F_DUMP,
  part,
} from "../netlink.ts";

const NETLINK_ROUTE = 0;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTM_NEWNEXTHOP = 104;
const RTM_GETNEXTHOP = 106;
// struct rtmsg: u8 family, destination bits, source bits, tos, table, protocol, scope, type; u32 flags
const RTMSG = 12;
const NHMSG = 8; // struct nhmsg: u8 family, scope, protocol, reserved; u32 flags
const NEXT_HOP_HEADER = 8; // struct rtnexthop: u16 length, u8 flags, u8 hops, i32 interface
const AF_INET = 2;
const AF_INET6 = 10;
const RTN_UNICAST = 1;
const TABLE_MAIN = 254;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTA_VIA = 18; // struct rtvia: u16 family, then the address: a next hop of the other family
const NHA_GATEWAY = 6;

/** A route that packets leave by (RTN_UNICAST). */
export interface Route {
  readonly isIpv4: boolean;
  readonly isMain: boolean;
  /** Prefix length of its destination, 0 for a default route. */
  readonly bits: number;
  readonly metric: number;
  /** Numbers of its interfaces. */
  readonly interfaces: readonly number[];
  /** Next hops, 4 words each; none on a link where everybody is a neighbour. */
  readonly hops: readonly Int32Array[];
}

/** What the routes say of this machine. */
export interface RouteSummary {
  /** Names of the interfaces that lead to the internet, the preferred one first, IPv4 before IPv6. */
  readonly uplinks: readonly string[];
  /** Every next hop, once. */
  readonly hops: ReadonlyMap<string, Int32Array>;
}

/**
 * Whether a route leads to the internet: a default route, the halves that VPN clients lay over one
 * (0.0.0.0/1 and 128.0.0.0/1), or all global addresses (2000::/3).
 */
export function isDefaultLike(isIpv4: boolean, bits: number): boolean {
  return bits <= (isIpv4 ? 1 : 3);
}

/** All of it, read anew. A router with a full table has a million routes: a second or two. */
export function readRoutes(): RouteSummary {
  const defaults: Route[] = [];
  const hops = new Map<string, Int32Array>();
  const take = (bytes: Uint8Array) => {
    for (const route of routesIn(bytes)) {
      if (isDefaultLike(route.isIpv4, route.bits)) defaults.push(route);
      for (const hop of route.hops) hops.set(hop.join(), hop);
    }
  };
  visitNetlink(NETLINK_ROUTE, dumpRequest(RTM_GETROUTE, RTMSG, AF_INET), take);
  visitNetlink(NETLINK_ROUTE, dumpRequest(RTM_GETROUTE, RTMSG, AF_INET6), take);
  // Next hops that routes name by number (Linux 5.3); where none are known, the answer is an error.
  visitNetlink(NETLINK_ROUTE, dumpRequest(RTM_GETNEXTHOP, NHMSG, 0), (bytes) => {
    for (const hop of nextHopsIn(bytes)) hops.set(hop.join(), hop);
  });
  const indexes = new Set(defaults.sort(byPreference).flatMap(({ interfaces }) => interfaces));
  const uplinks = [...indexes].map(interfaceName).filter((name) => name !== null && name !== "lo");
  return { uplinks: uplinks as string[], hops };
}

/** The main table first, IPv4 first, then the longest prefix, as the kernel does; then by metric. */
function byPreference(a: Route, b: Route): number {
  return Number(b.isMain) - Number(a.isMain) || Number(b.isIpv4) - Number(a.isIpv4) ||
    b.bits - a.bits || a.metric - b.metric;
}

function dumpRequest(type: number, length: number, family: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(length);
  header[0] = family;
  return netlinkRequest(type, NLM_F_DUMP, header);
}

/** The unicast routes that a datagram tells of; what cannot be read is left out. */
export function routesIn(datagram: Uint8Array): Route[] {
  return messages(datagram, RTM_NEWROUTE, RTMSG).flatMap((message) => {
    const route = readRoute(message);
    return route === null ? [] : [route];
  });
}

function readRoute(message: DataView): Route | null {
  const family = message.getUint8(0);
  if (family !== AF_INET && family !== AF_INET6) return null;
  if (message.getUint8(7) !== RTN_UNICAST) return null; // local, broadcast, unreachable, …
  const interfaces: number[] = [];
  const hops: Int32Array[] = [];
  let metric = 0;
  for (const { type, value } of netlinkAttributes(message, RTMSG)) {
    if (type === RTA_OIF && value.byteLength >= 4) interfaces.push(value.getInt32(0, true));
    else if (type === RTA_PRIORITY && value.byteLength >= 4) metric = value.getUint32(0, true);
    else if (type === RTA_MULTIPATH) readMultipath(value, interfaces, hops);
    else takeHop(type, value, hops);
  }
  const isIpv4 = family === AF_INET;
  const isMain = message.getUint8(4) === TABLE_MAIN;
  return { isIpv4, isMain, bits: message.getUint8(1), metric, interfaces, hops };
}

function readMultipath(list: DataView, interfaces: number[], hops: Int32Array[]): void {
  for (let at = 0; at + NEXT_HOP_HEADER <= list.byteLength;) {
    const length = list.getUint16(at, true);
    if (length < NEXT_HOP_HEADER || at + length > list.byteLength) return;
    const hop = part(list, at, length);
    interfaces.push(hop.getInt32(4, true));
    for (const { type, value } of netlinkAttributes(hop, NEXT_HOP_HEADER)) {
      takeHop(type, value, hops);
    }
    at = aligned(at + length);
  }
}

function takeHop(type: number, value: DataView, hops: Int32Array[]): void {
  const isVia = type === RTA_VIA && value.byteLength > 2;
  if (type !== RTA_GATEWAY && !isVia) return;
  const hop = addressIn(isVia ? part(value, 2, value.byteLength - 2) : value);
  if (hop !== null) hops.push(hop);
}

/** Gateways of next hop objects (`ip nexthop`). */
export function nextHopsIn(datagram: Uint8Array): Int32Array[] {
  return messages(datagram, RTM_NEWNEXTHOP, NHMSG).flatMap((message) =>
    [...netlinkAttributes(message, NHMSG)].flatMap(({ type, value }) => {
      const hop = type === NHA_GATEWAY ? addressIn(value) : null;
      return hop === null ? [] : [hop];
    })
  );
}

/** Null for the unspecified address and for what is none. */
function addressIn(value: DataView): Int32Array | null {
  const bytes = bytesOf(value);
  const words = bytes.length === 4
    ? Int32Array.of(0, 0, MAPPED, i32be(bytes, 0))
    : bytes.length === 16
    ? Int32Array.from({ length: 4 }, (_, word) => i32be(bytes, word * 4))
    : null;
  const isUnspecified = words !== null && words[3] === 0 && words[0] === 0 && words[1] === 0;
  return isUnspecified ? null : words;
}

/** Bodies of the messages of a type in a datagram, each at least `least` bytes long. */
function messages(datagram: Uint8Array, wanted: number, least: number): DataView[] {
  return [...netlinkMessages(datagram)]
    .filter(({ type, body }) => type === wanted && body.byteLength >= least)
    .map(({ body }) => body);
}
