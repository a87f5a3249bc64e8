/**
 * Messages of NFQUEUE (linux/netfilter/nfnetlink_queue.h), read where they lie and written into one
 * buffer. Netlink's own fields are in host order, which is little-endian on every machine Deno runs
 * on; the attributes of NFQUEUE are big-endian.
 */

import { i32be, u32be } from "../../packet/bytes.ts";
import { aligned } from "../netlink.ts";

/** Verdicts of netfilter (linux/netfilter.h). */
export const NF_DROP = 0;
export const NF_ACCEPT = 1;
/** The packet runs through the same chains once more, with the mark that the verdict gave it. */
export const NF_REPEAT = 4;

const NLMSG_HEADER_LENGTH = 16; // length 4, type 2, flags 2, sequence 4, port 4
const NFGENMSG_LENGTH = 4; // family 1, version 1, resource id 2
const ATTRIBUTE_HEADER_LENGTH = 4; // length 2 (with this header), type 2
const ATTRIBUTE_TYPE_MASK = 0x3fff; // without the flags "nested" and "network order"

const NLMSG_ERROR = 2;
const NFNL_SUBSYS_QUEUE = 3;
const NFQNL_MSG_PACKET = (NFNL_SUBSYS_QUEUE << 8) | 0;
const NFQNL_MSG_VERDICT = (NFNL_SUBSYS_QUEUE << 8) | 1;
const NFQNL_MSG_VERDICT_BATCH = (NFNL_SUBSYS_QUEUE << 8) | 3;
const NLM_F_REQUEST = 1;

const NFQA_PACKET_HDR = 1; // packet_id 4, hw_protocol 2, hook 1
const NFQA_VERDICT_HDR = 2; // verdict 4, id 4
const NFQA_MARK = 3;
const NFQA_IFINDEX_INDEV = 5;
const NFQA_IFINDEX_OUTDEV = 6;
const NFQA_IFINDEX_PHYSINDEV = 7;
const NFQA_IFINDEX_PHYSOUTDEV = 8;
const NFQA_PAYLOAD = 10;
const PACKET_HDR_LENGTH = 7;

/** Kinds of message that {@link QueueMessage.read} tells apart. */
export const PACKET = 1;
/** The kernel refused one of our messages. */
export const REFUSAL = 2;
/** Another message of netlink, to be skipped. */
export const OTHER = 3;
/** Nothing that can be read: the rest of the datagram is skipped. */
export const MALFORMED = 0;

/** One message, as positions in the buffer that holds it; filled again for every message. */
export class QueueMessage {
  /** Of the packet, for its verdict; unsigned 32 bits, wraps. */
  id = 0;
  /** Netfilter's hook: 1 INPUT, 2 FORWARD, 3 OUTPUT. */
  hook = 0;
  /** Mark of the packet (signed 32 bits), 0 when it has none. */
  mark = 0;
  /** Interface numbers, 0 for none. */
  inputInterface = 0;
  outputInterface = 0;
  /** The bridge's ports where the interfaces are bridges, else 0. */
  inputPort = 0;
  outputPort = 0;
  /** The packet from its IP header: `[payloadStart, payloadEnd)`, empty when none came. */
  payloadStart = 0;
  payloadEnd = 0;
  /** Error number of a {@link REFUSAL}, positive. */
  errno = 0;
  /** Where the next message of the same datagram begins. */
  next = 0;

  /** Reads the message at `start`; nothing outside `[start, end)` is looked at. */
  read(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < NLMSG_HEADER_LENGTH) return MALFORMED;
    const length = u32le(bytes, start);
    if (length < NLMSG_HEADER_LENGTH || length > end - start) return MALFORMED;
    const messageEnd = start + length;
    this.next = Math.min(end, start + aligned(length));
    const type = u16le(bytes, start + 4);
    const at = start + NLMSG_HEADER_LENGTH;
    if (type === NFQNL_MSG_PACKET) return this.#readPacket(bytes, at, messageEnd);
    if (type !== NLMSG_ERROR) return OTHER;
    if (messageEnd - at < 4) return MALFORMED;
    this.errno = -u32le(bytes, at) | 0; // struct nlmsgerr begins with -errno, 0 in a plain receipt
    return this.errno === 0 ? OTHER : REFUSAL;
  }

  #readPacket(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < NFGENMSG_LENGTH) return MALFORMED;
    let known = false;
    this.mark = 0;
    this.inputInterface = 0;
    this.outputInterface = 0;
    this.inputPort = 0;
    this.outputPort = 0;
    this.payloadStart = start;
    this.payloadEnd = start;
    let at = start + NFGENMSG_LENGTH;
    while (end - at >= ATTRIBUTE_HEADER_LENGTH) {
      const length = u16le(bytes, at);
      if (length < ATTRIBUTE_HEADER_LENGTH || length > end - at) return MALFORMED;
      const value = at + ATTRIBUTE_HEADER_LENGTH;
      const valueLength = length - ATTRIBUTE_HEADER_LENGTH;
      switch (u16le(bytes, at + 2) & ATTRIBUTE_TYPE_MASK) {
        case NFQA_PACKET_HDR:
          if (valueLength < PACKET_HDR_LENGTH) return MALFORMED;
          this.id = u32be(bytes, value);
          this.hook = bytes[value + 6];
          known = true;
          break;
        case NFQA_MARK:
          if (valueLength >= 4) this.mark = i32be(bytes, value);
          break;
        case NFQA_IFINDEX_INDEV:
          if (valueLength >= 4) this.inputInterface = u32be(bytes, value);
          break;
        case NFQA_IFINDEX_OUTDEV:
          if (valueLength >= 4) this.outputInterface = u32be(bytes, value);
          break;
        case NFQA_IFINDEX_PHYSINDEV:
          if (valueLength >= 4) this.inputPort = u32be(bytes, value);
          break;
        case NFQA_IFINDEX_PHYSOUTDEV:
          if (valueLength >= 4) this.outputPort = u32be(bytes, value);
          break;
        case NFQA_PAYLOAD:
          this.payloadStart = value;
          this.payloadEnd = value + valueLength;
          break;
      }
      at += aligned(length);
    }
    return known ? PACKET : MALFORMED;
  }
}

/** Bytes of one verdict: headers 20, NFQA_VERDICT_HDR 12, NFQA_MARK 8. */
export const VERDICT_LENGTH = 40;
const TYPE_AT = 4;
const VERDICT_AT = NLMSG_HEADER_LENGTH + NFGENMSG_LENGTH + ATTRIBUTE_HEADER_LENGTH;
const ID_AT = VERDICT_AT + 4;
const MARK_AT = ID_AT + 4 + ATTRIBUTE_HEADER_LENGTH;

/**
 * Verdicts of a batch, one message after another: the kernel takes all of them from one send. The
 * headers are written once, a verdict is three numbers. Equal verdicts in a row become one message,
 * which the kernel takes for all packets up to its id; so packets are added in the order they came.
 */
export class VerdictBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes in use. */
  length = 0;
  #lastVerdict = -1;
  #lastMark = 0;

  constructor(queueNumber: number, readonly capacity: number) {
    this.bytes = new Uint8Array(capacity * VERDICT_LENGTH);
    const view = new DataView(this.bytes.buffer);
    for (let at = 0; at < this.bytes.length; at += VERDICT_LENGTH) {
      view.setUint32(at, VERDICT_LENGTH, true);
      view.setUint16(at + 4, NFQNL_MSG_VERDICT, true); // or the one for a batch
      view.setUint16(at + 6, NLM_F_REQUEST, true);
      // nfgenmsg: family AF_UNSPEC, version NFNETLINK_V0, both 0; the resource is the queue
      view.setUint16(at + NLMSG_HEADER_LENGTH + 2, queueNumber, false);
      view.setUint16(at + VERDICT_AT - 4, ATTRIBUTE_HEADER_LENGTH + 8, true);
      view.setUint16(at + VERDICT_AT - 2, NFQA_VERDICT_HDR, true);
      view.setUint16(at + MARK_AT - 4, ATTRIBUTE_HEADER_LENGTH + 4, true);
      view.setUint16(at + MARK_AT - 2, NFQA_MARK, true);
    }
  }

  get full(): boolean {
    return this.length === this.bytes.length;
  }

  /** Appends a verdict; `mark` becomes the packet's mark, so give the old one to keep it. */
  add(id: number, verdict: number, mark: number): void {
    const bytes = this.bytes;
    const at = this.length;
    if (verdict === this.#lastVerdict && mark === this.#lastMark) {
      const last = at - VERDICT_LENGTH;
      bytes[last + TYPE_AT] = NFQNL_MSG_VERDICT_BATCH & 0xff;
      putU32be(bytes, last + ID_AT, id);
      return;
    }
    if (at + VERDICT_LENGTH > bytes.length) throw new RangeError("the batch of verdicts is full");
    bytes[at + TYPE_AT] = NFQNL_MSG_VERDICT & 0xff;
    putU32be(bytes, at + VERDICT_AT, verdict);
    putU32be(bytes, at + ID_AT, id);
    putU32be(bytes, at + MARK_AT, mark);
    this.length = at + VERDICT_LENGTH;
    this.#lastVerdict = verdict;
    this.#lastMark = mark;
  }

  clear(): void {
    this.length = 0;
    this.#lastVerdict = -1;
  }
}

/** Ids up to this far ahead of another count as later ones, the rest as earlier. */
const LATER_IDS = 0x7fff_ffff;

/** One message that accepts every packet that waits, `id` being that of the last one seen. */
export function acceptAllMessage(queueNumber: number, id: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(MARK_AT - ATTRIBUTE_HEADER_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, NFQNL_MSG_VERDICT_BATCH, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint16(NLMSG_HEADER_LENGTH + 2, queueNumber, false);
  view.setUint16(VERDICT_AT - 4, ATTRIBUTE_HEADER_LENGTH + 8, true);
  view.setUint16(VERDICT_AT - 2, NFQA_VERDICT_HDR, true);
  view.setUint32(VERDICT_AT, NF_ACCEPT, false);
  view.setUint32(ID_AT, id + LATER_IDS, false);
  return bytes;
}

function u16le(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

function u32le(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

function putU32be(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
