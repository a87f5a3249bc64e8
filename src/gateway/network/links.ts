/**
 * The network interfaces of this namespace, asked of the kernel (RTM_GETLINK, rtnetlink(7)), and those
 * that a router's packets come in by.
 */
import { dumpNetlink } from "../../../ffi/libc_net.ts";
import {
  bytesOf,
  netlinkAttributes,
  netlinkMessages,
  netlinkRequest,
  NLM_F_DUMP,
} from "../netlink.ts";

const NETLINK_ROUTE = 0;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const IFINFOMSG = 16; // u8 family, u8 pad, u16 type, i32 index, u32 flags, u32 change
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_SLAVE_KIND = 4;
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
  const request = netlinkRequest(RTM_GETLINK, NLM_F_DUMP, new Uint8Array(IFINFOMSG));
  return dumpNetlink(NETLINK_ROUTE, request).flatMap(linksIn);
}

/** The links in one datagram of the kernel's answer. */
export function linksIn(datagram: Uint8Array): Link[] {
  return [...netlinkMessages(datagram)]
    .filter(({ type, body }) => type === RTM_NEWLINK && body.byteLength >= IFINFOMSG)
    .map(({ body }) => linkIn(body));
}

function linkIn(body: DataView): Link {
  const info = attribute(body, IFINFOMSG, IFLA_LINKINFO);
  const master = info === null ? null : attribute(info, 0, IFLA_INFO_SLAVE_KIND);
  return {
    name: textOf(attribute(body, IFINFOMSG, IFLA_IFNAME)) ?? "",
    index: body.getInt32(4, true),
    isLoopback: (body.getUint32(8, true) & IFF_LOOPBACK) !== 0,
    master: textOf(master),
  };
}

function attribute(body: DataView, start: number, wanted: number): DataView | null {
  return netlinkAttributes(body, start).find(({ type }) => type === wanted)?.value ?? null;
}

function textOf(value: DataView | null): string | null {
  if (value === null) return null;
  const bytes = bytesOf(value);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
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
