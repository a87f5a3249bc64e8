/**
 * What undecided flows wait for, read from their records alone: by another thread too, while the
 * engine judges. A flow changes in the middle of it at most into what it is a moment later.
 */
import {
  AWAITED,
  BITTORRENT_FLOW,
  CLEAN_FLOW,
  EMBRYONIC,
  type FlowRecord,
  HINTED,
  HTTP,
  MEASURING,
  MID_STREAM,
  OPENING_JUDGED,
  RULED_OUT,
  SHAPED,
} from "./flow_record.ts";
import { TICK_MS } from "./flow_table.ts";

/** What an undecided flow can wait for, in words for people. */
export const WAIT_WORDS = {
  payload: "the first payload",
  opening: "the rest of an opening",
  answer: "the other side's first payload",
  http: "the next HTTP message",
  random: "enough bytes to tell random ones",
  encrypted: "lengths behind a random beginning",
  "mid-stream": "a message, joined in the middle",
  hint: "what a hint promises (uTP, tracker)",
  budget: "nothing known, until the budget ends",
} as const;
export type Wait = keyof typeof WAIT_WORDS;
export const WAITS = Object.keys(WAIT_WORDS) as readonly Wait[];

/** A flow silent for longer is over, or sleeps: nobody waits. */
const SILENT_TICKS = 60_000 / TICK_MS;

/** A count of nothing. */
export function noWaits(): Record<Wait, number> {
  return Object.fromEntries(WAITS.map((wait) => [wait, 0])) as Record<Wait, number>;
}

/** Adds the flows of a table that are undecided and were seen within the last minute to `counts`. */
export function countUndecided(
  flow: FlowRecord,
  nowTick: number,
  counts: Record<Wait, number>,
): void {
  for (let slot = 0; slot < flow.slots; slot++) {
    const { state, lastTick } = flow.select(slot);
    if (state === 0) return; // slots are given out in order
    if (state === CLEAN_FLOW || state === AWAITED || state === BITTORRENT_FLOW) continue;
    if (((nowTick - lastTick) | 0) <= SILENT_TICKS) counts[waitOf(flow)]++;
  }
}

/** What the undecided flow at hand waits for. */
function waitOf(flow: FlowRecord): Wait {
  if (flow.state === EMBRYONIC) return "payload";
  const isSilent = flow.packets(0) === 0 || flow.packets(1) === 0;
  if (!flow.isTcp) {
    return flow.has(HINTED) ? "hint" : isSilent ? "answer" : "budget";
  }
  if (flow.has(MID_STREAM)) return "mid-stream";
  const mayBeEncrypted = !flow.hasFact(RULED_OUT);
  if (mayBeEncrypted && flow.hasFact(SHAPED)) return "encrypted";
  if (mayBeEncrypted && flow.has(MEASURING * 3)) return "random";
  for (const direction of [0, 1]) {
    if (flow.packets(direction) > 0 && !flow.has(OPENING_JUDGED << direction)) return "opening";
  }
  if (isSilent) return "answer";
  if (flow.has(HTTP * 3)) return "http";
  return mayBeEncrypted ? "encrypted" : "budget";
}
