/** What the engine says of a packet. */

/** Accept, and show more packets of the flow. */
export const INSPECT = 0;
/** Accept, and show no more packets of the flow. */
export const CLEAN = 1;
/** Drop, as all later packets of the flow. */
export const BITTORRENT = 2;
/**
 * Drop this packet only: a tunnel carries other flows too, a datagram's sender may be another, and what is
 * held back is sent again.
 */
export const DROP = 3;
/** Drop, and reset the connection at both ends: it is older than the blocker. */
export const RESET = 4;
export type Verdict = 0 | 1 | 2 | 3 | 4;
