/**
 * libnetfilter_queue: opens and configures a queue. Packets and verdicts then go through the
 * queue's netlink socket directly, in batches; the library's own loop takes one packet at a time.
 */

import { EnvironmentError } from "../src/errors.ts";
import { describeErrno, EOPNOTSUPP, EPERM, SystemError } from "./errno.ts";
import { errno, setNoOverrunErrors, setReceiveBuffer } from "./libc.ts";

const SYMBOLS = {
  nfq_open: { parameters: [], result: "pointer" /* struct nfq_handle *, null on failure */ },
  nfq_close: { parameters: ["pointer"], result: "i32" },
  nfq_fd: { parameters: ["pointer"], result: "i32" },
  nfq_create_queue: {
    parameters: [
      "pointer", /* struct nfq_handle * */
      "u16", /* queue number */
      "pointer", /* nfq_callback *, unused: messages are read by us */
      "pointer", /* its data */
    ],
    result: "pointer", // struct nfq_q_handle *, null on failure
  },
  nfq_set_mode: {
    parameters: ["pointer", /* struct nfq_q_handle * */ "u8", /* mode */ "u32" /* range */],
    result: "i32", // -1 on failure
  },
  nfq_set_queue_flags: {
    parameters: ["pointer", "u32", /* mask */ "u32" /* flags */],
    result: "i32",
  },
  nfq_set_queue_maxlen: { parameters: ["pointer", "u32" /* packets */], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const NAME = "libnetfilter_queue.so.1";

type Library = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
let library: Library | undefined;

/** Loads the library, or says which package holds it. */
export function loadNetfilterQueue(): Library {
  if (library !== undefined) return library;
  try {
    library = Deno.dlopen(NAME, SYMBOLS).symbols;
  } catch (error) {
    throw new EnvironmentError(
      `Cannot load ${NAME}: ${
        (error as Error).message.replace(/^(Could not open library: )+/, "")
      }`,
      "install libnetfilter-queue1, or run `deno task setup` as root",
      { cause: error },
    );
  }
  return library;
}

const NFQNL_COPY_PACKET = 2;
/** Whole packets: the largest is a GSO packet of 64 KiB. */
const COPY_RANGE = 0xffff;
const NFQA_CFG_F_FAIL_OPEN = 1 << 0; // a full queue accepts instead of dropping
const NFQA_CFG_F_GSO = 1 << 2; // packets of segmentation offload come whole

export interface QueueSettings {
  /** 0 to 65535. */
  readonly number: number;
  /** Packets the kernel holds for us at most. */
  readonly maxLength: number;
  /** Socket buffer asked for, in bytes. */
  readonly receiveBuffer: number;
}

/** A bound queue. Packets that wait in it when it is closed are dropped by the kernel. */
export class NetfilterQueue implements Disposable {
  readonly number: number;
  /** The netlink socket. */
  readonly fd: number;
  /** Settings the kernel refused, in words; the queue works without them. */
  readonly refused: readonly string[];
  #handle: Deno.PointerValue;

  private constructor(
    handle: Deno.PointerValue,
    number: number,
    fd: number,
    refused: readonly string[],
  ) {
    this.#handle = handle;
    this.number = number;
    this.fd = fd;
    this.refused = refused;
  }

  static open(settings: QueueSettings): NetfilterQueue {
    const nfq = loadNetfilterQueue();
    const handle = nfq.nfq_open();
    if (handle === null) throw failure("open the NFQUEUE socket", errno());
    let opened = false;
    try {
      const queue = nfq.nfq_create_queue(handle, settings.number, null, null);
      if (queue === null) {
        const reason = errno();
        throw bindFailure(settings.number, reason);
      }
      // A packet before the mode is set would come without its bytes: the mode comes first, and the
      // rules that send packets are installed after the queues.
      if (nfq.nfq_set_mode(queue, NFQNL_COPY_PACKET, COPY_RANGE) < 0) {
        throw failure(`set the copy mode of NFQUEUE ${settings.number}`, errno());
      }
      const refused: string[] = [];
      const flags = NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO;
      if (nfq.nfq_set_queue_flags(queue, flags, flags) < 0) {
        refused.push(`fail-open and GSO (${describeErrno(errno())})`);
      }
      if (nfq.nfq_set_queue_maxlen(queue, settings.maxLength) < 0) {
        refused.push(`a length of ${settings.maxLength} (${describeErrno(errno())})`);
      }
      const fd = nfq.nfq_fd(handle);
      const buffer = setReceiveBuffer(fd, settings.receiveBuffer);
      if (buffer < 0) refused.push(`a socket buffer (${describeErrno(-buffer)})`);
      const quiet = setNoOverrunErrors(fd);
      if (quiet < 0) refused.push(`NETLINK_NO_ENOBUFS (${describeErrno(-quiet)})`);
      opened = true;
      return new NetfilterQueue(handle, settings.number, fd, refused);
    } finally {
      if (!opened) nfq.nfq_close(handle);
    }
  }

  /** Leaves the socket to another owner: nothing is closed any more. */
  forget(): void {
    this.#handle = null;
  }

  /** Unbinds the queue; twice is harmless. */
  [Symbol.dispose](): void {
    const handle = this.#handle;
    if (handle === null) return;
    this.#handle = null;
    loadNetfilterQueue().nfq_close(handle); // the kernel unbinds the queues of a closed socket
  }
}

function failure(action: string, reason: number): SystemError {
  return new SystemError(reason, `Cannot ${action}: ${describeErrno(reason)}`, hintFor(reason));
}

function hintFor(reason: number): string | undefined {
  if (reason === EPERM) return "grant CAP_NET_ADMIN or run as root";
  if (reason === EOPNOTSUPP) return "the kernel lacks nfnetlink_queue";
  return undefined;
}

/** The kernel gives EPERM both without the right and when another program holds the queue. */
function bindFailure(number: number, reason: number): SystemError {
  const owner = queueOwner(number);
  const hint = owner === null
    ? hintFor(reason)
    : `it is bound by ${owner}; stop that or choose another --queue-num`;
  return new SystemError(reason, `Cannot bind NFQUEUE ${number}: ${describeErrno(reason)}`, hint);
}

/** Who has bound a queue ("name, process 123"), "another program" if it hides, null when free. */
export function queueOwner(number: number): string | null {
  try {
    // Columns: queue number, peer's netlink port, packets waiting, copy mode, …
    const table = Deno.readTextFileSync("/proc/net/netfilter/nfnetlink_queue");
    for (const line of table.split("\n")) {
      const [queue, port] = line.trim().split(/\s+/);
      if (queue !== "" && Number(queue) === number) {
        return socketOwner(Number(port)) ?? "another program";
      }
    }
  } catch {
    // no such table: the kernel will say why
  }
  return null;
}

/** The process that holds the netlink socket of a port id, found by its inode. */
function socketOwner(port: number): string | null {
  const NETLINK_NETFILTER = 12;
  for (const line of Deno.readTextFileSync("/proc/net/netlink").split("\n")) {
    // sk, protocol, port, groups, rmem, wmem, dump, locks, drops, inode
    const columns = line.trim().split(/\s+/);
    if (Number(columns[1]) !== NETLINK_NETFILTER || Number(columns[2]) !== port) continue;
    return processWithSocket(columns[9]);
  }
  return null;
}

function processWithSocket(inode: string): string | null {
  for (const entry of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    try {
      for (const descriptor of Deno.readDirSync(`/proc/${entry.name}/fd`)) {
        const target = Deno.readLinkSync(`/proc/${entry.name}/fd/${descriptor.name}`);
        if (target === `socket:[${inode}]`) {
          const name = Deno.readTextFileSync(`/proc/${entry.name}/comm`).trim();
          return `${name}, process ${entry.name}`;
        }
      }
    } catch {
      // gone meanwhile, or not ours to look into
    }
  }
  return null;
}
