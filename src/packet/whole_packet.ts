/** Whether bytes are a packet that a tunnel carries: whole to the byte. */
import { u16be } from "./bytes.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, findEthernetIp } from "./ethernet.ts";
import {
  AUTHENTICATION,
  DESTINATION_OPTIONS,
  ESP,
  FRAGMENT,
  HOP_BY_HOP,
  ICMPV6,
  isTunnelProtocol,
  MOBILITY,
  NO_NEXT_HEADER,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  ROUTING,
  SCTP,
} from "./ip_protocols.ts";

/** Bytes behind an IP packet that fill a short frame up, and its check sequence. */
const ETHERNET_PADDING = 50;

/** An Ethernet frame with ARP for IPv4 (RFC 826). */
export function isArp(bytes: Uint8Array, frame: number, end: number): boolean {
  const at = frame + 12;
  return end - at >= 8 && u16be(bytes, at) === ETHERTYPE_ARP && u16be(bytes, at + 2) === 1 &&
    u16be(bytes, at + 4) === ETHERTYPE_IPV4 && u16be(bytes, at + 6) === 0x0604;
}

/** An Ethernet frame whose IP packet is whole. */
export function isWholeFrame(bytes: Uint8Array, at: number, end: number, wireEnd: number): boolean {
  const ip = findEthernetIp(bytes, at, end);
  return ip >= 0 && isWholeIp(bytes, ip, end, wireEnd, ETHERNET_PADDING);
}

/**
 * Whether the bytes are an IP packet that fills `[at, wireEnd)` but for `padding` bytes: lengths, of
 * IPv4 the header's checksum, of IPv6 a protocol that there is. What a tunnel carries was made by a
 * kernel; other bytes in its place pass with a chance of 2^-36 (IPv4) and 2^-24. That is enough behind
 * a tunnel's header of its own; see `bare_packet.ts` for what stands behind less.
 */
export function isWholeIp(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  padding: number,
): boolean {
  if (end - at < 20) return false;
  const first = bytes[at];
  if (first >> 4 === 4) {
    const headerLength = (first & 0x0f) * 4;
    const rest = wireEnd - at - u16be(bytes, at + 2);
    if (rest < 0 || rest > padding || headerLength < 20 || end - at < headerLength) return false;
    let sum = 0;
    for (let i = at; i < at + headerLength; i += 2) sum += u16be(bytes, i);
    return (sum & 0xffff) + (sum >>> 16) === 0xffff;
  }
  if (first >> 4 !== 6 || end - at < 40) return false;
  const rest = wireEnd - at - 40 - u16be(bytes, at + 4);
  return rest >= 0 && rest <= padding && isNextHeader(bytes[at + 6]);
}

/** Extension headers and the protocols that IPv6 carries. */
function isNextHeader(protocol: number): boolean {
  switch (protocol) {
    case HOP_BY_HOP:
    case PROTOCOL_TCP:
    case PROTOCOL_UDP:
    case ROUTING:
    case FRAGMENT:
    case ESP:
    case AUTHENTICATION:
    case ICMPV6:
    case NO_NEXT_HEADER: // Teredo's bubbles
    case DESTINATION_OPTIONS:
    case SCTP:
    case MOBILITY:
      return true;
    default:
      return isTunnelProtocol(protocol);
  }
}

/**
 * Where an Ethernet frame with a whole packet begins behind an L2TP version 3 session: cookie (0, 4 or
 * 8 bytes) and sublayer (0 or 4) are agreed on elsewhere, the frame shows itself. -1 where none does.
 */
export function findFrame(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at <= start + 12; at += 4) {
    if (isWholeFrame(bytes, at, end, end)) return at;
  }
  return -1;
}
