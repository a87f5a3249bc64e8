import type { Packet } from "../packet/packet.ts";
import { match } from "../protocols/match.ts";
import type { BlockRhythm } from "./block_rhythm.ts";
import { DATA_SEEN, FIFTH, type FlowRecord, MID_STREAM, THIRD_APART } from "./flow_record.ts";
import { tickOf } from "./flow_table.ts";
import { BY_OPENING, type HostEvidence } from "./host_evidence.ts";
import { isEnoughOfKin, kinBitsOf, lacksHandshake } from "./kin_table.ts";
import { FULL_SEGMENT } from "./message_lengths.ts";
import {
  bitsOf,
  GRANTED_AND_HEADED,
  isAlike,
  isAskedAndGranted,
  isBare,
  isEnough,
  LEAST,
  LEAST_OF_CALLED,
} from "./mse_table.ts";
import { type FoundMatch, HOLD, type Outcome, WAIT } from "./outcome.ts";
import type { Senders } from "./sender.ts";
import { DESTINATION, SOURCE, type Suspects } from "./suspects.ts";

const LENGTHS = match("mse", "lengths", "strong", "encrypted, lengths of a handshake and messages");
const OF_HOST = match(
  "mse",
  "by-host",
  "strong",
  "encrypted, lengths of a handshake, host with BitTorrent evidence",
);
const NAMED = match(
  "mse",
  "named-peer",
  "strong",
  "encrypted, lengths of a handshake with an endpoint named as peer",
);
const FAN_OUT = match(
  "mse",
  "fan-out",
  "strong",
  "encrypted, lengths of a handshake, one of several endpoints",
);
const CALLED = match(
  "mse",
  "called",
  "strong",
  "encrypted, lengths of a handshake, at a port that a swarm calls",
);

/**
 * How long first data is held back: less than the 200 ms that TCP waits at least before it sends again, so
 * that who is held for nothing has lost that once.
 */
const HOLD_TICKS = 2;
/** What of it has passed at most when that begins: a block. */
const MOST_UNHELD = 24_576;

/** What clients say of their extensions, names and all, is no longer: obfs4 says 543 bytes or twice as many. */
const LONGEST_TOLD_BACK = 420;
/** Data comes in the sixth turn at first, where handshakes went out with the messages before. */
const TURN_OF_FIRST_DATA = 6;

/**
 * What decides an encrypted flow that began under the engine's eyes: the lengths of its beginning and of its
 * first blocks, and what its host did besides (`mse_table.ts`).
 */
export class EncryptedBeginnings {
  readonly #flow: FlowRecord;
  readonly #senders: Senders;
  readonly #evidence: HostEvidence;
  readonly #suspects: Suspects;
  readonly #blocks: BlockRhythm;
  readonly #finding: FoundMatch;
  /** What the flow at hand has shown when it was last asked, by itself and as one of kin. */
  #bits = 0;
  #kinBits = 0;

  constructor(
    flow: FlowRecord,
    senders: Senders,
    evidence: HostEvidence,
    suspects: Suspects,
    blocks: BlockRhythm,
    finding: FoundMatch,
  ) {
    this.#flow = flow;
    this.#senders = senders;
    this.#evidence = evidence;
    this.#suspects = suspects;
    this.#blocks = blocks;
    this.#finding = finding;
  }

  /** The table: what the beginning and the first blocks show, and what the host did besides. */
  decide(direction: number, packet: Packet): Outcome {
    const bits = bitsOf(this.#flow, this.#blocks);
    const isGranted = isAskedAndGranted(this.#flow.lengths);
    const kinBits = kinBitsOf(this.#flow, this.#blocks);
    this.#bits = bits;
    this.#kinBits = kinBits;
    if (bits < LEAST_OF_CALLED && kinBits < LEAST && !isGranted) return WAIT;
    const initiator = direction === 0 ? SOURCE : DESTINATION;
    const isEnoughInSwarm = isGranted || isEnough(bits, this.#flow, "swarm");
    const outcome = this.#decideAlone(direction, packet, initiator, isEnoughInSwarm);
    if (outcome !== WAIT) {
      this.#suspects.countConvicted(packet, 4 - initiator);
      return outcome;
    }
    return this.#decideByCalls(direction, packet, 4 - initiator, isEnoughInSwarm);
  }

  /** By itself, or beside what its initiator did. */
  #decideAlone(
    direction: number,
    packet: Packet,
    initiator: number,
    isEnoughInSwarm: boolean,
  ): Outcome {
    const flow = this.#flow;
    const bits = this.#bits;
    if (isEnough(bits, flow, "nothing")) return this.#finding.setOf(initiator, LENGTHS, packet);
    if (!this.#senders.isReal(direction, packet, initiator)) return WAIT;
    const outcome = this.#decideByInitiator(packet, initiator, bits, isEnoughInSwarm);
    if (outcome !== WAIT) return outcome;
    const hasKin = isEnoughOfKin(this.#kinBits, flow, this.#blocks) &&
      this.#suspects.hasKin(packet, initiator, lacksHandshake(flow, this.#blocks));
    return hasKin ? this.#finding.setOf(initiator, FAN_OUT, packet) : WAIT;
  }

  /** Beside what the initiator, which is real, did and was told. */
  #decideByInitiator(
    packet: Packet,
    initiator: number,
    bits: number,
    isEnoughInSwarm: boolean,
  ): Outcome {
    const { address, timeMs } = packet;
    const evidence = this.#evidence;
    if (isEnough(bits, this.#flow, "host") && evidence.isProven(address, initiator, timeMs)) {
      return this.#finding.setOf(initiator, OF_HOST, packet);
    }
    if (
      (isEnough(bits, this.#flow, "several") &&
        evidence.hasFanOut(address, initiator, timeMs, BY_OPENING)) ||
      (isEnough(bits, this.#flow, "pair") && evidence.hasPair(address, initiator, timeMs)) ||
      (isEnoughInSwarm && evidence.hasSwarm(address, initiator, timeMs))
    ) return this.#finding.setOf(initiator, FAN_OUT, packet);
    if (isEnough(bits, this.#flow, "named") && this.#suspects.isNamed(packet, initiator)) {
      return this.#finding.setOf(initiator, NAMED, packet);
    }
    return WAIT;
  }

  /** Beside the calls of the responder's port; they tell of the responder alone, where it is real. */
  #decideByCalls(
    direction: number,
    packet: Packet,
    responder: number,
    isEnoughInSwarm: boolean,
  ): Outcome {
    const flow = this.#flow;
    const isEnoughAtPort = isEnough(this.#bits, flow, "torrent port");
    if (flow.targetPort !== 0 || !(isEnoughInSwarm || isEnoughAtPort)) return WAIT;
    if (!this.#senders.isReal(direction, packet, responder)) return WAIT;
    const { address, timeMs } = packet;
    const port = responder === SOURCE ? packet.sourcePort : packet.destinationPort;
    const isCalled =
      (isEnoughInSwarm && this.#evidence.isCalled(address, responder, port, timeMs)) ||
      (isEnoughAtPort && this.#evidence.isTorrentPort(address, responder, port, timeMs));
    return isCalled ? this.#finding.setOf(responder, CALLED, packet) : WAIT;
  }

  /**
   * Of several peers called at once the foremost is some milliseconds ahead of the others, and four blocks
   * take less: what of its host's other flows would decide is not there yet. So its data is held back until
   * TCP sends it again, when the others have spoken. Whoever is held for nothing has lost that.
   *
   * @param newBytes none where it was sent again; where there are some, {@link decide} was asked
   */
  holdBack(direction: number, packet: Packet, newBytes: number): Outcome {
    const flow = this.#flow;
    if (!flow.hasLength(DATA_SEEN) || flow.has(MID_STREAM)) return WAIT;
    if (packet.payloadLength < FULL_SEGMENT) return WAIT;
    const tick = tickOf(packet.timeMs);
    if (newBytes > 0) {
      if (flow.heldUntil === 0 && this.#mayBeForemost(direction, packet)) {
        flow.heldUntil = (tick + HOLD_TICKS) | 0 || 1;
      }
    } else if (flow.heldUntil !== 0) {
      const outcome = this.decide(direction, packet);
      if (outcome !== WAIT) return outcome;
    }
    return flow.heldUntil !== 0 && ((tick - flow.heldUntil) | 0) < 0 ? HOLD : WAIT;
  }

  /**
   * Whether the flow, with its first data, lacks no more than what others of its initiator's may add. What is
   * enough beside several is so rare that they need not be known: on a busy machine their first packets wait
   * for another worker. Else it would be enough of kin, and they are several, or a proxy has led to this one
   * before it was asked for the others; or it has told of extensions right before what another was told, or
   * both say alike behind a handshake by itself, what another was told too.
   */
  #mayBeForemost(direction: number, packet: Packet): boolean {
    const flow = this.#flow;
    if (flow.allBytes - packet.payloadLength > MOST_UNHELD) return false;
    const initiator = direction === 0 ? SOURCE : DESTINATION;
    if (!this.#senders.isReal(direction, packet, initiator)) return false;
    if (this.#isNear()) return true;
    const { address, timeMs } = packet;
    if (isEnoughOfKin(this.#kinBits, flow, this.#blocks)) {
      return flow.targetPort !== 0 || this.#evidence.hasSeveral(address, initiator, timeMs);
    }
    // One that says no less than it is told lacks that it is longer; another of the kin may have it.
    if (
      flow.has(FIFTH | THIRD_APART) && isAlike(flow) &&
      this.#suspects.wasToldAlike(packet, initiator)
    ) return true;
    const mayHaveTold = flow.toldBack !== 0 && flow.toldBack <= LONGEST_TOLD_BACK;
    if (
      mayHaveTold && flow.turn === TURN_OF_FIRST_DATA &&
      this.#suspects.hasToldAlike(packet, initiator)
    ) return true;
    return this.#mayHideBeginning(packet, initiator);
  }

  /**
   * Whether one of several shows no beginning and what may follow one: `unchoke` with what is allowed fast and
   * a header, or something as short beside what another was told too. BiglyBT cuts one beginning in eight in
   * too few pieces to be seen.
   */
  #mayHideBeginning(packet: Packet, initiator: number): boolean {
    const { lengths } = this.#flow;
    if (!isBare(lengths)) return false;
    if (!this.#evidence.hasSeveral(packet.address, initiator, packet.timeMs)) return false;
    return (lengths & GRANTED_AND_HEADED) === GRANTED_AND_HEADED ||
      this.#suspects.wasToldAlike(packet, initiator);
  }

  /** Whether what the flow shows by itself is enough once others of its initiator's have shown what they may. */
  #isNear(): boolean {
    const flow = this.#flow;
    const bits = this.#bits;
    return isEnough(bits, flow, "several") || isEnough(bits, flow, "pair") ||
      isEnough(bits, flow, "swarm");
  }
}
