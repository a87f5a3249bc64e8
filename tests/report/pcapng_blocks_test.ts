import assert from "node:assert/strict";
import fc from "fast-check";
import {
  interfaceDescription,
  isSectionOf,
  packetBlock,
  sectionHeader,
} from "../../src/report/pcapng_blocks.ts";
import { optionOf, readCapture } from "./pcapng_fixture.ts";

function hex(text: string): string {
  return text.replaceAll(/\s/g, "");
}

// Typed from draft-ietf-opsawg-pcapng, sections 4.1 to 4.3.
const rows: readonly (readonly [string, Uint8Array, string])[] = [
  [
    "a section of an application",
    sectionHeader("ab 1"),
    "0a0d0d0a 28000000 4d3c2b1a 0100 0000 ffffffffffffffff " +
    "0400 0400 61622031 0000 0000 28000000",
  ],
  [
    "an interface of raw packets",
    interfaceDescription(0x1080),
    "01000000 14000000 6500 0000 80100000 14000000",
  ],
  [
    "a packet that was cut, with a comment", // 2024-01-15 18:35:13.123456 UTC: 0x60f00463d9c80 µs
    packetBlock({
      timeMs: 1_705_343_713_123.456,
      bytes: Uint8Array.of(0x45, 0, 1, 2, 3),
      length: 1500,
      comment: "dht",
    }),
    "06000000 34000000 00000000 000f0600 809c3d46 05000000 dc050000 4500010203000000 " +
    "0100 0300 64687400 0000 0000 34000000",
  ],
  [
    "a packet without bytes, time and comment",
    packetBlock({ timeMs: NaN, bytes: new Uint8Array(0), length: 0, comment: "" }),
    "06000000 20000000 00000000 00000000 00000000 00000000 00000000 20000000",
  ],
];

for (const [name, block, expected] of rows) {
  Deno.test(`pcapng: ${name}`, () => assert.equal(block.toHex(), hex(expected)));
}

const packets = fc.record({
  timeMs: fc.integer({ min: 0, max: 2 ** 41 }),
  bytes: fc.uint8Array({ maxLength: 300 }),
  length: fc.integer({ min: 0, max: 70_000 }),
  comment: fc.string({ unit: "grapheme", maxLength: 100 }),
});

Deno.test("pcapng: any packets, in any sections, are read back as they were written", () => {
  fc.assert(fc.property(fc.array(fc.array(packets)), (sections) => {
    const blocks = sections.flatMap((section) => [
      sectionHeader("x"),
      interfaceDescription(300),
      ...section.map(packetBlock),
    ]);
    if (blocks.length === 0) return;
    const file = Uint8Array.from(blocks.flatMap((block) => [...block]));
    assert.deepEqual(readCapture(file), {
      packets: sections.flat().map(({ bytes, timeMs, length }) => {
        return { hex: bytes.toHex(), linkType: 101, timeMs, length };
      }),
      problem: null,
    });
  }));
});

Deno.test("pcapng: any comment is read back; one that is too long ends before a character", () => {
  const empty = { timeMs: 0, bytes: new Uint8Array(0), length: 0 };
  fc.assert(fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (comment) => {
    assert.equal(optionOf(packetBlock({ ...empty, comment }), 28, 1), comment);
  }));
  for (const shift of ["", "a", "ab"]) {
    const long = shift + "€".repeat(30_000); // three bytes each
    const kept = optionOf(packetBlock({ ...empty, comment: long }), 28, 1)!;
    assert.ok(long.startsWith(kept));
    const { length } = new TextEncoder().encode(kept);
    assert.ok(length <= 65_535 && length > 65_532, `${length}`);
  }
});

Deno.test("isSectionOf() knows its application's sections, of any version", () => {
  assert.ok(isSectionOf("btblocker", sectionHeader("btblocker 1.2.3")));
  const long = new Uint8Array(500);
  long.set(sectionHeader("btblocker 9"));
  assert.ok(isSectionOf("btblocker", long));
  for (
    const stranger of [
      sectionHeader("Dumpcap (Wireshark) 4.0.17"),
      sectionHeader("btblocke"),
      interfaceDescription(96),
      new TextEncoder().encode("a text about btblocker that is long enough for a header"),
      new Uint8Array(0),
    ]
  ) assert.ok(!isSectionOf("btblocker", stranger));
});
