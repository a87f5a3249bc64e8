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
