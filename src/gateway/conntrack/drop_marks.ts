/**
 * The marks of flows that are BitTorrent live as long as the ban: conntrack would keep them as long as
 * the sender keeps sending. A flow that was dropped without a ban is forgotten BAN_DURATION after it
 * was first met here, one whose ban has ended at once, and so is what an earlier run left unbanned.
 * Connections to whitelisted services are clean by their marks for as long as the service is one.
 */

import { askNetlink, dumpNetlink } from "../../../ffi/libc_net.ts";
import { type Cidr, isInNetwork } from "../network/networks.ts";
import type { Marks } from "../rules/marks.ts";
import {
  clearRequest,
  type Connection,
  connectionsIn,
  dumpRequest,
  type End,
} from "./ctnetlink.ts";

const NETLINK_NETFILTER = 12;

/** Reads connections and clears marks; for tests not the kernel's. */
export interface Conntrack {
  /** Those whose mark is `mark` under `mask`. */
  list(mark: number, mask: number): Connection[];
  /** Takes these bits from the mark of a connection; false where it is gone. */
  clear(connection: Connection, mask: number): boolean;
}

/** The kernel's. Where it has no ctnetlink nothing is listed. */
const KERNEL: Conntrack = {
  list: (mark, mask) =>
    dumpNetlink(NETLINK_NETFILTER, dumpRequest(mark, mask)).flatMap(connectionsIn)
      // Kernels that do not know the filter give all.
      .filter((connection) => (connection.mark & mask) === mark),
  clear: (connection, mask) => {
    const answer = askNetlink(NETLINK_NETFILTER, clearRequest(connection, mask));
    // struct nlmsgerr: -errno behind the header, 0 in a receipt
    return typeof answer !== "number" && answer.length >= 20 &&
      new DataView(answer.buffer, answer.byteOffset).getInt32(16, true) === 0;
  },
};

export interface DropMarksOptions {
  readonly marks: Marks;
  /** Whether this end is banned now. */
  readonly isBanned: (end: End, protocol: number) => boolean;
  /** Whether it must not be dropped any more: on the white list. */
  readonly isSpared: (connection: Connection) => boolean;
  /**
   * Flows of these addresses (four words each) are to be judged anew.
   *
   * @param pardons whether their ban is over, and what they go on with bans nobody
   */
  readonly onForgotten: (addresses: Int32Array, pardons: boolean) => void;
  /** Nobody is to be banned for the connections that these addresses have now. */
  readonly onPardoned: (network: Cidr) => void;
  readonly conntrack?: Conntrack;
}

const ALL: Cidr = { words: new Int32Array(4), bits: 0 };

/** A packet on its way to a worker that has not forgotten yet may bring a mark back. */
const AGAIN_MS = 500;

export class DropMarks implements Disposable {
  readonly #options: DropMarksOptions;
  readonly #conntrack: Conntrack;
  /** Unbanned ones by the kernel's number: when they are forgotten. */
  #due = new Map<number, number>();
  #banned = new Set<number>();
  #isFirst = true;
  readonly #again = new Set<ReturnType<typeof setTimeout>>();

  constructor(options: DropMarksOptions) {
    this.#options = options;
    this.#conntrack = options.conntrack ?? KERNEL;
  }

  /**
   * Forgets the flows whose time is over; how many those were.
   *
   * @param lifetimeMs of a mark without a ban
   */
  sweep(nowMs: number, lifetimeMs: number): number {
    const due = new Map<number, number>();
    const banned = new Set<number>();
    const ended = new Set<Connection>();
    const old = this.#list().filter((connection) => {
      const { id } = connection;
      if (this.#options.isSpared(connection)) return true;
      if (this.#isBanned(connection)) {
        banned.add(id);
        return false;
      }
      if (this.#banned.has(id)) ended.add(connection);
      // Or nobody knows since when it is there.
      if (this.#banned.has(id) || this.#isFirst) return true;
      const dueMs = this.#due.get(id) ?? nowMs + lifetimeMs;
      if (dueMs > nowMs) due.set(id, dueMs);
      return dueMs <= nowMs;
    });
    this.#due = due;
    this.#banned = banned;
    this.#isFirst = false;
    return this.#forget(old.filter((one) => ended.has(one)), true) +
      this.#forget(old.filter((one) => !ended.has(one)), false);
  }

  /** Forgets all flows that no ban holds, whatever their age: the policy has changed. */
  forgetUnbanned(): number {
    return this.#forget(this.#unbanned(), false);
  }

  /** The same, all bans being lifted. */
  liftAll(): number {
    this.#options.onPardoned(ALL);
    return this.#forget(this.#unbanned(), true);
  }

  /** A ban is lifted: forgets the flows with an end in it, unless the other end is banned. */
  lift(network: Cidr): number {
    this.#options.onPardoned(network);
    const isMeant = ({ words }: End) => isInNetwork(network, words, 0);
    return this.#forget(
      this.#list().filter((one) => one.ends.some(isMeant) && !this.#isBanned(one)),
      true,
    );
  }

  /**
   * Has connections to these ports, as called or as answered, judged like all others: the rules released
   * them as those of services that are whitelisted no longer.
   */
  forgetServices(ports: ReadonlySet<number>): number {
    if (ports.size === 0) return 0;
    const { mask, clear } = this.#options.marks;
    return this.#conntrack.list(clear, mask).filter((connection) => {
      const [, called, answering] = connection.ends;
      return (ports.has(called.port) || ports.has(answering.port)) &&
        this.#conntrack.clear(connection, mask);
    }).length;
  }

  /** Takes our bits out of the marks of clean connections: others ask for these as a whole. */
  forgetClean(): void {
    const { mask, clear } = this.#options.marks;
    for (const connection of this.#conntrack.list(clear, mask)) {
      this.#conntrack.clear(connection, mask);
    }
  }

  #list(): Connection[] {
    const { mask, drop } = this.#options.marks;
    return this.#conntrack.list(drop, mask);
  }

  #unbanned(): Connection[] {
    return this.#list().filter((one) => this.#options.isSpared(one) || !this.#isBanned(one));
  }

  #isBanned({ ends, protocol }: Connection): boolean {
    return ends.some((end) => this.#options.isBanned(end, protocol));
  }

  #forget(connections: readonly Connection[], pardons: boolean): number {
    const { mask } = this.#options.marks;
    if (connections.length === 0) return 0;
    // The worker first: a packet that comes between is judged by an engine that has forgotten.
    const ends = connections.flatMap((connection) => connection.ends);
    this.#options.onForgotten(Int32Array.from(ends.flatMap(({ words }) => [...words])), pardons);
    const clear = (some: readonly Connection[]) =>
      some.filter((connection) => this.#conntrack.clear(connection, mask)).length;
    const again = setTimeout(() => {
      this.#again.delete(again);
      // Where somebody has been banned since, it was found anew.
      clear(connections.filter((one) => this.#options.isSpared(one) || !this.#isBanned(one)));
    }, AGAIN_MS);
    this.#again.add(again);
    return clear(connections);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#again) clearTimeout(timer);
  }
}
