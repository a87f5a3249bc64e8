import type { Packet } from "../packet/packet.ts";
import { isMatch } from "../protocols/match.ts";
import type { EncryptedFlows } from "./encrypted_flows.ts";
import { CHAIN_USED, type FlowRecord, HTTP, MEASURING, MID_STREAM } from "./flow_record.ts";
import { HIDDEN_HANDSHAKE, readsHandshake } from "./handshake_readings.ts";
import type { MessageChains } from "./message_chain.ts";
import { FOUND, type FoundMatch, type Outcome, RELEASE, WAIT } from "./outcome.ts";
import { isTcpSpent } from "./release.ts";
import type { StreamOpenings } from "./stream_openings.ts";
import {
  advance,
  mayHaveOvertaken,
  noteSender,
  offsetOf,
  payloadSequence,
  setBeginning,
} from "./stream_space.ts";

/**
 * Follows one TCP flow from packet to packet: finds a payload's place in its stream, shows it to what
 * asks the detectors about openings, and what none of them knows to the tests for encrypted and for
 * older flows.
 */
export class TcpInspector {
  readonly #flow: FlowRecord;
  readonly #openings: StreamOpenings;
  readonly #chains: MessageChains;
  readonly #encrypted: EncryptedFlows;
  readonly #finding: FoundMatch;

  constructor(
    flow: FlowRecord,
    openings: StreamOpenings,
    chains: MessageChains,
    encrypted: EncryptedFlows,
    finding: FoundMatch,
  ) {
    this.#flow = flow;
    this.#openings = openings;
    this.#chains = chains;
    this.#encrypted = encrypted;
    this.#finding = finding;
  }

  /** Frees what a flow holds outside the table. */
  release(slot: number): void {
    if (this.#flow.select(slot).isTcp) this.#openings.release();
  }

  /** Judges a packet with payload. */
  inspect(slot: number, direction: number, packet: Packet): Outcome {
    const flow = this.#flow;
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    const sequence = payloadSequence(packet);
    let offset = offsetOf(flow, direction, sequence);
    if (offset !== 0 && flow.packets(direction) === 0) {
      if (this.#isProbe(packet, offset)) return WAIT;
      offset = this.#placeFirst(direction, packet, sequence, offset);
    }
    let newBytes = advance(flow, direction, (sequence + payloadLength) | 0);
    flow.count(direction, payloadLength);
    noteSender(flow, direction, packet);

    if (flow.has(MID_STREAM)) {
      if (this.#followChain(slot, direction, packet, sequence) === FOUND) return FOUND;
    }
    const outcome = this.#openings.inspect(direction, packet, sequence, offset);
    if (outcome === FOUND) return FOUND;
    if (newBytes > 0) this.#openings.endAnsweredLine(direction, packet);
    if (offset <= 0 && flow.packets(direction) > 1 && this.#beginsAnew(direction, packet)) {
      flow.setPeeled(direction, 0);
      setBeginning(flow, direction, sequence);
      newBytes = advance(flow, direction, (sequence + payloadLength) | 0);
    }
    const place = (offset - flow.peeled(direction)) | 0;
    if (
      !flow.has(MID_STREAM) &&
      readsHandshake(flow, direction, bytes, payloadStart, payloadEnd, place)
    ) {
      return this.#openings.found(direction, HIDDEN_HANDSHAKE, bytes, payloadStart, payloadEnd);
    }
    const seen = this.#encrypted.observe(direction, packet, newBytes);
    if (seen !== WAIT) return seen;
    if (flow.has(MEASURING * 3) && this.#encrypted.isRuledOut()) this.#openings.endMeasuring();
    if (!isTcpSpent(flow, direction, this.#encrypted.isPending())) return WAIT;
    this.#encrypted.letGo(direction, packet);
    return RELEASE;
  }

  /**
   * Whether a segment before the first is a keep-alive probe: some systems send a byte of garbage in the
   * place before the next one (RFC 9293, section 3.8.4), on a connection where nothing was said yet that of
   * the SYN. Where it may begin something, the SYN was a decoy.
   */
  #isProbe(packet: Packet, offset: number): boolean {
    return offset === -1 && packet.payloadLength === 1 && !this.#flow.has(MID_STREAM) &&
      this.#openings.answerTo(packet) === null;
  }

  /**
   * The first payload of a direction, but not where its SYN says the stream begins. Either an earlier
   * segment comes later, or the SYN seen last was a decoy: too far away, or a find by itself, it is
   * the beginning. Returns the offset from there.
   */
  #placeFirst(direction: number, packet: Packet, sequence: number, offset: number): number {
    const flow = this.#flow;
    if (flow.has(MID_STREAM)) return offset;
    if (mayHaveOvertaken(offset) && !isMatch(this.#openings.answerTo(packet))) return offset;
    setBeginning(flow, direction, sequence);
    flow.setReadings(direction, 0); // what stood elsewhere, perhaps another's
    return 0;
  }

  /** A flow older than the blocker: a chain of peer-wire messages anywhere in it. */
  #followChain(
    slot: number,
    direction: number,
    packet: Packet,
    sequence: number,
  ): Outcome {
    const flow = this.#flow;
    if (!flow.has(CHAIN_USED)) {
      flow.raise(CHAIN_USED);
      this.#chains.reset(slot);
    }
    const { bytes, payloadStart, payloadEnd } = packet;
    const match = this.#chains.observe(
      slot,
      direction as 0 | 1,
      sequence,
      bytes,
      payloadStart,
      payloadEnd,
    );
    if (match === null || match.strength === "hint") return WAIT;
    return this.#finding.set(match, bytes, payloadStart, payloadEnd);
  }

  /**
   * Whether the packet just inspected, and all that the flow has said, is one whole request of HTTP, so
   * that only the answer to it is missing: no more is to be known of an encrypted stream, or a proxy's.
   */
  hasAskedOnce(direction: number): boolean {
    const flow = this.#flow;
    if (direction !== 0 || flow.packets(0) !== 1 || flow.packets(1) !== 0) return false;
    if (flow.has(MID_STREAM) || !this.#encrypted.isRuledOut()) return false;
    return this.#openings.hasAsked();
  }

  /** Whether a copy of the beginning may be a key where a decoy was judged. */
  #beginsAnew(direction: number, packet: Packet): boolean {
    const flow = this.#flow;
    if (flow.has(MID_STREAM) || !this.#encrypted.beginAnew(direction, packet)) return false;
    flow.lower(HTTP << direction);
    this.#openings.setJudged(direction);
    return true;
  }
}
