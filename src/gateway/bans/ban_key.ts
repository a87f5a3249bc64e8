/**
 * Whom a ban is of: an address, one of its endpoints (transport protocol and port), or a network. One
 * type for all three: what is not asked for is wide open.
 */
import { formatAddress, parseAddress } from "../../packet/address.ts";
import { MAPPED } from "../../packet/packet.ts";
import { type Cidr, formatNetwork, maskWord, parseNetwork } from "../network/networks.ts";

/** An address is a network of 128 bits. */
export interface BanKey extends Cidr {
  /** IP protocol number of {@link port}; 0: all of the address's traffic. */
  readonly protocol: number;
  /** 0 unless it is an endpoint. */
  readonly port: number;
}

export type BanKind = "address" | "endpoint" | "network";

const ADDRESS_BITS = 128;

/** The address in `words[at … at + 3]`. */
export function addressKey(words: Int32Array, at = 0): BanKey {
  return { words: words.slice(at, at + 4), bits: ADDRESS_BITS, protocol: 0, port: 0 };
}

/** One port of the address in `words[at … at + 3]`. */
export function endpointKey(words: Int32Array, at: number, protocol: number, port: number): BanKey {
  return { words: words.slice(at, at + 4), bits: ADDRESS_BITS, protocol, port };
}

/** A network (host bits 0), or an address as a network of 128 bits. */
export function networkKey({ words, bits }: Cidr): BanKey {
  return { words, bits, protocol: 0, port: 0 };
}

/**
 * As {@link formatBanKey} writes it, and an IPv6 network in any spelling; null for none of these. An
 * address without a prefix length is one of 128 bits.
 */
export function parseBanKey(text: string): BanKey | null {
  const [, bracketed, plain, port, transport] =
    /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})\/(tcp|udp)$/.exec(text) ?? [];
  if (port === undefined) {
    const network = parseNetwork(text);
    return network === null ? null : networkKey(network);
  }
  const words = parseAddress(bracketed ?? plain);
  if (words === null || Number(port) > 65_535) return null;
  return endpointKey(words, 0, transport === "tcp" ? 6 : 17, Number(port));
}

/** The prefix of an address that a ban of it is for: IPv4 as a whole, IPv6 cut to `ipv6Bits`. */
export function prefixKey(words: Int32Array, at: number, ipv6Bits: number): BanKey {
  const address = words.slice(at, at + 4);
  if (isIpv4(address)) return addressKey(address);
  for (let word = 0; word < 4; word++) address[word] &= maskWord(ipv6Bits, word);
  return networkKey({ words: address, bits: ipv6Bits });
}

export function isIpv4(words: Int32Array): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED;
}

export function kindOf({ bits, protocol }: BanKey): BanKind {
  if (bits < ADDRESS_BITS) return "network";
  return protocol === 0 ? "address" : "endpoint";
}

/** Name of a transport protocol. */
export function protocolName(protocol: number): "tcp" | "udp" {
  return protocol === 6 ? "tcp" : "udp";
}

/** `192.0.2.7`, `192.0.2.7:6881/udp`, `[2001:db8::7]:6881/tcp`, `2001:db8::/64`: one text a key. */
export function formatBanKey(key: BanKey): string {
  if (kindOf(key) !== "endpoint") return formatNetwork(key);
  const address = formatAddress(key.words, 0);
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}:${key.port}/${protocolName(key.protocol)}`;
}

export function isOfAddress({ words }: BanKey, address: Int32Array): boolean {
  return words[0] === address[0] && words[1] === address[1] && words[2] === address[2] &&
    words[3] === address[3];
}
