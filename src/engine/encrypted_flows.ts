import { greater, lesser } from "../packet/bytes.ts";
import type { Packet } from "../packet/packet.ts";
import { match } from "../protocols/match.ts";
import {
  entropy,
  findHandshake,
  isKeyRandom,
  isNoKey,
  isTlsRecord,
  MIN_OPENING,
} from "../protocols/mse/detect.ts";
import { BlockRhythm } from "./block_rhythm.ts";
import { EncryptedBeginnings } from "./encrypted_beginnings.ts";
import {
  APART,
  ASKED_32,
  B_FIRST,
  COUNTED,
  CUT,
  DATA_SEEN,
  FIFTH,
  type FlowRecord,
  HELLO_ALONE,
  LONGER,
  MEASURED,
  MEASURING,
  MID_STREAM,
  ONE_BLOCK,
  OPENING_JUDGED,
  RANDOM,
  RESPONDER_OPENS,
  RULED_OUT,
  SHAPED,
  THIRD_APART,
  TOLD_ALIKE,
  TOLD_APART,
} from "./flow_record.ts";
import type { HostEvidence } from "./host_evidence.ts";
import { JoinedFlows, REQUESTS_AND_PIECES } from "./joined_flows.ts";
import { areBlocks } from "./joined_table.ts";
import { type FoundMatch, type Outcome, WAIT } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { encryptedMayWait } from "./release.ts";
import { RequestPace } from "./request_pace.ts";
import { CLEAR_RHYTHM, RequestRhythm } from "./request_rhythm.ts";
import type { Senders } from "./sender.ts";
import { streamEnd } from "./stream_space.ts";
import { DESTINATION, SOURCE, Suspects } from "./suspects.ts";
import { followTurns } from "./turns.ts";
import { SYSTEM_PORTS } from "./well_known_ports.ts";

const BLOCKS = match("mse", "blocks", "strong", "encrypted, lengths of blocks");
const PLAINTEXT_PAYLOAD = match(
  "mse",
  "plain-handshake",
  "proof",
  "handshake behind an encrypted negotiation",
);
const RANDOM_SHAPE = match(
  "entropy",
  "random-handshake",
  "strong",
  "random handshake on an unknown port",
);
const RANDOM_BYTES = match("entropy", "random-bytes", "strong", "random bytes on an unknown port");

/**
 * A handshake in the clear follows the negotiation, which is 1748 bytes at most (96 and three times
 * 512 of padding, 116 of fields), a message that was sent twice included.
 */
const MAX_NEGOTIATION = 4096;
/** The original's last resort: bits a byte over the first KiB. */
const STRICT_SAMPLE = 1024;
const STRICT_ENTROPY = 7.6;

/** The third turn is the last that the shape asks for. */
const TURN_OF_SHAPE = 3;

/** Ends of writes that agree with requests' lengths. */
const BLOCKS_BESIDE_REQUESTS = 2;

/**
 * Message Stream Encryption. Nothing in it can be matched; a flow is decided by the lengths of its
 * own messages. Order, size and randomness of the first ones make it a suspect, no more. What its
 * host did besides lowers how much of its own lengths is needed, never to none (`mse_table.ts`).
 * Ports play no part, but for the strict policy.
 */
export class EncryptedFlows {
  readonly #flow: FlowRecord;
  readonly #finding: FoundMatch;
  readonly #requests: RequestRhythm;
  readonly #pace: RequestPace;
  readonly #blocks: BlockRhythm;
  readonly #suspects: Suspects;
  readonly #beginnings: EncryptedBeginnings;
  readonly #joined: JoinedFlows;
  #policy: EnginePolicy;

  constructor(
    flow: FlowRecord,
    senders: Senders,
    evidence: HostEvidence,
    finding: FoundMatch,
    policy: EnginePolicy,
  ) {
    this.#flow = flow;
    this.#policy = policy;
    this.#finding = finding;
    const suspects = new Suspects(flow, senders, evidence);
    const requests = new RequestRhythm(flow);
    const pace = new RequestPace(flow);
    const blocks = new BlockRhythm(flow);
    this.#suspects = suspects;
    this.#requests = requests;
    this.#pace = pace;
    this.#blocks = blocks;
    this.#beginnings = new EncryptedBeginnings(flow, senders, evidence, suspects, blocks, finding);
    this.#joined = new JoinedFlows(senders, evidence, suspects, requests, pace, blocks, finding);
  }

  setPolicy(policy: EnginePolicy): void {
    this.#policy = policy;
  }

  /** A side has opened with what no encrypted BitTorrent opens with. */
  ruleOut(): void {
    this.#flow.noteFact(RULED_OUT);
  }

  /** Whether the flow can no longer turn out to be encrypted BitTorrent. */
  isRuledOut(): boolean {
    return this.#flow.hasFact(RULED_OUT);
  }

  /** Whether the flow has the shape so far and its lengths may still decide. */
  isPending(): boolean {
    if (this.isRuledOut()) return this.#isOneKey() && encryptedMayWait(this.#flow, false);
    return encryptedMayWait(this.#flow, this.#hasLengths());
  }

  /**
   * Whether a side has opened with a key, and what the other one opened with, which is none, has not
   * been acknowledged by it: that may be a decoy that dies on the way, and the key is answered by another.
   */
  #isOneKey(): boolean {
    const flow = this.#flow;
    const keys = flow.encryption & (RANDOM * 3);
    return !flow.has(MID_STREAM) && (keys === RANDOM || keys === RANDOM << 1);
  }

  /** Whether the flow's segments have had lengths of requests or of blocks, or may have them yet. */
  #hasLengths(): boolean {
    // Of few flows, those that are older than the blocker: their next pause may be far away.
    if (this.#flow.has(MID_STREAM)) return this.#mayHaveRhythm();
    return this.#isShaped() && (this.#requests.isPossible() || this.#blocks.isPossible());
  }

  #mayHaveRhythm(): boolean {
    return this.#flow.hasFact(this.#flow.has(MID_STREAM) ? RANDOM * 3 : SHAPED);
  }

  #isShaped(): boolean {
    return this.#flow.hasFact(SHAPED);
  }

  /**
   * Measures the first bytes of a direction, `[start, end)`: the key, not the padding behind it, which
   * some clients do not fill. True when they are too few to tell.
   */
  wantsOpening(direction: number, bytes: Uint8Array, start: number, end: number): boolean {
    const flow = this.#flow;
    if (flow.hasFact(MEASURED << direction)) return false;
    const length = end - start;
    if (isText(bytes, start, end) || isTlsRecord(bytes, start, end)) {
      flow.noteFact(RULED_OUT);
      return false;
    }
    const isRuledOut = this.isRuledOut();
    if (length < MIN_OPENING) {
      if (isRuledOut || !isNoKey(bytes, start, end)) return !isRuledOut;
      flow.noteFact(RULED_OUT);
      return false;
    }
    const isRandom = isKeyRandom(bytes, start, end);
    if (isRandom && !isRuledOut && this.#policy.strict && length < STRICT_SAMPLE) {
      flow.noteFact(RANDOM << direction);
      return true;
    }
    flow.noteFact((MEASURED | (isRandom ? RANDOM : 0)) << direction);
    if (!isRandom) flow.noteFact(RULED_OUT);
    return false;
  }

  /**
   * The stream begins once more with other bytes: what was seen there before may have been a decoy
   * that died on the way. True when this may be a key, where that was none.
   */
  beginAnew(direction: number, { bytes, payloadStart, payloadEnd }: Packet): boolean {
    const flow = this.#flow;
    const isWaiting = !flow.has((OPENING_JUDGED | MEASURING) << direction);
    if (!isWaiting && !this.isRuledOut()) return false;
    if (payloadEnd - payloadStart < MIN_OPENING) return false;
    if (!isKeyRandom(bytes, payloadStart, payloadEnd)) return false;
    const other = 1 - direction;
    const isAnswer = flow.hasFact(RANDOM << other);
    flow.encryption = (flow.encryption & (COUNTED | ((MEASURED | RANDOM) << other))) |
      ((MEASURED | RANDOM) << direction);
    flow.lengths = 0;
    flow.lower(
      APART | ONE_BLOCK | FIFTH | THIRD_APART | TOLD_ALIKE | TOLD_APART | B_FIRST | ASKED_32 |
        LONGER | CUT,
    );
    flow.told = flow.toldBack = 0;
    flow.requestMark = 0;
    flow.turn = isAnswer ? 1 : 0;
    flow.turnBytes = isAnswer ? greater(0, streamEnd(flow, other)) : 0;
    if (isAnswer && other === 1) flow.noteFact(RESPONDER_OPENS);
    return true;
  }

  /**
   * Follows turns and lengths, and decides as early as they allow.
   *
   * @param newBytes by which the direction's stream has come further
   */
  observe(direction: number, packet: Packet, newBytes: number): Outcome {
    if (this.isRuledOut()) {
      // What has arrived is no decoy.
      if (this.#acknowledgedBy(packet, direction) > 0) this.#flow.dropFact(RANDOM << direction);
      this.#suspects.letGo(direction, packet);
      return WAIT;
    }
    const { bytes, payloadStart, payloadEnd } = packet;
    if (this.#isStrictWith(packet) && this.#isRandomByEntropy(direction, packet)) {
      return this.#finding.set(RANDOM_BYTES, bytes, payloadStart, payloadEnd);
    }
    const handshake = this.#plainHandshake(direction, packet);
    if (handshake >= 0) {
      return this.#finding.set(PLAINTEXT_PAYLOAD, bytes, handshake, payloadEnd);
    }
    const hadData = this.#flow.hasLength(DATA_SEEN);
    if (newBytes > 0 && !this.#flow.has(MID_STREAM)) this.#followBeginning(direction, packet);
    if (!hadData && this.#flow.hasLength(DATA_SEEN)) this.#blocks.beginData(direction, packet);
    if (newBytes > 0 && this.#mayHaveRhythm()) {
      const outcome = this.#listen(direction, packet, newBytes);
      if (outcome !== WAIT) return outcome;
    }
    if (!this.#isShaped()) return WAIT;
    if (!this.#isStrictWith(packet)) {
      return this.#policy.holds ? this.#beginnings.holdBack(direction, packet, newBytes) : WAIT;
    }
    return this.#finding.set(RANDOM_SHAPE, bytes, payloadStart, payloadEnd);
  }

  /** Turns and their lengths; a flow that they rule out no longer counts for others. */
  #followBeginning(direction: number, packet: Packet): void {
    const flow = this.#flow;
    const end = streamEnd(flow, direction);
    // A detector waits for more, of a proxy's negotiation say: no turn of the flow's own yet.
    if (end <= 0 || !flow.has((OPENING_JUDGED | MEASURING) << direction)) return;
    const hadHello = flow.hasFact(HELLO_ALONE);
    const { turn: before, turnBytes, told, toldBack } = flow;
    followTurns(flow, direction, packet, end, this.#acknowledgedBy(packet, direction));
    if (flow.turn === 1) this.#suspects.countOpening(direction, packet, end);
    if (before === TURN_OF_SHAPE && flow.turn > before) {
      this.#suspects.countShape(direction, packet, turnBytes);
    }
    if (!hadHello && flow.hasFact(HELLO_ALONE)) this.#suspects.countHandshake(direction, packet);
    const isTold = flow.told !== told || flow.toldBack !== toldBack;
    if (isTold && (flow.told | flow.toldBack) !== 0) this.#suspects.countTold(direction, packet);
    if (flow.hasFact(RULED_OUT)) this.#suspects.letGo(direction, packet);
  }

  /** Bytes of the other side's stream, behind any negotiation, that the packet acknowledges. */
  #acknowledgedBy({ acknowledgement }: Packet, direction: number): number {
    const flow = this.#flow;
    const other = 1 - direction;
    return ((acknowledgement - flow.base(other)) | 0) - flow.peeled(other);
  }

  /** A flow that is let go no longer counts among its host's openings. */
  letGo(direction: number, packet: Packet): void {
    this.#suspects.letGo(direction, packet);
  }

  /**
   * Where a handshake in the clear stands behind a negotiation, or -1: with plaintext selected only the
   * negotiation is hidden. It needs no more than its own direction, which began as random.
   */
  #plainHandshake(direction: number, packet: Packet): number {
    const flow = this.#flow;
    if (flow.has(MID_STREAM) || !flow.hasFact(RANDOM << direction)) return -1;
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    const before = streamEnd(flow, direction) - payloadLength;
    if (before >= MAX_NEGOTIATION) return -1;
    const from = payloadStart + greater(0, MIN_OPENING - before);
    return findHandshake(bytes, from, lesser(payloadEnd, payloadStart + MAX_NEGOTIATION));
  }

  /**
   * Lengths of the beginning, of requests and of blocks. They are all that decides flows older than
   * the blocker: an SSH stream, or a TLS stream joined within a record, is as random in both
   * directions, and a host that torrents has those too.
   */
  #listen(direction: number, packet: Packet, newBytes: number): Outcome {
    const { bytes, payloadStart, payloadEnd } = packet;
    const isMidStream = this.#flow.has(MID_STREAM);
    if (isMidStream && isTlsRecord(bytes, payloadStart, payloadEnd)) {
      this.#flow.noteFact(RULED_OUT);
      return WAIT;
    }
    const rhythm = this.#requests.observe(direction, packet);
    const isBlock = this.#blocks.observe(direction, packet);
    if (this.#blocks.isOtherBlock) {
      this.#requests.takeBack();
      this.#pace.takeBack();
    }
    const { blocks, hasHeader } = this.#blocks;
    const isInPace = !isMidStream || this.#joined.isPaceOfRequests(direction);
    if (
      rhythm === CLEAR_RHYTHM &&
      ((this.#requests.isAligned && isInPace) || blocks >= BLOCKS_BESIDE_REQUESTS)
    ) return this.#finding.setOf(SOURCE, REQUESTS_AND_PIECES, packet);
    if (isBlock && areBlocks(blocks, hasHeader) && this.#requests.mayAsk(1 - direction, false)) {
      return this.#finding.setOf(DESTINATION, BLOCKS, packet);
    }
    if (!isMidStream) return this.#beginnings.decide(direction, packet);
    return this.#joined.decide(direction, packet, newBytes, rhythm, isBlock, isInPace);
  }

  /**
   * The strict policy drops what is random wherever no system service listens; behind a proxy's
   * negotiation the port is the target's.
   */
  #isStrictWith({ sourcePort, destinationPort }: Packet): boolean {
    if (!this.#policy.strict) return false;
    const { targetPort } = this.#flow;
    if (targetPort !== 0) return targetPort >= SYSTEM_PORTS;
    return sourcePort >= SYSTEM_PORTS && destinationPort >= SYSTEM_PORTS;
  }

  /** The strict policy's last resort: the first KiB of a direction in one packet. */
  #isRandomByEntropy(direction: number, packet: Packet): boolean {
    if (!this.#flow.hasFact(RANDOM << direction)) return false;
    const { bytes, payloadStart, payloadEnd } = packet;
    if (payloadEnd - payloadStart < STRICT_SAMPLE) return false;
    return entropy(bytes, payloadStart, payloadStart + STRICT_SAMPLE) > STRICT_ENTROPY;
  }
}

/** Printable bytes at the beginning that no key has but once in five million. */
const TEXT = 16;

/** Whether the first bytes are text, as a banner, a request or a greeting is; fewer may be a key's. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < TEXT) return false;
  for (let at = start; at < start + TEXT; at++) {
    const byte = bytes[at];
    if ((byte < 0x20 || byte > 0x7e) && byte !== 0x0d && byte !== 0x0a && byte !== 0x09) {
      return false;
    }
  }
  return true;
}
