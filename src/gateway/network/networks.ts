/**
 * A set of networks (CIDRs) that all threads match against and one thread replaces: own addresses
 * change while the queue workers run, and a worker blocked in its queue reads no messages.
 */
import { formatAddress, parseAddress } from "../../packet/address.ts";

/** A network (RFC 4632): 4 words of the IPv6 or IPv4-mapped address, prefix length of the 128-bit form. */
export interface Cidr {
  readonly words: Int32Array;
  readonly bits: number;
}

const MAPPED_BITS = 96;

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. Null when it is neither. Host bits are cleared. */
export function parseNetwork(text: string): Cidr | null {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const words = parseAddress(address);
  if (words === null) return null;
  const base = address.includes(":") ? 0 : MAPPED_BITS;
  if (slash < 0) return { words, bits: 128 };
  const prefix = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > 128 - base) return null;
  const bits = base + Number(prefix);
  for (let word = 0; word < 4; word++) words[word] &= maskWord(bits, word);
  return { words, bits };
}

/** As {@link parseNetwork} reads it; one address without a prefix length. */
export function formatNetwork({ words, bits }: Cidr): string {
  const address = formatAddress(words, 0);
  if (bits === 128) return address;
  return `${address}/${address.includes(":") ? bits : bits - MAPPED_BITS}`;
}

/** Word `word` of the mask of a prefix of `bits` bits. */
export function maskWord(bits: number, word: number): number {
  const ones = Math.max(0, Math.min(32, bits - word * 32));
  return ones === 0 ? 0 : -1 << (32 - ones);
}

/** Whether the address in `address[at … at + 3]` lies in the network. */
export function isInNetwork({ words, bits }: Cidr, address: Int32Array, at: number): boolean {
  for (let word = 0; word < 4; word++) {
    if (((address[at + word] ^ words[word]) & maskWord(bits, word)) !== 0) return false;
  }
  return true;
}

// Two halves, so that a reader never sees a set half replaced: the writer fills the idle one, then
// switches. Replaced at most once a second, read in microseconds.
const ACTIVE = 0;
const COUNT = 1; // and 2, for the other half
const GENERATION = 3;
const HEADER_WORDS = 4;
const ROW_WORDS = 8; // 4 of the network, 4 of its mask

/** Matcher over shared memory; compiled once, read by every thread, no allocation to match. */
export class Networks {
  readonly #cells: Int32Array;
  readonly #capacity: number;

  /** Buffer size for at most `capacity` networks. */
  static byteLength(capacity: number): number {
    return (HEADER_WORDS + 2 * capacity * ROW_WORDS) * 4;
  }

  /** A set in memory of its own (tests, one thread). */
  static of(...texts: string[]): Networks {
    const networks = texts.map((text) => {
      const network = parseNetwork(text);
      if (network === null) throw new RangeError(`Not a network: ${text}`);
      return network;
    });
    const set = new Networks(new SharedArrayBuffer(Networks.byteLength(networks.length)));
    set.replace(networks);
    return set;
  }

  /** A view of `buffer` ({@link byteLength} bytes), empty where the buffer is zero. */
  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new Int32Array(buffer);
    this.#capacity = (this.#cells.length - HEADER_WORDS) / 2 / ROW_WORDS;
  }

  /** Replaces the set, from one thread only. Returns how many of the last ones found no room. */
  replace(networks: readonly Cidr[]): number {
    const cells = this.#cells;
    const half = 1 - Atomics.load(cells, ACTIVE);
    const count = Math.min(networks.length, this.#capacity);
    let at = HEADER_WORDS + half * this.#capacity * ROW_WORDS;
    for (let i = 0; i < count; i++, at += ROW_WORDS) {
      const { words, bits } = networks[i];
      for (let word = 0; word < 4; word++) {
        cells[at + word] = words[word];
        cells[at + 4 + word] = maskWord(bits, word);
      }
    }
    cells[COUNT + half] = count;
    Atomics.store(cells, ACTIVE, half);
    Atomics.add(cells, GENERATION, 1);
    return networks.length - count;
  }

  /** The networks of the set; for the thread that replaces it. */
  all(): Cidr[] {
    const cells = this.#cells;
    const half = Atomics.load(cells, ACTIVE);
    const start = HEADER_WORDS + half * this.#capacity * ROW_WORDS;
    return Array.from({ length: cells[COUNT + half] }, (_, index) => {
      const row = start + index * ROW_WORDS;
      let bits = 0;
      for (let word = 4; word < 8; word++) {
        bits += Math.clz32(~cells[row + word]); // ones come first
      }
      return { words: cells.slice(row, row + 4), bits };
    });
  }

  /** Changes whenever the set may have. */
  get generation(): number {
    return Atomics.load(this.#cells, GENERATION);
  }

  /** Whether a network has an address in common with one of these. */
  overlaps({ words, bits }: Cidr): boolean {
    const cells = this.#cells;
    const half = Atomics.load(cells, ACTIVE);
    const start = HEADER_WORDS + half * this.#capacity * ROW_WORDS;
    const end = start + cells[COUNT + half] * ROW_WORDS;
    for (let row = start; row < end; row += ROW_WORDS) {
      let differs = 0;
      for (let word = 0; word < 4; word++) {
        const mask = cells[row + 4 + word] & maskWord(bits, word);
        differs |= (words[word] ^ cells[row + word]) & mask;
      }
      if (differs === 0) return true;
    }
    return false;
  }

  /** Whether the address in `words[at … at + 3]` lies in one of the networks. */
  contains(words: Int32Array, at: number): boolean {
    const cells = this.#cells;
    const half = Atomics.load(cells, ACTIVE);
    const start = HEADER_WORDS + half * this.#capacity * ROW_WORDS;
    const end = start + cells[COUNT + half] * ROW_WORDS;
    for (let row = start; row < end; row += ROW_WORDS) {
      // The last word differs most often.
      if (
        (words[at + 3] & cells[row + 7]) === cells[row + 3] &&
        (words[at + 2] & cells[row + 6]) === cells[row + 2] &&
        (words[at + 1] & cells[row + 5]) === cells[row + 1] &&
        (words[at] & cells[row + 4]) === cells[row]
      ) return true;
    }
    return false;
  }
}

/** No one host: unspecified, loopback, multicast, broadcast (RFC 6890), in both families. */
export const SPECIAL_NETWORKS: readonly Cidr[] = all(
  "0.0.0.0/8",
  "127.0.0.0/8",
  "224.0.0.0/4",
  "255.255.255.255",
  "::",
  "::1",
  "ff00::/8",
);

/** Private use (RFC 1918, 6598, 3927, 4193, 4291): ours wherever they appear on a gateway. */
export const PRIVATE_NETWORKS: readonly Cidr[] = all(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "fc00::/7",
  "fe80::/10",
);

/** Whether the two have addresses in common: then one lies in the other. */
export function haveCommon(one: Cidr, other: Cidr): boolean {
  return isInNetwork({ words: one.words, bits: Math.min(one.bits, other.bits) }, other.words, 0);
}

/** Whether any of its addresses is of private use, and so somebody else's in another network. */
export function isPrivate(one: Cidr): boolean {
  return PRIVATE_NETWORKS.some((network) => haveCommon(network, one));
}

function all(...texts: string[]): Cidr[] {
  return texts.map((text) => parseNetwork(text)).filter((network) => network !== null);
}
