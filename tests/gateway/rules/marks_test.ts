import assert from "node:assert/strict";
import fc from "fast-check";
import { UsageError } from "../../../src/errors.ts";
import { hex, marksOf, newSeal } from "../../../src/gateway/rules/marks.ts";

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
    assert.equal(marks.sealedClear & marks.mask, marks.clear);
    assert.equal(marks.sealedDrop & marks.mask, marks.drop);
    assert.equal(marks.sealedPass & marks.mask, marks.mask);
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

Deno.test("newSeal() takes bits outside of the mask, and what no foreign mark has", () => {
  const foreign = [0x6d6f_6c65, 0x0004_0000, 0x0000_00ff];
  fc.assert(fc.property(fc.nat(31), fc.nat(31), (one, other) => {
    if (one === other) return;
    const mask = (1 << one) | (1 << other);
    const { bits, value } = newSeal(mask, foreign);
    assert.equal(bits & mask, 0);
    assert.equal(value & ~bits, 0);
    assert.notEqual(value, 0);
    for (const mark of foreign) assert.notEqual(mark & bits, value);
  }));
});

Deno.test("newSeal() spares the bits that others use, as long as there are enough", () => {
  const { bits } = newSeal(0x3000_0000, [0x0004_0000, 0x00ff_0000, 0x0000_00ff]);
  assert.equal(bits & 0x30ff_00ff, 0);
});

Deno.test("newSeal() is another one each time", () => {
  const seals = new Set(Array.from({ length: 100 }, () => newSeal(0x3000_0000, []).value));
  assert(seals.size > 50, `${seals.size}`);
});
