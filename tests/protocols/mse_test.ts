import assert from "node:assert/strict";
import fc from "fast-check";
import {
  entropy,
  findHandshake,
  hasLengthPrefix,
  isKeyRandom,
  isNoKey,
  isTlsRecord,
  looksRandom,
} from "../../src/protocols/mse/detect.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

Deno.test("looksRandom() misses at most 1 in 1000 random openings of 96 to 608 bytes", () => {
  let missed = 0;
  for (let i = 0; i < 10_000; i++) {
    const bytes = random(96 + (i % 513));
    if (!looksRandom(bytes, 0, bytes.length)) missed++;
  }
  assert.ok(missed <= 10, `${missed} of 10000`);
});

const regular: readonly (readonly [string, Uint8Array])[] = [
  ["text", encode("The quick brown fox jumps over the lazy dog. ".repeat(5))],
  ["base64", encode(btoa(String.fromCharCode(...random(150))))],
  ["zeros", new Uint8Array(200)],
  ["a counter", Uint8Array.from({ length: 300 }, (_, i) => i >> 1)],
  ["random bytes below 128", random(300).map((byte) => byte & 127)],
  [
    "random with a readable header",
    Uint8Array.of(...encode("HELLO my-protocol/1.0 "), ...random(200)),
  ],
  ["records of 4 random and 4 zero bytes", random(320).map((byte, i) => (i & 4) ? 0 : byte)],
  ["bits that are mostly set", random(300).map((byte, i) => byte | (i & 1 ? 0x11 : 0x88))],
];
for (const [name, bytes] of regular) {
  Deno.test(`looksRandom() is false for ${name}`, () => {
    assert.equal(looksRandom(bytes, 0, bytes.length), false);
  });
}

Deno.test("isNoKey() says of a beginning that no key begins so, and of no key's", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 95 }), fc.nat(), (bytes, seed) => {
    const key = new Uint8Array(96);
    for (let i = 0; i < key.length; i++) key[i] = Math.imul(seed + i, 0x9e37_79b1) >>> 24;
    key.set(bytes);
    if (isNoKey(bytes, 0, bytes.length)) assert.equal(isKeyRandom(key, 0, key.length), false);
  }));
  assert.equal(isNoKey(Uint8Array.of(1, 0, 0, 0, 0, 2), 0, 6), true);
  assert.equal(isNoKey(Uint8Array.of(1, 0, 0, 0, 2, 0), 0, 6), false);
  const far = random(300).map((byte, i) => i < 96 ? (byte & ~1) | (i & 1) : 0);
  assert.equal(isNoKey(far, 0, far.length), false, "behind the key there may be anything");
});

Deno.test("hasLengthPrefix() knows a length of 16 or 32 bits in either order, with or without itself", () => {
  const body = random(300);
  for (const prefix of [[1, 44], [44, 1], [1, 46], [0, 0, 1, 44], [44, 1, 0, 0], [0, 0, 1, 48]]) {
    const bytes = Uint8Array.of(...prefix, ...body);
    assert.equal(hasLengthPrefix(bytes, 0, bytes.length), true, prefix.join());
  }
  const none = Uint8Array.of(9, 9, 9, 9, ...body);
  assert.equal(hasLengthPrefix(none, 0, none.length), false);
});

Deno.test("isTlsRecord() knows a record header (RFC 8446, section 5.1)", () => {
  const record = Uint8Array.of(0x17, 3, 3, 0x10, 0, 1, 2);
  assert.equal(isTlsRecord(record, 0, 7), true);
  assert.equal(isTlsRecord(Uint8Array.of(0x17, 3, 3, 0xff, 0), 0, 5), false);
});

Deno.test("findHandshake() finds it at any offset, whole only", () => {
  const handshake = encode("\x13BitTorrent protocol");
  for (const offset of [0, 1, 96, 1300]) {
    const bytes = Uint8Array.of(...new Uint8Array(offset), ...handshake, 0, 0);
    assert.equal(findHandshake(bytes, 0, bytes.length), offset);
    assert.equal(findHandshake(bytes, 0, offset + 19), -1);
  }
});

Deno.test("entropy() is 0 for one value, 8 for all values alike", () => {
  assert.equal(entropy(new Uint8Array(100), 0, 100), 0);
  assert.equal(entropy(Uint8Array.from({ length: 1024 }, (_, i) => i), 0, 1024), 8);
});

Deno.test("the tests for randomness never throw and never read past the end", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 700 }), fc.nat(700), (bytes, cut) => {
    const end = Math.min(cut, bytes.length);
    const alone = bytes.slice(0, end);
    assert.equal(looksRandom(bytes, 0, end), looksRandom(alone, 0, end));
    assert.equal(hasLengthPrefix(bytes, 0, end), hasLengthPrefix(alone, 0, end));
    assert.equal(findHandshake(bytes, 0, end), findHandshake(alone, 0, end));
  }));
});
