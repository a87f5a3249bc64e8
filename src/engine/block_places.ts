import { i32be } from "../packet/bytes.ts";
import { BLOCK, PIECE, REQUEST } from "../protocols/peer_wire/message.ts";

/** Points of a message of the grid whose index neither handles nor counters explain. */
const INDEX_POINTS = 5;
/** Of one whose begin they do not explain either, or whose block the other end asked for or sends. */
const BLOCK_POINTS = 6;
/** Handles of files and streams are small numbers; pieces of a torrent go into the thousands. */
const MIN_TELLING_INDEX = 64;
/** Most torrents have some thousand pieces; a counter may stand anywhere. */
const MAX_TELLING_INDEX = 4096;
/** Counters go on by small steps: what was said between two messages of one kind. */
const MAX_COUNTER_STEP = 64;
/** Nearly all torrents have pieces of 16 MiB at most. */
const MAX_TELLING_BEGIN = 0x100_0000;

/** The values are none that a peer sends. */
export const NO_BLOCK = -1;

/**
 * Where the blocks of a chain of peer wire messages lie: index and begin of the last one of each
 * direction, and what the next one shows by its values. A protocol of files or records has messages
 * of a handle, an offset and a size too, so what counts is what handles, offsets and counters do not do.
 */
export class BlockPlaces {
  readonly #lastIndex: Int32Array;
  readonly #lastBegin: Int32Array;
  readonly #lastId: Uint8Array;

  /** @param directions two of each flow, 2 n and 2 n + 1 */
  constructor(directions: number) {
    this.#lastIndex = new Int32Array(directions);
    this.#lastBegin = new Int32Array(directions);
    this.#lastId = new Uint8Array(directions);
  }

  /** The message at `at` is the direction's last one from now on. */
  remember(d: number, bytes: Uint8Array, at: number, id: number): void {
    this.#lastIndex[d] = i32be(bytes, at + 5);
    this.#lastBegin[d] = i32be(bytes, at + 9);
    this.#lastId[d] = id;
  }

  /**
   * Points of the first block of a direction's chain.
   *
   * @param otherHasBlock whether the other direction's chain has one
   * @param beganInside whether the chain begins inside a segment, where a file may hold anything
   */
  ofFirst(
    d: number,
    bytes: Uint8Array,
    at: number,
    id: number,
    otherHasBlock: boolean,
    beganInside: boolean,
  ): number {
    const index = i32be(bytes, at + 5);
    const begin = i32be(bytes, at + 9);
    if (otherHasBlock) {
      if (this.#isAnswer(d, index, begin, id)) return BLOCK_POINTS;
      if (this.#countsOn(d ^ 1, index)) return 0;
    }
    if (isPlace(index, begin) && !beganInside) return BLOCK_POINTS;
    return isTelling(index) ? INDEX_POINTS : 0;
  }

  /**
   * Points of a further one; {@link NO_BLOCK} where no swarm sends it after the last one: the same block
   * twice in a row is a counter that stands still, and a begin that goes on together with the index is
   * an offset in a file, which a protocol of records has.
   */
  ofNext(d: number, bytes: Uint8Array, at: number, id: number, otherHasBlock: boolean): number {
    const index = i32be(bytes, at + 5);
    const begin = i32be(bytes, at + 9);
    if (otherHasBlock && this.#isAnswer(d, index, begin, id)) return BLOCK_POINTS;
    const step = index - this.#lastIndex[d];
    const lastBegin = this.#lastBegin[d];
    if (step === 0) {
      // A request is followed by its own cancel, or a reject by a piece, but never by itself.
      if (begin === lastBegin) {
        const isAgain = id === this.#lastId[d] || id === REQUEST || id === PIECE;
        return isAgain ? NO_BLOCK : INDEX_POINTS;
      }
      return isPlace(index, begin) ? BLOCK_POINTS : isNoHandle(index) ? INDEX_POINTS : 0;
    }
    if (step > 0 && begin > 0 && begin - lastBegin === step * BLOCK) return NO_BLOCK;
    if (begin > 0 && begin === lastBegin + BLOCK) return NO_BLOCK;
    if (begin === 0 && isPieceLength(lastBegin + BLOCK)) return INDEX_POINTS;
    const leaps = step < 0 || step > MAX_COUNTER_STEP;
    return leaps && isNoHandle(index) && isNoHandle(this.#lastIndex[d]) ? INDEX_POINTS : 0;
  }

  /** Whether `index` may be a counter that stood at the last block's of direction `d`. */
  #countsOn(d: number, index: number): boolean {
    const step = index - this.#lastIndex[d];
    return step > 0 && step <= MAX_COUNTER_STEP;
  }

  /** Whether one end has asked for the block that the other sends, by their last messages. */
  #isAnswer(d: number, index: number, begin: number, id: number): boolean {
    const other = d ^ 1;
    if (this.#lastIndex[other] !== index) return false;
    const ahead = id === PIECE ? this.#lastBegin[other] - begin : begin - this.#lastBegin[other];
    const isPair = (id === PIECE && this.#lastId[other] === REQUEST) ||
      (id === REQUEST && this.#lastId[other] === PIECE);
    return isPair && ahead >= 0 && ahead < MAX_TELLING_BEGIN;
  }
}

/** Whether neither handles nor counters explain the index. */
function isTelling(index: number): boolean {
  return index >= MIN_TELLING_INDEX && index < MAX_TELLING_INDEX;
}

/** Nor the begin: the size of a block is a constant that a file protocol has in other places too. */
function isPlace(index: number, begin: number): boolean {
  return isTelling(index) && begin > BLOCK && begin < MAX_TELLING_BEGIN;
}

/** Whether a file's handle, or a size in a handle's place, is unlikely to be `index`. */
function isNoHandle(index: number): boolean {
  return index >= MIN_TELLING_INDEX && index % BLOCK !== 0;
}

/** Whether `length` is that of a piece of more than one block: a power of two. */
function isPieceLength(length: number): boolean {
  return length > BLOCK && (length & (length - 1)) === 0;
}
