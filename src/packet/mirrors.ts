/**
 * Copies of traffic that a switch or router sends to a recorder: ERSPAN and TZSP. In a capture they
 * are one more link layer: what they are copies of is judged as if it had been recorded there. A
 * gateway does not look into them: nobody is helped by a hole in a copy.
 */
import { u16be } from "./bytes.ts";
import { findEthernetIp, parseEthernet } from "./ethernet.ts";
import { LINKTYPE_ETHERNET, LINKTYPE_IEEE802_11, parseLink } from "./link.ts";
import { OTHER, type Packet, parseIpLayer } from "./packet.ts";

const ERSPAN2_HEADER_LENGTH = 8;
const ERSPAN3_HEADER_LENGTH = 12;
const ERSPAN3_SUBHEADER_LENGTH = 8;
const FRAME_TYPE_IP = 2;

/**
 * draft-foschiano-erspan: type I has no header and its GRE no sequence number, type II has one of 8
 * bytes, type III one of 12 that may be followed by 8 more.
 */
export function parseErspan(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  isType3: boolean,
  hasSequence: boolean,
  layers: number,
): boolean {
  if (!enterMirror(packet)) return false;
  if (!isType3) {
    const at = hasSequence ? start + ERSPAN2_HEADER_LENGTH : start;
    return parseEthernet(packet, bytes, at, end, layers);
  }
  if (end - start < ERSPAN3_HEADER_LENGTH) return false;
  const flags = u16be(bytes, start + 10); // P, frame type of 5 bits, …, O
  const at = start + ERSPAN3_HEADER_LENGTH + (flags & 1) * ERSPAN3_SUBHEADER_LENGTH;
  return ((flags >> 10) & 0x1f) === FRAME_TYPE_IP
    ? parseIpLayer(packet, bytes, at, end, layers)
    : parseEthernet(packet, bytes, at, end, layers);
}

const TZSP_ETHERNET = 1;
const TZSP_WIFI = 18;
const TAG_PADDING = 0;
const TAG_END = 1;
const MAX_TAGS = 32;

/**
 * TaZmen Sniffer Protocol: version 1, type (0 received, 1 to be sent), what is inside, then tags of
 * type, length, value up to the end tag. Where the frame begins, or -1.
 */
export function findInTzsp(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 5 || bytes[start] !== 1 || bytes[start + 1] > 1) return -1;
  const inside = u16be(bytes, start + 2);
  let at = start + 4;
  for (let tags = 0; tags < MAX_TAGS && at < end; tags++) {
    const tag = bytes[at];
    if (tag === TAG_END) {
      if (inside === TZSP_WIFI) return at + 1;
      return inside === TZSP_ETHERNET && findEthernetIp(bytes, at + 1, end) >= 0 ? at + 1 : -1;
    }
    at += tag === TAG_PADDING ? 1 : 2 + bytes[at + 1];
  }
  return -1;
}

/** Reads the frame of a datagram for which {@link findInTzsp} has found one. */
export function parseTzsp(
  packet: Packet,
  bytes: Uint8Array,
  start: number,
  end: number,
  layers: number,
): boolean {
  if (!enterMirror(packet)) return false;
  const at = findInTzsp(bytes, start, end);
  const linkType = u16be(bytes, start + 2) === TZSP_WIFI ? LINKTYPE_IEEE802_11 : LINKTYPE_ETHERNET;
  return at >= 0 && parseLink(packet, bytes, at, end, linkType, layers);
}

/** What was found up to here is the mirror's. False where mirrors are not looked into. */
function enterMirror(packet: Packet): boolean {
  if (!packet.looksIntoMirrors) {
    packet.unread = OTHER;
    return false;
  }
  packet.start = -1;
  packet.tunnelled = false;
  return true;
}
