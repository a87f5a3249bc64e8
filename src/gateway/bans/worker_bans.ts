/** The ban side of a queue worker: whose packets are dropped, and whom a detection bans. */
import type { Detection } from "../../engine/engine.ts";
import { formatAddress, formatEndpoint } from "../../packet/address.ts";
import { type Packet, PROTOCOL_UDP } from "../../packet/packet.ts";
import {
  type BanPolicy,
  type BanTarget,
  banTargets,
  DESTINATION_END,
  HOOK_OUTPUT,
  SOURCE_END,
} from "./ban_policy.ts";
import { type BanHandles, Bans, reasonOf } from "./bans.ts";
import { isUplink } from "../network/local_addresses.ts";
import { Networks } from "../network/networks.ts";

/** All of it can be posted to a worker; post it again when a setting changes. */
export interface WorkerBansSetup {
  readonly handles: BanHandles;
  readonly target: BanTarget;
  readonly durationMs: number;
  /** BAN_REQUIRES_REPLY: only senders that were seen to be real are banned. */
  readonly requiresReply: boolean;
  /** `LocalAddresses.neverBuffer`, `oursBuffer` and `uplinksBuffer`. */
  readonly never: SharedArrayBuffer;
  readonly ours: SharedArrayBuffer;
  readonly uplinks: SharedArrayBuffer;
}

export class WorkerBans {
  readonly #bans: Bans;
  readonly #policy: BanPolicy;
  readonly #durationMs: number;
  readonly #requiresReply: boolean;
  readonly #uplinks: Int32Array;

  constructor(setup: WorkerBansSetup) {
    this.#bans = new Bans(setup.handles);
    this.#durationMs = setup.durationMs;
    this.#requiresReply = setup.requiresReply;
    this.#uplinks = new Int32Array(setup.uplinks);
    this.#policy = {
      target: setup.target,
      never: new Networks(setup.never),
      ours: new Networks(setup.ours),
    };
  }

  /**
   * Whether either end of the packet is banned; counted if so. XDP asks for the sender alone; here
   * the other direction is known too: a local program calling a banned address (OUTPUT).
   */
  drops(packet: Packet): boolean {
    const bans = this.#bans;
    const { address, protocol, sourcePort, destinationPort, timeMs } = packet;
    return bans.drops(address, 0, protocol, sourcePort, timeMs) ||
      bans.drops(address, 4, protocol, destinationPort, timeMs);
  }

  /**
   * Bans whom the policy says; in the kernel when this returns. Who it was, as text.
   *
   * @param inputInterface number of the interface the packet came in by, 0 for none
   */
  ban(detection: Detection, hook: number, inputInterface: number): string[] {
    if (!detection.mayBan || !this.#isSenderReal(detection, hook, inputInterface)) return [];
    const { address, initiatorIsSource, protocol } = detection;
    const ends = banTargets(address, initiatorIsSource, hook, this.#policy);
    const banned: string[] = [];
    if ((ends & SOURCE_END) !== 0) {
      banned.push(this.#banEnd(detection, 0, protocol, detection.sourcePort));
    }
    if ((ends & DESTINATION_END) !== 0) {
      banned.push(this.#banEnd(detection, 4, protocol, detection.destinationPort));
    }
    return banned;
  }

  /**
   * A forged source must not get an innocent banned: the other end has answered, or the packet is
   * this machine's own, or a datagram of a network behind it that came from there: an address of ours
   * in a packet from the internet is forged.
   */
  #isSenderReal(detection: Detection, hook: number, inputInterface: number): boolean {
    if (!this.#requiresReply || detection.established || hook === HOOK_OUTPUT) return true;
    return detection.protocol === PROTOCOL_UDP &&
      this.#policy.ours.contains(detection.address, 0) &&
      !isUplink(this.#uplinks, inputInterface);
  }

  #banEnd(detection: Detection, at: number, protocol: number, port: number): string {
    const { address, match } = detection;
    this.#bans.ban(address, at, protocol, port, this.#durationMs, reasonOf(match.method));
    const text = formatAddress(address, at);
    return this.#bans.handles.scope === "ip" ? text : formatEndpoint(text, port);
  }
}
