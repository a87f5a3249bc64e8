/**
 * What can be said of a datagram whose end was not recorded. The rules for whole ones ask for lengths
 * and for what stands at the end; these ask for more of the beginning, and are asked only where
 * something is missing.
 */
import { ascii, startsWith } from "../packet/bytes.ts";
import { detectCutDht } from "./dht/detect_cut.ts";
import { type Match, match } from "./match.ts";
import { detectCutAnnounce } from "./udp_tracker/detect.ts";

const LSD = match("lsd", "announce", "proof", "local announce, cut");
const LSD_REQUEST_LINE = ascii("BT-SEARCH * HTTP/1.1\r\n"); // BEP 14

/** @param wireLength the whole payload's length; `[start, end)` is its beginning */
export function detectCutDatagram(
  bytes: Uint8Array,
  start: number,
  end: number,
  wireLength: number,
): Match | null {
  const found = detectCutDht(bytes, start, end) ??
    detectCutAnnounce(bytes, start, end, wireLength);
  return found ?? (startsWith(bytes, start, end, LSD_REQUEST_LINE) ? LSD : null);
}
