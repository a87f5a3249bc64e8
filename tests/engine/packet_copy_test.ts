import assert from "node:assert/strict";
import { copyPacket, SNAP_LENGTH } from "../../src/engine/packet_copy.ts";

const buffer = Uint8Array.from({ length: 20_000 }, (_, index) => index & 0xff);

Deno.test("copyPacket() copies the packet alone, and keeps no hold of its buffer", () => {
  const { bytes, length } = copyPacket(buffer, 100, 1_600);
  assert.equal(length, 1_500);
  assert.deepEqual(bytes, buffer.slice(100, 1_600));
  assert.equal(bytes.buffer.byteLength, 1_500);
});

Deno.test("copyPacket() cuts a large packet and says how long it was", () => {
  const { bytes, length } = copyPacket(buffer, 0, 20_000);
  assert.equal(bytes.length, SNAP_LENGTH);
  assert.equal(length, 20_000);
  assert.equal(copyPacket(buffer, 0, 96, 1_500).length, 1_500, "a capture had cut it before");
});
