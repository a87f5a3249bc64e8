/**
 * What who downloads says between its blocks are sums: `request`s of 17 bytes and `have`s of 9 (BEP 3),
 * some in one segment. Up to 17 times 9 bytes a length is one such sum or none.
 */
import { HAVE, REQUEST } from "./message_lengths.ts";

/** From here on a length may be two different sums. */
export const AMBIGUOUS = REQUEST * HAVE;
/** Haves of one segment: of pieces as small as two blocks some come at once. */
const MOST_HAVES = 8;

/** By length: the bit of its kind, 0 where it is no sum. */
const KIND_OF = new Int32Array(AMBIGUOUS);

for (let haves = 0; haves <= MOST_HAVES; haves++) {
  for (let requests = haves === 0 ? 1 : 0; requests < HAVE; requests++) {
    const length = requests * REQUEST + haves * HAVE;
    if (length >= AMBIGUOUS) break;
    const divisor = greatestDivisor(requests, haves);
    KIND_OF[length] = 1 << ((requests / divisor * 11 + haves / divisor) & 31);
  }
}

/**
 * A bit for the proportion of requests to haves in a segment below {@link AMBIGUOUS} (some proportions
 * share one), or 0 where it is not made of them. Of kinds rather than lengths, for messages of one size
 * that were joined on the way have one proportion.
 */
export function kindOfSum(length: number): number {
  return KIND_OF[length];
}

/** How many kinds a set of such bits holds. */
export function countKinds(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}

/** The greatest common divisor of two counts. */
export function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
