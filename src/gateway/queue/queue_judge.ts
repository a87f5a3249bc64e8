/** From a queued packet to netfilter's verdict: parse, ban list, engine, mark. No I/O. */

import {
  BITTORRENT,
  CLEAN,
  type Detection,
  DROP,
  type Engine,
  RESET,
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
const FOREIGN_MARKS = COUNTER_INDEX.foreignMarks;

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
  /**
   * A connection is to begin anew: tells its ends, and the packet is dropped. False where they cannot be
   * told: then it passes.
   */
  readonly onOlder?: (packet: Packet) => boolean;
  /** A packet came with bits of our seal in its mark, set by another program. */
  readonly onForeignMark?: (mark: number) => void;
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
  /** Whether the present packet's mark has room for a verdict: another program uses none of our bits. */
  #carriesMark = true;

  constructor(options: QueueJudgeOptions, counters: Float64Array) {
    this.#options = options;
    this.#counters = counters;
    this.#keep = ~options.chain.marks.sealMask;
  }

  /** @param timeMs milliseconds of the boot clock */
  judge(message: QueueMessage, bytes: Uint8Array, timeMs: number): void {
    const counters = this.#counters;
    const { bans, engine, monitorOnly, chain: { marks, savesMarks } } = this.#options;
    const packet = this.#packet;
    counters[PACKETS]++;
    counters[BYTES] += message.payloadEnd - message.payloadStart;
    const ours = message.mark & marks.sealMask;
    this.#carriesMark = ours === 0 || ours === marks.sealedPass;
    if (savesMarks && !this.#carriesMark) {
      counters[FOREIGN_MARKS]++;
      this.#options.onForeignMark?.(message.mark);
    }
    try {
      if (!parseIp(packet, bytes, message.payloadStart, message.payloadEnd)) {
        counters[UNPARSED]++;
        return this.#accept(message);
      }
      packet.timeMs = timeMs;
      packet.inputInterface = message.inputInterface;
      packet.inputLink = message.inputPort || message.inputInterface;
      packet.outputLink = message.outputPort || message.outputInterface;
      packet.isRecalled = ours === marks.sealedPass;
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
    const { monitorOnly, chain: { marks, monitors } } = this.#options;
    switch (verdict) {
      case CLEAN:
        return this.#release(message, marks.sealedClear);
      case BITTORRENT:
        // In a monitor the flow has told what it is, and passes; where it can, that is remembered.
        if (monitorOnly) {
          return this.#release(message, monitors ? marks.sealedDrop : marks.sealedClear);
        }
        this.#counters[DROPPED]++;
        if (!this.#savesState) return this.#drop(message);
        return this.#repeat(message, marks.sealedDrop); // the chain saves the state and drops
      case RESET:
        if (monitorOnly || this.#options.onOlder?.(this.#packet) === false) {
          return this.#accept(message);
        }
        this.#counters[DROPPED]++;
        return this.#drop(message);
      case DROP:
        if (monitorOnly) {
          // A tunnel's packets are judged one by one; of what may be forged nothing more is to be known.
          if (this.#packet.tunnelled) return this.#accept(message);
          return this.#release(message, monitors ? marks.sealedDrop : marks.sealedClear);
        }
        this.#counters[DROPPED]++;
        return this.#drop(message);
      default:
        return this.#accept(message);
    }
  }

  /** Whether the chain can be told the flow's state with this packet. */
  get #savesState(): boolean {
    return this.#options.chain.savesMarks && this.#carriesMark;
  }

  #release(message: QueueMessage, sealed: number): void {
    if (!this.#savesState) return this.#accept(message);
    this.#counters[RELEASED]++;
    this.#repeat(message, sealed);
  }

  #accept(message: QueueMessage): void {
    const { marks, sharesTable } = this.#options.chain;
    this.#counters[ACCEPTED]++;
    if (this.#savesState && sharesTable) return this.#repeat(message, marks.sealedPass);
    this.verdict = NF_ACCEPT;
    this.mark = this.#savesState ? message.mark & this.#keep : message.mark;
  }

  #repeat(message: QueueMessage, sealed: number): void {
    this.verdict = NF_REPEAT;
    this.mark = (message.mark & this.#keep) | sealed;
  }

  #drop(message: QueueMessage): void {
    this.verdict = NF_DROP;
    this.mark = message.mark;
  }
}
