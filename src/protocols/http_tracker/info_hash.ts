/** Info-hashes in HTTP requests. Spec: BEP 3, BEP 17, BEP 48. */
import { HttpHead, NOT_HTTP, percentDecode, queryKeyEnd, queryValueEnd } from "../http.ts";
import { INFO_HASH_LENGTH, infoHashAt } from "../info_hash.ts";
import { WordSet } from "../word_set.ts";

const QUERY_INFO_HASH = new WordSet(["info_hash"]);
const head = new HttpHead();
const decoded = new Uint8Array(INFO_HASH_LENGTH);

/** The query's first `info_hash` of 20 bytes, or null. */
export function httpInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  if (head.request(bytes, start, end) === NOT_HTTP) return null;
  let at = head.queryStart;
  while (at >= 0 && at < head.targetEnd) {
    const keyEnd = queryKeyEnd(bytes, at, head.targetEnd);
    const next = queryValueEnd(bytes, keyEnd, head.targetEnd);
    if (
      QUERY_INFO_HASH.has(bytes, at, keyEnd - at) &&
      percentDecode(bytes, keyEnd + 1, next, decoded)
    ) return infoHashAt(decoded, 0, decoded.length);
    at = next + 1;
  }
  return null;
}
