/**
 * What is needed of a flow that is one of kin: both sides have said what is nearly as long, and what was
 * said is as long in other flows of the host's, to other places. Pure; the rest of a flow's bits are those
 * of `mse_table.ts`. Three kinds of flows may be kin:
 *
 * - alike: both sides' words are seen, behind a handshake by itself, here or in another of kin;
 * - served: a relay has joined what was told with all before it; what was told back is left, and the first
 *   blocks with requests right behind them;
 * - in pieces: the beginning came in pieces, which stand for a handshake.
 */
import { greater } from "../packet/bytes.ts";
import {
  CUT,
  DATA_SEEN,
  FIFTH,
  type FlowRecord,
  GRANTED,
  HELLO_A,
  HELLO_ALONE,
  HELLO_B,
  IN_STEP,
  LONGER,
  SERVED,
  THIRD_APART,
  TOLD_ALIKE,
} from "./flow_record.ts";
import {
  areBlocksOfPieces,
  CUT_BITS,
  GRANTED_AND_HEADED,
  isAlike,
  isBare,
  isOfPieces,
  LEAST,
  LOOSE_BESIDE,
  sumOf,
  type Writes,
} from "./mse_table.ts";

/**
 * What extensions say is as long in another flow of the same host's, to another place: one torrent's peers
 * of one program say the same. One length of some five hundred, by chance of up to eight.
 */
const KIN_BITS = 7;
/**
 * And the handshake that such another has shown by itself, where here it went out within the third message:
 * one of several flows has it, not this one.
 */
const HANDSHAKE_OF_KIN = 6;
/** Small messages are none of kin, so that a handshake alone as the fifth turn needs less here than elsewhere. */
const FIFTH_OF_KIN = 20;

const GRANTED_IN_STEP = GRANTED | IN_STEP;

/**
 * Bits of a flow with data that may be one of kin, 0 where it may not. Without a message too short for
 * authenticated encryption it is none of a list of proxies, for their first four messages are not of many
 * lengths where the next are of one; and of a program with four random lengths and constant ones behind
 * them one in some thousands has these.
 */
export function kinBitsOf(flow: FlowRecord, writes: Writes): number {
  if (!flow.hasLength(DATA_SEEN)) return 0;
  const blocks = blocksOfKin(writes);
  const ofKin = flow.told === 0
    ? bitsOfServed(flow, writes, blocks)
    : isAlike(flow)
    ? bitsOfAlike(flow, blocks)
    : bitsOfPieces(flow, blocks);
  return ofKin === 0 ? 0 : ofKin + sumOf(flow, writes, blocks, flow.told !== 0);
}

/** What follows the first blocks may be counted from the wrong place: beside kin alone they are one. */
function blocksOfKin({ blocks, endsBehindGrant }: Writes): number {
  return endsBehindGrant ? greater(blocks, 1) : blocks;
}

function bitsOfServed(flow: FlowRecord, { isAmongFirst }: Writes, blocks: number): number {
  const isServed = flow.toldBack !== 0 && blocks > 0 && isAmongFirst && flow.has(SERVED);
  return isServed ? KIN_BITS : 0;
}

function bitsOfAlike(flow: FlowRecord, blocks: number): number {
  const isHidden = isHandshakeHidden(flow, blocks);
  // A third message of 124 may be padded so.
  if (isHidden && flow.hasLength(HELLO_A)) return 0;
  // One constant length of both sides may be that of a swarm's words, and what is counted a request.
  const isShown = blocks > 0 || isBare(flow.lengths) || flow.has(LONGER) ||
    flow.hasLength(HELLO_B) || (flow.hasLength(GRANTED) && flow.hasFact(HELLO_ALONE));
  if (!isShown) return 0;
  return isHidden ? KIN_BITS + HANDSHAKE_OF_KIN : KIN_BITS;
}

function bitsOfPieces(flow: FlowRecord, blocks: number): number {
  if (!isInPieces(flow, blocks)) return 0;
  return isOfPieces(flow, blocks) ? KIN_BITS : KIN_BITS + CUT_BITS; // the sum may have it already
}

/**
 * Whether a beginning in pieces is followed by a block, or by `unchoke` with what is allowed fast, where a
 * seed of libtorrent's says it or before a header by itself. A program that always writes so, in constant lengths
 * behind random ones, has pieces and kin for nothing; and 82 as the fourth turn is padding once in 513.
 */
function isInPieces(flow: FlowRecord, blocks: number): boolean {
  const { lengths } = flow;
  if (!flow.has(CUT) || (lengths & HELLO_A) !== 0) return false;
  return areBlocksOfPieces(flow, blocks) || (lengths & GRANTED_AND_HEADED) === GRANTED_AND_HEADED ||
    (lengths & GRANTED_IN_STEP) === GRANTED_IN_STEP;
}

/**
 * Whether a flow has shown no handshake by itself, so that kin must have. A block's end is as rare, and so is
 * `unchoke` with what is allowed fast, right before data; but of a program that says the same in each of its
 * flows either may be a constant. So who is asked must have said a little more of itself than who asks, or of
 * a block the next requests must follow it.
 */
export function lacksHandshake(flow: FlowRecord, writes: Writes): boolean {
  return isHandshakeHidden(flow, blocksOfKin(writes));
}

function isHandshakeHidden(flow: FlowRecord, blocks: number): boolean {
  if (flow.has(FIFTH | THIRD_APART) || isInPieces(flow, blocks)) return false;
  if (blocks > 0) return !flow.has(LONGER | SERVED);
  return !(flow.hasLength(GRANTED) && flow.hasAll(TOLD_ALIKE | LONGER));
}

/** Whether those bits are enough beside such flows, as in a swarm. */
export function isEnoughOfKin(bits: number, flow: FlowRecord, writes: Writes): boolean {
  const isOfPieces = isInPieces(flow, blocksOfKin(writes));
  return bits >= (isOfPieces ? LOOSE_BESIDE : flow.has(FIFTH) ? FIFTH_OF_KIN : LEAST);
}
