/**
 * Finds the header of a `piece` message of 16 384 bytes inside a segment: what a flow joined in the
 * middle of a download has to be searched for.
 *
 *     00 00 40 09  07  00 ii ii ii  bb bb bb bb
 *
 * The high byte of a piece index is 0 in every torrent (2^24 pieces), so that six bytes are known.
 * One byte in six is looked at: whatever the header's alignment, one of the known bytes is hit.
 */

import { i32be } from "../../packet/bytes.ts";
import { GRID, judgeMessage } from "./message.ts";

const KNOWN = Uint8Array.of(0x00, 0x00, 0x40, 0x09, 0x07, 0x00);
const STRIDE = KNOWN.length;
const LENGTH_PREFIX = 0x0000_4009;
/** Length prefix, id, index, begin. */
export const PIECE_HEADER_LENGTH = 13;

/** For each byte, a bit for each offset where the header has it. */
const OFFSETS = new Uint8Array(256);
for (let offset = 0; offset < STRIDE; offset++) OFFSETS[KNOWN[offset]] |= 1 << offset;

/** First byte of a whole header in `[start, end)` whose fields agree, or -1. */
export function findPiece(bytes: Uint8Array, start: number, end: number): number {
  const last = end - PIECE_HEADER_LENGTH; // where a whole header can begin at most
  let at = start + STRIDE - 1;
  const stop = last + STRIDE - 1;
  while (at <= stop) {
    // Four strides a turn: the loads do not wait for one another.
    while (
      at + 3 * STRIDE <= stop &&
      (OFFSETS[bytes[at]] | OFFSETS[bytes[at + STRIDE]] | OFFSETS[bytes[at + 2 * STRIDE]] |
          OFFSETS[bytes[at + 3 * STRIDE]]) === 0
    ) at += 4 * STRIDE;
    for (let turn = 0; turn < 4 && at <= stop; turn++, at += STRIDE) {
      const offsets = OFFSETS[bytes[at]];
      if (offsets === 0) continue;
      // The largest offset is the earliest header.
      for (let offset = STRIDE - 1; offset >= 0; offset--) {
        const header = at - offset;
        if ((offsets & (1 << offset)) !== 0 && isHeader(bytes, header, last, end)) return header;
      }
    }
  }
  return -1;
}

function isHeader(bytes: Uint8Array, at: number, last: number, end: number): boolean {
  return bytes[at + 3] === 0x09 && bytes[at + 4] === 0x07 && at <= last &&
    i32be(bytes, at) === LENGTH_PREFIX && bytes[at + 5] === 0 &&
    judgeMessage(bytes, at, end) === GRID;
}

/** Whether `[at, end)`, shorter than a header, may be the beginning of one. */
export function isPieceBeginning(bytes: Uint8Array, at: number, end: number): boolean {
  const length = Math.min(end - at, STRIDE);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== KNOWN[i]) return false;
  return true;
}
