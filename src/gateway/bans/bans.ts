/**
 * The bans: one front for the kernel's maps and the table in user space. Every thread makes its own
 * over the same {@link BanHandles}.
 */
import { bootTimeMs } from "../../../ffi/libc.ts";
import { METHODS } from "../../protocols/match.ts";
import { formatAddress } from "../../packet/address.ts";
import { type Cidr, formatNetwork, maskWord, Networks } from "../network/networks.ts";
import {
  BAN_MAP_NAMES,
  type BanMapName,
  type BanValue,
  mapOf,
  REASON_FLEET,
  REASON_MANUAL,
} from "./ban_codec.ts";
import {
  addressKey,
  type BanKey,
  endpointKey,
  formatBanKey,
  isOfAddress,
  kindOf,
  networkKey,
  prefixKey,
  protocolName,
} from "./ban_key.ts";
import { BanMap, type KernelBan } from "./ban_map.ts";
import type { BanScope } from "./ban_policy.ts";
import { BanTable, type BanTableEntry } from "./ban_table.ts";
import { escalated, type Escalation, MOST_BANS, Offenders } from "./offenders.ts";

export { REASON_FLEET, REASON_MANUAL };

/** BAN_PREFIX where nobody says otherwise. */
export const USUAL_IPV6_BITS = 64;

/** What a thread needs to ban; can be posted to a worker. */
export interface BanHandles {
  readonly table: SharedArrayBuffer;
  readonly scope: BanScope;
  /** Descriptors of the kernel's maps, good in every thread of the process; none without BPF. */
  readonly maps: Readonly<Partial<Record<BanMapName, number>>>;
  /** Descriptor of `bans_in_force`; none where no program runs. */
  readonly inForce?: number;
  /** BAN_PREFIX: a ban of an IPv6 address is for so much of it. */
  readonly ipv6Bits?: number;
  /** `LocalAddresses.neverBuffer`; none where nobody is spared. */
  readonly never?: SharedArrayBuffer;
  /** Of {@link Offenders}; none where nobody is banned longer for what he did before. */
  readonly offenders?: SharedArrayBuffer;
}

/** Whom a ban is of, and for how long. */
export interface BegunBan {
  readonly key: BanKey;
  readonly durationMs: number;
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
  readonly #maps = new Map<BanMapName, BanMap>();
  readonly #ipv6Bits: number;
  readonly #never: Networks | null;
  readonly #offenders: Offenders | null;
  readonly #onBan: () => void;
  /** Bans the kernel did not take (they hold in user space). */
  refusedByKernel = 0;

  /** @param onBan told of each ban that this thread has made */
  constructor(handles: BanHandles, onBan: () => void = () => {}) {
    this.#onBan = onBan;
    const { table, maps, inForce = null, ipv6Bits = USUAL_IPV6_BITS, never, offenders } = handles;
    this.handles = handles;
    const lastSeenMs = (key: BanKey) => this.#mapOf(key)?.read(key)?.lastSeenMs ?? 0;
    this.#table = new BanTable(table, (key) => this.#takeOut(key), lastSeenMs);
    this.#ipv6Bits = ipv6Bits;
    this.#never = never === undefined ? null : new Networks(never);
    this.#offenders = offenders === undefined ? null : new Offenders(offenders);
    for (const name of BAN_MAP_NAMES) {
      const fd = maps[name];
      if (fd !== undefined) this.#maps.set(name, new BanMap(name, fd, inForce));
    }
  }

  /** A ban that made room for another one: the kernel is not to keep what user space does not. */
  #takeOut(key: BanKey): void {
    const map = this.#mapOf(key);
    map?.delete(key);
    // A worker may have banned it anew meanwhile.
    const again = this.find(key);
    if (again !== null) map?.write(key, again.untilMs, again.sinceMs, again.reason, true);
  }

  /**
   * What a ban of the address in `words[at … at + 3]` is for: of IPv6 the prefix that its host has
   * (BAN_PREFIX), but the address alone where the prefix has somebody in it who is never banned:
   * the networks that this machine is in itself are shared by many hosts.
   */
  keyOf(words: Int32Array, at = 0): BanKey {
    const key = prefixKey(words, at, this.#ipv6Bits);
    return this.#never?.overlaps(key) === true ? addressKey(words, at) : key;
  }

  /**
   * Bans the sender of a packet as BAN_SCOPE says: its address, or its protocol and port only.
   * In the kernel's map when this returns, and in force there if the program is attached. Null where
   * there is no room.
   *
   * @param words address at `words[at … at + 3]`
   * @param reason index into METHODS
   * @param escalation null: always for `durationMs`, and not remembered
   */
  ban(
    words: Int32Array,
    at: number,
    protocol: number,
    port: number,
    durationMs: number,
    reason: number,
    escalation: Escalation | null = null,
  ): BegunBan | null {
    const key = this.handles.scope === "ip"
      ? this.keyOf(words, at)
      : endpointKey(words, at, protocol, port);
    const offenders = escalation === null ? null : this.#offenders;
    if (offenders === null) {
      return this.add(key, durationMs, reason) === null ? null : { key, durationMs };
    }
    const now = bootTimeMs();
    const before = offenders.before(key, now);
    const longer = escalated(durationMs, before, escalation!);
    const isNew = this.add(key, longer, reason, Math.min(before + 1, MOST_BANS));
    if (isNew === null) return null;
    // Of a ban by hand or of the fleet only the end is new: it counts for nothing.
    if (isNew || offenders.isBanned(key, now)) offenders.banned(key, now + longer, now);
    return { key, durationMs: longer };
  }

  /**
   * The same of what the key says, in either scope. False when it was banned already (it gets the new
   * end), null where there is no room: one by hand makes room for none.
   *
   * @param bans which one of the key it is, where bans grow
   */
  add(key: BanKey, durationMs: number, reason: number, bans = 0): boolean | null {
    const now = bootTimeMs();
    const added = this.#table.add(key, now + durationMs, now, reason);
    if (added === null) return null;
    // The table rounds to tenths of a second: only where it knows better than we.
    const untilMs = added.reason === reason ? now + durationMs : added.untilMs;
    const taken = this.#mapOf(key)?.write(key, untilMs, now, added.reason, added.isNew, bans);
    if (taken === false) this.refusedByKernel++;
    this.#onBan();
    return added.isNew;
  }

  /** The ban in force of exactly this, as user space knows it. */
  find(key: BanKey): BanTableEntry | null {
    return this.#table.get(key, bootTimeMs());
  }

  /**
   * Whether a packet from this address, protocol and port is to be dropped; counted if so.
   *
   * @param nowMs CLOCK_BOOTTIME, as `bootTimeMs()` (once a batch is enough)
   */
  drops(words: Int32Array, at: number, protocol: number, port: number, nowMs: number): boolean {
    return this.#table.drops(words, at, protocol, port, nowMs);
  }

  /** Whether this address, or its endpoint, or a network with it is banned. */
  isBanned(words: Int32Array, protocol: number, port: number): boolean {
    return this.#table.has(words, 0, protocol, port, bootTimeMs());
  }

  /** Number of bans in user space, ended ones not yet swept included. */
  get size(): number {
    return this.#table.size;
  }

  /** Ends the ban of exactly this. False when there was none. */
  remove(key: BanKey): boolean {
    const removed = this.#table.remove(key);
    return this.#mapOf(key)?.delete(key) === true || removed;
  }

  /** The same because somebody wants it so: the next ban is a first one. */
  lift(key: BanKey): boolean {
    this.#offenders?.forget(key);
    return this.remove(key);
  }

  /** The prefix of an address's host, where a ban of that is in force; null of IPv4. */
  prefixOf(words: Int32Array): BanKey | null {
    const key = prefixKey(words, 0, this.#ipv6Bits);
    return key.bits < 128 && this.find(key) !== null ? key : null;
  }

  /**
   * Lifts all bans of an address: its own, that of the prefix its host has, and its endpoints'. False
   * when there was none. A wider network's ban holds on ({@link around}).
   */
  liftAddress(words: Int32Array): boolean {
    let removed = this.lift(addressKey(words));
    removed = this.lift(prefixKey(words, 0, this.#ipv6Bits)) || removed;
    // In either scope: those of a run before may be there still.
    const isEndpoint = (key: BanKey) => kindOf(key) === "endpoint" && isOfAddress(key, words);
    for (const { key } of this.#table.entries(0)) {
      if (isEndpoint(key)) removed = this.lift(key) || removed;
    }
    const inKernel = this.#maps.get("blocked_endpoints")?.deleteWhere(({ key }) => isEndpoint(key));
    return (inKernel ?? 0) > 0 || removed;
  }

  /** Networks whose bans hold for an address or network, the widest last. */
  around({ words, bits }: Cidr): BanKey[] {
    return this.#table.entries(bootTimeMs())
      .map(({ key }) => key)
      .filter((key) => kindOf(key) === "network" && key.bits < bits && covers(key, words))
      .sort((a, b) => b.bits - a.bits);
  }

  /** Lifts all bans; returns how many were in force. */
  clear(): number {
    const { size } = this.#inForce(bootTimeMs());
    this.#table.clear();
    this.#offenders?.clear();
    this.#deleteFromKernel(() => true);
    return size;
  }

  /**
   * Ends the bans of what is never to be banned: of such addresses, of their endpoints, and of
   * networks with one of them; returns how many there were. Of single addresses, which come and go,
   * what they could be banned by is looked up; all bans are gone through only for networks and ports.
   */
  liftNever(networks: readonly Cidr[]): number {
    const addresses = networks.filter(({ bits }) => bits === 128);
    const lifted = addresses.reduce((count, { words }) => count + this.#removeAround(words), 0);
    const isScanNeeded = addresses.length < networks.length || this.#hasEndpoints();
    return lifted + (isScanNeeded ? this.#removeOverlapping(networks) : 0);
  }

  /** Ends the bans of an address and of every network that it is in. */
  #removeAround(words: Int32Array): number {
    const around = words.slice();
    let removed = 0;
    for (let bits = 128; bits > 0; bits--) {
      for (let word = 0; word < 4; word++) around[word] &= maskWord(bits, word);
      if (this.remove(networkKey({ words: around, bits }))) removed++;
    }
    return removed;
  }

  #hasEndpoints(): boolean {
    if (this.handles.scope === "endpoint") return true;
    return (this.#maps.get("blocked_endpoints")?.entries().length ?? 0) > 0; // of a run before
  }

  #removeOverlapping(networks: readonly Cidr[]): number {
    const set = new Networks(new SharedArrayBuffer(Networks.byteLength(networks.length)));
    set.replace(networks);
    const found = [...this.#inForce(bootTimeMs()).values()].filter(({ key }) => set.overlaps(key));
    for (const { key } of found) this.remove(key);
    return found.length;
  }

  /** Frees the memory of bans that have ended; returns how many. */
  sweep(): number {
    const now = bootTimeMs();
    const deleted = this.#deleteFromKernel(({ value }) => value.untilMs <= now);
    return Math.max(this.#table.sweep(now), deleted);
  }

  #deleteFromKernel(unwanted: (ban: KernelBan) => boolean): number {
    let deleted = 0;
    for (const map of this.#maps.values()) {
      deleted += map.deleteWhere(unwanted);
      map.tellInForce();
    }
    return deleted;
  }

  /** Takes the bans that the kernel's maps still hold from an earlier run; returns how many. */
  restore(): number {
    const now = bootTimeMs();
    let restored = 0;
    const kept = [...this.#maps].map(([name, map]) => ({ name, map, bans: map.entries() }));
    for (const { name, map, bans } of kept) {
      for (const { key, value } of bans) {
        if (value.untilMs <= now) continue;
        // Of another BAN_PREFIX: found there no more, or for too many.
        const wanted = this.#mapOf(key);
        if (mapOf(key, this.#ipv6Bits) !== name) {
          map.delete(key);
          wanted?.write(key, value.untilMs, value.sinceMs, value.reason, true, value.bans);
        }
        if (this.#table.add(key, value.untilMs, now, value.reason) === null) {
          wanted?.delete(key);
          continue;
        }
        restored++;
        if (value.bans > 0) this.#offenders?.banned(key, value.untilMs, now, value.bans);
      }
    }
    for (const map of this.#maps.values()) map.tellInForce();
    return restored;
  }

  /** The bans in force, the newest first. */
  list(): Ban[] {
    const now = bootTimeMs();
    const wallOffset = Date.now() - now;
    return [...this.#inForce(now).values()]
      .sort((a, b) => b.value.sinceMs - a.value.sinceMs)
      .map((ban) => present(ban, wallOffset));
  }

  /** The bans in force by their keys, in user space and in the kernel, counters added up. */
  #inForce(now: number): Map<string, KernelBan> {
    const merged = new Map<string, KernelBan>();
    for (const { key, ...value } of this.#table.entries(now)) {
      merged.set(formatBanKey(key), {
        key,
        value: { ...value, bytes: value.packets === 0 ? 0 : NaN, bans: 0 },
      });
    }
    for (const { key, value } of this.#kernelBans()) {
      if (value.untilMs <= now) continue;
      const text = formatBanKey(key);
      const inUserSpace = merged.get(text)?.value;
      merged.set(text, {
        key,
        value: inUserSpace === undefined ? value : addUp(value, inUserSpace),
      });
    }
    return merged;
  }

  #kernelBans(): KernelBan[] {
    return [...this.#maps.values()].flatMap((map) => map.entries());
  }

  #mapOf(key: BanKey): BanMap | undefined {
    return this.#maps.get(mapOf(key, this.#ipv6Bits));
  }
}

function covers({ words, bits }: Cidr, address: Int32Array): boolean {
  return words.every((word, index) => ((word ^ address[index]) & maskWord(bits, index)) === 0);
}

/** What the kernel says, with the drops in user space. */
function addUp(kernel: BanValue, user: BanValue): BanValue {
  return {
    ...kernel,
    packets: kernel.packets + user.packets,
    bytes: kernel.bytes + user.bytes,
    lastSeenMs: Math.max(kernel.lastSeenMs, user.lastSeenMs),
  };
}

function present({ key, value }: KernelBan, wallOffset: number): Ban {
  const isEndpoint = kindOf(key) === "endpoint";
  return {
    address: isEndpoint ? formatAddress(key.words, 0) : formatNetwork(key),
    protocol: isEndpoint ? protocolName(key.protocol) : null,
    port: isEndpoint ? key.port : null,
    sinceMs: Math.round(value.sinceMs + wallOffset),
    untilMs: Math.round(value.untilMs + wallOffset),
    reason: reasonName(value.reason),
    packets: value.packets,
    bytes: Number.isNaN(value.bytes) ? null : value.bytes,
    lastSeenMs: value.lastSeenMs === 0 ? null : Math.round(value.lastSeenMs + wallOffset),
  };
}

/** Name of a ban's reason. */
export function reasonName(reason: number): string {
  if (reason === REASON_FLEET) return "fleet";
  if (reason === REASON_MANUAL) return "manual";
  return METHODS[reason] ?? `reason ${reason}`;
}

/** Number of a method of detection, as the kernel keeps it. */
export function reasonNumber(method: typeof METHODS[number]): number {
  return METHODS.indexOf(method);
}
