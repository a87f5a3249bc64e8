import assert from "node:assert/strict";
import fc from "fast-check";
import {
  interfaceDescription,
  packetBlock,
  sectionHeader,
} from "../../src/report/pcapng_blocks.ts";
import { mendTail } from "../../src/report/pcapng_tail.ts";

const START = {
  application: "btblocker",
  section: sectionHeader("btblocker 1.0"),
  interface: interfaceDescription(4_224),
};

/** Opens a file of these bytes as the writer does, mends it, and gives what is left. */
function mended(bytes: Uint8Array, isContinued?: boolean): Uint8Array {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, bytes);
    using file = Deno.openSync(path, { append: true, read: true });
    let error: unknown = null;
    try {
      const continues = mendTail(file, START);
      if (isContinued !== undefined) assert.equal(continues, isContinued);
    } catch (thrown) {
      error = thrown;
    }
    const left = Deno.readFileSync(path);
    if (error === null) return left;
    assert.deepEqual(left, bytes, "nothing of a stranger's file is touched");
    throw error;
  } finally {
    Deno.removeSync(path);
  }
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const packet = (length: number) =>
  packetBlock({
    timeMs: 1_705_343_713_123,
    bytes: new Uint8Array(length).fill(0x45),
    length,
    comment: "dht",
  });
const blocks = [
  sectionHeader("btblocker 1.0"),
  interfaceDescription(4_224),
  ...[0, 1, 80, 4_000].map(packet),
  sectionHeader("btblocker 1.0"),
  interfaceDescription(4_224),
  packet(1_400),
];

Deno.test("mendTail() leaves a sound file and an empty one as they are", () => {
  assert.deepEqual(mended(join(...blocks), true), join(...blocks));
  assert.deepEqual(mended(new Uint8Array(0), false), new Uint8Array(0));
});

Deno.test("mendTail() wants a section where the file's is no good for these packets", () => {
  const section = sectionHeader("btblocker 1.10"); // another version's, as long as it is its like
  mended(join(section, START.interface), true);
  mended(join(section, START.interface, packet(80).subarray(0, 40)), true);
  mended(join(section, START.interface.subarray(0, 16)), false);
  mended(section, false);
  mended(join(section, interfaceDescription(96), packet(80)), false);
  mended(section.subarray(0, 11), false);
});

Deno.test("mendTail() cuts what a crash has torn, wherever it was", () => {
  const whole = join(...blocks);
  const ends = [0];
  for (const { length } of blocks) ends.push(ends.at(-1)! + length);
  for (let end = 0; end < whole.length; end++) {
    if (end > 200 && end % 37 !== 0 && !ends.includes(end)) continue;
    const sound = ends.findLast((one) => one <= end)!;
    assert.equal(mended(whole.subarray(0, end)).length, sound, `cut at ${end}`);
  }
});

Deno.test("mendTail() cuts zeros and other remains that a power failure leaves", () => {
  const whole = join(...blocks);
  for (const length of [1, 4, 12, 4_096, 100_000]) {
    assert.deepEqual(mended(join(whole, new Uint8Array(length))), whole);
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (remains) => {
      const left = mended(join(whole, remains));
      assert.deepEqual(left.subarray(0, whole.length), whole);
      assert.equal(left.length % 4, 0);
    }),
    { numRuns: 50 },
  );
});

Deno.test("mendTail() finds its way through a file longer than what it reads at once", () => {
  const many = join(...blocks.slice(0, 2), ...Array.from({ length: 60 }, () => packet(4_000)));
  assert.ok(many.length > 3 * 65_536);
  assert.deepEqual(mended(join(many, packet(900).subarray(0, 777))), many);
});

Deno.test("mendTail() refuses a file of somebody else, and does not touch it", () => {
  const strangers: [string, Uint8Array][] = [
    ["Wireshark's", join(sectionHeader("Dumpcap (Wireshark)"), packet(5).subarray(0, 30))],
    ["a text", new TextEncoder().encode("=".repeat(80))],
    ["a short text", new TextEncoder().encode("ab")],
    ["a pcap", Uint8Array.fromHex("d4c3b2a1020004000000000000000000" + "0000040001000000")],
  ];
  for (const [name, bytes] of strangers) {
    assert.throws(() => mended(bytes), /it holds something else \(move it away/, name);
  }
});
