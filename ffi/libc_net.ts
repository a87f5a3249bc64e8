/**
 * The C library's calls about network devices and namespaces. Results as in libc.ts: zero or more, or
 * a negative error number.
 */
import { check, EAGAIN, ENAMETOOLONG } from "./errno.ts";
import { close, outcome } from "./libc.ts";

const SYMBOLS = {
  socket: { parameters: ["i32", /* domain */ "i32", /* type */ "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* size */], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32" /* flags */], result: "isize" },
  sendto: {
    parameters: [
      "i32", /* socket */
      "buffer", /* bytes */
      "usize", /* their number */
      "i32", /* flags */
      "buffer", /* sockaddr */
      "u32", /* its size */
    ],
    result: "isize", // bytes sent, or -1
  },
  getsockopt: {
    parameters: ["i32", "i32", /* level */ "i32", /* name */ "buffer", "buffer" /* socklen_t * */],
    result: "i32",
  },
  // int ioctl(int, unsigned long, ...): one pointer is passed the same way with or without "...".
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

let library: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

function libc() {
  if (library !== undefined) return library;
  try {
    library = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch {
    library = Deno.dlopen(`libc.musl-${Deno.build.arch}.so.1`, SYMBOLS).symbols;
  }
  return library;
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const SUN_PATH = 2; // sockaddr_un: sa_family_t, then char sun_path[108]
const SOCKADDR_UN_LENGTH = 110;

/**
 * Sends one datagram to a unix socket, without waiting; -errno on failure. A path that begins with
 * `@` names an abstract socket (unix(7)).
 */
export function sendUnixDatagram(path: string, bytes: Uint8Array<ArrayBuffer>): number {
  const made = unixAddress(path);
  if (made === null) return -ENAMETOOLONG;
  const { address, size } = made;
  const socket = outcome(libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket < 0) return socket;
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const length = BigInt(bytes.length);
  const sent = outcome(libc().sendto(socket, bytes, length, flags, address, size));
  close(socket);
  return sent;
}

function unixAddress(path: string): { address: Uint8Array<ArrayBuffer>; size: number } | null {
  const name = new TextEncoder().encode(path);
  if (SUN_PATH + name.length >= SOCKADDR_UN_LENGTH) return null;
  const address = new Uint8Array(SOCKADDR_UN_LENGTH);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, SUN_PATH);
  const isAbstract = path.startsWith("@");
  if (isAbstract) address[SUN_PATH] = 0;
  // An abstract name has no final NUL.
  return { address, size: SUN_PATH + name.length + (isAbstract ? 0 : 1) };
}

/**
 * Takes an abstract name (unix(7)), which one socket in the network namespace can have, whatever each
 * process sees of the file system. The socket, which keeps it until it is closed; -EADDRINUSE where
 * another has it.
 */
export function takeAbstractName(name: string): number {
  const made = unixAddress(`@${name}`);
  if (made === null) return -ENAMETOOLONG;
  const socket = outcome(libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket < 0) return socket;
  const bound = outcome(libc().bind(socket, made.address, made.size));
  if (bound < 0) close(socket);
  return bound < 0 ? bound : socket;
}

const SIOCGIFMTU = 0x8921n;
const SIOCGIFHWADDR = 0x8927n;
const IFREQ_LENGTH = 40;
const IFREQ_VALUE = 16; // int ifr_mtu, or ifr_hwaddr.sa_family; after char ifr_name[16]

/**
 * Hardware type (ARPHRD_*, linux/if_arp.h) of a network interface, or -errno. Asked of the process's
 * network namespace: /sys shows another one in containers and under `ip netns exec`.
 */
export function hardwareType(name: string): number {
  const [result, request] = askInterface(name, SIOCGIFHWADDR);
  return result < 0 ? result : request.getUint16(IFREQ_VALUE, true);
}

/** Largest packet an interface takes, in bytes, or -errno. */
export function interfaceMtu(name: string): number {
  const [result, request] = askInterface(name, SIOCGIFMTU);
  return result < 0 ? result : request.getInt32(IFREQ_VALUE, true);
}

const SIOCETHTOOL = 0x8946n;
const ETHTOOL_GDRVINFO = 3;
const DRIVER_INFO_LENGTH = 196; // struct ethtool_drvinfo of linux/ethtool.h
const DRIVER_NAME = 4; // char driver[32]
const DRIVER_NAME_LENGTH = 32;

/** Name of the driver of a network interface ("veth", "ixgbe"), or null where it tells none. */
export function interfaceDriver(name: string): string | null {
  const info = new Uint8Array(DRIVER_INFO_LENGTH);
  new DataView(info.buffer).setUint32(0, ETHTOOL_GDRVINFO, true);
  const [result] = askInterface(name, SIOCETHTOOL, info);
  if (result < 0) return null;
  const field = info.subarray(DRIVER_NAME, DRIVER_NAME + DRIVER_NAME_LENGTH);
  const end = field.indexOf(0);
  return new TextDecoder().decode(field.subarray(0, end < 0 ? field.length : end));
}

/** The result of the call, and the struct ifreq with the answer; `data` is what it points to. */
function askInterface(
  name: string,
  question: bigint,
  data?: Uint8Array<ArrayBuffer>,
): [result: number, request: DataView] {
  const request = new Uint8Array(IFREQ_LENGTH);
  const view = new DataView(request.buffer);
  if (data !== undefined) {
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(data));
    view.setBigUint64(IFREQ_VALUE, address, true);
  }
  const socket = outcome(libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket < 0) return [socket, view];
  new TextEncoder().encodeInto(name, request.subarray(0, IFREQ_VALUE - 1));
  const result = outcome(libc().ioctl(socket, question, request));
  close(socket);
  return [result, view];
}

const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71; // Linux 5.14

/** Number of the process's network namespace, never used again until reboot. Null before 5.14. */
export function networkNamespaceCookie(): bigint | null {
  const socket = outcome(libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket < 0) return null;
  const cookie = new BigUint64Array(1);
  const length = new Uint32Array([8]);
  const result = libc().getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, cookie, length);
  close(socket);
  return result === 0 ? cookie[0] : null;
}

const NETLINK_ROUTE = 0;
// RTMGRP_* of linux/rtnetlink.h
const ROUTE_GROUPS = 0x1 /* links */ | 0x10 /* IPv4 addresses */ | 0x40 /* IPv4 routes */ |
  0x100 /* IPv6 addresses */ | 0x400 /* IPv6 routes */;
const NETLINK_NETFILTER = 12;
/** NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h, the seventh group. */
const NFT_GROUP = 1 << 6;
const SOCKADDR_NL_LENGTH = 12;
const ANSWER_LENGTH = 32_768;

/**
 * Sends one netlink request and gives the first datagram of its answer; -errno on failure. The
 * kernel answers such a request before the call returns, so nothing is waited for.
 *
 * @param protocol NETLINK_* of linux/netlink.h
 */
export function askNetlink(
  protocol: number,
  request: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> | number {
  const socket = outcome(libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (socket < 0) return socket;
  try {
    const address = new Uint8Array(SOCKADDR_NL_LENGTH); // port 0: the kernel
    new DataView(address.buffer).setUint16(0, AF_NETLINK, true);
    const length = BigInt(request.length);
    const sent = outcome(
      libc().sendto(socket, request, length, 0, address, SOCKADDR_NL_LENGTH),
    );
    if (sent < 0) return sent;
    const answer = new Uint8Array(ANSWER_LENGTH);
    const size = outcome(libc().recv(socket, answer, BigInt(ANSWER_LENGTH), MSG_DONTWAIT));
    return size < 0 ? size : answer.subarray(0, size);
  } finally {
    close(socket);
  }
}

/** A socket that asks the kernel about routes, one question at a time. */
export class RouteSocket implements Disposable {
  #socket: number;
  readonly #kernel = new Uint8Array(SOCKADDR_NL_LENGTH); // port 0
  readonly #answer = new Uint8Array(8_192);

  constructor() {
    const socket = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    this.#socket = check(outcome(socket), "open a routing socket");
    new DataView(this.#kernel.buffer).setUint16(0, AF_NETLINK, true);
  }

  /**
   * The first datagram of the kernel's answer, valid until the next question; -errno on failure. The
   * kernel answers before the call returns, so nothing is waited for.
   */
  ask(request: Uint8Array<ArrayBuffer>): Uint8Array | number {
    const length = BigInt(request.length);
    const { sendto, recv } = libc();
    const address = this.#kernel;
    const sent = outcome(sendto(this.#socket, request, length, 0, address, SOCKADDR_NL_LENGTH));
    if (sent < 0) return sent;
    const room = BigInt(this.#answer.length);
    const size = outcome(recv(this.#socket, this.#answer, room, MSG_DONTWAIT));
    return size < 0 ? size : this.#answer.subarray(0, size);
  }

  [Symbol.dispose](): void {
    if (this.#socket >= 0) close(this.#socket);
    this.#socket = -1;
  }
}

const NLMSG_HEADER_LENGTH = 16;
const NLMSG_DONE = 3;
const NLMSG_ERROR = 2;
/** Datagrams of one answer: of 32 KiB each, some ten thousand interfaces. */
const MOST_DATAGRAMS = 1024;

/**
 * Sends a netlink request for a whole table (NLM_F_DUMP) and gives the datagrams of its answer; none
 * on failure. Not waited for: the kernel writes the next part as one is read.
 */
export function dumpNetlink(
  protocol: number,
  request: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer>[] {
  const datagrams: Uint8Array<ArrayBuffer>[] = [];
  visitNetlink(protocol, request, (datagram) => {
    datagrams.push(datagram.slice());
    return datagrams.length < MOST_DATAGRAMS;
  });
  return datagrams;
}

/**
 * The same for tables of any size: `visit` gets one datagram after the other, valid during the call
 * only, until it returns false.
 */
export function visitNetlink(
  protocol: number,
  request: Uint8Array<ArrayBuffer>,
  visit: (datagram: Uint8Array<ArrayBuffer>) => boolean | void,
): void {
  const socket = outcome(libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (socket < 0) return;
  try {
    const address = new Uint8Array(SOCKADDR_NL_LENGTH); // port 0: the kernel
    const length = BigInt(request.length);
    new DataView(address.buffer).setUint16(0, AF_NETLINK, true);
    const sent = libc().sendto(socket, request, length, 0, address, SOCKADDR_NL_LENGTH);
    if (Number(sent) < 0) return;
    const answer = new Uint8Array(ANSWER_LENGTH);
    const view = new DataView(answer.buffer);
    for (;;) {
      const size = outcome(libc().recv(socket, answer, BigInt(ANSWER_LENGTH), MSG_DONTWAIT));
      if (size < NLMSG_HEADER_LENGTH) return;
      const type = view.getUint16(4, true);
      if (type === NLMSG_DONE || type === NLMSG_ERROR) return;
      if (visit(answer.subarray(0, size)) === false) return;
    }
  } finally {
    close(socket);
  }
}

/** What the kernel tells of by itself (netlink(7)), from now on. */
export class NetlinkEvents implements Disposable {
  #socket: number;
  readonly #bytes = new Uint8Array(32768);

  /** @param action completes "Cannot …" */
  private constructor(protocol: number, groups: number, action: string) {
    const socket = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    this.#socket = check(outcome(socket), action);
    const address = new Uint8Array(SOCKADDR_NL_LENGTH);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, groups, true);
    const bound = outcome(libc().bind(this.#socket, address, SOCKADDR_NL_LENGTH));
    if (bound < 0) this[Symbol.dispose]();
    check(bound, action);
  }

  /** Changing links, addresses and routes (rtnetlink, RFC 3549). */
  static ofRoutes(): NetlinkEvents {
    return new NetlinkEvents(NETLINK_ROUTE, ROUTE_GROUPS, "listen to routing changes");
  }

  /** What is added to nft's tables and taken out; iptables' own nft back end has its rules there. */
  static ofNftRules(): NetlinkEvents {
    return new NetlinkEvents(NETLINK_NETFILTER, NFT_GROUP, "listen to changes of the rules");
  }

  /**
   * One datagram of netlink messages, valid until the next call; null when none waits. Empty when
   * some were lost (ENOBUFS) or cannot be read: anything may have changed.
   */
  next(): Uint8Array | null {
    const length = BigInt(this.#bytes.length);
    const result = outcome(libc().recv(this.#socket, this.#bytes, length, MSG_DONTWAIT));
    if (result === -EAGAIN) return null;
    return this.#bytes.subarray(0, Math.max(0, result));
  }

  [Symbol.dispose](): void {
    if (this.#socket >= 0) close(this.#socket);
    this.#socket = -1;
  }
}

const AF_INET6 = 10;
const IPPROTO_RAW = 255;
const SOCKADDR_IN_LENGTH = 16;
const SOCKADDR_IN6_LENGTH = 28;

/** A socket that sends whole IP packets (raw(7), ipv6(7)), from any address; -errno without the right. */
export function openRawSender(family: 4 | 6): number {
  const domain = family === 4 ? AF_INET : AF_INET6;
  return outcome(libc().socket(domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
}

/** Sends an IP packet to the destination in its header, without waiting; -errno on failure. */
export function sendRaw(socket: number, bytes: Uint8Array<ArrayBuffer>, family: 4 | 6): number {
  const address = new Uint8Array(family === 4 ? SOCKADDR_IN_LENGTH : SOCKADDR_IN6_LENGTH);
  new DataView(address.buffer).setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
  if (family === 4) address.set(bytes.subarray(16, 20), 4);
  else address.set(bytes.subarray(24, 40), 8);
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const length = BigInt(bytes.length);
  return outcome(libc().sendto(socket, bytes, length, flags, address, address.length));
}
