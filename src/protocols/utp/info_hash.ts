/** The info-hash of a handshake that uTP carries. Spec: BEP 29, BEP 3. */
import { handshakeInfoHash } from "../peer_wire/info_hash.ts";
import { utpHeaderEnd } from "./detect.ts";

/** The info-hash of the handshake that the packet's payload begins with, or null. */
export function utpInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  const payload = utpHeaderEnd(bytes, start, end);
  return payload < 0 ? null : handshakeInfoHash(bytes, payload, end);
}
