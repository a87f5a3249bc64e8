import { greater, lesser } from "../packet/bytes.ts";
import type { Packet } from "../packet/packet.ts";
import { type Match, match } from "../protocols/match.ts";
import {
  entropy,
  findHandshake,
  isKeyRandom,
  isNoKey,
  isTlsRecord,
  MIN_OPENING,
} from "../protocols/mse/detect.ts";
import { BlockRhythm } from "./block_rhythm.ts";
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
import { BY_LENGTHS, BY_OPENING, type HostEvidence } from "./host_evidence.ts";
import {
  areBlocks,
  areBlocksOfHost,
  areBlocksOfSwarm,
  bitsOf,
  isAskedAndGranted,
  isEnough,
  isEnoughOfKin,
  isPace,
  isPaceOfHost,
  isPaceOfSwarm,
  kinBitsOf,
  lacksHandshake,
  LEAST,
} from "./mse_table.ts";
import { TICK_MS, tickOf } from "./flow_table.ts";
import { type FoundMatch, HOLD, type Outcome, WAIT } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { encryptedMayWait } from "./release.ts";
import { RequestPace } from "./request_pace.ts";
import { CLEAR_RHYTHM, NO_RHYTHM, RequestRhythm } from "./request_rhythm.ts";
import { DESTINATION_END, type Senders, SOURCE_END } from "./sender.ts";
import { streamEnd } from "./stream_space.ts";
import { DESTINATION, SOURCE, Suspects } from "./suspects.ts";
import { followTurns } from "./turns.ts";
import { SYSTEM_PORTS } from "./well_known_ports.ts";

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
const REQUESTS_AND_PIECES = match(
  "mse",
  "requests-and-pieces",
  "strong",
  "encrypted, lengths of requests and pieces",
);
const BLOCKS = match("mse", "blocks", "strong", "encrypted, lengths of blocks");
const SWARM_BLOCKS = match(
  "mse",
  "swarm-blocks",
  "strong",
  "encrypted, lengths of blocks, host with evidence",
);
const SWARM = match(
  "mse",
  "swarm-requests",
  "strong",
  "encrypted, lengths of requests, host with evidence",
);
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
/** Ports below are listened on: systems give their clients' connections higher ones. */
const FIRST_CLIENT_PORT = 32_768;
/** The original's last resort: bits a byte over the first KiB. */
const STRICT_SAMPLE = 1024;
const STRICT_ENTROPY = 7.6;

/** How long first data is held back, and what of it has passed at most when that begins: a block. */
const HOLD_MS = 500;
const MOST_UNHELD = 24_576;
/** A segment that carries data: a path's full one, or several joined. */
const LEAST_OF_DATA = 1200;

/** What clients say of their extensions, names and all, is no longer: obfs4 says 543 bytes or twice as many. */
const LONGEST_TOLD_BACK = 420;
/** Data comes in the sixth turn at first, where handshakes went out with the messages before. */
const TURN_OF_FIRST_DATA = 6;

/** The third turn is the last that the shape asks for. */
const TURN_OF_SHAPE = 3;

/** Ends of writes that agree with requests' lengths. */
const BLOCKS_BESIDE_REQUESTS = 2;
/** Of a joined flow, messages that asked for just as many blocks as had come. */
const IN_PACE_BESIDE_RHYTHM = 4;

/**
 * Message Stream Encryption. Nothing in it can be matched; a flow is decided by the lengths of its
 * own messages. Order, size and randomness of the first ones make it a suspect, no more. What its
 * host did besides lowers how much of its own lengths is needed, never to none (`mse_table.ts`).
 * Ports play no part, but for the strict policy.
 */
export class EncryptedFlows {
  readonly #flow: FlowRecord;
  readonly #senders: Senders;
  readonly #evidence: HostEvidence;
  readonly #finding: FoundMatch;
  readonly #requests: RequestRhythm;
  readonly #pace: RequestPace;
  readonly #blocks: BlockRhythm;
  readonly #suspects: Suspects;
  #policy: EnginePolicy;

  constructor(
    flow: FlowRecord,
    senders: Senders,
    evidence: HostEvidence,
    finding: FoundMatch,
    policy: EnginePolicy,
  ) {
    this.#flow = flow;
    this.#senders = senders;
    this.#evidence = evidence;
    this.#suspects = new Suspects(flow, senders, evidence);
    this.#finding = finding;
    this.#requests = new RequestRhythm(flow);
    this.#pace = new RequestPace(flow);
    this.#blocks = new BlockRhythm(flow);
    this.#policy = policy;
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
    if (!this.#isStrictWith(packet)) return this.#holdBack(direction, packet, newBytes);
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
    const isInPace = !isMidStream || this.#isPaceOfRequests(direction);
    if (
      rhythm === CLEAR_RHYTHM &&
      ((this.#requests.isAligned && isInPace) || blocks >= BLOCKS_BESIDE_REQUESTS)
    ) return this.#found(REQUESTS_AND_PIECES, packet, SOURCE);
    if (isBlock && areBlocks(blocks, hasHeader) && this.#requests.mayAsk(1 - direction, false)) {
      return this.#found(BLOCKS, packet, DESTINATION);
    }
    if (!isMidStream) return this.#decideByBeginning(direction, packet);
    if (this.#pace.observe(direction, packet, newBytes)) {
      const outcome = this.#decideByPace(direction, packet);
      if (outcome !== WAIT) return outcome;
    }
    // Who asks for pieces is the host, whichever side opened the connection.
    const agrees = this.#requests.hasHaves &&
      ((this.#requests.isSomewhatAligned && isInPace) || blocks > 0);
    if (rhythm !== NO_RHYTHM && agrees) {
      if (this.#hasEvidence(direction, packet, SOURCE, true)) {
        return this.#found(SWARM, packet, SOURCE);
      }
    }
    if (!isBlock) return WAIT;
    const areAskedFor = this.#requests.mayAsk(1 - direction, true);
    return this.#decideByBlocks(direction, packet, areAskedFor ? blocks : 0, hasHeader);
  }

  /** Whether what `direction` says of a joined flow asks for the blocks that come, and hardly says anything else. */
  #isPaceOfRequests(direction: number): boolean {
    const pace = this.#pace;
    return pace.inPace >= IN_PACE_BESIDE_RHYTHM && pace.hasRequestsAlone && pace.areMostSums &&
      this.#requests.areAskedFor(direction);
  }

  /** The table: what the beginning and the first blocks show, and what the host did besides. */
  #decideByBeginning(direction: number, packet: Packet): Outcome {
    const { blocks, chunks, isAmongFirst } = this.#blocks;
    const bits = bitsOf(this.#flow, blocks, chunks, isAmongFirst);
    const isGranted = isAskedAndGranted(this.#flow.lengths);
    const kinBits = kinBitsOf(this.#flow, blocks, chunks, isAmongFirst);
    if (bits < LEAST && kinBits < LEAST && !isGranted) return WAIT;
    const initiator = direction === 0 ? SOURCE : DESTINATION;
    if (isEnough(bits, this.#flow, "nothing")) return this.#found(LENGTHS, packet, initiator);
    const isEnoughInSwarm = isGranted || isEnough(bits, this.#flow, "swarm");
    if (this.#senders.isReal(direction, packet, initiator)) {
      const outcome = this.#decideByInitiator(packet, initiator, bits, isEnoughInSwarm);
      if (outcome !== WAIT) return outcome;
      if (isEnoughOfKin(kinBits, this.#flow)) {
        if (this.#suspects.hasKin(packet, initiator, lacksHandshake(this.#flow, blocks))) {
          return this.#found(FAN_OUT, packet, initiator);
        }
      }
    }
    return isEnoughInSwarm ? this.#decideByCalls(direction, packet, 4 - initiator) : WAIT;
  }

  /**
   * Of several peers called at once the foremost is some milliseconds ahead of the others, and four blocks
   * take less: what of its host's other flows would decide is not there yet. So its data is held back for
   * half a second; TCP sends it again after 200 ms and more. Whoever is held for nothing has lost that.
   *
   * @param newBytes none where it was sent again, and the others may have spoken since
   */
  #holdBack(direction: number, packet: Packet, newBytes: number): Outcome {
    const flow = this.#flow;
    if (!this.#policy.holds || !flow.hasLength(DATA_SEEN) || flow.has(MID_STREAM)) return WAIT;
    if (packet.payloadLength < LEAST_OF_DATA) return WAIT;
    const tick = tickOf(packet.timeMs);
    if (flow.heldUntil === 0) {
      if (!this.#mayBeForemost(direction, packet)) return WAIT;
      flow.heldUntil = (tick + HOLD_MS / TICK_MS) | 1;
    }
    if (((tick - flow.heldUntil) | 0) >= 0) return WAIT;
    const outcome = newBytes > 0 ? WAIT : this.#decideByBeginning(direction, packet);
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
      return this.#found(OF_HOST, packet, initiator);
    }
    if (
      (isEnough(bits, this.#flow, "several") &&
        evidence.hasFanOut(address, initiator, timeMs, BY_OPENING)) ||
      (isEnough(bits, this.#flow, "pair") && evidence.hasPair(address, initiator, timeMs)) ||
      (isEnoughInSwarm && evidence.hasSwarm(address, initiator, timeMs))
    ) return this.#found(FAN_OUT, packet, initiator);
    if (isEnough(bits, this.#flow, "named") && this.#suspects.isNamed(packet, initiator)) {
      return this.#found(NAMED, packet, initiator);
    }
    return WAIT;
  }

  /** Requests of a flow older than the blocker that keep pace with its blocks. */
  #decideByPace(direction: number, packet: Packet): Outcome {
    if (isPace(this.#pace)) return this.#found(REQUESTS_AND_PIECES, packet, SOURCE);
    if (!isPaceOfSwarm(this.#pace) || !this.#pace.areMostSums) return WAIT;
    return this.#hasEvidence(direction, packet, SOURCE, isPaceOfHost(this.#pace))
      ? this.#found(SWARM, packet, SOURCE)
      : WAIT;
  }

  /** Beside the calls of the responder's port; they tell of the responder alone, where it is real. */
  #decideByCalls(direction: number, packet: Packet, responder: number): Outcome {
    if (this.#flow.targetPort !== 0) return WAIT;
    if (!this.#senders.isReal(direction, packet, responder)) return WAIT;
    const { address, timeMs } = packet;
    const port = responder === SOURCE ? packet.sourcePort : packet.destinationPort;
    return this.#evidence.isCalled(address, responder, port, timeMs)
      ? this.#found(CALLED, packet, responder)
      : WAIT;
  }

  /** Blocks of a flow older than the blocker, beside what its host did. */
  #decideByBlocks(
    direction: number,
    packet: Packet,
    blocks: number,
    hasHeader: boolean,
  ): Outcome {
    const { chunks } = this.#blocks;
    const { hasHaves } = this.#requests;
    const isSome = areBlocksOfHost(blocks, hasHeader, chunks, hasHaves);
    const areChunks = hasHaves || this.#blocks.areAlone;
    if (!isSome && !areBlocksOfSwarm(blocks, chunks, areChunks)) return WAIT;
    return this.#hasEvidence(direction, packet, DESTINATION, isSome)
      ? this.#found(SWARM_BLOCKS, packet, DESTINATION)
      : WAIT;
  }

  /**
   * Counts the flow among those of the host, the address at `host`, and asks what is known of it.
   *
   * @param isNotChance whether the flow's lengths are no accident by themselves: a host that torrents
   *   has other encrypted flows too
   */
  #hasEvidence(direction: number, packet: Packet, host: number, isNotChance: boolean): boolean {
    if (!this.#senders.isReal(direction, packet, host)) return false;
    const { address, timeMs } = packet;
    const evidence = this.#evidence;
    const ownPort = host === 0 ? packet.sourcePort : packet.destinationPort;
    // A server has flows with many at many ports, whatever it serves.
    const isClient = ownPort >= FIRST_CLIENT_PORT;
    if (isClient) {
      const port = host === 0 ? packet.destinationPort : packet.sourcePort;
      evidence.addFlow(address, host, address, 4 - host, port, timeMs, BY_LENGTHS);
      if (evidence.hasFanOut(address, host, timeMs, BY_LENGTHS)) return true;
    }
    return isNotChance &&
      (evidence.isProven(address, host, timeMs) || this.#suspects.isNamed(packet, host));
  }

  /**
   * A find that is evidence for one end only: who asks for pieces, or who opened the connection. Were
   * the other end proven too, one host that torrents and uses a proxy would make the proxy's other
   * users suspects, and theirs in turn.
   */
  #found(found: Match, packet: Packet, end: number): Outcome {
    const { bytes, payloadStart, payloadEnd } = packet;
    const acted = end === SOURCE ? SOURCE_END : DESTINATION_END;
    return this.#finding.set(found, bytes, payloadStart, payloadEnd, acted);
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
