/**
 * Link layers: where the IP packet starts in a captured frame. Link types are the numbers of pcap
 * and pcapng files (LINKTYPE_ values, https://www.tcpdump.org/linktypes.html).
 */
import { u16be } from "./bytes.ts";
import {
  ETHERTYPE_IPV4,
  parseEthernet,
  parseEthertype,
  parseLlc,
  parsePpp,
  parsePppoe,
} from "./ethernet.ts";
import { beginPacket, MAX_LAYERS, OTHER, type Packet, parseIpLayer } from "./packet.ts";

const LINKTYPE_NULL = 0;
export const LINKTYPE_ETHERNET = 1;
const LINKTYPE_PPP = 9;
/** DLT_RAW as written by BSDs (12) and OpenBSD (14); LINKTYPE_RAW is 101. */
const LINKTYPE_RAW_BSD = 12;
const LINKTYPE_RAW_OPENBSD = 14;
const LINKTYPE_PPP_HDLC = 50;
const LINKTYPE_PPP_ETHERNET = 51;
export const LINKTYPE_RAW = 101;
const LINKTYPE_CISCO_HDLC = 104;
export const LINKTYPE_IEEE802_11 = 105;
const LINKTYPE_LOOP = 108;
export const LINKTYPE_LINUX_SLL = 113;
const LINKTYPE_IEEE802_11_RADIOTAP = 127;
const LINKTYPE_PPP_WITH_DIRECTION = 204;
const LINKTYPE_PPI = 192;
const LINKTYPE_IPV4 = 228;
const LINKTYPE_IPV6 = 229;
const LINKTYPE_NFLOG = 239;
const LINKTYPE_LINUX_SLL2 = 276;

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
  beginPacket(packet, bytes);
  packet.looksIntoMirrors = true;
  // Most frames of most captures, in a step less.
  if (
    linkType === LINKTYPE_ETHERNET && end - start >= 34 &&
    u16be(bytes, start + 12) === ETHERTYPE_IPV4
  ) return parseIpLayer(packet, bytes, start + 14, end, MAX_LAYERS);
  return parseLink(packet, bytes, start, end, linkType, MAX_LAYERS);
}

/** The frame of a capture, or one inside another (PPI, TZSP). */
export function parseLink(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  linkType: number,
  layers: number,
): boolean {
  if (layers < 0) return false;
  switch (linkType) {
    case LINKTYPE_ETHERNET:
      return parseEthernet(packet, bytes, start, end, layers);
    case LINKTYPE_RAW:
    case LINKTYPE_RAW_BSD:
    case LINKTYPE_RAW_OPENBSD:
    case LINKTYPE_IPV4:
    case LINKTYPE_IPV6:
      return parseIpLayer(packet, bytes, start, end, layers);
    case LINKTYPE_LINUX_SLL: // protocol at 14, after type, address type, length and 8 address bytes
      return end - start >= 16 &&
        parseEthertype(packet, bytes, start + 16, end, u16be(bytes, start + 14), layers);
    case LINKTYPE_LINUX_SLL2: // protocol first, header of 20 bytes
      return end - start >= 20 &&
        parseEthertype(packet, bytes, start + 20, end, u16be(bytes, start), layers);
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      return parseLoopback(packet, bytes, start, end, layers);
    case LINKTYPE_PPP:
    case LINKTYPE_PPP_HDLC:
      return parsePpp(packet, bytes, start, end, layers);
    case LINKTYPE_PPP_WITH_DIRECTION:
      return parsePpp(packet, bytes, start + 1, end, layers);
    case LINKTYPE_PPP_ETHERNET:
      return parsePppoe(packet, bytes, start, end, layers);
    case LINKTYPE_CISCO_HDLC: // address, control, Ethernet type; IP or PPP framing
      return end - start >= 4 &&
        parseEthertype(packet, bytes, start + 4, end, u16be(bytes, start + 2), layers);
    case LINKTYPE_IEEE802_11:
      return parseWifi(packet, bytes, start, end, layers);
    case LINKTYPE_IEEE802_11_RADIOTAP:
      return parseRadiotap(packet, bytes, start, end, layers);
    case LINKTYPE_PPI:
      return parsePpi(packet, bytes, start, end, layers);
    case LINKTYPE_NFLOG:
      return parseNflog(packet, bytes, start, end, layers);
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

/**
 * BSD loopback: an address family of 4 bytes in the byte order of the capturing host (null) or
 * network order (loop). The values of IPv6 differ by system (24, 28, 30, 10); the IP version tells.
 */
function parseLoopback(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < 5) return false;
  const isLittleEndian = bytes[start + 2] === 0 && bytes[start + 3] === 0;
  const isBigEndian = bytes[start] === 0 && bytes[start + 1] === 0;
  if (!isLittleEndian && !isBigEndian) return false;
  return parseIpLayer(packet, bytes, start + 4, end, layers);
}

const WIFI_DATA = 2;
const WIFI_NULL_BIT = 0x40; // subtypes without data
const WIFI_QOS_BIT = 0x80;
const WIFI_TO_AND_FROM_DS = 0x03;
const WIFI_PROTECTED = 0x40;
const WIFI_ORDER = 0x80; // with QoS: an HT control field follows

/** IEEE 802.11, section 9.2.4: an unencrypted data frame with LLC and SNAP. */
function parseWifi(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < 24) return false;
  const control = bytes[start];
  const flags = bytes[start + 1];
  if ((control & 0x0f) !== WIFI_DATA << 2 || (control & WIFI_NULL_BIT) !== 0) {
    packet.unread = OTHER;
    return false;
  }
  if ((flags & WIFI_PROTECTED) !== 0) return false;
  let length = 24;
  if ((flags & WIFI_TO_AND_FROM_DS) === WIFI_TO_AND_FROM_DS) length += 6;
  if ((control & WIFI_QOS_BIT) !== 0) {
    if (end - start < length + 2) return false;
    const isAggregate = (bytes[start + length] & 0x80) !== 0; // an A-MSDU has headers of its own
    length += 2;
    if ((flags & WIFI_ORDER) !== 0) length += 4;
    if (isAggregate) length += 14;
  }
  return parseLlc(packet, bytes, start + length, end, layers);
}

const RADIOTAP_TSFT_BIT = 0x01;
const RADIOTAP_FLAGS_BIT = 0x02;
const RADIOTAP_EXTENDED_BIT = 0x80; // highest bit of a presence word: another word follows
const RADIOTAP_FLAG_FCS = 0x10;
const RADIOTAP_FLAG_PADDED = 0x20;

/** https://www.radiotap.org: version, pad, length (little endian), presence words, fields. */
function parseRadiotap(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
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
  return parseWifi(packet, bytes, start + length, frameEnd, layers);
}

/** Per-Packet Information: version, flags, length, link type (all little endian), fields. */
function parsePpi(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < 8 || bytes[start] !== 0) return false;
  const length = u16le(bytes, start + 2);
  const linkType = u16le(bytes, start + 4);
  if (length < 8 || length > end - start || linkType === LINKTYPE_PPI) return false;
  return parseLink(packet, bytes, start + length, end, linkType, layers - 1);
}

const NFULA_PAYLOAD = 9; // linux/netfilter/nfnetlink_log.h
const MAX_NFLOG_ATTRIBUTES = 64;

/**
 * Linux netfilter log: family, version 0, resource id, then attributes (length with its 4-byte
 * header, type; host order, aligned to 4). The payload attribute is the IP packet.
 */
function parseNflog(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (end - start < 8 || bytes[start + 1] !== 0) return false;
  let at = start + 4;
  for (let i = 0; i < MAX_NFLOG_ATTRIBUTES && end - at >= 4; i++) {
    // Types are below 256: the zero byte of the type tells the byte order of the host.
    const isLittleEndian = (bytes[at + 3] & 0x7f) === 0;
    const length = isLittleEndian ? u16le(bytes, at) : u16be(bytes, at);
    const type = (isLittleEndian ? u16le(bytes, at + 2) : u16be(bytes, at + 2)) & 0x7fff;
    if (length < 4) return false;
    if (type === NFULA_PAYLOAD) {
      return parseIpLayer(packet, bytes, at + 4, Math.min(end, at + length), layers);
    }
    at += (length + 3) & ~3;
  }
  return false;
}

function u16le(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}
