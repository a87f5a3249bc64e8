/**
 * What was noted of a flow before its packets came to the engine: the kernel's first look keeps flows
 * that open as no BitTorrent does to itself, until something else comes. Taking the notes over makes the
 * engine know the flow as if it had seen those packets.
 */
import type { Packet } from "../packet/packet.ts";
import {
  ACKNOWLEDGED,
  BASE_KNOWN,
  EMBRYONIC,
  type FlowRecord,
  OPENING_JUDGED,
  SYN_SEEN,
} from "./flow_record.ts";
import { setBeginning } from "./stream_space.ts";

/** Arrays are by direction: 0 from the flow's initiator. */
export interface FlowNotes {
  /** Whether the packet that was asked with is the initiator's. */
  isFromInitiator: boolean;
  /** TCP: whether the side's SYN was seen, and the sequence number of its first byte. */
  readonly isKnown: [boolean, boolean];
  readonly begin: [number, number];
  /** Bytes of what opened the direction with something else than BitTorrent; 0: nothing did. */
  readonly length: [number, number];
  /** UDP: datagrams that these bytes came in. */
  readonly packets: [number, number];
  /** TCP: bytes of the handshake that stood in their places, as handshake_readings.ts counts them. */
  readonly handshake: [number, number];
  /** TCP: whether the opening acknowledged a number that the other end chose. */
  readonly hasAcknowledged: [boolean, boolean];
  /** Number of the interface that the direction's packets came in by; -1: none was seen. */
  readonly inputInterface: [number, number];
}

/** Who has noted flows. */
export interface EarlierNotes {
  /** The notes of the packet's flow, which end with this; null for none. Valid until the next call. */
  take(packet: Packet): FlowNotes | null;
  /**
   * The packet that notes were taken for last is a flow's one request of HTTP, and clean: an answer
   * that ends the connection may settle the flow without coming here.
   */
  awaitAnswer(requestLength: number): void;
}

/**
 * Where the responder's stream begins, if the notes do not tell and the flow at hand does: its SYN-ACK
 * was seen before the SYN that was noted, as packets on two ways overtake each other. Null otherwise.
 */
export function answeredBefore(flow: FlowRecord, { isKnown, begin }: FlowNotes): number | null {
  const isSame = isKnown[0] && !isKnown[1] && flow.state === EMBRYONIC &&
    flow.hasAll(BASE_KNOWN * 3) && flow.base(0) === begin[0];
  return isSame ? flow.base(1) : null;
}

/**
 * Writes notes of a TCP flow into its record, which is new.
 *
 * @param answer by {@link answeredBefore}
 */
export function adoptStream(flow: FlowRecord, notes: FlowNotes, answer: number | null): void {
  if (answer !== null) {
    setBeginning(flow, 1, answer);
    flow.raise((BASE_KNOWN | SYN_SEEN) << 1);
  }
  for (const direction of [0, 1] as const) {
    if (!notes.isKnown[direction]) continue;
    setBeginning(flow, direction, notes.begin[direction]);
    flow.raise((BASE_KNOWN | SYN_SEEN) << direction);
    const length = notes.length[direction];
    if (length === 0) continue;
    flow.setNext(direction, (notes.begin[direction] + length) | 0);
    flow.count(direction, length);
    flow.setReadings(direction, notes.handshake[direction]);
    flow.raise(OPENING_JUDGED << direction);
    if (notes.hasAcknowledged[direction]) flow.raise(ACKNOWLEDGED << direction);
  }
}

/** The same of a UDP flow. */
export function adoptDatagrams(flow: FlowRecord, notes: FlowNotes): void {
  for (const direction of [0, 1] as const) {
    if (notes.packets[direction] === 0) continue;
    flow.count(direction, notes.length[direction]);
    for (let more = notes.packets[direction] - 1; more > 0; more--) flow.count(direction, 0);
  }
}

/** Whether a direction has opened, so that the flow has payload. */
export function hasOpened({ length }: FlowNotes): boolean {
  return length[0] > 0 || length[1] > 0;
}
