/** Info-hashes in requests to UDP trackers. Spec: BEP 15, announce and scrape. */
import { infoHashAt } from "../info_hash.ts";
import type { Kind } from "../match.ts";
import { REQUEST_HEADER_LENGTH } from "./detect.ts";

/** Kinds that are requests with an info-hash behind the header. */
const REQUESTS: ReadonlySet<Kind> = new Set<Kind<"udp-tracker">>([
  "announce",
  "announce-by-peer-id",
  "scrape",
]);

/** The announce's info-hash, or the first of a scrape; null in everything else. */
export function udpTrackerInfoHash(
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: Kind,
): string | null {
  return REQUESTS.has(kind) ? infoHashAt(bytes, start + REQUEST_HEADER_LENGTH, end) : null;
}
