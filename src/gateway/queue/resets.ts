/**
 * Ends TCP connections that are older than the blocker, so that they begin anew under its eyes: a RST
 * to either end (RFC 9293, section 3.10.7), as each would get it from the other. What the packet says
 * of numbers is what both ends know.
 */
import { openRawSender, sendRaw } from "../../../ffi/libc_net.ts";
import { close } from "../../../ffi/libc.ts";
import type { Packet } from "../../packet/packet.ts";

const TCP_LENGTH = 20;
const IPV4_LENGTH = 20;
const IPV6_LENGTH = 40;
const RST_ACK = 0x14;
const TTL = 64;
const PROTOCOL_TCP = 6;

/** Sends resets; a worker has one. */
export class Resets implements Disposable {
  /** Raw sockets by family, opened at the first use; negative: an error number. */
  readonly #sockets = new Map<4 | 6, number>();

  /** Resets the packet's connection at both its ends; false when that cannot be sent. */
  send(packet: Packet): boolean {
    const socket = this.#socket(packet.family as 4 | 6);
    if (socket < 0) return false;
    const next = (packet.sequence + packet.payloadLength) | 0;
    const toSource = resetOf(packet, false, packet.acknowledgement, next);
    const toDestination = resetOf(packet, true, packet.sequence, packet.acknowledgement);
    const family = packet.family as 4 | 6;
    const sent = sendRaw(socket, toSource, family);
    return sendRaw(socket, toDestination, family) >= 0 && sent >= 0;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) if (socket >= 0) close(socket);
    this.#sockets.clear();
  }

  #socket(family: 4 | 6): number {
    const open = this.#sockets.get(family) ?? openRawSender(family);
    this.#sockets.set(family, open);
    return open;
  }
}

/**
 * A reset with its IP header. `isForward`: from the packet's source to its destination, else back.
 *
 * @param sequence the number that the receiver expects next
 * @param acknowledgement what it has sent itself
 */
export function resetOf(
  packet: Packet,
  isForward: boolean,
  sequence: number,
  acknowledgement: number,
): Uint8Array<ArrayBuffer> {
  const isIpv4 = packet.family === 4;
  const header = isIpv4 ? IPV4_LENGTH : IPV6_LENGTH;
  const bytes = new Uint8Array(header + TCP_LENGTH);
  const view = new DataView(bytes.buffer);
  const words = isIpv4 ? 1 : 4;
  const from = (isForward ? 0 : 4) + 4 - words;
  const to = (isForward ? 4 : 0) + 4 - words;
  const addresses = isIpv4 ? 12 : 8;
  for (let word = 0; word < words; word++) {
    view.setInt32(addresses + word * 4, packet.address[from + word]);
    view.setInt32(addresses + (words + word) * 4, packet.address[to + word]);
  }
  if (isIpv4) {
    view.setUint16(0, 0x4500);
    view.setUint16(2, bytes.length);
    view.setUint8(8, TTL);
    view.setUint8(9, PROTOCOL_TCP);
    view.setUint16(10, checksum(view, 0, IPV4_LENGTH, 0));
  } else {
    view.setUint32(0, 0x6000_0000);
    view.setUint16(4, TCP_LENGTH);
    view.setUint8(6, PROTOCOL_TCP);
    view.setUint8(7, TTL);
  }
  view.setUint16(header, isForward ? packet.sourcePort : packet.destinationPort);
  view.setUint16(header + 2, isForward ? packet.destinationPort : packet.sourcePort);
  view.setInt32(header + 4, sequence);
  view.setInt32(header + 8, acknowledgement);
  view.setUint16(header + 12, (TCP_LENGTH / 4 << 12) | RST_ACK);
  // The pseudo header is the addresses, the protocol and the length (RFC 9293, section 3.1).
  const pseudo = PROTOCOL_TCP + TCP_LENGTH;
  view.setUint16(header + 16, checksum(view, addresses, bytes.length, pseudo));
  return bytes;
}

/** The internet checksum (RFC 1071) of `[start, end)`, an even number of bytes, and of `more`. */
function checksum(view: DataView, start: number, end: number, more: number): number {
  let sum = more;
  for (let at = start; at < end; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
