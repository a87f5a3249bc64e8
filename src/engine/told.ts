/**
 * What two programs say of themselves by extensions (BEP 10), behind their handshakes: how long that is tells
 * one torrent's peers of one program from others.
 */
import {
  ALIKE,
  B_FIRST,
  CUT,
  FIFTH,
  type FlowRecord,
  HELLO_ALONE,
  HELLO_B,
  LONGER,
  TOLD_ALIKE,
  TOLD_APART,
} from "./flow_record.ts";
import { BARE_MESSAGE, FULL_SEGMENT } from "./message_lengths.ts";
import {
  FOURTH,
  HANDSHAKE,
  isPaddedFourth,
  LENGTH_BITS,
  SHORTEST_SEVENTH,
  SHORTEST_SIXTH,
  TURN_OF_ANSWER,
  TURN_OF_EXTENSIONS,
  TURN_OF_FOURTH,
  TURN_OF_HANDSHAKE,
} from "./turn_lengths.ts";

/**
 * They say the same of themselves, one with a handshake before it, the other with four requests of 17
 * behind it, which is as long: what differs are digits, what only one of them knows, and the port that
 * who calls through a proxy does not tell.
 */
const MOST_DIFFERENCE = 18;
/** And their names, where the one handshake is a turn by itself. */
const MOST_WITH_NAMES = 24;
/** Of one program with itself who seeds says more: that it seeds, and for how many seconds. */
const LEAST_LONGER = 4;
/** Then extensions take so much behind the handshake that few other messages are as long. */
const LEAST_OF_BOTH = 192;
/** Data begins right behind what extensions say, requests and `unchoke` by themselves between them at most. */
const LAST_TURN_OF_FIRST_DATA = 10;

/** What was told, below it; the bit says that a handshake by itself stood before it. */
const BEHIND_HANDSHAKE = 1 << 12;
const TOLD_MASK = BEHIND_HANDSHAKE - 1;
const BACK_SHIFT = 13;
const BACK_MASK = (1 << 11) - 1;
/** What stands in a message of its own may be written with a port or a number that is a digit longer. */
const DIGIT = 1;
/** Padding most of it: in units of so many bytes, as many as eight bits hold. */
const BEFORE_SHIFT = 24;
const BEFORE_UNIT = 8;
const MOST_BEFORE = 255;

/**
 * What may be what an end says of its extensions: a write of its own behind the fourth message, with a
 * handshake before it; the sixth turn where the fifth was a handshake, or the rest of a beginning in pieces;
 * the seventh where the sixth was a handshake too.
 */
export function noteTold(flow: FlowRecord, before: number, length: number): void {
  if (length >= FULL_SEGMENT) {
    if (flow.turn > LAST_TURN_OF_FIRST_DATA) flow.told = flow.toldBack = 0;
    return;
  }
  noteToldBack(flow, before, length);
  if (flow.turn === TURN_OF_FOURTH) {
    if (flow.told === 0 && isPaddedFourth(before) && length >= SHORTEST_SIXTH) flow.told = length;
  } else if (flow.turn === TURN_OF_HANDSHAKE) {
    // A handshake by itself says that the fourth turn was padding, in two segments.
    if (length === HANDSHAKE) flow.told = 0;
    if (before === 0 && flow.told !== 0 && isNearly(length, flow.told)) flow.raise(TOLD_ALIKE);
    else flow.lower(TOLD_ALIKE);
    if (flow.has(TOLD_ALIKE) && isLonger(flow.told, length)) flow.raise(LONGER);
    else flow.lower(LONGER);
  } else if (before === 0 && flow.hasFact(HELLO_ALONE)) {
    const isBehindBoth = flow.hasLength(HELLO_B) && !flow.has(B_FIRST);
    const shortest = isBehindBoth ? SHORTEST_SEVENTH : SHORTEST_SIXTH;
    const turn = isBehindBoth ? TURN_OF_EXTENSIONS : TURN_OF_ANSWER;
    if (flow.turn === turn && length >= shortest) flow.told = length;
  } else if (before === 0 && flow.turn === TURN_OF_ANSWER && flow.has(CUT)) {
    // B answers as soon as it can, between pieces of the third message, of which the fifth turn is the rest.
    if (flow.told === 0 && length >= SHORTEST_SIXTH) flow.told = length;
  }
}

/**
 * What who called may say of its extensions: the fifth turn where handshakes went out with the messages
 * before it, the seventh behind one by itself, or behind one of each side. The latter speaks for others
 * whose handshake a relay has joined with the words behind it: where two only echo each other it says
 * nothing of themselves, and so it is not what they were told.
 */
function noteToldBack(flow: FlowRecord, before: number, length: number): void {
  if (flow.turn === TURN_OF_HANDSHAKE) {
    // It answers the same of the other side's, behind its handshake; a longer fourth turn is not known here.
    const fourth = flow.requestMark >> LENGTH_BITS;
    const mayAnswer = fourth === 0 || fourth >= FOURTH + HANDSHAKE + SHORTEST_SIXTH;
    flow.toldBack = mayAnswer && before === 0 && length >= SHORTEST_SIXTH ? length : 0;
  } else if (
    flow.turn === TURN_OF_EXTENSIONS && (flow.hasFact(HELLO_ALONE) || hasBothAlone(flow))
  ) {
    flow.toldBack = before === 0 && length >= SHORTEST_SEVENTH ? length : 0;
  }
}

/** Whether both handshakes were turns by themselves, the fifth and the sixth, which has no room for more. */
function hasBothAlone(flow: FlowRecord): boolean {
  return flow.has(FIFTH) && flow.hasLength(HELLO_B) && !flow.has(B_FIRST);
}

/** Whether who seeds, with a handshake before it, says a little more than the other. */
function isLonger(length: number, other: number): boolean {
  const longer = length - other;
  return length >= LEAST_OF_BOTH && longer >= LEAST_LONGER && longer <= MOST_DIFFERENCE;
}

function isNearly(length: number, other: number): boolean {
  return Math.abs(length - other) <= MOST_DIFFERENCE;
}

/**
 * The seventh turn beside the sixth: one message each, as long but for digits and names, or but for the handshake
 * that a relay has joined with one; or more of them.
 */
export function noteNearlyAlike(flow: FlowRecord, before: number, length: number): void {
  const sixth = flow.requestMark;
  const isJoined = length >= SHORTEST_SEVENTH && sixth - length === HANDSHAKE;
  const isAlike = before === 0 && sixth >= SHORTEST_SIXTH &&
    (isJoined || Math.abs(length - sixth) <= MOST_WITH_NAMES);
  if (isAlike) flow.noteLength(ALIKE);
  else flow.lengths &= ~ALIKE;
  if (isAlike && (isJoined || isLonger(sixth, length))) flow.raise(LONGER);
  else flow.lower(LONGER);
  if (before > 0 && flow.hasFact(HELLO_ALONE)) flow.raise(TOLD_APART);
}

/**
 * What a flow has told of extensions, in one word, as {@link HostEvidence.addFlow} keeps it.
 *
 * @param told bytes of what one end said, 0 where that is not known
 * @param toldBack bytes of what the initiator said in turn, likewise
 * @param isBehindHandshake whether a handshake by itself stood before it; of what is looked for, whether
 *   one must have
 * @param before bytes that the initiator had sent before it told that back
 */
export function toldOf(
  told: number,
  toldBack: number,
  isBehindHandshake: boolean,
  before: number,
): number {
  return told | (isBehindHandshake ? BEHIND_HANDSHAKE : 0) | (toldBack << BACK_SHIFT) |
    (Math.min(before / BEFORE_UNIT, MOST_BEFORE) << BEFORE_SHIFT);
}

/**
 * Whether a flow has told as much as is looked for, or told as much back. Where only what was told back is
 * known, a flow that was told a little more is as good as one with a handshake.
 */
export function hasTold(flow: number, sought: number): boolean {
  const told = flow & TOLD_MASK;
  const back = toldBackOf(flow);
  const soughtTold = sought & TOLD_MASK;
  const soughtBack = toldBackOf(sought);
  const needsHandshake = (sought & BEHIND_HANDSHAKE) !== 0;
  const isShown = (flow & BEHIND_HANDSHAKE) !== 0 || (soughtTold === 0 && isLonger(told, back));
  if ((needsHandshake || soughtTold === 0) && !isShown) return false;
  return (soughtTold !== 0 && areAsLong(told, soughtTold, !needsHandshake)) ||
    (soughtBack !== 0 && Math.abs(back - soughtBack) <= DIGIT);
}

/** Bytes that the initiator had sent before it told that back, to {@link BEFORE_UNIT}. */
export function sentBeforeTold(flow: number): number {
  return (flow >>> BEFORE_SHIFT) * BEFORE_UNIT;
}

function toldBackOf(flow: number): number {
  return (flow >> BACK_SHIFT) & BACK_MASK;
}

/** Whether two have told as much; `unchoke` or `interested` may stand behind one of them, where `isLoose`. */
function areAsLong(told: number, other: number, isLoose: boolean): boolean {
  return told === other || (isLoose && Math.abs(told - other) === BARE_MESSAGE);
}
