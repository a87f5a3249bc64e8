/**
 * The C library: what Deno has no call for. Loaded at the first call, so that commands that need no
 * rights (`analyze`, `--help`) never load it. Results are as the kernel gives them: a number of zero
 * or more, or a negative error number; `errno` is read in the same synchronous turn.
 */

import { EnvironmentError } from "../src/errors.ts";
import { EINTR } from "./errno.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" /* int *, one a thread */ },
  poll: {
    parameters: ["buffer", /* struct pollfd *fds */ "u64", /* nfds_t */ "i32" /* timeout, ms */],
    result: "i32", // descriptors with events, 0 after the timeout, or -1
  },
  recvmmsg: {
    parameters: [
      "i32", /* int fd */
      "buffer", /* struct mmsghdr * */
      "u32", /* vlen */
      "i32", /* flags */
      "pointer", /* struct timespec *, null: none */
    ],
    result: "i32", // messages received, or -1
  },
  send: {
    parameters: ["i32", /* int fd */ "buffer", /* buf */ "usize", /* len */ "i32" /* flags */],
    result: "isize", // bytes sent, or -1
  },
  setsockopt: {
    parameters: [
      "i32",
      "i32", /* level */
      "i32", /* name */
      "buffer", /* value */
      "u32", /* size */
    ],
    result: "i32",
  },
  eventfd: { parameters: ["u32", /* initial value */ "i32" /* flags */], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer" /* struct timespec * */], result: "i32" },
  if_nametoindex: { parameters: ["buffer" /* const char * */], result: "u32" /* 0: none */ },
  if_indextoname: {
    parameters: ["u32", "buffer" /* char[IF_NAMESIZE] */],
    result: "pointer", // null: none
  },
  mount: {
    parameters: [
      "buffer", /* source */
      "buffer", /* target */
      "buffer", /* filesystem type */
      "u64", /* flags */
      "pointer", /* data */
    ],
    result: "i32",
  },
  syscall: {
    parameters: [
      "i64", /* long number */
      "u64", /* pid_t of a thread, 0: this one */
      "buffer", /* struct sched_attr * */
      "u64", /* size, or flags */
      "u64", /* flags */
    ],
    result: "i64",
  },
  madvise: {
    parameters: ["u64", /* void *address */ "usize", /* length */ "i32" /* advice */],
    result: "i32",
  },
  malloc_trim: { parameters: ["usize" /* bytes to keep */], result: "i32", optional: true }, // not musl's
} as const satisfies Deno.ForeignLibraryInterface;

/** The GNU C library, then musl's (Alpine). */
const NAMES = ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`];

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
let library: Libc | undefined;
let errnoView: Deno.UnsafePointerView | undefined;

function libc(): Libc {
  if (library !== undefined) return library;
  if (Deno.build.os !== "linux") {
    throw new EnvironmentError(
      `Cannot guard a network on ${Deno.build.os}: NFQUEUE and XDP belong to Linux`,
      "btblocker analyze works here",
    );
  }
  let reason: unknown;
  for (const name of NAMES) {
    try {
      library = Deno.dlopen(name, SYMBOLS).symbols;
      return library;
    } catch (error) {
      reason ??= error;
    }
  }
  throw new EnvironmentError(
    `Cannot load the C library (${NAMES.join(" or ")}): ${(reason as Error).message}`,
  );
}

/** This thread's `errno`. Only meaningful right after a call that failed. */
export function errno(): number {
  if (errnoView === undefined) {
    const location = libc().__errno_location();
    if (location === null) return 0;
    errnoView = new Deno.UnsafePointerView(location); // the place never moves within a thread
  }
  return errnoView.getInt32();
}

/** The result, or the negative error number of a call that gave -1. */
export function outcome(result: number | bigint): number {
  const value = Number(result);
  return value === -1 ? -errno() : value;
}

/** A C string for a parameter. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

const POLLIN = 0x0001;
const POLLERR = 0x0008;
const POLLHUP = 0x0010;
const POLLNVAL = 0x0020;

/** Waits for any of two descriptors to be readable; blocks its thread without using it. */
export class Poller {
  // struct pollfd { int fd; short events; short revents; }
  readonly #entries = new Int32Array(4);
  readonly #poll: Libc["poll"];

  constructor(first: number, second: number) {
    this.#poll = libc().poll;
    this.#entries[0] = first;
    this.#entries[1] = POLLIN;
    this.#entries[2] = second;
    this.#entries[3] = POLLIN;
  }

  /** Number of ready descriptors, 0 after `timeoutMs` (-1: never) or when interrupted, or -errno. */
  wait(timeoutMs: number): number {
    const result = outcome(this.#poll(this.#entries, 2n, timeoutMs));
    return result === -EINTR ? 0 : result;
  }

  /** Whether the first descriptor can be read, or has an error that a read would tell. */
  get firstReady(): boolean {
    return (this.#entries[1] >> 16 & (POLLIN | POLLERR | POLLHUP)) !== 0;
  }

  get secondReady(): boolean {
    return (this.#entries[3] >> 16 & POLLIN) !== 0;
  }

  /** Whether the first descriptor was closed under us. */
  get firstInvalid(): boolean {
    return (this.#entries[1] >> 16 & POLLNVAL) !== 0;
  }
}

const MSG_DONTWAIT = 0x40;
/** The datagram did not fit (struct msghdr, msg_flags). */
const MMSGHDR_LENGTH = 64; // struct msghdr 56, unsigned msg_len, padding
const MSGHDR_IOV = 16;
const MSGHDR_IOVLEN = 24;
const MMSGHDR_LEN = 56;
const IOVEC_LENGTH = 16;

/**
 * Receives many datagrams with one call, each into its own slot of {@link bytes}. What C keeps the
 * address of (slots, iovecs, headers) lives as long as this object, which its owner must keep.
 */
export class BatchReceiver {
  /** All slots, one after another. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #headers: Uint8Array<ArrayBuffer>;
  readonly #headerWords: Int32Array;
  readonly #vectors: Uint8Array<ArrayBuffer>;
  readonly #recvmmsg: Libc["recvmmsg"];

  /** @param slotLength the largest datagram, a multiple of 8 */
  constructor(readonly slots: number, readonly slotLength: number) {
    this.#recvmmsg = libc().recvmmsg;
    this.bytes = new Uint8Array(slots * slotLength);
    this.#headers = new Uint8Array(slots * MMSGHDR_LENGTH);
    this.#headerWords = new Int32Array(this.#headers.buffer);
    this.#vectors = new Uint8Array(slots * IOVEC_LENGTH);
    const bytesAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.bytes));
    const vectorsAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#vectors));
    const headers = new DataView(this.#headers.buffer);
    const vectors = new DataView(this.#vectors.buffer);
    for (let slot = 0; slot < slots; slot++) {
      const vector = slot * IOVEC_LENGTH;
      vectors.setBigUint64(vector, bytesAt + BigInt(slot * slotLength), true);
      vectors.setBigUint64(vector + 8, BigInt(slotLength), true);
      const header = slot * MMSGHDR_LENGTH;
      headers.setBigUint64(header + MSGHDR_IOV, vectorsAt + BigInt(vector), true);
      headers.setBigUint64(header + MSGHDR_IOVLEN, 1n, true);
    }
  }

  /** Number of datagrams taken, without waiting; or -errno (-EAGAIN: none there). */
  receive(fd: number): number {
    return outcome(this.#recvmmsg(fd, this.#headers, this.slots, MSG_DONTWAIT, null));
  }

  /** Where the datagram of a slot begins in {@link bytes}. */
  start(slot: number): number {
    return slot * this.slotLength;
  }

  /** One past its last byte. */
  end(slot: number): number {
    return slot * this.slotLength + this.#headerWords[(slot * MMSGHDR_LENGTH + MMSGHDR_LEN) >> 2];
  }
}

/** Sends the first `length` bytes as one datagram; their number, or -errno. */
export function send(fd: number, bytes: Uint8Array<ArrayBuffer>, length: number): number {
  return outcome(libc().send(fd, bytes, BigInt(length), 0));
}

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33; // beyond net.core.rmem_max; needs CAP_NET_ADMIN of the first user namespace
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;

function setIntegerOption(fd: number, level: number, option: number, value: number): number {
  return outcome(libc().setsockopt(fd, level, option, new Int32Array([value]), 4));
}

/** Asks for a receive buffer of `bytes` (the kernel doubles it for its own use); -errno on failure. */
export function setReceiveBuffer(fd: number, bytes: number): number {
  const forced = setIntegerOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  return forced >= 0 ? forced : setIntegerOption(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

/**
 * A full netlink socket then loses messages without an error and without the congested state, in
 * which nothing arrives until all that waits has been read.
 */
export function setNoOverrunErrors(fd: number): number {
  return setIntegerOption(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
}

const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** A counter that wakes a poll in any thread of the process; -errno on failure. */
export function createEvent(): number {
  return outcome(libc().eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

const one = new Uint8Array(8);
one[0] = 1;
const scratch = new Uint8Array(8);

/** Wakes whoever polls the event. */
export function signalEvent(fd: number): number {
  return outcome(libc().write(fd, one, 8n));
}

/** Resets the event to "nothing happened". */
export function clearEvent(fd: number): number {
  return outcome(libc().read(fd, scratch, 8n));
}

export function close(fd: number): number {
  return outcome(libc().close(fd));
}

const CLOCK_BOOTTIME = 7;
const timespec = new Uint32Array(4); // long tv_sec, long tv_nsec

/**
 * Milliseconds since the machine started, sleep included: the clock of the bans, alike in every
 * thread and process.
 */
export function bootTimeMs(): number {
  libc().clock_gettime(CLOCK_BOOTTIME, timespec);
  const seconds = timespec[0] + timespec[1] * 0x1_0000_0000;
  return seconds * 1000 + Math.floor(timespec[2] / 1_000_000);
}

/** The same clock in microseconds, with a fraction. */
export function bootTimeUs(): number {
  libc().clock_gettime(CLOCK_BOOTTIME, timespec);
  const seconds = timespec[0] + timespec[1] * 0x1_0000_0000;
  return seconds * 1_000_000 + timespec[2] / 1000;
}

/** Number of a network interface, 0 when there is none of that name. */
export function interfaceIndex(name: string): number {
  return libc().if_nametoindex(cString(name));
}

/** Name of a network interface, null when it is gone. */
export function interfaceName(index: number): string | null {
  const name = new Uint8Array(16); // IF_NAMESIZE
  if (libc().if_indextoname(index, name) === null) return null;
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

/** mount(2) without flags or data; -errno on failure. */
export function mount(source: string, target: string, type: string): number {
  return outcome(libc().mount(cString(source), cString(target), cString(type), 0n, null));
}

/** Gives memory that was freed back to the kernel, of all threads; musl does so by itself. */
export function trimHeap(): void {
  libc().malloc_trim?.(0n);
}

const MADV_DONTNEED = 4;

/**
 * Lets go of whole pages that are a file's, unchanged: each is there again when it is used. -errno on
 * failure. Of other memory the contents would be lost.
 */
export function forgetPages(start: bigint, length: bigint): number {
  return outcome(libc().madvise(start, length, MADV_DONTNEED));
}

/** Of sched_setattr and sched_getattr, for which Debian 12's C library has no function. */
const SCHED_CALLS = { x86_64: { set: 314n, get: 315n }, aarch64: { set: 274n, get: 275n } };

// struct sched_attr, its first version
const SCHED_ATTR_LENGTH = 48;
const SCHED_RUNTIME = 24;

function readSchedAttr(thread: number, bytes: Uint8Array<ArrayBuffer>): number {
  const call = SCHED_CALLS[Deno.build.arch].get;
  return outcome(libc().syscall(call, BigInt(thread), bytes, BigInt(SCHED_ATTR_LENGTH), 0n));
}

/**
 * How long this thread may run before another's turn, in nanoseconds (0: the kernel's own measure). Who
 * asks for less gets its turn sooner, and in all as much as before (Linux 6.12; before, it is ignored).
 * -errno where that is refused.
 */
export function setTimeSlice(ns: number): number {
  const bytes = new Uint8Array(SCHED_ATTR_LENGTH);
  const read = readSchedAttr(0, bytes);
  if (read < 0) return read;
  new DataView(bytes.buffer).setBigUint64(SCHED_RUNTIME, BigInt(ns), true);
  return outcome(libc().syscall(SCHED_CALLS[Deno.build.arch].set, 0n, bytes, 0n, 0n));
}

/** What {@link setTimeSlice} has set for a thread (0: this one), or the kernel's own; -errno on failure. */
export function timeSlice(thread = 0): number {
  const bytes = new Uint8Array(SCHED_ATTR_LENGTH);
  const read = readSchedAttr(thread, bytes);
  return read < 0 ? read : Number(new DataView(bytes.buffer).getBigUint64(SCHED_RUNTIME, true));
}
