/**
 * Peer wire in the middle of a stream: flows that are older than the blocker, joined without a SYN,
 * perhaps inside a 16 KiB piece.
 *
 * A length of four bytes and a type of one is how half of all protocols are framed, and consecutive
 * messages that end exactly on the next are what all of those have. What only BitTorrent has is its
 * grid: requests and pieces of 16 KiB whose begin is a multiple of 16 KiB. So a chain needs such a
 * message, and beside it others that fit. Even that a protocol of files has, whose messages are a
 * handle, an offset and a size: there the same kind of message again shows nothing new, and what
 * counts is what handles, offsets and counters do not do (`block_places.ts`, in points): an index
 * that is no handle's and stays, or leaps; a begin that returns to 0 where a piece ends; one end that
 * sends the block that the other asked for. Segments that are framed alike
 * and hold what no peer says make it another protocol, of which much more is asked.
 *
 * State is 72 bytes a flow (36 a direction) in typed arrays; nothing is allocated per packet.
 */

import { greater, i32be, lesser, u32be } from "../packet/bytes.ts";
import { detectExtension } from "../protocols/extension/detect.ts";
import { type Match, match, NEED_MORE } from "../protocols/match.ts";
import {
  CANCEL,
  CONSISTENT,
  EXTENDED,
  GRID,
  HASH_REJECT,
  HASH_REQUEST,
  HASHES,
  HEADER_LENGTH,
  IMPOSSIBLE,
  INDEXED,
  judgeMessage,
  LENGTH_PREFIX,
  MESSAGE_FORMS,
  messageForm,
  PIECE,
  REJECT,
} from "../protocols/peer_wire/message.ts";
import {
  findPiece,
  isPieceBeginning,
  PIECE_HEADER_LENGTH,
} from "../protocols/peer_wire/piece_search.ts";
import { BlockPlaces, NO_BLOCK } from "./block_places.ts";

const MID_STREAM = match("mid-stream", "chain", "strong", "chain of peer wire messages");
const MID_STREAM_V2 = match(
  "mid-stream",
  "hash-chain",
  "strong",
  "chain of BitTorrent v2 hash messages",
);
const FAST = match("fast", "chain", "strong", "chain of Fast extension messages");

/** Bytes of a direction looked at before it is given up: four pieces of 16 KiB and their fringe. */
const BUDGET = 0x1_2000;
/** {@link MessageChains} counts them in units that fit a byte pair. */
const SEEN_UNIT = 16;
/** Longest message: a bitfield. */
const MAX_LENGTH = Math.max(...MESSAGE_FORMS.map((form) => form.maxLength));
/** A hole this large after the expected position means that the message there was lost. */
const MAX_HOLE = 0x4000;
/** Points that make a chain. */
const ENOUGH_POINTS = 6;
/** Where another protocol's messages were seen: three of the grid that are no file's. */
const ENOUGH_POINTS_ALIEN = 15;
/** Points of the first message of its kind, by {@link judgeMessage}: framed, indexed, consistent, grid. */
const POINTS = [1, 2, 1, 2] as const;
/** A hash message of BitTorrent v2. */
const HASH_POINTS = 5;
/** Messages read of one segment: what these do not show, more of them will not. */
const MAX_MESSAGES = 128;
/** Bytes of extension messages read of one segment. */
const MAX_EXTENSION_BYTES = 8192;

/** Messages of another protocol read of one segment. */
const MAX_ALIENS = 8;

/** The part of a message that judgeMessage() reads at most, for all but hash messages. */
const HELD = 16;
/** A request is the longest message that is judged by its fields when segments cut it. */
const JUDGED_LENGTH = 17;

const SEARCHING = 0;
const FOLLOWING = 1;
const GIVEN_UP = 2;

/** Bits of `#kinds`. */
const HAS_BLOCK = 1;
const HAS_FAST = 2;
const HAS_HASHES = 4;
const LAST_WAS_KEEP_ALIVE = 8;
/** The chain begins inside a segment, where a file that is being sent may hold anything. */
const BEGAN_INSIDE = 16;
/** Messages of another protocol were seen, in either direction; stays when a chain is forgotten. */
const ALIEN = 0x80;

/** A message put together from two segments: one at a time, never kept. */
const assembled = new Uint8Array(JUDGED_LENGTH);

export class MessageChains {
  /** Stream position of the next message's length prefix. */
  readonly #next: Int32Array;
  readonly #places: BlockPlaces;
  /** First bytes of a message whose header is cut by the end of a segment. */
  readonly #held: Uint8Array;
  readonly #heldLength: Uint8Array;
  /** Payload bytes seen, in units of 16. */
  readonly #seen: Uint16Array;
  readonly #points: Uint8Array;
  /** A bit for each message id that the chain has: the second of a kind shows less than the first. */
  readonly #ids: Uint32Array;
  /** State in bits 0…1, kinds in bits 2…6, {@link ALIEN}. */
  readonly #flags: Uint8Array;

  /** `slots` flows, two directions each. */
  constructor(slots: number) {
    const directions = slots * 2;
    this.#next = new Int32Array(directions);
    this.#places = new BlockPlaces(directions);
    this.#held = new Uint8Array(directions * HELD);
    this.#heldLength = new Uint8Array(directions);
    this.#seen = new Uint16Array(directions);
    this.#points = new Uint8Array(directions);
    this.#ids = new Uint32Array(directions);
    this.#flags = new Uint8Array(directions);
  }

  /** Forgets the flow that used `slot`. */
  reset(slot: number): void {
    for (let d = slot * 2; d < slot * 2 + 2; d++) {
      this.#flags[d] = 0;
      this.#forget(d);
      this.#seen[d] = 0;
    }
  }

  /**
   * Takes the payload of one TCP segment. `position` is the sequence number (signed 32 bits) of
   * `bytes[start]`. Segments may come twice, overlap, or be out of order.
   */
  observe(
    slot: number,
    direction: 0 | 1,
    position: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    const d = slot * 2 + direction;
    const state = this.#state(d);
    if (state === GIVEN_UP || start >= end) return null;
    const seen = this.#seen[d] + (((end - start) / SEEN_UNIT) | 0) + 1;
    this.#seen[d] = lesser(seen, 0xffff);
    if (seen > BUDGET / SEEN_UNIT) {
      this.#flags[d] = GIVEN_UP;
      return null;
    }
    return state === FOLLOWING
      ? this.#follow(d, position, bytes, start, end)
      : this.#search(d, position, bytes, start, end);
  }

  /** Continues the chain where its next message is expected. */
  #follow(
    d: number,
    position: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    // First byte not seen yet, as an offset in this segment.
    const offset = (this.#next[d] + this.#heldLength[d] - position) | 0;
    if (offset >= end - start) return null; // inside the current message, or a retransmission
    if (offset < 0) {
      // The expected bytes are missing: reordered or lost. They may come yet, or another piece.
      if (offset > -MAX_HOLE) return this.#searchPiece(d, position, bytes, start, end);
      this.#forget(d);
      return this.#search(d, position, bytes, start, end);
    }
    const found = this.#walk(d, position, bytes, start, start + offset, end);
    if (found !== null || this.#state(d) === FOLLOWING) return found;
    return this.#search(d, position, bytes, start, end);
  }

  /** Looks for a message at the beginning of the segment, then for a piece anywhere in it. */
  #search(
    d: number,
    position: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    if (isAlien(bytes, start, end)) {
      this.#flags[d] |= ALIEN;
      this.#flags[d ^ 1] |= ALIEN;
    }
    // A small segment is usually written whole: it begins with a message. Never with a keep-alive,
    // because runs of zeros are everywhere.
    if (bytes[start] === 0 && end - start >= HEADER_LENGTH && mayBegin(bytes, start, end)) {
      this.#begin(d, position);
      const found = this.#walk(d, position, bytes, start, start, end);
      if (found !== null || this.#state(d) === FOLLOWING) return found;
    }
    const found = this.#searchPiece(d, position, bytes, start, end);
    if (found === null && this.#state(d) === SEARCHING) {
      this.#holdTail(d, position, bytes, start, end);
    }
    return found;
  }

  /** Looks for the header of a piece anywhere in the segment and begins a chain there. */
  #searchPiece(
    d: number,
    position: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): Match | null {
    const piece = findPiece(bytes, start, end);
    if (piece < 0) return null;
    this.#begin(d, (position + piece - start) | 0);
    if (piece > start) this.#addKind(d, BEGAN_INSIDE);
    return this.#walk(d, position, bytes, start, piece, end);
  }

  /** Keeps the end of the segment where it may be the beginning of a piece's header. */
  #holdTail(d: number, position: number, bytes: Uint8Array, start: number, end: number): void {
    for (let at = greater(start, end - PIECE_HEADER_LENGTH + 1); at < end; at++) {
      if (!isPieceBeginning(bytes, at, end)) continue;
      this.#begin(d, (position + at - start) | 0);
      if (at > start) this.#addKind(d, BEGAN_INSIDE);
      this.#hold(d, bytes, at, end);
      return;
    }
  }

  /** Reads message after message from `at` to the end of the segment; judges the chain there. */
  #walk(
    d: number,
    position: number,
    bytes: Uint8Array,
    start: number,
    at: number,
    end: number,
  ): Match | null {
    if (this.#heldLength[d] > 0) {
      at = this.#completeHeld(d, bytes, at, end);
      if (at === CUT) return null;
      if (at === BROKEN) return this.#break(d);
      this.#next[d] = (position + at - start) | 0;
    }
    let extensionBytes = 0;
    for (let messages = 0; at < end; messages++) {
      if (messages === MAX_MESSAGES) return this.#break(d);
      if (end - at < JUDGED_LENGTH) {
        if (!mayContinue(bytes, at, end)) return this.#break(d);
        if (this.#hold(d, bytes, at, end)) break;
      }
      const taken = this.#take(d, bytes, at, end);
      if (taken < 0) return this.#break(d);
      if (bytes[at + 4] === EXTENDED && taken > HEADER_LENGTH) {
        const found = extensionMatch(bytes, at, lesser(end, at + MAX_EXTENSION_BYTES));
        if (found !== null) return found;
        extensionBytes += taken;
        if (extensionBytes > MAX_EXTENSION_BYTES) return this.#break(d);
      }
      at += taken;
      this.#next[d] = (position + at - start) | 0;
    }
    return this.#verdict(d);
  }

  /** Adds the message at `at`; answers its whole length, or {@link BROKEN}. */
  #take(d: number, bytes: Uint8Array, at: number, end: number): number {
    const length = u32be(bytes, at);
    if (length === 0) {
      if ((this.#kinds(d) & LAST_WAS_KEEP_ALIVE) !== 0) return BROKEN;
      this.#addKind(d, LAST_WAS_KEEP_ALIVE);
      return LENGTH_PREFIX;
    }
    const verdict = judgeMessage(bytes, at, end);
    if (verdict === IMPOSSIBLE) return BROKEN;
    const id = bytes[at + 4];
    this.#flags[d] &= ~(LAST_WAS_KEEP_ALIVE << 2);
    let points: number = this.#isNew(d, id) ? POINTS[verdict] : 0;
    if (verdict >= CONSISTENT) {
      if (id === HASH_REQUEST || id === HASHES || id === HASH_REJECT) {
        this.#addKind(d, HAS_HASHES | HAS_BLOCK);
        points = HASH_POINTS;
      } else {
        const shown = this.#blockPoints(d, bytes, at, id);
        if (shown === NO_BLOCK) return BROKEN;
        if (verdict === GRID && id !== CANCEL) { // one without its request is another's message
          this.#addKind(d, id === REJECT ? HAS_BLOCK | HAS_FAST : HAS_BLOCK);
        }
        if (verdict === GRID) points = greater(points, shown);
        this.#places.remember(d, bytes, at, id);
      }
    } else if (verdict === INDEXED && messageForm(id)!.bep === 6) {
      this.#addKind(d, HAS_FAST);
    }
    this.#ids[d] |= 1 << id;
    this.#points[d] = lesser(255, this.#points[d] + points);
    return LENGTH_PREFIX + length;
  }

  #isNew(d: number, id: number): boolean {
    return (this.#ids[d] & (1 << id)) === 0;
  }

  /** What the block at `at` shows by its values, or {@link NO_BLOCK}. */
  #blockPoints(d: number, bytes: Uint8Array, at: number, id: number): number {
    const kinds = this.#kinds(d);
    const otherHasBlock = (this.#kinds(d ^ 1) & HAS_BLOCK) !== 0;
    if ((kinds & HAS_BLOCK) !== 0) return this.#places.ofNext(d, bytes, at, id, otherHasBlock);
    const beganInside = (kinds & BEGAN_INSIDE) !== 0;
    return this.#places.ofFirst(d, bytes, at, id, otherHasBlock, beganInside);
  }

  #verdict(d: number): Match | null {
    const isAlien = (this.#flags[d] & ALIEN) !== 0;
    if (this.#points[d] < (isAlien ? ENOUGH_POINTS_ALIEN : ENOUGH_POINTS)) return null;
    const kinds = this.#kinds(d);
    if ((kinds & HAS_BLOCK) === 0) return null;
    if ((kinds & HAS_HASHES) !== 0) return MID_STREAM_V2;
    return (kinds & HAS_FAST) !== 0 ? FAST : MID_STREAM;
  }

  /** Keeps a message cut by the end of the segment; false when it is there as far as needed. */
  #hold(d: number, bytes: Uint8Array, at: number, end: number): boolean {
    const available = end - at;
    if (available >= HEADER_LENGTH || (available === LENGTH_PREFIX && i32be(bytes, at) === 0)) {
      const needed = Math.min(JUDGED_LENGTH, LENGTH_PREFIX + u32be(bytes, at));
      if (available >= needed) return false;
      // A piece is judged by 13 bytes, whatever its length.
      if (bytes[at + 4] === PIECE && available >= PIECE_HEADER_LENGTH) return false;
    }
    const held = d * HELD;
    for (let i = 0; i < available; i++) this.#held[held + i] = bytes[at + i];
    this.#heldLength[d] = available;
    return true;
  }

  /**
   * Completes the held message with the bytes at `at`. Answers where in the segment the next one
   * begins (possibly past its end), {@link CUT} or {@link BROKEN}.
   */
  #completeHeld(d: number, bytes: Uint8Array, at: number, end: number): number {
    const kept = this.#heldLength[d];
    const held = d * HELD;
    for (let i = 0; i < kept; i++) assembled[i] = this.#held[held + i];
    const added = lesser(JUDGED_LENGTH - kept, end - at);
    for (let i = 0; i < added; i++) assembled[kept + i] = bytes[at + i];
    const available = kept + added;
    if (this.#hold(d, assembled, 0, available)) return CUT;
    this.#heldLength[d] = 0;
    if (this.#points[d] === 0 && !mayBegin(assembled, 0, available)) return BROKEN;
    const taken = this.#take(d, assembled, 0, available);
    return taken < 0 ? BROKEN : at - kept + taken;
  }

  #begin(d: number, next: number): void {
    this.#forget(d);
    this.#next[d] = next;
    this.#flags[d] |= FOLLOWING;
  }

  #break(d: number): null {
    this.#forget(d);
    return null;
  }

  #forget(d: number): void {
    this.#flags[d] &= ALIEN; // and SEARCHING
    this.#points[d] = 0;
    this.#ids[d] = 0;
    this.#heldLength[d] = 0;
  }

  #state(d: number): number {
    return this.#flags[d] & 3;
  }

  #kinds(d: number): number {
    return (this.#flags[d] & ~ALIEN) >> 2;
  }

  #addKind(d: number, kind: number): void {
    this.#flags[d] |= kind << 2;
  }
}

const BROKEN = -1;
const CUT = -2;

/** An extension message that needs no chain. */
function extensionMatch(bytes: Uint8Array, at: number, end: number): Match | null {
  const answer = detectExtension(bytes, at, end);
  if (answer === null || answer === NEED_MORE) return null;
  const found = answer as Match;
  return found.strength === "hint" ? null : found;
}

/**
 * Whether the segment is whole messages of u32 length and u8 type, and the first one is none that a
 * peer sends: data of a piece has such lengths by chance once in 2^32 segments.
 */
function isAlien(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== 0 || end - start <= HEADER_LENGTH) return false;
  if (judgeMessage(bytes, start, end) !== IMPOSSIBLE) return false;
  let at = start;
  for (let n = 0; n < MAX_ALIENS && end - at >= HEADER_LENGTH && bytes[at] === 0; n++) {
    at += LENGTH_PREFIX + u32be(bytes, at);
  }
  return at === end;
}

/**
 * Whether a chain may begin with the message at `at`: one that is short or that its fields confirm.
 * A long one that nothing confirms would only make us wait at a wrong place for its end.
 */
function mayBegin(bytes: Uint8Array, at: number, end: number): boolean {
  const verdict = judgeMessage(bytes, at, end);
  if (verdict === IMPOSSIBLE) return false;
  return verdict >= CONSISTENT || bytes[at + 4] === EXTENDED || u32be(bytes, at) < JUDGED_LENGTH;
}

/** Whether `[at, end)` may be a message or the beginning of one. */
function mayContinue(bytes: Uint8Array, at: number, end: number): boolean {
  if (bytes[at] !== 0 || (end - at > 1 && bytes[at + 1] > MAX_LENGTH >>> 16)) return false;
  return end - at < HEADER_LENGTH || i32be(bytes, at) === 0 ||
    judgeMessage(bytes, at, end) !== IMPOSSIBLE;
}
