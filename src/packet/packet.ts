import { MAPPED } from "./address.ts";
import { greater, i32be, lesser, u16be } from "./bytes.ts";
import type { FragmentTable } from "./fragments.ts";
import {
  AUTHENTICATION,
  DESTINATION_OPTIONS,
  FRAGMENT,
  HOP_BY_HOP,
  isTunnelProtocol,
  MOBILITY,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  ROUTING,
} from "./ip_protocols.ts";
import { parseIpTunnel } from "./tunnels.ts";
import { findUdpTunnel, mayBeTunnel, NO_TUNNEL, OPAQUE, parseInUdpTunnel } from "./udp_tunnels.ts";

export { MAPPED, PROTOCOL_TCP, PROTOCOL_UDP };

/** TCP flags (RFC 9293, section 3.1). */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const IPV4_HEADER_LENGTH = 20;
/** Version 4 and the length of a header without options. */
const PLAIN_IPV4 = 0x45;
const IPV6_HEADER_LENGTH = 40;
const IPV4_MORE_FRAGMENTS = 0x2000;
const IPV4_OFFSET = 0x1fff; // in units of 8 bytes
const IPV6_MORE_FRAGMENTS = 0x0001;
const IPV6_OFFSET = 0xfff8;
const TCP_HEADER_LENGTH = 20;
const UDP_HEADER_LENGTH = 8;

/** More headers than any real packet has; bounds the walk. */
const MAX_EXTENSION_HEADERS = 8;

/** Tags, labels and tunnels looked through before one transport header: more than networks stack. */
export const MAX_LAYERS = 10;

/** Why a packet was not read: it carries no TCP and no UDP, nor a tunnel with one. */
export const OTHER = 1;
/** It is a fragment, and the rest of its packet is still to come. */
export const FRAGMENT_WAITS = 2;
/** It is cut inside a header, malformed, encrypted on its link, or has too many layers. */
export const UNREADABLE = 3;

/** Value of {@link Packet.inputInterface} where packets tell of no interfaces, as in a capture. */
export const UNKNOWN_INTERFACE = -1;

/**
 * One packet, as positions in the buffer that holds it. A single instance is filled again for every
 * packet: nothing here may be kept beyond the next {@link parseIp}.
 */
export class Packet {
  /** The buffer all positions refer to. */
  bytes: Uint8Array = new Uint8Array(0);
  /** The same buffer, for numbers of several bytes: one read and one check each. */
  view: DataView = new DataView(new ArrayBuffer(0));
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
  /** Whether addresses and ports are those of a packet inside a tunnel (tunnels.ts, udp_tunnels.ts). */
  tunnelled = false;
  /** Of a packet in a tunnel: ends of the outermost packet, as {@link address}. */
  readonly carrierAddress: Int32Array = new Int32Array(8);
  /** Of a packet in a UDP tunnel: ports of the outermost datagram; else 0. */
  carrierSourcePort = 0;
  carrierDestinationPort = 0;
  /** Network of a VXLAN or GENEVE tunnel (VNI); others tell the two directions by two numbers. */
  network = 0;
  /** Where reading failed, why: {@link OTHER}, {@link FRAGMENT_WAITS} or {@link UNREADABLE}. */
  unread = 0;
  /** Puts IP fragments together; null where somebody else does (the kernel) or nobody. */
  fragments: FragmentTable | null = null;
  /** Whether the packet was put together from fragments: {@link bytes} are its own then. */
  isReassembled = false;
  /** Whether copies of traffic (ERSPAN, TZSP) are read as what they are copies of: in captures. */
  looksIntoMirrors = false;
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
 * Reads the IPv4 or IPv6 packet in `[start, end)` into `packet`, looking into tunnels. False when it
 * is not a TCP or UDP packet, cut inside a header, a later fragment, or malformed ({@link
 * Packet.unread} says which): such a packet is accepted and counted, never an error.
 */
export function parseIp(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  beginPacket(packet, bytes);
  packet.looksIntoMirrors = false;
  return parseIpLayer(packet, bytes, start, end, MAX_LAYERS);
}

/** Forgets what the packet before left behind. */
export function beginPacket(packet: Packet, bytes: Uint8Array): void {
  if (packet.bytes !== bytes) setBytes(packet, bytes);
  packet.start = -1;
  packet.tunnelled = false;
  packet.unread = UNREADABLE;
  packet.isReassembled = false;
}

/** What positions refer to from now on. */
function setBytes(packet: Packet, bytes: Uint8Array): void {
  packet.bytes = bytes;
  packet.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What follows is inside a tunnel; the packet's addresses are those of the tunnel's ends. */
export function enterTunnel(packet: Packet, sourcePort: number, destinationPort: number): void {
  if (packet.tunnelled) return;
  packet.tunnelled = true;
  packet.carrierSourcePort = sourcePort;
  packet.carrierDestinationPort = destinationPort;
  packet.network = 0;
  const { address, carrierAddress } = packet;
  for (let word = 0; word < 8; word++) carrierAddress[word] = address[word];
}

/** An IP packet at some layer: the outermost is where {@link Packet.start} is. */
export function parseIpLayer(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (layers < 0 || end - start < IPV4_HEADER_LENGTH) return false;
  if (packet.start < 0) {
    packet.start = start;
    packet.end = end;
  }
  const version = bytes[start] >> 4;
  if (version === 4) return parseIpv4(packet, bytes, start, end, layers);
  if (version === 6) return parseIpv6(packet, bytes, start, end, layers);
  return false;
}

/** Makes both addresses IPv4's but for their last words. */
function setMapped(packet: Packet): void {
  const { address } = packet;
  packet.family = 4;
  address[0] =
    address[1] =
    address[4] =
    address[5] =
      0;
  address[2] = address[6] = MAPPED;
}

/** RFC 791, section 3.1. */
function parseIpv4(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  const { view, address } = packet;
  // A constant for nearly all: the transport header is then read beside this one, not behind it.
  const first = bytes[start];
  const headerLength = first === PLAIN_IPV4 ? IPV4_HEADER_LENGTH : (first & 0x0f) * 4;
  // Total length 0: a GSO packet larger than 64 KiB, or segmentation offload on the capturing host.
  const totalLength = view.getUint16(start + 2) || end - start;
  if (headerLength < IPV4_HEADER_LENGTH || totalLength < headerLength) return false;
  if (end - start < headerLength) return false;
  if (packet.family !== 4) setMapped(packet);
  address[3] = view.getInt32(start + 12);
  address[7] = view.getInt32(start + 16);
  const wireEnd = start + totalLength;
  const protocol = bytes[start + 9];
  const at = start + headerLength;
  const fragment = view.getUint16(start + 6) & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET);
  if (fragment === 0) return parseTransport(packet, bytes, at, end, wireEnd, protocol, layers);
  const id = u16be(bytes, start + 4);
  const offset = (fragment & IPV4_OFFSET) * 8;
  const isLast = (fragment & IPV4_MORE_FRAGMENTS) === 0;
  return parseFragment(
    packet,
    bytes,
    start,
    at,
    end,
    wireEnd,
    protocol,
    layers,
    id,
    offset,
    isLast,
  );
}

/** RFC 8200, sections 3 and 4. */
function parseIpv6(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < IPV6_HEADER_LENGTH) return false;
  const address = packet.address;
  for (let word = 0; word < 8; word++) address[word] = i32be(bytes, start + 8 + word * 4);
  packet.family = 6;
  // Payload length 0: a jumbogram or segmentation offload.
  const payloadLength = u16be(bytes, start + 4) || end - start - IPV6_HEADER_LENGTH;
  const wireEnd = start + IPV6_HEADER_LENGTH + payloadLength;
  let fragment = 0;
  let id = 0;
  let offset = 0;
  let isLast = false;
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
        next = bytes[at];
        fragment = u16be(bytes, at + 2) & (IPV6_OFFSET | IPV6_MORE_FRAGMENTS);
        at += 8;
        if (fragment === 0) break; // an atomic fragment is a whole packet (RFC 6946)
        id = i32be(bytes, at - 4);
        offset = fragment & IPV6_OFFSET;
        isLast = (fragment & IPV6_MORE_FRAGMENTS) === 0;
        return parseFragment(
          packet,
          bytes,
          start,
          at,
          end,
          wireEnd,
          next,
          layers,
          id,
          offset,
          isLast,
        );
      case AUTHENTICATION:
        if (end - at < 8) return false;
        next = bytes[at];
        at += (bytes[at + 1] + 2) * 4;
        break;
      default:
        return parseTransport(packet, bytes, at, end, wireEnd, next, layers);
    }
  }
  return false;
}

/**
 * Part of a packet. Put together it is read when its last part has come; the first part of a datagram
 * is read at once too, as a cut one: a recorder that was asked for a port keeps only that part.
 */
function parseFragment(
  packet: Packet,
  bytes: Uint8Array,
  header: number,
  at: number,
  end: number,
  wireEnd: number,
  protocol: number,
  layers: number,
  id: number,
  offset: number,
  isLast: boolean,
): boolean {
  const { fragments } = packet;
  if (fragments === null) {
    if (offset === 0) return parseFirstPart(packet, bytes, at, end, wireEnd, protocol, layers);
    packet.unread = OTHER; // a later fragment has no ports
    return false;
  }
  const whole = fragments.add(
    packet,
    bytes,
    header,
    at,
    end,
    wireEnd,
    protocol,
    id,
    offset,
    isLast,
  );
  if (whole !== null) {
    packet.isReassembled = true;
    setBytes(packet, whole.bytes);
    packet.start = whole.start;
    packet.end = whole.end;
    const { bytes, transport, end, wireEnd } = whole;
    return parseTransport(packet, bytes, transport, end, wireEnd, whole.protocol, layers);
  }
  if (offset === 0 && protocol === PROTOCOL_UDP) {
    return parseFirstPart(packet, bytes, at, end, wireEnd, protocol, layers);
  }
  packet.unread = FRAGMENT_WAITS;
  return false;
}

/** A datagram says itself how long it is; of a segment only this part is known. */
function parseFirstPart(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  protocol: number,
  layers: number,
): boolean {
  if (protocol !== PROTOCOL_UDP || end - at < UDP_HEADER_LENGTH) {
    return parseTransport(packet, bytes, at, end, wireEnd, protocol, layers);
  }
  const wholeEnd = greater(wireEnd, at + u16be(bytes, at + 4));
  return parseTransport(packet, bytes, at, lesser(end, wireEnd), wholeEnd, protocol, layers);
}

function parseTransport(
  packet: Packet,
  bytes: Uint8Array,
  at: number,
  end: number,
  wireEnd: number,
  protocol: number,
  layers: number,
): boolean {
  switch (protocol) {
    case PROTOCOL_TCP:
      return parseTcp(packet, bytes, at, end, wireEnd);
    case PROTOCOL_UDP:
      if (!parseUdp(packet, at, end, wireEnd)) return false;
      return !mayBeTunnel(packet) || parseUdpTunnel(packet, layers - 1);
    default:
      if (isTunnelProtocol(protocol)) {
        return parseIpTunnel(packet, bytes, at, lesser(end, wireEnd), protocol, layers - 1);
      }
      packet.unread = OTHER;
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
  const { view } = packet;
  packet.protocol = PROTOCOL_TCP;
  packet.sourcePort = view.getUint16(at);
  packet.destinationPort = view.getUint16(at + 2);
  packet.sequence = view.getInt32(at + 4);
  packet.acknowledgement = view.getInt32(at + 8);
  packet.flags = bytes[at + 13];
  packet.payloadStart = payloadStart;
  packet.payloadEnd = lesser(end, wireEnd); // Ethernet pads short frames
  packet.payloadLength = wireEnd - payloadStart;
  return true;
}

/** RFC 768. */
function parseUdp(
  packet: Packet,
  at: number,
  end: number,
  wireEnd: number,
): boolean {
  if (end - at < UDP_HEADER_LENGTH) return false;
  const { view } = packet;
  // Length 0: segmentation offload (or an IPv6 jumbogram, RFC 2675); the IP header's length holds.
  const length = view.getUint16(at + 4) || wireEnd - at;
  if (length < UDP_HEADER_LENGTH) return false;
  const datagramEnd = lesser(wireEnd, at + length);
  if (datagramEnd < at + UDP_HEADER_LENGTH) return false;
  packet.protocol = PROTOCOL_UDP;
  packet.sourcePort = view.getUint16(at);
  packet.destinationPort = view.getUint16(at + 2);
  packet.sequence = 0;
  packet.acknowledgement = 0;
  packet.flags = 0;
  packet.payloadStart = at + UDP_HEADER_LENGTH;
  packet.payloadEnd = lesser(end, datagramEnd);
  packet.payloadLength = datagramEnd - packet.payloadStart;
  return true;
}

/** The datagram just read may be a tunnel's: then the packet becomes what is inside. */
function parseUdpTunnel(packet: Packet, layers: number): boolean {
  const { bytes, payloadStart, payloadEnd } = packet;
  const found = findUdpTunnel(packet);
  if (found === NO_TUNNEL) return true;
  if (found === OPAQUE) {
    packet.unread = OTHER;
    return false;
  }
  enterTunnel(packet, packet.sourcePort, packet.destinationPort);
  return parseInUdpTunnel(packet, bytes, payloadStart, payloadEnd, found, layers);
}
