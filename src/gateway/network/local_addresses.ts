/**
 * What this machine is in the network: its own addresses, next hops, resolvers and connected
 * networks. Kept in shared memory for the ban policy of all threads, and read again when they change.
 */
import { interfaceIndex } from "../../../ffi/libc.ts";
import { NetlinkEvents } from "../../../ffi/libc_net.ts";
import { UsageError } from "../../errors.ts";
import { parseAddress } from "../../packet/address.ts";
import {
  type Cidr,
  formatNetwork,
  haveCommon,
  maskWord,
  Networks,
  parseNetwork,
  PRIVATE_NETWORKS,
  SPECIAL_NETWORKS,
} from "./networks.ts";
import { needsReading } from "./route_events.ts";
import { readRoutes, routesIn } from "./routes.ts";

const RESOLVER_FILES = [
  "/etc/resolv.conf",
  "/run/systemd/resolve/resolv.conf", // the ones behind systemd-resolved's own 127.0.0.53
];

/** Room for so many networks in each set, of which WHITELIST_IPS may take most. */
const CAPACITY = 24_576;
const WHITELIST_MOST = 12_288;
/** Room for so many addresses of its own, as in the kernel's map (bpf/layout.h). */
const OWN_MOST = 4_096;
/** Next hops told apart: at a large internet exchange a router has some thousand. */
const HOPS_MOST = 8_192;
/** All routes are read anew after this many times what the last reading took. */
const REST = 50;
/** Datagrams read at once; after more than that anything may have changed. */
const MOST_EVENTS = 256;

/** Interfaces of default routes that are told apart; a machine has one or two. */
const MOST_UPLINKS = 15;

/** Whether the number is that of an interface of a default route; `uplinks` over `uplinksBuffer`. */
export function isUplink(uplinks: Int32Array, index: number): boolean {
  for (let i = 0; i < uplinks.length; i++) if (uplinks[i] === index) return index !== 0;
  return false;
}

export class LocalAddresses implements Disposable {
  /** Never banned. */
  readonly neverBuffer = new SharedArrayBuffer(Networks.byteLength(CAPACITY));
  /** Networks of ours, for BAN_TARGET=remote. */
  readonly oursBuffer = new SharedArrayBuffer(Networks.byteLength(CAPACITY));
  /** This machine's own addresses. */
  readonly ownBuffer = new SharedArrayBuffer(Networks.byteLength(OWN_MOST));
  /** Numbers of the interfaces of the default routes, 0 for none: read with {@link isUplink}. */
  readonly uplinksBuffer = new SharedArrayBuffer(MOST_UPLINKS * Int32Array.BYTES_PER_ELEMENT);
  readonly never = new Networks(this.neverBuffer);
  readonly ours = new Networks(this.oursBuffer);
  readonly #ownNetworks = new Networks(this.ownBuffer);
  #whitelist: readonly Cidr[];
  #events: NetlinkEvents | null = NetlinkEvents.ofRoutes(); // before the first reading, to miss nothing
  #defaultInterfaces: readonly string[] = [];
  #hops = new Map<string, Int32Array>();
  /** Addresses of hosts by name, which are not to be cut off either. */
  #protected: readonly Int32Array[] = [];
  #leftOut = 0;
  #own: readonly Int32Array[] = [];
  /** By `performance.now()`; a full table takes a second or two. */
  #readAgainMs = 0;
  #isStale = false;
  #resolverTimes = "";
  #readings = 0;

  /** Reads everything once. @param whitelist WHITELIST_IPS */
  constructor(whitelist: readonly string[] = []) {
    this.#whitelist = parseWhitelist(whitelist);
    this.#read();
  }

  /** Takes another WHITELIST_IPS over. */
  setWhitelist(whitelist: readonly string[]): void {
    this.#whitelist = parseWhitelist(whitelist);
    this.#publish();
  }

  /** Interfaces of the default routes, the preferred one first; IPv4 before IPv6. */
  get defaultInterfaces(): readonly string[] {
    return this.#defaultInterfaces;
  }

  /** This machine's own addresses, four words each. */
  get own(): readonly Int32Array[] {
    return this.#own;
  }

  /** How often everything was read: another number, another state of the network. */
  get readings(): number {
    return this.#readings;
  }

  /**
   * Reads again if something has changed; microseconds if not, so call it every second. True when it
   * was read again.
   */
  refresh(): boolean {
    const known = this.#hops.size;
    this.#isStale ||= this.#drainEvents();
    const hasChanged = this.#isStale && performance.now() >= this.#readAgainMs;
    if (hasChanged) this.#readRoutes();
    const isOther = hasChanged || this.#hops.size !== known ||
      resolverTimes() !== this.#resolverTimes;
    if (isOther) this.#publish();
    return isOther;
  }

  /** Takes the addresses that a machine must go on reaching (the fleet's API, say). */
  protect(addresses: readonly Int32Array[]): void {
    const text = (list: readonly Int32Array[]) =>
      list.map((words) => words.join()).sort().join(" ");
    if (text(addresses) === text(this.#protected)) return;
    this.#protected = addresses;
    this.#publish();
  }

  /**
   * Which of the addresses that are never banned is in this network, and what it is: "192.0.2.1 is this
   * machine's own address". Null where none is.
   */
  whyNever(network: Cidr): string | null {
    if (!this.never.overlaps(network)) return null;
    const hosts = (list: Iterable<Int32Array>) => [...list].map((words) => ({ words, bits: 128 }));
    const kinds: [readonly Cidr[], string][] = [
      [SPECIAL_NETWORKS, "of no single host"],
      [this.#whitelist, "in WHITELIST_IPS"],
      [hosts(this.#own), "this machine's own address"],
      [hosts(this.#hops.values()), "a gateway of this machine's routes"],
      [hosts(resolvers()), "this machine's resolver"],
      [hosts(this.#protected), "the fleet's API"],
    ];
    for (const [networks, what] of kinds) {
      const found = networks.find((one) => haveCommon(one, network));
      if (found !== undefined) return `${formatNetwork(found)} is ${what}`;
    }
    return `a broadcast address of this machine's networks is in it`;
  }

  /** Networks that are never to be banned and found no room; 0 but on machines beyond all bounds. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** True where all is to be read anew. Next hops of new routes are taken from the messages. */
  #drainEvents(): boolean {
    let hasChanged = false;
    for (let count = 0; count < MOST_EVENTS; count++) {
      const datagram = this.#events?.next() ?? null;
      if (datagram === null) return hasChanged;
      hasChanged ||= needsReading(datagram);
      for (const { hops } of routesIn(datagram)) {
        for (const hop of hops) this.#hops.set(hop.join(), hop);
      }
    }
    return true;
  }

  #read(): void {
    this.#readRoutes();
    this.#publish();
  }

  #readRoutes(): void {
    const began = performance.now();
    const { uplinks, hops } = readRoutes();
    this.#defaultInterfaces = uplinks;
    this.#hops = new Map(hops);
    this.#isStale = false;
    const ended = performance.now();
    this.#readAgainMs = ended + (ended - began) * REST;
  }

  #publish(): void {
    this.#readings++;
    this.#resolverTimes = resolverTimes();
    const uplinks = new Set(this.defaultInterfaces);
    const indexes = [...uplinks].slice(0, MOST_UPLINKS).map(interfaceIndex);
    const cells = new Int32Array(this.uplinksBuffer);
    for (let i = 0; i < MOST_UPLINKS; i++) Atomics.store(cells, i, indexes[i] ?? 0);
    const hops = [...this.#hops.values()];
    const hosts = [...resolvers(), ...this.#protected, ...hops.slice(0, HOPS_MOST)];
    const never: Cidr[] = [
      ...SPECIAL_NETWORKS,
      ...this.#whitelist,
      ...hosts.map((words) => ({ words, bits: 128 })),
    ];
    const ours: Cidr[] = [...PRIVATE_NETWORKS];
    const own: Int32Array[] = [];
    for (const { name, address, cidr } of Deno.networkInterfaces()) {
      const words = parseAddress(address);
      const network = cidr === null ? null : parseNetwork(cidr);
      if (words === null) continue;
      never.push({ words, bits: 128 });
      own.push(words);
      if (network === null) continue;
      const broadcast = broadcastOf(network);
      if (broadcast !== null) never.push(broadcast);
      // The uplink's neighbours are the provider's other customers.
      if (!uplinks.has(name)) ours.push(network);
    }
    this.#leftOut = this.never.replace(never) + Math.max(0, hops.length - HOPS_MOST);
    this.ours.replace(ours);
    this.#own = own;
    this.#ownNetworks.replace(own.map((words) => ({ words, bits: 128 })));
  }

  [Symbol.dispose](): void {
    this.#events?.[Symbol.dispose]();
    this.#events = null;
  }
}

/** Throws UsageError for a WHITELIST_IPS that cannot be used. */
export function checkWhitelist(texts: readonly string[]): void {
  parseWhitelist(texts);
}

function parseWhitelist(texts: readonly string[]): Cidr[] {
  if (texts.length > WHITELIST_MOST) {
    throw new UsageError(
      `Cannot use WHITELIST_IPS with ${texts.length} networks: expected at most ${WHITELIST_MOST}`,
    );
  }
  return texts.map((text) => {
    const network = parseNetwork(text);
    if (network === null) {
      throw new UsageError(
        `Cannot use ${text} in WHITELIST_IPS: expected an address or a network, such as 10.0.0.0/8`,
      );
    }
    return network;
  });
}

/** The directed broadcast address of an IPv4 network with one (RFC 3021: not of /31 and /32). */
function broadcastOf({ words, bits }: Cidr): Cidr | null {
  const isIpv4 = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  if (!isIpv4 || bits > 126 || bits <= 96) return null;
  return { words: Int32Array.of(0, 0, 0xffff, words[3] | ~maskWord(bits, 3)), bits: 128 };
}

/** `nameserver` lines (resolv.conf(5)); a zone after `%` is not part of the address. */
export function readResolvers(text: string): Int32Array[] {
  const addresses: Int32Array[] = [];
  for (const [, address] of text.matchAll(/^\s*nameserver\s+([^\s%]+)/gm)) {
    const words = parseAddress(address);
    if (words !== null) addresses.push(words);
  }
  return addresses;
}

function resolvers(): Int32Array[] {
  return RESOLVER_FILES.flatMap((path) => {
    try {
      return readResolvers(Deno.readTextFileSync(path));
    } catch {
      return []; // not every machine has both
    }
  });
}

/** Changes when one of the files does. */
function resolverTimes(): string {
  return RESOLVER_FILES.map((path) => {
    try {
      const { mtime, ino } = Deno.statSync(path);
      return `${mtime?.getTime()} ${ino}`;
    } catch {
      return "none";
    }
  }).join();
}
