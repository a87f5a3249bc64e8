/**
 * Tunnels over UDP, known by their header and by the packet inside, which must be whole to the byte:
 * ports are configured freely, and a flow that is no tunnel is judged as itself whatever its port.
 * What a tunnel's own port carries besides packets (L2TP's control channel, ARP in a VXLAN) is not
 * the beginning of an unknown flow either: it is {@link OPAQUE}.
 */
import { isBareIp, isMpls } from "./bare_packet.ts";
import { i32be, u16be } from "./bytes.ts";
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_TRANSPARENT_ETHERNET,
  findPppIp,
  parseEthernet,
  parseMpls,
  parsePpp,
} from "./ethernet.ts";
import { findInTzsp, parseTzsp } from "./mirrors.ts";
import { type Packet, parseIpLayer } from "./packet.ts";
import {
  GRE,
  GRE_CHECKSUM,
  GRE_KEY,
  GRE_SEQUENCE,
  IPV4_ENCAPSULATION,
  IPV6_ENCAPSULATION,
} from "./ip_protocols.ts";
import { parseGre } from "./tunnels.ts";
import { findFrame, isArp, isWholeFrame, isWholeIp } from "./whole_packet.ts";

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
const TZSP_PORT = 37008;

/** Where tunnels carry other things besides packets. */
export const TUNNEL_PORT_NUMBERS: readonly number[] = [
  ...[GTP_PORT, L2TP_PORT, VXLAN_PORT, VXLAN_GPE_PORT, VXLAN_PORT_OF_LINUX, GENEVE_PORT],
  ...[MPLS_PORT, TZSP_PORT],
];
/** Each in the place of its lowest five bits, which differ. */
const TUNNEL_PORTS = new Int32Array(32).fill(-1);
for (const port of TUNNEL_PORT_NUMBERS) TUNNEL_PORTS[port & 31] = port;

/** RFC 7348: the network's number is there; the bit above it is not used by any extension. */
const VXLAN_FLAG = 0x08;

/**
 * What a datagram may begin, as a set, by its first, second and eighth byte: of what most datagrams are
 * not, the three have nothing in common.
 */
const VXLAN = 1;
const HEADER = 2; // of findByHeader
const IPV4 = 4; // or L2TP
const IPV6 = 8;
const BY_FIRST = byteTable((first) => {
  const vxlan = (first & 0x48) === VXLAN_FLAG ? VXLAN : 0;
  const rest = first < 0x40 ? HEADER : first >> 4 === 4 ? IPV4 : first >> 4 === 6 ? IPV6 : 0;
  return vxlan | rest;
});
const SECOND_OF_HEADERS = [
  ...[0x00, 0x40, 0x80, 0xc0, 0x01, 0x02, 0x03, 0xff],
  ...[IPV4_ENCAPSULATION, IPV6_ENCAPSULATION, GRE],
];
const BY_SECOND = byteTable((second) =>
  IPV4 | IPV6 | (SECOND_OF_HEADERS.includes(second) ? HEADER : 0)
);
const BY_EIGHTH = byteTable((eighth) => eighth === 0 ? VXLAN : 0);

function byteTable(valueOf: (byte: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => valueOf(byte));
}

/**
 * What the datagram in `packet` carries: {@link NO_TUNNEL}, {@link OPAQUE}, or a place for {@link
 * parseInUdpTunnel}. Reads only.
 */
export function findUdpTunnel(packet: Packet): number {
  const { bytes, payloadStart, payloadEnd } = packet;
  const wireEnd = payloadStart + packet.payloadLength;
  const found = findAnywhere(bytes, payloadStart, payloadEnd, wireEnd);
  return found === NO_TUNNEL ? findByPort(packet, payloadStart, payloadEnd, wireEnd) : found;
}

/** Whether {@link findUdpTunnel} is to be asked: what most datagrams are not, in few steps. */
export function mayBeTunnel(packet: Packet): boolean {
  const { bytes, payloadStart: at, payloadEnd, payloadLength } = packet;
  if (payloadEnd - at < 8) return false;
  const kinds = BY_FIRST[bytes[at]] & (BY_SECOND[bytes[at + 1]] | BY_EIGHTH[bytes[at + 7]]);
  if (kinds !== 0) {
    if (kinds < IPV4) return true;
    if (kinds === IPV4 && u16be(bytes, at + 2) === payloadLength) return true;
    if (kinds === IPV6 && u16be(bytes, at + 4) === payloadLength - 40) return true;
  }
  const { sourcePort, destinationPort } = packet;
  return TUNNEL_PORTS[destinationPort & 31] === destinationPort ||
    TUNNEL_PORTS[sourcePort & 31] === sourcePort;
}

function findAnywhere(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const first = bytes[at];
  if (first >> 4 === 4 || first >> 4 === 6) return findDirect(bytes, at, end, wireEnd);
  const found = (first & 0x48) === VXLAN_FLAG && bytes[at + 7] === 0
    ? findInVxlan(bytes, at, end, wireEnd)
    : NO_TUNNEL;
  return found === NO_TUNNEL && first < 0x40 ? findByHeader(bytes, at, end, wireEnd) : found;
}

/** The packet itself: FOU, GUE of version 1, Teredo (RFC 4380). L2TP's flags may be the same bits. */
function findDirect(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  if (isBareIp(bytes, at, end, wireEnd)) return at * KINDS + IP;
  return bytes[at + 1] === 2 ? findInL2tp(bytes, at, end, wireEnd) : NO_TUNNEL;
}

/** Headers that lead to a packet that is whole, told by their second byte. */
function findByHeader(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const first = bytes[at];
  switch (bytes[at + 1]) {
    case 0x00:
    case 0x40:
    case 0x80:
    case 0xc0:
      return findByTypeOf(bytes, at, end, wireEnd);
    case 0x01: // Teredo's authentication (RFC 4380, 5.1.1)
      return first === 0 ? findInTeredo(bytes, at, end, wireEnd) : NO_TUNNEL;
    case 0x02:
      return findInL2tp(bytes, at, end, wireEnd);
    case 0x03: { // L2TP version 3 over UDP (RFC 3931, 4.1.2): 16 reserved bits, then the session
      const frame = first === 0 && u16be(bytes, at + 2) === 0 ? findFrame(bytes, at + 8, end) : -1;
      return frame >= 0 ? frame * KINDS + ETHERNET : NO_TUNNEL;
    }
    case IPV4_ENCAPSULATION:
    case IPV6_ENCAPSULATION:
    case GRE: { // GUE (draft-ietf-intarea-gue), version 0: no control message, length in words
      const inner = at + 4 + (first & 0x1f) * 4;
      return first < 0x20 ? findByProtocol(bytes, inner, end, wireEnd, bytes[at + 1]) : NO_TUNNEL;
    }
    case 0xff: { // GTP-U (3GPP TS 29.281): version 1, protocol type 1, a user's packet, its length
      const inner = (first & 0xf8) === 0x30 ? skipGtp(bytes, at, end, wireEnd) : -1;
      const isWhole = inner >= 0 && isWholeIp(bytes, inner, end, wireEnd, 0);
      return isWhole ? inner * KINDS + IP : NO_TUNNEL;
    }
    default:
      return NO_TUNNEL;
  }
}

/** Headers with an Ethernet type in their third and fourth byte; of Teredo the origin is there. */
function findByTypeOf(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const first = bytes[at];
  const type = u16be(bytes, at + 2);
  if (isTunnelType(type)) {
    // GENEVE (RFC 8926): version 0, reserved bits 0, options of up to 63 words, type, network
    if (bytes[at + 7] === 0) {
      const found = findByType(bytes, at + 8 + (first & 0x3f) * 4, end, wireEnd, type);
      if (found !== NO_TUNNEL) return found + WITH_NETWORK;
    }
    // GRE in UDP (RFC 8086, FOU)
    if (isWholeGre(bytes, at, end, wireEnd)) return at * KINDS + GRE_HEADER;
  }
  return first === 0 && bytes[at + 1] === 0 ? findInTeredo(bytes, at, end, wireEnd) : NO_TUNNEL;
}

function isTunnelType(type: number): boolean {
  return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6 ||
    type === ETHERTYPE_TRANSPARENT_ETHERNET;
}

/** L2TP (RFC 2661): data, version 2, no reserved bit, PPP with IP. */
function findInL2tp(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  if ((bytes[at] & 0xb4) !== 0) return NO_TUNNEL;
  const inner = skipL2tp(bytes, at, end, wireEnd);
  const ip = inner < 0 ? -1 : findPppIp(bytes, inner, end);
  return ip >= 0 && isWholeIp(bytes, ip, end, wireEnd, 0) ? inner * KINDS + PPP : NO_TUNNEL;
}

function findInTeredo(bytes: Uint8Array, at: number, end: number, wireEnd: number): number {
  const inner = skipTeredo(bytes, at, end);
  return inner > at && isBareIp(bytes, inner, end, wireEnd) ? inner * KINDS + IP : NO_TUNNEL;
}

/** Of the ports that tunnels have for themselves what is none of the above. */
function findByPort(packet: Packet, at: number, end: number, wireEnd: number): number {
  const { bytes, sourcePort, destinationPort } = packet;
  if (isPort(L2TP_PORT, sourcePort, destinationPort)) {
    // Control messages have a length that is the datagram's; of PPP its own negotiations.
    const flags = u16be(bytes, at);
    if ((flags & 0xf4ff) === 0xc002 || (flags & 0xf4ff) === 0xc003) {
      return u16be(bytes, at + 2) === wireEnd - at ? OPAQUE : NO_TUNNEL;
    }
    if ((flags & 0xb4ff) !== 0x0002) return NO_TUNNEL;
    const inner = skipL2tp(bytes, at, end, wireEnd);
    return inner >= 0 && isPppNegotiation(bytes, inner, end, wireEnd) ? OPAQUE : NO_TUNNEL;
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
    return isMpls(bytes, at, end, wireEnd) ? at * KINDS + MPLS : NO_TUNNEL;
  }
  if (packet.looksIntoMirrors && isPort(TZSP_PORT, sourcePort, destinationPort)) {
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
      return isBareIp(bytes, inner, end, wireEnd) ? inner * KINDS + IP : NO_TUNNEL;
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

const PPP_LINK_CONTROL = 0xc021; // RFC 1661
const PPP_PASSWORD = 0xc023; // RFC 1334
const PPP_CHALLENGE = 0xc223; // RFC 1994
const PPP_IP_CONTROL = 0x8021; // RFC 1332
const PPP_IPV6_CONTROL = 0x8057; // RFC 5072
const PPP_COMPRESSION_CONTROL = 0x80fd; // RFC 1962

/** What PPP talks about before it carries packets: protocol, code, identifier, and the length. */
function isPppNegotiation(
  bytes: Uint8Array,
  start: number,
  end: number,
  wireEnd: number,
): boolean {
  if (end - start < 8) return false;
  const at = u16be(bytes, start) === 0xff03 ? start + 2 : start;
  switch (u16be(bytes, at)) {
    case PPP_LINK_CONTROL:
    case PPP_PASSWORD:
    case PPP_CHALLENGE:
    case PPP_IP_CONTROL:
    case PPP_IPV6_CONTROL:
    case PPP_COMPRESSION_CONTROL:
      return u16be(bytes, at + 4) === wireEnd - at - 2;
    default:
      return false;
  }
}

/** Behind Teredo's authentication and origin (RFC 4380, 5.1.1), where they are there. */
function skipTeredo(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  if (end - at >= 13 && u16be(bytes, at) === 1) at += 13 + bytes[at + 2] + bytes[at + 3];
  if (end - at >= 8 && u16be(bytes, at) === 0) at += 8;
  return at;
}
