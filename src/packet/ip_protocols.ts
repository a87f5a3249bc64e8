/** Numbers of IP protocols (IANA's registry), those of IPv6's extension headers among them. */
export const HOP_BY_HOP = 0; // this and the other headers: RFC 8200
export const ICMP = 1;
export const IGMP = 2;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const ROUTING = 43;
export const FRAGMENT = 44;
export const ESP = 50; // RFC 4303
export const AUTHENTICATION = 51; // RFC 4302
export const ICMPV6 = 58;
export const NO_NEXT_HEADER = 59;
export const DESTINATION_OPTIONS = 60;
export const SCTP = 132;
export const MOBILITY = 135; // RFC 6275

/** Those whose packets carry others. */
export const IPV4_ENCAPSULATION = 4; // RFC 2003
export const IPV6_ENCAPSULATION = 41; // RFC 2473
export const GRE = 47; // RFC 2784, 2890; version 1: RFC 2637
export const ETHERIP = 97; // RFC 3378
export const L2TP3 = 115; // RFC 3931
export const MPLS_IN_IP = 137; // RFC 4023

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

/** Flags of GRE (RFC 2784, 2890; the routing of RFC 1701 is not used). */
export const GRE_CHECKSUM = 0x8000;
export const GRE_ROUTING = 0x4000;
export const GRE_KEY = 0x2000;
export const GRE_SEQUENCE = 0x1000;
