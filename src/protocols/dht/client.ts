/** Names of clients in DHT messages. Spec: BEP 5, "v". */
import { ascii } from "../../packet/bytes.ts";
import { findKey, stringLength, stringStart } from "../bencode.ts";
import { clientByCode, latin1 } from "../client_name.ts";

const KEY_V = ascii("v");

/**
 * Codes of the clients that give a version. Not every code of a peer ID: the DHT library of Pkarr and
 * iroh calls itself RS, as a client long gone did there.
 */
const DHT_CODES: ReadonlySet<string> = new Set(
  "AZ BC BI BT DE FD KT LT ML TL TR TX UE UM UT UW WW XL lt qB".split(" "),
);

/** The client that the key `v` of the message names, or null. */
export function dhtClient(bytes: Uint8Array, start: number, end: number): string | null {
  const value = findKey(bytes, start, end, KEY_V);
  if (value < 0) return null;
  const text = stringStart(bytes, value, end);
  return text < 0 ? null : clientFromDhtVersion(bytes, text, stringLength(bytes, value, end));
}

/**
 * The client named by the key `v` of a DHT message, `length` bytes at `at`: two letters as in an
 * Azureus-style peer ID and a version of two bytes, or null.
 */
export function clientFromDhtVersion(
  bytes: Uint8Array,
  at: number,
  length: number,
): string | null {
  if (length < 2) return null;
  const code = latin1(bytes, at, 2);
  if (!DHT_CODES.has(code)) return null;
  const name = clientByCode(code);
  if (name === null) return null;
  if (length < 4) return name;
  const high = bytes[at + 2];
  const low = bytes[at + 3];
  switch (code) {
    case "UT": // build number
    case "UM":
    case "UW":
    case "BT":
      return `${name} (build ${high * 256 + low})`;
    case "LT": // major, minor; one byte 0x20 once meant 2.0
      return high >= 16 ? `${name} ${high >> 4}.${high & 15}` : `${name} ${high}.${low}`;
    case "lt": // minor, patch of 0.x
      return `${name} 0.${high}.${low >> 4}`;
    case "TR":
      return high === 0 ? name : `${name} ${high}.${low}`;
    default:
      return name;
  }
}
