import { type Packet, PSH } from "../packet/packet.ts";
import {
  ALIKE,
  ALONE,
  ALONE_MASK,
  ANSWERED,
  APART,
  BEGUN,
  BEGUN_MASK,
  BLOCKS,
  BLOCKS_MASK,
  CHUNKS,
  CHUNKS_MASK,
  CUT,
  DATA_SEEN,
  FIVE_A,
  FIVE_B,
  type FlowRecord,
  FOUR_BLOCKS,
  GRANTED,
  HEADER_SEEN,
  HELLO_A,
  HELLO_ALONE,
  HELLO_B,
  LONGER,
  MARKED,
  MID_STREAM,
  ONE_BLOCK,
  SENDER,
  SERVED,
  TOLD_ALIKE,
  UNEVEN,
} from "./flow_record.ts";
import {
  BARE_MESSAGE,
  BARE_MESSAGE_BEHIND_PEERS,
  FULL_SEGMENT,
  GRANT,
  HAVE,
  KEEP_ALIVE,
  PIECE,
  PIECE_HEADER,
  REQUEST,
} from "./message_lengths.ts";
import { streamEnd } from "./stream_space.ts";
import { TURN_OF_GRANT } from "./turn_lengths.ts";

/**
 * What encryption does not hide of the side that sends pieces: where its writes end. A client writes
 * a block behind its header (BEP 3: length 4, id 1, index 4, begin 4, then 16 KiB), so wherever it
 * pauses the distances are multiples of 16 397 bytes, and some write the header by itself: 13 bytes
 * right behind a block. Nothing else writes in this step: TLS records, Shadowsocks chunks and SSH
 * packets of 16 KiB have other headers, and what authenticates every packet has none of 13 bytes.
 */

/** Blocks of other protocols, 16 KiB behind a header of another length; a have or two may be in it. */
const BLOCK_DATA = PIECE - PIECE_HEADER;
const LONGEST_OTHER_HEADER = 64;
const MAX_BLOCKS_APART = 8;
/** `request`s of one message, with a `have` or two. */
const MOST_REQUESTS = 16;
const MOST_HAVES = 2;
const MOST_SAID_BEHIND = 20;
/** A place in the stream that is never reached. */
const NOWHERE = 1 << 30;
/** What the side that sends pieces has said at most before its first data. */
const MAX_BEFORE_DATA = 4096;
/** Data right behind the first words of who asks: what allowed fast pieces (BEP 6) bring. */
const TURN_OF_FIRST_DATA = 6;
/**
 * Sizes of a path's full segments, and multiples of them where several are joined. Any other segment
 * is the end of a write.
 */
const LONGEST = 1460;

/** libtransmission hands its peers 3000 bytes at a time, whatever is in them. */
const CHUNK = 3000;
/** What is left of its quota of 20 000 bytes after six of them. */
const QUOTA = 2000;
/** So many chunks by themselves, with segments of the path's size before their rest, are no chance. */
const MIN_ALONE = 4;
/** Segments of a multiple of this are messages of a constant size, some of them joined on the way. */
const CONSTANT = 500;

/** libtorrent's requests where it knows nothing yet of how fast a peer is. */
const FIRST_ASKED = 4;
/** What they bring, and the beginning before it. */
const FIRST_BLOCKS = FIRST_ASKED * PIECE + 8192;
/** Writes that pile up at the sender hide where they end: behind two facts they are waited for longer. */
const FIRST_BLOCKS_BEHIND_TWO = 16 * PIECE;

const OF_SENDER = SENDER | HEADER_SEEN | (BLOCKS_MASK << BLOCKS) | (CHUNKS_MASK << CHUNKS) |
  (BEGUN_MASK << BEGUN);

/**
 * Chunks begin with some in hand, so that ends elsewhere leave a debt: messages of a constant size,
 * joined on the way to segments of several, have a length of 3000 now and then.
 */
const CHUNKS_AT_FIRST = 6;
/** One that data begins with, by itself, is worth three: else a path that soon joins them hides all but it. */
const FIRST_CHUNK = 3;
const CHUNK_PENALTY = 2;
const CONSTANT_PENALTY = 4;

/** Follows the ends of writes in encrypted flows; state in the flow table's words. */
export class BlockRhythm {
  readonly #flow: FlowRecord;
  /** Whether the last segment ended a write of 16 KiB, or some, behind headers that no piece has. */
  isOtherBlock = false;
  /** Whether it ended the first blocks behind what is allowed fast, joined with them, and no handshake was seen. */
  endsBehindGrant = false;

  constructor(flow: FlowRecord) {
    this.#flow = flow;
  }

  /** Looks at a segment of new data; true when it is a fact that speaks for blocks. */
  observe(direction: number, packet: Packet): boolean {
    const flow = this.#flow;
    this.isOtherBlock = this.endsBehindGrant = false;
    const length = packet.payloadLength;
    // A header by itself may come before the sender has sent more than the other side.
    const isSender = this.#hasSentMore(direction) && !this.#isAnnounced(1 - direction);
    if (!isSender && length !== PIECE_HEADER) {
      flow.encryption |= ANSWERED;
      return this.#isServed(1 - direction, length);
    }
    const end = flow.next(direction);
    const start = (end - length) | 0;
    const sender = direction === 0 ? 0 : SENDER;
    if ((flow.encryption & (MARKED | SENDER)) !== (MARKED | sender)) {
      flow.encryption &= ~OF_SENDER;
      flow.encryption |= MARKED | sender | (CHUNKS_AT_FIRST << CHUNKS);
      flow.referenceMark = start;
      flow.endMark = start;
      flow.longestSegment = 0;
    } else if ((flow.encryption & ANSWERED) !== 0 && this.blocks === 0) {
      // Asked again, so it may have paused here, whatever the last segment's length was.
      flow.referenceMark = start;
    }
    flow.encryption &= ~ANSWERED;
    // The sender says where it had no more to send; a segment that is merely full says nothing.
    const isWriteEnd = (packet.flags & PSH) !== 0;
    if (length <= LONGEST && length > flow.longestSegment) flow.longestSegment = length;
    const isFact = this.#followBlocks(start, end, isWriteEnd);
    return this.#followChunks(length, isWriteEnd) || isFact;
  }

  /** Ends of writes whole blocks apart, less those elsewhere. */
  get blocks(): number {
    return (this.#flow.encryption >> BLOCKS) & BLOCKS_MASK;
  }

  /** Writes of {@link CHUNK} bytes, less those elsewhere. */
  get chunks(): number {
    return ((this.#flow.encryption >> CHUNKS) & CHUNKS_MASK) - CHUNKS_AT_FIRST;
  }

  /**
   * Whether some of them were a write by themselves in a flow that was joined in the middle, and others
   * were not: of larger writes of a constant size, screens of 12 000 bytes say, some are too long by whole
   * chunks, and screens of 3000 are all alike.
   */
  get areAlone(): boolean {
    const flow = this.#flow;
    return flow.has(MID_STREAM) && this.#alone >= MIN_ALONE && flow.hasLength(UNEVEN);
  }

  get #alone(): number {
    return (this.#flow.lengths >> ALONE) & ALONE_MASK;
  }

  /** Data begins with the packet: what was written before it is no debt. */
  beginData(direction: number, { payloadLength }: Packet): void {
    this.#flow.firstData = (this.#flow.next(direction) - payloadLength) | 0;
    this.#flow.dropFact(CHUNKS_MASK << CHUNKS);
    this.#flow.noteFact(CHUNKS_AT_FIRST << CHUNKS);
  }

  /** Whether a block's header stood by itself behind a block. */
  get hasHeader(): boolean {
    return this.#flow.hasFact(HEADER_SEEN);
  }

  /** Whether the streams are no longer than what the first requests bring, whatever was sent again. */
  get isAmongFirst(): boolean {
    const flow = this.#flow;
    return flow.allBytes < FIRST_BLOCKS || streamEnd(flow, 0) + streamEnd(flow, 1) < FIRST_BLOCKS;
  }

  /** Whether something speaks for blocks so far, or may yet behind a handshake's length. */
  isPossible(): boolean {
    const flow = this.#flow;
    if (this.blocks > 0 || this.chunks > 0) return true;
    if (!this.#mayServe()) return false;
    const hasTwo = flow.has(TOLD_ALIKE) ||
      (flow.hasLength(HELLO_A) && flow.hasLength(HELLO_B | FIVE_A | FIVE_B | GRANTED | ALIKE));
    return hasTwo ? flow.allBytes < FIRST_BLOCKS_BEHIND_TWO : this.isAmongFirst;
  }

  /**
   * Whether the other side asks, with a message of `length`, just when a block of `sender` has ended, or
   * its first data has ended whole blocks behind its beginning, which is `unchoke`, perhaps with five
   * times `allowed fast`, where that did not stand by itself. A relay between the two joins and cuts
   * writes as it reads them, so that hardly more than this is left of where they end.
   */
  #isServed(sender: number, length: number): boolean {
    const flow = this.#flow;
    if (!flow.hasLength(DATA_SEEN) || !this.#mayServe()) return false;
    if (!(this.blocks > 0 ? this.isAmongFirst : this.isPossible())) return false;
    const marked = MARKED | (sender === 0 ? 0 : SENDER);
    if ((flow.encryption & (MARKED | SENDER)) !== marked) return false;
    const end = flow.next(sender);
    if (!areRequests(length)) {
      // Who speaks of other things asks so often that some question follows a block's end by chance.
      if (this.blocks === 0 && !isBetweenRequests(length)) flow.firstData = (end + NOWHERE) | 0;
      return false;
    }
    if (this.blocks > 0) {
      if (flow.referenceMark !== end) return false;
      this.#noteServed();
      return true;
    }
    const sent = (end - flow.firstData) | 0;
    const isServed = isBlocks(sent) || (!flow.hasLength(GRANTED) &&
      (areBlocksBehind(BARE_MESSAGE, sent) || isBlocks(sent - GRANT) ||
        (flow.hasLength(HELLO_B) && areBlocksBehind(BARE_MESSAGE_BEHIND_PEERS, sent))));
    if (!isServed) return false;
    this.#noteServed();
    this.#add(BLOCKS, BLOCKS_MASK, 1);
    flow.referenceMark = end;
    flow.endMark = end;
    return true;
  }

  /** What stands in the sixth turn and the seventh, before anybody has asked, is data and no extensions. */
  #noteServed(): void {
    const flow = this.#flow;
    flow.raise(SERVED);
    if (flow.turn <= TURN_OF_GRANT) flow.dropFact(HELLO_ALONE);
  }

  /** Whether something before the data says that blocks may follow; behind a proxy, what was told back. */
  #mayServe(): boolean {
    const flow = this.#flow;
    return flow.hasLength(HELLO_A | HELLO_B | GRANTED) || flow.has(TOLD_ALIKE) ||
      (flow.has(CUT) && flow.told !== 0) || (flow.toldBack !== 0 && flow.targetPort !== 0);
  }

  /**
   * Whether the first data ends whole blocks behind what a seed of libtorrent's says before them, where a
   * relay has joined that with them: who has said a little more of itself than who asks for them. A fact
   * behind a handshake, at the very first block's end, and at the end of the four that are asked for first;
   * else what follows would be counted from there, so it is one only beside kin ({@link endsBehindGrant}).
   */
  #isBehindGrant(end: number): boolean {
    const flow = this.#flow;
    const isFirst = this.blocks === 0 && flow.has(LONGER) && flow.hasLength(DATA_SEEN) &&
      !flow.has(MID_STREAM) && !flow.hasLength(GRANTED) && this.isAmongFirst;
    if (!isFirst) return false;
    const blocks = (end - flow.firstData - GRANT) | 0;
    if (flow.hasLength(HELLO_A)) return isBlocks(blocks);
    this.endsBehindGrant = flow.has(TOLD_ALIKE) && isBlocks(blocks);
    if (!this.endsBehindGrant) return false;
    if (blocks === PIECE * FIRST_ASKED) flow.noteLength(FOUR_BLOCKS);
    return blocks === PIECE || blocks === PIECE * FIRST_ASKED;
  }

  /** Whether nothing but the beginning stands before the write that begins at the reference mark. */
  #isFirstWrite(): boolean {
    const flow = this.#flow;
    const sent = flow.hasFact(SENDER) ? flow.bytes(1) : flow.bytes(0);
    return this.blocks === 0 && sent <= PIECE + MAX_BEFORE_DATA &&
      ((flow.endMark - flow.referenceMark) | 0) <= 0;
  }

  #noteOneBlock(): void {
    const flow = this.#flow;
    flow.raise(ONE_BLOCK);
    if (flow.turn !== TURN_OF_FIRST_DATA) flow.lower(APART);
  }

  /** Whether the direction's stream is longer than the other's; what is held back is in it, and not counted. */
  #hasSentMore(direction: number): boolean {
    const flow = this.#flow;
    return flow.heldUntil === 0
      ? flow.bytes(direction) > flow.bytes(1 - direction)
      : streamEnd(flow, direction) > streamEnd(flow, 1 - direction);
  }

  /** Whether the first data is about to come: the direction's last message was a block's header. */
  #isAnnounced(direction: number): boolean {
    const flow = this.#flow;
    if (flow.has(MID_STREAM) || flow.hasLength(DATA_SEEN)) return false;
    const marked = MARKED | (direction === 0 ? 0 : SENDER);
    return (flow.encryption & (MARKED | SENDER)) === marked &&
      flow.endMark === ((flow.next(direction) - PIECE_HEADER) | 0);
  }

  /** Whether the segment ends whole blocks after one of the two marks, or is a header behind them. */
  #followBlocks(start: number, end: number, isWriteEnd: boolean): boolean {
    const flow = this.#flow;
    const length = (end - start) | 0;
    const fromReference = (end - flow.referenceMark) | 0;
    if (
      isWriteEnd && (isBlocks(fromReference) || isBlocks((end - flow.endMark) | 0) ||
        this.#isBehindGrant(end))
    ) {
      if (fromReference === PIECE && this.#isFirstWrite()) this.#noteOneBlock();
      this.#add(BLOCKS, BLOCKS_MASK, 1);
      flow.referenceMark = end;
      flow.endMark = end;
      return true;
    }
    if (length === PIECE_HEADER) {
      // The next block is counted from where its header begins.
      const isBehindBlock = flow.referenceMark === start && this.blocks > 0;
      flow.endMark = start;
      if (!isBehindBlock) return false;
      flow.encryption |= HEADER_SEEN;
      return true;
    }
    if (isFull(length) && !(isWriteEnd && length < flow.longestSegment)) {
      if (fromReference <= PIECE * MAX_BLOCKS_APART) return false;
      // Out of sight of the last block: the more ends are asked about, the more fit by chance.
      flow.referenceMark = start;
      this.#add(BLOCKS, BLOCKS_MASK, -1);
      return false;
    }
    // A header that went out with the end of the block before it. It is no fact by itself: buffers of
    // 16 KiB behind a message of some times 13 bytes end there as well as at a block's end. Once they
    // have ended on a block, they don't.
    if (isBlocks(fromReference - PIECE_HEADER)) {
      if (!isWriteEnd || this.blocks === 0 || flow.has(MID_STREAM)) {
        this.isOtherBlock = isWriteEnd;
        return false;
      }
      this.#add(BLOCKS, BLOCKS_MASK, 1);
      flow.referenceMark = (end - PIECE_HEADER) | 0;
      flow.endMark = end;
      return true;
    }
    if (flow.has(MID_STREAM) && isWriteEnd && isSaidBehindBlocks(fromReference)) {
      flow.refusedKinds |= kindOfSaid(fromReference % PIECE / REQUEST);
    } else this.#add(BLOCKS, BLOCKS_MASK, -1);
    this.isOtherBlock = isWriteEnd && areOtherBlocks((end - flow.endMark) | 0);
    flow.endMark = end;
    return false;
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
    const path = flow.longestSegment;
    const isAlone = length === CHUNK ||
      (begun + length === CHUNK && begun === CHUNK - CHUNK % path);
    if (isWriteEnd && flow.has(MID_STREAM)) this.#noteWrite(isAlone, rest === QUOTA);
    const weight = isAlone && this.chunks === 0 && flow.hasLength(DATA_SEEN) ? FIRST_CHUNK : 1;
    if (isWriteEnd && length === CHUNK) {
      this.#add(CHUNKS, CHUNKS_MASK, weight);
      return true;
    }
    if (length % CONSTANT === 0 && length !== QUOTA) {
      this.#add(CHUNKS, CHUNKS_MASK, -CONSTANT_PENALTY);
      return false;
    }
    if (length >= FULL_SEGMENT) {
      flow.encryption |= rest << BEGUN;
      return false;
    }
    const isChunk = isWriteEnd && begun > 0 && rest === 0;
    if (isChunk) this.#add(CHUNKS, CHUNKS_MASK, weight);
    else if (begun === 0 || rest !== QUOTA) this.#add(CHUNKS, CHUNKS_MASK, -CHUNK_PENALTY);
    return isChunk;
  }

  /** The end of a write in a flow that was joined in the middle. */
  #noteWrite(isAlone: boolean, isRest: boolean): void {
    const flow = this.#flow;
    if (!isAlone) {
      if (this.#alone > 0 && isRest) flow.noteLength(UNEVEN);
    } else if (this.#alone < ALONE_MASK) flow.lengths += 1 << ALONE;
  }

  #add(shift: number, mask: number, by: number): void {
    const flow = this.#flow;
    const count = ((flow.encryption >> shift) & mask) + by;
    const next = Math.max(0, Math.min(mask, count));
    flow.encryption = (flow.encryption & ~(mask << shift)) | (next << shift);
  }
}

/** Whether a segment may be full, or be several full ones joined. */
function isFull(length: number): boolean {
  const most = Math.floor(length / FULL_SEGMENT);
  for (let count = Math.ceil(length / LONGEST); count <= most; count++) {
    if (length % count === 0) return true;
  }
  return false;
}

/** Whether the distance is that of some blocks of 16 KiB with headers that no piece has. */
function areOtherBlocks(distance: number): boolean {
  const count = Math.floor(distance / BLOCK_DATA);
  const headers = distance - count * BLOCK_DATA;
  return count > 0 && count <= MAX_BLOCKS_APART &&
    headers <= count * LONGEST_OTHER_HEADER && headers !== count * PIECE_HEADER;
}

/** Whether a message may be of some requests, and hardly of anything else. */
function areRequests(length: number): boolean {
  for (let haves = 0; haves <= MOST_HAVES; haves++) {
    const rest = length - haves * HAVE;
    if (rest > 0 && rest % REQUEST === 0) return rest <= REQUEST * MOST_REQUESTS;
  }
  return false;
}

/** Whether a message may stand between requests: `have`s, `interested`, what keeps alive. */
function isBetweenRequests(length: number): boolean {
  return length % HAVE === 0 || length === BARE_MESSAGE || length === KEEP_ALIVE;
}

/**
 * Whether the distance is that of some whole blocks, or none, and some messages of 17 bytes behind them:
 * what a peer asks for itself, or refuses (`reject`, BEP 6), goes out with the last block before a pause.
 */
function isSaidBehindBlocks(distance: number): boolean {
  const said = distance % PIECE;
  return said > 0 && said <= MOST_SAID_BEHIND * REQUEST && said % REQUEST === 0 &&
    distance < PIECE * MAX_BLOCKS_APART;
}

/** A bit for how many messages of 17 bytes it was: one, two, or more. */
function kindOfSaid(messages: number): number {
  return messages <= 2 ? messages : 4;
}

/**
 * Whether the distance is that of a message of a few bytes and whole blocks behind it, two at least: 16 KiB
 * behind a header of 2 and a tag of 16, as programs of other kinds have, are as long as one behind `unchoke`.
 */
function areBlocksBehind(message: number, distance: number): boolean {
  return distance - message > PIECE && isBlocks(distance - message);
}

/** Whether the distance is that of some whole blocks. */
function isBlocks(distance: number): boolean {
  return distance >= PIECE && distance <= PIECE * MAX_BLOCKS_APART && distance % PIECE === 0;
}
