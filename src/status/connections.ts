/**
 * Connections of strangers, bounded: so many in all and so many of one address, each with a time by
 * when it must have said what it wants. Whoever opens more, or says nothing, costs himself. A failed
 * accept (no descriptor left, the peer gone) is told and tried again: nothing ends by it.
 */
import { parseAddress } from "../packet/address.ts";
import { MAPPED } from "../packet/packet.ts";

export interface ConnectionBounds {
  /** Open at once, in all. */
  readonly most: number;
  /** Open at once of one IPv4 address or IPv6 /64; this machine's own are not counted apart. */
  readonly mostOfOne: number;
}

/** After a failed accept; what waits in the kernel's backlog is not lost. */
const PAUSE_MS = 100;
/** A lasting trouble is told so often. */
const TELL_MS = 60_000;

/** One connection, closed when its time is up. */
export class BoundedConnection implements Disposable {
  readonly peer: string;
  readonly #connection: Deno.Conn;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  /** Waits for the other side to say something, since then; null while it is being served. */
  waitingSinceMs: number | null = performance.now();

  constructor(connection: Deno.Conn, peer: string) {
    this.#connection = connection;
    this.peer = peer;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on it waits for the other side, for so long; then it is closed. */
  waitFor(ms: number): void {
    this.waitingSinceMs ??= performance.now();
    this.#closeIn(ms);
  }

  /** The other side has said what it wants; the answer may take so long. */
  serveFor(ms: number): void {
    this.waitingSinceMs = null;
    this.#closeIn(ms);
  }

  #closeIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => this[Symbol.dispose](), ms);
  }

  /** Null at the end, and once it is closed, by whomever. */
  async read(buffer: Uint8Array): Promise<number | null> {
    try {
      return await this.#connection.read(buffer);
    } catch {
      return null;
    }
  }

  /** Writes all; false when the other side is gone or does not read. */
  async write(bytes: Uint8Array): Promise<boolean> {
    try {
      for (let sent = 0; sent < bytes.length;) {
        sent += await this.#connection.write(bytes.subarray(sent));
      }
      return true;
    } catch {
      return false;
    }
  }

  /** Closes it. Twice is harmless. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#connection.close();
    } catch {
      // closed already, by the other side
    }
  }
}

export interface ConnectionsOptions {
  readonly listener: Deno.Listener;
  readonly bounds: ConnectionBounds;
  /** Serves one to its end; what it throws ends that one only. */
  readonly serve: (connection: BoundedConnection) => Promise<void>;
  /** Told of a failed accept, at most once a minute. */
  readonly warn: (problem: string) => void;
}

/** Takes what the listener has, and serves it. Disposing of it closes all. */
export class Connections implements AsyncDisposable {
  readonly #options: ConnectionsOptions;
  readonly #open = new Set<BoundedConnection>();
  readonly #accepting: Promise<void>;
  #isClosed = false;
  #toldMs = -Infinity;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#accepting = this.#accept();
  }

  /** Open now. */
  get size(): number {
    return this.#open.size;
  }

  async #accept(): Promise<void> {
    while (!this.#isClosed) {
      try {
        this.#admit(await this.#options.listener.accept());
      } catch (error) {
        if (this.#isClosed) return;
        this.#tell((error as Error).message);
        // It may be these that have taken the descriptors; whoever waits in the backlog needs one.
        for (let left = Math.ceil(this.#open.size / 2); left > 0; left--) this.#closeIdlest();
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  #tell(problem: string): void {
    const now = performance.now();
    if (now - this.#toldMs < TELL_MS) return;
    this.#toldMs = now;
    this.#options.warn(problem);
  }

  #admit(accepted: Deno.Conn): void {
    const { most, mostOfOne } = this.#options.bounds;
    const connection = new BoundedConnection(accepted, peerOf(accepted.remoteAddr));
    const { peer } = connection;
    const ofThisOne = peer === "" ? 0 : [...this.#open].filter((one) => one.peer === peer).length;
    const hasRoom = ofThisOne < mostOfOne && (this.#open.size < most || this.#closeIdlest());
    if (!hasRoom) return connection[Symbol.dispose]();
    this.#open.add(connection);
    this.#options.serve(connection).catch(() => {}).finally(() => {
      this.#open.delete(connection);
      connection[Symbol.dispose]();
    });
  }

  /** Makes room by the one that has waited longest for its peer; false where all are being served. */
  #closeIdlest(): boolean {
    let idlest: BoundedConnection | null = null;
    for (const one of this.#open) {
      if (one.waitingSinceMs === null) continue;
      if (idlest === null || one.waitingSinceMs < idlest.waitingSinceMs!) idlest = one;
    }
    if (idlest === null) return false;
    this.#open.delete(idlest);
    idlest[Symbol.dispose]();
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#options.listener.close();
    } catch {
      // closed already
    }
    for (const connection of this.#open) connection[Symbol.dispose]();
    await this.#accepting;
  }
}

/** Who a connection counts for: empty for this machine itself, whose programs serve many. */
export function peerOf(address: Deno.Addr): string {
  if (!("hostname" in address)) return ""; // a unix socket
  const words = parseAddress(address.hostname);
  if (words === null) return address.hostname;
  const isIpv4 = words[0] === 0 && words[1] === 0 && words[2] === MAPPED;
  if (isIpv4) return (words[3] >>> 24) === 127 ? "" : `${words[3]}`;
  const isLoopback = words[0] === 0 && words[1] === 0 && words[2] === 0 && words[3] === 1;
  return isLoopback ? "" : `${words[0]}:${words[1]}`;
}
