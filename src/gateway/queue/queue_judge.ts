/** From a queued packet to netfilter's verdict: parse, ban list, engine, mark. No I/O. */

import {
  BITTORRENT,
  CLEAN,
  type Detection,
  DROP,
  type Engine,
  type Verdict,
} from "../../engine/engine.ts";
import { Packet, parseIp } from "../../packet/packet.ts";
import { COUNTER_INDEX } from "./counters.ts";
import type { Chain } from "../rules/chain.ts";
import { NF_ACCEPT, NF_DROP, NF_REPEAT, type QueueMessage } from "./queue_message.ts";

const BYTES = COUNTER_INDEX.bytes;
const PACKETS = COUNTER_INDEX.packets;
const ACCEPTED = COUNTER_INDEX.accepted;
const RELEASED = COUNTER_INDEX.released;
const DROPPED = COUNTER_INDEX.dropped;
const BANNED_DROPS = COUNTER_INDEX.bannedDrops;
const UNPARSED = COUNTER_INDEX.unparsed;
const FAULTS = COUNTER_INDEX.faults;

/** The part of the engine that a judge needs. */
export type FlowJudge = Pick<Engine, "judge" | "detection">;

/** The list of bans as the packet path sees it. */
export interface PacketBans {
  /** Whether either end of the packet is banned; counted as dropped if so. */
  drops(packet: Packet): boolean;
}

export interface QueueJudgeOptions {
  readonly engine: FlowJudge;
  /** Null: nobody is banned. */
  readonly bans: PacketBans | null;
  readonly chain: Chain;
  /** Judge, but accept everything. */
  readonly monitorOnly: boolean;
  /** A flow's first detection, while the message that brought the packet stands in `bytes`. */
  readonly onDetection: (detection: Detection, message: QueueMessage, bytes: Uint8Array) => void;
  /** The engine threw on a packet, which is accepted. */
  readonly onFault: (error: unknown) => void;
}

/** Judges packets one at a time; the answer is in {@link verdict} and {@link mark}. */
export class QueueJudge {
  /** Netfilter's verdict on the last packet. */
  verdict = NF_ACCEPT;
  /** The mark the packet is to have, other users' bits as they were. */
  mark = 0;

  readonly #options: QueueJudgeOptions;
  readonly #counters: Float64Array;
  readonly #packet = new Packet();
  readonly #keep: number;

  constructor(options: QueueJudgeOptions, counters: Float64Array) {
    this.#options = options;
    this.#counters = counters;
    this.#keep = ~options.chain.marks.mask;
  }

  /** @param timeMs milliseconds of the boot clock */
  judge(message: QueueMessage, bytes: Uint8Array, timeMs: number): void {
    const counters = this.#counters;
    const { bans, engine, monitorOnly, chain: { marks } } = this.#options;
    const packet = this.#packet;
    counters[PACKETS]++;
    counters[BYTES] += message.payloadEnd - message.payloadStart;
    try {
      if (!parseIp(packet, bytes, message.payloadStart, message.payloadEnd)) {
        counters[UNPARSED]++;
        return this.#accept(message);
      }
      packet.timeMs = timeMs;
      packet.inputInterface = message.inputInterface;
      packet.inputLink = message.inputPort || message.inputInterface;
      packet.outputLink = message.outputPort || message.outputInterface;
      packet.isRecalled = (message.mark & marks.mask) === marks.pass;
      if (bans !== null && !monitorOnly && bans.drops(packet)) {
        counters[BANNED_DROPS]++;
        return this.#drop(message);
      }
      const verdict = engine.judge(packet);
      const detection = engine.detection;
      this.#answer(message, verdict);
      if (detection !== null) this.#options.onDetection(detection, message, bytes);
    } catch (error) {
      // A fault of ours must not cost anyone a packet.
      counters[FAULTS]++;
      this.#accept(message);
      this.#options.onFault(error);
    }
  }

  #answer(message: QueueMessage, verdict: Verdict): void {
    const { monitorOnly, chain: { marks, savesMarks } } = this.#options;
    switch (verdict) {
      case CLEAN:
        return this.#release(message);
      case BITTORRENT:
        if (monitorOnly) return this.#watch(message);
        this.#counters[DROPPED]++;
        if (!savesMarks) return this.#drop(message);
        this.verdict = NF_REPEAT; // the chain saves the state for the flow and drops the packet
        this.mark = (message.mark & this.#keep) | marks.drop;
        return;
      case DROP:
        if (monitorOnly) return this.#accept(message);
        this.#counters[DROPPED]++;
        return this.#drop(message);
      default:
        return this.#accept(message);
    }
  }

  #release(message: QueueMessage): void {
    const { marks, savesMarks } = this.#options.chain;
    if (!savesMarks) return this.#accept(message);
    this.#counters[RELEASED]++;
    this.verdict = NF_REPEAT;
    this.mark = (message.mark & this.#keep) | marks.clear;
  }

  /** The flow has told what it is, and passes; where it can, that is remembered for later. */
  #watch(message: QueueMessage): void {
    this.#release(message);
    const { marks, savesMarks, monitors } = this.#options.chain;
    if (savesMarks && monitors) this.mark = (message.mark & this.#keep) | marks.drop;
  }

  #accept(message: QueueMessage): void {
    const { marks, savesMarks, sharesTable } = this.#options.chain;
    this.#counters[ACCEPTED]++;
    const passOn = savesMarks && sharesTable;
    this.verdict = passOn ? NF_REPEAT : NF_ACCEPT;
    this.mark = (message.mark & this.#keep) | (passOn ? marks.pass : 0);
  }

  #drop(message: QueueMessage): void {
    this.verdict = NF_DROP;
    this.mark = message.mark;
  }
}
