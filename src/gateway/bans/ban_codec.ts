/**
 * Keys and values of the kernel's ban maps, as bpf/layout.h lays them out: numbers in host order
 * (every machine Deno runs on is little-endian), addresses and ports in network order.
 */
import { i32be } from "../../packet/bytes.ts";

/** Key of `blocked_ips`: `struct in6_addr`, IPv4 as `::ffff:a.b.c.d`. */
export const ADDRESS_KEY_LENGTH = 16;
/** Key of `blocked_endpoints`: `struct endpoint`, address 16, port 2, protocol 1, pad 1. */
export const ENDPOINT_KEY_LENGTH = 20;
/** Key of `blocked_networks`: `struct network`, prefix length u32, address 16. */
export const NETWORK_KEY_LENGTH = 20;
/** `struct ban`: until_ns, since_ns, packets, bytes, last_seen_ns (u64 each), reason, pad[7]. */
export const BAN_VALUE_LENGTH = 48;

const UNTIL = 0;
const SINCE = 8;
const PACKETS = 16;
const BYTES = 24;
const LAST_SEEN = 32;
const REASON = 40;

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
}

/** Writes the address in `words[at … at + 3]` to `key`. */
export function encodeAddressKey(key: Uint8Array, words: Int32Array, at: number): void {
  for (let word = 0; word < 4; word++) {
    const value = words[at + word];
    key[word * 4] = value >>> 24;
    key[word * 4 + 1] = value >>> 16;
    key[word * 4 + 2] = value >>> 8;
    key[word * 4 + 3] = value;
  }
}

/** Writes an address with its transport protocol and port to `key`. */
export function encodeEndpointKey(
  key: Uint8Array,
  words: Int32Array,
  at: number,
  protocol: number,
  port: number,
): void {
  encodeAddressKey(key, words, at);
  key[16] = port >>> 8;
  key[17] = port;
  key[18] = protocol;
  key[19] = 0;
}

/** Writes a network, `bits` being the prefix length of the 128-bit form, to `key`. */
export function encodeNetworkKey(key: Uint8Array, words: Int32Array, bits: number): void {
  key[0] = bits; // up to 128, little-endian
  key[1] = key[2] = key[3] = 0;
  for (let word = 0; word < 4; word++) {
    const value = words[word];
    const at = 4 + word * 4;
    key[at] = value >>> 24;
    key[at + 1] = value >>> 16;
    key[at + 2] = value >>> 8;
    key[at + 3] = value;
  }
}

/** Reads the address of a key (of a network's from `offset` 4) into `words[at … at + 3]`. */
export function decodeKeyAddress(key: Uint8Array, offset: number, words: Int32Array, at: number) {
  for (let word = 0; word < 4; word++) words[at + word] = i32be(key, offset + word * 4);
}

/** Writes `ban` to the {@link BAN_VALUE_LENGTH} bytes of `value`. */
export function encodeBanValue(value: DataView, ban: Readonly<BanValue>): void {
  setU64(value, UNTIL, ban.untilMs * NS_IN_MS);
  setU64(value, SINCE, ban.sinceMs * NS_IN_MS);
  setU64(value, PACKETS, ban.packets);
  setU64(value, BYTES, ban.bytes);
  setU64(value, LAST_SEEN, ban.lastSeenMs * NS_IN_MS);
  setU64(value, REASON, ban.reason);
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
