/** Names of clients in extension handshakes. Spec: BEP 10, "v". */
import { ascii } from "../../packet/bytes.ts";
import { findKey, stringLength, stringStart } from "../bencode.ts";
import { logText, MAX_NAME } from "../client_name.ts";
import { EXTENDED } from "../peer_wire/message.ts";

const KEY_V = ascii("v");
const EXTENSION_PAYLOAD = 6; // u32 length, 20, extended id

/** The key `v` of an extension handshake (BEP 10): any text. */
export function extensionClient(bytes: Uint8Array, start: number, end: number): string | null {
  const dictAt = start + EXTENSION_PAYLOAD;
  if (dictAt >= end || bytes[start + 4] !== EXTENDED || bytes[start + 5] !== 0) return null;
  const value = findKey(bytes, dictAt, end, KEY_V);
  if (value < 0) return null;
  const text = stringStart(bytes, value, end);
  if (text < 0) return null;
  const length = Math.min(stringLength(bytes, value, end), MAX_NAME);
  return logText(bytes, text, text + length) || null;
}
