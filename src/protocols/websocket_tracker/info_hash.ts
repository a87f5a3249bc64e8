/** Info-hashes in the messages of WebTorrent's trackers. */
import { INFO_HASH_LENGTH } from "../info_hash.ts";
import { websocketText } from "./detect.ts";

const FIELD = /"info_hash"\s*:\s*"((?:[^"\\]|\\.)*)"/;

/** The message's `info_hash`, whose characters are the bytes; null where the text does not show it. */
export function websocketInfoHash(bytes: Uint8Array, start: number, end: number): string | null {
  const field = FIELD.exec(websocketText(bytes, start, end) ?? "")?.[1];
  if (field === undefined) return null;
  try {
    const hash = JSON.parse(
      `"${new TextDecoder().decode(Uint8Array.from(field, (one) => one.charCodeAt(0)))}"`,
    ) as string;
    if (hash.length !== INFO_HASH_LENGTH) return null;
    return Uint8Array.from(hash, (one) => one.charCodeAt(0)).toHex();
  } catch {
    return null; // no JSON text
  }
}
