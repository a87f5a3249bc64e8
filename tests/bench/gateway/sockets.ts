/**
 * Blocking sockets of the C library for the load programs of the gateway's benchmark: a call costs a
 * tenth of a microsecond more than in C, so that the programs themselves leave the two ends of the
 * network, and the clock, undisturbed. IPv4 only.
 */

const library = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" /* int * */ },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", /* sockaddr */ "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", /* sockaddr */ "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32" /* backlog */], result: "i32" },
  accept: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32" /* flags */], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  sendto: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", /* sockaddr */ "u32"],
    result: "isize",
  },
  recvfrom: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", /* sockaddr */ "buffer" /* length */],
    result: "isize",
  },
  sendmmsg: { parameters: ["i32", "buffer", /* mmsghdr */ "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
});
export const libc = library.symbols;

const AF_INET = 2;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVTIMEO = 20;
const IPPROTO_TCP = 6;
const TCP_DEFER_ACCEPT = 9;
const SOCKADDR_LENGTH = 16;

/** `struct sockaddr_in` of an address such as "198.18.1.2". */
export function socketAddress(ipv4: string, port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(SOCKADDR_LENGTH);
  address.set([AF_INET, 0, port >> 8, port & 255, ...ipv4.split(".").map(Number)]);
  return address;
}

/** The result; throws with the error number when it is -1. */
export function must(result: number | bigint, action: string): number {
  if (Number(result) >= 0) return Number(result);
  const at = libc.__errno_location()!;
  throw new Error(`Cannot ${action}: errno ${new Deno.UnsafePointerView(at).getInt32()}`);
}

export function open(type: number): number {
  return must(libc.socket(AF_INET, type, 0), "open a socket");
}

/** A bound socket; of TCP, one that listens and gives connections whose first bytes are there. */
export function serverSocket(type: number, port: number): number {
  const fd = open(type);
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  must(libc.bind(fd, socketAddress("0.0.0.0", port), SOCKADDR_LENGTH), `bind port ${port}`);
  if (type === SOCK_STREAM) {
    set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
    must(libc.listen(fd, 4096), "listen");
  }
  return fd;
}

function set(fd: number, level: number, option: number, value: number): void {
  must(libc.setsockopt(fd, level, option, new Int32Array([value]), 4), "set a socket option");
}

/** After this time a receive gives up. */
export function setReceiveTimeout(fd: number, seconds: number): void {
  const timeval = new BigInt64Array([BigInt(seconds), 0n]);
  must(libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval, 16), "set a timeout");
}
