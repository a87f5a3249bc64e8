/** The packet that proved a detection, copied for whoever looks at it later. */
import { PREFIX_LENGTH } from "./prefix_pool.ts";

/** Room for the headers: IPv4 and TCP have 60 bytes at most, IPv6 has 40 and rarely more. */
const HEADERS_LENGTH = 128;

/**
 * Bytes kept of one packet, from its IP header on: the headers and as much payload as the detectors
 * of openings read. Every packet of an Ethernet is whole within it; a packet of segmentation offload,
 * up to 64 KiB, is cut, since what it carries behind its opening is what somebody shared.
 */
export const SNAP_LENGTH = HEADERS_LENGTH + PREFIX_LENGTH;

export interface PacketCopy {
  /** The packet from its IP header on, at most {@link SNAP_LENGTH} bytes of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The whole packet's length. */
  readonly length: number;
}

/**
 * Copies the packet in `[start, end)`. It is a copy because the buffer is filled again, and because a
 * view that is posted to another thread takes its whole buffer along.
 *
 * @param length of the whole packet, where `[start, end)` is only the captured part of it
 */
export function copyPacket(
  bytes: Uint8Array,
  start: number,
  end: number,
  length = end - start,
): PacketCopy {
  return { bytes: bytes.slice(start, Math.min(end, start + SNAP_LENGTH)), length };
}
