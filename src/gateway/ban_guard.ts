/**
 * Everything about bans in the main thread: the XDP filter where the machine has it, the table in
 * user space in any case, what must never be banned, and the housekeeping of all three.
 */
import { interfaceIndex } from "../../ffi/libc.ts";
import { EnvironmentError } from "../errors.ts";
import { answerBanRequest, type BanAnswer, readBanRequest } from "./ban_commands.ts";
import { formatCount } from "../report/text.ts";
import type { BanScope, BanTarget } from "./ban_policy.ts";
import { BanTable } from "./ban_table.ts";
import { Bans } from "./bans.ts";
import { LocalAddresses } from "./local_addresses.ts";
import { type NetworkNamespace, networkNamespace } from "./network_namespace.ts";
import type { WorkerBansSetup } from "./worker_bans.ts";
import { type Drops, type LogLine, type XdpAttachment, XdpFilter, type XdpMode } from "./xdp.ts";

export interface BanGuardOptions {
  /** INTERFACE; none: that of the default route, whichever it is at the time. */
  readonly interfaces: readonly string[];
  readonly xdpMode: XdpMode;
  readonly banScope: BanScope;
  readonly banLimit: number;
  readonly persistBans: boolean;
  readonly whitelistIps: readonly string[];
  /** Seconds. */
  readonly cleanupInterval: number;
  /** Nobody is dropped: no interface is attached, earlier runs' bans wait. */
  readonly monitorOnly: boolean;
  readonly log: LogLine;
  /** Where the bpffs is, for tests. */
  readonly bpffs?: string;
}

type Timer = ReturnType<typeof setInterval>;

/** How often interfaces, addresses and routes are looked at: tens of microseconds each time. */
const REFRESH_MS = 1_000;

export class BanGuard implements Disposable {
  readonly namespace: NetworkNamespace;
  readonly bans: Bans;
  readonly local: LocalAddresses;
  readonly #filter: XdpFilter | null;
  readonly #log: LogLine;
  readonly #refreshTimer: Timer;
  #cleanupTimer: Timer;
  #monitorOnly: boolean;
  #lastProblem = "";

  /**
   * Loads, attaches, and takes over the bans of an earlier run. Throws EnvironmentError where none of
   * the named interfaces exists (a single missing one is waited for: wg0 may come up after boot), or
   * where a driver refuses the mode that was asked for. Without BPF it warns and goes on.
   */
  constructor(options: BanGuardOptions) {
    this.#log = options.log;
    this.#monitorOnly = options.monitorOnly;
    requireAnyInterface(options.interfaces);
    this.namespace = networkNamespace();
    using undo = new DisposableStack();
    this.local = undo.use(new LocalAddresses(options.whitelistIps));
    this.#filter = this.#openFilter(options);
    if (this.#filter !== null) undo.use(this.#filter);
    this.bans = new Bans({
      table: new SharedArrayBuffer(BanTable.byteLength(options.banLimit)),
      scope: options.banScope,
      addressMap: this.#filter?.mapFd("blocked_ips") ?? -1,
      endpointMap: this.#filter?.mapFd("blocked_endpoints") ?? -1,
    });
    const restored = this.bans.restore();
    if (restored > 0) {
      options.log("info", `Holding again: ${formatCount(restored, "ban")} of an earlier run`);
    }
    this.#filter?.start();
    undo.move(); // dispose() has them from here
    this.#refreshTimer = setInterval(() => this.#refresh(), REFRESH_MS);
    this.#cleanupTimer = this.#startCleanup(options.cleanupInterval);
  }

  #openFilter(options: BanGuardOptions): XdpFilter | null {
    const { xdpMode, banScope, banLimit, persistBans, interfaces, bpffs, log } = options;
    if (xdpMode === "off") return null;
    if (interfaces.length === 0 && this.local.defaultInterfaces.length === 0) {
      log("warn", "No default route: name the interfaces to attach XDP to with INTERFACE");
    }
    const wanted = () => {
      if (this.#monitorOnly) return [];
      return interfaces.length > 0 ? interfaces : this.local.defaultInterfaces;
    };
    try {
      return new XdpFilter({
        ...{ interfaces: wanted, mode: xdpMode, scope: banScope, limit: banLimit },
        ...{ persist: persistBans, namespace: this.namespace, log, bpffs },
      });
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      log("warn", `${error.message}; bans hold in user space only`);
      return null;
    }
  }

  /** What the XDP filter does on each interface; empty without one. */
  get attachments(): readonly XdpAttachment[] {
    return this.#filter?.attachments ?? [];
  }

  /** What was dropped in the driver, by interface name. */
  drops(): Map<string, Drops> {
    return this.#filter?.drops() ?? new Map();
  }

  /** What a queue worker gets; post it again when one of the settings changes. */
  workerSetup(target: BanTarget, durationSeconds: number): WorkerBansSetup {
    return {
      handles: this.bans.handles,
      target,
      durationMs: durationSeconds * 1000,
      never: this.local.neverBuffer,
      ours: this.local.oursBuffer,
    };
  }

  /** The control socket's handler of `bans`. */
  answer(argument: unknown): BanAnswer[] {
    return answerBanRequest(this.bans, this.local.never, readBanRequest(argument));
  }

  setWhitelist(networks: readonly string[]): void {
    this.local.setWhitelist(networks);
  }

  /** Detaches from all interfaces, or attaches to them again. */
  setMonitorOnly(monitorOnly: boolean): void {
    this.#monitorOnly = monitorOnly;
    this.#refresh();
  }

  setCleanupInterval(seconds: number): void {
    clearInterval(this.#cleanupTimer);
    this.#cleanupTimer = this.#startCleanup(seconds);
  }

  #startCleanup(seconds: number): Timer {
    return setInterval(() => {
      const freed = this.bans.sweep();
      if (freed > 0) this.#log("info", `${formatCount(freed, "ended ban")} removed from memory`);
    }, seconds * 1000);
  }

  #refresh(): void {
    try {
      this.local.refresh();
      this.#filter?.refresh();
    } catch (error) {
      // What holds goes on holding; the same trouble is told once.
      const { message } = error as Error;
      if (message !== this.#lastProblem) this.#log("error", message);
      this.#lastProblem = message;
    }
  }

  /** A clean stop: detaches XDP, and forgets the bans unless PERSIST_BANS. */
  [Symbol.dispose](): void {
    clearInterval(this.#refreshTimer);
    clearInterval(this.#cleanupTimer);
    this.#filter?.[Symbol.dispose]();
    this.local[Symbol.dispose]();
  }
}

function requireAnyInterface(names: readonly string[]): void {
  if (names.length === 0 || names.some((name) => interfaceIndex(name) !== 0)) return;
  const all = [...new Set(Deno.networkInterfaces().map(({ name }) => name))];
  const there = all.length === 0 ? "none is up" : `there are ${all.join(", ")}`;
  throw new EnvironmentError(
    `Cannot guard ${names.join(", ")}: no such network interface`,
    `${there}; set INTERFACE`,
  );
}
