/** Fields of encrypted messages, for the page of an analysis. */
import type { FieldList } from "../field_list.ts";
import type { Match } from "../match.ts";
import { addHandshake } from "../peer_wire/fields.ts";
import { findHandshake } from "./detect.ts";

/** MSE and random bytes; with plaintext selected the handshake stands somewhere behind. */
export function encryptedFields(list: FieldList, match: Match, bytes: Uint8Array): void {
  if (match.strength === "proof") {
    const at = findHandshake(bytes, 0, bytes.length);
    if (at >= 0) addHandshake(list, at);
    return;
  }
  list.named(0, bytes.length, "random bytes");
}
