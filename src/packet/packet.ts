import { i32be, u16be } from "./bytes.ts";

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** TCP flags (RFC 9293, section 3.1). */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const IPV4_HEADER_LENGTH = 20;
const IPV6_HEADER_LENGTH = 40;
const TCP_HEADER_LENGTH = 20;
const UDP_HEADER_LENGTH = 8;

/** Extension headers that may stand between IPv6 and the transport (RFC 8200, RFC 4302). */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;
const MOBILITY = 135;
/** More headers than any real packet has; bounds the walk. */
const MAX_EXTENSION_HEADERS = 8;

const IPV4_ENCAPSULATION = 4; // RFC 2003
const IPV6_ENCAPSULATION = 41; // RFC 2473
const GRE = 47;
/** Tunnel layers looked into (IPIP, 6in4, GRE). */
const MAX_TUNNELS = 3;

/** Value of {@link Packet.inputInterface} where packets tell of no interfaces, as in a capture. */
export const UNKNOWN_INTERFACE = -1;

/** `::ffff:0:0/96`, the third word of an IPv4-mapped address. */
export const MAPPED = 0x0000_ffff;

/**
 * One packet, as positions in the buffer that holds it. A single instance is filled again for every
 * packet: nothing here may be kept beyond the next {@link parseIp}.
 */
export class Packet {
  /** The buffer all positions refer to. */
  bytes: Uint8Array = new Uint8Array(0);
  /** First byte of the IP header, and the end of what was captured of the packet. */
  start = 0;
  end = 0;
  /** 4 or 6. */
  family = 0;
  /** {@link PROTOCOL_TCP} or {@link PROTOCOL_UDP}. */
  protocol = 0;
  /** Source in words 0…3, destination in 4…7; IPv4 as `::ffff:a.b.c.d`; signed 32-bit words. */
  readonly address: Int32Array = new Int32Array(8);
  sourcePort = 0;
  destinationPort = 0;
  /** TCP sequence number (signed 32 bits), 0 for UDP. */
  sequence = 0;
  /** TCP acknowledgement number (signed 32 bits), 0 for UDP. */
  acknowledgement = 0;
  /** TCP flags, 0 for UDP. */
  flags = 0;
  /** Captured payload: `[payloadStart, payloadEnd)`. */
  payloadStart = 0;
  payloadEnd = 0;
  /** Payload length on the wire by the IP header; larger than captured where the copy was cut. */
  payloadLength = 0;
  /** Whether the ports are those of a packet inside a tunnel (IPIP, 6in4, GRE). */
  tunnelled = false;
  /** Set by a gateway: the packet's flow was released and is called back to be judged anew. */
  isRecalled = false;
  /**
   * Set by a gateway: number of the interface the packet came in by, 0 for this machine's own, else
   * {@link UNKNOWN_INTERFACE}.
   */
  inputInterface: number = UNKNOWN_INTERFACE;
  /**
   * Set by a gateway: the links the packet came in by and goes out of, 0 for this machine. A bridge's
   * port where it is one, else the interface: two hosts on a bridge are behind one interface.
   */
  inputLink: number = UNKNOWN_INTERFACE;
  outputLink: number = UNKNOWN_INTERFACE;
  /** Milliseconds on any clock that does not go back, set by the caller (a capture's, the kernel's). */
  timeMs = 0;
}

/**
 * Reads the IPv4 or IPv6 packet in `[start, end)` into `packet`, looking through IPIP, 6in4 and GRE.
 * False when it is not a TCP or UDP packet, cut inside a header, a later fragment, or malformed:
 * such a packet is accepted and counted, never an error.
 */
export function parseIp(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  packet.bytes = bytes;
  packet.start = start;
  packet.end = end;
  packet.tunnelled = false;
  return parseIpLayer(packet, bytes, start, end, MAX_TUNNELS);
}

function parseIpLayer(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  tunnels: number,
): boolean {
  if (end - start < IPV4_HEADER_LENGTH) return false;
  const version = bytes[start] >> 4;
  if (version === 4) return parseIpv4(packet, bytes, start, end, tunnels);
  if (version === 6) return parseIpv6(packet, bytes, start, end, tunnels);
  return false;
}

/** RFC 791, section 3.1. */
function parseIpv4(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  tunnels: number,
): boolean {
  const headerLength = (bytes[start] & 0x0f) * 4;
  // Total length 0: a GSO packet larger than 64 KiB, or segmentation offload on the capturing host.
  const totalLength = u16be(bytes, start + 2) || end - start;
  if (headerLength < IPV4_HEADER_LENGTH || totalLength < headerLength) return false;
  if (end - start < headerLength) return false;
  if ((u16be(bytes, start + 6) & 0x1fff) !== 0) return false; // a later fragment has no ports
  const address = packet.address;
  address[0] = 0;
  address[1] = 0;
  address[2] = MAPPED;
  address[3] = i32be(bytes, start + 12);
  address[4] = 0;
  address[5] = 0;
  address[6] = MAPPED;
  address[7] = i32be(bytes, start + 16);
  packet.family = 4;
  const wireEnd = start + totalLength;
  const protocol = bytes[start + 9];
  return parseTransport(packet, bytes, start + headerLength, end, wireEnd, protocol, tunnels);
}

/** RFC 8200, sections 3 and 4. */
function parseIpv6(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  tunnels: number,
): boolean {
  if (end - start < IPV6_HEADER_LENGTH) return false;
  const address = packet.address;
  for (let word = 0; word < 8; word++) address[word] = i32be(bytes, start + 8 + word * 4);
  packet.family = 6;
  // Payload length 0: a jumbogram or segmentation offload.
  const payloadLength = u16be(bytes, start + 4) || end - start - IPV6_HEADER_LENGTH;
  const wireEnd = start + IPV6_HEADER_LENGTH + payloadLength;
  let next = bytes[start + 6];
  let at = start + IPV6_HEADER_LENGTH;
  for (let i = 0; i <= MAX_EXTENSION_HEADERS; i++) {
    switch (next) {
      case HOP_BY_HOP:
      case ROUTING:
      case DESTINATION_OPTIONS:
      case MOBILITY:
        if (end - at < 8) return false;
        next = bytes[at];
        at += (bytes[at + 1] + 1) * 8;
        break;
      case FRAGMENT:
        if (end - at < 8) return false;
        if ((u16be(bytes, at + 2) & 0xfff8) !== 0) return false;
        next = bytes[at];
        at += 8;
        break;
      case AUTHENTICATION:
        if (end - at < 8) return false;
        next = bytes[at];
        at += (bytes[at + 1] + 2) * 4;
        break;
      default:
        return parseTransport(packet, bytes, at, end, wireEnd, next, tunnels);
    }
  }
  return false;
}

function parseTransport(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  protocol: number,
  tunnels: number,
): boolean {
  switch (protocol) {
    case PROTOCOL_TCP:
      return parseTcp(packet, bytes, at, end, wireEnd);
    case PROTOCOL_UDP:
      return parseUdp(packet, bytes, at, end, wireEnd);
    case IPV4_ENCAPSULATION:
    case IPV6_ENCAPSULATION:
      packet.tunnelled = true;
      return tunnels > 0 && parseIpLayer(packet, bytes, at, Math.min(end, wireEnd), tunnels - 1);
    case GRE:
      packet.tunnelled = true;
      return tunnels > 0 && parseGre(packet, bytes, at, Math.min(end, wireEnd), tunnels);
    default:
      return false;
  }
}

/** RFC 9293, section 3.1. */
function parseTcp(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
): boolean {
  if (end - at < TCP_HEADER_LENGTH) return false;
  const headerLength = (bytes[at + 12] >> 4) * 4;
  if (headerLength < TCP_HEADER_LENGTH) return false;
  const payloadStart = at + headerLength;
  if (payloadStart > wireEnd || payloadStart > end) return false;
  packet.protocol = PROTOCOL_TCP;
  packet.sourcePort = u16be(bytes, at);
  packet.destinationPort = u16be(bytes, at + 2);
  packet.sequence = i32be(bytes, at + 4);
  packet.acknowledgement = i32be(bytes, at + 8);
  packet.flags = bytes[at + 13];
  packet.payloadStart = payloadStart;
  packet.payloadEnd = Math.min(end, wireEnd); // Ethernet pads short frames
  packet.payloadLength = wireEnd - payloadStart;
  return true;
}

/** RFC 768. */
function parseUdp(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
): boolean {
  if (end - at < UDP_HEADER_LENGTH) return false;
  // Length 0: segmentation offload (or an IPv6 jumbogram, RFC 2675); the IP header's length holds.
  const length = u16be(bytes, at + 4) || wireEnd - at;
  if (length < UDP_HEADER_LENGTH) return false;
  const datagramEnd = Math.min(wireEnd, at + length);
  if (datagramEnd < at + UDP_HEADER_LENGTH) return false;
  packet.protocol = PROTOCOL_UDP;
  packet.sourcePort = u16be(bytes, at);
  packet.destinationPort = u16be(bytes, at + 2);
  packet.sequence = 0;
  packet.acknowledgement = 0;
  packet.flags = 0;
  packet.payloadStart = at + UDP_HEADER_LENGTH;
  packet.payloadEnd = Math.min(end, datagramEnd);
  packet.payloadLength = datagramEnd - packet.payloadStart;
  return true;
}

const GRE_CHECKSUM = 0x8000;
const GRE_ROUTING = 0x4000;
const GRE_KEY = 0x2000;
const GRE_SEQUENCE = 0x1000;
const GRE_ACKNOWLEDGEMENT = 0x0080; // version 1, PPTP
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_TRANSPARENT_ETHERNET = 0x6558;

/** RFC 2784 and 2890; version 1 (RFC 2637) carries PPP and is not looked into. */
function parseGre(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  tunnels: number,
): boolean {
  if (end - at < 4) return false;
  const flags = u16be(bytes, at);
  if ((flags & (GRE_ROUTING | GRE_ACKNOWLEDGEMENT | 0x0007)) !== 0) return false;
  let inner = at + 4;
  if (flags & GRE_CHECKSUM) inner += 4;
  if (flags & GRE_KEY) inner += 4;
  if (flags & GRE_SEQUENCE) inner += 4;
  switch (u16be(bytes, at + 2)) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
      return parseIpLayer(packet, bytes, inner, end, tunnels - 1);
    case ETHERTYPE_TRANSPARENT_ETHERNET: {
      if (end - inner < 14) return false;
      const type = u16be(bytes, inner + 12);
      if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return false;
      return parseIpLayer(packet, bytes, inner + 14, end, tunnels - 1);
    }
    default:
      return false;
  }
}
