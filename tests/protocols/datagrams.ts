/** Shared by the tests of UDP detectors: bytes as they stand in specifications, and properties. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Match } from "../../src/protocols/match.ts";

export type Detector = (bytes: Uint8Array, start: number, end: number) => Match | null;

/** Bytes from hexadecimal digits; spaces are ignored. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(" ", "");
  return Uint8Array.from(
    { length: digits.length / 2 },
    (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** Bytes of a string whose characters are bytes (Latin-1), as the BEPs write their examples. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Several pieces side by side. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** The answer for a payload that fills its buffer. */
export function detect(detector: Detector, payload: Uint8Array): Match | null {
  return detector(payload, 0, payload.length);
}

/**
 * Calls `read` with the payload alone in its buffer, and again inside buffers whose other bytes
 * are `before`, `after`, zeros, ones and digits: the answers must be the same.
 */
export function readsOnlyItsRange<T>(
  read: (bytes: Uint8Array, start: number, end: number) => T,
  payload: Uint8Array,
  before: Uint8Array = new Uint8Array(0),
  after: Uint8Array = new Uint8Array(0),
): T {
  const alone = read(payload, 0, payload.length);
  for (const filler of [0x00, 0xff, 0x31, 0x65]) {
    const pad = new Uint8Array(24).fill(filler);
    const buffer = join(pad, before, payload, after, pad);
    const start = pad.length + before.length;
    assert.deepEqual(read(buffer, start, start + payload.length), alone);
  }
  return alone;
}

/**
 * A cut positive is read like the same bytes without what follows them, and matches nothing of
 * proof or strong strength, except where `mayMatch` says that the cut is a whole message.
 */
export function everyCutIsClean(
  detector: Detector,
  positive: Uint8Array,
  mayMatch: (length: number) => boolean = () => false,
): void {
  for (let length = 0; length < positive.length; length++) {
    const head = positive.slice(0, length);
    const found = readsOnlyItsRange(detector, head, undefined, positive.slice(length));
    if (!mayMatch(length)) assert.ok(!decides(found), `cut at ${length}: ${found?.reason}`);
  }
}

/** Flips every bit of a positive in turn; whatever the answer, it does not depend on neighbours. */
export function everyBitFlipIsHarmless(detector: Detector, positive: Uint8Array): void {
  for (let bit = 0; bit < positive.length * 8; bit++) {
    const changed = positive.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    readsOnlyItsRange(detector, changed);
  }
}

/** Any bytes: no throw, nothing read beyond the range. */
export function anyBytesAreHarmless(detector: Detector, beginnings: readonly Uint8Array[]): void {
  const begin = fc.constantFrom(new Uint8Array(0), ...beginnings);
  fc.assert(
    fc.property(
      begin,
      fc.nat(200),
      fc.uint8Array({ maxLength: 200 }),
      (positive, cut, tail) => {
        readsOnlyItsRange(detector, join(positive.slice(0, cut), tail), undefined, positive);
      },
    ),
    { numRuns: 500 },
  );
}

/** Whether a match may drop and ban. */
export function decides(found: Match | null): boolean {
  return found !== null && found.strength !== "hint";
}

/** 200 000 unless the environment asks for more (the nightly run: 10 million). */
export function randomPayloadCount(): number {
  return Number(Deno.env.get("RANDOM_PAYLOADS") ?? 200_000);
}

/**
 * Random payloads of 1 to 1500 bytes, from a fixed seed. Half of them get one of `beginnings` first,
 * or pure noise would never pass the first byte.
 */
export function eachRandomPayload(
  count: number,
  beginnings: readonly Uint8Array[],
  check: (bytes: Uint8Array, start: number, end: number) => void,
): void {
  const noise = new Uint8Array(1 << 20);
  let state = 0x2545f491;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let i = 0; i < noise.length; i++) noise[i] = next() >>> 11;
  for (let i = 0; i < count; i++) {
    const length = 1 + next() % 1500;
    const start = next() % (noise.length - 1500);
    const beginning = (i & 1) === 1 && beginnings.length > 0
      ? beginnings[(i >> 1) % beginnings.length].subarray(0, length)
      : new Uint8Array(0);
    const covered = noise.slice(start, start + beginning.length);
    noise.set(beginning, start);
    check(noise, start, start + length);
    noise.set(covered, start); // or the noise would fill with beginnings
    noise[start + next() % length] = next() >>> 11;
  }
}
