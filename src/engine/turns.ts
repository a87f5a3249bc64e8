/**
 * The beginning of an encrypted flow, by turns and lengths. A turn is all that one side sends before
 * the other answers. MSE hides bytes and keeps lengths: two keys with padding, then A's third message
 * (56 and padding, perhaps with the handshake of 68 behind it), B's fourth (14 and padding, likewise),
 * then the peer wire: `interested` and `unchoke` are 5 bytes, requests 17 each, a block's header 13.
 *
 * Here only what is there is noted; what it is worth says `mse_table.ts`.
 */
import type { Packet } from "../packet/packet.ts";
import { MAX_OPENING, MIN_OPENING, MIN_THIRD_MESSAGE } from "../protocols/mse/detect.ts";
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
  GRANTED,
  HEADED,
  HELLO_A,
  HELLO_ALONE,
  HELLO_B,
  IN_STEP,
  LAST,
  LAST_MASK,
  LONGER,
  RANDOM,
  REQUESTED,
  RESPONDER_OPENS,
  RULED_OUT,
  SHAPED,
  SHORT,
  SPLIT,
  SPLIT_ANSWER,
  THIRD_APART,
  THIRD_FITS,
  TOLD_ALIKE,
  TOLD_APART,
  UNCHOKED,
} from "./flow_record.ts";

/** The handshake (BEP 3), and what stands before it in the third and fourth message. */
const HANDSHAKE = 68;
const THIRD = MIN_THIRD_MESSAGE;
const FOURTH = 14;
/** Padding, a handshake, extensions and a bitfield of some 80 000 pieces. */
const MOST_OF_FOURTH = 12_288;
const TURN_OF_THIRD = 3;
const TURN_OF_FOURTH = 4;
/** BiglyBT writes what it begins with in pieces of such lengths, each of which another one follows. */
const SHORTEST_PIECE = 50;
const LONGEST_PIECE = 149;
const LEAST_PIECES = 3;
const MOST_PIECES = 15;
const MAX_PADDING = 512;
/** Bits that the length of a padded message takes, 608 at most, where several stand in one word. */
export const LENGTH_BITS = 10;
export const LENGTH_MASK: number = (1 << LENGTH_BITS) - 1;
/** KTorrent writes the two hashes of its third message by themselves. */
const HASH = 20;
const BARE_MESSAGE = 5;
const REQUEST = 17;
const HAVE = 9;
/** `interested` behind an empty list of peers (BEP 11), as aria2 says it. */
const INTERESTED_BEHIND_PEERS = 13;
/**
 * Of who seeds with libtorrent the sixth turn is a handshake with what its extensions say of it, the
 * seventh is what the other one says of itself, and the eighth `unchoke` and five times `allowed fast`.
 */
const TURN_OF_GRANT = 8;
/** Turns fewer where the handshake came right behind the third message, and the other's behind the fourth. */
const FEWER_APART = 2;
const GRANT = 50;
const SHORTEST_SIXTH = 128;
const SHORTEST_SEVENTH = 64;
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
/** Then extensions (BEP 10) take so much behind the handshake that few other messages are as long. */
const LEAST_OF_BOTH = 192;
/** Handshakes by themselves are the fifth and sixth turn; aria2 says the same of itself behind them. */
const TURN_OF_EXTENSIONS = 7;
/** Data begins right behind what extensions say, requests and `unchoke` by themselves between them at most. */
const LAST_TURN_OF_FIRST_DATA = 10;
/** A tag of 16 bytes and one of text; and the shortest message there is, which keeps alive. */
const SHORTEST_AUTHENTICATED = 17;
const SHORTEST_MESSAGE = 4;
const MOST_COUNTED = 4;
/** Requests in a message, beside `interested` and by themselves: Transmission 4 asks for 32 at once. */
const MOST_REQUESTS_OF_FIRST = 8;
const MOST_REQUESTS = 64;
/** Transmission 4 never asks for fewer at first, and until it knows how fast a peer is for no more. */
const FIRST_REQUESTS = 32 * REQUEST;
const MOST_HAVES = 3;
const BLOCK_HEADER = 13;
/** `allowed fast` (BEP 6) is 9 bytes; libtorrent sends up to five behind its `unchoke`. */
const ALLOWED_FAST = 9;
const MOST_ALLOWED = 5;
/** A segment that carries data: a path's full one, or several joined. */
const FULL = 1200;
/** The beginning is over after so many turns, whatever was in them. */
const MAX_TURNS = 24;
/** A turn may hold decoys that never arrive; nobody sends more of them than this. */
const MAX_TURN = 4096;

/** What the last segment was; above it the bit of whose it was. */
const OTHER = 0;
const FIVE = 1;
const ASKING = 2;
const GRANTING = 3;
const HEADING = 4;
const REPEATING = 5;
/** 5 bytes of the other side's, right behind requests: what was allowed fast is asked for before `unchoke`. */
const UNCHOKING = 6;
const KIND = 7;
const OF_B = 8;
/** Requests asked for before the last segments, not yet answered by data. */
const IS_ASKED = 16;
const IS_GRANTED = 32;
/** The turn began right behind 5 bytes of the other side; so did those requests, where data comes. */
const IS_UNCHOKED = 64;

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
    if (flow.turnBytes >= THIRD) flow.noteFact(SHAPED);
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
    return;
  }
  if (turn === 4) noteApart(flow, before, length);
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

/** Whether the fourth message was written, and then a handshake with what may stand behind it. */
function noteApart(flow: FlowRecord, before: number, length: number): void {
  const isFourth = before >= FOURTH && before <= FOURTH + MAX_PADDING;
  if (isFourth && length >= HANDSHAKE && length < FULL && flow.hasLength(HELLO_A)) {
    flow.raise(APART);
  }
}

/**
 * What may be what an end says of its extensions: a write of its own behind the fourth message, with a
 * handshake before it; the sixth turn where the fifth was a handshake, or the rest of a beginning in pieces;
 * the seventh where the sixth was a handshake too.
 */
function noteTold(flow: FlowRecord, before: number, length: number): void {
  if (length >= FULL) {
    if (flow.turn > LAST_TURN_OF_FIRST_DATA) flow.told = flow.toldBack = 0;
    return;
  }
  noteToldBack(flow, before, length);
  if (flow.turn === TURN_OF_FOURTH) {
    const isBehindPadding = before >= FOURTH && before <= FOURTH + MAX_PADDING;
    if (flow.told === 0 && isBehindPadding && length >= SHORTEST_SIXTH) flow.told = length;
  } else if (flow.turn === TURN_OF_FOURTH + 1) {
    // A handshake by itself says that the fourth turn was padding, in two segments.
    if (length === HANDSHAKE) flow.told = 0;
    if (before === 0 && flow.told !== 0 && isNearly(length, flow.told)) flow.raise(TOLD_ALIKE);
    else flow.lower(TOLD_ALIKE);
    if (flow.has(TOLD_ALIKE) && isLonger(flow.told, length)) flow.raise(LONGER);
    else flow.lower(LONGER);
  } else if (before === 0 && flow.hasFact(HELLO_ALONE)) {
    const isBehindBoth = flow.hasLength(HELLO_B) && !flow.has(B_FIRST);
    const shortest = isBehindBoth ? SHORTEST_SEVENTH : SHORTEST_SIXTH;
    const turn = isBehindBoth ? TURN_OF_EXTENSIONS : TURN_OF_EXTENSIONS - 1;
    if (flow.turn === turn && length >= shortest) flow.told = length;
  } else if (before === 0 && flow.turn === TURN_OF_EXTENSIONS - 1 && flow.has(CUT)) {
    // B answers as soon as it can, between pieces of the third message, of which the fifth turn is the rest.
    if (flow.told === 0 && length >= SHORTEST_SIXTH) flow.told = length;
  }
}

/**
 * What who called may say of its extensions: the fifth turn where handshakes went out with the messages
 * before it, the seventh behind one by itself.
 */
function noteToldBack(flow: FlowRecord, before: number, length: number): void {
  if (flow.turn === TURN_OF_FOURTH + 1) {
    // It answers the same of the other side's, behind its handshake; a longer fourth turn is not known here.
    const fourth = flow.requestMark >> LENGTH_BITS;
    const mayAnswer = fourth === 0 || fourth >= FOURTH + HANDSHAKE + SHORTEST_SIXTH;
    flow.toldBack = mayAnswer && before === 0 && length >= SHORTEST_SIXTH ? length : 0;
  } else if (flow.turn === TURN_OF_EXTENSIONS && flow.hasFact(HELLO_ALONE)) {
    flow.toldBack = before === 0 && length >= SHORTEST_SEVENTH ? length : 0;
  }
}

/** Whether who seeds, with a handshake before it, says a little more than the other. */
export function isLonger(length: number, other: number): boolean {
  const longer = length - other;
  return length >= LEAST_OF_BOTH && longer >= LEAST_LONGER && longer <= MOST_DIFFERENCE;
}

function isNearly(length: number, other: number): boolean {
  return Math.abs(length - other) <= MOST_DIFFERENCE;
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
    if (turnBytes >= THIRD && turnBytes <= THIRD + 2 * MAX_PADDING) flow.noteLength(THIRD_FITS);
    if (turnBytes === THIRD + HANDSHAKE) flow.noteLength(HELLO_A);
    else if (turnBytes > HASH * 2) flow.lengths &= ~SPLIT;
    if (turnBytes < THIRD) flow.noteFact(RULED_OUT);
    flow.requestMark = turnBytes <= THIRD + MAX_PADDING ? turnBytes : 0;
  } else if (turn === TURN_OF_FOURTH) {
    // Shorter than what it begins with, or with blocks before anybody has asked: neither this nor the third
    // was padding, or a handshake.
    if (turnBytes < FOURTH || turnBytes > MOST_OF_FOURTH) {
      flow.lengths &= ~(THIRD_FITS | HELLO_A | SPLIT);
    }
    const fits = turnBytes >= FOURTH && turnBytes <= FOURTH + MAX_PADDING;
    // What stands apart behind the fourth message is compared with what answers it.
    if (!flow.has(APART)) {
      const third = thirdAtFourth(flow);
      flow.requestMark = fits && third !== 0 ? third | (turnBytes << LENGTH_BITS) : 0;
    }
  } else if (
    (turn === 6 && turnBytes < SHORTEST_SIXTH) || (turn === 7 && turnBytes < SHORTEST_SEVENTH)
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

export function isOpening(length: number): boolean {
  return length >= MIN_OPENING && length <= MAX_OPENING;
}

/**
 * Whether the segment is a handshake by itself, or behind a fourth message without padding. B's comes
 * when A's has: in the fourth turn behind a third with room for one, in the sixth behind a fifth.
 */
function noteHello(flow: FlowRecord, turn: number, before: number, length: number): boolean {
  let facts = 0;
  if (turn === 4) {
    const hasRoom = flow.requestMark === 0 || flow.requestMark >= THIRD + HANDSHAKE;
    if (!hasRoom) return false;
    if (before === 0 && length === FOURTH + HANDSHAKE) facts = HELLO_B;
    else if (before === FOURTH && length === HANDSHAKE) facts = HELLO_B | SPLIT_ANSWER;
  } else if (before === 0 && length === HANDSHAKE) {
    if (turn === 5 && (!flow.hasLength(HELLO_A) || flow.requestMark !== 0)) {
      facts = HELLO_A;
      flow.raise(flow.hasLength(HELLO_B) ? FIFTH | B_FIRST : FIFTH);
      if (flow.requestMark !== 0) flow.noteFact(HELLO_ALONE);
    } else if (turn === 6 && flow.hasFact(HELLO_ALONE)) {
      facts = HELLO_B;
      flow.lower(B_FIRST);
    }
  }
  flow.noteLength(facts);
  return facts !== 0;
}

/** Messages of the peer wire until the first data. */
function noteMessage(flow: FlowRecord, side: number, before: number, length: number): void {
  // Without a handshake's length too, but not in the fourth message, whose padding is not over.
  const mayHaveBegun = flow.hasLength(THIRD_FITS) && flow.turn > TURN_OF_FOURTH;
  if (!flow.hasLength(HELLO_A | HELLO_B) && !mayHaveBegun) return;
  if (flow.hasLength(DATA_SEEN)) {
    countRequests(flow, side, length);
    return;
  }
  const last = (flow.lengths >> LAST) & LAST_MASK;
  const lastIsMine = ((last & OF_B) !== 0) === (side === 1);
  const lastKind = last & KIND;
  if (length >= FULL) {
    if (!lastIsMine) flow.lengths &= ~(SHORT | ASKED_AND_GRANTED);
    const isHeaded = lastIsMine && lastKind === HEADING;
    const isGranted = (lastIsMine && lastKind === GRANTING) || (last & IS_GRANTED) !== 0;
    const isInStep = lastIsMine && lastKind === GRANTING && flow.requestMark === GRANT &&
      (isTurnInStep(flow, TURN_OF_GRANT) || isCutInStep(flow));
    const isAsked = isAskedByOther(last, lastIsMine);
    const isGrantedAtOnce = isAsked && lastKind === GRANTING && flow.requestMark === GRANT &&
      (flow.turn === TURN_OF_GRANT || flow.turn === TURN_OF_GRANT - 2);
    if (!isGrantedAtOnce) flow.lengths &= ~ASKED_AND_GRANTED;
    flow.noteLength(
      (isInStep ? IN_STEP : 0) | DATA_SEEN | (isHeaded ? HEADED : 0) | (isGranted ? GRANTED : 0) |
        (isAsked ? REQUESTED : 0) |
        (isAsked && ((last & IS_UNCHOKED) !== 0 || lastKind === UNCHOKING) ? UNCHOKED : 0),
    );
    flow.lengths &= ~(LAST_MASK << LAST);
    return;
  }
  if (flow.turn === 4 && before >= FOURTH && before <= FOURTH + MAX_PADDING) {
    if (length >= SHORTEST_SIXTH) flow.noteLength(ASKED_AND_GRANTED);
  }
  if (isTurnInStep(flow, TURN_OF_EXTENSIONS)) {
    noteNearlyAlike(flow, before, length);
  }
  const hasBoth = flow.hasLength(HELLO_A) && flow.hasLength(HELLO_B);
  const isFirstAnswer = flow.turn === TURN_OF_EXTENSIONS + 1 && before === 0;
  if (
    hasBoth && isFirstAnswer && length >= SHORTEST_SEVENTH && length === flow.requestMark
  ) flow.noteLength(ALIKE);
  if (isShort(length) && before === 0 && length !== flow.requestMark) {
    flow.noteLength(SHORT);
  } else {
    flow.lengths &= ~SHORT;
  }
  const isTold = flow.hasLength(ALIKE) && before === 0 && !lastIsMine &&
    isRequests(flow.requestMark - length - BARE_MESSAGE, MOST_REQUESTS_OF_FIRST);
  // The mark is free until there are requests: it holds the last message's length.
  flow.requestMark = flow.turn === TURN_OF_EXTENSIONS && before > 0 ? 0 : length;
  if (length === BARE_MESSAGE) flow.noteLength(side === 0 ? FIVE_A : FIVE_B);
  // Of two programs that are alike who asks says in one message what the other one says next,
  // `interested`, and requests.
  const isUnchoking = length === BARE_MESSAGE && !lastIsMine && (last & IS_ASKED) !== 0;
  const kind = isTold
    ? REPEATING
    : isUnchoking
    ? UNCHOKING
    : asksBehindPeers(flow, length)
    ? ASKING
    : kindOf(length);
  // Further ones change nothing.
  const asksFurther = lastIsMine && (last & IS_ASKED) !== 0;
  if (kind === ASKING && !asksFurther) noteFirstRequests(flow, length);
  // BiglyBT asks for more when the header of what it has asked for is on its way, before the block.
  if (kind === ASKING && !lastIsMine && lastKind === HEADING && (last & IS_ASKED) !== 0) return;
  // Requests stay asked through what the side that answers says before its data, and through further
  // ones and `have`s; behind both handshakes through whatever else the asker says.
  const isAsked = kind === ASKING || isTold ||
    (isAnswer(kind) && isAskedByOther(last, lastIsMine)) ||
    (lastIsMine && (last & IS_ASKED) !== 0 && !isAnswer(lastKind) &&
      (hasBoth || isHaves(length)));
  // And what was granted stays so through the requests it lets through, and what the asker has.
  const isAsking = kind === ASKING || isHaves(length);
  const isGranted = (kind === HEADING && lastIsMine && lastKind === GRANTING) ||
    (isAsking && !lastIsMine && lastKind === GRANTING) ||
    (isAsking && lastIsMine && (last & IS_GRANTED) !== 0) ||
    (kind === HEADING && (last & IS_GRANTED) !== 0);
  // Who is unchoked may say `interested` and what it has before it asks.
  const isUnchoked = (!lastIsMine && (lastKind === FIVE || lastKind === UNCHOKING)) ||
    ((lastIsMine || kind === HEADING) && (last & IS_UNCHOKED) !== 0);
  const next = kind | (side === 1 ? OF_B : 0) | (isAsked ? IS_ASKED : 0) |
    (isGranted ? IS_GRANTED : 0) | (isUnchoked ? IS_UNCHOKED : 0);
  flow.lengths = (flow.lengths & ~(LAST_MASK << LAST)) | (next << LAST);
}

/** Whether it is the turn, as counted where handshakes stand in the fifth and sixth. */
function isTurnInStep(flow: FlowRecord, turn: number): boolean {
  return (flow.turn === turn && flow.hasFact(HELLO_ALONE)) ||
    (flow.turn === turn - FEWER_APART && flow.has(APART));
}

/**
 * Whether it is the turn where A's beginning came in pieces and handshakes show nowhere: B's, with its
 * extensions, was the write behind the fourth message's padding, or the sixth turn.
 */
function isCutInStep(flow: FlowRecord): boolean {
  if (!flow.has(CUT) || flow.hasLength(HELLO_A | HELLO_B) || flow.told === 0) return false;
  return flow.turn === TURN_OF_GRANT || flow.turn === TURN_OF_GRANT - FEWER_APART;
}

/** The seventh turn beside the sixth: one message each, as long but for digits and names; or more of them. */
function noteNearlyAlike(flow: FlowRecord, before: number, length: number): void {
  const isAlike = before === 0 && flow.requestMark >= SHORTEST_SIXTH &&
    Math.abs(length - flow.requestMark) <= MOST_WITH_NAMES;
  if (isAlike) flow.noteLength(ALIKE);
  else flow.lengths &= ~ALIKE;
  if (isAlike && isLonger(flow.requestMark, length)) flow.raise(LONGER);
  else flow.lower(LONGER);
  if (before > 0 && flow.hasFact(HELLO_ALONE)) flow.raise(TOLD_APART);
}

/** What the side that answers says before its data. */
function isAnswer(kind: number): boolean {
  return kind === HEADING || kind === GRANTING || kind === REPEATING || kind === UNCHOKING;
}

/** Whether the other side's requests are unanswered: they were last, or what announces data is mine. */
function isAskedByOther(last: number, lastIsMine: boolean): boolean {
  return (last & IS_ASKED) !== 0 && lastIsMine === isAnswer(last & KIND);
}

/**
 * Once there is data: messages of who has sent less that are requests, with a `have` or without, less
 * others, and less those of the other side: an echo. The count stands where the last segment's kind
 * stood.
 */
function countRequests(flow: FlowRecord, side: number, length: number): void {
  const direction = flow.hasFact(RESPONDER_OPENS) ? 1 - side : side;
  if (length >= FULL) return;
  const isOfAsker = flow.bytes(direction) < flow.bytes(1 - direction);
  const rest = length % REQUEST;
  const isAsking = length >= REQUEST && (rest === 0 || rest === HAVE);
  if (!isOfAsker && !isAsking) return;
  const count = (flow.lengths >> LAST) & LAST_MASK;
  const next = Math.max(0, Math.min(MOST_COUNTED, count + (isOfAsker && isAsking ? 1 : -1)));
  flow.lengths = (flow.lengths & ~(LAST_MASK << LAST)) | (next << LAST);
}

/** Messages that were requests, less others, since there is data. */
export function requestsCounted(lengths: number): number {
  return (lengths & DATA_SEEN) !== 0 ? (lengths >> LAST) & LAST_MASK : 0;
}

/** Requests and `interested` behind an empty list of peers, of aria2 when both have said the same. */
function asksBehindPeers(flow: FlowRecord, length: number): boolean {
  return flow.hasLength(ALIKE) && flow.hasLength(HELLO_B) &&
    isRequests(length - INTERESTED_BEHIND_PEERS, MOST_REQUESTS_OF_FIRST);
}

function noteFirstRequests(flow: FlowRecord, length: number): void {
  if (length === FIRST_REQUESTS || length === FIRST_REQUESTS + BARE_MESSAGE) flow.raise(ASKED_32);
  else flow.lower(ASKED_32);
}

function kindOf(length: number): number {
  if (length === BARE_MESSAGE) return FIVE;
  if (length === BLOCK_HEADER) return HEADING;
  if (
    isRequests(length, MOST_REQUESTS) ||
    isRequests(length - BARE_MESSAGE, MOST_REQUESTS_OF_FIRST) ||
    length === FIRST_REQUESTS + BARE_MESSAGE
  ) return ASKING;
  const allowed = length - BARE_MESSAGE;
  if (allowed > 0 && allowed % ALLOWED_FAST === 0 && allowed <= ALLOWED_FAST * MOST_ALLOWED) {
    return GRANTING;
  }
  return OTHER;
}

/** Whether a message is too short for authenticated encryption, and not a keystroke. */
function isShort(length: number): boolean {
  return length >= SHORTEST_MESSAGE && length < SHORTEST_AUTHENTICATED;
}

function isRequests(length: number, most: number): boolean {
  return length > 0 && length % REQUEST === 0 && length <= REQUEST * most;
}

/** Whether a message may be of `have`s, or of a few and requests. */
function isHaves(length: number): boolean {
  if (length % HAVE === 0) return true;
  for (let haves = 1; haves <= MOST_HAVES; haves++) {
    if (isRequests(length - haves * HAVE, MOST_REQUESTS)) return true;
  }
  return false;
}
