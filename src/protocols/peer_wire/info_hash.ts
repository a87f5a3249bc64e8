/** The info-hash of a handshake. Spec: BEP 3. */
import { startsWith } from "../../packet/bytes.ts";
import { infoHashAt } from "../info_hash.ts";
import type { Kind } from "../match.ts";
import { HANDSHAKE } from "../signatures.ts";
import { INFO_HASH } from "./detect.ts";
import { sslTorrentHash } from "./tls.ts";

/** The info-hash of the handshake at `start`, or that its TLS names; null where none stands there. */
export function handshakeInfoHash(
  bytes: Uint8Array,
  start: number,
  end: number,
  kind?: Kind,
): string | null {
  if (kind === "ssl-torrent") return sslTorrentHash(bytes, start, end);
  return startsWith(bytes, start, end, HANDSHAKE)
    ? infoHashAt(bytes, start + INFO_HASH, end)
    : null;
}
