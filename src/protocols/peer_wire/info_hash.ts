/** The info-hash of a handshake. Spec: BEP 3. */
import { startsWith } from "../../packet/bytes.ts";
import { infoHashAt } from "../info_hash.ts";
import { HANDSHAKE } from "../signatures.ts";
import { INFO_HASH } from "./detect.ts";

/** The info-hash of the handshake at `start`, or null where none stands there. */
export function handshakeInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  return startsWith(bytes, start, end, HANDSHAKE)
    ? infoHashAt(bytes, start + INFO_HASH, end)
    : null;
}
