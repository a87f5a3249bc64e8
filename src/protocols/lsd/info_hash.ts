/** Info-hashes of local service discovery. Spec: BEP 14. */
import { latin1 } from "../client_name.ts";

/** BEP 14: a message stays below 1400 bytes. */
const MAX_LENGTH = 2048;
const HEADER = /^infohash:[ \t]*([0-9a-f]{40})[ \t]*\r?$/im;

/** The first `Infohash` header's value, in lower case, or null. */
export function lsdInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  const text = latin1(bytes, start, Math.min(end - start, MAX_LENGTH));
  return HEADER.exec(text)?.[1].toLowerCase() ?? null;
}
