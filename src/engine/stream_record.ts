/**
 * What the state of a TCP flow has beside what every flow has: words of its stream, of a proxy's
 * negotiation in it, and of what may be encrypted. They stand apart ({@link STREAM_STRIDE} words a
 * slot, behind all flows' common ones), so that a flood of datagrams, each a flow, does not take
 * memory for them: **flows of UDP have none**. A slot's words here may be an earlier TCP flow's, and
 * are cleared when the next one begins.
 *
 * Who writes and how long it lives is said as in flow_record.ts.
 */

// Words. Those marked "by direction" take two: 0 from the initiator, 1 from the responder.

/** TCP, by direction: sequence number of stream offset 0, and of the next new byte. Stream space; flow. */
const BASE = 0;
const NEXT = 2;
/** TCP, by direction: prefix buffer, its index + 1 or 0. Prefix pool; opening. */
const PREFIX = 4;
/** TCP, by direction: bytes of proxy negotiation before the tunnelled stream. TCP inspector; flow. */
const PEELED = 6;
/** Encrypted: number of the present turn (1: who speaks first speaks). Turns; flow. */
const TURN = 8;
/** Encrypted: bytes of the present turn. Turns; flow. */
const TURN_BYTES = 9;
/** Encrypted: facts, see flow_record.ts. Encrypted flows, turns, block rhythm; flow. */
const ENCRYPTION = 10;
/** Encrypted: lengths, see flow_record.ts. Turns; flow. */
const LENGTHS = 11;
/** TCP, by direction: bytes of a handshake seen in their places, a bit each. Readings; flow. */
const READINGS = 12;
/** Encrypted, by direction: counts of short segments, packed. Request rhythm; flow. */
const RHYTHM = 14;
/**
 * Joined in the middle: what was acknowledged when requests began to be counted, counts of them, how
 * far apart blocks and requests were, kinds of messages (`request_pace.ts`). They stand where other
 * flows have what their beginnings show: turns and readings. Request pace; flow.
 */
const PACE_MARK = TURN;
const PACE_COUNTS = TURN_BYTES;
const PACE_SPAN = READINGS;
const PACE_KINDS = READINGS + 1;
/** Encrypted: ends of writes in the stream of who sends more. Block rhythm; flow. */
const REFERENCE_MARK = 16;
const END_MARK = 17;
/**
 * Encrypted: what had arrived when the first request was sent. Request rhythm; flow. Until there is
 * data, lengths of earlier turns: the third and above it the fourth, then the last message; before them
 * the last piece of A's and, above it, how many were small pieces, less others. Turns.
 */
const REQUEST_MARK = 18;
/** Encrypted: longest segment by itself of who sends more, the path's. Block rhythm; flow. */
const LONGEST_SEGMENT = 19;

/** TCP: the address of the target that a proxy is told, or the hash of its name, four words. TCP inspector; flow. */
const TARGET = 20;

/** Encrypted: sequence number of the first data. Block rhythm; flow. */
const FIRST_DATA = 24;

/**
 * Encrypted: length of the message that may say what extensions one end has (BEP 10), 0 where there is
 * none, or data began later than right behind it. Turns; flow.
 */
const TOLD = 25;
/**
 * Joined in the middle, in these two words' place: kinds of sums that who asks has said, and, a byte
 * each, how many of its messages were one of many haves, how many too long to tell, and kinds of what
 * the other side said between blocks. Request rhythm, block rhythm; flow.
 */
const SUM_KINDS = FIRST_DATA;
const OTHER_SUMS = TOLD;
const AMBIGUOUS_SUMS = 8;
const REFUSED = 16;

/** Encrypted: tick until which its data is held back, 0 where it never was. Encrypted flows; flow. */
const HELD_UNTIL = 26;

/**
 * Encrypted: length of the message by itself in which the initiator may have said of its extensions in turn,
 * 0 as above. Turns; flow.
 */
const TOLD_BACK = 27;

/** Words of a slot here. */
export const STREAM_STRIDE = 28;

/** A view of one flow's words here; of every flow, `FlowRecord`. */
export class StreamRecord {
  /** All flows' words, for the table and the prefix pool. */
  readonly words: Int32Array;
  /** First word here of the flow at hand. */
  streamAt: number;

  /** @param words of all flows  @param begin where those here begin */
  constructor(words: Int32Array, begin: number) {
    this.words = words;
    this.streamAt = begin;
  }

  /** Forgets an earlier flow's words. */
  clearStream(): void {
    const { words, streamAt } = this;
    // A loop: the built-in fill costs more than these few words.
    for (let word = 0; word < STREAM_STRIDE; word++) words[streamAt + word] = 0;
  }

  base(direction: number): number {
    return this.words[this.streamAt + BASE + direction];
  }
  setBase(direction: number, sequence: number): void {
    this.words[this.streamAt + BASE + direction] = sequence;
  }
  next(direction: number): number {
    return this.words[this.streamAt + NEXT + direction];
  }
  setNext(direction: number, sequence: number): void {
    this.words[this.streamAt + NEXT + direction] = sequence;
  }

  /** Where in {@link words} the reference to a prefix buffer stands. */
  prefixAt(direction: number): number {
    return this.streamAt + PREFIX + direction;
  }
  /** Index of the prefix buffer, or -1. */
  prefix(direction: number): number {
    return this.words[this.streamAt + PREFIX + direction] - 1;
  }

  peeled(direction: number): number {
    return this.words[this.streamAt + PEELED + direction];
  }
  setPeeled(direction: number, length: number): void {
    this.words[this.streamAt + PEELED + direction] = length;
  }

  readings(direction: number): number {
    return this.words[this.streamAt + READINGS + direction];
  }
  setReadings(direction: number, bits: number): void {
    this.words[this.streamAt + READINGS + direction] = bits;
  }

  get turn(): number {
    return this.words[this.streamAt + TURN];
  }
  set turn(turn: number) {
    this.words[this.streamAt + TURN] = turn;
  }
  get turnBytes(): number {
    return this.words[this.streamAt + TURN_BYTES];
  }
  set turnBytes(length: number) {
    this.words[this.streamAt + TURN_BYTES] = length;
  }

  get encryption(): number {
    return this.words[this.streamAt + ENCRYPTION];
  }
  set encryption(facts: number) {
    this.words[this.streamAt + ENCRYPTION] = facts;
  }
  /** Whether any of the facts is known. */
  hasFact(facts: number): boolean {
    return (this.words[this.streamAt + ENCRYPTION] & facts) !== 0;
  }
  noteFact(facts: number): void {
    this.words[this.streamAt + ENCRYPTION] |= facts;
  }
  dropFact(facts: number): void {
    this.words[this.streamAt + ENCRYPTION] &= ~facts;
  }

  get referenceMark(): number {
    return this.words[this.streamAt + REFERENCE_MARK];
  }
  set referenceMark(sequence: number) {
    this.words[this.streamAt + REFERENCE_MARK] = sequence;
  }
  get endMark(): number {
    return this.words[this.streamAt + END_MARK];
  }
  set endMark(sequence: number) {
    this.words[this.streamAt + END_MARK] = sequence;
  }

  get firstData(): number {
    return this.words[this.streamAt + FIRST_DATA];
  }
  set firstData(sequence: number) {
    this.words[this.streamAt + FIRST_DATA] = sequence;
  }

  get told(): number {
    return this.words[this.streamAt + TOLD];
  }
  set told(length: number) {
    this.words[this.streamAt + TOLD] = length;
  }

  get sumKinds(): number {
    return this.words[this.streamAt + SUM_KINDS];
  }
  set sumKinds(kinds: number) {
    this.words[this.streamAt + SUM_KINDS] = kinds;
  }
  get otherSums(): number {
    return this.words[this.streamAt + OTHER_SUMS] & 0xff;
  }
  set otherSums(count: number) {
    this.#setByte(OTHER_SUMS, 0, count);
  }
  get ambiguous(): number {
    return (this.words[this.streamAt + OTHER_SUMS] >>> AMBIGUOUS_SUMS) & 0xff;
  }
  set ambiguous(count: number) {
    this.#setByte(OTHER_SUMS, AMBIGUOUS_SUMS, count);
  }
  get refusedKinds(): number {
    return (this.words[this.streamAt + OTHER_SUMS] >>> REFUSED) & 0xff;
  }
  set refusedKinds(kinds: number) {
    this.#setByte(OTHER_SUMS, REFUSED, kinds);
  }
  #setByte(word: number, shift: number, value: number): void {
    const { words } = this;
    const at = this.streamAt + word;
    words[at] = (words[at] & ~(0xff << shift)) | (value << shift);
  }

  get toldBack(): number {
    return this.words[this.streamAt + TOLD_BACK];
  }
  set toldBack(length: number) {
    this.words[this.streamAt + TOLD_BACK] = length;
  }

  get heldUntil(): number {
    return this.words[this.streamAt + HELD_UNTIL];
  }
  set heldUntil(tick: number) {
    this.words[this.streamAt + HELD_UNTIL] = tick;
  }

  get longestSegment(): number {
    return this.words[this.streamAt + LONGEST_SEGMENT];
  }
  set longestSegment(length: number) {
    this.words[this.streamAt + LONGEST_SEGMENT] = length;
  }

  /** Where in {@link words} the target's address stands, as in `Packet.address`. */
  get targetAt(): number {
    return this.streamAt + TARGET;
  }

  get lengths(): number {
    return this.words[this.streamAt + LENGTHS];
  }
  set lengths(facts: number) {
    this.words[this.streamAt + LENGTHS] = facts;
  }
  hasLength(facts: number): boolean {
    return (this.words[this.streamAt + LENGTHS] & facts) !== 0;
  }
  noteLength(facts: number): void {
    this.words[this.streamAt + LENGTHS] |= facts;
  }

  get requestMark(): number {
    return this.words[this.streamAt + REQUEST_MARK];
  }
  set requestMark(sequence: number) {
    this.words[this.streamAt + REQUEST_MARK] = sequence;
  }

  get paceMark(): number {
    return this.words[this.streamAt + PACE_MARK];
  }
  set paceMark(sequence: number) {
    this.words[this.streamAt + PACE_MARK] = sequence;
  }
  get paceCounts(): number {
    return this.words[this.streamAt + PACE_COUNTS];
  }
  set paceCounts(counts: number) {
    this.words[this.streamAt + PACE_COUNTS] = counts;
  }
  get paceSpan(): number {
    return this.words[this.streamAt + PACE_SPAN];
  }
  set paceSpan(span: number) {
    this.words[this.streamAt + PACE_SPAN] = span;
  }
  get paceKinds(): number {
    return this.words[this.streamAt + PACE_KINDS];
  }
  set paceKinds(kinds: number) {
    this.words[this.streamAt + PACE_KINDS] = kinds;
  }

  rhythm(direction: number): number {
    return this.words[this.streamAt + RHYTHM + direction];
  }
  setRhythm(direction: number, counts: number): void {
    this.words[this.streamAt + RHYTHM + direction] = counts;
  }
}
