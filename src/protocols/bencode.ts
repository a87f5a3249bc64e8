/**
 * Bencode (BEP 3, "bencoding") read in place: a cursor over `(bytes, at, end)` that allocates
 * nothing and answers with positions. Nothing at or past `end` is read, nothing throws.
 *
 * Strict where a lenient reader could be led astray: no leading zeros, no `-0`, keys are strings,
 * nesting is bounded. Lenient where real clients are careless: keys need not be sorted.
 */

/** Deeper than any message of the protocols here (a torrent's `file tree` stays below 16). */
const MAX_DEPTH = 16;
/** 18446744073709551615, the largest 64-bit number, has 20. */
const MAX_INTEGER_DIGITS = 20;
/** A string of ten million bytes is no part of a packet or of a tracker's answer. */
const MAX_LENGTH_DIGITS = 7;

const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const MINUS = 0x2d;
const DICTIONARY = 0x64; // d
const END = 0x65; // e
const INTEGER = 0x69; // i
const LIST = 0x6c; // l

/**
 * Position after the element (string, integer, list or dictionary) at `at`, or -1 when it is
 * malformed, cut by `end` or nested deeper than 16.
 */
export function skipElement(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0 || at >= end) return -1;
  // Bit 0 is the innermost open container. Both stacks fit in a number because depth is bounded.
  let dictionaries = 0; // 1: a dictionary, 0: a list
  let values = 0; // in a dictionary, 1: a value comes next, 0: a key or the end
  let depth = 0;
  do {
    if (at >= end) return -1;
    const first = bytes[at];
    const inDictionary = (dictionaries & 1) !== 0;
    const keyExpected = inDictionary && (values & 1) === 0;
    if (first === END) {
      if (depth === 0 || (inDictionary && !keyExpected)) return -1;
      dictionaries >>= 1;
      values >>= 1;
      depth--;
      at++;
    } else if (first >= ZERO && first <= NINE) {
      at = skipString(bytes, at, end);
      if (at < 0) return -1;
      if (keyExpected) {
        values |= 1;
        continue;
      }
    } else if (keyExpected) {
      return -1;
    } else if (first === INTEGER) {
      at = skipInteger(bytes, at, end);
      if (at < 0) return -1;
    } else if (first === DICTIONARY || first === LIST) {
      if (depth === MAX_DEPTH) return -1;
      depth++;
      dictionaries = (dictionaries << 1) | (first === DICTIONARY ? 1 : 0);
      values <<= 1;
      at++;
      continue;
    } else {
      return -1;
    }
    values &= ~1; // an element ended: in a dictionary a key is next
  } while (depth > 0);
  return at;
}

/**
 * Position of the value under `key` in the dictionary at `dictAt`, or -1: no dictionary, no such
 * key, or malformed before it. The value itself may be cut: read it with the functions below.
 */
export function findKey(
  bytes: Uint8Array,
  dictAt: number,
  end: number,
  key: Uint8Array,
): number {
  if (dictAt < 0 || dictAt >= end || bytes[dictAt] !== DICTIONARY) return -1;
  const wanted = key.length;
  let at = dictAt + 1;
  while (at < end && bytes[at] !== END) {
    const start = stringStart(bytes, at, end);
    if (start < 0) return -1;
    const after = start + stringLength(bytes, at, end);
    if (after - start === wanted) {
      let i = 0;
      while (i < wanted && bytes[start + i] === key[i]) i++;
      if (i === wanted) return after < end ? after : -1;
    }
    at = skipElement(bytes, after, end);
    if (at < 0) return -1;
  }
  return -1;
}

/** First content byte of the string at `at`, or -1 when there is none or `end` cuts it. */
export function stringStart(bytes: Uint8Array, at: number, end: number): number {
  const after = skipString(bytes, at, end);
  if (after < 0) return -1;
  while (bytes[at] !== COLON) at++; // skipString() has found one
  return at + 1;
}

/** Length in bytes of the string at `at`, or -1 when there is none or `end` cuts it. */
export function stringLength(bytes: Uint8Array, at: number, end: number): number {
  const after = skipString(bytes, at, end);
  if (after < 0) return -1;
  while (bytes[at] !== COLON) at++;
  return after - at - 1;
}

/** The integer at `at`, or NaN when there is none. Beyond 2^53 it is rounded. */
export function integerAt(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0 || at >= end || bytes[at] !== INTEGER) return NaN;
  const after = skipInteger(bytes, at, end);
  if (after < 0) return NaN;
  const negative = bytes[at + 1] === MINUS;
  let value = 0;
  for (let i = negative ? at + 2 : at + 1; i < after - 1; i++) value = value * 10 + bytes[i] - ZERO;
  return negative ? -value : value;
}

/** Position after the string at `at`, or -1. */
export function skipString(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0 || at >= end) return -1;
  let length = bytes[at] - ZERO;
  if (length < 0 || length > 9) return -1;
  const digits = at;
  at++;
  while (at < end && bytes[at] !== COLON) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9 || length === 0) return -1; // 0 first: a leading zero
    if (at - digits >= MAX_LENGTH_DIGITS) return -1;
    length = length * 10 + digit;
    at++;
  }
  const after = at + 1 + length;
  return at < end && after <= end ? after : -1;
}

/** Position after the integer `i…e` at `at`, or -1. */
function skipInteger(bytes: Uint8Array, at: number, end: number): number {
  at++;
  const negative = at < end && bytes[at] === MINUS;
  if (negative) at++;
  const digits = at;
  while (at < end && bytes[at] >= ZERO && bytes[at] <= NINE) {
    if (at - digits >= MAX_INTEGER_DIGITS) return -1;
    at++;
  }
  if (at === digits || at >= end || bytes[at] !== END) return -1;
  if (bytes[digits] === ZERO && (negative || at - digits > 1)) return -1;
  return at + 1;
}
