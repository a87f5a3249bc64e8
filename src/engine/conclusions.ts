import { type Packet, PROTOCOL_TCP } from "../packet/packet.ts";
import { type BanCondition, kindRow } from "../protocols/methods.ts";
import type { Convictions, Detection } from "./conviction.ts";
import {
  BITTORRENT_FLOW,
  CLEAN_FLOW,
  DOUBTED,
  type FlowRecord,
  MID_STREAM,
  OWED,
  PARDONED,
  SYN_SEEN,
} from "./flow_record.ts";
import { FOUND, type FoundMatch, HOLD, type Outcome, RELEASE } from "./outcome.ts";
import { DESTINATION_END, type Senders, SOURCE_END } from "./sender.ts";
import { acknowledges } from "./stream_space.ts";
import type { UdpInspector } from "./udp_inspector.ts";
import { BITTORRENT, CLEAN, DROP, INSPECT, type Verdict } from "./verdict.ts";

/**
 * From what an inspector has found to the verdict: the flow's state, whether the find may be forged, and
 * the detection that follows from it.
 */
export class Conclusions {
  /** What was detected, when it was the first detection of its flow. */
  detection: Detection | null = null;
  readonly #flow: FlowRecord;
  readonly #udp: UdpInspector;
  readonly #senders: Senders;
  readonly #convictions: Convictions;
  readonly #finding: FoundMatch;
  readonly #release: (slot: number) => void;

  /** @param release frees what a flow of TCP holds outside the table */
  constructor(
    flow: FlowRecord,
    udp: UdpInspector,
    senders: Senders,
    convictions: Convictions,
    finding: FoundMatch,
    release: (slot: number) => void,
  ) {
    this.#flow = flow;
    this.#udp = udp;
    this.#senders = senders;
    this.#convictions = convictions;
    this.#finding = finding;
    this.#release = release;
  }

  /** @returns the verdict on the packet that an inspector has just judged */
  conclude(direction: number, packet: Packet, outcome: Outcome): Verdict {
    const flow = this.#flow;
    if (outcome === FOUND) {
      const real = this.#senders.realEnds(direction, packet, this.#isBlind(direction, packet));
      if (this.#mayBeForged(direction, packet, real)) return this.#doubt(direction, packet, real);
      flow.state = BITTORRENT_FLOW;
      this.#detect(direction, packet, real);
      if (packet.protocol === PROTOCOL_TCP) this.#release(flow.slot);
      flow.lower(DOUBTED);
      return BITTORRENT;
    }
    if (outcome === RELEASE) {
      flow.state = CLEAN_FLOW;
      this.#release(flow.slot);
      return CLEAN;
    }
    if (outcome === HOLD) {
      flow.uncount(direction, packet.payloadLength);
      return DROP;
    }
    return INSPECT;
  }

  /**
   * Whether anybody may have sent the packet in another's name, to end what the two have with each
   * other. Not where both sides speak uTP, nor where a segment acknowledges what the other end sent. In a
   * capture it is told of the flow all the same: nothing is dropped there.
   */
  #mayBeForged(direction: number, packet: Packet, real: number): boolean {
    if (packet.tunnelled || (real & SOURCE_END) !== 0) return false;
    if (!this.#senders.knowsPaths(packet)) return false;
    if (packet.protocol === PROTOCOL_TCP) {
      return this.#isAlone && !acknowledges(this.#flow, direction, packet);
    }
    return this.#isAlone || this.#udp.isOneSided(direction);
  }

  /**
   * Whether its sender may have said all that was found without hearing the other end. Who was called
   * knows that he was, but so does everybody where the ports are known, as those of tunnels are: what he
   * is held for has to repeat what the other end chose, a transaction's number or a connection's.
   */
  #isBlind(direction: number, { protocol }: Packet): boolean {
    if (protocol === PROTOCOL_TCP) return false;
    if (this.#finding.match!.method !== "utp") return this.#isAlone;
    return this.#udp.isOneSided(direction);
  }

  /** Whether one packet says all that was found. */
  get #isAlone(): boolean {
    return kindRow(this.#finding.match!).alone === true;
  }

  /**
   * A find that may be forged. What one packet says, or one side beside another that speaks otherwise,
   * is dropped alone: of a stream nothing behind it arrives, and it is found each time that it is sent.
   * Where only one side of datagrams has been heard all of it is dropped, until the other speaks.
   */
  #doubt(direction: number, packet: Packet, real: number): Verdict {
    const flow = this.#flow;
    if (!flow.has(DOUBTED)) this.#detect(direction, packet, real);
    flow.raise(DOUBTED);
    const isHeard = flow.packets(1 - direction) > 0;
    if (isHeard || this.#isAlone) flow.uncount(direction, packet.payloadLength);
    else flow.state = BITTORRENT_FLOW;
    return DROP;
  }

  #detect(direction: number, packet: Packet, real: number): void {
    const finding = this.#finding;
    const condition = this.#banCondition(direction, packet);
    const detection = this.#convictions.convict(finding, packet, direction, real, condition);
    this.detection = detection;
    // The answer that shows a datagram's sender to be real may come yet, where nothing is dropped.
    const isUnanswered = packet.protocol !== PROTOCOL_TCP && !packet.tunnelled &&
      (finding.offenders & SOURCE_END) !== 0 && (real & SOURCE_END) === 0;
    if (detection.mayBan && isUnanswered) this.#flow.raise(OWED << direction);
  }

  /** When the find bans: as its kind does, or less in a stream that may be another's doing. */
  #banCondition(direction: number, packet: Packet): BanCondition {
    const { bans, bansJoined } = kindRow(this.#finding.match!);
    if (packet.protocol !== PROTOCOL_TCP) return bans;
    const flow = this.#flow;
    if (flow.has(PARDONED)) return "never";
    if (this.#isAlone) return this.#isCallersBeginning(direction, packet) ? bans : "never";
    return flow.has(MID_STREAM) ? bansJoined : bans;
  }

  /**
   * Whether the stream is the caller's and begins where he says himself. Anywhere else stands what
   * somebody had him send: a page's upload, whose server can send a SYN in the middle of it; a file that
   * a server was given. His SYN came by the same way as the packet, or another may have sent it.
   */
  #isCallersBeginning(direction: number, packet: Packet): boolean {
    return direction === 0 && this.#flow.has(SYN_SEEN) &&
      this.#senders.isInPlace(direction, packet);
  }

  /** A datagram of a flow known as BitTorrent: it may answer the one that proved it. */
  takeAnswer(direction: number, packet: Packet): void {
    const flow = this.#flow;
    if (!flow.has(OWED << (1 - direction))) return;
    flow.count(direction, packet.payloadLength);
    this.#senders.note(direction, packet);
    if ((this.#senders.realEnds(direction, packet) & DESTINATION_END) === 0) return;
    flow.lower(OWED << (1 - direction));
    this.#convictions.prove(packet, DESTINATION_END);
  }
}
