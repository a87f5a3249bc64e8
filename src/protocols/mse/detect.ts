import { ascii, lesser, startsWith, u16be, u32be } from "../../packet/bytes.ts";

/**
 * Message Stream Encryption, also called protocol encryption: what can be told of it without the
 * key. Ya and Yb are 96 bytes (a 768-bit Diffie-Hellman key), PadA and PadB 0 to 512 random bytes.
 * Nothing of it can be matched byte for byte (the verification constant is encrypted), so these
 * tests say only "has the shape": a hint, until the host gives evidence.
 */
const KEY_LENGTH = 96;
const MAX_PADDING = 512;

/** Length of the first message of either side: key and padding. */
export const MIN_OPENING = KEY_LENGTH;
export const MAX_OPENING = KEY_LENGTH + MAX_PADDING;
/** HASH('req1') 20, HASH('req2')^HASH('req3') 20, VC 8, crypto_provide 4, len(PadC) 2, len(IA) 2. */
export const MIN_THIRD_MESSAGE = 56;

/** Bytes that decide; more would cost time and add nothing. */
const SAMPLE = 608;
/** No 96 random bytes hold 16 printable ones in a row but once in 100 000 openings. */
const MAX_PRINTABLE_RUN = 15;
/** So many equal bytes in a row are in no key: 1 in 2^24 a position. */
const EQUAL_IN_ROW = 4;
/** Standard deviations allowed for the number of one bits and for the two chi-square tests. */
const BIT_DEVIATIONS = 4.5;
const CHI_DEVIATIONS = 6;

/** Set bits of each byte value. */
const ONES = new Uint8Array(256);
for (let byte = 1; byte < 256; byte++) ONES[byte] = ONES[byte >> 1] + (byte & 1);

/** Counts of byte values and of nibbles; cleared before each use. */
const histogram = new Int32Array(256);
const nibbles = new Int32Array(32);

/**
 * Whether the bytes are indistinguishable from random by four tests: balance of the bits, chi-square
 * over the bytes and over the nibbles, longest printable run, longest run of one byte. Shannon
 * entropy is not among them: 96 random bytes have 6.2 bits a byte on average, as some text does.
 */
export function looksRandom(bytes: Uint8Array, start: number, end: number): boolean {
  const stop = lesser(end, start + SAMPLE);
  const length = stop - start;
  if (length < 32) return false;
  histogram.fill(0);
  nibbles.fill(0);
  let ones = 0;
  let printable = 0;
  let same = 0;
  let previous = -1;
  // Sums of the counts' squares, which grow with each count: (n + 1)² = n² + 2n + 1.
  let squares = 0;
  let low = 0;
  let high = 0;
  for (let at = start; at < stop; at++) {
    const byte = bytes[at];
    ones += ONES[byte];
    squares += 2 * histogram[byte]++ + 1;
    low += 2 * nibbles[byte & 15]++ + 1;
    high += 2 * nibbles[16 + (byte >> 4)]++ + 1;
    if (byte >= 0x20 && byte < 0x7f) {
      if (++printable > MAX_PRINTABLE_RUN) return false;
    } else {
      printable = 0;
    }
    if (byte === previous) {
      if (++same >= EQUAL_IN_ROW - 1) return false;
    } else {
      same = 0;
      previous = byte;
    }
  }
  const excess = ones - length * 4;
  if (excess * excess > BIT_DEVIATIONS * BIT_DEVIATIONS * length * 2) return false;
  if ((256 * squares) / length - length > 255 + CHI_DEVIATIONS * 22.6) return false;
  const nibbleLimit = 15 + CHI_DEVIATIONS * 5.5;
  return (16 * low) / length - length <= nibbleLimit &&
    (16 * high) / length - length <= nibbleLimit;
}

/**
 * Whether an opening of fewer bytes than a key shows already that no key begins so, whatever follows:
 * {@link isKeyRandom} is false of all that begin with it.
 */
export function isNoKey(bytes: Uint8Array, start: number, end: number): boolean {
  const stop = lesser(end, start + KEY_LENGTH);
  let same = 1;
  for (let at = start + 1; at < stop; at++) {
    same = bytes[at] === bytes[at - 1] ? same + 1 : 1;
    if (same === EQUAL_IN_ROW) return true;
  }
  return false;
}

/** Whether the key at the beginning of an opening is random; what padding is behind it need not be. */
export function isKeyRandom(bytes: Uint8Array, start: number, end: number): boolean {
  return looksRandom(bytes, start, lesser(end, start + KEY_LENGTH));
}

/**
 * Whether an opening begins with a length that says where it ends, as framed protocols do: OpenVPN
 * over TCP, DNS over TCP, Ethereum's RLPx (EIP-8), Kafka. A key does so once in 2^16.
 */
export function hasLengthPrefix(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length < 4) return false;
  const first = u16be(bytes, start);
  const firstLittle = bytes[start] | (bytes[start + 1] << 8);
  const whole = u32be(bytes, start);
  const wholeLittle = (bytes[start] | (bytes[start + 1] << 8) | (bytes[start + 2] << 16) |
    (bytes[start + 3] << 24)) >>> 0;
  return first === length - 2 || first === length || firstLittle === length - 2 ||
    firstLittle === length || whole === length - 4 || whole === length ||
    wholeLittle === length - 4 || wholeLittle === length;
}

/** Whether the bytes begin with a TLS record header (RFC 8446, section 5.1). */
export function isTlsRecord(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= 5 && bytes[start] >= 20 && bytes[start] <= 24 && bytes[start + 1] === 3 &&
    bytes[start + 2] <= 4 && u16be(bytes, start + 3) <= 0x4100;
}

/** Shannon entropy in bits a byte. */
export function entropy(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length <= 0) return 0;
  histogram.fill(0);
  for (let at = start; at < end; at++) histogram[bytes[at]]++;
  let sum = 0;
  for (let value = 0; value < 256; value++) {
    const count = histogram[value];
    if (count > 0) sum += count * Math.log2(count);
  }
  return Math.log2(length) - sum / length;
}

const HANDSHAKE = ascii("\x13BitTorrent protocol");
const LAST = HANDSHAKE.length - 1;
/** By the byte in the last one's place: how far on the next place is where it may stand (Horspool). */
const STEP = new Uint8Array(256).fill(HANDSHAKE.length);
for (let i = 0; i < LAST; i++) STEP[HANDSHAKE[i]] = LAST - i;

/**
 * Where a peer-wire handshake (BEP 3) stands in the bytes, or -1. With plaintext selected only the
 * negotiation is hidden and the handshake follows it in the clear, at no fixed offset: this search
 * is for flows that have MSE's shape, never for others.
 */
export function findHandshake(bytes: Uint8Array, start: number, end: number): number {
  let last = start + LAST;
  while (last < end) {
    if (bytes[last - LAST] === 19 && startsWith(bytes, last - LAST, end, HANDSHAKE)) {
      return last - LAST;
    }
    last += STEP[bytes[last]];
  }
  return -1;
}
