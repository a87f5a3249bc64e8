import type { Packet } from "../packet/packet.ts";
import { type Match, match } from "../protocols/match.ts";
import {
  entropy,
  findHandshake,
  hasLengthPrefix,
  isTlsRecord,
  looksRandom,
  MAX_OPENING,
  MIN_OPENING,
  MIN_THIRD_MESSAGE,
} from "../protocols/mse/detect.ts";
import { BlockRhythm, CLEAR_BLOCKS, NO_BLOCKS, SOME_BLOCKS } from "./block_rhythm.ts";
import { type FlowRecord, MID_STREAM } from "./flow_record.ts";
import { BY_LENGTHS, type HostEvidence } from "./host_evidence.ts";
import { type Finding, type Outcome, WAIT } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { encryptedMayWait } from "./release.ts";
import { DESTINATION_END, SOURCE_END } from "./sender.ts";
import { CLEAR_RHYTHM, NO_RHYTHM, RequestRhythm } from "./request_rhythm.ts";
import { isWellKnownPort, SYSTEM_PORTS } from "./well_known_ports.ts";

const OF_PROVEN_HOST = match(
  "mse",
  "by-host",
  "strong",
  "encrypted handshake, host with BitTorrent evidence",
);
const TO_NAMED_PEER = match(
  "mse",
  "named-peer",
  "strong",
  "encrypted handshake with an endpoint named as peer",
);
const FAN_OUT = match(
  "mse",
  "fan-out",
  "strong",
  "encrypted handshakes with several distinct endpoints",
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

/** Ends of a packet, as places in `Packet.address`. */
const SOURCE = 0;
const DESTINATION = 4;

/** Flags in the low byte of the flow's word for them, bit `<< direction` where both directions have one. */
const RANDOM = 0x01;
const MEASURED = 0x04;
const RULED_OUT = 0x10;
/** The first three messages have MSE's shape. */
const SHAPED = 0x20;
/** The flow counts among its initiator's openings. */
const COUNTED = 0x40;

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

/**
 * Message Stream Encryption. Nothing in it can be matched, so the engine looks at the order, size
 * and randomness of the first messages, and decides only where the host gives evidence: proven
 * BitTorrent lately, a remote endpoint that was named as a peer, or such flows to several places.
 */
export class EncryptedFlows {
  readonly #flow: FlowRecord;
  readonly #evidence: HostEvidence;
  readonly #finding: Finding;
  readonly #requests: RequestRhythm;
  readonly #blocks: BlockRhythm;
  #policy: EnginePolicy;

  constructor(
    flow: FlowRecord,
    evidence: HostEvidence,
    finding: Finding,
    policy: EnginePolicy,
  ) {
    this.#flow = flow;
    this.#evidence = evidence;
    this.#finding = finding;
    this.#requests = new RequestRhythm(flow);
    this.#blocks = new BlockRhythm(flow);
    this.#policy = policy;
  }

  setPolicy(policy: EnginePolicy): void {
    this.#policy = policy;
  }

  /** Whether the flow can no longer turn out to be encrypted BitTorrent. */
  isRuledOut(): boolean {
    return this.#flow.hasFact(RULED_OUT);
  }

  /** Whether the flow has the shape so far and evidence may still come. */
  isPending(): boolean {
    return !this.isRuledOut() && encryptedMayWait(this.#flow, this.#hasLengths());
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
   * Measures the first bytes of a direction, `[start, end)`. True when they are too few to tell.
   */
  wantsOpening(direction: number, bytes: Uint8Array, start: number, end: number): boolean {
    const flow = this.#flow;
    if (flow.hasFact(RULED_OUT | (MEASURED << direction))) return false;
    const length = end - start;
    if (isReadable(bytes, start, end) || isTlsRecord(bytes, start, end)) {
      flow.noteFact(RULED_OUT);
      return false;
    }
    const wanted = this.#policy.strict ? STRICT_SAMPLE : MIN_OPENING;
    if (length < MIN_OPENING) return true;
    const isRandom = !hasLengthPrefix(bytes, start, end) && looksRandom(bytes, start, end);
    if (isRandom && length < wanted) {
      flow.noteFact(RANDOM << direction);
      return true;
    }
    flow.noteFact(MEASURED << direction);
    if (isRandom) flow.noteFact(RANDOM << direction);
    else flow.noteFact(RULED_OUT);
    return false;
  }

  /** Follows turns and sizes, and decides when the shape is complete. */
  observe(direction: number, packet: Packet, isNew: boolean): Outcome {
    if (this.isRuledOut()) return WAIT;
    const isMidStream = this.#flow.has(MID_STREAM);
    if (this.#isStrictWith(packet) && this.#isRandomByEntropy(direction, packet)) {
      const { bytes, payloadStart, payloadEnd } = packet;
      return this.#finding.set(RANDOM_BYTES, bytes, payloadStart, payloadEnd);
    }
    if (isNew && !isMidStream && !this.#isShaped()) this.#countTurn(direction, packet);
    if (isNew && this.#mayHaveRhythm()) {
      const outcome = this.#listen(direction, packet, isMidStream);
      if (outcome !== WAIT) return outcome;
    }
    if (isMidStream || !this.#isShaped()) return WAIT;
    return this.#decide(direction, packet);
  }

  /**
   * Requests and blocks by their lengths; few of them do with host evidence. That is all that decides
   * flows older than the blocker: an SSH stream, or a TLS stream joined within a record, is as random
   * in both directions, and a host that torrents has those too.
   */
  #listen(direction: number, packet: Packet, isMidStream: boolean): Outcome {
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    if (isMidStream && isTlsRecord(bytes, payloadStart, payloadEnd)) {
      this.#flow.noteFact(RULED_OUT);
      return WAIT;
    }
    const requests = this.#requests.observe(direction, payloadLength);
    if (requests === CLEAR_RHYTHM) {
      return this.#found(REQUESTS_AND_PIECES, packet, SOURCE);
    }
    const blocks = this.#blocks.observe(direction, packet, !isMidStream);
    if (blocks === CLEAR_BLOCKS) {
      return this.#found(BLOCKS, packet, DESTINATION);
    }
    if (isService(packet, direction)) return WAIT;
    // Who asks for pieces is the host, whichever side opened the connection.
    if (requests !== NO_RHYTHM && this.#hasEvidence(packet, 0, true)) {
      return this.#found(SWARM, packet, SOURCE);
    }
    if (blocks !== NO_BLOCKS && this.#hasEvidence(packet, 4, blocks === SOME_BLOCKS)) {
      return this.#found(SWARM_BLOCKS, packet, DESTINATION);
    }
    return WAIT;
  }

  /**
   * Counts the flow among those of the host, the address at `host`, and asks what is known of it.
   *
   * @param isNotChance whether the flow's lengths are no accident by themselves: a host that torrents
   *   has other encrypted flows too
   */
  #hasEvidence(packet: Packet, host: number, isNotChance: boolean): boolean {
    const { address, timeMs } = packet;
    const evidence = this.#evidence;
    const remote = 4 - host;
    const port = host === 0 ? packet.destinationPort : packet.sourcePort;
    const ownPort = host === 0 ? packet.sourcePort : packet.destinationPort;
    // A server has flows with many at many ports, whatever it serves.
    const isClient = ownPort >= FIRST_CLIENT_PORT;
    if (isClient) {
      evidence.addOpening(address, host, address, remote, port, timeMs, BY_LENGTHS);
      if (evidence.hasFanOut(address, host, timeMs, BY_LENGTHS)) return true;
    }
    return isNotChance && (this.#isProven(packet, host) ||
      evidence.isNamed(address, host, address, remote, port, timeMs));
  }

  /** Turns: a message is all that one side sends before the other answers. */
  #countTurn(direction: number, packet: Packet): void {
    const flow = this.#flow;
    const turn = flow.turn;
    if (turn === 0) {
      flow.turn = 1;
      if (direction !== 0) flow.noteFact(RULED_OUT); // a server that greets first
    } else if (((turn - 1) & 1) !== direction) {
      if (turn <= 2 && !this.#isOpening(turn - 1)) {
        flow.noteFact(RULED_OUT);
        return;
      }
      flow.turn = turn + 1;
      flow.turnBytes = 0;
    }
    const length = flow.turnBytes + packet.payloadLength;
    flow.turnBytes = length;
    if (flow.turn <= 2 && length > MAX_OPENING && !this.#policy.strict) {
      flow.noteFact(RULED_OUT);
    }
    if (flow.turn === 1) this.#countOpening(packet);
    if (flow.turn === 3 && length >= MIN_THIRD_MESSAGE) flow.noteFact(SHAPED);
  }

  /**
   * Counts a flow among its initiator's openings at its first message, and not when its shape is
   * complete: of flows opened at once the first already meets the others' evidence.
   */
  #countOpening(packet: Packet): void {
    if (this.#flow.hasFact(RULED_OUT | COUNTED) || !this.#isOpening(0)) return;
    this.#flow.noteFact(COUNTED);
    if (isService(packet, 0)) return;
    const { address, destinationPort, timeMs } = packet;
    this.#evidence.addOpening(address, 0, address, 4, destinationPort, timeMs);
  }

  /** Whether the turn just ended can be Ya and PadA, or Yb and PadB. */
  #isOpening(direction: number): boolean {
    const flow = this.#flow;
    const length = flow.turnBytes;
    return length >= MIN_OPENING && length <= MAX_OPENING &&
      flow.hasFact(RANDOM << direction);
  }

  #decide(direction: number, packet: Packet): Outcome {
    const { bytes, payloadStart, payloadEnd, payloadLength } = packet;
    if (this.#flow.bytes(direction) - payloadLength < MAX_NEGOTIATION) {
      const handshake = findHandshake(
        bytes,
        payloadStart,
        Math.min(payloadEnd, payloadStart + MAX_NEGOTIATION),
      );
      if (handshake >= 0) {
        return this.#finding.set(PLAINTEXT_PAYLOAD, bytes, handshake, payloadEnd);
      }
    }
    const decided = isService(packet, direction) ? WAIT : this.#decideByHost(direction, packet);
    if (decided !== WAIT || !this.#isStrictWith(packet)) return decided;
    return this.#finding.set(RANDOM_SHAPE, bytes, payloadStart, payloadEnd);
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

  /** What the host did besides, or what was said of the remote endpoint. */
  #decideByHost(direction: number, packet: Packet): Outcome {
    const { address, timeMs } = packet;
    const initiator = direction === 0 ? 0 : 4;
    const responder = 4 - initiator;
    const port = direction === 0 ? packet.destinationPort : packet.sourcePort;
    const evidence = this.#evidence;
    if (this.#isProven(packet, initiator)) {
      return this.#found(OF_PROVEN_HOST, packet, initiator);
    }
    if (evidence.isNamed(address, initiator, address, responder, port, timeMs)) {
      return this.#found(TO_NAMED_PEER, packet, initiator);
    }
    if (evidence.hasFanOut(address, initiator, timeMs)) {
      return this.#found(FAN_OUT, packet, initiator);
    }
    return WAIT;
  }

  /** The strict policy drops what is random wherever no system service listens. */
  #isStrictWith({ sourcePort, destinationPort }: Packet): boolean {
    return this.#policy.strict && sourcePort >= SYSTEM_PORTS && destinationPort >= SYSTEM_PORTS;
  }

  /**
   * Whether BitTorrent was found of the host itself. What the other end did counts for nothing: it may
   * be a proxy, and somebody else's doing.
   */
  #isProven({ address, timeMs }: Packet, host: number): boolean {
    return this.#evidence.isProven(address, host, timeMs);
  }

  /** The strict policy's last resort: the first KiB of a direction in one packet. */
  #isRandomByEntropy(direction: number, packet: Packet): boolean {
    if (!this.#flow.hasFact(RANDOM << direction)) return false;
    const { bytes, payloadStart, payloadEnd } = packet;
    if (payloadEnd - payloadStart < STRICT_SAMPLE) return false;
    return entropy(bytes, payloadStart, payloadStart + STRICT_SAMPLE) > STRICT_ENTROPY;
  }
}

/** Whether the first bytes are text, as a banner, a request or a greeting is. */
function isReadable(bytes: Uint8Array, start: number, end: number): boolean {
  const stop = Math.min(end, start + 8);
  for (let at = start; at < stop; at++) {
    const byte = bytes[at];
    if ((byte < 0x20 || byte > 0x7e) && byte !== 0x0d && byte !== 0x0a && byte !== 0x09) {
      return false;
    }
  }
  return stop > start;
}

/**
 * The responder's port names a service, or the initiator's is one no client binds: there what the
 * host did besides does not count, only what the flow itself shows.
 */
function isService(packet: Packet, direction: number): boolean {
  const responder = direction === 0 ? packet.destinationPort : packet.sourcePort;
  const initiator = direction === 0 ? packet.sourcePort : packet.destinationPort;
  return isWellKnownPort(responder) || initiator < SYSTEM_PORTS;
}
