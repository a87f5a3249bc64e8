import assert from "node:assert/strict";
import fc from "fast-check";
import {
  findKey,
  integerAt,
  skipElement,
  stringLength,
  stringStart,
} from "../../src/protocols/bencode.ts";
import { join, latin1, readsOnlyItsRange } from "./datagrams.ts";

// Examples of BEP 3, "bencoding", and what comes near them. Length: bytes consumed, -1 malformed.
const elements: readonly (readonly [string, number])[] = [
  ["4:spam", 6],
  ["0:", 2],
  ["i3e", 3],
  ["i-3e", 4],
  ["i0e", 3],
  ["i18446744073709551615e", 22],
  ["le", 2],
  ["l4:spam4:eggse", 14],
  ["de", 2],
  ["d3:cow3:moo4:spam4:eggse", 24],
  ["d4:spaml1:a1:bee", 16],
  ["d2:zz1:x1:ai1ee", 15], // unsorted keys: clients are careless
  ["4:spamtail", 6],
  ["i3etail", 3],
  ["ld1:ai1eedee", 12],
  ["", -1],
  ["e", -1],
  ["4:spa", -1],
  ["4spam", -1],
  [":spam", -1],
  ["04:spam", -1],
  ["00:", -1],
  ["-1:a", -1],
  ["99999999:a", -1],
  ["4294967297:a", -1], // 2^32 + 1: no wrap to 1
  ["18446744073709551617:a", -1],
  ["i03e", -1],
  ["i-0e", -1],
  ["i-e", -1],
  ["ie", -1],
  ["i3", -1],
  ["i3.5e", -1],
  ["i 3e", -1],
  ["i+3e", -1],
  ["i184467440737095516150e", -1],
  ["l4:spam", -1],
  ["d3:cow3:moo", -1],
  ["d3:cowe", -1], // a key without a value
  ["di1e3:mooe", -1], // a key that is no string
  ["dlee", -1],
  ["x", -1],
  ["l" + "x" + "e", -1],
];
for (const [text, length] of elements) {
  Deno.test(`skipElement() of "${text}" is ${length}`, () => {
    const read = (bytes: Uint8Array, start: number, end: number) => {
      const after = skipElement(bytes, start, end);
      return after < 0 ? -1 : after - start;
    };
    assert.equal(readsOnlyItsRange(read, latin1(text)), length);
  });
}

Deno.test("skipElement() nests 16 deep and no deeper", () => {
  for (const [open, close] of [["l", "e"], ["d1:a", "e"]]) {
    const nested = (depth: number) => {
      const inner = open === "l" ? "" : "i1e";
      const text = open.repeat(depth) + inner + close.repeat(depth);
      return skipElement(latin1(text), 0, text.length);
    };
    assert.ok(nested(16) > 0);
    assert.equal(nested(17), -1);
  }
  const endless = latin1("l".repeat(1_000_000));
  assert.equal(skipElement(endless, 0, endless.length), -1);
});

Deno.test("findKey() finds values of any place and type", () => {
  const text = "d2:aai-7e1:bd1:ci5ee1:cl1:xe1:a3:xyze";
  const bytes = latin1(text);
  const at = (key: string) => findKey(bytes, 0, bytes.length, latin1(key));
  assert.equal(integerAt(bytes, at("aa"), bytes.length), -7);
  assert.equal(text.slice(at("c")), "l1:xe1:a3:xyze"); // the outer one
  assert.equal(stringLength(bytes, at("a"), bytes.length), 3);
  assert.equal(text.slice(stringStart(bytes, at("a"), bytes.length)), "xyze");
  assert.equal(at("d"), -1);
  assert.equal(at("aaa"), -1);
  const inner = findKey(bytes, at("b"), bytes.length, latin1("c"));
  assert.equal(integerAt(bytes, inner, bytes.length), 5);
});

Deno.test("findKey() of what is no dictionary, or cut, is -1", () => {
  for (const text of ["", "l1:ae", "i1e", "1:a", "d", "d1:a", "d1:b1:x1:a", "d1:b9:x1:a1:ye"]) {
    const bytes = latin1(text);
    assert.equal(findKey(bytes, 0, bytes.length, latin1("a")), -1, text);
  }
  assert.equal(findKey(latin1("d1:a1:xe"), -1, 8, latin1("a")), -1); // position of a missing key
});

Deno.test("integerAt(), stringStart() and stringLength() say what is not there", () => {
  const bytes = latin1("i12e3:abc");
  assert.equal(integerAt(bytes, 0, bytes.length), 12);
  assert.ok(Number.isNaN(integerAt(bytes, 4, bytes.length)));
  assert.ok(Number.isNaN(integerAt(bytes, 0, 3)));
  assert.ok(Number.isNaN(integerAt(bytes, -1, bytes.length)));
  assert.equal(stringStart(bytes, 4, bytes.length), 6);
  assert.equal(stringLength(bytes, 4, bytes.length), 3);
  assert.equal(stringStart(bytes, 4, bytes.length - 1), -1);
  assert.equal(stringLength(bytes, 0, bytes.length), -1);
  assert.equal(stringStart(bytes, -1, bytes.length), -1);
});

type Value = number | Uint8Array | Value[] | { entries: [Uint8Array, Value][] };

function encode(value: Value): Uint8Array {
  if (typeof value === "number") return latin1(`i${value}e`);
  if (value instanceof Uint8Array) return join(latin1(`${value.length}:`), value);
  if (Array.isArray(value)) return join(latin1("l"), ...value.map(encode), latin1("e"));
  const parts = value.entries.flatMap(([key, item]) => [encode(key), encode(item)]);
  return join(latin1("d"), ...parts, latin1("e"));
}

const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.integer(),
    fc.uint8Array({ maxLength: 12 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(fc.uint8Array({ maxLength: 4 }), tie("value")), { maxLength: 4 })
      .map((entries) => ({ entries: entries as [Uint8Array, Value][] })),
  ),
})).value;

Deno.test("property: skipElement() ends where the encoding ends, and finds every cut", () => {
  fc.assert(fc.property(values, fc.nat(), (value, cut) => {
    const bytes = encode(value);
    const end = (b: Uint8Array, start: number, limit: number) =>
      Math.max(-1, skipElement(b, start, limit) - start);
    assert.equal(readsOnlyItsRange(end, bytes), bytes.length);
    const head = bytes.slice(0, cut % bytes.length);
    assert.equal(readsOnlyItsRange(end, head, undefined, bytes.slice(head.length)), -1);
  }));
});

Deno.test("property: any bytes and any positions: no throw, no answer past the end", () => {
  const alphabet = fc.constantFrom(...latin1("dlie0123456789:-ab"));
  fc.assert(
    fc.property(
      fc.array(alphabet, { maxLength: 60 }),
      fc.integer({ min: -1, max: 61 }),
      (list, at) => {
        const bytes = Uint8Array.from(list);
        const end = bytes.length;
        const start = Math.min(at, end);
        assert.ok(start < 0 || skipElement(bytes, start, end) <= end);
        assert.ok(findKey(bytes, start, end, latin1("a")) < Math.max(end, 0) || end === 0);
        assert.ok(stringStart(bytes, start, end) <= end);
        assert.ok(stringLength(bytes, start, end) <= end);
        integerAt(bytes, start, end);
      },
    ),
    { numRuns: 5000 },
  );
});
