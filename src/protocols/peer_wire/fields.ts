/** Fields of handshakes, for the page of an analysis. Spec: BEP 3. */
import { startsWith } from "../../packet/bytes.ts";
import type { FieldList } from "../field_list.ts";
import { INFO_HASH_DIGITS } from "../info_hash.ts";
import type { Match } from "../match.ts";
import { HANDSHAKE } from "../signatures.ts";
import { tunnelStart } from "../socks/negotiation.ts";
import { sslTorrentName } from "./tls.ts";
import { HANDSHAKE_LENGTH, INFO_HASH, PEER_ID, RESERVED } from "./detect.ts";

const PROTOCOL_NAME = "protocol name (BEP 3: pstr)";

/** BEP 3: the handshake at the beginning, or the part of it that this segment brought. */
export function handshakeFields(list: FieldList, { kind }: Match, bytes: Uint8Array): void {
  const at = tunnelStart(bytes);
  if (kind === "ssl-torrent") return sslTorrentFields(list, bytes, at);
  if (startsWith(bytes, at, bytes.length, HANDSHAKE)) return addHandshake(list, at);
  // The segments before it brought the first bytes, or a copy of this one brought others.
  for (let begun = 0; begun < HANDSHAKE.length; begun++) {
    const length = Math.min(HANDSHAKE.length - begun, bytes.length);
    if (startsWith(bytes, 0, bytes.length, HANDSHAKE.subarray(begun, begun + length))) {
      return addHandshake(list, -begun);
    }
  }
}

function sslTorrentFields(list: FieldList, bytes: Uint8Array, start: number): void {
  const name = sslTorrentName(bytes, start, bytes.length);
  if (name >= 0) list.decisive(name, name + INFO_HASH_DIGITS, "server name (RFC 6066): info_hash");
}

/** All of a handshake that begins at `at`, which may be before the payload. */
export function addHandshake(list: FieldList, at: number): void {
  list.decisive(at, at + HANDSHAKE.length, PROTOCOL_NAME);
  list.named(at + RESERVED, at + INFO_HASH, "extension bits (reserved)");
  list.named(at + INFO_HASH, at + PEER_ID, "info_hash");
  list.named(at + PEER_ID, at + HANDSHAKE_LENGTH, "peer_id");
}
