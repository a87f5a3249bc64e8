import type { Packet } from "../packet/packet.ts";
import { match } from "../protocols/match.ts";
import type { BlockRhythm } from "./block_rhythm.ts";
import { DATA_SEEN, type FlowRecord, MID_STREAM } from "./flow_record.ts";
import { TICK_MS, tickOf } from "./flow_table.ts";
import { BY_OPENING, type HostEvidence } from "./host_evidence.ts";
import {
  bitsOf,
  isAskedAndGranted,
  isEnough,
  isEnoughOfKin,
  kinBitsOf,
  lacksHandshake,
  LEAST,
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

/** How long first data is held back, and what of it has passed at most when that begins: a block. */
const HOLD_MS = 500;
const MOST_UNHELD = 24_576;
/** A segment that carries data: a path's full one, or several joined. */
const LEAST_OF_DATA = 1200;

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
    const { blocks, chunks, isAmongFirst } = this.#blocks;
    const bits = bitsOf(this.#flow, blocks, chunks, isAmongFirst);
    const isGranted = isAskedAndGranted(this.#flow.lengths);
    const kinBits = kinBitsOf(this.#flow, blocks, chunks, isAmongFirst);
    if (bits < LEAST && kinBits < LEAST && !isGranted) return WAIT;
    const initiator = direction === 0 ? SOURCE : DESTINATION;
    if (isEnough(bits, this.#flow, "nothing")) {
      return this.#finding.setOf(initiator, LENGTHS, packet);
    }
    const isEnoughInSwarm = isGranted || isEnough(bits, this.#flow, "swarm");
    if (this.#senders.isReal(direction, packet, initiator)) {
      const outcome = this.#decideByInitiator(packet, initiator, bits, isEnoughInSwarm);
      if (outcome !== WAIT) return outcome;
      const hasKin = isEnoughOfKin(kinBits, this.#flow) &&
        this.#suspects.hasKin(packet, initiator, lacksHandshake(this.#flow, blocks));
      if (hasKin) return this.#finding.setOf(initiator, FAN_OUT, packet);
    }
    return isEnoughInSwarm ? this.#decideByCalls(direction, packet, 4 - initiator) : WAIT;
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
  #decideByCalls(direction: number, packet: Packet, responder: number): Outcome {
    if (this.#flow.targetPort !== 0) return WAIT;
    if (!this.#senders.isReal(direction, packet, responder)) return WAIT;
    const { address, timeMs } = packet;
    const port = responder === SOURCE ? packet.sourcePort : packet.destinationPort;
    return this.#evidence.isCalled(address, responder, port, timeMs)
      ? this.#finding.setOf(responder, CALLED, packet)
      : WAIT;
  }

  /**
   * Of several peers called at once the foremost is some milliseconds ahead of the others, and four blocks
   * take less: what of its host's other flows would decide is not there yet. So its data is held back for
   * half a second; TCP sends it again after 200 ms and more. Whoever is held for nothing has lost that.
   *
   * @param newBytes none where it was sent again, and the others may have spoken since
   */
  holdBack(direction: number, packet: Packet, newBytes: number): Outcome {
    const flow = this.#flow;
    if (!flow.hasLength(DATA_SEEN) || flow.has(MID_STREAM)) return WAIT;
    if (packet.payloadLength < LEAST_OF_DATA) return WAIT;
    const tick = tickOf(packet.timeMs);
    if (flow.heldUntil === 0) {
      if (!this.#mayBeForemost(direction, packet)) return WAIT;
      flow.heldUntil = (tick + HOLD_MS / TICK_MS) | 1;
    }
    if (((tick - flow.heldUntil) | 0) >= 0) return WAIT;
    const outcome = newBytes > 0 ? WAIT : this.decide(direction, packet);
    return outcome === WAIT ? HOLD : outcome;
  }

  /**
   * Whether the flow, with its first data, lacks no more than what others of its initiator's may add: they
   * are several, and it, or one of them, has shown a handshake, and it more; or it may have told of
   * extensions right before, and two of them have shown a handshake behind paddings.
   */
  #mayBeForemost(direction: number, packet: Packet): boolean {
    const flow = this.#flow;
    if (flow.allBytes - packet.payloadLength > MOST_UNHELD) return false;
    const { blocks, chunks, isAmongFirst } = this.#blocks;
    const initiator = direction === 0 ? SOURCE : DESTINATION;
    if (!this.#senders.isReal(direction, packet, initiator)) return false;
    const isNear = bitsOf(flow, blocks, chunks, isAmongFirst) >= LEAST ||
      isEnoughOfKin(kinBitsOf(flow, blocks, chunks, isAmongFirst), flow);
    const { address, timeMs } = packet;
    if (isNear) {
      const handshakes = lacksHandshake(flow, blocks) ? 1 : 0;
      return this.#evidence.hasSeveral(address, initiator, timeMs, handshakes);
    }
    const mayHaveTold = flow.toldBack !== 0 && flow.toldBack <= LONGEST_TOLD_BACK;
    return mayHaveTold && flow.turn === TURN_OF_FIRST_DATA &&
      this.#evidence.hasPair(address, initiator, timeMs);
  }
}
