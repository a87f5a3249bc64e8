import type { Packet } from "../packet/packet.ts";
import { BYTES, ENCRYPTION, END_MARK, type FlowTable, NEXT, REFERENCE_MARK } from "./flow_table.ts";

/**
 * What encryption does not hide of the side that sends pieces: where its writes end. A client writes
 * a block with its header (BEP 3: length 4, id 1, index 4, begin 4, and 16 KiB), so wherever it pauses
 * the distances are multiples of 16 397 bytes, 13 more or less where it writes the header by itself.
 * Nothing else writes in this step: TLS records, Shadowsocks chunks and SSH packets of 16 KiB have
 * other headers.
 */
const BLOCK = 16_397;
const HEADER = 13;
const MAX_BLOCKS_APART = 16;
/** libtransmission hands its peers 3000 bytes at a time, whatever is in them. */
const CHUNK = 3000;
const MAX_CHUNKS_APART = 6;
/** Shorter segments are the end of a write, whatever the path's segment size is. */
const SHORT = 1200;

/**
 * Two lengths of the beginning: the handshake of 68 bytes, by itself or right behind a negotiation
 * of 56, and `unchoke` or `interested`, 5 bytes. Only as far into a direction as they can stand.
 */
const HANDSHAKE = 68;
const NEGOTIATION_AND_HANDSHAKE = 56 + HANDSHAKE;
const BARE_MESSAGE = 5;
const BEGINNING = 2_048;
/** After a handshake by its length the first blocks are waited for so far. */
const FIRST_BLOCKS = 65_536;

/** Facts in the flow's word for encrypted flows, above the flags of encrypted_flows.ts. */
const HANDSHAKE_SEEN = 0x100;
const BARE_SEEN = 0x200;
/** The marks stand, for the direction {@link SENDER}. */
const MARKED = 0x400;
const SENDER = 0x800;
const BLOCKS = 16;
const CHUNKS = 20;
const COUNT_MASK = 15;
const COUNTS = (COUNT_MASK << BLOCKS) | (COUNT_MASK << CHUNKS);

/** Chunks that say as much as a block does. */
const MIN_CHUNKS = 3;
/**
 * Facts that decide alone. That a write of another protocol ends just there happens less than once
 * in a thousand times, and each that ends elsewhere takes one back.
 */
const ENOUGH = 3;
const ENOUGH_WITH_EVIDENCE = 2;

export const NO_BLOCKS = 0;
/** Decides where several flows of a host have as much. */
export const ONE_BLOCK = 1;
/** Decides with host evidence. */
export const SOME_BLOCKS = 2;
/** Decides alone. */
export const CLEAR_BLOCKS = 3;
export type Blocks = 0 | 1 | 2 | 3;

/** Follows the ends of writes in encrypted flows; state in the flow table's words. */
export class BlockRhythm {
  readonly #table: FlowTable;

  constructor(table: FlowTable) {
    this.#table = table;
  }

  /** Looks at a segment of new data and says what is known of the flow by now. */
  observe(at: number, direction: number, packet: Packet): Blocks {
    const words = this.#table.words;
    const length = packet.payloadLength;
    if (words[at + BYTES + direction] <= BEGINNING) this.#noteBeginning(at, direction, length);
    if (words[at + BYTES + direction] <= words[at + BYTES + 1 - direction]) return NO_BLOCKS;
    const end = words[at + NEXT + direction];
    const sender = direction === 0 ? 0 : SENDER;
    if ((words[at + ENCRYPTION] & (MARKED | SENDER)) !== (MARKED | sender)) {
      words[at + ENCRYPTION] &= ~(SENDER | COUNTS);
      words[at + ENCRYPTION] |= MARKED | sender;
      words[at + REFERENCE_MARK] = (end - length) | 0;
      words[at + END_MARK] = words[at + REFERENCE_MARK];
    }
    if (this.#follow(at, end)) return this.#judge(at);
    if (length < SHORT) {
      this.#count(at, BLOCKS, -1);
      this.#count(at, CHUNKS, -1);
      words[at + END_MARK] = end;
    }
    return NO_BLOCKS;
  }

  /** Whether something speaks for blocks so far. */
  isPossible(at: number): boolean {
    const words = this.#table.words;
    const facts = words[at + ENCRYPTION];
    if ((facts & COUNTS) !== 0) return true;
    return (facts & HANDSHAKE_SEEN) !== 0 &&
      words[at + BYTES] + words[at + BYTES + 1] < FIRST_BLOCKS;
  }

  #noteBeginning(at: number, direction: number, length: number): void {
    const words = this.#table.words;
    if (length === BARE_MESSAGE) words[at + ENCRYPTION] |= BARE_SEEN;
    if (direction === 0 && (length === HANDSHAKE || length === NEGOTIATION_AND_HANDSHAKE)) {
      words[at + ENCRYPTION] |= HANDSHAKE_SEEN;
    }
  }

  /** Whether the segment ends whole blocks or chunks after the reference, or after the last short one. */
  #follow(at: number, end: number): boolean {
    const words = this.#table.words;
    let distance = (end - words[at + REFERENCE_MARK]) | 0;
    let kind = stepOf(distance);
    if (kind === 0) {
      distance = (end - words[at + END_MARK]) | 0;
      kind = stepOf(distance);
      if (kind === 0) return false;
      words[at + REFERENCE_MARK] = words[at + END_MARK];
    }
    this.#count(at, kind, 1);
    words[at + END_MARK] = end;
    // Near enough to be found again from here.
    if (distance >= CHUNK * MAX_CHUNKS_APART) words[at + REFERENCE_MARK] = end;
    return true;
  }

  #count(at: number, shift: number, by: number): void {
    const words = this.#table.words;
    const count = (words[at + ENCRYPTION] >> shift) & COUNT_MASK;
    const next = Math.max(0, Math.min(COUNT_MASK, count + by));
    words[at + ENCRYPTION] = (words[at + ENCRYPTION] & ~(COUNT_MASK << shift)) | (next << shift);
  }

  #judge(at: number): Blocks {
    const word = this.#table.words[at + ENCRYPTION];
    const blocks = (word >> BLOCKS) & COUNT_MASK;
    const hasChunks = ((word >> CHUNKS) & COUNT_MASK) >= MIN_CHUNKS;
    if (blocks === 0 && !hasChunks) return NO_BLOCKS;
    let facts = blocks;
    if (hasChunks) facts++;
    if ((word & HANDSHAKE_SEEN) !== 0) facts++;
    if ((word & BARE_SEEN) !== 0) facts++;
    if (facts >= ENOUGH) return CLEAR_BLOCKS;
    return facts >= ENOUGH_WITH_EVIDENCE || hasChunks ? SOME_BLOCKS : ONE_BLOCK;
  }
}

/** {@link BLOCKS} or {@link CHUNKS} where the distance is some of these, else 0. */
function stepOf(distance: number): number {
  if (distance < CHUNK) return 0;
  const rest = distance % BLOCK;
  if (
    distance <= BLOCK * MAX_BLOCKS_APART && distance >= BLOCK - HEADER &&
    (rest === 0 || rest === HEADER || rest === BLOCK - HEADER)
  ) return BLOCKS;
  return distance % CHUNK === 0 && distance <= CHUNK * MAX_CHUNKS_APART ? CHUNKS : 0;
}
