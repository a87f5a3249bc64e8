/**
 * The state of a flow: every word and every bit of it, with its name, who writes it, and how long it
 * lives. All flows stand in one typed array, {@link STRIDE} words each, and behind them, of TCP, as many
 * more as stream_record.ts says; {@link FlowRecord} is the one view over it, put on a flow by the table.
 * Nobody else knows the positions.
 *
 * Lifetimes: *key*, as long as the slot stands for the 5-tuple; *flow*, from a SYN (or a first
 * datagram) until the next, or a recall; *opening*, until the direction's beginning is judged.
 */

import { greater, lesser } from "../packet/bytes.ts";
import { PROTOCOL_TCP } from "../packet/packet.ts";
import { STREAM_STRIDE, StreamRecord } from "./stream_record.ts";

/** State of a flow. The order is the order of eviction: what is cheapest to lose goes first. */
/** Only a SYN, or a datagram of no meaning, was seen: what a flood leaves behind. */
export const EMBRYONIC = 1;
/** Judged clean; forgetting it costs a second judgement. */
export const CLEAN_FLOW = 2;
/** Waits for an answer that the kernel may settle by itself; it comes here only if it is another. */
export const AWAITED = 3;
export const UNDECIDED = 4;
/** Has a hint or a partial match: forgetting it may lose a detection. */
export const PENDING = 5;
export const BITTORRENT_FLOW = 6;

// Flags. Those marked "by direction" take two bits, `flag << direction`.

/** The initiator is the higher of the two endpoints in the key. Flow table; flow. */
export const INITIATOR_HIGH = 0x0001;
/** The 5-tuple was counted as one with payload. Engine; key. */
export const PAYLOAD_COUNTED = 0x0002;
/** TCP, by direction: where the stream begins is known. Stream space; flow. */
export const BASE_KNOWN = 0x0010;
/** TCP, by direction: the opening has been judged. TCP inspector; until it is judged anew. */
export const OPENING_JUDGED = 0x0040;
/** TCP, by direction: the opening was an HTTP head. TCP inspector; flow. */
export const HTTP = 0x0100;
/** TCP: the chain's state of the slot is this flow's. TCP inspector; flow. */
export const CHAIN_USED = 0x0400;
/** TCP: the first packet seen was not a SYN, the flow is older than the blocker. Stream space; flow. */
export const MID_STREAM = 0x0800;
/** TCP, by direction: only the test for randomness waits for more. TCP inspector; opening. */
export const MEASURING = 0x2000;
/** Encrypted: A's handshake was the fifth turn, by itself. Turns; flow. */
export const FIFTH = 0x1000;
/** Encrypted: and B's stood in the fourth, before it. Turns; flow. */
export const B_FIRST = 0x0008;
/**
 * TCP, by direction: its own SYN was seen, so nobody else has said where its stream begins. Stream space;
 * flow.
 */
export const SYN_SEEN = 0x1_0000;
/** UDP: uTP's, and the trackers', state of the slot is this flow's. UDP inspector; flow. */
export const UTP_USED = 0x0010;
export const TRACKER_USED = 0x0020;
/** UDP: some datagram was a hint. UDP inspector; flow. */
export const HINTED = 0x0040;

/** By direction: the interface its packets come in by is known. Senders; flow. */
export const PLACED = 0x4_0000;
/** TCP, by direction: payload acknowledged what the other end sent. Stream space; flow. */
export const ACKNOWLEDGED = 0x10_0000;
/**
 * BitTorrent came in it from a sender who is not known to be real: it may be another's than the rest.
 * Engine; UDP: until the flow is silent for long; TCP: flow.
 */
export const DOUBTED = 0x0004;

/** UDP, by direction: an answer would show the sender of the find to be real. Engine; flow. */
export const OWED = 0x40_0000;
/**
 * Encrypted: behind A's handshake B has sent its fourth message and, in a write of its own, what has
 * room for a handshake. Turns; until the first write of data, where that is not the sixth turn.
 */
export const APART = 0x100_0000;
/** Encrypted: the first write of data was one block with its header and nothing else. Block rhythm; flow. */
export const ONE_BLOCK = 0x800_0000;
/** TCP: both ends sent a SYN of their own (RFC 9293, section 3.5). Stream space; flow. */
export const SIMULTANEOUS = 0x400_0000;

/** Encrypted: A's handshake was a write by itself at the end of the third turn. Turns; flow. */
export const THIRD_APART = 0x8000_0000 | 0;
/** Encrypted: A's first and third turn were written in small pieces. Turns; flow. */
export const CUT = 0x40_0000;
/** TCP: it is older than the end of a ban of one of its ends, so nobody is banned for it. Engine; flow. */
export const PARDONED = 0x80_0000;
/** Encrypted: requests before data began with 32 at once, with `interested` or without. Turns; flow. */
export const ASKED_32 = 0x1000_0000;
/** Encrypted: of two turns nearly alike the one with the handshake was a little longer, or by just that. Turns; flow. */
export const LONGER = 0x2000_0000;
/**
 * Encrypted: the fifth turn is one message, nearly as long as the write behind the fourth message's padding.
 * Turns; flow.
 */
export const TOLD_ALIKE = 0x4000_0000;
/**
 * Encrypted: behind two handshakes in turns of their own the seventh turn was more than one message. Turns;
 * flow.
 */
export const TOLD_APART = 0x8000;
/**
 * Encrypted: requests came just when the first data had ended whole blocks behind its beginning. Block
 * rhythm; flow.
 */
export const SERVED = 0x200_0000;

// Words. Those marked "by direction" take two: 0 from the initiator, 1 from the responder.

// First the lower and the higher address, four words each. Flow table; key.

/** Ports in the order of the addresses. Flow table; key. */
export const PORTS = 8;
/**
 * IP protocol (7 bits), whether it is not IPv4's, and above them the tunnel (0: none): what somebody puts into a tunnel is no packet of a
 * flow outside, nor of one in another tunnel. Flow table; key.
 */
export const PROTOCOL = 9;
const PROTOCOL_MASK = 0x7f;
/** Words before this one are the key. */
export const KEY_WORDS = 10;
/** When the flow was last seen, see {@link tickOf}. Engine; flow. */
export const LAST_TICK = 10;
/** One of the states above. Engine, UDP inspector (PENDING); flow. */
export const STATE = 11;
export const FLAGS = 12;
/** By direction: packets with payload, and their bytes. Inspectors; flow. */
const PACKETS = 13;
const BYTES = 15;
/**
 * Port of the target that a proxy is told, 0, or ANOTHERS (target.ts): by a peeled negotiation, by the header of a datagram that was
 * found. Inspectors; flow.
 */
const TARGET_PORT = 17;

/** Words of one flow here; those of TCP have more, see stream_record.ts. */
export const STRIDE = 18;

// Facts, bits of the word ENCRYPTION (stream_record.ts). Those marked "by direction" take two, `fact << direction`.

/** By direction: the key, the first 96 bytes, is as random. Encrypted flows. */
export const RANDOM = 0x01;
/** By direction: the key was looked at. Encrypted flows. */
export const MEASURED = 0x04;
/** No encrypted BitTorrent; taken back when a beginning is sent once more. Encrypted flows. */
export const RULED_OUT = 0x10;
/** The first three messages have MSE's shape. Turns. */
export const SHAPED = 0x20;
/** Counts among its initiator's openings. Encrypted flows; until it is ruled out. */
export const COUNTED = 0x40;
/** The other side spoke after the sender's last segment. Block rhythm. */
export const ANSWERED = 0x80;
/** Who speaks first is not who sent the SYN. Turns. */
export const RESPONDER_OPENS = 0x100;
/** The fifth turn was a handshake; until the sixth or seventh is none that follows it. Turns. */
export const HELLO_ALONE = 0x200;
/** The marks stand, for the direction SENDER. Block rhythm. */
export const MARKED = 0x400;
export const SENDER = 0x800;
/** A header by itself behind a block. Block rhythm. */
export const HEADER_SEEN = 0x1000;
/** Shifts and masks of counts: blocks and chunks, less ends elsewhere, bytes of the chunk begun. */
export const BLOCKS = 13;
export const BLOCKS_MASK = 7;
export const CHUNKS = 16;
export const CHUNKS_MASK = 15;
export const BEGUN = 20;
export const BEGUN_MASK = 0xfff;

// Lengths, bits of the word of that name; by turns.ts where nobody else is named. A is who speaks
// first, B who answers.

/** The handshake of A, and of B, by its length. */
export const HELLO_A = 0x0001;
export const HELLO_B = 0x0002;
/** A's third message came in pieces of 20 bytes and more. */
export const SPLIT = 0x0004;
/** B's fourth message came as 14 bytes and 68. */
export const SPLIT_ANSWER = 0x0008;
/** A message of 5 bytes by itself, of A and of B: `interested`, `unchoke`. */
export const FIVE_A = 0x0010;
export const FIVE_B = 0x0020;
/** HELLO_ALONE, what extensions say, `unchoke` with five times `allowed fast`, data: turns 5 to 8, or 9. */
export const IN_STEP = 0x0040;
/** Requests, with `interested` or without, that data answered. */
export const REQUESTED = 0x0080;
/** A message of 5 bytes, the other side's turn with requests at its end, in either order, and data: `unchoke`. */
export const UNCHOKED = 0x0400;
/** `unchoke` and some of the Fast extension's messages, right before data. */
export const GRANTED = 0x0100;
/** The header of a block by itself, right before data. */
export const HEADED = 0x0200;
/** After two handshakes by themselves messages of one length; after one, of nearly one. */
export const ALIKE = 0x8000;
/** Right before data a message too short for authenticated encryption, and no echo. */
export const SHORT = 0x80_0000;
/** The third message may be one. */
export const THIRD_FITS = 0x0800;
/** Some side has sent full segments. */
export const DATA_SEEN = 0x1000;
/** Shift and mask of what the last segment's length was, and of whose it was. */
export const LAST = 16;
export const LAST_MASK = 0x7f;
/** Once there is data, there: mask of a count of requests, less other messages. */
export const REQUESTS_MASK = 7;
/**
 * And whether that was just the four blocks that are asked for first, behind what is allowed fast. Block
 * rhythm.
 */
export const FOUR_BLOCKS = 0x10_0000;
/**
 * Joined in the middle, there: shift and mask of a count, chunks that were a write by themselves; and
 * whether another write followed one. Block rhythm.
 */
export const ALONE = 16;
export const ALONE_MASK = 7;
export const UNEVEN = 0x8_0000;
/** The request mark stands, for the direction REQUESTER. Request rhythm. */
export const REQUEST_MARKED = 0x2000;
export const REQUESTER = 0x4000;
/** Requests sent just behind a block's end, less those elsewhere: shift and mask. Request rhythm. */
export const ALIGNED = 24;
export const ALIGNED_MASK = 0x3f;
/** A message of `have`'s length by itself. Request rhythm. */
export const HAVE_SEEN = 0x4000_0000;

/**
 * A handshake with what extensions say behind the padding of the fourth turn; once there is data, also
 * requests and `unchoke` with five times `allowed fast` right before it, as the sixth turn or eighth.
 */
export const ASKED_AND_GRANTED = 0x8000_0000 | 0;

/** Bytes of the state of so many flows. */
export function flowsByteLength(slots: number): number {
  return slots * (STRIDE + STREAM_STRIDE) * Int32Array.BYTES_PER_ELEMENT;
}

/** Counts of bytes stop here, far above every budget. */
const MOST_BYTES = 0x0fff_ffff;

/**
 * A view of one flow's words. There is one for a table, which puts it on the flow that it finds or
 * inserts; methods of two lines, which the compiler dissolves.
 */
export class FlowRecord extends StreamRecord {
  readonly slots: number;
  /** First word of the flow at hand. */
  at = 0;

  /** @param words of all flows, as many as {@link flowsByteLength} says; its own by default */
  constructor(slots: number, words: ArrayBufferLike = new ArrayBuffer(flowsByteLength(slots))) {
    super(new Int32Array(words), slots * STRIDE);
    this.slots = slots;
  }

  /** Puts the view on a slot. */
  select(slot: number): this {
    this.at = slot * STRIDE;
    this.streamAt = this.slots * STRIDE + slot * STREAM_STRIDE;
    return this;
  }

  get slot(): number {
    return this.at / STRIDE;
  }

  /** Only such a flow has what stands in stream_record.ts. */
  get isTcp(): boolean {
    return (this.words[this.at + PROTOCOL] & PROTOCOL_MASK) === PROTOCOL_TCP;
  }

  get state(): number {
    return this.words[this.at + STATE];
  }
  set state(state: number) {
    this.words[this.at + STATE] = state;
  }

  get lastTick(): number {
    return this.words[this.at + LAST_TICK];
  }
  set lastTick(tick: number) {
    this.words[this.at + LAST_TICK] = tick;
  }

  /** Whether any of the flags is set. */
  has(flags: number): boolean {
    return (this.words[this.at + FLAGS] & flags) !== 0;
  }
  /** Whether all of the flags are set. */
  hasAll(flags: number): boolean {
    return (this.words[this.at + FLAGS] & flags) === flags;
  }
  raise(flags: number): void {
    this.words[this.at + FLAGS] |= flags;
  }
  lower(flags: number): void {
    this.words[this.at + FLAGS] &= ~flags;
  }

  packets(direction: number): number {
    return this.words[this.at + PACKETS + direction];
  }
  bytes(direction: number): number {
    return this.words[this.at + BYTES + direction];
  }
  get allPackets(): number {
    return this.words[this.at + PACKETS] + this.words[this.at + PACKETS + 1];
  }
  get allBytes(): number {
    return this.words[this.at + BYTES] + this.words[this.at + BYTES + 1];
  }
  /** Counts a packet with payload. */
  count(direction: number, length: number): void {
    const { words, at } = this;
    words[at + PACKETS + direction]++;
    words[at + BYTES + direction] = lesser(words[at + BYTES + direction] + length, MOST_BYTES);
  }

  /** UDP: whether all that came in it so far was doubted and dropped: nobody has called anybody yet. */
  get isUncalled(): boolean {
    return this.has(DOUBTED) && this.allPackets === 0;
  }

  /** Takes back what {@link count} has counted. */
  uncount(direction: number, length: number): void {
    const { words, at } = this;
    words[at + PACKETS + direction]--;
    words[at + BYTES + direction] = greater(words[at + BYTES + direction] - length, 0);
  }

  get targetPort(): number {
    return this.words[this.at + TARGET_PORT];
  }
  set targetPort(port: number) {
    this.words[this.at + TARGET_PORT] = port;
  }
}
