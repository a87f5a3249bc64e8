/**
 * The two bits that carry a flow's state between user space and the kernel: in the packet's mark
 * with a verdict, in the connection's mark afterwards. All other bits are somebody else's.
 */

import { UsageError } from "../../errors.ts";

/** Numbers are signed 32 bits, as bit operations give them; compare with `===` only among such. */
export interface Marks {
  readonly mask: number;
  /** Clean: the flow's packets are not queued any more. */
  readonly clear: number;
  /** BitTorrent: the flow's packets die in the kernel. */
  readonly drop: number;
  /** Both bits, in a packet's mark only: judged, run on through the remaining rules. */
  readonly pass: number;
}

/** Reads the states from a mask of exactly two bits. */
export function marksOf(mask: number): Marks {
  const clear = mask & -mask;
  const drop = (mask & ~clear) | 0;
  if (!Number.isInteger(mask) || mask <= 0 || mask > 0xffff_ffff || !isOneBit(drop)) {
    throw new UsageError(
      `Cannot use the mark mask ${hex(mask)}: expected a number of 32 bits, two of them set`,
    );
  }
  return { mask: mask | 0, clear: clear | 0, drop, pass: mask | 0 };
}

function isOneBit(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0;
}

/** The form in which iptables prints marks. */
export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
