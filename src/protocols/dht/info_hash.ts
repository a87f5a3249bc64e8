/** Info-hashes in DHT queries. Spec: BEP 5, get_peers and announce_peer. */
import { ascii } from "../../packet/bytes.ts";
import { findKey, stringLength, stringStart } from "../bencode.ts";
import { INFO_HASH_LENGTH, infoHashAt } from "../info_hash.ts";

const A = ascii("a");
const INFO_HASH = ascii("info_hash");

/** The query's argument `info_hash`, or null. */
export function dhtInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  const value = findKey(bytes, findKey(bytes, start, end, A), end, INFO_HASH);
  if (stringLength(bytes, value, end) !== INFO_HASH_LENGTH) return null;
  return infoHashAt(bytes, stringStart(bytes, value, end), end);
}
