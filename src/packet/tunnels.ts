/**
 * Tunnels that carry packets in the clear, and mirrors of traffic. A tunnel with an IP protocol of
 * its own is known by its number. One over UDP is known by its header and by the packet inside, which
 * must be whole to the byte: ports are configured freely, and a flow that is no tunnel is judged as
 * itself whatever its port. What a tunnel's own port carries besides packets (L2TP's control channel,
 * ARP in a VXLAN) is not the beginning of an unknown flow either: it is {@link OPAQUE}.
 */
import { i32be, u16be } from "./bytes.ts";
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_TRANSPARENT_ETHERNET,
  findEthernetIp,
  findPppIp,
  parseEthernet,
  parseEthertype,
  parseMpls,
  parsePpp,
} from "./ethernet.ts";
import { findInTzsp, parseErspan, parseTzsp, TZSP_PORT } from "./mirrors.ts";
import { enterTunnel, type Packet, parseIpLayer } from "./packet.ts";

const IPV4_ENCAPSULATION = 4; // RFC 2003
const IPV6_ENCAPSULATION = 41; // RFC 2473
const GRE = 47; // RFC 2784, 2890; version 1: RFC 2637
const ETHERIP = 97; // RFC 3378
const L2TP3 = 115; // RFC 3931
const MPLS_IN_IP = 137; // RFC 4023

/** Whether packets of this IP protocol carry others. */
export function isTunnelProtocol(protocol: number): boolean {
  switch (protocol) {
    case IPV4_ENCAPSULATION:
    case IPV6_ENCAPSULATION:
    case GRE:
    case ETHERIP:
    case L2TP3:
    case MPLS_IN_IP:
      return true;
    default:
      return false;
  }
}

/** What stands behind the IP header of a tunnel's packet. */
export function parseIpTunnel(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  layers: number,
): boolean {
  if (layers < 0) return false;
  if (protocol === GRE) return parseGre(packet, bytes, at, end, layers);
  enterTunnel(packet, 0, 0);
  switch (protocol) {
    case ETHERIP: // version 3, reserved bits 0
      return end - at >= 2 && u16be(bytes, at) === 0x3000 &&
        parseEthernet(packet, bytes, at + 2, end, layers);
    case L2TP3: // session 0 is the control connection
      return end - at >= 4 && parseL2tp3(packet, bytes, at + 4, end, layers);
    case MPLS_IN_IP:
      return parseMpls(packet, bytes, at, end, layers);
    default:
      return parseIpLayer(packet, bytes, at, end, layers);
  }
}

const GRE_CHECKSUM = 0x8000;
const GRE_ROUTING = 0x4000;
const GRE_KEY = 0x2000;
const GRE_SEQUENCE = 0x1000;
const GRE_ACKNOWLEDGEMENT = 0x0080; // version 1
const GRE_VERSION = 0x0007;
const ETHERTYPE_ERSPAN = 0x88be; // types I and II
const ETHERTYPE_ERSPAN3 = 0x22eb;

/** RFC 2784 and 2890; version 1 (PPTP, RFC 2637) has lengths and numbers of its own. */
function parseGre(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  layers: number,
): boolean {
  if (end - at < 4) return false;
  const flags = u16be(bytes, at);
  const type = u16be(bytes, at + 2);
  if ((flags & GRE_VERSION) > 1 || (flags & GRE_ROUTING) !== 0) return false;
  let inner = at + 4;
  if (flags & GRE_CHECKSUM) inner += 4;
  if (flags & GRE_KEY) inner += 4; // of PPTP the payload's length and the call
  if (flags & GRE_SEQUENCE) inner += 4;
  if ((flags & GRE_VERSION) === 1 && (flags & GRE_ACKNOWLEDGEMENT) !== 0) inner += 4;
  if (inner > end) return false;
  if (type === ETHERTYPE_ERSPAN || type === ETHERTYPE_ERSPAN3) {
    const hasSequence = (flags & GRE_SEQUENCE) !== 0;
    return parseErspan(packet, bytes, inner, end, type === ETHERTYPE_ERSPAN3, hasSequence, layers);
  }
  enterTunnel(packet, 0, 0);
  return parseEthertype(packet, bytes, inner, end, type, layers);
}

/** Cookie (0, 4 or 8 bytes) and sublayer (0 or 4) are agreed on elsewhere: the frame shows itself. */
function parseL2tp3(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  const at = findFrame(bytes, start, end);
  return at >= 0 && parseEthernet(packet, bytes, at, end, layers);
}

function findFrame(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at <= start + 12; at += 4) {
    const ip = findEthernetIp(bytes, at, end);
    if (ip >= 0 && isWholeIp(bytes, ip, end, end, ETHERNET_PADDING)) return at;
  }
  return -1;
}

/** Answers of {@link findUdpTunnel}: the datagram is no tunnel's. */
export const NO_TUNNEL = -1;
/** It is a tunnel's, and carries nothing to be judged. */
export const OPAQUE = -2;

/** What a UDP tunnel carries; with the place where it begins one number. */
const IP = 0;
const ETHERNET = 1;
const PPP = 2;
const GRE_HEADER = 3;
const MPLS = 4;
const TZSP = 5;
/** The header has a network's number, in both directions the same, behind its first four bytes. */
const WITH_NETWORK = 8;
const KINDS = 16;

const GTP_PORT = 2152;
const L2TP_PORT = 1701;
const VXLAN_PORT = 4789;
const VXLAN_GPE_PORT = 4790;
const VXLAN_PORT_OF_LINUX = 8472;
const GENEVE_PORT = 6081;
const MPLS_PORT = 6635; // RFC 7510

/** RFC 7348: the network's number is there; the bit above it is not used by any extension. */
const VXLAN_FLAG = 0x08;

/** Bytes behind an IP packet that fill a short frame up, and its check sequence. */
const ETHERNET_PADDING = 50;

/**
 * What the datagram with payload `[at, end)`, `[at, wireEnd)` on the wire, carries: {@link NO_TUNNEL},
 * {@link OPAQUE}, or a place for {@link parseInUdpTunnel}. Reads only.
 */
export function findUdpTunnel(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  sourcePort: number,
  destinationPort: number,
  looksIntoMirrors: boolean,
): number {
  if (end - at < 8) return NO_TUNNEL;
  const first = bytes[at];
  // The packet itself: FOU, GUE of version 1, Teredo (RFC 4380)
  if ((first >> 4 === 4 || first >> 4 === 6) && isWholeIp(bytes, at, end, wireEnd, 0)) {
    return at * KINDS + IP;
  }
  if (first < 0x50 || (first & 0x48) === VXLAN_FLAG) {
    const found = findByHeader(bytes, at, end, wireEnd);
    if (found !== NO_TUNNEL) return found;
  }
  return findByPort(bytes, at, end, wireEnd, sourcePort, destinationPort, looksIntoMirrors);
}

/** Headers that lead to a packet that is whole. */
function findByHeader(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const first = bytes[at];
  const second = bytes[at + 1];
  const third = u16be(bytes, at + 2);
  // VXLAN (RFC 7348): its flag; the group policy's flag and number may stand there too.
  if ((first & 0x48) === VXLAN_FLAG && bytes[at + 7] === 0) {
    const found = findInVxlan(bytes, at, end, wireEnd);
    if (found !== NO_TUNNEL) return found;
  }
  // GTP-U (3GPP TS 29.281): version 1, protocol type 1, a user's packet, its length
  if ((first & 0xf8) === 0x30 && second === 0xff) {
    const inner = skipGtp(bytes, at, end, wireEnd);
    return inner >= 0 && isWholeIp(bytes, inner, end, wireEnd, 0) ? inner * KINDS + IP : NO_TUNNEL;
  }
  // L2TP (RFC 2661): data, version 2, no reserved bit
  if ((second & 0x0f) === 2 && (first & 0xb4) === 0 && (second & 0xf0) === 0) {
    const inner = skipL2tp(bytes, at, end, wireEnd);
    const ip = inner < 0 ? -1 : findPppIp(bytes, inner, end);
    if (ip >= 0 && isWholeIp(bytes, ip, end, wireEnd, 0)) return inner * KINDS + PPP;
  }
  // L2TP version 3 over UDP (RFC 3931, 4.1.2): the same bits, 16 reserved, then the session
  if (second === 3 && first === 0 && third === 0) {
    const frame = findFrame(bytes, at + 8, end);
    if (frame >= 0) return frame * KINDS + ETHERNET;
  }
  // GENEVE (RFC 8926): version 0, reserved bits 0, options of up to 63 words, type, network
  if (first < 0x40 && (second & 0x3f) === 0 && bytes[at + 7] === 0) {
    const found = findByType(bytes, at + 8 + (first & 0x3f) * 4, end, wireEnd, third);
    if (found !== NO_TUNNEL) return found + WITH_NETWORK;
  }
  // GRE in UDP (RFC 8086, FOU)
  if ((first & 0x4f) === 0 && isWholeGre(bytes, at, end, wireEnd)) return at * KINDS + GRE_HEADER;
  // GUE (draft-ietf-intarea-gue), version 0: no control message, length of the rest in words
  if (first < 0x20) {
    const inner = at + 4 + (first & 0x1f) * 4;
    const found = findByProtocol(bytes, inner, end, wireEnd, second);
    if (found !== NO_TUNNEL) return found;
  }
  // Teredo (RFC 4380, 5.1.1): authentication and origin before the packet
  if (first === 0 && second < 2) {
    const inner = skipTeredo(bytes, at, end);
    if (inner > at && isWholeIp(bytes, inner, end, wireEnd, 0)) return inner * KINDS + IP;
  }
  return NO_TUNNEL;
}

/** Of the ports that tunnels have for themselves what is none of the above. */
function findByPort(
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  sourcePort: number,
  destinationPort: number,
  looksIntoMirrors: boolean,
): number {
  if (isPort(L2TP_PORT, sourcePort, destinationPort)) {
    // Control messages have a length that is the datagram's; of PPP its own negotiations.
    const flags = u16be(bytes, at);
    if ((flags & 0xf4ff) === 0xc002 || (flags & 0xf4ff) === 0xc003) {
      return u16be(bytes, at + 2) === wireEnd - at ? OPAQUE : NO_TUNNEL;
    }
    if ((flags & 0xb4ff) !== 0x0002) return NO_TUNNEL;
    const inner = skipL2tp(bytes, at, end, wireEnd);
    return inner >= 0 && isPppNegotiation(bytes, inner, end) ? OPAQUE : NO_TUNNEL;
  }
  if (isPort(GTP_PORT, sourcePort, destinationPort)) {
    const isControl = (bytes[at] & 0xf8) === 0x30 && isGtpControl(bytes[at + 1]);
    return isControl && u16be(bytes, at + 2) === wireEnd - at - 8 ? OPAQUE : NO_TUNNEL;
  }
  if (
    isPort(VXLAN_PORT, sourcePort, destinationPort) ||
    isPort(VXLAN_PORT_OF_LINUX, sourcePort, destinationPort) ||
    isPort(VXLAN_GPE_PORT, sourcePort, destinationPort)
  ) {
    return (bytes[at] & 0x48) === VXLAN_FLAG && isArp(bytes, at + 8, end) ? OPAQUE : NO_TUNNEL;
  }
  if (isPort(GENEVE_PORT, sourcePort, destinationPort)) {
    const inner = at + 8 + (bytes[at] & 0x3f) * 4;
    const isEthernet = u16be(bytes, at + 2) === ETHERTYPE_TRANSPARENT_ETHERNET;
    return bytes[at] < 0x40 && isEthernet && isArp(bytes, inner, end) ? OPAQUE : NO_TUNNEL;
  }
  if (isPort(MPLS_PORT, sourcePort, destinationPort)) {
    for (let label = at; label < at + 16 && end - label >= 8; label += 4) {
      if ((bytes[label + 2] & 1) === 0) continue;
      const isFound = isWholeIp(bytes, label + 4, end, wireEnd, 0) ||
        isWholeFrame(bytes, label + 4, end, wireEnd) ||
        isWholeFrame(bytes, label + 8, end, wireEnd);
      return isFound ? at * KINDS + MPLS : NO_TUNNEL;
    }
    return NO_TUNNEL;
  }
  if (looksIntoMirrors && isPort(TZSP_PORT, sourcePort, destinationPort)) {
    return findInTzsp(bytes, at, end) >= 0 ? at * KINDS + TZSP : NO_TUNNEL;
  }
  return NO_TUNNEL;
}

function isPort(port: number, source: number, destination: number): boolean {
  return port === destination || port === source;
}

/** Reads what {@link findUdpTunnel} has found, in a packet that has entered the tunnel. */
export function parseInUdpTunnel(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  found: number,
  layers: number,
): boolean {
  if (layers < 0) return false;
  const at = Math.floor(found / KINDS);
  if ((found & WITH_NETWORK) !== 0) packet.network = i32be(bytes, start + 4);
  switch (found % WITH_NETWORK) {
    case ETHERNET:
      return parseEthernet(packet, bytes, at, end, layers);
    case PPP:
      return parsePpp(packet, bytes, at, end, layers);
    case GRE_HEADER:
      return parseGre(packet, bytes, at, end, layers);
    case MPLS:
      return parseMpls(packet, bytes, at, end, layers);
    case TZSP:
      return parseTzsp(packet, bytes, at, end, layers);
    default:
      return parseIpLayer(packet, bytes, at, end, layers);
  }
}

/** VXLAN carries Ethernet; with its protocol extension (draft-ietf-nvo3-vxlan-gpe) IP too. */
function findInVxlan(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const inner = at + 8;
  if (isWholeFrame(bytes, inner, end, wireEnd)) return inner * KINDS + ETHERNET + WITH_NETWORK;
  const next = bytes[at + 3];
  const isIp = (next === 1 || next === 2) && isWholeIp(bytes, inner, end, wireEnd, 0);
  return isIp ? inner * KINDS + IP + WITH_NETWORK : NO_TUNNEL;
}

function findByType(
  bytes: Uint8Array,
  inner: number,
  end: number,
  wireEnd: number,
  type: number,
): number {
  switch (type) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
      return isWholeIp(bytes, inner, end, wireEnd, 0) ? inner * KINDS + IP : NO_TUNNEL;
    case ETHERTYPE_TRANSPARENT_ETHERNET:
      return isWholeFrame(bytes, inner, end, wireEnd) ? inner * KINDS + ETHERNET : NO_TUNNEL;
    default:
      return NO_TUNNEL;
  }
}

function findByProtocol(
  bytes: Uint8Array,
  inner: number,
  end: number,
  wireEnd: number,
  protocol: number,
): number {
  switch (protocol) {
    case IPV4_ENCAPSULATION:
    case IPV6_ENCAPSULATION:
      return isWholeIp(bytes, inner, end, wireEnd, 0) ? inner * KINDS + IP : NO_TUNNEL;
    case GRE:
      return isWholeGre(bytes, inner, end, wireEnd) ? inner * KINDS + GRE_HEADER : NO_TUNNEL;
    default:
      return NO_TUNNEL;
  }
}

/** GRE of version 0 without routing, around a whole packet. */
function isWholeGre(bytes: Uint8Array, at: number, end: number, wireEnd: number): boolean {
  if (end - at < 4) return false;
  const flags = u16be(bytes, at);
  if ((flags & ~(GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE)) !== 0) return false;
  let inner = at + 4;
  if (flags & GRE_CHECKSUM) inner += 4;
  if (flags & GRE_KEY) inner += 4;
  if (flags & GRE_SEQUENCE) inner += 4;
  return findByType(bytes, inner, end, wireEnd, u16be(bytes, at + 2)) !== NO_TUNNEL;
}

/** Behind a GTP-U header and its extensions (5.2.1); -1 where a length does not fit. */
function skipGtp(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  if (u16be(bytes, at + 2) !== wireEnd - at - 8) return -1;
  const flags = bytes[at] & 0x07;
  if (flags === 0) return at + 8;
  let inner = at + 12;
  if ((flags & 0x04) === 0) return inner;
  for (let i = 0; i < 4; i++) {
    if (inner >= end || bytes[inner - 1] === 0) return inner;
    inner += bytes[inner] * 4;
  }
  return -1;
}

/** Echo request and answer, error indication, supported headers, end marker (6.1). */
function isGtpControl(type: number): boolean {
  return type === 1 || type === 2 || type === 26 || type === 31 || type === 254;
}

/** Behind the header of an L2TP data message (RFC 2661, 3.1); -1 where a length does not fit. */
function skipL2tp(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const flags = bytes[at];
  let inner = at + 2;
  if ((flags & 0x40) !== 0) {
    if (u16be(bytes, inner) !== wireEnd - at) return -1;
    inner += 2;
  }
  inner += 4; // tunnel and session
  if ((flags & 0x08) !== 0) inner += 4; // Ns and Nr
  if ((flags & 0x02) !== 0) {
    if (inner + 2 > end) return -1;
    inner += 2 + u16be(bytes, inner);
  }
  return inner;
}

const PPP_COMPRESSED = 0x00fd; // RFC 1962; MPPE too

/** Control protocols of PPP have numbers from 0x8000; compressed or encrypted data has 0xfd. */
function isPppNegotiation(bytes: Uint8Array, start: number, end: number): boolean {
  const at = u16be(bytes, start) === 0xff03 ? start + 2 : start;
  if (end - at < 2) return false;
  const protocol = u16be(bytes, at);
  return protocol === PPP_COMPRESSED || bytes[at] === PPP_COMPRESSED ||
    ((protocol & 0x8001) === 0x8001 && (protocol & 0x3000) === 0);
}

/** Behind Teredo's authentication and origin (RFC 4380, 5.1.1), where they are there. */
function skipTeredo(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  if (end - at >= 13 && u16be(bytes, at) === 1) at += 13 + bytes[at + 2] + bytes[at + 3];
  if (end - at >= 8 && u16be(bytes, at) === 0) at += 8;
  return at;
}

function isArp(bytes: Uint8Array, frame: number, end: number): boolean {
  const at = frame + 12;
  return end - at >= 8 && u16be(bytes, at) === ETHERTYPE_ARP && u16be(bytes, at + 2) === 1 &&
    u16be(bytes, at + 4) === ETHERTYPE_IPV4 && u16be(bytes, at + 6) === 0x0604;
}

/** An Ethernet frame whose IP packet is whole. */
function isWholeFrame(bytes: Uint8Array, at: number, end: number, wireEnd: number): boolean {
  const ip = findEthernetIp(bytes, at, end);
  return ip >= 0 && isWholeIp(bytes, ip, end, wireEnd, ETHERNET_PADDING);
}

/**
 * Whether the bytes are an IP packet that fills `[at, wireEnd)` but for `padding` bytes: lengths, of
 * IPv4 the header's checksum, of IPv6 a protocol that there is. What a tunnel carries was made by a
 * kernel; other bytes in its place pass with a chance of 2^-36 (IPv4) and 2^-24.
 */
function isWholeIp(
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
    case 0: // hop-by-hop options
    case 6:
    case 17:
    case 43: // routing
    case 44: // fragment
    case 50: // ESP
    case 51: // AH
    case 58: // ICMPv6
    case 59: // nothing (Teredo's bubbles)
    case 60: // destination options
    case 132: // SCTP
    case 135: // mobility
      return true;
    default:
      return isTunnelProtocol(protocol);
  }
}
