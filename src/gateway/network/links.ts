/**
 * The network interfaces of this namespace, asked of the kernel (RTM_GETLINK, rtnetlink(7)), and those
 * that a router's packets come in by.
 */
import { dumpNetlink } from "../../../ffi/libc_net.ts";

const NETLINK_ROUTE = 0;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
const NLMSG_HEADER = 16; // u32 length, u16 type, u16 flags, u32 sequence, u32 port
const IFINFOMSG = 16; // u8 family, u8 pad, u16 type, i32 index, u32 flags, u32 change
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_SLAVE_KIND = 4;
const ATTRIBUTE_TYPE = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
const IFF_LOOPBACK = 0x8;

export interface Link {
  readonly name: string;
  readonly index: number;
  readonly isLoopback: boolean;
  /** Kind of the interface that this one is a part of ("bridge", "bond"); null where it stands alone. */
  readonly master: string | null;
}

/** Empty where the kernel does not tell. */
export function readLinks(): Link[] {
  const request = new Uint8Array(NLMSG_HEADER + IFINFOMSG);
  const view = new DataView(request.buffer);
  view.setUint32(0, request.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  return dumpNetlink(NETLINK_ROUTE, request).flatMap(linksIn);
}

/** The links in one datagram of the kernel's answer. */
export function linksIn(datagram: Uint8Array): Link[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const links: Link[] = [];
  for (let at = 0; at + NLMSG_HEADER <= view.byteLength;) {
    const end = at + view.getUint32(at, true);
    if (end < at + NLMSG_HEADER || end > view.byteLength) break;
    if (view.getUint16(at + 4, true) === RTM_NEWLINK && end >= at + NLMSG_HEADER + IFINFOMSG) {
      links.push(linkAt(view, at + NLMSG_HEADER, end));
    }
    at = aligned(end);
  }
  return links;
}

function linkAt(view: DataView, at: number, end: number): Link {
  const attributes = at + IFINFOMSG;
  const info = attribute(view, attributes, end, IFLA_LINKINFO);
  const master = info === null ? null : attribute(view, info[0], info[1], IFLA_INFO_SLAVE_KIND);
  return {
    name: textOf(view, attribute(view, attributes, end, IFLA_IFNAME)) ?? "",
    index: view.getInt32(at + 4, true),
    isLoopback: (view.getUint32(at + 8, true) & IFF_LOOPBACK) !== 0,
    master: textOf(view, master),
  };
}

/** Where the value of an attribute (struct rtattr: u16 length, u16 type) begins and ends. */
function attribute(
  view: DataView,
  start: number,
  end: number,
  wanted: number,
): [start: number, end: number] | null {
  for (let at = start; at + 4 <= end;) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > end) return null;
    if ((view.getUint16(at + 2, true) & ATTRIBUTE_TYPE) === wanted) return [at + 4, at + length];
    at = aligned(at + length);
  }
  return null;
}

function textOf(view: DataView, range: [start: number, end: number] | null): string | null {
  if (range === null) return null;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + range[0], range[1] - range[0]);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function aligned(offset: number): number {
  return (offset + 3) & ~3;
}

/** Interfaces that another stands for: what comes in by a port comes in by its bridge. */
const MASTERS: ReadonlySet<string> = new Set(["bridge", "bond", "team", "openvswitch"]);

/**
 * Names of the interfaces whose packets this machine forwards, in the kernel's order. A bridge stands
 * for its ports and a bond for its parts; loopback forwards nothing.
 */
export function forwardingInterfaces(
  links: readonly Link[] = readLinks(),
  isForwarding: (name: string) => boolean = forwards,
): string[] {
  return links
    .filter(({ isLoopback, master }) => !isLoopback && !(master !== null && MASTERS.has(master)))
    .map(({ name }) => name)
    .filter(isForwarding);
}

/**
 * Where banned senders are dropped without INTERFACE: at the uplinks, and where packets are judged on
 * their way through, at every interface that forwards. What was released before a ban is stopped at
 * the side that it comes from.
 */
export function guardedByDefault(
  uplinks: readonly string[],
  judgesForwarded: boolean,
): readonly string[] {
  if (!judgesForwarded) return uplinks;
  return [...new Set([...uplinks, ...forwardingInterfaces()])];
}

function forwards(name: string): boolean {
  return ["ipv4", "ipv6"].some((family) => isOn(`/proc/sys/net/${family}/conf/${name}/forwarding`));
}

function isOn(path: string): boolean {
  try {
    return Deno.readTextFileSync(path).trim() === "1";
  } catch {
    return false; // the interface went, or there is no such family
  }
}

/** Whether anything forwards, as it was switched for the whole machine: a cheap look for a change. */
export function forwardingSwitches(): string {
  return ["ipv4", "ipv6"].map((family) => isOn(`/proc/sys/net/${family}/conf/all/forwarding`))
    .join();
}
