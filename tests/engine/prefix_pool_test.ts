import assert from "node:assert/strict";
import fc from "fast-check";
import { PREFIX_LENGTH, PrefixPool } from "../../src/engine/prefix_pool.ts";

const stream = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31 + (i >> 8)) & 255);

function inOrder(pool: PrefixPool, index: number): Uint8Array {
  const start = pool.start(index);
  return pool.bytes.subarray(start, start + pool.length(index));
}

Deno.test("PrefixPool puts any segmentation in any order back together", () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 399 }), { maxLength: 60 });
  fc.assert(fc.property(cuts, fc.integer({ min: 1 }), (points, seed) => {
    const pool = new PrefixPool(2);
    const words = new Int32Array(4);
    const index = pool.take(words, 1);
    const edges = [0, ...points.sort((a, b) => a - b), 400];
    const segments = edges.slice(1).map((end, i) => ({ from: edges[i], end }));
    let random = seed;
    segments.sort(() => (random = Math.imul(random, 1103515245) + 12345 | 0) < 0 ? -1 : 1);
    for (const { from, end } of segments) {
      pool.write(index, from, stream, from, end);
      pool.write(index, from, stream, from, end); // sent again
    }
    assert.deepEqual(inOrder(pool, index), stream.subarray(0, 400));
  }));
});

Deno.test("PrefixPool keeps the first copy of bytes sent twice", () => {
  const pool = new PrefixPool(1);
  const index = pool.take(new Int32Array(1), 0);
  const other = new Uint8Array(100).fill(255);
  pool.write(index, 10, stream, 10, 20);
  pool.write(index, 5, other, 0, 20); // overlaps 10…20
  pool.write(index, 0, stream, 0, 5);
  assert.deepEqual(inOrder(pool, index).subarray(10, 20), stream.subarray(10, 20));
  assert.equal(pool.length(index), 25);
});

Deno.test("PrefixPool cuts off what lies beyond its length", () => {
  const pool = new PrefixPool(1);
  const index = pool.take(new Int32Array(1), 0);
  assert.equal(pool.write(index, 0, stream, 0, 5000), true);
  assert.equal(pool.length(index), PREFIX_LENGTH);
  assert.equal(pool.write(index, PREFIX_LENGTH, stream, 0, 10), false);
});

Deno.test("PrefixPool takes the oldest buffer over when all are in use, and says so to its owner", () => {
  const pool = new PrefixPool(2);
  const words = new Int32Array(3);
  const first = pool.take(words, 0);
  pool.take(words, 1);
  assert.equal(pool.take(words, 2), first);
  assert.deepEqual([...words], [0, 2, 1]);
  pool.release(words, 2);
  pool.release(words, 2);
  assert.equal(pool.used, 1);
});

Deno.test("PrefixPool takes over the one taken longest ago, whatever was given back before", () => {
  const pool = new PrefixPool(3);
  const words = new Int32Array(16);
  for (const reference of [0, 1, 2]) pool.take(words, reference);
  pool.release(words, 0);
  pool.take(words, 3); // gets the buffer that 0 had, and is the newest
  pool.take(words, 4); // 1 is the oldest
  assert.deepEqual([...words.subarray(0, 5)].map((word) => word > 0), [
    ...[false, false, true, true, true],
  ]);
  // Against a list: any order of taking and giving back.
  const steps = fc.array(fc.integer({ min: 0, max: 15 }), { maxLength: 200 });
  fc.assert(fc.property(steps, (references) => {
    const pool = new PrefixPool(4);
    const words = new Int32Array(16);
    let taken: number[] = [];
    for (const reference of references) {
      if (taken.includes(reference)) {
        pool.release(words, reference);
        taken = taken.filter((one) => one !== reference);
      } else {
        pool.take(words, reference);
        taken = [...taken, reference].slice(-4);
      }
      const held = [...words.keys()].filter((at) => words[at] !== 0);
      assert.deepEqual(held, taken.toSorted((a, b) => a - b));
      assert.equal(pool.used, taken.length);
    }
  }));
});
