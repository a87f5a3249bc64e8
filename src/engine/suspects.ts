import { hasLengthPrefix } from "../protocols/mse/detect.ts";
import type { Packet } from "../packet/packet.ts";
import {
  COUNTED,
  CUT,
  FIFTH,
  type FlowRecord,
  HELLO_A,
  HELLO_B,
  RANDOM,
  RULED_OUT,
  THIRD_APART,
} from "./flow_record.ts";
import {
  BY_CALL,
  BY_LENGTHS,
  BY_OPENING,
  BY_TOLD,
  type Endpoint,
  type FlowKind,
  type HostEvidence,
} from "./host_evidence.ts";
import { IN_PIECES } from "./padding_spread.ts";
import type { Senders } from "./sender.ts";
import { streamEnd } from "./stream_space.ts";
import { toldOf } from "./told.ts";
import { isOpening, LENGTH_BITS, LENGTH_MASK } from "./turn_lengths.ts";
import { paddedTurns } from "./turns.ts";

/** Ends of a packet, as places in `Packet.address`. */
export const SOURCE = 0;
export const DESTINATION = 4;

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * What a flow that may be encrypted BitTorrent says of its host to the host's other flows, and what they
 * have said: the flow at hand between its record and the evidence of hosts.
 */
export class Suspects {
  readonly #flow: FlowRecord;
  readonly #senders: Senders;
  readonly #evidence: HostEvidence;
  /** Whom the host at hand speaks with; written anew for each question. */
  readonly #remote: Writable<Endpoint> = { address: new Int32Array(0), at: 0, port: 0 };

  constructor(flow: FlowRecord, senders: Senders, evidence: HostEvidence) {
    this.#flow = flow;
    this.#senders = senders;
    this.#evidence = evidence;
  }

  /**
   * Counts a flow among its initiator's openings at its first message, and not when its shape is
   * complete: of flows opened at once the first already meets the others' evidence. It is as long as what
   * has come of it; where more of it comes, longer. One that says how
   * long it is, as framed protocols do, does not count, which is all that this rules out; nor does one
   * of an address that is nobody's own: this machine's, whose users call many, or one inside a tunnel.
   */
  countOpening(direction: number, packet: Packet, length: number): void {
    const flow = this.#flow;
    if (direction !== 0 || !flow.hasFact(RANDOM) || !isOpening(length)) return;
    if (!flow.hasFact(COUNTED)) {
      const { bytes, payloadStart, payloadEnd } = packet;
      if (hasLengthPrefix(bytes, payloadStart, payloadEnd)) return;
      if (!this.#senders.isReal(direction, packet, SOURCE)) return;
      flow.noteFact(COUNTED);
    }
    this.#add(packet, SOURCE, BY_OPENING, length);
  }

  /** A flow that counts has shown a handshake as its fifth turn: says how long its padding was. */
  countHandshake(direction: number, packet: Packet): void {
    const flow = this.#flow;
    if (direction !== 0 || !flow.hasFact(COUNTED)) return;
    // What this side has sent before the handshake are the first message and the third.
    const padded = paddedTurns(flow);
    const third = padded & LENGTH_MASK;
    const first = streamEnd(flow, direction) - packet.payloadLength - third;
    const lengths = isOpening(first) ? first | (padded << LENGTH_BITS) : first;
    this.#add(packet, SOURCE, BY_OPENING, lengths);
    this.#addCall(packet, DESTINATION, lengths);
  }

  /**
   * A flow that counts has MSE's shape: counts among the calls of the port, and where a handshake is in
   * its third message, of so many bytes, or the fourth, how long the third and the answer were. The packet
   * is the fourth message's.
   */
  countShape(direction: number, packet: Packet, third: number): void {
    const flow = this.#flow;
    if (direction !== 1 || !flow.hasFact(COUNTED) || flow.hasFact(RULED_OUT)) return;
    const first = streamEnd(flow, 0) - third;
    const second = streamEnd(flow, 1) - packet.payloadLength;
    if (!isOpening(first) || !isOpening(second)) return;
    // Of a beginning in pieces A's is not to be seen, but B's.
    const isShown = flow.hasLength(HELLO_A) || (flow.has(CUT) && flow.hasLength(HELLO_B));
    const hasHandshake = isShown && third <= LENGTH_MASK;
    const lengths = first | (third << LENGTH_BITS) | (second << (2 * LENGTH_BITS));
    this.#addCall(packet, SOURCE, hasHandshake ? lengths : first);
    if (hasHandshake) this.#add(packet, DESTINATION, BY_OPENING, lengths);
    else if (flow.has(CUT) && third <= LENGTH_MASK) {
      this.#add(packet, DESTINATION, BY_OPENING, lengths | IN_PIECES);
    }
  }

  /** A flow was found to be BitTorrent: says so of the port that was called, of the packet's end `called`. */
  countConvicted(packet: Packet, called: number): void {
    if (this.#flow.targetPort !== 0) return;
    const { address, timeMs } = packet;
    this.#evidence.convictCall(address, called, this.#callerOf(packet, called), timeMs);
  }

  /** A flow that counts has told of extensions, or its initiator in turn. */
  countTold(direction: number, packet: Packet): void {
    const flow = this.#flow;
    if (!flow.hasFact(COUNTED)) return;
    const host = direction === 0 ? SOURCE : DESTINATION;
    const { told, toldBack } = flow;
    const before = streamEnd(flow, 0) - toldBack;
    const hasHandshake = flow.has(FIFTH | THIRD_APART);
    this.#add(packet, host, BY_TOLD, toldOf(told, toldBack, hasHandshake, before));
  }

  /**
   * Whether others of the initiator's flows, to other places, have told as many bytes, or were told as many
   * in turn, where relays have joined what stood before: one where two have shown a handshake's length
   * behind spread paddings, or two of several suspects, or where beginnings were written in pieces. A flow
   * that lacks one itself is kin of one that has it, beside two such.
   *
   * @param initiator place of its address in `packet.address`
   */
  hasKin(packet: Packet, initiator: number, lacksHandshake: boolean): boolean {
    const { address, timeMs } = packet;
    const evidence = this.#evidence;
    const { told, toldBack } = this.#flow;
    const sought = toldOf(told, lacksHandshake ? 0 : toldBack, lacksHandshake, 0);
    const kin = this.#countTold(packet, initiator, sought);
    if (kin >= 1 && evidence.hasPair(address, initiator, timeMs)) return true;
    return kin >= 2 && !lacksHandshake &&
      (evidence.hasFanOutOfKin(address, initiator, timeMs) ||
        (this.#flow.has(CUT) && evidence.hasSeveralInPieces(address, initiator, timeMs)));
  }

  /**
   * Whether the initiator has told as many bytes in turn to another place, a digit more or less, behind a
   * handshake by itself or where it was told a little more.
   */
  hasToldAlike(packet: Packet, initiator: number): boolean {
    return this.#countTold(packet, initiator, toldOf(0, this.#flow.toldBack, true, 0)) > 0;
  }

  /** Whether another place has told the initiator as many bytes. */
  wasToldAlike(packet: Packet, initiator: number): boolean {
    const { told } = this.#flow;
    return told !== 0 && this.#countTold(packet, initiator, toldOf(told, 0, false, 0)) > 0;
  }

  /** Flows of the initiator's to other places that told as much, see {@link HostEvidence.countTold}. */
  #countTold(packet: Packet, initiator: number, sought: number): number {
    const { address, timeMs } = packet;
    const remote = this.#remoteOf(packet, initiator);
    return this.#evidence.countTold(address, initiator, remote, timeMs, sought);
  }

  /** Whether whom the host, at `host` in `packet.address`, speaks with was named to it as a peer. */
  isNamed(packet: Packet, host: number): boolean {
    const { address, timeMs } = packet;
    return this.#evidence.isNamed(address, host, this.#remoteOf(packet, host), timeMs);
  }

  /** A flow that is ruled out or let go no longer counts among its host's openings. */
  letGo(direction: number, packet: Packet): void {
    if (!this.#flow.hasFact(COUNTED)) return;
    this.#flow.dropFact(COUNTED);
    const host = direction === 0 ? SOURCE : DESTINATION;
    this.#remove(packet, host, BY_OPENING);
    if ((this.#flow.told | this.#flow.toldBack) !== 0) this.#remove(packet, host, BY_TOLD);
    const called = 4 - host;
    this.#evidence.removeFlow(packet.address, called, this.#callerOf(packet, called), BY_CALL);
  }

  /** A joined flow of the host, the packet's end `host`, has lengths of blocks or requests. */
  countLengths(packet: Packet, host: number): void {
    const { address, timeMs } = packet;
    this.#evidence.addFlow(address, host, this.#otherEnd(packet, host), timeMs, BY_LENGTHS);
  }

  /** Says of the initiator, the packet's end `host`, that it has such a flow. */
  #add(packet: Packet, host: number, kind: FlowKind, length: number): void {
    const { address, timeMs } = packet;
    this.#evidence.addFlow(address, host, this.#remoteOf(packet, host), timeMs, kind, length);
  }

  #remove(packet: Packet, host: number, kind: FlowKind): void {
    this.#evidence.removeFlow(packet.address, host, this.#remoteOf(packet, host), kind);
  }

  /** Says of the end that is called, the packet's `host`, and of its port; a proxy's is everybody's. */
  #addCall(packet: Packet, host: number, lengths: number): void {
    if (this.#flow.targetPort !== 0) return;
    const { address, timeMs } = packet;
    this.#evidence.addFlow(address, host, this.#callerOf(packet, host), timeMs, BY_CALL, lengths);
  }

  /**
   * Whom the host, the address at `host`, speaks with: the packet's other end, or, of who has called
   * a proxy, the target that was named to it. All of a host's peers behind one proxy are one
   * endpoint otherwise.
   */
  #remoteOf(packet: Packet, host: number): Endpoint {
    const flow = this.#flow;
    if (flow.targetPort === 0) return this.#otherEnd(packet, host);
    const remote = this.#remote;
    remote.address = flow.words;
    remote.at = flow.targetAt;
    remote.port = flow.targetPort;
    return remote;
  }

  #otherEnd(packet: Packet, host: number): Endpoint {
    const remote = this.#remote;
    remote.address = packet.address;
    remote.at = 4 - host;
    remote.port = host === SOURCE ? packet.destinationPort : packet.sourcePort;
    return remote;
  }

  /** Who has called the host, with the port that was called. */
  #callerOf(packet: Packet, host: number): Endpoint {
    const remote = this.#otherEnd(packet, host);
    this.#remote.port = host === SOURCE ? packet.sourcePort : packet.destinationPort;
    return remote;
  }
}
