/** What follows an Ethernet type: tags, labels and session headers before IP. On the wire and in tunnels. */
import { u16be } from "./bytes.ts";
import { OTHER, type Packet, parseIpLayer } from "./packet.ts";

const ETHERNET_HEADER_LENGTH = 14;
const TYPE = 12;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_VLAN = 0x8100; // IEEE 802.1Q
export const ETHERTYPE_TRANSPARENT_ETHERNET = 0x6558;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_PPP = 0x880b;
export const ETHERTYPE_MPLS = 0x8847; // RFC 3032
const ETHERTYPE_MPLS_MULTICAST = 0x8848;
const ETHERTYPE_PPPOE_SESSION = 0x8864; // RFC 2516
const ETHERTYPE_QINQ = 0x88a8; // IEEE 802.1ad
const ETHERTYPE_QINQ_OLD = 0x9100;
const ETHERTYPE_QINQ_OLDER = 0x9200;
const ETHERTYPE_802_3 = 0x0004; // in Linux cooked headers: an 802.2 LLC header follows
/** Smaller values of the Ethernet type field are the length of an IEEE 802.3 frame. */
const ETHERTYPE_SMALLEST = 0x0600;

const PPP_IPV4 = 0x0021; // RFC 1661 with RFC 1332
const PPP_IPV6 = 0x0057; // RFC 5072
const PPP_MPLS = 0x0281; // RFC 3032

/** IEEE 802.3: two addresses, then the type. */
export function parseEthernet(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < ETHERNET_HEADER_LENGTH) return false;
  const type = u16be(bytes, start + TYPE);
  return parseEthertype(packet, bytes, start + ETHERNET_HEADER_LENGTH, end, type, layers);
}

/** What stands at `start` is what `type` says. */
export function parseEthertype(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  type: number,
  layers: number,
): boolean {
  let at = start;
  let ethertype = type;
  for (let left = layers; left >= 0; left--) {
    switch (ethertype) {
      case ETHERTYPE_IPV4:
      case ETHERTYPE_IPV6:
        return parseIpLayer(packet, bytes, at, end, left);
      case ETHERTYPE_VLAN:
      case ETHERTYPE_QINQ:
      case ETHERTYPE_QINQ_OLD:
      case ETHERTYPE_QINQ_OLDER:
        if (end - at < 4) return false;
        ethertype = u16be(bytes, at + 2);
        at += 4;
        break;
      case ETHERTYPE_PPPOE_SESSION:
        return parsePppoe(packet, bytes, at, end, left - 1);
      case ETHERTYPE_PPP:
        return parsePpp(packet, bytes, at, end, left - 1);
      case ETHERTYPE_MPLS:
      case ETHERTYPE_MPLS_MULTICAST:
        return parseMpls(packet, bytes, at, end, left - 1);
      case ETHERTYPE_TRANSPARENT_ETHERNET:
        return left > 0 && parseEthernet(packet, bytes, at, end, left - 1);
      case ETHERTYPE_802_3:
        return parseLlc(packet, bytes, at, end, left - 1);
      default:
        if (ethertype < ETHERTYPE_SMALLEST) {
          // The field is a length: what lies behind it is padding (ethertype 0 occurs in dummies).
          return parseLlc(packet, bytes, at, Math.min(end, at + ethertype), left - 1);
        }
        packet.unread = OTHER;
        return false;
    }
  }
  return false;
}

/** IEEE 802.2 LLC, followed by IP itself (RFC 948) or by a SNAP header (RFC 1042). */
export function parseLlc(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (layers < 0 || end - start < 3) return other(packet);
  const service = bytes[start];
  if (service !== bytes[start + 1] || bytes[start + 2] !== 0x03) return other(packet); // unnumbered
  if (service === 0x06) return parseIpLayer(packet, bytes, start + 3, end, layers);
  if (service !== 0xaa || end - start < 8) return other(packet);
  const type = u16be(bytes, start + 6);
  if (type < ETHERTYPE_SMALLEST) return other(packet);
  return parseEthertype(packet, bytes, start + 8, end, type, layers);
}

/** RFC 3032: labels of 4 bytes up to the bottom of the stack, then IP or an Ethernet pseudowire. */
export function parseMpls(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  let at = start;
  for (let left = layers; left >= 0; left--) {
    if (end - at < 4) return false;
    const isBottom = (bytes[at + 2] & 0x01) !== 0;
    at += 4;
    if (!isBottom) continue;
    if (end - at < 4) return false;
    // The control word of a pseudowire (RFC 4385) begins with 0, but may be left out; an address may
    // begin with any digit.
    const version = bytes[at] >> 4;
    if (version === 0 && findEthernetIp(bytes, at + 4, end) >= 0) {
      return parseEthernet(packet, bytes, at + 4, end, left);
    }
    if (findEthernetIp(bytes, at, end) >= 0) return parseEthernet(packet, bytes, at, end, left);
    if (version === 4 || version === 6) return parseIpLayer(packet, bytes, at, end, left);
    return other(packet);
  }
  return false;
}

/** RFC 2516: version and type 1, session data (code 0), session, length, then PPP. */
export function parsePppoe(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < 8 || bytes[start] !== 0x11 || bytes[start + 1] !== 0) return false;
  const length = u16be(bytes, start + 4);
  return parsePpp(packet, bytes, start + 6, Math.min(end, start + 6 + length), layers);
}

/** RFC 1661 and 1662: address and control may be left out, the protocol may be one byte. */
export function parsePpp(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (layers < 0) return false;
  const at = skipPppAddress(bytes, start, end);
  if (
    at === start && end - at >= 4 && (bytes[at] === 0x0f || bytes[at] === 0x8f) &&
    bytes[at + 1] === 0
  ) { // Cisco HDLC framing
    return parseEthertype(packet, bytes, at + 4, end, u16be(bytes, at + 2), layers);
  }
  if (end - at < 2) return false;
  const isShort = (bytes[at] & 0x01) !== 0;
  const inner = at + (isShort ? 1 : 2);
  switch (isShort ? bytes[at] : u16be(bytes, at)) {
    case PPP_IPV4:
    case PPP_IPV6:
      return parseIpLayer(packet, bytes, inner, end, layers);
    case PPP_MPLS:
      return parseMpls(packet, bytes, inner, end, layers - 1);
    default:
      return other(packet);
  }
}

/** Where the IP packet of a PPP frame begins; -1 where it carries none. */
export function findPppIp(bytes: Uint8Array, start: number, end: number): number {
  const at = skipPppAddress(bytes, start, end);
  if (end - at < 3) return -1;
  const isShort = (bytes[at] & 0x01) !== 0;
  const protocol = isShort ? bytes[at] : u16be(bytes, at);
  return protocol === PPP_IPV4 || protocol === PPP_IPV6 ? at + (isShort ? 1 : 2) : -1;
}

function skipPppAddress(bytes: Uint8Array, start: number, end: number): number {
  return end - start >= 2 && bytes[start] === 0xff && bytes[start + 1] === 0x03 ? start + 2 : start;
}

/**
 * Where the IP packet of an Ethernet frame begins, behind its tags; -1 where the type is not IP's, or
 * the version not the type's.
 */
export function findEthernetIp(bytes: Uint8Array, start: number, end: number): number {
  let at = start + TYPE;
  for (let tags = 0; tags < 4 && end - at >= 3; tags++) {
    switch (u16be(bytes, at)) {
      case ETHERTYPE_IPV4:
        return bytes[at + 2] >> 4 === 4 ? at + 2 : -1;
      case ETHERTYPE_IPV6:
        return bytes[at + 2] >> 4 === 6 ? at + 2 : -1;
      case ETHERTYPE_VLAN:
      case ETHERTYPE_QINQ:
      case ETHERTYPE_QINQ_OLD:
      case ETHERTYPE_QINQ_OLDER:
        at += 4;
        break;
      default:
        return -1;
    }
  }
  return -1;
}

/** The packet can be read, and holds nothing to be judged. */
function other(packet: Packet): false {
  packet.unread = OTHER;
  return false;
}
