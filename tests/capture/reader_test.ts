import assert from "node:assert/strict";
import fc from "fast-check";
import { MemorySource } from "../../src/capture/byte_source.ts";
import { CaptureReader, NotACaptureError } from "../../src/capture/reader.ts";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(/\s/g, ""));
}

interface Read {
  frames: { hex: string; linkType: number; timeMs: number; wireLength: number }[];
  problem: string | null;
  isDamaged: boolean;
}

/** Reads a capture that arrives in pieces of `chunk` bytes. */
function read(capture: Uint8Array, chunk = capture.length || 1): Read {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < capture.length; at += chunk) chunks.push(capture.subarray(at, at + chunk));
  using reader = CaptureReader.from(new MemorySource(chunks));
  const frames: Read["frames"] = [];
  while (reader.next()) {
    assert.equal(reader.frameNumber, frames.length + 1);
    frames.push({
      hex: reader.bytes.slice(reader.start, reader.end).toHex(),
      linkType: reader.linkType,
      timeMs: reader.timeMs,
      wireLength: reader.wireLength,
    });
  }
  assert.equal(reader.next(), false, "stays at the end");
  return { frames, problem: reader.problem, isDamaged: reader.isDamaged };
}

// Bytes typed from draft-ietf-opsawg-pcap (file header: magic, version 2.4, two zero words, snap
// length, link type; record: seconds, fraction, captured, original) and draft-ietf-opsawg-pcapng.
const TIME_LE = "e17aa565"; // 2024-01-15 18:37:21 UTC
const TIME_BE = "65a57ae1";
const TIME_MS = 1_705_343_713_000;

const PCAP_LE = "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000";
const PCAP_BE = "a1b2c3d4 0002 0004 00000000 00000000 00040000 00000065";
const PCAP_NS = "4d3cb2a1 0200 0400 00000000 00000000 00000400 71000000";
const RECORD_LE = `${TIME_LE} 40e20100 03000000 05000000 aabbcc`; // 123456 µs
const RECORD_BE = `${TIME_BE} 0001e240 00000003 00000005 aabbcc`;

const SECTION_LE = "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000";
const SECTION_BE = "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c";
const ETHERNET_LE = "01000000 14000000 0100 0000 00000400 14000000";
const RAW_BE = "00000001 00000014 0065 0000 00000000 00000014";
/** Cooked, nanoseconds (if_tsresol 9), one hour later (if_tsoffset 3600). */
const COOKED_NS_LE = "01000000 2c000000 7100 0000 00000400 " +
  "0900 0100 09000000 0e00 0800 100e000000000000 0000 0000 2c000000";
/** The same time in the units of pcapng, which has it in two halves, the high one first. */
const MICROS = BigInt(TIME_MS) * 1000n + 123_456n;
const NANOS = MICROS * 1000n;

function le32(value: bigint | number): string {
  return Array.from({ length: 4 }, (_, at) => Number((BigInt(value) >> BigInt(8 * at)) & 0xffn))
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function be32(value: bigint | number): string {
  return (BigInt(value) & 0xffff_ffffn).toString(16).padStart(8, "0");
}

/** Enhanced packet block of interface `id` with the payload aabbcc, 5 bytes on the wire. */
function enhanced(id: number, units: bigint): string {
  return `06000000 24000000 ${le32(id)} ${le32(units >> 32n)} ${le32(units)} 03000000 05000000 ` +
    "aabbcc00 24000000";
}

const rows: readonly (readonly [string, string, Partial<Read["frames"][number]>[]])[] = [
  ["pcap, microseconds, little endian", PCAP_LE + RECORD_LE, [{
    hex: "aabbcc",
    linkType: 1,
    timeMs: TIME_MS + 123.456,
    wireLength: 5,
  }]],
  ["pcap, microseconds, big endian", PCAP_BE + RECORD_BE, [{
    hex: "aabbcc",
    linkType: 101,
    timeMs: TIME_MS + 123.456,
    wireLength: 5,
  }]],
  ["pcap, nanoseconds", `${PCAP_NS} ${TIME_LE} 00e9a435 00000000 01000000`, [{
    hex: "",
    linkType: 113,
    timeMs: TIME_MS + 900,
    wireLength: 1,
  }]],
  [
    "pcap, link type with a frame check sequence's length above it",
    `d4c3b2a1 0200 0400 00000000 00000000 00000400 01000024 ${RECORD_LE}`,
    [{ hex: "aabbcc", linkType: 1 }],
  ],
  [
    "pcap of Kuznetzov's libpcap, longer record headers",
    `34cdb2a1 0200 0400 00000000 00000000 00000400 01000000 ` +
    `${TIME_LE} 40e20100 03000000 05000000 02000000 0008 00 00 aabbcc`,
    [{ hex: "aabbcc", wireLength: 5 }],
  ],
  [
    "pcap of version 2.0, lengths the other way round",
    `d4c3b2a1 0200 0000 00000000 00000000 00000400 01000000 ` +
    `${TIME_LE} 40e20100 05000000 03000000 aabbcc`,
    [{ hex: "aabbcc", wireLength: 5 }],
  ],
  ["pcap without packets", PCAP_LE, []],
  ["pcapng, enhanced packet", SECTION_LE + ETHERNET_LE + enhanced(0, MICROS), [{
    hex: "aabbcc",
    linkType: 1,
    timeMs: TIME_MS + 123.456,
    wireLength: 5,
  }]],
  [
    "pcapng, two interfaces of other types and clocks",
    SECTION_LE + ETHERNET_LE + COOKED_NS_LE + enhanced(1, NANOS) + enhanced(0, MICROS),
    [
      { hex: "aabbcc", linkType: 113, timeMs: TIME_MS + 123.456 + 3_600_000 },
      { hex: "aabbcc", linkType: 1, timeMs: TIME_MS + 123.456 },
    ],
  ],
  [
    "pcapng, big endian, simple and old packet blocks",
    `${SECTION_BE} ${RAW_BE} 00000003 00000014 00000003 aabbcc00 00000014 ` +
    `00000002 00000024 0000 0000 ${be32(MICROS >> 32n)} ${be32(MICROS)} 00000003 00000005 ` +
    "aabbcc00 00000024",
    [
      { hex: "aabbcc", linkType: 101, wireLength: 3, timeMs: 0 },
      { hex: "aabbcc", linkType: 101, wireLength: 5, timeMs: TIME_MS + 123.456 },
    ],
  ],
  [
    "pcapng, simple packet cut to the snap length",
    `${SECTION_LE} 01000000 14000000 0100 0000 02000000 14000000 ` +
    "03000000 14000000 09000000 aabb0000 14000000",
    [{ hex: "aabb", wireLength: 9 }],
  ],
  [
    "pcapng, unknown blocks between",
    `${SECTION_LE} 05000000 10000000 01020304 10000000 ${ETHERNET_LE} ` +
    `ad0b0000 0c000000 0c000000 ${enhanced(0, MICROS)} 0a000000 0c000000 0c000000`,
    [{ hex: "aabbcc" }],
  ],
  [
    "pcapng, a second section of the other byte order with interfaces of its own",
    SECTION_LE + ETHERNET_LE + enhanced(0, MICROS) + SECTION_BE + RAW_BE +
    "00000003 00000014 00000003 aabbcc00 00000014",
    [{ hex: "aabbcc", linkType: 1 }, { hex: "aabbcc", linkType: 101 }],
  ],
  [
    "pcapng, a time unit of 2^-10 seconds",
    `${SECTION_LE} 01000000 20000000 0100 0000 00000400 0900 0100 8a000000 0000 0000 20000000 ` +
    enhanced(0, 1536n),
    [{ timeMs: 1500 }],
  ],
];

for (const [name, hex, expected] of rows) {
  Deno.test(`CaptureReader reads ${name}`, () => {
    const { frames, problem, isDamaged } = read(bytes(hex));
    assert.equal(problem, null);
    assert.equal(isDamaged, false);
    assert.equal(frames.length, expected.length);
    expected.forEach((frame, index) => {
      const { timeMs, ...exact } = frame;
      for (const [field, value] of Object.entries(exact)) {
        assert.equal(frames[index][field as keyof typeof exact], value, field);
      }
      // Milliseconds in a double: a quarter of a microsecond in this century.
      if (timeMs !== undefined) assert.ok(Math.abs(frames[index].timeMs - timeMs) < 0.0005);
    });
  });

  Deno.test(`CaptureReader reads the same in pieces: ${name}`, () => {
    const capture = bytes(hex);
    const whole = read(capture);
    for (const chunk of [1, 3, 7, 16]) assert.deepEqual(read(capture, chunk), whole);
  });
}

const problems = [
  [
    "pcap cut in a record header",
    PCAP_LE + RECORD_LE + "e17aa565",
    1,
    "cut short at byte 43",
    false,
  ],
  ["pcap cut in a packet", PCAP_LE + RECORD_LE + RECORD_LE.slice(0, -4), 1, "cut short", false],
  [
    "pcap with a record of 4 GB",
    `${PCAP_LE} ${RECORD_LE} ${TIME_LE} 00000000 ffffffff ffffffff 00`,
    1,
    "damaged at byte 43: a record of 4294967295 bytes",
    true,
  ],
  [
    "pcapng cut in a block",
    SECTION_LE + ETHERNET_LE + enhanced(0, MICROS) + enhanced(0, MICROS).slice(0, -9),
    1,
    "cut short at byte 84",
    false,
  ],
  [
    "pcapng with a block of 3 bytes",
    `${SECTION_LE} ${ETHERNET_LE} ${enhanced(0, MICROS)} 06000000 03000000 00000000`,
    1,
    "damaged at byte 84: a block of 3 bytes",
    true,
  ],
  [
    "pcapng with a packet of an interface that is not described",
    SECTION_LE + ETHERNET_LE + enhanced(7, MICROS),
    0,
    "damaged at byte 48: a packet of interface 7",
    true,
  ],
  [
    "pcapng with a packet longer than its block",
    `${SECTION_LE} ${ETHERNET_LE} ` +
    `06000000 24000000 00000000 00000000 00000000 ff000000 ff000000 aabbcc00 24000000`,
    0,
    "damaged at byte 48: a packet of 255 bytes in a smaller block",
    true,
  ],
  [
    "pcapng with an unknown block of 4 GB",
    `${SECTION_LE} ${ETHERNET_LE} ${enhanced(0, MICROS)} 99000000 fffffffc 00000000`,
    1,
    "cut short",
    false,
  ],
] as const;

for (const [name, hex, count, problem, isDamaged] of problems) {
  Deno.test(`CaptureReader judges what stands before the place: ${name}`, () => {
    const result = read(bytes(hex));
    assert.equal(result.frames.length, count);
    assert.ok(result.problem?.startsWith(problem), `${result.problem}`);
    assert.equal(result.isDamaged, isDamaged);
  });
}

for (
  const [name, content, message] of [
    ["text", new TextEncoder().encode("root:x:0:0"), "(first bytes 72 6f 6f 74 3a 78 3a 30)"],
    ["nothing", new Uint8Array(0), "(empty)"],
    ["a magic number alone", bytes("d4c3b2a1"), "(first bytes d4 c3 b2 a1)"],
    ["a section without byte order", bytes("0a0d0d0a 1c000000" + "00".repeat(20)), "(first bytes"],
  ] as const
) {
  Deno.test(`CaptureReader refuses ${name}`, () => {
    assert.throws(() => read(content), (error) => {
      assert.ok(error instanceof NotACaptureError);
      assert.ok(error.message.startsWith("not a pcap or pcapng capture"));
      assert.ok(error.message.includes(message), error.message);
      return true;
    });
  });
}

Deno.test("CaptureReader carries records over the ends of its blocks", () => {
  // 40 000 records of 0 to 99 bytes, 2.6 MB: several blocks.
  const records: Uint8Array[] = [bytes(PCAP_LE)];
  const count = 40_000;
  for (let i = 0; i < count; i++) {
    const length = i % 100;
    const record = new Uint8Array(16 + length).fill(i & 0xff);
    const view = new DataView(record.buffer);
    view.setUint32(0, i, true);
    view.setUint32(4, 0, true);
    view.setUint32(8, length, true);
    view.setUint32(12, length, true);
    records.push(record);
  }
  using reader = CaptureReader.from(new MemorySource(records));
  let i = 0;
  while (reader.next()) {
    assert.equal(reader.end - reader.start, i % 100);
    assert.equal(reader.timeMs, i * 1000);
    if (i % 100 > 0) {
      assert.equal(reader.bytes[reader.start], i & 0xff);
      assert.equal(reader.bytes[reader.end - 1], i & 0xff);
    }
    i++;
  }
  assert.equal(i, count);
  assert.equal(reader.problem, null);
});

Deno.test("CaptureReader reads a frame larger than its block", () => {
  const length = 3 << 20;
  const record = new Uint8Array(16 + length).fill(7);
  const view = new DataView(record.buffer);
  for (const [at, value] of [[0, 1], [4, 0], [8, length], [12, length]]) {
    view.setUint32(at, value, true);
  }
  using reader = CaptureReader.from(new MemorySource([bytes(PCAP_LE), record, bytes(RECORD_LE)]));
  assert.ok(reader.next());
  assert.equal(reader.end - reader.start, length);
  assert.equal(reader.bytes[reader.end - 1], 7);
  assert.ok(reader.next());
  assert.equal(reader.end - reader.start, 3);
  assert.equal(reader.next(), false);
});

Deno.test("CaptureReader takes any bytes: no throw but the refusal, no endless loop", () => {
  const seeds = rows.map(([, hex]) => bytes(hex));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 256 }),
        // A good capture with bytes changed, cut and put together.
        fc.tuple(
          fc.constantFrom(...seeds),
          fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 6 }),
          fc.nat(300),
        ).map(([seed, changes, cut]) => {
          const changed = seed.slice(0, Math.max(30, cut));
          for (const [at, byte] of changes) if (at < changed.length) changed[at] = byte;
          return changed;
        }),
      ),
      fc.integer({ min: 1, max: 64 }),
      (capture, chunk) => {
        let result: Read;
        try {
          result = read(capture, chunk);
        } catch (error) {
          assert.ok(error instanceof NotACaptureError, String(error));
          return;
        }
        const total = result.frames.reduce((sum, frame) => sum + frame.hex.length / 2, 0);
        assert.ok(total <= capture.length);
      },
    ),
    { numRuns: 3_000 },
  );
});
