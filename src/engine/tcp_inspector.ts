import { ACK, type Packet, SYN } from "../packet/packet.ts";
import { isMatch, NEED_MORE } from "../protocols/match.ts";
import { negotiationLength } from "../protocols/socks/negotiation.ts";
import { detectWebsocketFrame } from "../protocols/websocket_tracker/detect.ts";
import type { EncryptedFlows } from "./encrypted_flows.ts";
import {
  BASE,
  BYTES,
  FLAGS,
  type FlowTable,
  NEXT,
  PACKETS,
  PEELED,
  PREFIX,
  READINGS,
} from "./flow_table.ts";
import { HIDDEN_HANDSHAKE, readsHandshake } from "./handshake_readings.ts";
import type { MessageChains } from "./message_chain.ts";
import { type Finding, FOUND, type Outcome, RELEASE, WAIT } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { PREFIX_LENGTH, type PrefixPool } from "./prefix_pool.ts";
import { isHttpLike, isLetter, judgeOpening } from "./tcp_opening.ts";

/** Payload packets, and bytes, of one direction that are looked at before the flow is released. */
const MAX_PACKETS = 8;
const MAX_BYTES = 4096;
/**
 * The same while the other side is silent: what one side sends may be decoys that die on the way
 * (low TTL, wrong checksum), and an answer is what no decoy can prevent.
 */
const MAX_PACKETS_UNANSWERED = 64;
const MAX_BYTES_UNANSWERED = 65_536;
/** The same for a flow joined in the middle, where the next message may be a 16 KiB piece away. */
const MAX_BYTES_MID_STREAM = 65_536;

/** Flags of a TCP flow, bit `<< direction` where both directions have one. */
const BASE_KNOWN = 0x0010;
const OPENING_JUDGED = 0x0040;
const HTTP = 0x0100;
/** A packet of this direction was seen, so its sequence numbers are known and not concluded. */
const SEEN = 0x10000;
const CHAIN_USED = 0x0400;
/** The first packet seen was not a SYN: the flow is older than the blocker. */
const MID_STREAM = 0x0800;
/**
 * Payload that acknowledges what the other end sent: both ends are real. Who forges a source address
 * does not see the answer and so cannot acknowledge it; a SYN-ACK alone also answers a forged SYN.
 */
export const ESTABLISHED = 0x1000;

/** Only the test for randomness waits for more of the opening. */
const MEASURING = 0x2000;

/** Bytes by which a segment may have overtaken the first one of its stream. */
const MAX_OVERTAKEN = 65_536;

/** Letters and the first byte of a peer-wire handshake begin what has a detector of its own. */
const PEER_WIRE_FIRST = 19;

/**
 * Follows one TCP flow from packet to packet: puts the beginning of each direction in order, peels
 * proxy negotiations off, asks the detectors about what begins there, and hands what none of them
 * knows to the tests for encrypted and for older flows.
 */
export class TcpInspector {
  readonly #table: FlowTable;
  readonly #prefixes: PrefixPool;
  readonly #chains: MessageChains;
  readonly #encrypted: EncryptedFlows;
  readonly #finding: Finding;
  #policy: EnginePolicy;

  constructor(
    table: FlowTable,
    prefixes: PrefixPool,
    chains: MessageChains,
    encrypted: EncryptedFlows,
    finding: Finding,
    policy: EnginePolicy,
  ) {
    this.#table = table;
    this.#prefixes = prefixes;
    this.#chains = chains;
    this.#encrypted = encrypted;
    this.#finding = finding;
    this.#policy = policy;
  }

  setPolicy(policy: EnginePolicy): void {
    this.#policy = policy;
  }

  /**
   * Notes where the streams begin (RFC 9293, section 3.4). Each end speaks for its own stream: what it
   * says of the other's is believed only while the other has not said it, so that none can hide both.
   */
  noteSyn(slot: number, direction: number, packet: Packet, isAnswer: boolean): void {
    const words = this.#table.words;
    const at = this.#table.at(slot);
    words[at + BASE + direction] = (packet.sequence + 1) | 0;
    words[at + NEXT + direction] = (packet.sequence + 1) | 0;
    words[at + FLAGS] |= (BASE_KNOWN | SEEN) << direction;
    const other = 1 - direction;
    if (!isAnswer || (words[at + FLAGS] & (BASE_KNOWN << other)) !== 0) return;
    words[at + BASE + other] = packet.acknowledgement;
    words[at + NEXT + other] = packet.acknowledgement;
    words[at + FLAGS] |= BASE_KNOWN << other;
  }

  /** Whether the packet's acknowledgement number is within what the `other` side has sent. */
  #acknowledges(at: number, other: number, packet: Packet): boolean {
    const words = this.#table.words;
    const acknowledged = (packet.acknowledgement - words[at + BASE + other]) | 0;
    const sent = (words[at + NEXT + other] - words[at + BASE + other]) | 0;
    return (packet.flags & ACK) !== 0 && acknowledged >= 0 && acknowledged <= sent;
  }

  /** Frees what a flow holds outside the table. */
  release(slot: number): void {
    const words = this.#table.words;
    const at = this.#table.at(slot);
    this.#prefixes.release(words, at + PREFIX);
    this.#prefixes.release(words, at + PREFIX + 1);
  }

  /** Judges a packet with payload. */
  inspect(slot: number, direction: number, packet: Packet): Outcome {
    const words = this.#table.words;
    const at = this.#table.at(slot);
    const sequence = (packet.flags & SYN) !== 0 ? (packet.sequence + 1) | 0 : packet.sequence;
    const length = packet.payloadLength;
    if ((words[at + FLAGS] & (BASE_KNOWN << direction)) === 0) {
      if ((words[at + FLAGS] & (BASE_KNOWN << (1 - direction))) === 0) {
        words[at + FLAGS] |= MID_STREAM;
      }
      words[at + FLAGS] |= BASE_KNOWN << direction;
      words[at + BASE + direction] = sequence;
      words[at + NEXT + direction] = sequence;
    }
    let offset = (sequence - words[at + BASE + direction]) | 0;
    if (offset !== 0 && words[at + PACKETS + direction] === 0) {
      offset = this.#placeFirst(at, direction, packet, sequence, offset);
    }
    const end = (sequence + length) | 0;
    const isNew = ((end - words[at + NEXT + direction]) | 0) > 0;
    if (isNew) words[at + NEXT + direction] = end;
    words[at + PACKETS + direction]++;
    words[at + BYTES + direction] = Math.min(words[at + BYTES + direction] + length, 0x0fff_ffff);
    words[at + FLAGS] |= SEEN << direction;
    const other = 1 - direction;
    if ((words[at + FLAGS] & (SEEN << other)) !== 0 && this.#acknowledges(at, other, packet)) {
      words[at + FLAGS] |= ESTABLISHED;
    }

    if ((words[at + FLAGS] & MID_STREAM) !== 0) {
      if (this.#followChain(slot, at, direction, packet, sequence) === FOUND) return FOUND;
    }
    let outcome: Outcome = WAIT;
    if ((words[at + FLAGS] & (OPENING_JUDGED << direction)) === 0) {
      outcome = this.#inspectOpening(slot, at, direction, packet, offset);
    } else if ((words[at + FLAGS] & (HTTP << direction)) !== 0) {
      outcome = this.#inspectHttp(at, direction, packet, sequence);
    } else if (offset <= 0 && (words[at + FLAGS] & MID_STREAM) === 0) {
      outcome = this.#inspectCopy(at, direction, packet, sequence);
    }
    if (outcome === FOUND) return FOUND;
    const { bytes, payloadStart, payloadEnd } = packet;
    const place = (offset - words[at + PEELED + direction]) | 0;
    if (readsHandshake(words, at, direction, bytes, payloadStart, payloadEnd, place)) {
      return this.#finding.set(HIDDEN_HANDSHAKE, bytes, payloadStart, payloadEnd);
    }
    if (this.#encrypted.observe(slot, direction, packet, isNew, this.#isMidStream(at)) === FOUND) {
      return FOUND;
    }
    if ((words[at + FLAGS] & (MEASURING * 3)) !== 0 && this.#encrypted.isRuledOut(slot)) {
      if ((words[at + FLAGS] & MEASURING) !== 0) this.#setJudged(at, 0);
      if ((words[at + FLAGS] & (MEASURING << 1)) !== 0) this.#setJudged(at, 1);
    }
    return this.#isFinished(slot, at, direction) ? RELEASE : WAIT;
  }

  /**
   * The first payload of a direction, but not where its SYN says the stream begins. Either an earlier
   * segment comes later, or the SYN seen last was a decoy: too far away, or a find by itself, it is
   * the beginning. Returns the offset from there.
   */
  #placeFirst(
    at: number,
    direction: number,
    packet: Packet,
    sequence: number,
    offset: number,
  ): number {
    const words = this.#table.words;
    if ((words[at + FLAGS] & MID_STREAM) !== 0) return offset;
    const isNear = offset > 0 && offset < MAX_OVERTAKEN;
    const { bytes, payloadStart, payloadEnd } = packet;
    if (isNear && !isMatch(judgeOpening(bytes, payloadStart, payloadEnd, false, false))) {
      return offset;
    }
    words[at + BASE + direction] = sequence;
    words[at + NEXT + direction] = sequence;
    return 0;
  }

  #isMidStream(at: number): boolean {
    return (this.#table.words[at + FLAGS] & MID_STREAM) !== 0;
  }

  /** A flow older than the blocker: a chain of peer-wire messages anywhere in it. */
  #followChain(
    slot: number,
    at: number,
    direction: number,
    packet: Packet,
    sequence: number,
  ): Outcome {
    const words = this.#table.words;
    if ((words[at + FLAGS] & CHAIN_USED) === 0) {
      words[at + FLAGS] |= CHAIN_USED;
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
    slot: number,
    at: number,
    direction: number,
    packet: Packet,
    offset: number,
  ): Outcome {
    const words = this.#table.words;
    const prefixAt = at + PREFIX + direction;
    if (words[prefixAt] === 0 && offset === 0) {
      const { bytes, payloadStart, payloadEnd } = packet;
      const outcome = this.#judge(slot, at, direction, bytes, payloadStart, payloadEnd);
      if (outcome !== WAIT || this.#isJudged(at, direction)) return outcome;
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
    return this.#judge(slot, at, direction, this.#prefixes.bytes, start, end);
  }

  /**
   * The stream's beginning once more, after it was judged: what it says now may be what arrives, and
   * the copy that was judged a decoy that does not.
   */
  #inspectCopy(at: number, direction: number, packet: Packet, sequence: number): Outcome {
    const { bytes, payloadStart, payloadEnd } = packet;
    const { blockSocks, blockMentions } = this.#policy;
    const answer = judgeOpening(bytes, payloadStart, payloadEnd, blockSocks, blockMentions);
    if (isMatch(answer)) {
      if (answer.strength === "hint") return WAIT;
      return this.#finding.set(answer, bytes, payloadStart, payloadEnd);
    }
    if (answer === NEED_MORE) {
      this.#table.words[at + BASE + direction] = sequence;
      this.#reopen(at, direction, packet);
    }
    return WAIT;
  }

  /** The opening is judged anew, beginning with this packet. */
  #reopen(at: number, direction: number, packet: Packet): void {
    const words = this.#table.words;
    words[at + PEELED + direction] = 0;
    words[at + READINGS + direction] = 0;
    words[at + FLAGS] &= ~(OPENING_JUDGED << direction);
    const index = this.#prefixes.take(words, at + PREFIX + direction);
    this.#prefixes.write(index, 0, packet.bytes, packet.payloadStart, packet.payloadEnd);
  }

  #isJudged(at: number, direction: number): boolean {
    return (this.#table.words[at + FLAGS] & (OPENING_JUDGED << direction)) !== 0;
  }

  /** Asks the detectors about `[start, end)`, the stream from its beginning. */
  #judge(
    slot: number,
    at: number,
    direction: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Outcome {
    const words = this.#table.words;
    let from = start + words[at + PEELED + direction];
    // A proxy's negotiation may be followed by another (a chain of proxies): bounded by progress.
    let negotiation = negotiationLength(bytes, from, end, direction === 0);
    while (negotiation > 0) {
      from = Math.min(from + negotiation, end);
      negotiation = negotiationLength(bytes, from, end, direction === 0);
    }
    if (words[at + PEELED + direction] !== from - start) {
      words[at + PEELED + direction] = from - start;
      words[at + READINGS + direction] = 0; // what was peeled off is no beginning
    }
    const { blockSocks, blockMentions } = this.#policy;
    // BLOCK_SOCKS judges the negotiation itself, everything else what comes behind it.
    if (blockSocks && from > start) {
      const socks = judgeOpening(bytes, start, end, true, false);
      if (isMatch(socks) && socks.strength !== "hint") {
        return this.#finding.set(socks, bytes, start, end);
      }
    }
    if (negotiation < 0) return this.#wantsMore(at, direction, from - start);
    const answer = judgeOpening(bytes, from, end, blockSocks, blockMentions);
    if (answer === NEED_MORE) return this.#wantsMore(at, direction, from - start);
    if (isMatch(answer) && answer.strength !== "hint") {
      return this.#finding.set(answer, bytes, from, end);
    }
    if (this.#encrypted.wantsOpening(slot, direction, bytes, from, end)) {
      words[at + FLAGS] |= MEASURING << direction;
      return WAIT;
    }
    if (isHttpLike(bytes, from, end)) words[at + FLAGS] |= HTTP << direction;
    this.#setJudged(at, direction);
    return WAIT;
  }

  #setJudged(at: number, direction: number): void {
    const words = this.#table.words;
    words[at + FLAGS] |= OPENING_JUDGED << direction;
    words[at + FLAGS] &= ~(MEASURING << direction);
    this.#prefixes.release(words, at + PREFIX + direction);
  }

  /** Waits for more of an opening, but not beyond what a prefix holds. */
  #wantsMore(at: number, direction: number, peeled: number): Outcome {
    const words = this.#table.words;
    words[at + PEELED + direction] = peeled;
    const index = words[at + PREFIX + direction] - 1;
    if (index >= 0 && this.#prefixes.length(index) >= PREFIX_LENGTH) {
      this.#setJudged(at, direction);
    }
    return WAIT;
  }

  /**
   * A later message on a connection that speaks HTTP: a tracker asked over a kept-alive connection
   * or through a proxy, a WebSocket frame after the upgrade. It begins with a segment; one that is
   * cut makes this the beginning of a new opening.
   */
  #inspectHttp(at: number, direction: number, packet: Packet, sequence: number): Outcome {
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
      return this.#finding.set(answer, bytes, payloadStart, payloadEnd);
    }
    this.#table.words[at + BASE + direction] = sequence;
    this.#reopen(at, direction, packet);
    return WAIT;
  }

  /** Whether enough was seen to call the flow clean. */
  #isFinished(slot: number, at: number, direction: number): boolean {
    const words = this.#table.words;
    if (this.#encrypted.isPending(slot, this.#isMidStream(at))) return false;
    const flags = words[at + FLAGS];
    const bothJudged = (flags & (OPENING_JUDGED * 3)) === OPENING_JUDGED * 3;
    if ((flags & MID_STREAM) !== 0) {
      return words[at + BYTES] + words[at + BYTES + 1] >= MAX_BYTES_MID_STREAM;
    }
    // Both sides opened with something that no BitTorrent stream opens with.
    if (bothJudged && (flags & (HTTP * 3)) === 0) return true;
    const isAnswered = words[at + PACKETS + 1 - direction] > 0;
    const isSpent =
      words[at + PACKETS + direction] >= (isAnswered ? MAX_PACKETS : MAX_PACKETS_UNANSWERED) ||
      words[at + BYTES + direction] >= (isAnswered ? MAX_BYTES : MAX_BYTES_UNANSWERED);
    if (!isSpent) return false;
    // A head cut across segments is waited for, as far as a prefix goes.
    return (flags & (OPENING_JUDGED << direction)) !== 0 ||
      words[at + BYTES + direction] >= PREFIX_LENGTH * 2;
  }
}
