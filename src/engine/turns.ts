/**
 * The beginning of an encrypted flow, by turns and lengths. A turn is all that one side sends before
 * the other answers. MSE hides bytes and keeps lengths: two keys with padding, then A's third message
 * (56 and padding, perhaps with the handshake of 68 behind it), B's fourth (14 and padding, likewise),
 * then the peer wire: `interested` and `unchoke` are 5 bytes, requests 17 each, a block's header 13.
 *
 * Here only what is there is noted; what it is worth says `mse_table.ts`. What is said of extensions
 * stands in `told.ts`, the messages until the first data in `first_messages.ts`.
 */
import type { Packet } from "../packet/packet.ts";
import { noteMessage } from "./first_messages.ts";
import {
  APART,
  B_FIRST,
  CUT,
  DATA_SEEN,
  FIFTH,
  type FlowRecord,
  HELLO_A,
  HELLO_ALONE,
  HELLO_B,
  RANDOM,
  RESPONDER_OPENS,
  RULED_OUT,
  SHAPED,
  SPLIT,
  SPLIT_ANSWER,
  THIRD_APART,
  THIRD_FITS,
} from "./flow_record.ts";
import { FULL_SEGMENT } from "./message_lengths.ts";
import { noteTold } from "./told.ts";
import {
  ANSWERED_THIRD,
  FOURTH,
  HANDSHAKE,
  isOpening,
  isPaddedFourth,
  LENGTH_BITS,
  LENGTH_MASK,
  MAX_PADDING,
  SHORTEST_SEVENTH,
  SHORTEST_SIXTH,
  THIRD,
  TURN_OF_ANSWER,
  TURN_OF_EXTENSIONS,
  TURN_OF_FOURTH,
  TURN_OF_HANDSHAKE,
  TURN_OF_THIRD,
} from "./turn_lengths.ts";

/** Padding, a handshake, extensions and a bitfield of some 80 000 pieces. */
const MOST_OF_FOURTH = 12_288;
/** BiglyBT writes what it begins with in pieces of such lengths, each of which another one follows. */
const SHORTEST_PIECE = 50;
const LONGEST_PIECE = 149;
const LEAST_PIECES = 3;
const MOST_PIECES = 15;
/** KTorrent writes the two hashes of its third message by themselves. */
const HASH = 20;
/** The beginning is over after so many turns, whatever was in them. */
const MAX_TURNS = 24;
/** A turn may hold decoys that never arrive; nobody sends more of them than this. */
const MAX_TURN = 4096;

/**
 * Counts a segment of new data.
 *
 * @param end offset in its stream, behind any negotiation, of the byte after the segment
 * @param otherEnd how far the other side's stream has been acknowledged by it, likewise
 */
export function followTurns(
  flow: FlowRecord,
  direction: number,
  packet: Packet,
  end: number,
  otherEnd: number,
): void {
  const length = packet.payloadLength;
  if (flow.turn === 0) {
    flow.turn = 1;
    if (direction !== 0) flow.noteFact(RESPONDER_OPENS);
  }
  const side = flow.hasFact(RESPONDER_OPENS) ? 1 - direction : direction;
  const speaks = (flow.turn - 1) & 1;
  if (speaks !== side) {
    if (!endTurn(flow, 1 - direction, otherEnd)) return;
    flow.turn++;
    flow.turnBytes = 0;
  }
  const { turn } = flow;
  const isOnePiece = (flow.requestMark & LENGTH_MASK) === flow.turnBytes;
  if (turn === 1 || turn === TURN_OF_THIRD) countPieces(flow, length);
  if (turn > MAX_TURNS && !flow.hasLength(DATA_SEEN)) return;
  const before = flow.turnBytes;
  // In the first two turns what is in the stream counts, not what was sent, and sent again.
  flow.turnBytes = turn <= 2 ? Math.max(before, end) : before + length;
  if (turn <= 2) {
    if (flow.turnBytes > MAX_TURN) flow.noteFact(RULED_OUT);
    return;
  }
  if (turn === TURN_OF_THIRD) {
    noteThird(flow, before, length, isOnePiece);
    return;
  }
  if (turn === TURN_OF_FOURTH) noteApart(flow, before, length);
  if (!flow.hasLength(DATA_SEEN)) noteTold(flow, before, length);
  if (!flow.hasLength(THIRD_FITS) || !noteHello(flow, turn, before, length)) {
    noteMessage(flow, side, before, length);
  }
}

/**
 * Counts the piece before this one in the first turn or the third: small, which another of the same turn
 * follows, less those of other lengths; and less two that are alike, as a program has whose messages are.
 */
function countPieces(flow: FlowRecord, length: number): void {
  const mark = flow.requestMark;
  const last = flow.turnBytes === 0 ? 0 : mark & LENGTH_MASK;
  let count = mark >> LENGTH_BITS;
  if (last !== 0) {
    const isPiece = last >= SHORTEST_PIECE && last <= LONGEST_PIECE && last !== length;
    count = Math.max(0, Math.min(MOST_PIECES, count + (isPiece ? 1 : -1)));
  }
  flow.requestMark = (count << LENGTH_BITS) | Math.min(length, LENGTH_MASK);
}

/** Whether the third message has MSE's shape, is cut as KTorrent does, or has a handshake written behind it. */
function noteThird(flow: FlowRecord, before: number, length: number, isOnePiece: boolean): void {
  if (flow.turnBytes >= ANSWERED_THIRD) flow.noteFact(SHAPED);
  if (before === 0 && length === HASH) flow.noteLength(SPLIT);
  const isBehindPadding = isOnePiece && before >= THIRD && before <= THIRD + MAX_PADDING;
  if (isBehindPadding && length === HANDSHAKE) {
    flow.noteLength(HELLO_A);
    flow.raise(THIRD_APART);
  } else if (flow.has(THIRD_APART)) {
    // Nothing follows the handshake until the fourth message is there.
    flow.lengths &= ~HELLO_A;
    flow.lower(THIRD_APART);
  }
}

/** Whether the fourth message was written, and then a handshake with what may stand behind it. */
function noteApart(flow: FlowRecord, before: number, length: number): void {
  if (
    isPaddedFourth(before) && length >= HANDSHAKE && length < FULL_SEGMENT &&
    flow.hasLength(HELLO_A)
  ) {
    flow.raise(APART);
  }
}

/** Whether the flow may go on after the turn that the other side's answer has ended. */
function endTurn(flow: FlowRecord, speaker: number, acknowledged: number): boolean {
  const { turn, turnBytes } = flow;
  if (turn <= 2) {
    // Either what was seen or what has arrived: decoys that die on the way are not acknowledged.
    if (flow.hasFact(RANDOM << speaker) && (isOpening(turnBytes) || isOpening(acknowledged))) {
      return true;
    }
    flow.noteFact(RULED_OUT);
    return false;
  }
  if (turn === TURN_OF_THIRD) {
    if (flow.requestMark >> LENGTH_BITS >= LEAST_PIECES) flow.raise(CUT);
    const fits = turnBytes >= ANSWERED_THIRD && turnBytes <= THIRD + 2 * MAX_PADDING;
    if (fits) flow.noteLength(THIRD_FITS);
    if (turnBytes === THIRD + HANDSHAKE) flow.noteLength(HELLO_A);
    else if (turnBytes > HASH * 2) flow.lengths &= ~SPLIT;
    if (turnBytes < ANSWERED_THIRD) flow.noteFact(RULED_OUT);
    flow.requestMark = turnBytes <= THIRD + MAX_PADDING ? turnBytes : 0;
  } else if (turn === TURN_OF_FOURTH) {
    // Shorter than what it begins with, or with blocks before anybody has asked: neither this nor the third
    // was padding, or a handshake.
    if (turnBytes < FOURTH || turnBytes > MOST_OF_FOURTH) {
      flow.lengths &= ~(THIRD_FITS | HELLO_A | SPLIT);
    }
    const fits = isPaddedFourth(turnBytes);
    // What stands apart behind the fourth message is compared with what answers it.
    if (!flow.has(APART)) {
      const third = thirdAtFourth(flow);
      flow.requestMark = fits && third !== 0 ? third | (turnBytes << LENGTH_BITS) : 0;
    }
  } else if (
    (turn === TURN_OF_ANSWER && turnBytes < SHORTEST_SIXTH) ||
    (turn === TURN_OF_EXTENSIONS && turnBytes < SHORTEST_SEVENTH)
  ) {
    flow.dropFact(HELLO_ALONE);
  }
  return true;
}

/**
 * Length of the third turn at the fourth's end, 0 where it was no padding or A's handshake certainly ended
 * it. Padding as long as a handshake is one of 513, and must not hide the one that follows.
 */
function thirdAtFourth(flow: FlowRecord): number {
  if (!flow.hasLength(HELLO_A)) return flow.requestMark;
  return flow.has(THIRD_APART) || flow.hasLength(SPLIT) ? 0 : THIRD + HANDSHAKE;
}

/** Lengths of the third and, {@link LENGTH_BITS} above it, the fourth turn, at the fifth. */
export function paddedTurns(flow: FlowRecord): number {
  return flow.requestMark;
}

/**
 * Whether the segment is a handshake by itself, or behind a fourth message without padding. B's comes
 * when A's has: in the fourth turn behind a third with room for one, in the sixth behind a fifth.
 */
function noteHello(flow: FlowRecord, turn: number, before: number, length: number): boolean {
  let facts = 0;
  if (turn === TURN_OF_FOURTH) {
    const hasRoom = flow.requestMark === 0 || flow.requestMark >= THIRD + HANDSHAKE;
    if (!hasRoom) return false;
    if (before === 0 && length === FOURTH + HANDSHAKE) facts = HELLO_B;
    else if (before === FOURTH && length === HANDSHAKE) facts = HELLO_B | SPLIT_ANSWER;
  } else if (before === 0 && length === HANDSHAKE) {
    if (turn === TURN_OF_HANDSHAKE && (!flow.hasLength(HELLO_A) || flow.requestMark !== 0)) {
      facts = HELLO_A;
      flow.raise(flow.hasLength(HELLO_B) ? FIFTH | B_FIRST : FIFTH);
      if (flow.requestMark !== 0) flow.noteFact(HELLO_ALONE);
    } else if (turn === TURN_OF_ANSWER && flow.hasFact(HELLO_ALONE)) {
      facts = HELLO_B;
      flow.lower(B_FIRST);
    }
  }
  flow.noteLength(facts);
  return facts !== 0;
}
