import { type Packet, PSH } from "../packet/packet.ts";
import type { FlowRecord } from "./flow_record.ts";

/**
 * What encryption does not hide of the side that sends pieces: where its writes end. A client writes
 * a block behind its header (BEP 3: length 4, id 1, index 4, begin 4, then 16 KiB), so wherever it
 * pauses the distances are multiples of 16 397 bytes, and some write the header by itself: 13 bytes
 * right behind a block. Nothing else writes in this step: TLS records, Shadowsocks chunks and SSH
 * packets of 16 KiB have other headers, and what authenticates every packet has none of 13 bytes.
 */
const BLOCK = 16_397;
const HEADER = 13;
const MAX_BLOCKS_APART = 8;
/**
 * Sizes of a path's full segments, and multiples of them where several are joined. Any other segment
 * is the end of a write.
 */
const SHORT = 1200;
const LONGEST = 1460;

/** libtransmission hands its peers 3000 bytes at a time, whatever is in them. */
const CHUNK = 3000;
/** What is left of its quota of 20 000 bytes after six of them. */
const QUOTA = 2000;
/** Segments of a multiple of this are messages of a constant size, some of them joined on the way. */
const CONSTANT = 500;

/**
 * Two lengths of the beginning: the handshake of 68 bytes, right behind a negotiation of 56 as the
 * third message, or by itself; and `unchoke` or `interested`, 5 bytes, after it.
 */
const HANDSHAKE = 68;
const NEGOTIATION = 56;
const BARE_MESSAGE = 5;
/** The third message begins at most so far into the stream, the fourth so far (PadC, IA). */
const MAX_THIRD = 608;
const MAX_FOURTH = MAX_THIRD + NEGOTIATION + 512;
const BEGINNING = 2_048;
/** After a handshake by its length the first blocks are waited for so far, after both lengths longer. */
const FIRST_BLOCKS = 4 * BLOCK + 8192;
const FIRST_BLOCKS_AFTER_BOTH = 16 * BLOCK;

/** Facts in the flow's word for encrypted flows, above the flags of encrypted_flows.ts. */
/** The other side spoke after the sender's last segment. */
const ANSWERED = 0x80;
const HANDSHAKE_SEEN = 0x100;
const BARE_SEEN = 0x200;
/** The marks stand, for the direction {@link SENDER}. */
const MARKED = 0x400;
const SENDER = 0x800;
/** A header by itself behind a block. */
const HEADER_SEEN = 0x1000;
/** Counts: blocks and chunks, less ends elsewhere, and bytes of the chunk begun. */
const BLOCKS = 13;
const BLOCKS_MASK = 7;
const CHUNKS = 16;
const CHUNKS_MASK = 15;
const BEGUN = 20;
const BEGUN_MASK = 0xfff;
const OF_SENDER = SENDER | HEADER_SEEN | (BLOCKS_MASK << BLOCKS) | (CHUNKS_MASK << CHUNKS) |
  (BEGUN_MASK << BEGUN);

/**
 * Chunks begin with some in hand, so that ends elsewhere leave a debt: messages of a constant size,
 * joined on the way to segments of several, have a length of 3000 now and then.
 */
const CHUNKS_AT_FIRST = 6;
const ENOUGH_CHUNKS = CHUNKS_AT_FIRST + 5;
/** Behind the lengths of a handshake and of a bare message. */
const ENOUGH_CHUNKS_BEHIND_HANDSHAKE = CHUNKS_AT_FIRST + 3;
const CHUNK_PENALTY = 2;
const CONSTANT_PENALTY = 4;

/**
 * Blocks that decide without other facts. A write of another protocol ends just there once in
 * 16 397 times, and one that ends elsewhere takes one back: see `deno task bench:mse`.
 */
const ENOUGH = 4;
const ENOUGH_WITH_EVIDENCE = 3;
const ENOUGH_WITH_HEADER = 3;
const ENOUGH_WITH_HANDSHAKE = 2;
const ENOUGH_IN_A_SWARM = 2;

export const NO_BLOCKS = 0;
/** Decides where several flows of a host have as much. */
export const TWO_BLOCKS = 1;
/** Decides with any host evidence. */
export const SOME_BLOCKS = 2;
/** Decides alone. */
export const CLEAR_BLOCKS = 3;
export type Blocks = 0 | 1 | 2 | 3;

/** Follows the ends of writes in encrypted flows; state in the flow table's words. */
export class BlockRhythm {
  readonly #flow: FlowRecord;

  constructor(flow: FlowRecord) {
    this.#flow = flow;
  }

  /**
   * Looks at a segment of new data and says what is known of the flow by now.
   *
   * @param hasBeginning whether the flow was seen from its first byte, and has MSE's shape
   */
  observe(direction: number, packet: Packet, hasBeginning: boolean): Blocks {
    const flow = this.#flow;
    const length = packet.payloadLength;
    if (hasBeginning && flow.bytes(direction) <= BEGINNING) {
      this.#noteBeginning(direction, length);
    }
    // A header by itself may come before the sender has sent more than the other side.
    const isSender = flow.bytes(direction) > flow.bytes(1 - direction);
    if (!isSender && length !== HEADER) {
      flow.encryption |= ANSWERED;
      return NO_BLOCKS;
    }
    const end = flow.next(direction);
    const start = (end - length) | 0;
    const sender = direction === 0 ? 0 : SENDER;
    if ((flow.encryption & (MARKED | SENDER)) !== (MARKED | sender)) {
      flow.encryption &= ~OF_SENDER;
      flow.encryption |= MARKED | sender | (CHUNKS_AT_FIRST << CHUNKS);
      flow.referenceMark = start;
      flow.endMark = start;
    } else if ((flow.encryption & ANSWERED) !== 0 && this.#blocksOf() === 0) {
      // Asked again, so it may have paused here, whatever the last segment's length was.
      flow.referenceMark = start;
    }
    flow.encryption &= ~ANSWERED;
    // The sender says where it had no more to send; a segment that is merely full says nothing.
    const isWriteEnd = (packet.flags & PSH) !== 0;
    const isFact = this.#followBlocks(start, end, isWriteEnd);
    return this.#followChunks(length, isWriteEnd) || isFact ? this.#judge() : NO_BLOCKS;
  }

  /** Whether something speaks for blocks so far. */
  isPossible(): boolean {
    const flow = this.#flow;
    const facts = flow.encryption;
    if (this.#blocksOf() > 0) return true;
    if (((facts >> CHUNKS) & CHUNKS_MASK) > CHUNKS_AT_FIRST) return true;
    const most = (facts & BARE_SEEN) !== 0 ? FIRST_BLOCKS_AFTER_BOTH : FIRST_BLOCKS;
    return (facts & HANDSHAKE_SEEN) !== 0 && flow.allBytes < most;
  }

  /** Whether the flow is no longer than what the first request brings. */
  #isAmongFirst(): boolean {
    const flow = this.#flow;
    return flow.allBytes < FIRST_BLOCKS;
  }

  #noteBeginning(direction: number, length: number): void {
    const flow = this.#flow;
    const start = flow.bytes(0) - length;
    if (length === BARE_MESSAGE && (flow.encryption & HANDSHAKE_SEEN) !== 0) {
      flow.encryption |= BARE_SEEN;
    }
    if (
      direction === 0 && ((length === NEGOTIATION + HANDSHAKE && start <= MAX_THIRD) ||
        (length === HANDSHAKE && start <= MAX_FOURTH))
    ) flow.encryption |= HANDSHAKE_SEEN;
  }

  /** Whether the segment ends whole blocks after one of the two marks, or is a header behind them. */
  #followBlocks(start: number, end: number, isWriteEnd: boolean): boolean {
    const flow = this.#flow;
    const length = (end - start) | 0;
    const fromReference = (end - flow.referenceMark) | 0;
    if (isWriteEnd && (isBlocks(fromReference) || isBlocks((end - flow.endMark) | 0))) {
      this.#add(BLOCKS, BLOCKS_MASK, 1);
      flow.referenceMark = end;
      flow.endMark = end;
      return true;
    }
    if (length === HEADER) {
      // The next block is counted from where its header begins.
      const isBehindBlock = flow.referenceMark === start && this.#blocksOf() > 0;
      flow.endMark = start;
      if (!isBehindBlock) return false;
      flow.encryption |= HEADER_SEEN;
      return true;
    }
    if (isFull(length)) {
      if (fromReference <= BLOCK * MAX_BLOCKS_APART) return false;
      // Out of sight of the last block: the more ends are asked about, the more fit by chance.
      flow.referenceMark = start;
      this.#add(BLOCKS, BLOCKS_MASK, -1);
      return false;
    }
    // A header that went out with the end of the block before it. It is no fact either: buffers of
    // 16 KiB behind a message of some times 13 bytes end there as well as at a block's end.
    if (isBlocks(fromReference - HEADER)) return false;
    this.#add(BLOCKS, BLOCKS_MASK, -1);
    flow.endMark = end;
    return false;
  }

  #blocksOf(): number {
    return (this.#flow.encryption >> BLOCKS) & BLOCKS_MASK;
  }

  /**
   * Whether the segment is a chunk of {@link CHUNK} bytes, or ends some that went out in segments of
   * the path's size.
   */
  #followChunks(length: number, isWriteEnd: boolean): boolean {
    const flow = this.#flow;
    const begun = flow.encryption >>> BEGUN;
    const rest = (begun + length) % CHUNK;
    flow.encryption &= ~(BEGUN_MASK << BEGUN);
    if (isWriteEnd && length === CHUNK) {
      this.#add(CHUNKS, CHUNKS_MASK, 1);
      return true;
    }
    if (length % CONSTANT === 0 && length !== QUOTA) {
      this.#add(CHUNKS, CHUNKS_MASK, -CONSTANT_PENALTY);
      return false;
    }
    if (length >= SHORT) {
      flow.encryption |= rest << BEGUN;
      return false;
    }
    const isChunk = isWriteEnd && begun > 0 && rest === 0;
    if (isChunk) this.#add(CHUNKS, CHUNKS_MASK, 1);
    else if (begun === 0 || rest !== QUOTA) this.#add(CHUNKS, CHUNKS_MASK, -CHUNK_PENALTY);
    return isChunk;
  }

  #add(shift: number, mask: number, by: number): void {
    const flow = this.#flow;
    const count = ((flow.encryption >> shift) & mask) + by;
    const next = Math.max(0, Math.min(mask, count));
    flow.encryption = (flow.encryption & ~(mask << shift)) | (next << shift);
  }

  #judge(): Blocks {
    const word = this.#flow.encryption;
    const blocks = this.#blocksOf();
    const chunks = (word >> CHUNKS) & CHUNKS_MASK;
    const hasHeader = (word & HEADER_SEEN) !== 0;
    const hasHandshake = (word & HANDSHAKE_SEEN) !== 0;
    if (blocks >= ENOUGH) return CLEAR_BLOCKS;
    if (blocks >= ENOUGH_WITH_HEADER && hasHeader) return CLEAR_BLOCKS;
    if (blocks >= ENOUGH_WITH_HANDSHAKE && hasHandshake) return CLEAR_BLOCKS;
    if (blocks >= 1 && hasHeader && hasHandshake) return CLEAR_BLOCKS;
    if (hasHandshake && (word & BARE_SEEN) !== 0) {
      if (chunks >= ENOUGH_CHUNKS_BEHIND_HANDSHAKE) return CLEAR_BLOCKS;
      if (blocks >= 1 && this.#isAmongFirst()) return CLEAR_BLOCKS;
    }
    if (blocks >= ENOUGH_WITH_EVIDENCE || (blocks >= 1 && hasHeader) || chunks >= ENOUGH_CHUNKS) {
      return SOME_BLOCKS;
    }
    return blocks >= ENOUGH_IN_A_SWARM ? TWO_BLOCKS : NO_BLOCKS;
  }
}

/** Whether a segment may be full, or be several full ones joined. */
function isFull(length: number): boolean {
  const most = Math.floor(length / SHORT);
  for (let count = Math.ceil(length / LONGEST); count <= most; count++) {
    if (length % count === 0) return true;
  }
  return false;
}

/** Whether the distance is that of some whole blocks. */
function isBlocks(distance: number): boolean {
  return distance >= BLOCK && distance <= BLOCK * MAX_BLOCKS_APART && distance % BLOCK === 0;
}
