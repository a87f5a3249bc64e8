import type { Packet } from "../packet/packet.ts";
import { isMatch, type Match, NEED_MORE } from "../protocols/match.ts";
import { detectCutRequest } from "../protocols/http_tracker/detect_cut.ts";
import { kindRow } from "../protocols/methods.ts";
import { negotiationLength, targetPort } from "../protocols/socks/negotiation.ts";
import { detectWebsocketFrame } from "../protocols/websocket_tracker/detect.ts";
import type { EncryptedFlows } from "./encrypted_flows.ts";
import {
  ASKED,
  CHAIN_USED,
  type FlowRecord,
  HTTP,
  MEASURING,
  MID_STREAM,
  OPENING_JUDGED,
} from "./flow_record.ts";
import { HIDDEN_HANDSHAKE, readsHandshake } from "./handshake_readings.ts";
import type { MessageChains } from "./message_chain.ts";
import { type Finding, FOUND, type Outcome, RELEASE, WAIT } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { PREFIX_LENGTH, type PrefixPool } from "./prefix_pool.ts";
import { isTcpSpent } from "./release.ts";
import { SOURCE_END } from "./sender.ts";
import {
  advance,
  mayHaveOvertaken,
  noteSender,
  offsetOf,
  payloadSequence,
  setBeginning,
} from "./stream_space.ts";
import { isHttpLike, isLetter, judgeOpening } from "./tcp_opening.ts";

/** Letters and the first byte of a peer-wire handshake begin what has a detector of its own. */
const PEER_WIRE_FIRST = 19;

/**
 * Follows one TCP flow from packet to packet: puts the beginning of each direction in order, peels
 * proxy negotiations off, asks the detectors about what begins there, and hands what none of them
 * knows to the tests for encrypted and for older flows.
 */
export class TcpInspector {
  readonly #flow: FlowRecord;
  readonly #prefixes: PrefixPool;
  readonly #chains: MessageChains;
  readonly #encrypted: EncryptedFlows;
  readonly #finding: Finding;
  #policy: EnginePolicy;
  /** Whether the end of the packet's payload was not recorded. */
  #isCut = false;

  constructor(
    flow: FlowRecord,
    prefixes: PrefixPool,
    chains: MessageChains,
    encrypted: EncryptedFlows,
    finding: Finding,
    policy: EnginePolicy,
  ) {
    this.#flow = flow;
    this.#prefixes = prefixes;
    this.#chains = chains;
    this.#encrypted = encrypted;
    this.#finding = finding;
    this.#policy = policy;
  }

  setPolicy(policy: EnginePolicy): void {
    this.#policy = policy;
  }

  /** Frees what a flow holds outside the table. */
  release(slot: number): void {
    const flow = this.#flow.select(slot);
    this.#prefixes.release(flow.words, flow.prefixAt(0));
    this.#prefixes.release(flow.words, flow.prefixAt(1));
  }

  /** Judges a packet with payload. */
  inspect(slot: number, direction: number, packet: Packet): Outcome {
    const flow = this.#flow;
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    this.#isCut = payloadLength > payloadEnd - payloadStart;
    const sequence = payloadSequence(packet);
    let offset = offsetOf(flow, direction, sequence);
    if (offset !== 0 && flow.packets(direction) === 0) {
      offset = this.#placeFirst(direction, packet, sequence, offset);
    }
    let isNew = advance(flow, direction, (sequence + payloadLength) | 0);
    flow.count(direction, payloadLength);
    noteSender(flow, direction, packet);

    if (flow.has(MID_STREAM)) {
      if (this.#followChain(slot, direction, packet, sequence) === FOUND) return FOUND;
    }
    let outcome: Outcome = WAIT;
    if (!flow.has(OPENING_JUDGED << direction)) {
      outcome = this.#inspectOpening(direction, packet, offset);
    } else if (flow.has(HTTP << direction)) {
      outcome = this.#inspectHttp(direction, packet, sequence);
    } else if (offset <= 0 && !flow.has(MID_STREAM)) {
      outcome = this.#inspectCopy(direction, packet, sequence);
    }
    if (outcome === FOUND) return FOUND;
    if (offset <= 0 && flow.packets(direction) > 1 && this.#beginsAnew(direction, packet)) {
      flow.setPeeled(direction, 0);
      setBeginning(flow, direction, sequence);
      isNew = advance(flow, direction, (sequence + payloadLength) | 0);
    }
    const place = (offset - flow.peeled(direction)) | 0;
    if (readsHandshake(flow, direction, bytes, payloadStart, payloadEnd, place)) {
      return this.#finding.set(HIDDEN_HANDSHAKE, bytes, payloadStart, payloadEnd);
    }
    if (this.#encrypted.observe(direction, packet, isNew) === FOUND) return FOUND;
    if (flow.has(MEASURING * 3) && this.#encrypted.isRuledOut()) {
      if (flow.has(MEASURING)) this.#setJudged(0);
      if (flow.has(MEASURING << 1)) this.#setJudged(1);
    }
    if (!isTcpSpent(flow, direction, this.#encrypted.isPending())) return WAIT;
    this.#encrypted.letGo(direction, packet);
    return RELEASE;
  }

  /**
   * The first payload of a direction, but not where its SYN says the stream begins. Either an earlier
   * segment comes later, or the SYN seen last was a decoy: too far away, or a find by itself, it is
   * the beginning. Returns the offset from there.
   */
  #placeFirst(direction: number, packet: Packet, sequence: number, offset: number): number {
    const flow = this.#flow;
    if (flow.has(MID_STREAM)) return offset;
    const { bytes, payloadStart, payloadEnd } = packet;
    if (
      mayHaveOvertaken(offset) &&
      !isMatch(judgeOpening(bytes, payloadStart, payloadEnd, false, false))
    ) return offset;
    setBeginning(flow, direction, sequence);
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

  /** The stream's first bytes, from the packet itself or put in order in a prefix buffer. */
  #inspectOpening(
    direction: number,
    packet: Packet,
    offset: number,
  ): Outcome {
    const flow = this.#flow;
    const { words } = flow;
    const prefixAt = flow.prefixAt(direction);
    if (words[prefixAt] === 0 && offset === 0) {
      const { bytes, payloadStart, payloadEnd } = packet;
      const outcome = this.#judge(direction, bytes, payloadStart, payloadEnd);
      if (outcome !== WAIT || this.#isJudged(direction)) return outcome;
      const index = this.#prefixes.take(words, prefixAt);
      this.#prefixes.write(index, 0, bytes, payloadStart, payloadEnd);
      return WAIT;
    }
    if (offset < 0) {
      // Sent again from before the base (a keep-alive probe); nothing of the opening's is in it
      // unless it reaches over.
      if (offset + packet.payloadEnd - packet.payloadStart <= 0) return WAIT;
    }
    if (offset >= PREFIX_LENGTH) return WAIT;
    const index = words[prefixAt] === 0
      ? this.#prefixes.take(words, prefixAt)
      : words[prefixAt] - 1;
    const from = offset < 0 ? packet.payloadStart - offset : packet.payloadStart;
    const grew = this.#prefixes.write(
      index,
      Math.max(offset, 0),
      packet.bytes,
      from,
      packet.payloadEnd,
    );
    if (!grew) return WAIT;
    const start = this.#prefixes.start(index);
    const end = start + this.#prefixes.length(index);
    return this.#judge(direction, this.#prefixes.bytes, start, end);
  }

  /**
   * The stream's beginning once more, after it was judged: what it says now may be what arrives, and
   * the copy that was judged a decoy that does not.
   */
  #inspectCopy(direction: number, packet: Packet, sequence: number): Outcome {
    const { bytes, payloadStart, payloadEnd } = packet;
    const { blockSocks, blockMentions } = this.#policy;
    const answer = judgeOpening(bytes, payloadStart, payloadEnd, blockSocks, blockMentions);
    if (isMatch(answer)) {
      if (answer.strength === "hint") return WAIT;
      return this.#found(direction, answer, bytes, payloadStart, payloadEnd);
    }
    if (answer === NEED_MORE) {
      this.#flow.setBase(direction, sequence);
      this.#reopen(direction, packet);
    }
    return WAIT;
  }

  /** Whether a copy of the beginning may be a key where a decoy was judged. */
  #beginsAnew(direction: number, packet: Packet): boolean {
    const flow = this.#flow;
    if (flow.has(MID_STREAM) || !this.#encrypted.beginAnew(direction, packet)) return false;
    flow.lower(HTTP << direction);
    this.#setJudged(direction);
    return true;
  }

  /** The opening is judged anew, beginning with this packet. */
  #reopen(direction: number, packet: Packet): void {
    const flow = this.#flow;
    flow.setPeeled(direction, 0);
    flow.setReadings(direction, 0);
    flow.lower(OPENING_JUDGED << direction);
    const index = this.#prefixes.take(flow.words, flow.prefixAt(direction));
    this.#prefixes.write(index, 0, packet.bytes, packet.payloadStart, packet.payloadEnd);
  }

  #isJudged(direction: number): boolean {
    return this.#flow.has(OPENING_JUDGED << direction);
  }

  /** Asks the detectors about `[start, end)`, the stream from its beginning. */
  #judge(
    direction: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Outcome {
    const flow = this.#flow;
    let from = start + flow.peeled(direction);
    // A proxy's negotiation may be followed by another (a chain of proxies): bounded by progress.
    let negotiation = negotiationLength(bytes, from, end, direction === 0);
    while (negotiation > 0) {
      if (direction === 0) flow.targetPort = targetPort(bytes, from, from + negotiation);
      from = Math.min(from + negotiation, end);
      negotiation = negotiationLength(bytes, from, end, direction === 0);
    }
    if (flow.peeled(direction) !== from - start) {
      flow.setPeeled(direction, from - start);
      flow.setReadings(direction, 0); // what was peeled off is no beginning
    }
    const { blockSocks, blockMentions } = this.#policy;
    // BLOCK_SOCKS judges the negotiation itself, everything else what comes behind it.
    if (blockSocks && from > start) {
      const socks = judgeOpening(bytes, start, end, true, false);
      if (isMatch(socks) && socks.strength !== "hint") {
        return this.#finding.set(socks, bytes, start, end);
      }
    }
    if (negotiation < 0) return this.#wantsMore(direction, from - start);
    const answer = judgeOpening(bytes, from, end, blockSocks, blockMentions);
    if (answer === NEED_MORE) {
      const cut = this.#isCut ? detectCutRequest(bytes, from, end) : null;
      if (cut !== null) return this.#found(direction, cut, bytes, from, end);
      return this.#wantsMore(direction, from - start);
    }
    if (isMatch(answer) && answer.strength !== "hint") {
      return this.#found(direction, answer, bytes, from, end);
    }
    if (this.#encrypted.wantsOpening(direction, bytes, from, end)) {
      flow.raise(MEASURING << direction);
      return WAIT;
    }
    if (isHttpLike(bytes, from, end)) flow.raise(HTTP << direction);
    this.#setJudged(direction);
    return WAIT;
  }

  /** A find in a stream; of a tracker's answer only who has asked in this flow is the one who torrents. */
  #found(
    direction: number,
    match: Match,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Outcome {
    const isUnasked = kindRow(match).doer === "asker" && !this.#flow.has(ASKED << (1 - direction));
    return this.#finding.set(match, bytes, start, end, isUnasked ? SOURCE_END : 0);
  }

  #setJudged(direction: number): void {
    const flow = this.#flow;
    flow.raise(OPENING_JUDGED << direction);
    flow.lower(MEASURING << direction);
    this.#prefixes.release(flow.words, flow.prefixAt(direction));
  }

  /** Waits for more of an opening, but not beyond what a prefix holds. */
  #wantsMore(direction: number, peeled: number): Outcome {
    const flow = this.#flow;
    flow.setPeeled(direction, peeled);
    const index = flow.prefix(direction);
    if (index >= 0 && this.#prefixes.length(index) >= PREFIX_LENGTH) {
      this.#setJudged(direction);
    }
    return WAIT;
  }

  /**
   * A later message on a connection that speaks HTTP: a tracker asked over a kept-alive connection
   * or through a proxy, a WebSocket frame after the upgrade. It begins with a segment; one that is
   * cut makes this the beginning of a new opening.
   */
  #inspectHttp(direction: number, packet: Packet, sequence: number): Outcome {
    const { bytes, payloadStart, payloadEnd } = packet;
    if (payloadStart >= payloadEnd) return WAIT;
    const first = bytes[payloadStart];
    if (first !== PEER_WIRE_FIRST && !isLetter(first)) {
      const frame = detectWebsocketFrame(bytes, payloadStart, payloadEnd);
      if (!isMatch(frame) || frame.strength === "hint") return WAIT;
      return this.#finding.set(frame, bytes, payloadStart, payloadEnd);
    }
    const answer = judgeOpening(
      bytes,
      payloadStart,
      payloadEnd,
      false,
      this.#policy.blockMentions,
    );
    if (answer === null) return WAIT;
    if (isMatch(answer)) {
      if (answer.strength === "hint") return WAIT;
      return this.#found(direction, answer, bytes, payloadStart, payloadEnd);
    }
    const cut = this.#isCut ? detectCutRequest(bytes, payloadStart, payloadEnd) : null;
    if (cut !== null) return this.#found(direction, cut, bytes, payloadStart, payloadEnd);
    this.#flow.setBase(direction, sequence);
    this.#reopen(direction, packet);
    return WAIT;
  }
}
