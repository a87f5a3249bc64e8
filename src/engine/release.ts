/**
 * When a flow is let go: all budgets, and nothing but them. Pure: what a flow has sent, and what it
 * still waits for, in; whether the kernel need show no more of it out.
 *
 * A flow nobody can say anything more about costs its users time, so each budget is as small as what
 * is waited for allows, and says what that is.
 */
import { type FlowRecord, HINTED, HTTP, MID_STREAM, OPENING_JUDGED } from "./flow_record.ts";
import { PREFIX_LENGTH } from "./prefix_pool.ts";

/** TCP: payload packets, and bytes, of one direction: openings come within them. */
const TCP_PACKETS = 8;
const TCP_BYTES = 4096;
/**
 * The same while the other side is silent: what one side sends may be decoys that die on the way
 * (low TTL, wrong checksum), and an answer is what no decoy can prevent.
 */
const TCP_PACKETS_UNANSWERED = 64;
const TCP_BYTES_UNANSWERED = 65_536;
/** Both directions of a flow joined in the middle: the next message may be a 16 KiB piece away. */
const MID_STREAM_BYTES = 65_536;
/** A head cut across segments is waited for so far, retransmissions included. */
const CUT_OPENING_BYTES = PREFIX_LENGTH * 2;

/**
 * Both directions of a flow that may be encrypted BitTorrent: the handshake and the first messages
 * are shorter; a piece is not.
 */
const ENCRYPTED_BYTES = 32_768;
/** The same while the lengths of its segments are those of requests or of blocks. */
const RHYTHM_BYTES = 1 << 20;

/**
 * UDP: datagrams, and bytes, of both directions of a flow without a hint. The kernel's first look keeps
 * them too (bpf/openings.h).
 */
export const UDP_PACKETS = 8;
export const UDP_BYTES = 8192;
/** The same with a hint: a tracker's or uTP's exchange is decided within this. */
const UDP_PACKETS_HINTED = 64;
/** The same while what hints is so young that a fast flow's clock has not moved. */
const UDP_PACKETS_YOUNG = 1024;
/** The same while nobody answers: noise sent ahead of the real exchange does not release it. */
export const UDP_PACKETS_UNANSWERED = 64;
const UDP_BYTES_UNANSWERED = 65_536;

/**
 * Whether enough of a TCP flow was seen, the packet just counted being `direction`'s.
 *
 * @param mayBeEncrypted whether encrypted BitTorrent is still possible, see {@link encryptedMayWait}
 */
export function isTcpSpent(flow: FlowRecord, direction: number, mayBeEncrypted: boolean): boolean {
  if (mayBeEncrypted) return false;
  if (flow.has(MID_STREAM)) return flow.allBytes >= MID_STREAM_BYTES;
  // Both sides opened with something that no BitTorrent stream opens with.
  if (flow.hasAll(OPENING_JUDGED * 3) && !flow.has(HTTP * 3)) return true;
  const isAnswered = flow.packets(1 - direction) > 0;
  const isSpent = flow.packets(direction) >= (isAnswered ? TCP_PACKETS : TCP_PACKETS_UNANSWERED) ||
    flow.bytes(direction) >= (isAnswered ? TCP_BYTES : TCP_BYTES_UNANSWERED);
  if (!isSpent) return false;
  return flow.has(OPENING_JUDGED << direction) || flow.bytes(direction) >= CUT_OPENING_BYTES;
}

/**
 * Whether a flow that may be encrypted BitTorrent is looked at further.
 *
 * @param lengths whether its segments have had lengths of requests or of blocks
 */
export function encryptedMayWait(flow: FlowRecord, lengths: boolean): boolean {
  const length = flow.allBytes;
  return length < ENCRYPTED_BYTES || (length < RHYTHM_BYTES && lengths);
}

/**
 * Whether enough of a UDP flow was seen.
 *
 * @param isYoung whether its uTP headers, if it has any, began only now
 */
export function isUdpSpent(flow: FlowRecord, isYoung: boolean): boolean {
  const seen = flow.allPackets;
  if (flow.has(HINTED)) return seen >= (isYoung ? UDP_PACKETS_YOUNG : UDP_PACKETS_HINTED);
  const isAnswered = flow.packets(0) > 0 && flow.packets(1) > 0;
  return isAnswered
    ? seen >= UDP_PACKETS || flow.allBytes >= UDP_BYTES
    : seen >= UDP_PACKETS_UNANSWERED || flow.allBytes >= UDP_BYTES_UNANSWERED;
}
