/**
 * A stream's sequence space (RFC 9293, section 3.4): where each direction begins, how far it has
 * come, where a segment stands in it, and whether its sender has seen what the other end sent.
 */
import { ACK, type Packet, SYN } from "../packet/packet.ts";
import {
  ACKNOWLEDGED,
  BASE_KNOWN,
  type FlowRecord,
  MID_STREAM,
  SIMULTANEOUS,
  SYN_SEEN,
} from "./flow_record.ts";

/** Bytes by which a segment may have overtaken the first one of its stream. */
const MAX_OVERTAKEN = 65_536;

/** Sequence number of the packet's first payload byte; a SYN takes one before it. */
export function payloadSequence(packet: Packet): number {
  return (packet.flags & SYN) !== 0 ? (packet.sequence + 1) | 0 : packet.sequence;
}

/**
 * Notes where the streams begin. Each end speaks for its own stream: what it says of the other's is
 * believed only while the other has not said it, so that none can hide both.
 */
export function noteSyn(
  flow: FlowRecord,
  direction: number,
  packet: Packet,
  isAnswer: boolean,
): void {
  if (!isAnswer && direction === 1 && flow.has(SYN_SEEN)) flow.raise(SIMULTANEOUS);
  setBeginning(flow, direction, (packet.sequence + 1) | 0);
  flow.raise((BASE_KNOWN | SYN_SEEN) << direction);
  const other = 1 - direction;
  if (!isAnswer || flow.has(BASE_KNOWN << other)) return;
  setBeginning(flow, other, packet.acknowledgement);
  flow.raise(BASE_KNOWN << other);
}

/** The direction's stream begins at `sequence`, nothing of it was seen. */
export function setBeginning(flow: FlowRecord, direction: number, sequence: number): void {
  flow.setBase(direction, sequence);
  flow.setNext(direction, sequence);
}

/**
 * Offset in its stream of a segment's first byte. A direction whose SYN nobody saw begins with this
 * segment; the flow is older than the blocker, or what looked like its beginning was another's SYN.
 */
export function offsetOf(flow: FlowRecord, direction: number, sequence: number): number {
  if (!flow.has(BASE_KNOWN << direction)) {
    flow.raise(MID_STREAM | BASE_KNOWN << direction);
    setBeginning(flow, direction, sequence);
  }
  return (sequence - flow.base(direction)) | 0;
}

/** How far the direction's stream has come, behind any negotiation that was peeled off. */
export function streamEnd(flow: FlowRecord, direction: number): number {
  return ((flow.next(direction) - flow.base(direction)) | 0) - flow.peeled(direction);
}

/** Whether a segment that far behind the beginning may have overtaken the one before it. */
export function mayHaveOvertaken(offset: number): boolean {
  return offset > 0 && offset < MAX_OVERTAKEN;
}

/**
 * The stream has come to `end`, where a segment ends. How many bytes of it are new: more than the
 * segment has when one before it is missing, fewer when its beginning was sent before.
 */
export function advance(flow: FlowRecord, direction: number, end: number): number {
  const more = (end - flow.next(direction)) | 0;
  if (more <= 0) return 0;
  flow.setNext(direction, end);
  return more;
}

/** Notes whether the sender of a packet with payload has got what the other end sent. */
export function noteSender(flow: FlowRecord, direction: number, packet: Packet): void {
  if (acknowledges(flow, direction, packet)) flow.raise(ACKNOWLEDGED << direction);
}

/** Whether a packet of the direction was seen, so that its numbers are known and not concluded. */
export function isHeard(flow: FlowRecord, direction: number): boolean {
  return flow.has(SYN_SEEN << direction) || flow.packets(direction) > 0;
}

/**
 * Whether the packet of `direction` acknowledges a number that the other side was seen to choose. Who
 * forges a source address does not see the answer; a SYN-ACK alone also answers a forged SYN.
 */
export function acknowledges(flow: FlowRecord, direction: number, packet: Packet): boolean {
  const other = 1 - direction;
  if (!isHeard(flow, other)) return false;
  const acknowledged = (packet.acknowledgement - flow.base(other)) | 0;
  const sent = (flow.next(other) - flow.base(other)) | 0;
  return (packet.flags & ACK) !== 0 && acknowledged >= 0 && acknowledged <= sent;
}
