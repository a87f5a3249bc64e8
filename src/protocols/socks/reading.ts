import { lineEnd } from "../http.ts";

/** What readers of negotiations answer beside a position behind one, and what they share. */
export const NONE = -1;
/** It may be one, and goes on past the end. */
export const CUT = -2;

/** Whether `[at, end)` begins with the word, or is the beginning of it. */
export function mayBegin(bytes: Uint8Array, at: number, end: number, word: Uint8Array): boolean {
  const length = Math.min(end - at, word.length);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

/** Position behind the line that begins with the word. */
export function lineBehind(bytes: Uint8Array, at: number, end: number, word: Uint8Array): number {
  if (!mayBegin(bytes, at, end, word)) return NONE;
  return behindLine(bytes, at + word.length, end);
}

/** Position behind the line feed, or CUT. */
export function behindLine(bytes: Uint8Array, at: number, end: number): number {
  const behind = lineEnd(bytes, at, end);
  return behind < 0 ? CUT : behind;
}
