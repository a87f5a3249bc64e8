/** Literal bytes and addresses for the tests of this directory. */
import { parseAddress } from "../../src/packet/address.ts";

/** Bytes of hexadecimal digits; blanks do not count. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(/\s/g, "");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function hex(data: Uint8Array): string {
  return [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Four words of an address that is one. */
export function address(text: string): Int32Array {
  const words = parseAddress(text);
  if (words === null) throw new RangeError(`Not an address: ${text}`);
  return words;
}

/** Source and destination, as in `Packet.address`. */
export function addressPair(source: string, destination: string): Int32Array {
  return Int32Array.of(...address(source), ...address(destination));
}
