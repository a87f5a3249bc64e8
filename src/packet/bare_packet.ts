/**
 * Whether a datagram that begins with an IP packet, or has little before it (FOU, GUE, Teredo, MPLS),
 * is a tunnel's. Lengths alone are right in one of some million datagrams of random bytes, which any
 * encrypted protocol sends; with what the packet carries it is less than one of 10^12.
 */
import { u16be } from "./bytes.ts";
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MPLS,
  ETHERTYPE_PPP,
  ETHERTYPE_TRANSPARENT_ETHERNET,
} from "./ethernet.ts";
import {
  AUTHENTICATION,
  DESTINATION_OPTIONS,
  ESP,
  ETHERIP,
  FRAGMENT,
  GRE,
  HOP_BY_HOP,
  ICMP,
  ICMPV6,
  IGMP,
  IPV4_ENCAPSULATION,
  IPV6_ENCAPSULATION,
  isTunnelProtocol,
  L2TP3,
  MPLS_IN_IP,
  NO_NEXT_HEADER,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  ROUTING,
  SCTP,
} from "./ip_protocols.ts";
import { findFrame, isWholeFrame, isWholeIp } from "./whole_packet.ts";

const RESERVED_FLAG = 0x8000; // RFC 791: must be 0
const MORE_OR_OFFSET = 0x3fff;
/** 2001::/32, which only Teredo's clients have (RFC 4380, 2.6). */
const TEREDO_PREFIX_HIGH = 0x2001;
/** Headers and packets inside one another: as many as the walker of packets reads. */
const MAX_DEPTH = 8;
const MAX_LABELS = 4;

/** An IP packet that fills `[at, wireEnd)` and whose transport, as far as it is there, agrees. */
export function isBareIp(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  depth = 0,
): boolean {
  if (depth > MAX_DEPTH || !isWholeIp(bytes, at, end, wireEnd, 0)) return false;
  if (bytes[at] >> 4 === 6) {
    return isCarried(bytes, at + 40, end, wireEnd, bytes[at + 6], at, depth + 1);
  }
  const fragment = u16be(bytes, at + 6);
  const protocol = bytes[at + 9];
  if ((fragment & RESERVED_FLAG) !== 0) return false;
  if ((fragment & MORE_OR_OFFSET) !== 0) return isIpv4Protocol(protocol);
  const inner = at + (bytes[at] & 0x0f) * 4;
  switch (protocol) {
    case PROTOCOL_TCP:
      return isTcp(bytes, inner, end, wireEnd);
    case PROTOCOL_UDP:
      return isUdp(bytes, inner, end, wireEnd);
    default:
      return isIpv4Protocol(protocol);
  }
}

/** Behind 36 bits that are right (lengths and the header's checksum) the protocol's number is enough. */
function isIpv4Protocol(protocol: number): boolean {
  switch (protocol) {
    case ICMP:
    case IGMP:
    case PROTOCOL_TCP:
    case PROTOCOL_UDP:
    case ESP:
    case AUTHENTICATION:
    case SCTP:
      return true;
    default:
      return isTunnelProtocol(protocol);
  }
}

/**
 * What IPv6 carries, through its extension headers; `ip` is where its header begins. ESP shows
 * nothing, and nothing inside it could be judged.
 */
function isCarried(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  protocol: number,
  ip: number,
  depth: number,
): boolean {
  if (depth > MAX_DEPTH || at > wireEnd) return false;
  if (protocol === NO_NEXT_HEADER) return isBubble(bytes, ip, at, wireEnd);
  if (end - at < 4) return end < wireEnd; // a snapshot length cut it: nothing speaks against it
  switch (protocol) {
    case PROTOCOL_TCP:
      return isTcp(bytes, at, end, wireEnd);
    case PROTOCOL_UDP:
      return isUdp(bytes, at, end, wireEnd);
    case ICMPV6:
      return isIcmpv6(bytes, at, end, wireEnd, ip);
    case SCTP:
      return isSctp(bytes, at, end, wireEnd);
    case FRAGMENT: { // RFC 8200, 4.5: what is reserved is 0; the rest may be anywhere in its packet
      const isReservedClear = bytes[at + 1] === 0 && (bytes[at + 3] & 0x06) === 0;
      return isReservedClear && isFragmented(bytes[at]);
    }
    case HOP_BY_HOP:
    case ROUTING:
    case DESTINATION_OPTIONS: {
      const next = at + (bytes[at + 1] + 1) * 8;
      return isCarried(bytes, next, end, wireEnd, bytes[at], ip, depth + 1);
    }
    case AUTHENTICATION: { // RFC 4302: reserved is 0
      if (u16be(bytes, at + 2) !== 0) return false;
      const next = at + (bytes[at + 1] + 2) * 4;
      return isCarried(bytes, next, end, wireEnd, bytes[at], ip, depth + 1);
    }
    default:
      return isTunnel(bytes, at, end, wireEnd, protocol, depth);
  }
}

function isFragmented(protocol: number): boolean {
  return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP || protocol === ICMPV6 ||
    protocol === ESP ||
    protocol === SCTP || isTunnelProtocol(protocol);
}

/** Another packet inside, or the header that says so. */
function isTunnel(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  protocol: number,
  depth: number,
): boolean {
  switch (protocol) {
    case IPV4_ENCAPSULATION:
    case IPV6_ENCAPSULATION:
      return isBareIp(bytes, at, end, wireEnd, depth);
    case GRE:
      return isGre(bytes, at);
    case ETHERIP: // RFC 3378: version 3, the rest reserved
      return u16be(bytes, at) === 0x3000;
    case L2TP3:
      return findFrame(bytes, at + 4, end) >= 0;
    case MPLS_IN_IP:
      return isMpls(bytes, at, end, wireEnd, depth);
    default:
      return false;
  }
}

/** Labels up to the bottom of the stack, then a packet, or a frame with or without a control word. */
export function isMpls(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  depth = 0,
): boolean {
  for (let label = at; label < at + MAX_LABELS * 4 && end - label >= 8; label += 4) {
    if ((bytes[label + 2] & 1) === 0) continue;
    return isBareIp(bytes, label + 4, end, wireEnd, depth + 1) ||
      isWholeFrame(bytes, label + 4, end, wireEnd) ||
      isWholeFrame(bytes, label + 8, end, wireEnd);
  }
  return false;
}

/** RFC 9293: header length, reserved bits, flags that go together, no urgent data (next to nobody sends it). */
function isTcp(bytes: Uint8Array, at: number, end: number, wireEnd: number): boolean {
  if (end - at < 14) return end < wireEnd;
  const headerLength = (bytes[at + 12] >> 4) * 4;
  if (headerLength < 20 || headerLength > wireEnd - at || (bytes[at + 12] & 0x0e) !== 0) {
    return false;
  }
  const flags = bytes[at + 13];
  if ((flags & 0x20) !== 0) return false;
  const opening = flags & 0x07; // FIN, SYN, RST: one of them at most
  if ((opening & (opening - 1)) !== 0) return false;
  if ((flags & 0x10) === 0 && (opening === 0 || opening === 1)) return false;
  if (end - at < 20) return end < wireEnd;
  return u16be(bytes, at + 18) === 0;
}

/** RFC 768: its own length is what is there. */
function isUdp(bytes: Uint8Array, at: number, end: number, wireEnd: number): boolean {
  if (end - at < 6) return end < wireEnd;
  return u16be(bytes, at + 4) === wireEnd - at;
}

/** RFC 4443, RFC 4861, RFC 3810: errors and queries that there are; the checksum, where all is there. */
function isIcmpv6(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  ip: number,
): boolean {
  const type = bytes[at];
  if (!((type >= 1 && type <= 4) || (type >= 128 && type <= 161)) || bytes[at + 1] > 8) {
    return false;
  }
  if (end < wireEnd) return true;
  let sum = wireEnd - at + ICMPV6;
  for (let i = ip + 8; i < ip + 40; i += 2) sum += u16be(bytes, i); // the addresses
  let i = at;
  for (; i + 1 < wireEnd; i += 2) sum += u16be(bytes, i);
  if (i < wireEnd) sum += bytes[i] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

/** RFC 9260: the first chunk is one that there is, of a length that fits. */
function isSctp(bytes: Uint8Array, at: number, end: number, wireEnd: number): boolean {
  if (end - at < 16) return end < wireEnd;
  const length = u16be(bytes, at + 14);
  return bytes[at + 12] <= 14 && bytes[at + 13] < 16 && length >= 4 && length <= wireEnd - at - 12;
}

/** A bubble of Teredo: no payload, to one of its addresses (RFC 4380, 2.8). */
function isBubble(bytes: Uint8Array, ip: number, at: number, wireEnd: number): boolean {
  return at === wireEnd && u16be(bytes, ip + 24) === TEREDO_PREFIX_HIGH &&
    u16be(bytes, ip + 26) === 0;
}

/** GRE around something of a type that there is. */
function isGre(bytes: Uint8Array, at: number): boolean {
  if ((bytes[at] & 0x4f) !== 0) return isPptp(bytes, at);
  const type = u16be(bytes, at + 2);
  return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6 ||
    type === ETHERTYPE_TRANSPARENT_ETHERNET || type === ETHERTYPE_MPLS || isPptp(bytes, at);
}

function isPptp(bytes: Uint8Array, at: number): boolean {
  return (bytes[at] & 0xef) === 0x20 && u16be(bytes, at + 2) === ETHERTYPE_PPP;
}
