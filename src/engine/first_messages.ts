/**
 * The peer wire's first messages in an encrypted flow, by their lengths: until the first data one at a time,
 * each with what stands right before it; then a count of those that may be requests.
 */
import {
  ALIKE,
  APART,
  ASKED_32,
  ASKED_AND_GRANTED,
  CUT,
  DATA_SEEN,
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
  REQUESTED,
  REQUESTS_MASK,
  RESPONDER_OPENS,
  SHORT,
  THIRD_FITS,
  UNCHOKED,
} from "./flow_record.ts";
import {
  ALLOWED_FAST,
  BARE_MESSAGE,
  BARE_MESSAGE_BEHIND_PEERS,
  FULL_SEGMENT,
  GRANT,
  HAVE,
  KEEP_ALIVE,
  PIECE_HEADER,
  REQUEST,
} from "./message_lengths.ts";
import { noteNearlyAlike } from "./told.ts";
import {
  isPaddedFourth,
  SHORTEST_SIXTH,
  TURN_OF_EXTENSIONS,
  TURN_OF_FOURTH,
  TURN_OF_GRANT,
  TURN_OF_GRANT_OF_A,
  TURN_OF_HANDSHAKE,
} from "./turn_lengths.ts";

/** Turns fewer where the handshake came right behind the third message, and the other's behind the fourth. */
const FEWER_APART = 2;
/** A tag of 16 bytes and one of text. */
const SHORTEST_AUTHENTICATED = 17;
const MOST_COUNTED = 4;
/** What both sides say alike is longer than a SYN in a tunnel whose acknowledgements are 68: 88. aria2 says 95 and 113. */
const SHORTEST_SAME = 89;
/** Requests in a message, beside `interested` and by themselves: Transmission 4 asks for 32 at once. */
const MOST_REQUESTS_OF_FIRST = 8;
const MOST_REQUESTS = 64;
/** Transmission 4 never asks for fewer at first, and until it knows how fast a peer is for no more. */
const FIRST_REQUESTS = 32 * REQUEST;
const MOST_HAVES = 3;
/** libtorrent sends up to five behind its `unchoke`. */
const MOST_ALLOWED = 5;

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

/** Messages of the peer wire: until the first data what they may be, then how many are requests. */
export function noteMessage(flow: FlowRecord, side: number, before: number, length: number): void {
  // Without a handshake's length too, but not in the fourth message, whose padding is not over.
  const mayHaveBegun = flow.hasLength(THIRD_FITS) && flow.turn > TURN_OF_FOURTH;
  if (!flow.hasLength(HELLO_A | HELLO_B) && !mayHaveBegun) return;
  if (flow.hasLength(DATA_SEEN)) countRequests(flow, side, length);
  else if (length >= FULL_SEGMENT) noteFirstData(flow, side);
  else noteWords(flow, side, before, length);
}

/** The first data: what the messages right before it were, they were. */
function noteFirstData(flow: FlowRecord, side: number): void {
  const last = lastOf(flow);
  const lastIsMine = isOf(last, side);
  const lastKind = last & KIND;
  if (!lastIsMine) flow.lengths &= ~(SHORT | ASKED_AND_GRANTED);
  const isHeaded = lastIsMine && lastKind === HEADING;
  const isGranted = (lastIsMine && lastKind === GRANTING) || (last & IS_GRANTED) !== 0;
  const isAsked = isAskedByOther(last, lastIsMine);
  const isInStep = lastIsMine && lastKind === GRANTING && flow.requestMark === GRANT &&
    (isTurnInStep(flow, TURN_OF_GRANT) || isCutInStep(flow) ||
      (isAsked && isTurnInStep(flow, TURN_OF_GRANT_OF_A)));
  const isGrantedAtOnce = isAsked && lastKind === GRANTING && flow.requestMark === GRANT &&
    (flow.turn === TURN_OF_GRANT || flow.turn === TURN_OF_GRANT - FEWER_APART);
  if (!isGrantedAtOnce) flow.lengths &= ~ASKED_AND_GRANTED;
  const isUnchoked = isAsked && ((last & IS_UNCHOKED) !== 0 || lastKind === UNCHOKING);
  flow.noteLength(
    DATA_SEEN | (isInStep ? IN_STEP : 0) | (isHeaded ? HEADED : 0) | (isGranted ? GRANTED : 0) |
      (isAsked ? REQUESTED : 0) | (isUnchoked ? UNCHOKED : 0),
  );
  flow.lengths &= ~(LAST_MASK << LAST);
}

/** A message before the first data. */
function noteWords(flow: FlowRecord, side: number, before: number, length: number): void {
  const last = lastOf(flow);
  const lastIsMine = isOf(last, side);
  noteExtensions(flow, before, length);
  if (isShort(length) && before === 0 && length !== flow.requestMark) flow.noteLength(SHORT);
  else flow.lengths &= ~SHORT;
  // Of two programs that are alike who asks says in one message what the other one says next,
  // `interested`, and requests.
  const isRepeating = flow.hasLength(ALIKE) && before === 0 && !lastIsMine &&
    isRequests(flow.requestMark - length - BARE_MESSAGE, MOST_REQUESTS_OF_FIRST);
  // The mark is free until there are requests: it holds the last message's length.
  flow.requestMark = flow.turn === TURN_OF_EXTENSIONS && before > 0 ? 0 : length;
  if (length === BARE_MESSAGE) flow.noteLength(side === 0 ? FIVE_A : FIVE_B);
  const wasAsked = (last & IS_ASKED) !== 0;
  const isUnchoking = length === BARE_MESSAGE && !lastIsMine && wasAsked;
  const kind = isRepeating
    ? REPEATING
    : isUnchoking
    ? UNCHOKING
    : asksBehindPeers(flow, length)
    ? ASKING
    : isBeforeInterest(flow, before, length)
    ? OTHER
    : kindOf(length);
  // Further ones change nothing.
  if (kind === ASKING && !(lastIsMine && wasAsked)) noteFirstRequests(flow, length);
  // BiglyBT asks for more when the header of what it has asked for is on its way, before the block.
  if (kind === ASKING && !lastIsMine && (last & KIND) === HEADING && wasAsked) return;
  const next = kind | (side === 1 ? OF_B : 0) |
    (isStillAsked(flow, last, lastIsMine, kind, length) ? IS_ASKED : 0) |
    (isStillGranted(last, lastIsMine, kind, length) ? IS_GRANTED : 0) |
    (isStillUnchoked(last, lastIsMine, kind) ? IS_UNCHOKED : 0);
  flow.lengths = (flow.lengths & ~(LAST_MASK << LAST)) | (next << LAST);
}

/**
 * Whether requests would be the first that A says behind its handshake, without `interested`, which must come
 * before them (BEP 3), and behind what B has.
 */
function isBeforeInterest(flow: FlowRecord, before: number, length: number): boolean {
  return flow.turn === TURN_OF_HANDSHAKE && before === 0 && length % REQUEST === 0;
}

/** What may be extensions, and whether both sides have said what is as long. */
function noteExtensions(flow: FlowRecord, before: number, length: number): void {
  if (flow.turn === TURN_OF_FOURTH && isPaddedFourth(before) && length >= SHORTEST_SIXTH) {
    flow.noteLength(ASKED_AND_GRANTED);
  }
  if (isTurnInStep(flow, TURN_OF_EXTENSIONS)) noteNearlyAlike(flow, before, length);
  const isFirstAnswer = flow.turn === TURN_OF_EXTENSIONS + 1 && before === 0;
  if (
    hasBoth(flow) && isFirstAnswer && length >= SHORTEST_SAME && length === flow.requestMark
  ) flow.noteLength(ALIKE);
}

/**
 * Requests stay asked through what the side that answers says before its data, and through further ones and
 * `have`s; behind both handshakes through whatever else the asker says.
 */
function isStillAsked(
  flow: FlowRecord,
  last: number,
  lastIsMine: boolean,
  kind: number,
  length: number,
): boolean {
  if (kind === ASKING || kind === REPEATING) return true;
  if (isAnswer(kind) && isAskedByOther(last, lastIsMine)) return true;
  return lastIsMine && (last & IS_ASKED) !== 0 && !isAnswer(last & KIND) &&
    (hasBoth(flow) || isHaves(length));
}

/** And what was granted stays so through the requests it lets through, and what the asker has. */
function isStillGranted(last: number, lastIsMine: boolean, kind: number, length: number): boolean {
  const lastKind = last & KIND;
  const wasGranted = (last & IS_GRANTED) !== 0;
  if (kind === HEADING) return (lastIsMine && lastKind === GRANTING) || wasGranted;
  if (kind !== ASKING && !isHaves(length)) return false;
  return lastIsMine ? wasGranted : lastKind === GRANTING;
}

/** Who is unchoked may say `interested` and what it has before it asks. */
function isStillUnchoked(last: number, lastIsMine: boolean, kind: number): boolean {
  const lastKind = last & KIND;
  if (!lastIsMine && (lastKind === FIVE || lastKind === UNCHOKING)) return true;
  return (lastIsMine || kind === HEADING) && (last & IS_UNCHOKED) !== 0;
}

/** What the last message was, and whose. */
function lastOf(flow: FlowRecord): number {
  return (flow.lengths >> LAST) & LAST_MASK;
}

function isOf(last: number, side: number): boolean {
  return ((last & OF_B) !== 0) === (side === 1);
}

function hasBoth(flow: FlowRecord): boolean {
  return flow.hasLength(HELLO_A) && flow.hasLength(HELLO_B);
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
  if (length >= FULL_SEGMENT) return;
  const isOfAsker = flow.bytes(direction) < flow.bytes(1 - direction);
  const rest = length % REQUEST;
  const isAsking = length >= REQUEST && (rest === 0 || rest === HAVE);
  if (!isOfAsker && !isAsking) return;
  const count = (flow.lengths >> LAST) & REQUESTS_MASK;
  const next = Math.max(0, Math.min(MOST_COUNTED, count + (isOfAsker && isAsking ? 1 : -1)));
  flow.lengths = (flow.lengths & ~(REQUESTS_MASK << LAST)) | (next << LAST);
}

/** Messages that were requests, less others, since there is data. */
export function requestsCounted(lengths: number): number {
  return (lengths & DATA_SEEN) !== 0 ? (lengths >> LAST) & REQUESTS_MASK : 0;
}

/** Requests and `interested` behind an empty list of peers, of aria2 when both have said the same. */
function asksBehindPeers(flow: FlowRecord, length: number): boolean {
  return flow.hasLength(ALIKE) && flow.hasLength(HELLO_B) &&
    isRequests(length - BARE_MESSAGE_BEHIND_PEERS, MOST_REQUESTS_OF_FIRST);
}

function noteFirstRequests(flow: FlowRecord, length: number): void {
  if (length === FIRST_REQUESTS || length === FIRST_REQUESTS + BARE_MESSAGE) flow.raise(ASKED_32);
  else flow.lower(ASKED_32);
}

function kindOf(length: number): number {
  if (length === BARE_MESSAGE) return FIVE;
  if (length === PIECE_HEADER) return HEADING;
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
  return length >= KEEP_ALIVE && length < SHORTEST_AUTHENTICATED;
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
