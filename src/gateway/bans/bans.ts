/**
 * The bans: one front for the kernel's maps and the table in user space. Every thread makes its own
 * over the same {@link BanHandles}.
 */
import {
  deleteElement,
  lookupElement,
  readElements,
  readKeys,
  updateElement,
} from "../../../ffi/bpf.ts";
import { bootTimeMs } from "../../../ffi/libc.ts";
import { formatAddress } from "../../packet/address.ts";
import { METHODS } from "../../protocols/match.ts";
import {
  ADDRESS_KEY_LENGTH,
  BAN_VALUE_LENGTH,
  type BanValue,
  decodeBanValue,
  decodeKeyAddress,
  encodeAddressKey,
  encodeBanValue,
  encodeEndpointKey,
  encodeNetworkKey,
  ENDPOINT_KEY_LENGTH,
  NETWORK_KEY_LENGTH,
} from "./ban_codec.ts";
import type { BanScope } from "./ban_policy.ts";
import { BanTable, type BanTableEntry, NETWORK } from "./ban_table.ts";
import { formatNetwork, type Network, type Networks } from "../network/networks.ts";

/** Reasons beside the methods of detection. */
export const REASON_FLEET = 254;
export const REASON_MANUAL = 255;

/** What a thread needs to ban; can be posted to a worker. */
export interface BanHandles {
  readonly table: SharedArrayBuffer;
  readonly scope: BanScope;
  /** Descriptor of `blocked_ips`, -1 without BPF. Good in every thread of the process. */
  readonly addressMap: number;
  /** Descriptor of `blocked_endpoints`, -1 without BPF. */
  readonly endpointMap: number;
  /** Descriptor of `blocked_networks`, -1 (or none) without BPF or where no networks are banned. */
  readonly networkMap?: number;
}

/** A ban, for people and JSON. Times are wall-clock milliseconds. */
export interface Ban {
  /** An address, or a network (`192.0.2.0/24`). */
  readonly address: string;
  /** Null for the whole address or network. */
  readonly protocol: "tcp" | "udp" | null;
  readonly port: number | null;
  readonly sinceMs: number;
  readonly untilMs: number;
  /** A method of detection, `fleet` or `manual`. */
  readonly reason: string;
  /** Dropped in the driver and in user space. */
  readonly packets: number;
  /** Of the packets. Null where some were dropped in user space, which does not count bytes. */
  readonly bytes: number | null;
  readonly lastSeenMs: number | null;
}

export class Bans {
  readonly handles: BanHandles;
  readonly #table: BanTable;
  readonly #addressKey = new Uint8Array(ADDRESS_KEY_LENGTH);
  readonly #endpointKey = new Uint8Array(ENDPOINT_KEY_LENGTH);
  readonly #networkKey = new Uint8Array(NETWORK_KEY_LENGTH);
  readonly #value = new Uint8Array(BAN_VALUE_LENGTH);
  readonly #valueView = new DataView(this.#value.buffer);
  readonly #ban: BanValue = {
    ...{ untilMs: 0, sinceMs: 0, packets: 0, bytes: 0, lastSeenMs: 0, reason: 0 },
  };
  /** Bans the kernel did not take (they hold in user space). */
  refusedByKernel = 0;

  constructor(handles: BanHandles) {
    this.handles = handles;
    this.#table = new BanTable(handles.table);
  }

  /**
   * Bans the sender of a packet as BAN_SCOPE says: its address, or its protocol and port only.
   * In force in the kernel when this returns. False when the ban was in force already (it gets the
   * new end).
   *
   * @param words address at `words[at … at + 3]`
   * @param reason index into METHODS, or {@link REASON_FLEET}
   */
  ban(
    words: Int32Array,
    at: number,
    protocol: number,
    port: number,
    durationMs: number,
    reason: number,
  ): boolean {
    return this.handles.scope === "ip"
      ? this.banAddress(words, at, durationMs, reason)
      : this.#banEndpoint(words, at, protocol, port, durationMs, reason);
  }

  /** Bans a whole address, in either scope. */
  banAddress(words: Int32Array, at: number, durationMs: number, reason: number): boolean {
    const now = bootTimeMs();
    const isNew = this.#table.add(words, at, 0, 0, now + durationMs, now, reason);
    if (this.handles.addressMap >= 0) {
      encodeAddressKey(this.#addressKey, words, at);
      const map = this.handles.addressMap;
      this.#updateKernel(map, this.#addressKey, isNew, now, durationMs, reason);
    }
    return isNew;
  }

  /** Bans a network, or an address as a network of 128 bits; in either scope. */
  banNetwork({ words, bits }: Network, durationMs: number, reason: number): boolean {
    if (bits === 128) return this.banAddress(words, 0, durationMs, reason);
    const now = bootTimeMs();
    const isNew = this.#table.add(words, 0, NETWORK, bits, now + durationMs, now, reason);
    const { networkMap = -1 } = this.handles;
    if (networkMap >= 0) {
      encodeNetworkKey(this.#networkKey, words, bits);
      this.#updateKernel(networkMap, this.#networkKey, isNew, now, durationMs, reason);
    }
    return isNew;
  }

  /** The ban in force of exactly this address (128 bits) or network, as user space knows it. */
  find({ words, bits }: Network): BanTableEntry | null {
    const now = bootTimeMs();
    return bits === 128
      ? this.#table.get(words, 0, 0, 0, now)
      : this.#table.get(words, 0, NETWORK, bits, now);
  }

  #banEndpoint(
    words: Int32Array,
    at: number,
    protocol: number,
    port: number,
    durationMs: number,
    reason: number,
  ): boolean {
    const now = bootTimeMs();
    const isNew = this.#table.add(words, at, protocol, port, now + durationMs, now, reason);
    if (this.handles.endpointMap >= 0) {
      encodeEndpointKey(this.#endpointKey, words, at, protocol, port);
      const map = this.handles.endpointMap;
      this.#updateKernel(map, this.#endpointKey, isNew, now, durationMs, reason);
    }
    return isNew;
  }

  #updateKernel(
    map: number,
    key: Uint8Array<ArrayBuffer>,
    isNew: boolean,
    now: number,
    durationMs: number,
    reason: number,
  ): void {
    const ban = this.#ban;
    const known = !isNew && lookupElement(map, key, this.#value) === 0;
    if (known) {
      Object.assign(ban, decodeBanValue(this.#valueView, 0));
    } else {
      ban.sinceMs = now;
      ban.packets = 0;
      ban.bytes = 0;
      ban.lastSeenMs = 0;
    }
    ban.untilMs = now + durationMs;
    ban.reason = reason;
    encodeBanValue(this.#valueView, ban);
    if (updateElement(map, key, this.#value) < 0) this.refusedByKernel++;
  }

  /**
   * Whether a packet from this address, protocol and port is to be dropped; counted if so.
   *
   * @param nowMs CLOCK_BOOTTIME, as `bootTimeMs()` (once a batch is enough)
   */
  drops(words: Int32Array, at: number, protocol: number, port: number, nowMs: number): boolean {
    return this.#table.drops(words, at, protocol, port, nowMs);
  }

  /** Number of bans in user space, ended ones not yet swept included. */
  get size(): number {
    return this.#table.size;
  }

  /** Ends all bans of an address: its own and its endpoints'. False when there was none. */
  remove(words: Int32Array): boolean {
    let removed = this.#table.remove(words, 0, 0, 0);
    const { addressMap, endpointMap } = this.handles;
    encodeAddressKey(this.#addressKey, words, 0);
    if (addressMap >= 0 && deleteElement(addressMap, this.#addressKey) === 0) removed = true;
    // In either scope: those of a run before may be there still.
    for (const ban of this.#table.hasEndpoints ? this.#table.entries(0) : []) {
      if (!isEndpoint(ban) || !sameAddress(ban.words, words)) continue;
      this.#table.remove(words, 0, ban.protocol, ban.port);
      removed = true;
    }
    const isOfAddress = (key: Uint8Array) => this.#addressKey.every((byte, i) => key[i] === byte);
    return deleteWhere(endpointMap, ENDPOINT_KEY_LENGTH, isOfAddress) > 0 || removed;
  }

  /**
   * Ends the ban of exactly this network, or address (128 bits) as a whole: those of its endpoints
   * stay. False when there was none.
   */
  removeNetwork({ words, bits }: Network): boolean {
    const isAddress = bits === 128;
    const removed = isAddress
      ? this.#table.remove(words, 0, 0, 0)
      : this.#table.remove(words, 0, NETWORK, bits);
    const { addressMap, networkMap = -1 } = this.handles;
    const map = isAddress ? addressMap : networkMap;
    if (map < 0) return removed;
    const key = isAddress ? this.#addressKey : this.#networkKey;
    if (isAddress) encodeAddressKey(key, words, 0);
    else encodeNetworkKey(key, words, bits);
    return deleteElement(map, key) === 0 || removed;
  }

  /** Ends all bans; returns how many were in force. */
  clear(): number {
    const { size } = this.#inForce(bootTimeMs());
    this.#table.clear();
    this.#deleteFromKernel(() => true);
    return size;
  }

  /**
   * Ends the bans of what is never to be banned: of such addresses, of their endpoints, and of
   * networks with one of them; returns how many were in force.
   */
  liftNever(never: Networks): number {
    const now = bootTimeMs();
    const lifted = new Set<string>();
    for (const ban of [...this.#table.entries(now), ...this.#kernelBans()]) {
      const { words, protocol, port, untilMs } = ban;
      const network = { words, bits: protocol === NETWORK ? port : 128 };
      if (untilMs <= now || !never.overlaps(network)) continue;
      lifted.add(keyOf(ban));
      if (isEndpoint(ban)) this.#removeEndpoint(ban);
      else this.removeNetwork(network);
    }
    return lifted.size;
  }

  #removeEndpoint({ words, protocol, port }: BanKey): void {
    this.#table.remove(words, 0, protocol, port);
    if (this.handles.endpointMap < 0) return;
    encodeEndpointKey(this.#endpointKey, words, 0, protocol, port);
    deleteElement(this.handles.endpointMap, this.#endpointKey);
  }

  /** Frees the memory of bans that have ended; returns how many. */
  sweep(): number {
    const now = bootTimeMs();
    const hasEnded = (_: Uint8Array, value: BanValue) => value.untilMs <= now;
    return Math.max(this.#table.sweep(now), this.#deleteFromKernel(hasEnded));
  }

  #deleteFromKernel(unwanted: (key: Uint8Array, value: BanValue) => boolean): number {
    const { addressMap, endpointMap } = this.handles;
    let deleted = deleteWhere(addressMap, ADDRESS_KEY_LENGTH, unwanted) +
      deleteWhere(endpointMap, ENDPOINT_KEY_LENGTH, unwanted);
    for (const { key, value } of this.#kernelNetworks()) {
      if (unwanted(key, value) && deleteElement(this.handles.networkMap!, key) === 0) deleted++;
    }
    return deleted;
  }

  /** Takes the bans that the kernel's maps still hold from an earlier run; returns how many. */
  restore(): number {
    const now = bootTimeMs();
    let restored = 0;
    for (const ban of this.#kernelBans()) {
      if (ban.untilMs <= now) continue;
      const { words, protocol, port, untilMs, reason } = ban;
      this.#table.add(words, 0, protocol, port, untilMs, now, reason);
      restored++;
    }
    return restored;
  }

  /** The bans in force, the newest first. */
  list(): Ban[] {
    const now = bootTimeMs();
    const wallOffset = Date.now() - now;
    return [...this.#inForce(now).values()]
      .sort((a, b) => b.sinceMs - a.sinceMs)
      .map((ban) => present(ban, wallOffset));
  }

  /** The bans in force by their keys, in user space and in the kernel, counters added up. */
  #inForce(now: number): Map<string, KeyedBan> {
    const merged = new Map<string, KeyedBan>();
    for (const entry of this.#table.entries(now)) {
      merged.set(keyOf(entry), { ...entry, bytes: entry.packets === 0 ? 0 : NaN });
    }
    for (const ban of this.#kernelBans()) {
      if (ban.untilMs <= now) continue;
      const inUserSpace = merged.get(keyOf(ban));
      if (inUserSpace !== undefined) {
        ban.packets += inUserSpace.packets;
        ban.bytes += inUserSpace.bytes;
        ban.lastSeenMs = Math.max(ban.lastSeenMs, inUserSpace.lastSeenMs);
      }
      merged.set(keyOf(ban), ban);
    }
    return merged;
  }

  #kernelBans(): KeyedBan[] {
    const { addressMap, endpointMap } = this.handles;
    const bans: KeyedBan[] = [];
    if (addressMap >= 0) {
      readElements(
        addressMap,
        ADDRESS_KEY_LENGTH,
        BAN_VALUE_LENGTH,
        (keys, at, values, valueAt) => {
          bans.push(keyedBan(keys, at, 0, 0, decodeBanValue(values, valueAt)));
        },
      );
    }
    if (endpointMap >= 0) {
      readElements(
        endpointMap,
        ENDPOINT_KEY_LENGTH,
        BAN_VALUE_LENGTH,
        (keys, at, values, valueAt) => {
          const port = (keys[at + 16] << 8) | keys[at + 17];
          bans.push(keyedBan(keys, at, keys[at + 18], port, decodeBanValue(values, valueAt)));
        },
      );
    }
    for (const { key, value } of this.#kernelNetworks()) {
      bans.push(keyedBan(key, 4, NETWORK, key[0], value));
    }
    return bans;
  }

  #kernelNetworks(): { key: Uint8Array<ArrayBuffer>; value: BanValue }[] {
    const { networkMap = -1 } = this.handles;
    if (networkMap < 0) return [];
    return readKeys(networkMap, NETWORK_KEY_LENGTH).flatMap((key) => {
      const value = new Uint8Array(BAN_VALUE_LENGTH);
      if (lookupElement(networkMap, key, value) < 0) return [];
      return [{ key, value: decodeBanValue(new DataView(value.buffer), 0) }];
    });
  }
}

/** Deletes elements of a ban map (none without a map: -1); returns how many. */
function deleteWhere(
  map: number,
  keyLength: number,
  unwanted: (key: Uint8Array, value: BanValue) => boolean,
): number {
  if (map < 0) return 0;
  const found: Uint8Array<ArrayBuffer>[] = [];
  readElements(map, keyLength, BAN_VALUE_LENGTH, (keys, at, values, valueAt) => {
    const key = keys.slice(at, at + keyLength);
    if (unwanted(key, decodeBanValue(values, valueAt))) found.push(key);
  });
  const value = new Uint8Array(BAN_VALUE_LENGTH);
  const view = new DataView(value.buffer);
  let deleted = 0;
  for (const key of found) {
    // Looked at again: a worker may have banned it anew meanwhile.
    if (lookupElement(map, key, value) < 0 || !unwanted(key, decodeBanValue(view, 0))) continue;
    if (deleteElement(map, key) === 0) deleted++;
  }
  return deleted;
}

/**
 * A ban with its key: the address, and protocol and port of an endpoint (0 for the address), or
 * {@link NETWORK} and the prefix length.
 */
interface KeyedBan extends BanValue, BanKey {}

interface BanKey {
  words: Int32Array;
  protocol: number;
  port: number;
}

function keyedBan(
  keys: Uint8Array,
  at: number,
  protocol: number,
  port: number,
  value: BanValue,
): KeyedBan {
  const words = new Int32Array(4);
  decodeKeyAddress(keys, at, words, 0);
  return { words, protocol, port, ...value };
}

function keyOf(ban: BanKey): string {
  return `${ban.words.join()},${ban.protocol},${ban.port}`;
}

function isEndpoint({ protocol }: BanKey): boolean {
  return protocol !== 0 && protocol !== NETWORK;
}

function sameAddress(a: Int32Array, b: Int32Array): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

function present(ban: KeyedBan, wallOffset: number): Ban {
  const isNetwork = ban.protocol === NETWORK;
  return {
    address: isNetwork
      ? formatNetwork({ words: ban.words, bits: ban.port })
      : formatAddress(ban.words, 0),
    protocol: !isEndpoint(ban) ? null : ban.protocol === 6 ? "tcp" : "udp",
    port: isEndpoint(ban) ? ban.port : null,
    sinceMs: Math.round(ban.sinceMs + wallOffset),
    untilMs: Math.round(ban.untilMs + wallOffset),
    reason: reasonName(ban.reason),
    packets: ban.packets,
    bytes: Number.isNaN(ban.bytes) ? null : ban.bytes,
    lastSeenMs: ban.lastSeenMs === 0 ? null : Math.round(ban.lastSeenMs + wallOffset),
  };
}

/** Name of a ban's reason. */
export function reasonName(reason: number): string {
  if (reason === REASON_FLEET) return "fleet";
  if (reason === REASON_MANUAL) return "manual";
  return METHODS[reason] ?? `reason ${reason}`;
}

/** Number of a method of detection, as the kernel keeps it. */
export function reasonOf(method: typeof METHODS[number]): number {
  return METHODS.indexOf(method);
}
