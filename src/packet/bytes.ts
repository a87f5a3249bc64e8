/**
 * Big-endian reads from a byte array. The caller has checked the length: a read past the end of a
 * `Uint8Array` does not fail, it becomes 0 and may match by accident.
 */

/** Unsigned 16-bit number at `at`, network order. */
export function u16be(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** Unsigned 32-bit number at `at`, network order. */
export function u32be(bytes: Uint8Array, at: number): number {
  return i32be(bytes, at) >>> 0;
}

/**
 * The same 32 bits as a signed number, network order. On a 64-bit V8 such a number needs no heap
 * object, so state that is only compared for equality or subtracted (`(a - b) | 0`) is kept so.
 */
export function i32be(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/**
 * The lesser and the greater of two positions. `Math.min` and `Math.max` are compiled for numbers with
 * a fraction: what comes out of them is converted back and forth, and so is what is counted from it.
 */
export function lesser(one: number, other: number): number {
  return one < other ? one : other;
}
export function greater(one: number, other: number): number {
  return one > other ? one : other;
}

/** Whether the bytes of `wanted` stand at `at` and end at or before `end`. */
export function startsWith(
  bytes: Uint8Array,
  at: number,
  end: number,
  wanted: Uint8Array,
): boolean {
  const length = wanted.length;
  if (end - at < length) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

/** Bytes of an ASCII (or Latin-1) string, for constants of the specifications. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
