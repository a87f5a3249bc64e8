import { LENGTH_BITS, LENGTH_MASK } from "./turn_lengths.ts";

/**
 * First messages with MSE's padding are spread over 512 bytes; those of a list of proxies are of one
 * length or nearly, and NTCP2's stay below 288.
 */
const MIN_SPREAD = 128;
const MIN_LONGEST = 288;
/** And of all that a few flows pad, added up; paddings are spread over 307 of 512 bytes, of four flows. */
const MIN_SPREAD_OF_ALL = 384;
/** Of two further messages of three flows and more, added up: hardly one of twenty is spread less, by chance. */
const MIN_SPREAD_OF_PIECES = 256;
/** Of them so many with a handshake's length, behind further paddings that are spread, need none here. */
const PAIR = 2;
/** A bit above the three lengths of a flow: its beginning came in pieces, and no handshake is to be seen. */
export const IN_PIECES: number = 1 << (3 * LENGTH_BITS);
/** And one above that: the flow has been found to be BitTorrent by its own lengths. */
export const CONVICTED: number = 1 << (3 * LENGTH_BITS + 1);

/** How differently long some messages are, in bytes. */
export class Spread {
  shortest = Infinity;
  longest = 0;

  clear(): void {
    this.shortest = Infinity;
    this.longest = 0;
  }

  add(length: number): void {
    this.shortest = Math.min(this.shortest, length);
    this.longest = Math.max(this.longest, length);
  }

  get width(): number {
    return this.longest - this.shortest;
  }
}

/** The lengths that a host's flows have where MSE pads: of the first message, and of two further ones. */
export class PaddingSpread {
  readonly #first = new Spread();
  readonly #further = [new Spread(), new Spread()] as const;
  /** Where the first and third message were written in pieces, and no handshake shows. */
  readonly #ofPieces = [new Spread(), new Spread()] as const;
  flows = 0;
  /** Of them, those that have shown a handshake's length. */
  handshakes = 0;
  /** And those {@link IN_PIECES}, and {@link CONVICTED}. */
  inPieces = 0;
  convicted = 0;

  clear(): void {
    this.#first.clear();
    for (const spread of this.#further) spread.clear();
    for (const spread of this.#ofPieces) spread.clear();
    this.flows = this.handshakes = 0;
    this.inPieces = this.convicted = 0;
  }

  /** @param lengths of a flow, see {@link HostEvidence.addFlow} */
  add(lengths: number): void {
    this.flows++;
    if ((lengths & CONVICTED) !== 0) this.convicted++;
    this.#first.add(lengths & LENGTH_MASK);
    if ((lengths & ~CONVICTED) >> LENGTH_BITS === 0) return;
    const isInPieces = (lengths & IN_PIECES) !== 0;
    if (isInPieces) this.inPieces++;
    else this.handshakes++;
    const spreads = isInPieces ? this.#ofPieces : this.#further;
    spreads[0].add((lengths >> LENGTH_BITS) & LENGTH_MASK);
    spreads[1].add((lengths >> (2 * LENGTH_BITS)) & LENGTH_MASK);
  }

  /** Whether the first ones are spread as padding is, or the further ones behind two handshakes. */
  isWide(): boolean {
    return this.#isFirstWide() || this.isPairWide();
  }

  /** Whether two have shown a handshake's length, behind further ones that are spread. */
  isPairWide(): boolean {
    return this.handshakes >= PAIR && this.#isFurtherWide();
  }

  /**
   * Both, or all of them together and each a little: of four peers' first messages one set in sixteen is spread
   * less, by chance, and one in twenty of the further ones where one of those has no padding.
   */
  isAllWide(): boolean {
    if (this.#isFirstWide() && this.#isFurtherWide()) return true;
    const first = this.#first;
    const further = this.#further;
    const ofFurther = further[0].width + further[1].width;
    const longest = Math.max(first.longest, further[0].longest, further[1].longest);
    return Math.min(first.width, ofFurther) >= MIN_SPREAD / 2 && longest >= MIN_LONGEST &&
      first.width + ofFurther >= MIN_SPREAD_OF_ALL;
  }

  /** Whether the first ones are spread by half as much, and `sum`, which is padding in sum, is spread. */
  isWideBeside(sum: Spread): boolean {
    return this.#first.longest >= MIN_LONGEST && this.#first.width >= MIN_SPREAD / 2 &&
      sum.width >= MIN_SPREAD;
  }

  /** Whether the further ones of those in pieces are. */
  isWideInPieces(): boolean {
    return this.#ofPieces[0].width + this.#ofPieces[1].width >= MIN_SPREAD_OF_PIECES;
  }

  #isFirstWide(): boolean {
    return this.#first.longest >= MIN_LONGEST && this.#first.width >= MIN_SPREAD;
  }

  /** Both together: one of them may have no padding. */
  #isFurtherWide(): boolean {
    return this.#further[0].width + this.#further[1].width >= MIN_SPREAD;
  }
}
