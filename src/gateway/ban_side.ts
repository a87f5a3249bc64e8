/**
 * The bans of a running gateway, put together: the kernel's maps and XDP where they can be had, the
 * table in user space in any case, the addresses that are never banned, and the upkeep of all three.
 */

import { interfaceIndex } from "../../ffi/libc.ts";
import { EnvironmentError } from "../errors.ts";
import type { BanScope, BanTarget } from "./ban_policy.ts";
import { BanTable } from "./ban_table.ts";
import { Bans } from "./bans.ts";
import { LocalAddresses } from "./local_addresses.ts";
import { networkNamespace } from "./network_namespace.ts";
import type { LogLine } from "./queue_workers.ts";
import type { WorkerBansSetup } from "./worker_bans.ts";
import { XdpFilter, type XdpMode } from "./xdp.ts";

export interface BanSideOptions {
  /** Empty: those of the default routes. */
  readonly interfaces: readonly string[];
  readonly xdpMode: XdpMode;
  readonly scope: BanScope;
  /** Bans kept at most. */
  readonly limit: number;
  readonly persist: boolean;
  readonly whitelistIps: readonly string[];
  readonly log: LogLine;
}

/** Bans that can change while it runs. */
export interface BanSettings {
  readonly target: BanTarget;
  readonly durationSeconds: number;
}

const REFRESH_MS = 1_000;

export class BanSide implements Disposable {
  readonly bans: Bans;
  readonly local: LocalAddresses;
  readonly xdp: XdpFilter | null;
  readonly #undo: DisposableStack;
  readonly #log: LogLine;

  private constructor(
    bans: Bans,
    local: LocalAddresses,
    xdp: XdpFilter | null,
    undo: DisposableStack,
    log: LogLine,
  ) {
    this.bans = bans;
    this.local = local;
    this.xdp = xdp;
    this.#undo = undo;
    this.#log = log;
  }

  /** Makes the maps; nothing is attached yet. */
  static open(options: BanSideOptions): BanSide {
    requireInterfaces(options.interfaces);
    using undo = new DisposableStack();
    const local = undo.use(new LocalAddresses(options.whitelistIps));
    const xdp = openXdp(options, local);
    if (xdp !== null) undo.use(xdp);
    const bans = new Bans({
      table: new SharedArrayBuffer(BanTable.byteLength(options.limit)),
      scope: options.scope,
      addressMap: xdp?.mapFd("blocked_ips") ?? -1,
      endpointMap: xdp?.mapFd("blocked_endpoints") ?? -1,
    });
    const restored = bans.restore();
    if (restored > 0) options.log("info", `${restored} bans of an earlier run are still in force`);
    return new BanSide(bans, local, xdp, undo.move(), options.log);
  }

  /** Attaches XDP and keeps everything up to date from then on. */
  attach(): void {
    this.xdp?.start();
    const timer = setInterval(() => {
      try {
        this.local.refresh();
        this.xdp?.refresh();
      } catch (error) {
        this.#log("error", (error as Error).message);
      }
    }, REFRESH_MS);
    this.#undo.defer(() => clearInterval(timer));
  }

  /** What the queue workers get. */
  workerSetup({ target, durationSeconds }: BanSettings): WorkerBansSetup {
    return {
      handles: this.bans.handles,
      target,
      durationMs: durationSeconds * 1000,
      never: this.local.neverBuffer,
      ours: this.local.oursBuffer,
    };
  }

  /** "bans in XDP on eth0 (native), wg0 (generic)" */
  describe(): string {
    const attached = (this.xdp?.attachments ?? []).filter(({ mode }) => mode !== null);
    if (attached.length === 0) return "bans in user space only";
    return `bans by XDP on ${attached.map(({ name, mode }) => `${name} (${mode})`).join(", ")}`;
  }

  [Symbol.dispose](): void {
    this.#undo[Symbol.dispose]();
  }
}

/** A name that was given and is not there is a mistake; one that goes away later is not. */
function requireInterfaces(names: readonly string[]): void {
  const unknown = names.find((name) => interfaceIndex(name) === 0);
  if (unknown === undefined) return;
  const present = [...new Set(Deno.networkInterfaces().map(({ name }) => name))];
  throw new EnvironmentError(
    `Cannot attach XDP to ${unknown}: there is no such interface`,
    present.length === 0 ? "this machine has none" : `there are ${present.join(", ")}`,
  );
}

/** Null where there is no XDP; an error only where a mode was asked for by name. */
function openXdp(options: BanSideOptions, local: LocalAddresses): XdpFilter | null {
  const { xdpMode: mode, interfaces, scope, limit, persist, log } = options;
  if (mode === "off") return null;
  const wanted = () => interfaces.length > 0 ? interfaces : local.defaultInterfaces;
  if (wanted().length === 0) {
    log("warn", "There is no default route, so XDP guards no interface yet (set INTERFACE)");
  }
  try {
    const namespace = networkNamespace();
    return new XdpFilter({ interfaces: wanted, mode, scope, limit, persist, namespace, log });
  } catch (error) {
    if (mode !== "auto" || !(error instanceof EnvironmentError)) throw error;
    log("warn", `${error.message}; bans hold in user space only`);
    return null;
  }
}
