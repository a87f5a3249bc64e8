/**
 * The beginning of DEFLATE data (RFC 1951), as much as a small buffer takes. WebSocket messages are
 * compressed with it (RFC 7692); of a tracker's message the first hundred bytes decide, and what a
 * stranger sends may neither grow nor cost more than that, so this stops early where zlib would go on
 * or refuse. Decodes bit by bit: slow for files, right for a few hundred bytes, and nothing allocated.
 */

const MAX_BITS = 15;
const LITERALS = 286;
const DISTANCES = 30;
const END_OF_BLOCK = 256;
/** A message has one; empty ones behind it come from flushes. */
const MAX_BLOCKS = 8;

/** RFC 1951, 3.2.5: lengths 257…285, distances 0…29. */
const LENGTH_BASE = Uint16Array.of(
  ...[3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115],
  ...[131, 163, 195, 227, 258],
);
const LENGTH_EXTRA = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0],
);
const DISTANCE_BASE = Uint16Array.of(
  ...[1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537],
  ...[2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577],
);
const DISTANCE_EXTRA = Uint8Array.of(
  ...[0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12],
  ...[13, 13],
);
/** Order in which the lengths of the code length codes are sent (3.2.7). */
const LENGTH_ORDER = Uint8Array.of(
  ...[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15],
);

/** A canonical Huffman code: how many codes of each length, and the symbols in order. */
class Code {
  readonly #counts = new Uint16Array(MAX_BITS + 1);
  readonly #offsets = new Uint16Array(MAX_BITS + 1);
  readonly #symbols: Uint16Array;

  constructor(size: number) {
    this.#symbols = new Uint16Array(size);
  }

  /** Takes the lengths `[from, to)`; false when they are no code. */
  set(lengths: Uint8Array, from: number, to: number): boolean {
    const counts = this.#counts.fill(0);
    for (let i = from; i < to; i++) counts[lengths[i]]++;
    let left = 1;
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      left = left * 2 - counts[bits];
      if (left < 0) return false; // more codes than bits can tell apart
    }
    const offsets = this.#offsets;
    offsets[1] = 0;
    for (let bits = 1; bits < MAX_BITS; bits++) offsets[bits + 1] = offsets[bits] + counts[bits];
    for (let i = from; i < to; i++) {
      if (lengths[i] !== 0) this.#symbols[offsets[lengths[i]]++] = i - from;
    }
    counts[0] = 0;
    return true;
  }

  /** The next symbol, {@link CUT} or {@link MALFORMED}. */
  next(input: BitReader): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= MAX_BITS; bits++) {
      const bit = input.take(1);
      if (bit < 0) return CUT;
      code |= bit;
      const count = this.#counts[bits];
      if (code - count < first) return this.#symbols[index + code - first];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return MALFORMED;
  }
}

/** Bits of a range of bytes, the lowest first. */
class BitReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #bits = 0;
  #count = 0;

  begin(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#bits = 0;
    this.#count = 0;
  }

  /** The next `count` bits (0 to 16) as a number, or {@link CUT}. */
  take(count: number): number {
    while (this.#count < count) {
      if (this.#at >= this.#end) return CUT;
      this.#bits |= this.#bytes[this.#at++] << this.#count;
      this.#count += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#count -= count;
    return value;
  }

  /** Drops what is left of the byte. */
  align(): void {
    this.#bits = 0;
    this.#count = 0;
  }
}

const CUT = -1;
const MALFORMED = -2;
const READY = 0;

const input = new BitReader();
/** The codes of a block of type 2, and those of type 1, which are always the same (3.2.6). */
const dynamicLiterals = new Code(LITERALS + 2);
const dynamicDistances = new Code(DISTANCES);
const fixedLiterals = new Code(LITERALS + 2);
const fixedDistances = new Code(DISTANCES);
/** The ones of the block at hand. */
let literalCode = dynamicLiterals;
let distanceCode = dynamicDistances;
const lengthCode = new Code(LENGTH_ORDER.length);
const lengths = new Uint8Array(LITERALS + 2 + DISTANCES + 2);

lengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280, 288);
lengths.fill(5, 288, 318);
fixedLiterals.set(lengths, 0, 288);
fixedDistances.set(lengths, 288, 318);

/**
 * Decompresses `[start, end)` into `into` until either is used up. Answers with the bytes written; -1
 * when the data is malformed or refers to what came before it.
 */
export function inflateBeginning(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
): number {
  input.begin(bytes, start, end);
  let filled = 0;
  for (let block = 0; block < MAX_BLOCKS && filled < into.length; block++) {
    const isLast = input.take(1);
    const type = input.take(2);
    if (isLast < 0 || type < 0) return filled;
    const ready = type === 0 ? READY : setCodes(type);
    const after = ready !== READY
      ? ready
      : type === 0
      ? copyStored(into, filled)
      : copyCoded(into, filled);
    if (after === MALFORMED) return -1;
    if (after === CUT) return filled;
    filled = after;
    if (isLast === 1 || cut) return filled;
  }
  return filled;
}

/** Whether the input ended inside the block last read. */
let cut = false;

function copyStored(into: Uint8Array, filled: number): number {
  cut = false;
  input.align();
  const length = input.take(16);
  const check = input.take(16);
  if (length < 0 || check < 0) return CUT;
  if ((length ^ check) !== 0xffff) return MALFORMED;
  for (let i = 0; i < length && filled < into.length; i++) {
    const byte = input.take(8);
    if (byte < 0) {
      cut = true;
      break;
    }
    into[filled++] = byte;
  }
  return filled;
}

/** Sets the codes of a block of type 1 (fixed) or 2 (dynamic): READY, CUT or MALFORMED. */
function setCodes(type: number): number {
  literalCode = type === 1 ? fixedLiterals : dynamicLiterals;
  distanceCode = type === 1 ? fixedDistances : dynamicDistances;
  if (type === 1) return READY;
  if (type !== 2) return MALFORMED;
  const literals = input.take(5) + 257;
  const distances = input.take(5) + 1;
  const codes = input.take(4) + 4;
  if (literals < 257 || distances < 1 || codes < 4) return CUT;
  if (literals > LITERALS || distances > DISTANCES) return MALFORMED;
  lengths.fill(0, 0, LENGTH_ORDER.length);
  for (let i = 0; i < codes; i++) {
    const length = input.take(3);
    if (length < 0) return CUT;
    lengths[LENGTH_ORDER[i]] = length;
  }
  if (!lengthCode.set(lengths, 0, LENGTH_ORDER.length)) return MALFORMED;
  for (let i = 0; i < literals + distances;) {
    const symbol = lengthCode.next(input);
    if (symbol < 0) return symbol;
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) return MALFORMED;
    const value = symbol === 16 ? lengths[i - 1] : 0;
    const extra = input.take(symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
    if (extra < 0) return CUT;
    const times = extra + (symbol === 18 ? 11 : 3);
    if (i + times > literals + distances) return MALFORMED;
    lengths.fill(value, i, i + times);
    i += times;
  }
  return literalCode.set(lengths, 0, literals) &&
      distanceCode.set(lengths, literals, literals + distances)
    ? READY
    : MALFORMED;
}

function copyCoded(into: Uint8Array, filled: number): number {
  cut = false;
  const literals = literalCode;
  const distances = distanceCode;
  while (filled < into.length) {
    const symbol = literals.next(input);
    if (symbol === MALFORMED) return MALFORMED;
    if (symbol === END_OF_BLOCK) return filled;
    if (symbol < END_OF_BLOCK) {
      if (symbol === CUT) break;
      into[filled++] = symbol;
      continue;
    }
    if (symbol - 257 >= LENGTH_BASE.length) return MALFORMED;
    const more = input.take(LENGTH_EXTRA[symbol - 257]);
    const place = distances.next(input);
    if (place === MALFORMED || place >= DISTANCES) return MALFORMED;
    if (more < 0 || place < 0) break;
    const far = input.take(DISTANCE_EXTRA[place]);
    if (far < 0) break;
    const distance = DISTANCE_BASE[place] + far;
    if (distance > filled) return MALFORMED; // an earlier message of the connection
    const stop = Math.min(into.length, filled + LENGTH_BASE[symbol - 257] + more);
    if (distance === 1) into.fill(into[filled - 1], filled, stop);
    else for (let i = filled; i < stop; i++) into[i] = into[i - distance];
    filled = stop;
  }
  cut = filled < into.length;
  return filled;
}
