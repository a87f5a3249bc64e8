/**
 * How a flow's state travels between user space and the kernel. In the connection's mark it is two
 * bits, MARK_MASK; all others are somebody else's. A verdict carries it in the packet's mark, for the
 * moment until our chain sees the packet again (NF_REPEAT), under a seal: a random number of this run
 * in bits that the packet itself leaves empty. The chain believes only what is sealed and takes the
 * seal off, so no mark of another program is ever taken for a verdict, and none is changed.
 *
 * Where the kernel takes conntrack's attribute in a verdict (NFQA_CT, CONFIG_NETFILTER_NETLINK_GLUE_CT)
 * the worker could write the connection's mark itself and a packet would need none; it is not in every
 * kernel, nor in the one this was built on, and the seal needs nothing of it.
 */

import { UsageError } from "../../errors.ts";

/** Numbers are signed 32 bits, as bit operations give them; compare with `===` only among such. */
export interface Marks {
  /** The two bits of the connection's mark. */
  readonly mask: number;
  /** Clean: the flow's packets are not queued any more. */
  readonly clear: number;
  /** BitTorrent: the flow's packets die in the kernel. */
  readonly drop: number;
  readonly seal: Seal;
  /** {@link mask} and the seal's bits: what a verdict may change in a packet's mark. */
  readonly sealMask: number;
  /** What a packet's mark has under {@link sealMask} when it comes back with a verdict. */
  readonly sealedClear: number;
  readonly sealedDrop: number;
  /** Judged, run on through the remaining rules; from the chain to the worker: called back. */
  readonly sealedPass: number;
}

/** A number of this run in some bits of packets' marks, none of them of the mask. */
export interface Seal {
  readonly bits: number;
  readonly value: number;
}

/** Of so many bits: one foreign mark in 4096 looks sealed if it has bits of ours at all. */
const SEAL_BITS = 12;
/** Fewer free bits than that are not enough: then some that others use are taken too. */
const LEAST_SEAL_BITS = 6;

/**
 * Reads the states from a mask of exactly two bits.
 *
 * @param seal by default a new one that spares no bit in particular
 */
export function marksOf(mask: number, seal?: Seal): Marks {
  const clear = mask & -mask;
  const drop = (mask & ~clear) | 0;
  if (!Number.isInteger(mask) || mask <= 0 || mask > 0xffff_ffff || !isOneBit(drop)) {
    throw new UsageError(
      `Cannot use the mark mask ${hex(mask)}: expected a number of 32 bits, two of them set`,
    );
  }
  const { bits, value } = seal ?? newSeal(mask, []);
  return {
    mask: mask | 0,
    clear: clear | 0,
    drop,
    seal: { bits, value },
    sealMask: mask | bits,
    sealedClear: value | clear,
    sealedDrop: value | drop,
    sealedPass: value | mask,
  };
}

/**
 * A seal outside of a mask.
 *
 * @param foreign marks that others set: their bits are spared as far as possible, since a packet that
 * has one of them set cannot carry a verdict, and none of them looks sealed
 * @param known marks that others may set some day, spared after those
 */
export function newSeal(
  mask: number,
  foreign: readonly number[],
  known: readonly number[] = [],
): Seal {
  const uses = (marks: readonly number[], bit: number) =>
    marks.filter((mark) => (mark >>> bit & 1) === 1).length;
  const all = Array.from({ length: 32 }, (_, bit) => bit);
  const others = all.filter((bit) => (mask >>> bit & 1) === 0)
    .sort((a, b) =>
      uses(foreign, a) - uses(foreign, b) || uses(known, a) - uses(known, b) || b - a
    );
  const unused = others.filter((bit) => uses(foreign, bit) === 0).length;
  const chosen = others.slice(0, Math.max(LEAST_SEAL_BITS, Math.min(SEAL_BITS, unused)));
  const bits = chosen.reduce((word, bit) => word | (1 << bit), 0);
  for (;;) {
    const value = crypto.getRandomValues(new Int32Array(1))[0] & bits;
    const isForeign = [...foreign, ...known].some((mark) => (mark & bits) === value);
    if (value !== 0 && !isForeign) return { bits, value };
  }
}

function isOneBit(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0;
}

/** The form in which iptables prints marks. */
export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/**
 * A listing of nft with masks in full: a mask of the highest bits it writes as a prefix, `meta mark
 * 0x40000000/2`.
 */
export function withMasks(listing: string): string {
  return listing.replaceAll(
    /\bmark (!= )?(0x[0-9a-f]+)\/(\d+)/g,
    (_, not: string | undefined, value: string, bits: string) =>
      `mark & ${hex(~0 << (32 - Number(bits)))} ${not ?? "== "}${value}`,
  );
}
