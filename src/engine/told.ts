import { isLonger } from "./turns.ts";

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
/** `unchoke` or `interested` (BEP 3). */
const BARE_MESSAGE = 5;

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
