/**
 * Whom a ban is of: an address, one of its endpoints (transport protocol and port), or a network. One
 * type for all three: what is not asked for is wide open.
 */
import { formatAddress } from "../../packet/address.ts";
import { formatNetwork, type Network } from "../network/networks.ts";

/** An address is a network of 128 bits. */
export interface BanKey extends Network {
  /** IP protocol number of {@link port}; 0: all of the address's traffic. */
  readonly protocol: number;
  /** 0 unless it is an endpoint. */
  readonly port: number;
}

/** Which of the kernel's maps has keys of this kind. */
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
export function networkKey({ words, bits }: Network): BanKey {
  return { words, bits, protocol: 0, port: 0 };
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
