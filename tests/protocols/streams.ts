/** Shared by the tests of stream detectors: rows of bytes and answers, and their properties. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isMatch, NEED_MORE, type StreamAnswer } from "../../src/protocols/match.ts";
import { join, readsOnlyItsRange } from "./datagrams.ts";

export type StreamDetector = (bytes: Uint8Array, start: number, end: number) => StreamAnswer;

/** An answer in one word: the match's reason, "more", or "no". */
export function inWords(answer: StreamAnswer): string {
  return isMatch(answer) ? answer.reason : answer === NEED_MORE ? "more" : "no";
}

export interface StreamCase {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** {@link inWords} of the answer. */
  readonly expected: string;
}

/** One test a row. */
export function testTable(
  detectorName: string,
  detector: StreamDetector,
  rows: readonly StreamCase[],
): void {
  for (const { name, bytes, expected } of rows) {
    Deno.test(`${detectorName}() ${name}`, () => {
      assert.equal(inWords(readsOnlyItsRange(detector, bytes)), expected);
    });
  }
}

/** The properties that every stream detector has, over its own positives. */
export function testProperties(
  detectorName: string,
  detector: StreamDetector,
  positives: readonly Uint8Array[],
): void {
  Deno.test(`${detectorName}() finds a positive that arrives in any pieces`, () => {
    // Whatever the pieces, the detector is asked about prefixes of one stream, one after another:
    // up to the first that matches, none may be a "no".
    for (const positive of positives) {
      let length = 1;
      for (; length <= positive.length; length++) {
        const answer = detector(positive, 0, length);
        if (isMatch(answer)) break;
        assert.equal(answer, NEED_MORE, `no at ${length} of ${positive.length} bytes`);
      }
      assert.ok(length <= positive.length, "never found");
    }
  });

  Deno.test(`${detectorName}() never looks past the end of a cut positive`, () => {
    for (const positive of positives) {
      for (let cut = 0; cut < positive.length; cut++) {
        // What completes the match is there, just behind the end.
        readsOnlyItsRange(detector, positive.slice(0, cut), undefined, positive.slice(cut));
      }
    }
  });

  Deno.test(`${detectorName}() survives every single-bit change`, () => {
    for (const positive of positives) {
      for (let bit = 0; bit < positive.length * 8; bit++) {
        const changed = positive.slice();
        changed[bit >> 3] ^= 1 << (bit & 7);
        detector(changed, 0, changed.length);
      }
    }
  });

  Deno.test(`${detectorName}() survives any bytes behind any part of a positive`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(new Uint8Array(0), ...positives),
        fc.nat(600),
        fc.uint8Array({ maxLength: 300 }),
        (positive, cut, tail) => {
          readsOnlyItsRange(detector, join(positive.slice(0, cut), tail), undefined, positive);
        },
      ),
      { numRuns: 300 },
    );
  });
}
