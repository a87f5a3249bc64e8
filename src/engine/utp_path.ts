import { ST_DATA, ST_STATE } from "../protocols/utp/detect.ts";

/** Words of a direction. */
const WORDS = 3;
const DIFFERENCE = 0; // the latest
const BASE_DIFFERENCE = 1; // the first of the present path
const SPREAD = 2; // how far it went from there
/** Bytes of a direction. */
const BYTES = 8;
const CLOCK = 0; // agreements of the sender's clock with ours
const RISES = 1; // of the timestamp difference
const FALLS = 2;
const DATA = 3; // by type
const STATES = 4;
const FULL = 5; // full datagrams in a row
const HOLDS = 6; // of the timestamp difference, while nothing comes from the other side
const LAST_TYPE = 7;

const MOST = 255;
/** A path's delay changes by less from one datagram to the next, and over a few dozens, µs. */
const PATH_STEP = 100_000;
const ENOUGH_AGREEMENTS = 2;
/** Rises and falls of the difference that make it a path's. */
const ENOUGH_TURNS = 3;
const ENOUGH_HOLDS = 8;
/** Full datagrams in a row that are a transfer, and what a full one carries at least. */
const ENOUGH_FULL = 24;
const FULL_PAYLOAD = 900;
/** Headers of a kind that a connection has, where it has both. */
const ENOUGH_OF_A_KIND = 2;

/**
 * What one direction of a uTP connection shows by itself: the timestamp difference goes up and down as a
 * path's delay does, the sender's clock goes as ours, and its headers differ as those of a connection
 * do. A direction's number is twice its flow's slot, and 1 more for the second one.
 */
export class UtpPaths {
  readonly #words: Int32Array;
  readonly #counts: Uint8Array;

  constructor(directions: number) {
    this.#words = new Int32Array(directions * WORDS);
    this.#counts = new Uint8Array(directions * BYTES);
  }

  /** The direction is another flow's. */
  reset(d: number): void {
    this.#words.fill(0, d * WORDS, (d + 1) * WORDS);
    this.restart(d);
  }

  /** The direction contradicts what was assumed of it. */
  restart(d: number): void {
    this.#words[d * WORDS + BASE_DIFFERENCE] = 0;
    this.#counts.fill(0, d * BYTES, (d + 1) * BYTES);
  }

  /** The sender's clock has moved as much as ours. */
  agree(d: number): void {
    this.#raise(d * BYTES + CLOCK);
  }

  /**
   * Counts what sets the headers of a connection apart from each other.
   *
   * @param type of the header
   * @param seqStep by which its sequence number is ahead of the last one
   */
  count(d: number, type: number, payloadLength: number, seqStep: number): void {
    const counts = this.#counts;
    const at = d * BYTES;
    if (type === ST_DATA) this.#raise(at + DATA);
    if (type === ST_STATE) this.#raise(at + STATES);
    // An acknowledgement takes no sequence number (BEP 29): one that does is a counter's.
    if (type === ST_STATE && counts[at + LAST_TYPE] === ST_STATE && seqStep > 0) {
      counts[at + STATES] = 0;
    }
    counts[at + LAST_TYPE] = type;
    if (type !== ST_DATA) return;
    // A full datagram after the other, numbered without a gap; a lost one begins the run anew.
    const isFull = payloadLength >= FULL_PAYLOAD && seqStep === 1;
    counts[at + FULL] = isFull ? Math.min(counts[at + FULL] + 1, MOST) : 0;
  }

  /** Follows the timestamp difference, where it is known: whether it goes on as a path's delay does. */
  follow(d: number, difference: number): void {
    const words = this.#words;
    const at = d * WORDS;
    const counts = d * BYTES;
    const step = (difference - words[at + DIFFERENCE]) | 0;
    words[at + DIFFERENCE] = difference;
    if (step === 0) {
      this.#raise(counts + HOLDS);
      return;
    }
    if (words[at + BASE_DIFFERENCE] === 0 || step > PATH_STEP || step < -PATH_STEP) {
      words[at + BASE_DIFFERENCE] = difference;
      words[at + SPREAD] = 0;
      this.#counts[counts + RISES] = 0;
      this.#counts[counts + FALLS] = 0;
      return;
    }
    const spread = Math.abs((difference - words[at + BASE_DIFFERENCE]) | 0);
    if (spread > words[at + SPREAD]) words[at + SPREAD] = spread;
    this.#raise(counts + (step > 0 ? RISES : FALLS));
  }

  /** Whether the direction alone shows a connection. */
  isConnection(d: number): boolean {
    const words = this.#words;
    const counts = this.#counts;
    const at = d * WORDS;
    const countsAt = d * BYTES;
    if (counts[countsAt + CLOCK] < ENOUGH_AGREEMENTS) return false;
    if (counts[countsAt + RISES] < ENOUGH_TURNS || counts[countsAt + FALLS] < ENOUGH_TURNS) {
      return false;
    }
    if (words[at + SPREAD] > PATH_STEP) return false;
    const isMixed = counts[countsAt + DATA] >= ENOUGH_OF_A_KIND &&
      counts[countsAt + STATES] >= ENOUGH_OF_A_KIND;
    if (isMixed) return true;
    if (counts[countsAt + FULL] < ENOUGH_FULL) return false;
    // Noise in a field of few bits is as far from its first value as that is from 0, and never holds.
    return words[at + SPREAD] <= Math.abs(words[at + BASE_DIFFERENCE]) / 2 ||
      counts[countsAt + HOLDS] >= ENOUGH_HOLDS;
  }

  #raise(count: number): void {
    if (this.#counts[count] < MOST) this.#counts[count]++;
  }
}
