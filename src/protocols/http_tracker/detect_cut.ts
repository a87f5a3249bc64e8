/**
 * A tracker request of which the end is missing: a recorder's snapshot length. Its path and the first
 * key of its query are there, the headers are not.
 */
import { CUT_LINE, percentDecodedLength, readHead } from "../http.ts";
import { type Match, match } from "../match.ts";
import { Query } from "../query.ts";
import { PrefixSet, WordSet } from "../word_set.ts";

const CUT_REQUEST = match("http-tracker", "cut-request", "proof", "tracker request, cut");

const TRACKER_SEGMENT = new PrefixSet(["announce", "scrape"]);
const INFO_HASH = new WordSet(["info_hash"]);
const HASH_LENGTH = 20;
const query = new Query();

/** A request line that `end` cuts: `GET /announce?info_hash=%12%34…`. */
export function detectCutRequest(bytes: Uint8Array, start: number, end: number): Match | null {
  const head = readHead(bytes, start, end);
  if (head.state !== CUT_LINE || head.isResponse || head.queryStart < 0) return null;
  if (TRACKER_SEGMENT.indexOf(bytes, head.lastSegment, head.pathEnd) < 0) return null;
  for (query.begin(bytes, head); query.next();) {
    if (INFO_HASH.has(bytes, query.key, query.keyLength)) {
      return isHash(bytes, query.value, query.valueEnd, end) ? CUT_REQUEST : null;
    }
  }
  return null;
}

/** Twenty bytes, or as many of them as are there; an escape may be cut itself. */
function isHash(bytes: Uint8Array, value: number, valueEnd: number, end: number): boolean {
  if (valueEnd <= value) return false;
  if (valueEnd < end) return percentDecodedLength(bytes, value, valueEnd) === HASH_LENGTH;
  return valueEnd - value <= 3 * HASH_LENGTH;
}
