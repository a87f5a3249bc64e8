/**
 * Keys and values of the kernel's ban maps, as bpf/layout.h lays them out: numbers in host order
 * (every machine Deno runs on is little-endian), addresses and ports in network order.
 */
import { i32be } from "../../packet/bytes.ts";
import { maskWord } from "../network/networks.ts";
import { type BanKey, endpointKey, isIpv4, kindOf, networkKey } from "./ban_key.ts";

/** Reasons beside the methods of detection. */
export const REASON_FLEET = 254;
export const REASON_MANUAL = 255;

/** The kernel's ban maps, and the length of their keys in bytes. */
export const KEY_LENGTHS = {
  /** `struct in6_addr`, IPv4 as `::ffff:a.b.c.d`. */
  blocked_ips: 16,
  /** `struct endpoint`: address 16, port 2, protocol 1, pad 1. */
  blocked_endpoints: 20,
  /** `struct network`: prefix length u32, address 16. */
  blocked_networks: 20,
} as const;
export type BanMapName = keyof typeof KEY_LENGTHS;
export const BAN_MAP_NAMES = Object.keys(KEY_LENGTHS) as BanMapName[];

/** `struct ban`: until_ns, since_ns, packets, bytes, last_seen_ns (u64 each), reason, bits, pad[6]. */
export const BAN_VALUE_LENGTH = 48;

const UNTIL = 0;
const SINCE = 8;
const PACKETS = 16;
const BYTES = 24;
const LAST_SEEN = 32;
const REASON = 40;
const BITS = 41;
const BANS = 42;

const NS_IN_MS = 1e6;
const HIGH_HALF = 2 ** 32;

/** A ban as the kernel keeps it. Times are milliseconds of CLOCK_BOOTTIME. */
export interface BanValue {
  untilMs: number;
  sinceMs: number;
  /** Dropped by the program. */
  packets: number;
  bytes: number;
  /** Last drop; 0 for none. */
  lastSeenMs: number;
  /** Index into METHODS, {@link REASON_FLEET} or {@link REASON_MANUAL}. */
  reason: number;
  /** Which ban of the key it is, where bans grow (BAN_FACTOR); 0 where it counts for nothing. */
  bans: number;
}

/** Elements of `bans_in_force`. */
export const IN_FORCE = { blocked_ips: 0, blocked_endpoints: 1, blocked_networks: 2 } as const;

/**
 * The map that a key belongs into.
 *
 * @param ipv6Bits BAN_PREFIX: IPv6 prefixes of that length are in `blocked_ips`
 */
export function mapOf(key: BanKey, ipv6Bits: number): BanMapName {
  if (kindOf(key) === "endpoint") return "blocked_endpoints";
  if (key.bits === ipv6Bits && !isIpv4(key.words)) return "blocked_ips";
  return key.bits === 128 && !isAllPrefix(key.words, ipv6Bits) ? "blocked_ips" : "blocked_networks";
}

/** Whether the bits behind an IPv6 prefix are 0: the address would be taken for the prefix. */
function isAllPrefix(words: Int32Array, bits: number): boolean {
  return !isIpv4(words) && words.every((word, index) => (word & ~maskWord(bits, index)) === 0);
}

/** Writes `key` as the map has it. */
export function encodeKey(map: BanMapName, to: Uint8Array, key: BanKey): void {
  switch (map) {
    case "blocked_ips":
      return encodeAddress(to, 0, key.words);
    case "blocked_endpoints":
      encodeAddress(to, 0, key.words);
      to[16] = key.port >>> 8;
      to[17] = key.port;
      to[18] = key.protocol;
      to[19] = 0;
      return;
    case "blocked_networks":
      to[0] = key.bits; // up to 128, little-endian
      to[1] = to[2] = to[3] = 0;
      encodeAddress(to, 4, key.words);
  }
}

function encodeAddress(to: Uint8Array, at: number, words: Int32Array): void {
  for (let word = 0; word < 4; word++) {
    const value = words[word];
    to[at + word * 4] = value >>> 24;
    to[at + word * 4 + 1] = value >>> 16;
    to[at + word * 4 + 2] = value >>> 8;
    to[at + word * 4 + 3] = value;
  }
}

/** Reads a key of the map at `offset`. @param bits {@link decodeBits} of its value */
export function decodeKey(map: BanMapName, key: Uint8Array, offset: number, bits: number): BanKey {
  switch (map) {
    case "blocked_ips":
      return networkKey({ words: decodeAddress(key, offset), bits });
    case "blocked_endpoints": {
      const port = (key[offset + 16] << 8) | key[offset + 17];
      return endpointKey(decodeAddress(key, offset), 0, key[offset + 18], port);
    }
    case "blocked_networks":
      return networkKey({ words: decodeAddress(key, offset + 4), bits: key[offset] });
  }
}

function decodeAddress(key: Uint8Array, offset: number): Int32Array {
  return Int32Array.from({ length: 4 }, (_, word) => i32be(key, offset + word * 4));
}

/** What of an IPv6 address counts, as the program has it: `ipv6_mask`, in network order. */
export function ipv6Mask(bits: number): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(16);
  encodeAddress(mask, 0, Int32Array.from({ length: 4 }, (_, word) => maskWord(bits, word)));
  return mask;
}

/** Writes `ban` to the {@link BAN_VALUE_LENGTH} bytes of `value`. @param bits of the key */
export function encodeBanValue(value: DataView, ban: Readonly<BanValue>, bits: number): void {
  setU64(value, UNTIL, ban.untilMs * NS_IN_MS);
  setU64(value, SINCE, ban.sinceMs * NS_IN_MS);
  setU64(value, PACKETS, ban.packets);
  setU64(value, BYTES, ban.bytes);
  setU64(value, LAST_SEEN, ban.lastSeenMs * NS_IN_MS);
  setU64(value, REASON, ban.reason);
  value.setUint8(BITS, bits === 128 ? 0 : bits);
  value.setUint8(BANS, ban.bans);
}

/** Prefix length of the key that the value at `offset` belongs to. */
export function decodeBits(value: DataView, offset: number): number {
  return value.getUint8(offset + BITS) || 128;
}

/** Reads the value at `offset`. */
export function decodeBanValue(value: DataView, offset: number): BanValue {
  return {
    untilMs: u64(value, offset + UNTIL) / NS_IN_MS,
    sinceMs: u64(value, offset + SINCE) / NS_IN_MS,
    packets: u64(value, offset + PACKETS),
    bytes: u64(value, offset + BYTES),
    lastSeenMs: u64(value, offset + LAST_SEEN) / NS_IN_MS,
    reason: value.getUint8(offset + REASON),
    bans: value.getUint8(offset + BANS),
  };
}

// In halves, without BigInt: above 2^53 ns (104 days of uptime) a time is off by some ns.
function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % HIGH_HALF, true);
  view.setUint32(at + 4, value / HIGH_HALF, true);
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH_HALF + view.getUint32(at, true);
}
