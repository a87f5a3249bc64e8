import { ACK, type Packet, PROTOCOL_TCP, SYN } from "../packet/packet.ts";
import { Conclusions } from "./conclusions.ts";
import { Convictions, type Detection } from "./conviction.ts";
import {
  adoptDatagrams,
  adoptStream,
  answeredBefore,
  type EarlierNotes,
  type FlowNotes,
  hasOpened,
} from "./earlier_notes.ts";
import { EncryptedFlows } from "./encrypted_flows.ts";
import {
  AWAITED,
  BASE_KNOWN,
  BITTORRENT_FLOW,
  CLEAN_FLOW,
  DOUBTED,
  EMBRYONIC,
  INITIATOR_HIGH,
  PAYLOAD_COUNTED,
  SYN_SEEN,
  UNDECIDED,
} from "./flow_record.ts";
import { FlowTable, tickOf } from "./flow_table.ts";
import { HostEvidence } from "./host_evidence.ts";
import { HttpStreams } from "./http_stream.ts";
import { Knocks } from "./knocks.ts";
import { MessageChains } from "./message_chain.ts";
import { FoundMatch } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { PrefixPool } from "./prefix_pool.ts";
import { type Paths, Senders } from "./sender.ts";
import { TcpInspector } from "./tcp_inspector.ts";
import { isHeard, noteSyn, setBeginning } from "./stream_space.ts";
import { StreamOpenings } from "./stream_openings.ts";
import { TrackerFlows } from "./tracker_flow.ts";
import { UdpInspector } from "./udp_inspector.ts";
import { UtpFlows } from "./utp_flow.ts";
import { BITTORRENT, CLEAN, DROP, INSPECT, RESET, type Verdict } from "./verdict.ts";
import { WhitelistedServices } from "./whitelisted_services.ts";

export { BITTORRENT, CLEAN, type Detection, DROP, INSPECT, RESET, type Verdict };

/**
 * So long after the first packet a connection without a beginning is older than the blocker, and not
 * one that the table has forgotten: every client has spoken within its keep-alive of two minutes.
 */
const OLDER_MS = 130_000;

/** Flows kept at once when nothing else is asked for; 8 MiB of state. */
export const DEFAULT_FLOWS = 65_536;
/** One prefix buffer for so many flows: few packets do not decide alone. */
const FLOWS_PER_PREFIX = 32;

export interface EngineOptions {
  /** Flows kept at once, a power of two. */
  readonly flows?: number;
  /** Where their state is kept ({@link flowsByteLength}), for others to look at; its own by default. */
  readonly flowWords?: ArrayBufferLike;
  readonly policy: EnginePolicy;
  /** Shared by all engines of a gateway; an engine's own by default. */
  readonly evidence?: HostEvidence;
  /** Where addresses are; not given for a capture, which tells of no interfaces. */
  readonly paths?: Paths | null;
  /** Who has noted flows before they come here: the kernel's first look. None by default. */
  readonly notes?: EarlierNotes | null;
  /** Seed of the flow table's hash; random in a gateway. */
  readonly seed?: number;
}

/** Counts since the engine was made. */
export interface EngineCounters {
  packets: number;
  payloadPackets: number;
  /** 5-tuples with any packet, and with payload. */
  flows: number;
  payloadFlows: number;
  detections: number;
  /** Packets of flows that call a service of the white list. */
  whitelisted: number;
}

/**
 * Packet in, verdict out. Pure: no clock of its own, no I/O, so the same code judges a capture and
 * live traffic. A packet allocates nothing; a detection does.
 */
export class Engine {
  readonly counters: EngineCounters = {
    packets: 0,
    payloadPackets: 0,
    flows: 0,
    payloadFlows: 0,
    detections: 0,
    whitelisted: 0,
  };

  readonly #table: FlowTable;
  readonly #openings: StreamOpenings;
  readonly #tcp: TcpInspector;
  readonly #udp: UdpInspector;
  readonly #encrypted: EncryptedFlows;
  readonly #evidence: HostEvidence;
  readonly #ownsEvidence: boolean;
  #resetsOlder = false;
  /** When the first packet came, by its own clock. */
  #beganMs = 0;
  readonly #finding = new FoundMatch();
  readonly #prefixes: PrefixPool;
  readonly #knocks: Knocks;
  readonly #release: (slot: number) => void;
  readonly #whitelist: WhitelistedServices;
  readonly #notes: EarlierNotes | null;
  readonly #senders: Senders;
  readonly #conclusions: Conclusions;

  constructor(options: EngineOptions) {
    const flows = options.flows ?? DEFAULT_FLOWS;
    const { policy } = options;
    this.#evidence = options.evidence ?? new HostEvidence();
    this.#ownsEvidence = options.evidence === undefined;
    this.#notes = options.notes ?? null;
    this.#table = new FlowTable(flows, options.seed, options.flowWords);
    this.#senders = new Senders(this.#table.flow, flows, options.paths ?? null);
    this.#knocks = new Knocks(flows);
    this.#prefixes = new PrefixPool(Math.max(16, flows / FLOWS_PER_PREFIX));
    this.#encrypted = new EncryptedFlows(
      this.#table.flow,
      this.#senders,
      this.#evidence,
      this.#finding,
      policy,
    );
    this.#openings = new StreamOpenings(
      this.#table.flow,
      this.#prefixes,
      new HttpStreams(flows),
      this.#encrypted,
      this.#finding,
      policy,
    );
    this.#tcp = new TcpInspector(
      this.#table.flow,
      this.#openings,
      new MessageChains(flows),
      this.#encrypted,
      this.#finding,
    );
    this.#udp = new UdpInspector(
      this.#table.flow,
      new UtpFlows(flows),
      new TrackerFlows(flows),
      this.#finding,
    );
    this.#release = (slot) => this.#tcp.release(slot);
    this.#conclusions = new Conclusions(
      this.#table.flow,
      this.#udp,
      this.#senders,
      new Convictions(this.#evidence),
      this.#finding,
      this.#release,
    );
    this.#whitelist = new WhitelistedServices(this.#table, this.#release);
    this.setPolicy(policy);
  }

  /** Changes the policy; flows already judged keep their state. */
  setPolicy(policy: EnginePolicy): void {
    this.#openings.setPolicy(policy);
    this.#encrypted.setPolicy(policy);
    this.#resetsOlder = policy.resetOlder ?? false;
    this.#whitelist.set(policy.whitelistPorts);
  }

  /** Forgets all flows and, where it is the engine's own, the evidence of hosts; counters go on. */
  clear(): void {
    this.#table.clear();
    this.#prefixes.clear();
    if (this.#ownsEvidence) this.#evidence.clear();
  }

  /**
   * Flows known as BitTorrent are judged anew where an end is meant.
   *
   * @param isMeant of the address in `words[at … at + 3]`
   * @param pardons whether a ban has ended with it: as by {@link pardon}
   */
  forget(isMeant: (words: Int32Array, at: number) => boolean, pardons: boolean): void {
    this.#table.forgetBitTorrent(isMeant, pardons);
  }

  /**
   * The ban of these is lifted: what is found in connections that there are already is dropped and bans
   * nobody. Their system sends again what was not acknowledged, minutes after the client was closed.
   */
  pardon(isMeant: (words: Int32Array, at: number) => boolean): void {
    this.#table.pardon(isMeant);
  }

  /** What the last {@link judge} detected, when it was the first detection of its flow. */
  get detection(): Detection | null {
    return this.#conclusions.detection;
  }

  /** Judges one parsed packet; `packet.timeMs` must be set. */
  judge(packet: Packet): Verdict {
    this.#conclusions.detection = null;
    const counters = this.counters;
    if (counters.packets++ === 0) this.#beganMs = packet.timeMs;
    const isTaken = this.#notes !== null && this.#takeNotes(this.#notes, packet);
    if (this.#whitelist.isCalled(packet)) {
      counters.whitelisted++;
      return packet.tunnelled ? INSPECT : CLEAN;
    }
    const hasPayload = packet.payloadEnd > packet.payloadStart;
    if (hasPayload) counters.payloadPackets++;
    const verdict = packet.protocol === PROTOCOL_TCP
      ? this.#judgeTcp(packet, hasPayload)
      : this.#judgeUdp(packet, hasPayload);
    if (this.#conclusions.detection !== null) counters.detections++;
    if (isTaken && verdict === INSPECT && hasPayload) this.#awaitAnswer(packet);
    if (!packet.tunnelled) return verdict;
    // A mark would be the whole tunnel's, so a tunnelled flow is judged packet by packet.
    return verdict === BITTORRENT ? DROP : verdict === CLEAN ? INSPECT : verdict;
  }

  #judgeTcp(packet: Packet, hasPayload: boolean): Verdict {
    const table = this.#table;
    const flow = table.flow;
    const tick = tickOf(packet.timeMs);
    let slot = table.find(packet);
    if ((packet.flags & SYN) !== 0) {
      const isAnswer = (packet.flags & ACK) !== 0;
      if (slot < 0) {
        slot = this.#insert(packet, tick, EMBRYONIC);
        // Only the answer was seen: the initiator is the other end.
        if (isAnswer) this.#turnRound();
      } else if (flow.state !== EMBRYONIC && !this.#takeLaterSyn(slot, packet, isAnswer, tick)) {
        return hasPayload ? DROP : INSPECT;
      }
      flow.lastTick = tick;
      this.#senders.note(table.direction, packet);
      noteSyn(flow, table.direction, packet, isAnswer);
      if (!hasPayload) return this.#verdictOf();
    }
    if (!hasPayload) return slot < 0 ? INSPECT : this.#verdictOf();
    if (slot < 0) slot = this.#insert(packet, tick, EMBRYONIC);
    if (this.#resetsOlder && this.#isOlder(packet)) return RESET;
    const direction = table.direction;
    const settled = this.#settledVerdict(slot, tick, packet.isRecalled);
    if (settled !== INSPECT) return settled;
    this.#senders.note(direction, packet);
    return this.#conclusions.conclude(
      direction,
      packet,
      this.#tcp.inspect(slot, direction, packet),
    );
  }

  /**
   * A SYN, or the answer to one, in a flow that is known already. A new connection on its 5-tuple has
   * begun when the other end answers; of one direction alone no answer is to be seen.
   *
   * @returns false of a SYN that may come to nothing: then what it carries does not pass
   */
  #takeLaterSyn(slot: number, packet: Packet, isAnswer: boolean, tick: number): boolean {
    const table = this.#table;
    const { flow, direction } = table;
    if (!isAnswer && this.#isKnock(slot, direction, packet.sequence + 1)) return false;
    if (isAnswer && !this.#knocks.isAnswered(slot, direction, packet)) return true;
    this.#tcp.release(slot);
    table.restart(slot, tick, EMBRYONIC);
    if (!isAnswer) return true;
    this.#turnRound();
    setBeginning(flow, 0, packet.acknowledgement);
    flow.raise(BASE_KNOWN | SYN_SEEN);
    return true;
  }

  /** Whether a SYN of `caller`, whose first byte has the number `begin`, waits for an answer; notes it then. */
  #isKnock(slot: number, caller: number, begin: number): boolean {
    if (!isHeard(this.#table.flow, 1 - caller)) return false;
    this.#knocks.note(slot, caller, begin);
    return true;
  }

  /** Whether the flow at hand began before the blocker: nobody saw its SYN, and it carries no mark. */
  #isOlder({ timeMs, isRecalled, tunnelled }: Packet): boolean {
    const { flow } = this.#table;
    if (isRecalled || tunnelled || timeMs - this.#beganMs > OLDER_MS) return false;
    return flow.state === EMBRYONIC && !flow.has(BASE_KNOWN * 3);
  }

  #judgeUdp(packet: Packet, hasPayload: boolean): Verdict {
    const table = this.#table;
    const flow = table.flow;
    const tick = tickOf(packet.timeMs);
    let slot = table.find(packet);
    if (!hasPayload) return slot < 0 ? INSPECT : this.#verdictOf();
    if (slot < 0) {
      slot = this.#insert(packet, tick, EMBRYONIC);
    } else if (table.isSilent(tick)) {
      table.restart(slot, tick, EMBRYONIC);
    }
    if (flow.isUncalled || this.#isFirstOfOther(table.direction)) {
      table.restart(slot, tick, EMBRYONIC);
      flow.raise(DOUBTED);
    }
    const direction = table.direction;
    const settled = this.#settledVerdict(slot, tick, packet.isRecalled);
    if (settled === BITTORRENT) this.#conclusions.takeAnswer(direction, packet);
    if (settled !== INSPECT) return settled;
    this.#senders.note(direction, packet);
    return this.#conclusions.conclude(
      direction,
      packet,
      this.#udp.inspect(slot, direction, packet),
    );
  }

  /**
   * Takes over what was noted of the packet's flow, first of all: who began it decides what is a service.
   * A tunnel's packets are not looked at in the kernel, and a recalled one begins anew.
   *
   * @returns whether there were any
   */
  #takeNotes(noted: EarlierNotes, packet: Packet): boolean {
    if (packet.tunnelled || packet.isRecalled) return false;
    const slot = this.#table.find(packet);
    const isTcp = packet.protocol === PROTOCOL_TCP;
    if (slot >= 0 && !isTcp) return false;
    const notes = noted.take(packet);
    if (notes === null) return false;
    const { flow } = this.#table;
    if (slot >= 0 && flow.state !== EMBRYONIC && !notes.isKnown[1]) { // a SYN alone
      const { direction } = this.#table;
      const caller = notes.isFromInitiator ? direction : 1 - direction;
      if (this.#isKnock(slot, caller, notes.begin[0])) return false;
    }
    const answer = slot < 0 ? null : answeredBefore(flow, notes);
    this.#adopt(packet, notes, slot);
    if (!isTcp) {
      adoptDatagrams(flow, notes);
      return true;
    }
    adoptStream(flow, notes, answer);
    if (hasOpened(notes)) this.#encrypted.ruleOut();
    return true;
  }

  /** Leaves the flow's answer to the kernel, where only that is missing. */
  #awaitAnswer(packet: Packet): void {
    const { flow, direction } = this.#table;
    if (packet.protocol !== PROTOCOL_TCP || !this.#tcp.hasAskedOnce(direction)) return;
    flow.state = AWAITED;
    this.#notes!.awaitAnswer(packet.payloadLength);
  }

  /** Makes the flow what the notes say, whatever was known of an older one on its 5-tuple. */
  #adopt(packet: Packet, notes: FlowNotes, slot: number): void {
    const tick = tickOf(packet.timeMs);
    const table = this.#table;
    const { flow } = table;
    if (slot < 0) {
      this.#insert(packet, tick, EMBRYONIC);
    } else {
      this.#tcp.release(slot);
      table.restart(slot, tick, EMBRYONIC);
    }
    if (!notes.isFromInitiator) this.#turnRound();
    for (const direction of [0, 1] as const) {
      this.#senders.place(direction, notes.inputInterface[direction]);
    }
    if (!hasOpened(notes)) return;
    flow.state = UNDECIDED;
    if (flow.has(PAYLOAD_COUNTED)) return;
    flow.raise(PAYLOAD_COUNTED);
    this.counters.payloadFlows++;
  }

  #insert(packet: Packet, tick: number, state: number): number {
    this.counters.flows++;
    const slot = this.#table.insert(packet, tick, state, this.#release);
    this.#knocks.forget(slot);
    return slot;
  }

  /** The packet just inserted came from the responder. */
  #turnRound(): void {
    const { flow } = this.#table;
    if (flow.has(INITIATOR_HIGH)) flow.lower(INITIATOR_HIGH);
    else flow.raise(INITIATOR_HIGH);
    this.#table.direction = 1;
  }

  /** Verdict of a flow already judged, or INSPECT; a first payload makes the flow undecided. */
  #settledVerdict(slot: number, tick: number, isRecalled: boolean): Verdict {
    const table = this.#table;
    const flow = table.flow;
    flow.lastTick = tick;
    switch (flow.state) {
      case BITTORRENT_FLOW:
        return this.#verdictOf();
      case CLEAN_FLOW:
        if (!isRecalled) return CLEAN;
        this.#tcp.release(slot);
        table.restart(slot, tick, UNDECIDED);
        return INSPECT;
      case AWAITED:
        flow.state = UNDECIDED;
        return INSPECT;
      case EMBRYONIC:
        flow.state = UNDECIDED;
        if (!flow.has(PAYLOAD_COUNTED)) {
          flow.raise(PAYLOAD_COUNTED);
          this.counters.payloadFlows++;
        }
        return INSPECT;
      default:
        return INSPECT;
    }
  }

  #verdictOf(): Verdict {
    switch (this.#table.flow.state) {
      case BITTORRENT_FLOW:
        return this.#table.flow.has(DOUBTED) ? DROP : BITTORRENT;
      case CLEAN_FLOW:
        return CLEAN;
      default:
        return INSPECT;
    }
  }

  /** Whether the other side speaks now, where one that may be forged was all that was heard. */
  #isFirstOfOther(direction: number): boolean {
    const { flow } = this.#table;
    return flow.has(DOUBTED) && flow.state === BITTORRENT_FLOW && flow.packets(direction) === 0;
  }
}
