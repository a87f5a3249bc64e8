/** The ban side of a queue worker: whose packets are dropped, and whom a detection bans. */
import type { Detection } from "../../engine/engine.ts";
import { formatAddress, formatEndpoint } from "../../packet/address.ts";
import { type Packet, PROTOCOL_UDP } from "../../packet/packet.ts";
import { PortSet } from "../../packet/port_set.ts";
import { DESTINATION_END, SOURCE_END } from "../../engine/sender.ts";
import { type BanPolicy, type BanTarget, banTargets } from "./ban_policy.ts";
import { kindOf } from "./ban_key.ts";
import { type BanHandles, Bans, reasonNumber } from "./bans.ts";
import { formatNetwork, Networks } from "../network/networks.ts";
import type { Escalation } from "./offenders.ts";

/** All of it can be posted to a worker; post it again when a setting changes. */
export interface WorkerBansSetup {
  readonly handles: BanHandles;
  readonly target: BanTarget;
  readonly durationMs: number;
  /** Null: bans do not grow. */
  readonly escalation: Escalation | null;
  /** BAN_REQUIRES_REPLY: only senders that were seen to be real are banned. */
  readonly requiresReply: boolean;
  /** `LocalAddresses.neverBuffer`, `oursBuffer`, `uplinksBuffer` and `ownBuffer`. */
  readonly never: SharedArrayBuffer;
  readonly ours: SharedArrayBuffer;
  readonly uplinks: SharedArrayBuffer;
  readonly own: SharedArrayBuffer;
  /** Ports of this machine that banned addresses reach all the same (WHITELIST_PORTS). */
  readonly openPorts: readonly number[];
}

/** One end that a detection got banned. */
export interface BannedEnd {
  /** The address or prefix, or `ip:port` where bans are for endpoints. */
  readonly target: string;
  readonly seconds: number;
}

export class WorkerBans {
  readonly #bans: Bans;
  readonly #policy: BanPolicy;
  readonly #durationMs: number;
  readonly #escalation: Escalation | null;
  readonly #own: Networks;
  readonly #openPorts: PortSet;

  constructor(setup: WorkerBansSetup) {
    this.#bans = new Bans(setup.handles);
    this.#durationMs = setup.durationMs;
    this.#escalation = setup.escalation;
    this.#own = new Networks(setup.own);
    this.#openPorts = new PortSet(setup.openPorts);
    this.#policy = {
      target: setup.target,
      requiresReply: setup.requiresReply,
      never: new Networks(setup.never),
      ours: new Networks(setup.ours),
    };
  }

  /**
   * Whether either end of the packet is banned; counted if so. XDP asks for the sender alone; here
   * the other direction is known too: a local program calling a banned address (OUTPUT). Of a tunnel
   * its own ends are asked about, as by XDP: an address inside may be anybody's.
   */
  drops(packet: Packet): boolean {
    const { timeMs } = packet;
    if (packet.tunnelled) {
      const { carrierAddress: ends, carrierSourcePort: from, carrierDestinationPort: to } = packet;
      return this.#isBetweenBanned(ends, PROTOCOL_UDP, from, to, timeMs);
    }
    const { address, protocol, sourcePort, destinationPort } = packet;
    return this.#isBetweenBanned(address, protocol, sourcePort, destinationPort, timeMs);
  }

  /** @param words source and destination */
  #isBetweenBanned(
    words: Int32Array,
    protocol: number,
    sourcePort: number,
    destinationPort: number,
    timeMs: number,
  ): boolean {
    const bans = this.#bans;
    return !this.#staysOpen(words, 4, destinationPort) &&
        bans.drops(words, 0, protocol, sourcePort, timeMs) ||
      !this.#staysOpen(words, 0, sourcePort) &&
        bans.drops(words, 4, protocol, destinationPort, timeMs);
  }

  /** Whether this end is a service of this machine that whoever is banned reaches all the same. */
  #staysOpen(words: Int32Array, at: number, port: number): boolean {
    return this.#openPorts.has(port) && this.#own.contains(words, at);
  }

  /** Bans whom the policy says; in user space and in the kernel's maps when this returns. */
  ban(detection: Detection, hook: number): BannedEnd[] {
    const { protocol } = detection;
    const ends = banTargets(detection, hook, this.#policy);
    const banned: BannedEnd[] = [];
    if ((ends & SOURCE_END) !== 0) {
      banned.push(...this.#banEnd(detection, 0, protocol, detection.sourcePort));
    }
    if ((ends & DESTINATION_END) !== 0) {
      banned.push(...this.#banEnd(detection, 4, protocol, detection.destinationPort));
    }
    return banned;
  }

  /** Nobody where there is no room for another ban. */
  #banEnd(detection: Detection, at: number, protocol: number, port: number): BannedEnd[] {
    const { address, match } = detection;
    const reason = reasonNumber(match.method);
    const terms = [this.#durationMs, reason, this.#escalation] as const;
    const begun = this.#bans.ban(address, at, protocol, port, ...terms);
    if (begun === null) return [];
    const { key, durationMs } = begun;
    const target = kindOf(key) === "endpoint"
      ? formatEndpoint(formatAddress(address, at), port)
      : formatNetwork(key);
    return [{ target, seconds: durationMs / 1000 }];
  }
}
