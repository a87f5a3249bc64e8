/**
 * What is needed of flows whose beginning tells nothing, those older than the blocker above all: the
 * counterpart of `mse_table.ts`, pure likewise.
 */
import { MOST_CHUNKS } from "./mse_table.ts";

/**
 * Ends of writes whole blocks apart, less those elsewhere. Another write ends there once in 16 397 times,
 * and one that ends elsewhere takes one back.
 */
const BLOCKS_ALONE = 4;
const BLOCKS_WITH_HEADER = 3;

/** Whether ends of writes decide by themselves. */
export function areBlocks(blocks: number, hasHeader: boolean): boolean {
  return blocks >= BLOCKS_ALONE || (hasHeader && blocks >= BLOCKS_WITH_HEADER);
}

/**
 * Whether they do beside evidence of the host. Of writes of 3000 bytes a constant size may be made, so
 * the other side must have sent what has the length of `have`.
 */
export function areBlocksOfHost(
  blocks: number,
  hasHeader: boolean,
  chunks: number,
  hasHaves: boolean,
): boolean {
  return blocks >= BLOCKS_ALONE - 1 || (hasHeader && blocks >= 1) ||
    (chunks >= MOST_CHUNKS && hasHaves);
}

/**
 * Requests that keep pace with blocks: messages in pace less others, and kinds of them (`request_pace.ts`).
 * Of small messages of any length, with as many blocks behind them as one likes, one in eight is in pace by
 * chance; a program of three constant lengths has three kinds.
 */
interface Pace {
  readonly inPace: number;
  readonly kinds: number;
  /** One was too short for authenticated encryption. */
  readonly isBare: boolean;
}

/** Whether requests decide by themselves. */
export function isPace({ inPace, kinds, isBare }: Pace): boolean {
  return inPace >= 10 && kinds >= (isBare ? 5 : 6);
}

/** Whether they do beside evidence of the host. */
export function isPaceOfHost({ inPace, kinds, isBare }: Pace): boolean {
  return inPace >= 8 && kinds >= (isBare ? 4 : 5);
}

/**
 * Whether they do where several flows of a host have as much. Three constants and what varies have four kinds,
 * such as HTTP/2's (9, 17 and 26 bytes: an empty frame, `PING`, two windows).
 */
export function isPaceOfSwarm({ inPace, kinds }: Pace): boolean {
  return inPace >= 5 && kinds >= (inPace >= 7 ? 4 : 5);
}

/**
 * Whether ends of blocks agree with messages as long as requests and haves. One such end is chance in one flow of
 * twenty, of all the writes that it is followed for, and a program says one constant again and again: then
 * about as many blocks must have been asked for as have come, but for those asked for before.
 */
export function areBlocksAskedFor(blocks: number, hasHeader: boolean, areAsked: boolean): boolean {
  return blocks > 1 || (blocks > 0 && (hasHeader || areAsked));
}

/**
 * Whether they do where several flows of a host have as much. Screens of 12 000 bytes are chunks too:
 * a `have`'s length, or chunks by themselves, must have been seen.
 */
export function areBlocksOfSwarm(blocks: number, chunks: number, areChunks: boolean): boolean {
  return blocks >= BLOCKS_ALONE - 2 || (chunks >= MOST_CHUNKS && areChunks);
}
