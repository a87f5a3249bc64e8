import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { formatAddress, formatEndpoint, parseAddress } from "../../src/packet/address.ts";

const texts = [
  ["10.9.1.2", "10.9.1.2"],
  ["255.255.255.255", "255.255.255.255"],
  ["::1", "::1"],
  ["::", "::"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // RFC 5952, section 4.2.3
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // section 4.2.2
  ["fe80::1:2:3", "fe80::1:2:3"],
  ["::ffff:192.0.2.1", "192.0.2.1"], // mapped: the form of keys in the kernel
] as const;
for (const [text, expected] of texts) {
  Deno.test(`parseAddress() and formatAddress() ${text}`, () => {
    assert.equal(formatAddress(parseAddress(text)!, 0), expected);
  });
}

for (
  const text of [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4/8",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "fe80::1%eth0",
    "1:2:3:4:5:6:7::8:9",
    "1.2.3.4::1",
    "1:1.2.3.4::",
  ]
) {
  Deno.test(`parseAddress() refuses "${text}"`, () => assert.equal(parseAddress(text), null));
}

Deno.test("formatAddress() is read back by parseAddress()", () => {
  fc.assert(fc.property(fc.array(fc.integer(), { minLength: 4, maxLength: 4 }), (numbers) => {
    const words = Int32Array.from(numbers);
    assert.deepEqual(parseAddress(formatAddress(words, 0)), words);
  }));
});

Deno.test("parseAddress() takes what Node.js takes for an address, without a zone", () => {
  const part = fc.constantFrom(
    ...[
      "",
      "0",
      "01",
      "1",
      "255",
      "256",
      "a",
      "ffff",
      "10000",
      "g",
      "1.2.3.4",
      ":",
      "::",
      ".",
      " ",
    ],
  );
  const texts = fc.array(fc.tuple(part, fc.constantFrom(":", ".", "::", "")), { maxLength: 10 })
    .map((parts) => parts.flat().join(""));
  fc.assert(
    fc.property(texts, (text) => assert.equal(parseAddress(text) !== null, isIP(text) !== 0, text)),
    { numRuns: 5_000 },
  );
});

Deno.test("formatEndpoint() puts IPv6 in brackets", () => {
  assert.equal(formatEndpoint("2001:db8::1", 53), "[2001:db8::1]:53");
  assert.equal(formatEndpoint("10.0.0.1", 53), "10.0.0.1:53");
});
