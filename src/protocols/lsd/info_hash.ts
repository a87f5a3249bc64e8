/** Info-hashes of local service discovery. Spec: BEP 14. */
import { latin1 } from "../client_name.ts";
import { INFO_HASH_DIGITS } from "../info_hash.ts";
import { findInfoHash } from "./detect.ts";

/** The first `Infohash` header's value, in lower case, or null. */
export function lsdInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  const digits = findInfoHash(bytes, start, end);
  return digits < 0 ? null : latin1(bytes, digits, INFO_HASH_DIGITS).toLowerCase();
}
