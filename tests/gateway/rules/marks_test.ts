import assert from "node:assert/strict";
import fc from "fast-check";
import { UsageError } from "../../../src/errors.ts";
import { hex, marksOf } from "../../../src/gateway/rules/marks.ts";

const masks = [
  [0x3000_0000, "0x10000000", "0x20000000"],
  [0xc000_0000, "0x40000000", "0x80000000"],
  [0x8000_0001, "0x1", "0x80000000"],
  [0x0003_0000, "0x10000", "0x20000"],
] as const;

for (const [mask, clear, drop] of masks) {
  Deno.test(`marksOf(${hex(mask)}) takes its two bits`, () => {
    const marks = marksOf(mask);
    assert.equal(hex(marks.clear), clear);
    assert.equal(hex(marks.drop), drop);
    assert.equal(hex(marks.pass), hex(mask));
    assert.equal(hex(marks.mask), hex(mask));
  });
}

for (const mask of [0, 1, 7, 0x8000_0000, 0xffff_ffff, 2 ** 32 + 2, -3, 1.5, NaN]) {
  Deno.test(`marksOf(${mask}) is refused`, () => assert.throws(() => marksOf(mask), UsageError));
}

Deno.test("marksOf() takes any two bits and no other number", () => {
  fc.assert(fc.property(fc.nat(0xffff_ffff), (mask) => {
    const bits = mask.toString(2).replaceAll("0", "").length;
    if (bits !== 2) return assert.throws(() => marksOf(mask), UsageError);
    const { clear, drop } = marksOf(mask);
    assert.equal((clear | drop) >>> 0, mask);
    assert.equal(clear & drop, 0);
  }));
});
