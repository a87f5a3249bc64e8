import { ACK, type Packet } from "../packet/packet.ts";
import type { FlowRecord } from "./flow_record.ts";
import { BARE_MESSAGE, HAVE, KEEP_ALIVE, PIECE, REQUEST } from "./message_lengths.ts";
import { AMBIGUOUS, countKinds, greatestDivisor } from "./request_sums.ts";

/**
 * What joined flows show however slow the path is. Where a seeder's writes pile up in front of it,
 * its stream is one of full segments without an end; but who downloads still says, block by block,
 * what it asks for next and what it has: messages of 17 r + 9 h bytes (`request` and `have`, BEP 3),
 * with r the number of blocks that have come since the last one. Counted in the streams' sequence
 * numbers this is exact, whatever segments there are: what was acknowledged, less 16 397 bytes for
 * each request, stays within a block and a half.
 *
 * A message of such a length is one in eight among small ones of any size. Programs have few sizes
 * rather than any, so kinds count besides: the proportion of r to h, which is the same for some
 * messages of one size that were joined on the way.
 */

/** Haves of one message. */
const MOST_HAVES = 6;
/** Longer ones are no requests but data, or a handshake. */
const MAX_MESSAGE = 600;
/** A block is asked for when the one before it has been read, which may be late or early by some. */
const MOST_APART = PIECE + PIECE / 2;
/** What authenticates every message sends none of 9 or 17 bytes. */
const BARE_LENGTH = 18;

/** What a message out of pace takes back, and one of which nothing can be said. */
const OUT_OF_PACE = 2;
const UNKNOWN = 1;

/** The word of counts: requests since the mark, messages in pace less others, and flags. */
const REQUESTS_MASK = 0xff;
const IN_PACE = 8;
const IN_PACE_MASK = 0x3f;
/** The mark stands; a message was in place behind it, so that the next one can be out of pace. */
const MARKED = 1 << 14;
const PLACED = 1 << 15;
/** Who asks is the direction 1. */
const OF_RESPONDER = 1 << 16;
const BARE = 1 << 17;
/** Messages that may be requests and haves, and those that are no sum of them, as long as there are counts. */
const SUMS = 18;
const OTHERS = 24;
const COUNT_MASK = 0x3f;
/** One message in so many may be of another kind: what extensions say, now and then. */
const MOST_TO_OTHER = 4;
/** Of small messages of any size one in three is a sum; so many of the first ones are by chance once in 2000 times. */
const MIN_SUMS = 7;
/** All that is known of the direction, whatever it is in the middle of. */
const KEPT = OF_RESPONDER | MARKED | (COUNT_MASK << SUMS) | (COUNT_MASK << OTHERS);

/** By length: requests in it, -1 where it is no sum of requests and a few haves. */
const REQUESTS_IN = new Int8Array(AMBIGUOUS).fill(-1);
/** By length: the bit of its kind. */
const KIND_OF = new Int32Array(AMBIGUOUS);
const REQUESTS_ALONE = kindOf(1, 0);

for (let length = 1; length < AMBIGUOUS; length++) {
  for (let haves = 0; haves <= MOST_HAVES && haves * HAVE <= length; haves++) {
    const rest = length - haves * HAVE;
    if (rest % REQUEST !== 0) continue;
    REQUESTS_IN[length] = rest / REQUEST;
    KIND_OF[length] = kindOf(rest / REQUEST, haves);
    break;
  }
}

/** A bit for the proportion of requests to haves; those of many requests share four. */
function kindOf(requests: number, haves: number): number {
  const divisor = greatestDivisor(requests, haves);
  const r = requests / divisor;
  return 1 << (r <= 3 ? r * (MOST_HAVES + 1) + haves / divisor : 28 + (r & 3));
}

/** Follows requests in flows that were joined in the middle; state in the flow's record. */
export class RequestPace {
  readonly #flow: FlowRecord;

  constructor(flow: FlowRecord) {
    this.#flow = flow;
  }

  /**
   * Looks at a segment by which the direction's stream has come `newBytes` further; true when it is a
   * message in pace.
   */
  observe(direction: number, packet: Packet, newBytes: number): boolean {
    const flow = this.#flow;
    if ((packet.flags & ACK) === 0 || flow.bytes(direction) >= flow.bytes(1 - direction)) {
      return false;
    }
    const asker = direction === 0 ? 0 : OF_RESPONDER;
    if ((flow.paceCounts & (MARKED | OF_RESPONDER)) !== (MARKED | asker)) {
      this.#forget();
      flow.paceCounts = asker;
      this.#mark(packet);
      return false;
    }
    if (newBytes === KEEP_ALIVE || newBytes === BARE_MESSAGE) return false;
    if (newBytes > MAX_MESSAGE) this.#forget();
    // One before it is missing, or there are too many in it to tell.
    else if (newBytes > packet.payloadLength || newBytes >= AMBIGUOUS) this.#takeBack(UNKNOWN);
    else if (REQUESTS_IN[newBytes] < 0) {
      this.#count(OTHERS);
      this.#forget();
    } else {
      this.#count(SUMS);
      return this.#follow(packet, newBytes);
    }
    this.#mark(packet);
    return false;
  }

  /** Messages in pace, less others. */
  get inPace(): number {
    return (this.#flow.paceCounts >> IN_PACE) & IN_PACE_MASK;
  }

  /** How many kinds of them there were. */
  get kinds(): number {
    return countKinds(this.#flow.paceKinds);
  }

  /** Whether one was of requests alone: who says a `have` or two with each is no peer. */
  get hasRequestsAlone(): boolean {
    return (this.#flow.paceKinds & REQUESTS_ALONE) !== 0;
  }

  /** Whether hardly a message was no sum of requests and haves: others have some that are by chance. */
  get areMostSums(): boolean {
    const counts = this.#flow.paceCounts;
    const sums = (counts >> SUMS) & COUNT_MASK;
    const others = (counts >> OTHERS) & COUNT_MASK;
    return sums >= MIN_SUMS && others * MOST_TO_OTHER <= sums;
  }

  /** Whether one was too short for authenticated encryption. */
  get isBare(): boolean {
    return (this.#flow.paceCounts & BARE) !== 0;
  }

  /** A message of requests and haves: whether as many were asked for as have come. */
  #follow(packet: Packet, length: number): boolean {
    const flow = this.#flow;
    const inIt = REQUESTS_IN[length];
    const requests = Math.min((flow.paceCounts & REQUESTS_MASK) + inIt, REQUESTS_MASK);
    flow.paceCounts = (flow.paceCounts & ~REQUESTS_MASK) | requests;
    const ahead = ((packet.acknowledgement - flow.paceMark) | 0) - PIECE * requests;
    if (!this.#widen(ahead)) {
      this.#takeBack(OUT_OF_PACE);
      this.#mark(packet);
      return false;
    }
    const isPlaced = (flow.paceCounts & PLACED) !== 0;
    if (inIt > 0) flow.paceCounts |= PLACED;
    // The first one could be anywhere within a block of the mark.
    if (!isPlaced) return false;
    flow.paceKinds |= KIND_OF[length];
    if (length < BARE_LENGTH) flow.paceCounts |= BARE;
    if (inIt > 0 && this.inPace < IN_PACE_MASK) flow.paceCounts += 1 << IN_PACE;
    return inIt > 0;
  }

  /** Takes in how far what came is ahead of what was asked for; false when that varies too much. */
  #widen(ahead: number): boolean {
    const flow = this.#flow;
    const least = Math.min(flow.paceSpan << 16 >> 16, ahead);
    const most = Math.max(flow.paceSpan >> 16, ahead);
    if (most - least > MOST_APART) return false;
    flow.paceSpan = (most << 16) | (least & 0xffff);
    return true;
  }

  /** Counts from this message on: what it acknowledges has been asked for. */
  #mark({ acknowledgement }: Packet): void {
    const flow = this.#flow;
    flow.paceMark = acknowledgement;
    flow.paceSpan = 0;
    flow.paceCounts = (flow.paceCounts & ~(REQUESTS_MASK | PLACED)) | MARKED;
  }

  /** The block that was asked for is none of BitTorrent's. */
  takeBack(): void {
    this.#takeBack(OUT_OF_PACE);
  }

  #count(shift: number): void {
    const flow = this.#flow;
    if (((flow.paceCounts >> shift) & COUNT_MASK) < COUNT_MASK) flow.paceCounts += 1 << shift;
  }

  #takeBack(count: number): void {
    const flow = this.#flow;
    if (this.inPace <= count) this.#forget();
    else flow.paceCounts -= count << IN_PACE;
  }

  #forget(): void {
    const flow = this.#flow;
    flow.paceCounts &= KEPT;
    flow.paceKinds = 0;
  }
}
