import { greater, lesser } from "../packet/bytes.ts";
import type { Packet } from "../packet/packet.ts";
import { CUT_HEAD, CUT_LINE, HttpHead, NOT_HTTP, WHOLE_HEAD } from "../protocols/http.ts";
import { isMatch, type Match, NEED_MORE, type StreamAnswer } from "../protocols/match.ts";
import { detectCutRequest } from "../protocols/http_tracker/detect_cut.ts";
import { kindRow } from "../protocols/methods.ts";
import { hasReserved, UNASKED_HANDSHAKE } from "../protocols/peer_wire/detect.ts";
import { HANDSHAKE } from "../protocols/signatures.ts";
import { negotiationLength } from "../protocols/socks/negotiation.ts";
import { ANOTHERS, readTarget } from "../protocols/socks/target.ts";
import {
  beginsWebsocket,
  detectWebsocketFrame,
  websocketFramesEnd,
} from "../protocols/websocket_tracker/detect.ts";
import type { EncryptedFlows } from "./encrypted_flows.ts";
import {
  BASE_KNOWN,
  type FlowRecord,
  HTTP,
  MEASURING,
  MID_STREAM,
  OPENING_JUDGED,
} from "./flow_record.ts";
import { endsConnection, GAP, type HttpStreams } from "./http_stream.ts";
import { type FoundMatch, type Outcome, WAIT } from "./outcome.ts";
import type { EnginePolicy } from "./policy.ts";
import { PREFIX_LENGTH, type PrefixPool } from "./prefix_pool.ts";
import { SOURCE_END } from "./sender.ts";
import { isCutLine, isHttpLike, judgeOpening, mayDecide } from "./tcp_opening.ts";

/** HTTP messages of one segment that are judged; a browser pipelines none, a test some. */
const MAX_MESSAGES = 16;

/**
 * What detectors are asked about in the streams of a TCP flow: the opening of each direction, put in
 * order where a packet does not decide alone, behind the proxy negotiations that are peeled off it; and
 * where that is HTTP, each message behind it.
 */
export class StreamOpenings {
  readonly #flow: FlowRecord;
  readonly #prefixes: PrefixPool;
  readonly #http: HttpStreams;
  readonly #encrypted: EncryptedFlows;
  readonly #finding: FoundMatch;
  #policy: EnginePolicy;
  /** Of the HTTP message that {@link judgeOpening} was asked about last: read once. */
  readonly #head = new HttpHead();
  /** Whether the end of the packet's payload was not recorded. */
  #isCut = false;

  constructor(
    flow: FlowRecord,
    prefixes: PrefixPool,
    http: HttpStreams,
    encrypted: EncryptedFlows,
    finding: FoundMatch,
    policy: EnginePolicy,
  ) {
    this.#flow = flow;
    this.#prefixes = prefixes;
    this.#http = http;
    this.#encrypted = encrypted;
    this.#finding = finding;
    this.#policy = policy;
  }

  setPolicy(policy: EnginePolicy): void {
    this.#policy = policy;
  }

  /** Frees the prefix buffers of the flow at hand. */
  release(): void {
    const flow = this.#flow;
    this.#prefixes.release(flow.words, flow.prefixAt(0));
    this.#prefixes.release(flow.words, flow.prefixAt(1));
  }

  /** What detectors say of a packet's payload by itself, were it an opening; changes nothing. */
  answerTo({ bytes, payloadStart, payloadEnd }: Packet): StreamAnswer {
    return judgeOpening(bytes, payloadStart, payloadEnd, false, false, this.#head);
  }

  /**
   * What a packet's payload adds to an opening, or to the HTTP messages behind it.
   *
   * @param sequence number of the payload's first byte
   * @param offset of that byte in the stream
   */
  inspect(direction: number, packet: Packet, sequence: number, offset: number): Outcome {
    const flow = this.#flow;
    const { payloadStart, payloadEnd, payloadLength } = packet;
    this.#isCut = payloadLength > payloadEnd - payloadStart;
    if (flow.has(OPENING_JUDGED << direction)) {
      if (flow.has(HTTP << direction)) return this.#inspectHttp(direction, packet, sequence);
      if (offset > 0 || flow.has(MID_STREAM)) return WAIT;
      return this.#inspectCopy(direction, packet, sequence);
    }
    const outcome = this.#inspectOpening(direction, packet, offset);
    // What of a long segment went beyond the prefix may hold the next message.
    if (outcome === WAIT && flow.hasAll((OPENING_JUDGED | HTTP) << direction)) {
      return this.#inspectHttp(direction, packet, sequence);
    }
    return outcome;
  }

  /** Ends the wait for enough bytes to tell randomness by, where nobody wants to know any more. */
  endMeasuring(): void {
    const flow = this.#flow;
    if (flow.has(MEASURING)) this.setJudged(0);
    if (flow.has(MEASURING << 1)) this.setJudged(1);
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
      // Where a later message in it is cut, that is waited for.
      if (outcome !== WAIT || this.#isJudged(direction) || words[prefixAt] !== 0) return outcome;
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
    const before = this.#prefixes.length(index);
    const grew = this.#prefixes.write(
      index,
      greater(offset, 0),
      packet.bytes,
      from,
      packet.payloadEnd,
    );
    if (!grew) return WAIT;
    const start = this.#prefixes.start(index);
    const end = start + this.#prefixes.length(index);
    if (!mayDecide(this.#prefixes.bytes, start, start + before, end)) return WAIT;
    return this.#judge(direction, this.#prefixes.bytes, start, end);
  }

  /**
   * The stream's beginning once more, after it was judged: what it says now may be what arrives, and
   * the copy that was judged a decoy that does not.
   */
  #inspectCopy(direction: number, packet: Packet, sequence: number): Outcome {
    const { bytes, payloadStart, payloadEnd } = packet;
    const { blockSocks, blockMentions } = this.#policy;
    const head = this.#head;
    const answer = judgeOpening(bytes, payloadStart, payloadEnd, blockSocks, blockMentions, head);
    if (isMatch(answer)) {
      if (answer.strength === "hint") return WAIT;
      return this.found(direction, answer, bytes, payloadStart, payloadEnd);
    }
    if (answer === NEED_MORE) {
      return this.#reopen(direction, bytes, payloadStart, payloadEnd, sequence);
    }
    return WAIT;
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
    let negotiation = this.#negotiationLength(direction, bytes, from, end);
    while (negotiation > 0) {
      if (direction === 0 && flow.targetPort !== ANOTHERS) {
        const next = from + negotiation;
        flow.targetPort = readTarget(bytes, from, next, flow.words, flow.targetAt);
        // Its callers are many, and no suspect of theirs is one host's.
        if (flow.targetPort === ANOTHERS) this.#encrypted.ruleOut();
      }
      from = lesser(from + negotiation, end);
      negotiation = this.#negotiationLength(direction, bytes, from, end);
    }
    if (flow.peeled(direction) !== from - start) {
      flow.setPeeled(direction, from - start);
      flow.setReadings(direction, 0); // what was peeled off is no beginning
    }
    const { blockSocks, blockMentions } = this.#policy;
    // BLOCK_SOCKS judges the negotiation itself, everything else what comes behind it.
    if (blockSocks && from > start) {
      const socks = judgeOpening(bytes, start, end, true, false, this.#head);
      if (isMatch(socks) && socks.strength !== "hint") {
        return this.#finding.set(socks, bytes, start, end);
      }
    }
    if (negotiation < 0) return this.#wantsMore(direction, from - start);
    const answer = judgeOpening(bytes, from, end, blockSocks, blockMentions, this.#head);
    if (answer === NEED_MORE && !this.#isWhole(direction)) {
      const cut = this.#isCut ? detectCutRequest(bytes, from, end) : null;
      if (cut !== null) return this.found(direction, cut, bytes, from, end);
      return this.#wantsMore(direction, from - start);
    }
    if (isMatch(answer) && answer.strength !== "hint") {
      if (!this.#mayBeQuoted(bytes, from, end)) {
        return this.found(direction, answer, bytes, from, end);
      }
      this.setJudged(direction);
      return WAIT;
    }
    if (this.#encrypted.wantsOpening(direction, bytes, from, end)) {
      flow.raise(MEASURING << direction);
      return WAIT;
    }
    // A line that is no HTTP message's first ends that question: a server that gets it hangs up.
    if (!isHttpLike(bytes, from, end) || this.#head.state === NOT_HTTP) {
      this.setJudged(direction);
      return WAIT;
    }
    flow.raise(HTTP << direction);
    this.#http.reset(flow.slot, direction);
    const position = (flow.base(direction) + from - start) | 0;
    return this.#followMessages(direction, bytes, from, end, position, answer);
  }

  /**
   * Of a proxy's negotiation at `from`. To a request other than CONNECT a bare `200 OK` is an answer,
   * and what stands behind it a body, whatever that quotes.
   */
  #negotiationLength(direction: number, bytes: Uint8Array, from: number, end: number): number {
    const flow = this.#flow;
    if (direction === 1 && flow.has(HTTP) && flow.targetPort <= 0) return 0;
    return negotiationLength(bytes, from, end, direction === 0);
  }

  /**
   * Whether what was found may stand in somebody's text: a flow joined in the middle begins with any
   * segment. There a request is whole and alone in it, and a handshake goes on as one.
   */
  #mayBeQuoted(bytes: Uint8Array, from: number, end: number): boolean {
    if (!this.#flow.has(MID_STREAM)) return false;
    if (bytes[from] === HANDSHAKE[0]) return !hasReserved(bytes, from, end);
    const head = this.#head;
    return !head.isResponse && (head.state !== WHOLE_HEAD || head.bodyStart !== end);
  }

  /** Waits for more of an opening, but not beyond what a prefix holds. */
  #wantsMore(direction: number, peeled: number): Outcome {
    const flow = this.#flow;
    flow.setPeeled(direction, peeled);
    const index = flow.prefix(direction);
    if (index >= 0 && this.#prefixes.length(index) >= PREFIX_LENGTH) {
      this.setJudged(direction);
    }
    return WAIT;
  }

  /** An opening is waited for that begins with `[from, end)` at sequence number `position`. */
  #reopen(
    direction: number,
    bytes: Uint8Array,
    from: number,
    end: number,
    position: number,
  ): typeof WAIT {
    const flow = this.#flow;
    const { words } = flow;
    const isJudgedAsItStands = position === ((flow.base(direction) + flow.peeled(direction)) | 0);
    if (isJudgedAsItStands && flow.prefix(direction) >= 0) {
      this.#wantsMore(direction, flow.peeled(direction));
      return WAIT;
    }
    flow.setBase(direction, position);
    flow.setPeeled(direction, 0);
    flow.setReadings(direction, 0);
    flow.lower(OPENING_JUDGED << direction);
    const before = flow.prefix(direction);
    if (before >= 0) this.#prefixes.moveDown(before, from - this.#prefixes.start(before));
    else {this.#prefixes.write(
        this.#prefixes.take(words, flow.prefixAt(direction)),
        0,
        bytes,
        from,
        end,
      );}
    return WAIT;
  }

  setJudged(direction: number): void {
    const flow = this.#flow;
    flow.raise(OPENING_JUDGED << direction);
    flow.lower(MEASURING << direction);
    this.#prefixes.release(flow.words, flow.prefixAt(direction));
  }

  #isJudged(direction: number): boolean {
    return this.#flow.has(OPENING_JUDGED << direction);
  }

  /**
   * A find in a stream. Who has asked a tracker in this flow was found by the request; where only the
   * answer is seen nobody is known to have asked. As little is known of who is called and says a
   * handshake: a client answers one, and a server of raw files sends whatever stands in them.
   */
  found(
    direction: number,
    match: Match,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Outcome {
    if (direction === 1 && match.method === "peer-wire" && !this.#flow.has(MID_STREAM)) {
      match = UNASKED_HANDSHAKE;
    }
    const acted = kindRow(match).doer === "asker" ? SOURCE_END : 0;
    return this.#finding.set(match, bytes, start, end, acted);
  }

  /**
   * A later segment of a direction that speaks HTTP: a tracker asked over a kept-alive connection or
   * through a proxy, a WebSocket frame after the upgrade. Only where a message begins is judged.
   */
  #inspectHttp(direction: number, packet: Packet, sequence: number): Outcome {
    const { slot } = this.#flow;
    const { bytes, payloadStart, payloadEnd } = packet;
    const at = this.#http.find(slot, direction, sequence, bytes, payloadStart, payloadEnd);
    if (at >= 0) {
      const position = (sequence + at - payloadStart) | 0;
      const answer = this.#judgeMessage(direction, bytes, at, payloadEnd);
      return this.#followMessages(direction, bytes, at, payloadEnd, position, answer);
    }
    const beginning = at === GAP ? this.#http.beginning(slot, direction) : null;
    if (beginning === null) return WAIT;
    // The message's first bytes are on their way: put what overtook them in its place.
    const offset = (sequence - beginning) | 0;
    if (offset <= 0 || offset >= PREFIX_LENGTH) return WAIT;
    this.#reopen(direction, bytes, payloadStart, payloadStart, beginning);
    const index = this.#flow.prefix(direction);
    this.#prefixes.write(index, offset, bytes, payloadStart, payloadEnd);
    return WAIT;
  }

  /**
   * HTTP messages one behind the other (pipelined requests, and what comes behind a body), from the
   * one at `from`, whose first byte has the sequence number `position`. One whose head is cut makes
   * this the beginning of a new opening.
   *
   * @param first what the detectors have said of the first one
   */
  #followMessages(
    direction: number,
    bytes: Uint8Array,
    from: number,
    end: number,
    position: number,
    first: StreamAnswer,
  ): Outcome {
    const { slot } = this.#flow;
    const head = this.#head;
    let answer = first;
    for (let messages = 1;; messages++) {
      if (isMatch(answer) && answer.strength !== "hint") {
        return this.found(direction, answer, bytes, from, end);
      }
      const isCut = head.state === CUT_LINE || head.state === CUT_HEAD;
      if (isCut || (answer === NEED_MORE && !this.#isWhole(direction))) {
        const cut = this.#isCut ? detectCutRequest(bytes, from, end) : null;
        if (cut !== null) return this.found(direction, cut, bytes, from, end);
        return this.#reopen(direction, bytes, from, end, position);
      }
      let next = end;
      if (head.state !== NOT_HTTP) {
        if (endsConnection(head, bytes, end)) {
          this.#flow.lower(HTTP * 3);
          break;
        }
        const body = (position + head.bodyStart - from) | 0;
        this.#http.take(slot, direction, head, bytes, body);
        next = this.#http.find(slot, direction, position, bytes, from, end);
      } else if (this.#isRaw(direction, bytes, from, end)) {
        return this.#judgeRaw(direction, bytes, from, end, position);
      } else if (this.#http.hasFrames(slot, direction)) {
        next = websocketFramesEnd(bytes, from, end);
        if (next >= 0) this.#http.resume(slot, direction, (position + next - from) | 0);
        else this.#http.reset(slot, direction);
      } else this.#http.reset(slot, direction); // another protocol
      if (next < 0 || next >= end || messages === MAX_MESSAGES) break;
      position = (position + next - from) | 0;
      from = next;
      answer = this.#judgeMessage(direction, bytes, from, end);
    }
    this.setJudged(direction);
    return WAIT;
  }

  /** Asks the detectors about the HTTP message, or WebSocket frame, `[from, end)`. */
  #judgeMessage(direction: number, bytes: Uint8Array, from: number, end: number): StreamAnswer {
    if (this.#http.hasFrames(this.#flow.slot, direction) && !isHttpLike(bytes, from, end)) {
      this.#head.read(bytes, from, end);
      return detectWebsocketFrame(bytes, from, end);
    }
    return judgeOpening(bytes, from, end, false, this.#policy.blockMentions, this.#head);
  }

  /** What begins with `[from, end)` is judged as a stream of its own. */
  #judgeRaw(
    direction: number,
    bytes: Uint8Array,
    from: number,
    end: number,
    position: number,
  ): Outcome {
    const flow = this.#flow;
    flow.lower(HTTP << direction);
    this.#reopen(direction, bytes, from, end, position);
    const index = flow.prefix(direction);
    if (index < 0 || bytes !== this.#prefixes.bytes) {
      return this.#judge(direction, bytes, from, end);
    }
    // It stood in the prefix buffer, and has been moved to its beginning.
    const start = this.#prefixes.start(index);
    return this.#judge(direction, bytes, start, start + this.#prefixes.length(index));
  }

  /**
   * Whether another stream begins there: a proxy's that is dressed up as a request's body that no header
   * tells of, or behind an upgrade to WebSocket what is no frame (v2ray's "httpupgrade"). Such a request
   * passes through load balancers, so that what follows is held against nobody.
   */
  #isRaw(direction: number, bytes: Uint8Array, from: number, end: number): boolean {
    const flow = this.#flow;
    if (!this.#http.isUpgraded(flow.slot, direction)) {
      return !this.#http.hasFrames(flow.slot, direction) &&
        this.#negotiationLength(direction, bytes, from, end) !== 0;
    }
    if (beginsWebsocket(bytes, from)) return false;
    flow.targetPort = ANOTHERS;
    return true;
  }

  /** Whether the message is an answer that has no body: more will not come for it. */
  #isWhole(direction: number): boolean {
    const { isResponse, state } = this.#head;
    return isResponse && state === WHOLE_HEAD &&
      this.#http.isAskedForHead(this.#flow.slot, direction);
  }

  /** Whether all that the initiator has said is one whole request of HTTP, and no more need be known of it. */
  hasAsked(): boolean {
    const flow = this.#flow;
    if (!flow.hasAll(BASE_KNOWN * 3 | OPENING_JUDGED | HTTP)) return false;
    if (flow.peeled(0) !== 0 || this.#policy.blockMentions) return false;
    const end = (flow.base(0) + flow.bytes(0)) | 0;
    return flow.next(0) === end && this.#http.hasAsked(flow.slot, 0, end);
  }

  /**
   * A line that the other side answers before its end is no request: a server of HTTP reads all of it
   * first. So chats and terminals are let go that never end a line. An HTTP response in `direction` may
   * tell of a time that has run out, and a proxy answers each step of its negotiation.
   */
  endAnsweredLine(direction: number, { acknowledgement }: Packet): void {
    const flow = this.#flow;
    const other = 1 - direction;
    const index = flow.prefix(other);
    if (index < 0 || this.#isJudged(other) || flow.has(MID_STREAM | HTTP << other)) return;
    if (flow.peeled(other) !== 0 || ((acknowledgement - flow.base(other)) | 0) <= 0) return;
    const prefixes = this.#prefixes;
    const start = prefixes.start(index);
    if (!isCutLine(prefixes.bytes, start, start + prefixes.length(index), this.#head)) return;
    if (this.#mayAnswerHttp(direction)) return;
    this.#encrypted.ruleOut();
    this.setJudged(other);
  }

  /** Whether the direction's stream begins as an HTTP response, or nobody knows yet. */
  #mayAnswerHttp(direction: number): boolean {
    const flow = this.#flow;
    if (this.#isJudged(direction)) return flow.has(HTTP << direction);
    const index = flow.prefix(direction);
    const length = index < 0 ? 0 : this.#prefixes.length(index);
    if (length === 0) return true;
    const start = this.#prefixes.start(index);
    this.#head.read(this.#prefixes.bytes, start, start + length);
    return this.#head.isResponse;
  }
}
