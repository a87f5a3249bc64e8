import { ACK, type Packet } from "../packet/packet.ts";
import {
  ALIGNED,
  ALIGNED_MASK,
  DATA_SEEN,
  type FlowRecord,
  HAVE_SEEN,
  HEADER_SEEN,
  MID_STREAM,
  REQUEST_MARKED,
  REQUESTER,
} from "./flow_record.ts";
import { BARE_MESSAGE, HAVE, PIECE, REQUEST } from "./message_lengths.ts";
import { AMBIGUOUS, countKinds, kindOfSum } from "./request_sums.ts";

/**
 * What encryption does not hide of the side that asks: RC4 keeps lengths. A downloading peer sends
 * little but `request` (17 bytes, BEP 3) and `have` (9 bytes), alone or a few together; for each
 * request comes a `piece` of 16 KiB and 13 bytes, and most clients send the next request when a block
 * has arrived: what the segment acknowledges then is a whole number of blocks, and less than a
 * segment more, after what the one before did.
 *
 * One of these agreements is not enough: remote control over a bare stream cipher answers 17 bytes
 * with anything, and a count of bytes agrees with a count of messages now and then.
 */

/** Haves that go along with requests in one segment; in a longer one almost any length is some of each. */
const MAX_HAVES = 3;
const ANY_HAVES_BELOW = 128;
/** Longer segments are no requests but data, or a handshake. */
const MAX_SEGMENT = 600;
/** A block's end arrives somewhere in a segment, which is acknowledged whole. */
const MAX_BEHIND_BLOCK = 1460;

/** Segments, and requests in them, that make a rhythm. */
const MIN_SEGMENTS = 12;
const MIN_BARE_ALONE = 5;
const MIN_REQUESTS = 8;
/** Requests behind blocks' ends, less others, that agree. By chance each is one in six. */
const MIN_ALIGNED = 8;
const MIN_ALIGNED_WITH_EVIDENCE = 5;
/** Blocks that were asked for before the flow was joined, and such as a message of several asked for. */
const MOST_AHEAD = 4;
const MOST_TO_A_REQUEST = 1.5;
/** Segments that make a flow one of a swarm's, nearly all of them conforming. */
const MIN_SWARM_SEGMENTS = 3;

/**
 * Of these so many must be shorter than this: a request, a have, two haves. What authenticates every
 * packet sends none of 9 or 17 bytes, but the rest of a long write may have any length by chance.
 */
const MIN_BARE = 3;
/** And at least one of so many: a constant rest of long writes may conform by chance each time. */
const MOST_TO_A_BARE = 4;
const BARE_LENGTH = 19;

/** Of a side that asks at most one message in so many, and one more, is neither request nor have. */
const MOST_TO_OTHER = 4;
/**
 * Nor where its messages may be sums of any number of haves, of so many kinds: of sizes below 100 that a
 * program may have each is one of two by chance, and three sizes have three kinds.
 */
const MOST_SUMS_TO_OTHER = 7;
const MIN_KINDS = 4;
/** Of what the other side says between blocks 17 n bytes are one length in 17. */
const KINDS_OF_REFUSED = 2;

/**
 * Counts of a direction, packed into one word, each stopping at its most: requests (bits 0…9),
 * conforming segments (10…17), other short ones (18…23), the shortest conforming ones (24…31).
 */
const REQUESTS = 0;
const REQUESTS_MASK = 0x3ff;
const CONFORMING = 10;
const CONFORMING_MASK = 0xff;
const OTHER = 18;
const OTHER_MASK = 0x3f;
const BARE = 24;
const BARE_MASK = 0xff;

export const NO_RHYTHM = 0;
/** Short segments of a direction are haves and requests: counts beside other flows' of the host. */
const SWARM_RHYTHM = 1;
/** Requests and pieces agree in number; decides with a second agreement. */
export const CLEAR_RHYTHM = 2;
export type Rhythm = 0 | 1 | 2;

/** Counts the segments of encrypted flows; state in the flow's record. */
export class RequestRhythm {
  readonly #flow: FlowRecord;

  constructor(flow: FlowRecord) {
    this.#flow = flow;
  }

  /** Counts a segment of new data and says what the direction's segments look like by now. */
  observe(direction: number, packet: Packet): Rhythm {
    const length = packet.payloadLength;
    if (length === 0 || length > MAX_SEGMENT) return NO_RHYTHM;
    const flow = this.#flow;
    const requests = requestsIn(length);
    if (flow.has(MID_STREAM) && flow.bytes(direction) < flow.bytes(1 - direction)) {
      this.#noteSum(direction, length, requests < 0);
    }
    if (requests < 0) {
      flow.setRhythm(direction, add(flow.rhythm(direction), OTHER, OTHER_MASK, 1));
      const isOfAsker = flow.bytes(direction) < flow.bytes(1 - direction);
      if (isOfAsker && length > BARE_MESSAGE) this.takeBack();
      return NO_RHYTHM;
    }
    let counts = add(flow.rhythm(direction), CONFORMING, CONFORMING_MASK, 1);
    counts = add(counts, REQUESTS, REQUESTS_MASK, requests);
    if (length < BARE_LENGTH) counts = add(counts, BARE, BARE_MASK, 1);
    flow.setRhythm(direction, counts);
    // Who asks for pieces gets more than it sends; the rest of this side's own writes is no request.
    if (flow.bytes(direction) >= flow.bytes(1 - direction)) return NO_RHYTHM;
    if (length === HAVE) flow.noteLength(HAVE_SEEN);
    if (requests > 0) this.#align(direction, packet);
    return judge(counts, flow.bytes(1 - direction) / PIECE);
  }

  /** Whether requests were sent just when blocks had arrived, often enough to decide alone. */
  get isAligned(): boolean {
    return this.#aligned >= MIN_ALIGNED && this.hasHaves;
  }

  /** The same, often enough beside evidence. */
  get isSomewhatAligned(): boolean {
    return this.#aligned >= MIN_ALIGNED_WITH_EVIDENCE;
  }

  /**
   * Whether what `direction` says is what asks for blocks, as far as it says anything: few of its short
   * messages are of other lengths. A program with one size of data may have a block's by chance; then
   * what answers it must be that of requests too. aria2 says of many small pieces at once that it has
   * them: lengths which every second one is, so that they must be of many kinds.
   *
   * @param isBeside whether more is known of the host: else some message must be too short for
   *   authenticated encryption
   */
  mayAsk(direction: number, isBeside: boolean): boolean {
    const flow = this.#flow;
    const counts = flow.rhythm(direction);
    const other = (counts >>> OTHER) & OTHER_MASK;
    const conforming = (counts >>> CONFORMING) & CONFORMING_MASK;
    if (!flow.has(MID_STREAM)) return other * MOST_TO_OTHER <= conforming;
    if (other * MOST_TO_OTHER <= conforming) return this.#isNoConstant(counts);
    const refused = flow.refusedKinds;
    const kinds = countKinds(flow.sumKinds) + KINDS_OF_REFUSED * countKinds(refused);
    const isBare = refused !== 0 || ((counts >>> BARE) & BARE_MASK) !== 0;
    if (kinds < MIN_KINDS || (!isBare && !(isBeside && kinds > MIN_KINDS))) return false;
    const { otherSums: sums, ambiguous } = flow;
    return (other - sums - ambiguous) * MOST_SUMS_TO_OTHER <= conforming + sums;
  }

  /**
   * Whether more speaks for blocks than one size of data that is whole blocks by chance, and what a program
   * answers to it: a message too short for authenticated encryption, many kinds, a block's header, or blocks
   * that nobody has answered.
   */
  #isNoConstant(counts: number): boolean {
    const flow = this.#flow;
    const isAnswered = ((counts >>> CONFORMING) & CONFORMING_MASK) !== 0;
    const isBare = ((counts >>> BARE) & BARE_MASK) !== 0;
    return !isAnswered || isBare || flow.hasFact(HEADER_SEEN) ||
      countKinds(flow.sumKinds) >= MIN_KINDS;
  }

  /** Whether a message had `have`'s length. */
  get hasHaves(): boolean {
    return this.#flow.hasLength(HAVE_SEEN);
  }

  /** The block that was asked for is none of BitTorrent's: takes an agreement back. */
  takeBack(): void {
    if (this.#aligned > 0) this.#setAligned(this.#aligned - 1);
  }

  /**
   * Whether no more blocks have come to who asks than it has asked for, roughly: of what a program says
   * behind each of its own blocks one in some may be as long as a request.
   */
  areAskedFor(direction: number): boolean {
    const flow = this.#flow;
    const requests = (flow.rhythm(direction) >>> REQUESTS) & REQUESTS_MASK;
    return flow.bytes(1 - direction) / PIECE <= MOST_AHEAD + requests * MOST_TO_A_REQUEST;
  }

  /** Whether the flow may still turn out to have the rhythm, by the side that sends less. */
  isPossible(): boolean {
    const flow = this.#flow;
    const counts = flow.rhythm(flow.bytes(0) <= flow.bytes(1) ? 0 : 1);
    const other = (counts >>> OTHER) & OTHER_MASK;
    const bare = (counts >>> BARE) & BARE_MASK;
    return bare > 0 && other <= 4 + ((counts >>> CONFORMING) & CONFORMING_MASK) / 3;
  }

  /** Notes a message of who asks, in a flow that was joined in the middle, as sums with many haves. */
  #noteSum(direction: number, length: number, isOther: boolean): void {
    const flow = this.#flow;
    const kind = length < AMBIGUOUS ? kindOfSum(length) : 0;
    flow.sumKinds |= kind;
    const others = (flow.rhythm(direction) >>> OTHER) & OTHER_MASK;
    if (!isOther || others === OTHER_MASK) return;
    if (kind !== 0) flow.otherSums++;
    else if (length >= AMBIGUOUS) flow.ambiguous++;
  }

  get #aligned(): number {
    return (this.#flow.lengths >>> ALIGNED) & ALIGNED_MASK;
  }

  /** Compares what had arrived when this request was sent with what had when the last one did. */
  #align(direction: number, packet: Packet): void {
    const flow = this.#flow;
    // Until there is data the mark is of turns.ts.
    if (!flow.has(MID_STREAM) && !flow.hasLength(DATA_SEEN)) return;
    if ((packet.flags & ACK) === 0) return;
    const requester = direction === 0 ? 0 : REQUESTER;
    const isMarked = (flow.lengths & (REQUEST_MARKED | REQUESTER)) === (REQUEST_MARKED | requester);
    const distance = (packet.acknowledgement - flow.requestMark) | 0;
    const pieces = Math.round(distance / PIECE);
    if (isMarked && Math.abs(distance - pieces * PIECE) <= MAX_BEHIND_BLOCK) {
      // Asked ahead, without a block in between: a shell's lines, with answers of a few bytes, are too.
      if (pieces <= 0) return;
      flow.requestMark = (flow.requestMark + pieces * PIECE) | 0;
      this.#setAligned(this.#aligned + 1);
      return;
    }
    const left = isMarked ? this.#aligned - 1 : 0;
    this.#setAligned(Math.max(0, left));
    if (left > 0) return;
    flow.lengths = (flow.lengths & ~REQUESTER) | REQUEST_MARKED | requester;
    flow.requestMark = packet.acknowledgement;
  }

  #setAligned(count: number): void {
    const flow = this.#flow;
    const next = Math.min(count, ALIGNED_MASK);
    flow.lengths = (flow.lengths & ~(ALIGNED_MASK << ALIGNED)) | (next << ALIGNED);
  }
}

function judge(counts: number, pieces: number): Rhythm {
  const conforming = (counts >>> CONFORMING) & CONFORMING_MASK;
  const other = (counts >>> OTHER) & OTHER_MASK;
  const requests = (counts >>> REQUESTS) & REQUESTS_MASK;
  const bare = (counts >>> BARE) & BARE_MASK;
  if (bare < MIN_BARE || bare * MOST_TO_A_BARE < conforming) return NO_RHYTHM;
  if (
    conforming >= MIN_SEGMENTS && bare >= MIN_BARE_ALONE && other * 5 <= conforming &&
    requests >= MIN_REQUESTS &&
    Math.abs(pieces - requests) <= 2 + requests / 3
  ) return CLEAR_RHYTHM;
  return conforming >= MIN_SWARM_SEGMENTS && other * 4 <= conforming && pieces >= 1
    ? SWARM_RHYTHM
    : NO_RHYTHM;
}

/** A count of the packed word raised, but not beyond its most. */
function add(counts: number, shift: number, mask: number, by: number): number {
  const sum = Math.min(((counts >>> shift) & mask) + by, mask);
  return (counts & ~(mask << shift)) | (sum << shift);
}

/** Most requests in a segment that is made of requests and haves, or -1. */
function requestsIn(length: number): number {
  if (length < ANY_HAVES_BELOW && length % HAVE === 0) return 0;
  for (let haves = 0; haves <= MAX_HAVES; haves++) {
    const rest = length - haves * HAVE;
    if (rest >= 0 && rest % REQUEST === 0) return rest / REQUEST;
  }
  return -1;
}
