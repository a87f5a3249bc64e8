/** Captures packed with gzip: whole, cut as by a recorder that was killed, and damaged. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { openStream } from "../../src/capture/byte_source.ts";
import { CaptureReader } from "../../src/capture/reader.ts";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

const HEADER = "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000";
const RECORD = "e17aa565 40e20100 03000000 05000000 aabbcc";

/** 20,000 packets of 3 bytes, of different times so that packing leaves something. */
function manyPackets(): Uint8Array {
  const file = bytes(HEADER + RECORD.repeat(20_000));
  const view = new DataView(file.buffer);
  for (let at = 24, i = 0; at < file.length; at += 19) {
    view.setUint32(at, (i++ * 0x9e37_79b1) >>> 0);
  }
  return file;
}

const PACKED = new Uint8Array(gzipSync(manyPackets()));

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const whole = new Uint8Array(one.length + other.length);
  whole.set(one);
  whole.set(other, one.length);
  return whole;
}

/** With 64 bytes of it other than they were. */
function changed(content: Uint8Array, at: number): Uint8Array {
  const copy = content.slice();
  for (let i = 0; i < 64; i++) copy[at + i] ^= 0xa5;
  return copy;
}

const packedRows: readonly [string, Uint8Array, number, number, string | null, boolean][] = [
  ["whole", PACKED, 20_000, 20_000, null, false],
  ["of two parts", joined(PACKED, new Uint8Array(gzipSync(bytes(RECORD)))), 20_001, 1, null, false],
  ["cut in its checksum", PACKED.subarray(0, -5), 20_000, 20_000, "cut short in the middle", false],
  [
    "cut in the middle",
    PACKED.subarray(0, -40_000),
    18_000,
    1_000,
    "cut short in the middle",
    false,
  ],
  ["damaged", changed(PACKED, PACKED.length - 20_000), 18_500, 1_000, "damaged ", true],
];

for (const [name, content, most, least, problem, isDamaged] of packedRows) {
  Deno.test(`CaptureReader reads a gzip file that is ${name}`, async () => {
    const path = Deno.makeTempFileSync({ suffix: ".pcap.gz" });
    try {
      Deno.writeFileSync(path, content);
      using reader = await CaptureReader.open(path);
      while (reader.next());
      const { frameNumber } = reader;
      assert.ok(least <= frameNumber && frameNumber <= most, `${frameNumber} packets`);
      assert.equal(reader.isDamaged, isDamaged);
      if (problem === null) assert.equal(reader.problem, null);
      else assert.ok(reader.problem?.startsWith(problem), `${reader.problem}`);
    } finally {
      Deno.removeSync(path);
    }
  });
}

Deno.test("CaptureReader says why nothing can be unpacked", async () => {
  const path = Deno.makeTempFileSync({ suffix: ".pcap.gz" });
  try {
    Deno.writeFileSync(path, PACKED.subarray(0, 12));
    await assert.rejects(CaptureReader.open(path), {
      name: "NotACaptureError",
      message: "not a pcap or pcapng capture (cut short in the middle of the gzip data)",
    });
  } finally {
    Deno.removeSync(path);
  }
});

/** A pipe that gives its bytes in pieces of these lengths, over and over. */
function pipeOf(content: Uint8Array, lengths: readonly number[]) {
  let at = 0;
  let turn = 0;
  return {
    readSync(target: Uint8Array): number | null {
      if (at === content.length) return null;
      const piece = Math.min(lengths[turn++ % lengths.length], target.length, content.length - at);
      target.set(content.subarray(at, at + piece));
      at += piece;
      return piece;
    },
  };
}

Deno.test("a pipe in pieces of any length, packed or not, gives its bytes", async () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 });
  const content = fc.oneof(fc.uint8Array({ maxLength: 600 }), fc.constant(bytes("1f")));
  await fc.assert(
    fc.asyncProperty(content, fc.boolean(), lengths, async (plain, isPacked, lengths) => {
      fc.pre(isPacked || plain[0] !== 0x1f || plain[1] !== 0x8b);
      const piped = isPacked ? new Uint8Array(gzipSync(plain)) : plain;
      using source = await openStream(pipeOf(piped, lengths), null);
      const read = new Uint8Array(plain.length + 100);
      let length = 0;
      for (;;) {
        const count = source.read(read.subarray(length, length + 7));
        if (count === null) break;
        length += count;
      }
      assert.deepEqual(read.subarray(0, length), plain);
      assert.equal(source.problem, null);
    }),
    { numRuns: 300 },
  );
});

Deno.test("what begins like gzip and is none is damaged, not endless and not thrown", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (rest) => {
      using source = await openStream(pipeOf(joined(bytes("1f8b"), rest), [64]), null);
      const target = new Uint8Array(1 << 16);
      while (source.read(target) !== null);
      assert.ok(source.problem !== null);
    }),
    { numRuns: 200 },
  );
});
