/**
 * Tunnels with an IP protocol of their own, known by its number. Those over UDP are in
 * udp_tunnels.ts, copies of traffic in mirrors.ts.
 */
import { u16be } from "./bytes.ts";
import { parseEthernet, parseEthertype, parseMpls } from "./ethernet.ts";
import { parseErspan } from "./mirrors.ts";
import { enterTunnel, OTHER, type Packet, parseIpLayer } from "./packet.ts";
import {
  ETHERIP,
  GRE,
  GRE_CHECKSUM,
  GRE_KEY,
  GRE_ROUTING,
  GRE_SEQUENCE,
  L2TP3,
  MPLS_IN_IP,
} from "./ip_protocols.ts";
import { findFrame } from "./whole_packet.ts";

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

const GRE_ACKNOWLEDGEMENT = 0x0080; // version 1
const GRE_VERSION = 0x0007;
const ETHERTYPE_ERSPAN = 0x88be; // types I and II
const ETHERTYPE_ERSPAN3 = 0x22eb;

/** RFC 2784 and 2890; version 1 (PPTP, RFC 2637) has lengths and numbers of its own. */
export function parseGre(
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
  if ((flags & (GRE_VERSION | GRE_SEQUENCE)) === 1) { // PPTP acknowledges without carrying anything
    packet.unread = OTHER;
    return false;
  }
  if (type === ETHERTYPE_ERSPAN || type === ETHERTYPE_ERSPAN3) {
    const hasSequence = (flags & GRE_SEQUENCE) !== 0;
    return parseErspan(packet, bytes, inner, end, type === ETHERTYPE_ERSPAN3, hasSequence, layers);
  }
  enterTunnel(packet, 0, 0);
  return parseEthertype(packet, bytes, inner, end, type, layers);
}

/** The frame of a session; what stands before it is agreed on elsewhere. */
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
