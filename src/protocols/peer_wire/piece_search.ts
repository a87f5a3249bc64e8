/**
 * Finds the header of a `piece` message of 16 384 bytes inside a segment: what a flow joined in the
 * middle of a download has to be searched for.
 *
 *     00 00 40 09  07  00 ii ii ii  bb bb bb bb
 *
 * The high byte of a piece index is 0 in every torrent (2^24 pieces), so that six bytes are known.
 * One byte in six is looked at: whatever the header's alignment, one of the known bytes is hit.
 */

import { i32be, lesser } from "../../packet/bytes.ts";
import { GRID, judgeMessage } from "./message.ts";

const KNOWN = Uint8Array.of(0x00, 0x00, 0x40, 0x09, 0x07, 0x00);
const STRIDE = KNOWN.length;
const LENGTH_PREFIX = 0x0000_4009;
/** Length prefix, id, index, begin. */
export const PIECE_HEADER_LENGTH = 13;

/** 1 for the bytes that the header has. */
const IS_KNOWN = new Uint8Array(256);
for (const byte of KNOWN) IS_KNOWN[byte] = 1;

/**
 * Headers in one segment whose fields do not agree: data has one in 2^48 bytes, so that a segment
 * with more is made to cost.
 */
const MAX_FALSE_HEADERS = 32;

/** First byte of a whole header in `[start, end)` whose fields agree, or -1. */
export function findPiece(bytes: Uint8Array, start: number, end: number): number {
  const last = end - PIECE_HEADER_LENGTH; // where a whole header can begin at most
  let at = start + STRIDE - 1;
  const stop = last + STRIDE - 1;
  let falseHeaders = 0;
  while (at <= stop) {
    // Four strides a turn: the loads do not wait for one another.
    while (
      at + 3 * STRIDE <= stop &&
      (IS_KNOWN[bytes[at]] | IS_KNOWN[bytes[at + STRIDE]] | IS_KNOWN[bytes[at + 2 * STRIDE]] |
          IS_KNOWN[bytes[at + 3 * STRIDE]]) === 0
    ) at += 4 * STRIDE;
    for (let turn = 0; turn < 4 && at <= stop; turn++, at += STRIDE) {
      if (IS_KNOWN[bytes[at]] === 0) continue;
      const header = headerAround(bytes, at, last);
      if (header < 0) continue;
      if (judgeMessage(bytes, header, end) === GRID) return header;
      // The last byte that is known of one may be the first of another.
      const isShared = header === at - (STRIDE - 1) && isHeader(bytes, at, last);
      if (isShared && judgeMessage(bytes, at, end) === GRID) return at;
      if (++falseHeaders === MAX_FALSE_HEADERS) return -1;
    }
  }
  return -1;
}

/**
 * The earliest place of a header's known bytes of which `at` is one, or -1. Zeros are what most data
 * has of them: around one it is the type, once in the header, that is asked for first.
 */
function headerAround(bytes: Uint8Array, at: number, last: number): number {
  switch (bytes[at]) {
    case 0x00:
      if (bytes[at - 1] === 0x07 && isHeader(bytes, at - 5, last)) return at - 5;
      if (bytes[at + 3] === 0x07 && isHeader(bytes, at - 1, last)) return at - 1;
      return bytes[at + 4] === 0x07 && isHeader(bytes, at, last) ? at : -1;
    case 0x40:
      return isHeader(bytes, at - 2, last) ? at - 2 : -1;
    case 0x09:
      return isHeader(bytes, at - 3, last) ? at - 3 : -1;
    default:
      return isHeader(bytes, at - 4, last) ? at - 4 : -1;
  }
}

function isHeader(bytes: Uint8Array, at: number, last: number): boolean {
  return bytes[at + 3] === 0x09 && bytes[at + 4] === 0x07 && at <= last &&
    i32be(bytes, at) === LENGTH_PREFIX && bytes[at + 5] === 0;
}

/** Whether `[at, end)`, shorter than a header, may be the beginning of one. */
export function isPieceBeginning(bytes: Uint8Array, at: number, end: number): boolean {
  const length = lesser(end - at, STRIDE);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== KNOWN[i]) return false;
  return true;
}
