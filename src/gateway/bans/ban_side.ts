/**
 * The bans of a running gateway, put together: the kernel's maps and XDP where they can be had, the
 * table in user space in any case, the addresses that are never banned, and the upkeep of all three.
 */

import { interfaceIndex } from "../../../ffi/libc.ts";
import { EnvironmentError } from "../../errors.ts";
import { formatCount } from "../../text.ts";
import type { BanScope, BanTarget } from "./ban_policy.ts";
import { BanTable } from "./ban_table.ts";
import { Bans, USUAL_IPV6_BITS } from "./bans.ts";
import { HostAddresses } from "../network/host_addresses.ts";
import { LocalAddresses } from "../network/local_addresses.ts";
import { forwardingSwitches, guardedByDefault } from "../network/links.ts";
import { networkNamespace } from "../network/network_namespace.ts";
import type { LogLine } from "../../log_line.ts";
import type { WorkerBansSetup } from "./worker_bans.ts";
import type { XdpMode } from "./attachment.ts";
import { NewlyNever } from "./newly_never.ts";
import { Offenders } from "./offenders.ts";
import { XdpFilter } from "./xdp.ts";

export interface BanSideOptions {
  /** Empty: those of the default routes, and with `judgesForwarded` all that forward. */
  readonly interfaces: readonly string[];
  /** Whether traffic through this machine is judged (CHAINS has FORWARD). */
  readonly judgesForwarded?: boolean;
  readonly xdpMode: XdpMode;
  readonly scope: BanScope;
  /** Bans kept at most. */
  readonly limit: number;
  readonly persist: boolean;
  /** What of an IPv6 address a ban is for; 64 bits unless given. */
  readonly ipv6Bits?: number;
  readonly whitelistIps: readonly string[];
  /** WHITELIST_PORTS: on this machine's own addresses they stay open to whoever is banned. */
  readonly openPorts?: readonly number[];
  /** Nobody is dropped: nothing is attached, an earlier run's bans wait. */
  readonly monitorOnly: boolean;
  readonly log: LogLine;
  /** As before Linux 6.6; for tests. */
  readonly withoutTcx?: boolean;
  /** How long the program stays after the last ban; for tests. */
  readonly lingerMs?: number;
}

/** Bans that can change while it runs. */
export interface BanSettings {
  readonly target: BanTarget;
  readonly durationSeconds: number;
  /** BAN_FACTOR: each ban of a repeated offender lasts so many times as long; 1 for none. */
  readonly factor: number;
  /** BAN_DURATION_MAX: where they stop to grow. */
  readonly mostSeconds: number;
  readonly requiresReply: boolean;
}

/** How often interfaces, addresses and routes are looked at: tens of microseconds each time. */
const REFRESH_MS = 1_000;

export class BanSide implements Disposable {
  readonly bans: Bans;
  readonly local: LocalAddresses;
  readonly xdp: XdpFilter | null;
  readonly #undo: DisposableStack;
  readonly #log: LogLine;
  readonly #monitoring: { on: boolean };
  #openPorts: readonly number[] = [];
  #lastProblem = "";
  readonly #newlyNever = new NewlyNever();
  #leftOut = 0;
  #nextTurn: ReturnType<typeof setTimeout> | undefined;
  /** A worker may have banned by what held a moment before. */
  #liftsAgain = false;

  private constructor(
    bans: Bans,
    local: LocalAddresses,
    xdp: XdpFilter | null,
    monitoring: { on: boolean },
    undo: DisposableStack,
    log: LogLine,
  ) {
    this.bans = bans;
    this.local = local;
    this.xdp = xdp;
    this.#monitoring = monitoring;
    this.#undo = undo;
    this.#log = log;
  }

  /** Makes the maps; nothing is attached yet. */
  static open(options: BanSideOptions): BanSide {
    if (options.xdpMode !== "off") warnWhereNoneIs(options);
    using undo = new DisposableStack();
    const local = undo.use(new LocalAddresses(options.whitelistIps));
    const monitoring = { on: options.monitorOnly };
    const xdp = openXdp(options, local, monitoring);
    if (xdp !== null) undo.use(xdp);
    let side: BanSide | null = null;
    const bans = new Bans({
      table: BanTable.buffer(options.limit),
      offenders: Offenders.buffer(options.limit),
      scope: options.scope,
      ipv6Bits: options.ipv6Bits ?? USUAL_IPV6_BITS,
      never: local.neverBuffer,
      maps: xdp === null ? {} : {
        blocked_ips: xdp.mapFd("blocked_ips"),
        blocked_endpoints: xdp.mapFd("blocked_endpoints"),
        blocked_networks: xdp.mapFd("blocked_networks"),
      },
      ...xdp === null ? {} : { inForce: xdp.mapFd("bans_in_force") },
    }, () => side?.enforce());
    const restored = bans.restore();
    if (restored > 0) {
      options.log("info", `Holding again: ${formatCount(restored, "ban")} of an earlier run`);
    }
    side = new BanSide(bans, local, xdp, monitoring, undo.move(), options.log);
    side.#liftNever();
    side.setOpenPorts(options.openPorts ?? []);
    xdp?.ownAddresses(local.own);
    return side;
  }

  /** Tries every interface, and keeps everything up to date from then on. */
  attach(): void {
    this.xdp?.start();
    const timer = setInterval(() => this.#refresh(), REFRESH_MS);
    this.#undo.defer(() => clearInterval(timer));
    this.#undo.defer(() => clearTimeout(this.#nextTurn));
  }

  /**
   * A ban was made: has it hold in the kernel at once, where the program is not attached yet. The queue
   * workers, who drop by the table in user space meanwhile, do not wait for it.
   *
   * @param first indices of the interfaces that the banned one was seen at
   */
  enforce(first: readonly number[] = []): void {
    const { xdp } = this;
    if (xdp?.isResting) this.#attempt(() => this.#takeTurns(xdp, first));
  }

  /** One turn, and the rest of the interfaces after other work that waits. */
  #takeTurns(xdp: XdpFilter, first: readonly number[] = []): void {
    clearTimeout(this.#nextTurn);
    if (xdp.refresh(first)) return;
    this.#nextTurn = setTimeout(() => this.#attempt(() => this.#takeTurns(xdp)), 0);
  }

  /**
   * Ports of this machine itself that banned addresses reach all the same: at once in the kernel, in
   * the workers with their next {@link workerSetup}.
   */
  setOpenPorts(ports: readonly number[]): void {
    this.#openPorts = ports;
    this.xdp?.openPorts(ports);
  }

  /** Takes another WHITELIST_IPS over, and lifts the bans of what is in it. */
  setWhitelist(whitelist: readonly string[]): void {
    this.local.setWhitelist(whitelist);
    this.#liftNever();
    this.#liftsAgain = true;
  }

  /**
   * Keeps hosts that this machine must reach from ever being banned: their addresses as the system
   * resolves them now (it is waited for some seconds) and later.
   */
  async protect(hosts: readonly string[]): Promise<void> {
    const watched = await HostAddresses.watch({
      hosts,
      take: (addresses) => {
        this.local.protect(addresses);
        this.#liftNever();
        this.#liftsAgain = true;
      },
      warn: (message) => this.#log("warn", message),
    });
    this.#undo.use(watched);
  }

  #liftNever(): void {
    const lifted = this.bans.liftNever(this.#newlyNever.look(this.local.never));
    if (lifted === 0) return;
    this.#log(
      "info",
      `Lifted ${formatCount(lifted, "ban")} of addresses that are never banned now`,
    );
  }

  /** Detaches XDP from all interfaces, or attaches it again. */
  setMonitorOnly(monitorOnly: boolean): void {
    if (this.#monitoring.on === monitorOnly) return;
    this.#monitoring.on = monitorOnly;
    this.#refresh();
  }

  #refresh(): void {
    this.#attempt(() => {
      const hasChanged = this.local.refresh();
      if (hasChanged || this.#liftsAgain) this.#liftNever();
      if (hasChanged) this.xdp?.ownAddresses(this.local.own);
      this.#liftsAgain = hasChanged;
      this.#tellLeftOut();
      if (this.xdp !== null) this.#takeTurns(this.xdp);
      this.#lastProblem = "";
    });
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      // What holds goes on holding; the same trouble is told once.
      const { message } = error as Error;
      if (message !== this.#lastProblem) this.#log("error", message);
      this.#lastProblem = message;
    }
  }

  #tellLeftOut(): void {
    const { leftOut } = this.local;
    if (leftOut > this.#leftOut) {
      const many = formatCount(leftOut, "next hop");
      this.#log("error", `${many} might be banned: there are more than there is room for`);
    }
    this.#leftOut = leftOut;
  }

  /** What the queue workers get. */
  workerSetup(settings: BanSettings): WorkerBansSetup {
    const { target, durationSeconds, factor, mostSeconds, requiresReply } = settings;
    return {
      handles: this.bans.handles,
      target,
      durationMs: durationSeconds * 1000,
      escalation: factor === 1 ? null : { factor, mostMs: mostSeconds * 1000 },
      requiresReply,
      never: this.local.neverBuffer,
      ours: this.local.oursBuffer,
      uplinks: this.local.uplinksBuffer,
      own: this.local.ownBuffer,
      openPorts: this.#openPorts,
    };
  }

  /** "bans in the kernel on eth0 (native), wg0 (tc)" */
  describe(): string {
    const attached = (this.xdp?.attachments ?? []).filter(({ mode }) => mode !== null);
    if (attached.length === 0) return "bans in user space only";
    const where = attached.map(({ name, mode }) => `${name} (${mode})`).join(", ");
    return `bans in the kernel on ${where}`;
  }

  [Symbol.dispose](): void {
    this.#undo[Symbol.dispose]();
  }
}

/**
 * Interfaces are waited for: wg0 may come up long after the boot. Where none is there they may be
 * misspelt too, so what is there is said.
 */
function warnWhereNoneIs({ interfaces: names, log }: BanSideOptions): void {
  if (names.length === 0 || names.some((name) => interfaceIndex(name) !== 0)) return;
  const present = [...new Set(Deno.networkInterfaces().map(({ name }) => name))];
  const there = present.length === 0 ? "none is up" : `there are ${present.join(", ")}`;
  log("warn", `None of INTERFACE (${names.join(", ")}) is there yet, ${there}: waiting for it`);
}

/** Looks of so many seconds share one answer about forwarding, unless something changed. */
const LOOKS = 10;

/** Interfaces without INTERFACE, asked every second: the kernel is asked when something has changed. */
function defaultInterfaces(
  local: LocalAddresses,
  judgesForwarded: boolean,
): () => readonly string[] {
  let known: readonly string[] = [];
  let knownFor = "";
  let looks = 0;
  return () => {
    const state = `${local.readings} ${forwardingSwitches()}`;
    if (looks++ % LOOKS !== 0 && state === knownFor) return known;
    knownFor = state;
    return known = guardedByDefault(local.defaultInterfaces, judgesForwarded);
  };
}

/** Null where there is no XDP: without BPF the blocker goes on, and says so. */
function openXdp(
  options: BanSideOptions,
  local: LocalAddresses,
  monitoring: { readonly on: boolean },
): XdpFilter | null {
  const { xdpMode: mode, interfaces, ipv6Bits = USUAL_IPV6_BITS, limit, persist, log } = options;
  if (mode === "off") return null;
  const guarded = interfaces.length > 0
    ? () => interfaces
    : defaultInterfaces(local, options.judgesForwarded === true);
  if (guarded().length === 0) {
    log("warn", "There is no default route, so no interface is guarded yet (set INTERFACE)");
  }
  const wanted = () => monitoring.on ? [] : guarded();
  try {
    const namespace = networkNamespace();
    const { withoutTcx, lingerMs } = options;
    const kept = { limit, persist, namespace, withoutTcx, lingerMs };
    return new XdpFilter({ interfaces: wanted, mode, ipv6Bits, ...kept, log });
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    log("warn", `${error.message}; bans hold in user space only`);
    return null;
  }
}
