/**
 * Link layers: where the IP packet starts in a captured frame. Link types are the numbers of pcap
 * and pcapng files (LINKTYPE_ values, https://www.tcpdump.org/linktypes.html).
 */
import { u16be } from "./bytes.ts";
import { type Packet, parseIp } from "./packet.ts";

export const LINKTYPE_NULL = 0;
export const LINKTYPE_ETHERNET = 1;
const LINKTYPE_PPP = 9;
/** DLT_RAW as written by BSDs (12) and OpenBSD (14); LINKTYPE_RAW is 101. */
const LINKTYPE_RAW_BSD = 12;
const LINKTYPE_RAW_OPENBSD = 14;
const LINKTYPE_PPP_HDLC = 50;
const LINKTYPE_PPP_ETHERNET = 51;
export const LINKTYPE_RAW = 101;
const LINKTYPE_CISCO_HDLC = 104;
const LINKTYPE_IEEE802_11 = 105;
const LINKTYPE_LOOP = 108;
export const LINKTYPE_LINUX_SLL = 113;
const LINKTYPE_IEEE802_11_RADIOTAP = 127;
const LINKTYPE_PPP_WITH_DIRECTION = 204;
const LINKTYPE_PPI = 192;
const LINKTYPE_IPV4 = 228;
const LINKTYPE_IPV6 = 229;
const LINKTYPE_NFLOG = 239;
export const LINKTYPE_LINUX_SLL2 = 276;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100; // IEEE 802.1Q
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_MPLS = 0x8847; // RFC 3032
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

/** Tags and labels looked through in one frame: more than any network stacks, and a bound. */
const MAX_TAGS = 8;

/**
 * Reads the frame `[start, end)` of the given link type into `packet`. False when it carries no TCP
 * or UDP packet that can be read, or when the link type is not known; never throws.
 */
export function parseFrame(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  linkType: number,
): boolean {
  switch (linkType) {
    case LINKTYPE_ETHERNET:
      return end - start >= 14 &&
        parseEthertype(packet, bytes, start + 14, end, u16be(bytes, start + 12));
    case LINKTYPE_RAW:
    case LINKTYPE_RAW_BSD:
    case LINKTYPE_RAW_OPENBSD:
    case LINKTYPE_IPV4:
    case LINKTYPE_IPV6:
      return parseIp(packet, bytes, start, end);
    case LINKTYPE_LINUX_SLL: // protocol at 14, after type, address type, length and 8 address bytes
      return end - start >= 16 &&
        parseEthertype(packet, bytes, start + 16, end, u16be(bytes, start + 14));
    case LINKTYPE_LINUX_SLL2: // protocol first, header of 20 bytes
      return end - start >= 20 &&
        parseEthertype(packet, bytes, start + 20, end, u16be(bytes, start));
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      return parseLoopback(packet, bytes, start, end);
    case LINKTYPE_PPP:
    case LINKTYPE_PPP_HDLC:
      return parsePpp(packet, bytes, start, end);
    case LINKTYPE_PPP_WITH_DIRECTION:
      return parsePpp(packet, bytes, start + 1, end);
    case LINKTYPE_PPP_ETHERNET:
      return parsePppoe(packet, bytes, start, end);
    case LINKTYPE_CISCO_HDLC: // address, control, Ethernet type; IP or PPP framing
      return end - start >= 4 &&
        parseEthertype(packet, bytes, start + 4, end, u16be(bytes, start + 2));
    case LINKTYPE_IEEE802_11:
      return parseWifi(packet, bytes, start, end);
    case LINKTYPE_IEEE802_11_RADIOTAP:
      return parseRadiotap(packet, bytes, start, end);
    case LINKTYPE_PPI:
      return parsePpi(packet, bytes, start, end);
    case LINKTYPE_NFLOG:
      return parseNflog(packet, bytes, start, end);
    default:
      return false;
  }
}

/** Whether {@link parseFrame} can read frames of this link type. */
export function isKnownLinkType(linkType: number): boolean {
  switch (linkType) {
    case LINKTYPE_NULL:
    case LINKTYPE_ETHERNET:
    case LINKTYPE_PPP:
    case LINKTYPE_RAW_BSD:
    case LINKTYPE_RAW_OPENBSD:
    case LINKTYPE_PPP_HDLC:
    case LINKTYPE_PPP_ETHERNET:
    case LINKTYPE_RAW:
    case LINKTYPE_CISCO_HDLC:
    case LINKTYPE_IEEE802_11:
    case LINKTYPE_LOOP:
    case LINKTYPE_LINUX_SLL:
    case LINKTYPE_IEEE802_11_RADIOTAP:
    case LINKTYPE_PPI:
    case LINKTYPE_PPP_WITH_DIRECTION:
    case LINKTYPE_IPV4:
    case LINKTYPE_IPV6:
    case LINKTYPE_NFLOG:
    case LINKTYPE_LINUX_SLL2:
      return true;
    default:
      return false;
  }
}

/** What follows an Ethernet type: IP, or tags, labels and session headers before it. */
function parseEthertype(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  type: number,
): boolean {
  let at = start;
  let ethertype = type;
  for (let tags = 0; tags <= MAX_TAGS; tags++) {
    switch (ethertype) {
      case ETHERTYPE_IPV4:
      case ETHERTYPE_IPV6:
        return parseIp(packet, bytes, at, end);
      case ETHERTYPE_VLAN:
      case ETHERTYPE_QINQ:
      case ETHERTYPE_QINQ_OLD:
      case ETHERTYPE_QINQ_OLDER:
        if (end - at < 4) return false;
        ethertype = u16be(bytes, at + 2);
        at += 4;
        break;
      case ETHERTYPE_PPPOE_SESSION:
        return parsePppoe(packet, bytes, at, end);
      case ETHERTYPE_MPLS:
      case ETHERTYPE_MPLS_MULTICAST:
        return parseMpls(packet, bytes, at, end);
      case ETHERTYPE_802_3:
        return parseLlc(packet, bytes, at, end);
      default:
        if (ethertype >= ETHERTYPE_SMALLEST) return false;
        // The field is a length: what lies behind it is padding (ethertype 0 occurs in dummies).
        return parseLlc(packet, bytes, at, Math.min(end, at + ethertype));
    }
  }
  return false;
}

/** IEEE 802.2 LLC, followed by IP itself (RFC 948) or by a SNAP header (RFC 1042). */
function parseLlc(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 3) return false;
  const service = bytes[start];
  if (service !== bytes[start + 1] || bytes[start + 2] !== 0x03) return false; // unnumbered only
  if (service === 0x06) return parseIp(packet, bytes, start + 3, end);
  if (service !== 0xaa || end - start < 8) return false;
  const type = u16be(bytes, start + 6);
  if (type < ETHERTYPE_SMALLEST) return false;
  return parseEthertype(packet, bytes, start + 8, end, type);
}

/** RFC 3032: labels of 4 bytes up to the bottom of the stack, then IP or an Ethernet pseudowire. */
function parseMpls(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (let labels = 0; labels < MAX_TAGS; labels++) {
    if (end - at < 4) return false;
    const isBottom = (bytes[at + 2] & 0x01) !== 0;
    at += 4;
    if (!isBottom) continue;
    if (end - at < 4) return false;
    const version = bytes[at] >> 4;
    if (version === 4 || version === 6) return parseIp(packet, bytes, at, end);
    if (version !== 0) return false;
    at += 4; // control word (RFC 4385), then an Ethernet frame
    if (end - at < 14) return false;
    const type = u16be(bytes, at + 12);
    if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return false;
    return parseIp(packet, bytes, at + 14, end);
  }
  return false;
}

/** RFC 2516: version and type 1, session data (code 0), session, length, then PPP. */
function parsePppoe(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 8 || bytes[start] !== 0x11 || bytes[start + 1] !== 0) return false;
  const length = u16be(bytes, start + 4);
  return parsePpp(packet, bytes, start + 6, Math.min(end, start + 6 + length));
}

/** RFC 1661 and 1662: address and control may be left out, the protocol may be one byte. */
function parsePpp(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (end - at >= 2 && bytes[at] === 0xff && bytes[at + 1] === 0x03) at += 2;
  else if (end - at >= 4 && (bytes[at] === 0x0f || bytes[at] === 0x8f) && bytes[at + 1] === 0) {
    return parseEthertype(packet, bytes, at + 4, end, u16be(bytes, at + 2)); // Cisco HDLC framing
  }
  if (end - at < 2) return false;
  let protocol = bytes[at++];
  if ((protocol & 0x01) === 0) protocol = (protocol << 8) | bytes[at++];
  switch (protocol) {
    case PPP_IPV4:
    case PPP_IPV6:
      return parseIp(packet, bytes, at, end);
    case PPP_MPLS:
      return parseMpls(packet, bytes, at, end);
    default:
      return false;
  }
}

/**
 * BSD loopback: an address family of 4 bytes in the byte order of the capturing host (null) or
 * network order (loop). The values of IPv6 differ by system (24, 28, 30, 10); the IP version tells.
 */
function parseLoopback(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 5) return false;
  const isLittleEndian = bytes[start + 2] === 0 && bytes[start + 3] === 0;
  const isBigEndian = bytes[start] === 0 && bytes[start + 1] === 0;
  if (!isLittleEndian && !isBigEndian) return false;
  return parseIp(packet, bytes, start + 4, end);
}

const WIFI_DATA = 2;
const WIFI_NULL_BIT = 0x40; // subtypes without data
const WIFI_QOS_BIT = 0x80;
const WIFI_TO_AND_FROM_DS = 0x03;
const WIFI_PROTECTED = 0x40;
const WIFI_ORDER = 0x80; // with QoS: an HT control field follows

/** IEEE 802.11, section 9.2.4: an unencrypted data frame with LLC and SNAP. */
function parseWifi(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 24) return false;
  const control = bytes[start];
  const flags = bytes[start + 1];
  if ((control & 0x0f) !== WIFI_DATA << 2) return false;
  if ((control & WIFI_NULL_BIT) !== 0 || (flags & WIFI_PROTECTED) !== 0) return false;
  let length = 24;
  if ((flags & WIFI_TO_AND_FROM_DS) === WIFI_TO_AND_FROM_DS) length += 6;
  if ((control & WIFI_QOS_BIT) !== 0) {
    if (end - start < length + 2) return false;
    const isAggregate = (bytes[start + length] & 0x80) !== 0; // an A-MSDU has headers of its own
    length += 2;
    if ((flags & WIFI_ORDER) !== 0) length += 4;
    if (isAggregate) length += 14;
  }
  return parseLlc(packet, bytes, start + length, end);
}

const RADIOTAP_TSFT_BIT = 0x01;
const RADIOTAP_FLAGS_BIT = 0x02;
const RADIOTAP_EXTENDED_BIT = 0x80; // highest bit of a presence word: another word follows
const RADIOTAP_FLAG_FCS = 0x10;
const RADIOTAP_FLAG_PADDED = 0x20;

/** https://www.radiotap.org: version, pad, length (little endian), presence words, fields. */
function parseRadiotap(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 8 || bytes[start] !== 0) return false;
  const length = u16le(bytes, start + 2);
  if (length < 8 || length > end - start) return false;
  let at = start + 4;
  const present = bytes[at];
  while (at + 4 <= start + length && (bytes[at + 3] & RADIOTAP_EXTENDED_BIT) !== 0) at += 4;
  at += 4;
  let frameEnd = end;
  if ((present & RADIOTAP_FLAGS_BIT) !== 0) {
    // The timestamp before it has 8 bytes, aligned to 8 from the header's start.
    if ((present & RADIOTAP_TSFT_BIT) !== 0) at += ((8 - ((at - start) & 7)) & 7) + 8;
    if (at >= start + length) return false;
    const flags = bytes[at];
    if ((flags & RADIOTAP_FLAG_PADDED) !== 0) return false;
    if ((flags & RADIOTAP_FLAG_FCS) !== 0) frameEnd -= 4;
  }
  return parseWifi(packet, bytes, start + length, frameEnd);
}

/** Per-Packet Information: version, flags, length, link type (all little endian), fields. */
function parsePpi(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 8 || bytes[start] !== 0) return false;
  const length = u16le(bytes, start + 2);
  const linkType = u16le(bytes, start + 4);
  if (length < 8 || length > end - start || linkType === LINKTYPE_PPI) return false;
  return parseFrame(packet, bytes, start + length, end, linkType);
}

const NFULA_PAYLOAD = 9; // linux/netfilter/nfnetlink_log.h
const MAX_NFLOG_ATTRIBUTES = 64;

/**
 * Linux netfilter log: family, version 0, resource id, then attributes (length with its 4-byte
 * header, type; host order, aligned to 4). The payload attribute is the IP packet.
 */
function parseNflog(packet: Packet, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 8 || bytes[start + 1] !== 0) return false;
  let at = start + 4;
  for (let i = 0; i < MAX_NFLOG_ATTRIBUTES && end - at >= 4; i++) {
    // Types are below 256: the zero byte of the type tells the byte order of the host.
    const isLittleEndian = (bytes[at + 3] & 0x7f) === 0;
    const length = isLittleEndian ? u16le(bytes, at) : u16be(bytes, at);
    const type = (isLittleEndian ? u16le(bytes, at + 2) : u16be(bytes, at + 2)) & 0x7fff;
    if (length < 4) return false;
    if (type === NFULA_PAYLOAD) {
      return parseIp(packet, bytes, at + 4, Math.min(end, at + length));
    }
    at += (length + 3) & ~3;
  }
  return false;
}

function u16le(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}
