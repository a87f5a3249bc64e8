/**
 * The C library's calls about network devices and namespaces. Results as in libc.ts: zero or more, or
 * a negative error number.
 */
import { check, EAGAIN } from "./errno.ts";
import { close, errno } from "./libc.ts";

const SYMBOLS = {
  socket: { parameters: ["i32", /* domain */ "i32", /* type */ "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", /* sockaddr */ "u32" /* size */], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32" /* flags */], result: "isize" },
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

function outcome(result: number | bigint): number {
  const value = Number(result);
  return value === -1 ? -errno() : value;
}

const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;

const SIOCGIFHWADDR = 0x8927n;
const IFREQ_LENGTH = 40;
const IFREQ_FAMILY = 16; // ifr_hwaddr.sa_family, after char ifr_name[16]

/**
 * Hardware type (ARPHRD_*, linux/if_arp.h) of a network interface, or -errno. Asked of the process's
 * network namespace: /sys shows another one in containers and under `ip netns exec`.
 */
export function hardwareType(name: string): number {
  const socket = outcome(libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket < 0) return socket;
  const request = new Uint8Array(IFREQ_LENGTH);
  new TextEncoder().encodeInto(name, request.subarray(0, IFREQ_FAMILY - 1));
  const result = outcome(libc().ioctl(socket, SIOCGIFHWADDR, request));
  close(socket);
  return result < 0 ? result : request[IFREQ_FAMILY] | (request[IFREQ_FAMILY + 1] << 8);
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
const GROUPS = 0x1 /* links */ | 0x10 /* IPv4 addresses */ | 0x40 /* IPv4 routes */ |
  0x100 /* IPv6 addresses */ | 0x400 /* IPv6 routes */;
const SOCKADDR_NL_LENGTH = 12;

/** What the kernel tells of changing links, addresses and routes (rtnetlink, RFC 3549). */
export class RouteEvents implements Disposable {
  #socket: number;
  readonly #bytes = new Uint8Array(32768);

  constructor() {
    const socket = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    this.#socket = check(outcome(socket), "open a routing socket");
    const address = new Uint8Array(SOCKADDR_NL_LENGTH);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, GROUPS, true);
    const bound = outcome(libc().bind(this.#socket, address, SOCKADDR_NL_LENGTH));
    if (bound < 0) this[Symbol.dispose]();
    check(bound, "listen to routing changes");
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
