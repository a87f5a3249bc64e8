/**
 * uTP over time. Spec: BEP 29. One header proves nothing; these do, each `strong`:
 *
 * - **opened**: a SYN, and from the other side a packet with the SYN's connection id that
 *   acknowledges its sequence number (32 bits that only a reader of the SYN can know);
 * - **continued**: one direction only, a SYN and then the next sequence number on id + 1;
 * - **repeated**: one direction only, the same SYN sent again, its clock moved by as much as ours;
 * - **two-way**: a connection older than the blocker: the ids of the directions stay the same and
 *   differ by one, each side acknowledges what the other sent, and the timestamp differences follow
 *   the other side's clock, seen twice in three headers or more;
 * - **one-way**: the other direction is out of sight: id, sequence and acknowledgement numbers go on
 *   as they should, the timestamps are a microsecond clock that agrees with ours, and the timestamp
 *   difference behaves as a path does: it goes up and down by little around what the two clocks are
 *   apart. Telemetry has clocks and sequence numbers too; so besides, the headers must differ as
 *   those of a connection do (data, and acknowledgements that take no sequence number), or be a long
 *   run of full datagrams.
 *
 * Several connections may share a pair of sockets: the first that is seen is followed, the others'
 * headers are left aside, until it has been silent for some.
 *
 * What looks like uTP without being it (CAPWAP, WireGuard, calls, games) fails on the ids, which
 * are equal or change, or on the clock, which is a constant, a counter or noise.
 */
import { i32be } from "../packet/bytes.ts";
import { type Match, match } from "../protocols/match.ts";
import { GRID, judgeMessage } from "../protocols/peer_wire/message.ts";
import {
  detectUtp,
  isFreshSyn,
  ST_SYN,
  utpAckNr,
  utpConnectionId,
  utpExtensionsEnd,
  utpHeaderEnd,
  utpSeqNr,
  utpTimestamp,
  utpTimestampDifference,
  utpType,
  utpWindow,
} from "../protocols/utp/detect.ts";
import { UtpPaths } from "./utp_path.ts";

/** A flow's state here: 4 bytes, and 16 words. */
const WORDS = 17;
const BYTES = WORDS * 4;

/** Bytes of the first word. */
const FLAGS = 0;
const HEADERS = 1; // headers that continue one another
const AGREEMENTS = 2; // timestamp differences that follow the other side's clock
const CONFLICTS = 3;

/** Words, for direction 0; those of direction 1 follow. */
const ID_SEQ = 1; // connection id << 16 | sequence number, latest header
const ACK = 2;
const TIMESTAMP = 3;
const TIME = 4; // when it was seen, µs modulo 2^32
const ANCHOR_TIMESTAMP = 5; // the header that the clock is compared with
const ANCHOR_TIME = 6;
const SYN_ID_SEQ = 7;
const WORDS_PER_DIRECTION = 7;
/** µs modulo 2^32 of the first header, and how many headers were of other connections in a row. */
const FIRST_TIME = 15;
const OTHERS = 16;

/** Flags; `<< direction` for the first three. */
const SEEN = 0x01;
const SYN_SEEN = 0x04;
const FRESH_SYN = 0x10;
const CLOCK_MOVED = 0x40;
const ADVANCED = 0x80;

/** Packets in flight that a loss or a reordering may jump over. */
const SEQUENCE_WINDOW = 512;
/** The blocker may have missed a few packets that the other side got. */
const ACK_AHEAD = 16;
/**
 * A clock is compared over this span or more, µs. Two clocks agree within an eighth of the span
 * (drift, a path's jitter) and what batching adds.
 */
const CLOCK_SPAN = 10_000;
const BATCHING = 1_000;
/** At high rates so short a span says as much, where the times themselves are that exact, µs. */
const SHORT_SPAN = 1_000;
const EXACT = 64;
/** No client offers less while data flows; protocols of small fields have less there. */
const MIN_WINDOW = 4096;
/** Headers of other connections after which the one that is followed is taken for finished. */
const MAX_OTHERS = 64;
/** The same while one header was all of it. */
const MAX_OTHERS_OF_ONE = 2;
/** A flow of hints is young for so long, µs: fast ones need more datagrams to show a clock. */
const YOUNG = 60_000;
/** A path's jitter, µs, where a time is only asked to be plausible. */
const JITTER = 25_000;
/** A SYN comes again after a second or more, µs. */
const REPEAT_SPAN = 500_000;
/** More than any jitter, µs: this field is no such clock. */
const CLOCK_CONFLICT = 500_000;
/** A round trip, µs: the header may answer an earlier one than the last we saw. */
const ROUND_TRIP = 500_000;
/** Differences are compared within this time after the other side's header, µs. */
const DIFFERENCE_SPAN = 30_000_000;
/** libutp's "not known yet"; libtorrent and libutp also send 0. */
const UNKNOWN_DIFFERENCE = 0x7fff_ffff;
/** Bytes that a piece's header and a request have at least. */
const BLOCK_MESSAGE = 13;
const PEER_WIRE_FIRST = 0x13; // BEP 3: the length of the protocol's name
const ENOUGH_HEADERS = 3;
const ENOUGH_AGREEMENTS = 2;
/** After so many contradictions a flow is no longer called uTP-like. */
const MAX_CONFLICTS = 4;

const OPENED = match("utp", "opened", "strong", "uTP connection opened");
const CONTINUED = match("utp", "continued", "strong", "uTP SYN followed by its connection");
const REPEATED = match("utp", "repeated", "strong", "uTP SYN repeated on a microsecond clock");
const TWO_WAY = match("utp", "two-way", "strong", "uTP headers in both directions agree");
const ONE_WAY = match("utp", "one-way", "strong", "uTP headers agree with the clock");
/** A header's form and the fields of a 16 KiB block: over 110 bits. */
const PEER_MESSAGE = match("utp", "message", "strong", "peer wire message in uTP");
/** A SYN as clients send it: 64 fixed bits. Wait for the answer, or ask what else the host does. */
export const UTP_SYN_HINT: Match = match("utp", "syn", "hint", "uTP SYN");
/** Headers that continue one another. */
export const UTP_HEADER_HINT: Match = match("utp", "header", "hint", "uTP header");

/** uTP state of all flows; `slot` is the flow table's index. */
export class UtpFlows {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #paths: UtpPaths;

  constructor(slots: number) {
    this.#words = new Int32Array(slots * WORDS);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#paths = new UtpPaths(slots * 2);
  }

  /** Forgets the flow that was in `slot`. */
  reset(slot: number): void {
    this.#words.fill(0, slot * WORDS, (slot + 1) * WORDS);
    this.#paths.reset(slot * 2);
    this.#paths.reset(slot * 2 + 1);
  }

  /**
   * A whole datagram of the flow, `direction` 0 from the side seen first. `timeMs` is the packet's
   * time (fractions count). A hint means: not decided, more packets wanted; null: nothing here.
   */
  observe(
    slot: number,
    direction: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    timeMs: number,
  ): Match | null {
    if (utpExtensionsEnd(bytes, start, end) < 0) return null;
    const payload = utpHeaderEnd(bytes, start, end);
    if (payload >= 0 && payload < end && bytes[payload] === PEER_WIRE_FIRST) {
      const handshake = detectUtp(bytes, start, end);
      if (handshake !== null) return handshake;
    }
    if (payload >= 0 && end - payload >= BLOCK_MESSAGE && isBlockMessage(bytes, payload, end)) {
      return PEER_MESSAGE;
    }
    const now = (timeMs * 1000) | 0;
    const at = slot * WORDS;
    if (this.#words[at] === 0) this.#words[at + FIRST_TIME] = now;
    const opening = this.#observeOpening(slot, direction, bytes, start, end, now);
    if (opening !== null || payload < 0 || utpType(bytes, start) === ST_SYN) return opening;
    if (this.#isOther(slot, utpConnectionId(bytes, start))) return this.#hint(slot);
    return this.#observeRunning(slot, direction, bytes, start, end - payload, now);
  }

  /** Whether the direction has had headers. */
  hasHeaders(slot: number, direction: number): boolean {
    return (this.#bytes[slot * BYTES + FLAGS] & ((SEEN | SYN_SEEN) << direction)) !== 0;
  }

  /** Whether the flow's first header is so recent that more datagrams are worth a look. */
  isYoung(slot: number, timeMs: number): boolean {
    return (((timeMs * 1000) | 0) - this.#words[slot * WORDS + FIRST_TIME] | 0) < YOUNG;
  }

  /** Whether the id is another connection's than the one followed, which is not silent yet. */
  #isOther(slot: number, id: number): boolean {
    const words = this.#words;
    const at = slot * WORDS;
    const flags = this.#bytes[slot * BYTES + FLAGS];
    const followed = (flags & SEEN) !== 0
      ? words[at + ID_SEQ] >>> 16
      : (flags & (SEEN << 1)) !== 0
      ? words[at + WORDS_PER_DIRECTION + ID_SEQ] >>> 16
      : id;
    const step = ((id - followed) << 16) >> 16;
    if (step >= -1 && step <= 1) {
      words[at + OTHERS] = 0;
      return false;
    }
    const conflicts = slot * BYTES + CONFLICTS;
    const allowed = this.#bytes[slot * BYTES + HEADERS] < 2 ? MAX_OTHERS_OF_ONE : MAX_OTHERS;
    if (++words[at + OTHERS] > allowed) {
      // Begin with this one. Ids that change all the time are nobody's.
      words[at + OTHERS] = 0;
      if (this.#bytes[conflicts] < 255) this.#bytes[conflicts]++;
      this.#forget(slot, 0);
      this.#forget(slot, 1);
      return false;
    }
    return true;
  }

  /** Forgets the headers of one direction. */
  #forget(slot: number, direction: number): void {
    this.#restart(slot, direction);
    this.#bytes[slot * BYTES + FLAGS] &= ~(SEEN << direction);
  }

  /** What is said of a header that decides nothing. */
  #hint(slot: number): Match | null {
    const at = slot * BYTES;
    return this.#bytes[at + HEADERS] >= 2 && this.#bytes[at + CONFLICTS] < MAX_CONFLICTS
      ? UTP_HEADER_HINT
      : null;
  }

  /** SYNs, and what follows them. Null when this packet has nothing to do with a SYN. */
  #observeOpening(
    slot: number,
    direction: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    now: number,
  ): Match | null {
    const words = this.#words;
    const flagsAt = slot * BYTES + FLAGS;
    const flags = this.#bytes[flagsAt];
    const isSyn = utpType(bytes, start) === ST_SYN;
    if (!isSyn && (flags & (SYN_SEEN | SYN_SEEN << 1)) === 0) return null;
    const at = slot * WORDS + direction * WORDS_PER_DIRECTION;
    const id = utpConnectionId(bytes, start);
    const seq = utpSeqNr(bytes, start);
    const idSeq = id << 16 | seq;
    const ownSyn = (flags & (SYN_SEEN << direction)) !== 0;
    if (isSyn) {
      if (id === 0 || seq === 0) return null; // a protocol full of zeros would answer itself
      const fresh = isFreshSyn(bytes, start, end);
      const again = ownSyn && words[at + SYN_ID_SEQ] === idSeq;
      const moved = this.#clockMoved(at, bytes, start, now, BATCHING);
      if (again && fresh && moved >= REPEAT_SPAN) return REPEATED;
      if (!again) {
        words[at + SYN_ID_SEQ] = idSeq;
        words[at + TIMESTAMP] = utpTimestamp(bytes, start);
        words[at + TIME] = now;
        const kept = flags & ~((SEEN | FRESH_SYN) << direction);
        this.#bytes[flagsAt] = kept | ((SYN_SEEN | (fresh ? FRESH_SYN : 0)) << direction);
      }
      return fresh ? UTP_SYN_HINT : null;
    }
    const otherSyn = (flags & (SYN_SEEN << (1 - direction))) !== 0;
    if (otherSyn) {
      const other = slot * WORDS + (1 - direction) * WORDS_PER_DIRECTION;
      if (words[other + SYN_ID_SEQ] === (id << 16 | utpAckNr(bytes, start))) return OPENED;
    }
    if (ownSyn && (flags & (FRESH_SYN << direction)) !== 0) {
      const syn = words[at + SYN_ID_SEQ];
      const next = (((syn >>> 16) + 1) & 0xffff) << 16 | ((syn + 1) & 0xffff);
      // The SYN's header is the latest of this direction until another one came.
      if (
        next === idSeq && (flags & (SEEN << direction)) === 0 &&
        this.#clockMoved(at, bytes, start, now, JITTER) > 0
      ) return CONTINUED;
    }
    return null;
  }

  /** By how many µs the timestamp moved since this direction's latest header; 0: not as our clock. */
  #clockMoved(at: number, bytes: Uint8Array, start: number, now: number, slack: number): number {
    const elapsed = (now - this.#words[at + TIME]) | 0;
    const moved = (utpTimestamp(bytes, start) - this.#words[at + TIMESTAMP]) | 0;
    return moved > 0 && agrees(moved, elapsed, slack) ? moved : 0;
  }

  /** Connections whose SYN was not seen. */
  #observeRunning(
    slot: number,
    direction: number,
    bytes: Uint8Array,
    start: number,
    payloadLength: number,
    now: number,
  ): Match | null {
    const words = this.#words;
    const counts = this.#bytes;
    const countsAt = slot * BYTES;
    const at = slot * WORDS + direction * WORDS_PER_DIRECTION;
    const id = utpConnectionId(bytes, start);
    const seq = utpSeqNr(bytes, start);
    const ack = utpAckNr(bytes, start);
    const timestamp = utpTimestamp(bytes, start);
    const flags = counts[countsAt + FLAGS];

    if ((flags & (SEEN << direction)) === 0 || words[at + ID_SEQ] >>> 16 !== id) {
      if ((flags & (SEEN << direction)) !== 0) this.#restart(slot, direction);
      this.#anchor(at, timestamp, now);
    } else {
      const seqStep = ((seq - words[at + ID_SEQ]) << 16) >> 16;
      const ackStep = ((ack - words[at + ACK]) << 16) >> 16;
      // A mirror's copy of the datagram before: who sends again stamps a later time on it.
      if (seqStep === 0 && ackStep === 0 && timestamp === words[at + TIMESTAMP]) {
        return this.#hint(slot);
      }
      if (!isStep(seqStep) || !isStep(ackStep)) {
        this.#restart(slot, direction);
        this.#anchor(at, timestamp, now);
      } else {
        if (seqStep > 0 || ackStep > 0) counts[countsAt + FLAGS] |= ADVANCED;
        this.#paths.count(slot * 2 + direction, utpType(bytes, start), payloadLength, seqStep);
        // An established connection has received something: fields of zeros are no evidence.
        const established = ack !== 0 && isKnown(utpTimestampDifference(bytes, start));
        this.#compareClock(slot, direction, timestamp, now, established);
      }
    }
    counts[countsAt + FLAGS] |= SEEN << direction;
    words[at + ID_SEQ] = id << 16 | seq;
    words[at + ACK] = ack;
    words[at + TIMESTAMP] = timestamp;
    words[at + TIME] = now;
    if (counts[countsAt + HEADERS] < 255) counts[countsAt + HEADERS]++;
    const difference = utpTimestampDifference(bytes, start);
    if (isKnown(difference)) this.#paths.follow(slot * 2 + direction, difference);
    this.#compareDirections(slot, direction, difference);

    const headers = counts[countsAt + HEADERS];
    const goesOn =
      (counts[countsAt + FLAGS] & (ADVANCED | CLOCK_MOVED)) === (ADVANCED | CLOCK_MOVED);
    if (goesOn && headers >= ENOUGH_HEADERS) {
      if (counts[countsAt + AGREEMENTS] >= ENOUGH_AGREEMENTS) return TWO_WAY;
      if (utpWindow(bytes, start) >= MIN_WINDOW && this.#paths.isConnection(slot * 2 + direction)) {
        return ONE_WAY;
      }
    }
    return this.#hint(slot);
  }

  #anchor(at: number, timestamp: number, now: number): void {
    this.#words[at + ANCHOR_TIMESTAMP] = timestamp;
    this.#words[at + ANCHOR_TIME] = now;
  }

  /** The direction contradicts what was assumed of it: begin anew, and remember that it did. */
  #restart(slot: number, direction: number): void {
    const at = slot * BYTES;
    this.#bytes[at + FLAGS] &= ~(CLOCK_MOVED | ADVANCED);
    this.#bytes[at + HEADERS] = 0;
    this.#bytes[at + AGREEMENTS] = 0;
    this.#paths.restart(slot * 2 + direction);
    if (this.#bytes[at + CONFLICTS] < 255) this.#bytes[at + CONFLICTS]++;
  }

  /** The sender's clock against ours, since the anchor. */
  #compareClock(
    slot: number,
    direction: number,
    timestamp: number,
    now: number,
    established: boolean,
  ): void {
    const words = this.#words;
    const at = slot * WORDS + direction * WORDS_PER_DIRECTION;
    const countsAt = slot * BYTES;
    const step = (timestamp - words[at + TIMESTAMP]) | 0;
    if (step > 0 && agrees(step, (now - words[at + TIME]) | 0, JITTER)) {
      this.#bytes[countsAt + FLAGS] |= CLOCK_MOVED;
    }
    const elapsed = (now - words[at + ANCHOR_TIME]) | 0;
    if (elapsed < SHORT_SPAN) return;
    const moved = (timestamp - words[at + ANCHOR_TIMESTAMP]) | 0;
    if (elapsed < CLOCK_SPAN && !agrees(moved, elapsed, EXACT)) return; // our times may be rounded
    if (agrees(moved, elapsed, BATCHING)) {
      if (established) this.#paths.agree(slot * 2 + direction);
      this.#anchor(at, timestamp, now);
    } else if (Math.abs(moved - elapsed) > CLOCK_CONFLICT + (elapsed >> 2)) {
      this.#restart(slot, direction);
      this.#anchor(at, timestamp, now);
    } // else jitter: the anchor stays, over a longer span it weighs less
  }

  /** The latest headers of both directions against each other. */
  #compareDirections(slot: number, direction: number, difference: number): void {
    const words = this.#words;
    const countsAt = slot * BYTES;
    if ((this.#bytes[countsAt + FLAGS] & (SEEN << (1 - direction))) === 0) return;
    const at = slot * WORDS + direction * WORDS_PER_DIRECTION;
    const other = slot * WORDS + (1 - direction) * WORDS_PER_DIRECTION;
    const idStep = ((words[at + ID_SEQ] >> 16) - (words[other + ID_SEQ] >> 16)) << 16;
    if (idStep !== 1 << 16 && idStep !== -1 << 16) {
      this.#restart(slot, direction);
      this.#bytes[countsAt + FLAGS] &= ~(SEEN << (1 - direction));
      return;
    }
    const unacknowledged = ((words[other + ID_SEQ] - words[at + ACK]) << 16) >> 16;
    if (unacknowledged < -ACK_AHEAD || unacknowledged > SEQUENCE_WINDOW) {
      this.#restart(slot, direction);
      return;
    }
    if (!isKnown(difference)) return;
    // Fields that hold small numbers agree with each other by accident; a clock rarely is small.
    const timestamp = words[at + TIMESTAMP];
    const otherTimestamp = words[other + TIMESTAMP];
    if (timestamp >>> 20 === 0 || otherTimestamp >>> 20 === 0) return;
    const elapsed = (words[at + TIME] - words[other + TIME]) | 0;
    if (elapsed < 0 || elapsed > DIFFERENCE_SPAN) return;
    // What it subtracted is the other's clock, give or take the path: held no longer than we saw.
    const held = (timestamp - difference - otherTimestamp) | 0;
    if (held < -ROUND_TRIP || held > elapsed + JITTER) return;
    if (this.#bytes[countsAt + AGREEMENTS] < 255) this.#bytes[countsAt + AGREEMENTS]++;
  }
}

/** Whether a request or a piece of 16 KiB begins at `at`, deep enough in a torrent to be no table's. */
function isBlockMessage(bytes: Uint8Array, at: number, end: number): boolean {
  return bytes[at] === 0 && judgeMessage(bytes, at, end) === GRID && i32be(bytes, at + 9) > 0;
}

function isKnown(difference: number): boolean {
  return difference !== 0 && difference !== UNKNOWN_DIFFERENCE;
}

function isStep(step: number): boolean {
  return step >= -SEQUENCE_WINDOW && step <= SEQUENCE_WINDOW;
}

/** Whether two durations in µs are the same but for drift, jitter and `slack`. */
function agrees(moved: number, elapsed: number, slack: number): boolean {
  const off = moved - elapsed;
  const tolerance = slack + (elapsed >> 3);
  return off <= tolerance && off >= -tolerance;
}
