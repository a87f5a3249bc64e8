/** Info-hashes in HTTP requests. Spec: BEP 3, BEP 17, BEP 48. */
import { HttpHead, NOT_HTTP, percentDecode } from "../http.ts";
import { INFO_HASH_LENGTH, infoHashAt } from "../info_hash.ts";
import { Query } from "../query.ts";
import { WordSet } from "../word_set.ts";

const QUERY_INFO_HASH = new WordSet(["info_hash"]);
const head = new HttpHead();
const query = new Query();
const decoded = new Uint8Array(INFO_HASH_LENGTH);

/** The query's first `info_hash` of 20 bytes, or null. */
export function httpInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  if (head.requestLine(bytes, start, end) === NOT_HTTP) return null;
  for (query.begin(bytes, head); query.next();) {
    if (
      QUERY_INFO_HASH.has(bytes, query.key, query.keyLength) &&
      percentDecode(bytes, query.value, query.valueEnd, decoded)
    ) return infoHashAt(decoded, 0, decoded.length);
  }
  return null;
}
