/**
 * What is needed of a flow before it is called encrypted BitTorrent: one table, pure. Each fact is
 * worth about as many bits as it is rare among protocols that keep lengths too (a stream cipher
 * without authentication, messages of 2 to 120 bytes), chances to occur by accident counted in. A shell
 * echoes what it is told, so 5 against 5 is worth nothing more; 5, then requests, then data is.
 *
 * What authenticates every write cannot show a segment of 5 or 13 bytes at all, and its writes end
 * whole blocks behind one another once in 8000 times: so one of these is needed whatever the sum is.
 * Then no list of Shadowsocks, VMess, obfs4 or NTCP2 servers, and no constant size of one, is enough.
 */
import { greater } from "../packet/bytes.ts";
import { requestsCounted } from "./first_messages.ts";
import {
  ALIKE,
  APART,
  ASKED_32,
  ASKED_AND_GRANTED,
  B_FIRST,
  CUT,
  DATA_SEEN,
  FIFTH,
  FIVE_A,
  FIVE_B,
  type FlowRecord,
  FOUR_BLOCKS,
  GRANTED,
  HEADED,
  HELLO_A,
  HELLO_ALONE,
  HELLO_B,
  IN_STEP,
  LONGER,
  ONE_BLOCK,
  REQUESTED,
  SERVED,
  SHORT,
  SIMULTANEOUS,
  SPLIT,
  SPLIT_ANSWER,
  TOLD_ALIKE,
  TOLD_APART,
  UNCHOKED,
} from "./flow_record.ts";

const WORTH: readonly (readonly [fact: number, bits: number])[] = [
  [HELLO_A, 7],
  [HELLO_B, 7],
  [SPLIT, 4],
  [SPLIT_ANSWER, 5],
  [FIVE_A, 2],
  [FIVE_B, 2],
  [UNCHOKED, 6],
  [REQUESTED, 3],
  [GRANTED, 5],
  [IN_STEP, 6],
  [HEADED, 6],
];
/**
 * B's handshake where A's was not to be seen. No recorded pair shows only that; a chat of 5, 9 and 17
 * bytes behind padding does, once in 500 times, and all the rest.
 */
const LONE_ANSWER = -7;
/**
 * What A began with was cut in three small pieces and more, no two of a length: BiglyBT's, which cuts it
 * anywhere, A's handshake too. Of programs that send several small messages before they are answered, one
 * in some twenty, hardly half of the messages are of such lengths. A program that always does so shows it
 * in every flow: it stands for A's handshake where none is to be seen, beside B's, which then counts by
 * itself, or `unchoke` with what is allowed fast and a header, and beside nothing else.
 */
export const CUT_BITS = 6;
/**
 * B's before A's, which then stands by itself as the fifth turn: Transmission 3 with aria2. Both lengths
 * occur by chance, without what has room for a handshake between them.
 */
const ANSWER_FIRST = -6;
/** An end of a write whole blocks behind the beginning of data, later on, and each further one. */
const FIRST_BLOCK = 13;
const LATER_BLOCK = 8;
const NEXT_BLOCK = 10;
/**
 * The very first write of data is one block: one length of more than 16 397, and none of the further
 * writes and numbers of blocks that FIRST_BLOCK counts in.
 */
const ONE_BLOCK_MORE = 2;
/** And where it is just the four that are asked for first, behind what is allowed fast: one of 65,638. */
const FOUR_BLOCKS_MORE = 3;
/** And that write answers the first words behind the handshakes, B's in a write by itself: in one of four. */
const APART_BITS = 2;
/** libtransmission's writes of 3000 bytes, each above those in hand, up to five; the first counts as three. */
const CHUNK = 2;
export const MOST_CHUNKS = 5;

/** A connection that both ends have opened: peers that know of one another, no proxy's client. */
const SIMULTANEOUS_OPEN = 15;

/** Each message of requests, with a `have` or without, since there is data; a shell repeats itself. */
const REQUESTS = 1;

/**
 * Requests just when the first data has ended on a block: one length in six. And where the fifth turn was
 * a handshake by itself, the sixth and seventh had room for what extensions say, and data came next.
 */
const SERVED_BITS = 2;
const SERVED_IN_TURN = 2;

/**
 * Requests are worth three bits, for one length in seventeen is a sum of them; the one of 32, with which
 * Transmission 4 begins, is one in 600. 512 and a header are as long, so it is worth four more, and not six.
 */
const ASKED_32_BITS = 4;

/** Two programs that say the same of themselves, and a short message right before data, no header. */
const ALIKE_BITS = 5;
/** In step, the same within 18 bytes, of some hundred that they may be long; 4 to 18 more, 15 of 37. */
const NEARLY_ALIKE_BITS = 4;
const LONGER_BITS = 2;
const SHORT_BITS = 3;

/** What authenticated encryption cannot show. */
const BARE = FIVE_A | FIVE_B | HEADED | SPLIT_ANSWER;

/** Five bytes of both sides. */
const ECHO = FIVE_A | FIVE_B;
const ECHO_BITS = 2;

/** Requests that data answers, and what is said between them and it. */
const ANSWERS = REQUESTED | UNCHOKED | GRANTED | HEADED;

/** `unchoke`, requests, and a header. */
const UNCHOKED_AND_HEADED = UNCHOKED | HEADED;

/** `unchoke` with what is allowed fast, and a header. */
export const GRANTED_AND_HEADED = GRANTED | HEADED;

/** The same, once there is data behind it. */
const BARE_BEFORE_DATA = SHORT | DATA_SEEN;

/**
 * In step (a handshake as the fifth turn, `unchoke` with five times `allowed fast` as the eighth, right
 * before data) is one of 370,000 flows with messages of any size: 18 bits. With sixth and seventh turns
 * nearly alike, or requests in a message of their own at the seventh's end, it is one of some millions:
 * enough beside other suspects or evidence, without what authenticated encryption cannot show. With
 * anything in a message of its own there it is one in a million and more: enough only beside another such
 * handshake of the host's, behind paddings as MSE has them.
 */
const STEPS = IN_STEP | ALIKE;
const STEPS_ASKED = IN_STEP | REQUESTED;
/**
 * Two handshakes by themselves, the same from both sides behind them, and requests that data answers, as
 * aria2 says it to itself: 22 bits, of flows with messages of any size one in four million.
 */
const EVEN_STEPS = HELLO_A | HELLO_B | ALIKE | REQUESTED;
const ASKED_APART_BITS = 1;
const TOLD_APART_BITS = 2;

/** Whether the flow has shown a message too short for authenticated encryption. */
export function isBare(lengths: number): boolean {
  return (lengths & BARE) !== 0 || (lengths & BARE_BEFORE_DATA) === BARE_BEFORE_DATA;
}

/** Sum of all facts, by the word of lengths' low bits. */
const WORTH_OF = new Uint8Array(2048);
for (const [fact, bits] of WORTH) {
  // All words with the fact, one after the other: a closure for each would be a sixth of a start.
  for (let facts = fact; facts < WORTH_OF.length; facts = (facts + 1) | fact) {
    WORTH_OF[facts] += bits;
  }
}

/** What is known of a flow besides what it shows by itself. */
export type Besides = "nothing" | "several" | "pair" | "host" | "named" | "swarm" | "torrent port";

/**
 * Bits needed: with a message too short for authenticated encryption, and without one. Beside the
 * columns' names: nothing; one among several suspects of a host, to several networks, with padding as
 * MSE has it; one in step, where two have shown a handshake's length behind two further paddings as
 * MSE has them; the initiator has sent BitTorrent in the open; the endpoint was named as a peer to the
 * initiator, who had asked; one among a swarm, of the initiator's or at the port that it calls: three
 * with a handshake's length behind two paddings as MSE has them; at a port where two of others' were found.
 */
export const NEEDED: Readonly<Record<Besides, readonly [bare: number, other: number]>> = {
  nothing: [24, 24],
  several: [20, 22],
  pair: [20, 20],
  host: [20, 22],
  named: [19, 21],
  swarm: [18, 22],
  "torrent port": [15, Infinity],
};
/**
 * Beside anything a handshake by itself behind a padded third message needs at least this, unless what
 * a seed of libtorrent's says follows in its places: 68 is a length like any other among small messages,
 * 124 one of some 500 among padded ones. So does a beginning in pieces: a program that always writes so has
 * that for nothing.
 */
export const LOOSE_BESIDE = 22;
/** And where hardly anything stands for a handshake, as much as a flow needs that is alone. */
const SLIGHT_BESIDE = 24;
/** Below this nobody need be asked, and of the initiator below the second. */
export const LEAST_OF_CALLED: number = NEEDED["torrent port"][0];
export const LEAST = 18;

/**
 * Whether the flow shows a handshake, `interested` with requests, and `unchoke` with five times `allowed
 * fast` right before data, as a seed of libtorrent's does when Transmission calls. Authenticated
 * encryption may have these lengths too: enough only in a swarm.
 */
export function isAskedAndGranted(lengths: number): boolean {
  return (lengths & ASKED_AND_GRANTED) !== 0 && (lengths & DATA_SEEN) !== 0 &&
    (lengths & HELLO_A) !== 0;
}

/** Whether the bits are enough beside what else is known. */
export function isEnough(bits: number, flow: FlowRecord, besides: Besides): boolean {
  if (besides === "pair" && (flow.lengths & IN_STEP) === 0) return false;
  if (besides === "torrent port") return isBare(flow.lengths) && bits >= NEEDED[besides][0];
  const needed = NEEDED[besides][isBare(flow.lengths) ? 0 : 1];
  if (isSlight(flow)) return bits >= greater(needed, SLIGHT_BESIDE);
  const isLoose = (flow.has(FIFTH) && !flow.hasLength(IN_STEP)) || isCutHello(flow);
  return bits >= (isLoose ? greater(needed, LOOSE_BESIDE) : needed);
}

/**
 * Whether the flow's handshakes hang on one length: the fifth turn is 68 bytes, and the sixth has no room for
 * the other side's; or A's is all that the beginning shows, with nothing said behind it; or none is to be
 * seen, and neither pieces nor what is told stand for it.
 */
function isSlight(flow: FlowRecord): boolean {
  if (flow.hasLength(HELLO_B)) return false;
  if (flow.has(FIFTH)) return !flow.hasFact(HELLO_ALONE);
  if (flow.told !== 0) return false;
  if (flow.hasLength(HELLO_A)) {
    return isOfOneFact(flow.lengths) && flow.toldBack === 0 && !flow.has(SIMULTANEOUS);
  }
  return !flow.has(CUT);
}

/** Whether just one of the facts that {@link WORTH} has was shown. */
function isOfOneFact(lengths: number): boolean {
  const facts = lengths & (WORTH_OF.length - 1);
  return (facts & (facts - 1)) === 0;
}

/** Where the writes of a flow's data have ended so far (`block_rhythm.ts`). */
export interface Writes {
  /** Ends whole blocks apart, less those elsewhere. */
  readonly blocks: number;
  /** Writes of 3000 bytes, above those in hand. */
  readonly chunks: number;
  /** Whether the flow is no longer than what the first requests bring. */
  readonly isAmongFirst: boolean;
  /** Whether the last one ended the first blocks, joined with what stands before them. */
  readonly endsBehindGrant: boolean;
}

/**
 * Bits that a flow shows by itself, 0 while it has nothing that authenticated encryption could not
 * show too.
 */
export function bitsOf(flow: FlowRecord, writes: Writes): number {
  const { lengths } = flow;
  const { chunks } = writes;
  const blocks = mayBePackets(flow) ? greater(writes.blocks - 1, 0) : writes.blocks;
  const isSimultaneous = flow.has(SIMULTANEOUS);
  const isBegun = (lengths & (HELLO_A | HELLO_B)) !== 0 || isCutHello(flow);
  if (!isBegun && !areBlocksAnswers(flow, blocks)) return 0;
  const isInSteps = (lengths & STEPS) === STEPS || (lengths & EVEN_STEPS) === EVEN_STEPS ||
    ofStepsApart(flow) > 0;
  if (!isBare(lengths) && blocks === 0 && chunks <= 2 && !isSimultaneous && !isInSteps) return 0;
  return sumOf(flow, writes, blocks, (lengths & IN_STEP) !== 0 || blocks > 0);
}

/**
 * Whether 68 as the fifth turn, alone or echoed, may be one packet like the others, in a tunnel that adds the
 * same to each: with 16 bytes more, or 8 or 28, a SYN, its answer or each acknowledgement are 68, and so are
 * some together what requests are. So an echo is no fact, and one block's end is chance. Such a tunnel has
 * nothing too short, no room for what extensions say behind it, nor anything as long from both sides.
 */
function mayBePackets(flow: FlowRecord): boolean {
  return flow.has(FIFTH) && !flow.has(B_FIRST) && !flow.hasLength(ALIKE) && !isBare(flow.lengths) &&
    (flow.hasLength(HELLO_B) || !flow.hasFact(HELLO_ALONE));
}

/**
 * All facts together; two that are nearly alike only where more than that stands beside them.
 *
 * @param blocks those of the writes, or more where kin tells where they began
 */
export function sumOf(
  flow: FlowRecord,
  { chunks, isAmongFirst }: Writes,
  blocks: number,
  countsNearlyAlike: boolean,
): number {
  const { lengths } = flow;
  const ofBlocks = blocks === 0
    ? 0
    : (isAmongFirst ? FIRST_BLOCK : LATER_BLOCK) + (blocks - 1) * NEXT_BLOCK;
  const ofChunks = CHUNK * Math.max(0, Math.min(chunks, MOST_CHUNKS));
  const ofOne = blocks === 0 || !flow.has(ONE_BLOCK)
    ? 0
    : ONE_BLOCK_MORE + (flow.has(APART) ? APART_BITS : 0);
  const ofFour = blocks > 0 && (lengths & FOUR_BLOCKS) !== 0 ? FOUR_BLOCKS_MORE : 0;
  const ofAlike = (lengths & HELLO_B) !== 0
    ? ALIKE_BITS
    : countsNearlyAlike
    ? NEARLY_ALIKE_BITS + (flow.has(LONGER) ? LONGER_BITS : 0)
    : 0;
  const ofCut = isOfPieces(flow, blocks) ? CUT_BITS : 0;
  const ofLone = (lengths & (HELLO_A | HELLO_B)) === HELLO_B && !isCutHello(flow)
    ? LONE_ANSWER
    : flow.has(B_FIRST)
    ? ANSWER_FIRST
    : flow.hasLength(HELLO_B) && mayBePackets(flow)
    ? LONE_ANSWER
    : 0;
  return WORTH_OF[lengths & 2047] - ofEcho(flow, ofBlocks + ofChunks) +
    ofCut + ofLone + ofBlocks + ofOne + ofFour + ofChunks +
    ((lengths & DATA_SEEN) !== 0 && isAlike(flow) ? ofAlike : 0) +
    ofStepsApart(flow) +
    (isShortBeforeData(lengths) ? SHORT_BITS : 0) +
    REQUESTS * requestsCounted(lengths) + (flow.has(SIMULTANEOUS) ? SIMULTANEOUS_OPEN : 0) +
    ofRequests(flow);
}

/**
 * What is too much where both sides said five bytes: a shell echoes what it is told. They are one fact, not
 * two, while nothing stands beside: no room for extensions, no requests nor what answers them, no end of a block.
 */
function ofEcho(flow: FlowRecord, ofEnds: number): number {
  const { lengths, told, toldBack } = flow;
  const isBeside = (told | toldBack | ofEnds | (lengths & ANSWERS)) !== 0;
  return (lengths & ECHO) === ECHO && !isBeside ? ECHO_BITS : 0;
}

/** Of a flow in step, requests or anything else in a message of its own behind what extensions say. */
function ofStepsApart(flow: FlowRecord): number {
  if ((flow.lengths & STEPS_ASKED) === STEPS_ASKED) return ASKED_APART_BITS;
  return flow.hasLength(IN_STEP) && flow.has(TOLD_APART) ? TOLD_APART_BITS : 0;
}

/**
 * Whether a short message stood right before data that has not counted yet, as a header or as `unchoke`
 * with `allowed fast`, or between requests and data. Where both sides say 5 bytes they may do so again and
 * again, as who types and who echoes it.
 */
function isShortBeforeData(lengths: number): boolean {
  return (lengths & (BARE_BEFORE_DATA | HEADED | GRANTED | UNCHOKED)) === BARE_BEFORE_DATA &&
    (lengths & ECHO) !== ECHO;
}

/** Whether A's handshake was cut, and what follows it is such a program's. */
function isCutHello(flow: FlowRecord): boolean {
  const { lengths } = flow;
  if (!flow.has(CUT) || (lengths & HELLO_A) !== 0) return false;
  return (lengths & HELLO_B) !== 0 || (lengths & GRANTED_AND_HEADED) === GRANTED_AND_HEADED;
}

/** Whether a beginning in pieces stands for a handshake: by what follows it, or by blocks. */
export function isOfPieces(flow: FlowRecord, blocks: number): boolean {
  return isCutHello(flow) || areBlocksOfPieces(flow, blocks);
}

/**
 * Whether blocks are what the messages before them announce. Some hide the handshake's length: BiglyBT
 * cuts its first messages anywhere, a relay may join it with the third. Then the rest must be enough
 * without it: `unchoke` with what is allowed fast, or with requests and a header, or what both say of their
 * extensions, and an end on a block; or requests and two of them.
 */
function areBlocksAnswers(flow: FlowRecord, blocks: number): boolean {
  const isAnnounced = flow.hasLength(GRANTED) || flow.has(TOLD_ALIKE) ||
    (flow.lengths & UNCHOKED_AND_HEADED) === UNCHOKED_AND_HEADED;
  return (blocks >= 1 && isAnnounced) || areBlocksOfPieces(flow, blocks) ||
    (blocks >= 2 && flow.hasLength(REQUESTED));
}

/**
 * Whether blocks stand behind a beginning in pieces and what B may say of its extensions, the first as the
 * first write or two of them, and nothing else is to be seen: aria2 lets BiglyBT have pieces before it
 * unchokes, and who asks says so with its own words.
 */
export function areBlocksOfPieces(flow: FlowRecord, blocks: number): boolean {
  if (!flow.has(CUT) || flow.told === 0 || flow.hasLength(HELLO_A | HELLO_B)) return false;
  return blocks >= 2 || (blocks >= 1 && flow.has(ONE_BLOCK));
}

/** Whether both have said of themselves what is nearly as long. */
export function isAlike(flow: FlowRecord): boolean {
  return flow.hasLength(ALIKE) || flow.has(TOLD_ALIKE);
}

/**
 * Bits of requests just behind the first blocks, more where the fifth turn was a handshake by itself and
 * what follows it had room; and of 32 at once that data answered.
 */
function ofRequests(flow: FlowRecord): number {
  const served = flow.has(SERVED)
    ? SERVED_BITS + (flow.hasFact(HELLO_ALONE) ? SERVED_IN_TURN : 0)
    : 0;
  return served + (flow.has(ASKED_32) && flow.hasLength(REQUESTED) ? ASKED_32_BITS : 0);
}
