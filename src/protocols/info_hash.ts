/** Info-hashes as text: 20 bytes (SHA-1; of BEP 52's 32 the first 20) in hexadecimal. */

/** Bytes of an info-hash. */
export const INFO_HASH_LENGTH = 20;
/** Digits of one in text. */
export const INFO_HASH_DIGITS = 2 * INFO_HASH_LENGTH;

/** The 20 bytes at `at` as 40 lower-case digits, or null where `end` cuts them. */
export function infoHashAt(bytes: Uint8Array, at: number, end: number): string | null {
  if (at < 0 || end - at < INFO_HASH_LENGTH) return null;
  return bytes.subarray(at, at + INFO_HASH_LENGTH).toHex();
}
