import assert from "node:assert/strict";
import { DROP, Engine, INSPECT } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";

const HANDSHAKE = Uint8Array.from([
  19,
  ...new TextEncoder().encode("BitTorrent protocol"),
  ...new Uint8Array(8),
  ...new TextEncoder().encode("aabbccddeeffgghhiijj-qB4520-123456789012"),
]);
const TEXT = new TextEncoder().encode("220 mail.example.org ready\r\n");

type Address = readonly [number, number, number, number];
const ONE: Address = [192, 168, 1, 10];
const OTHER: Address = [203, 0, 113, 77];

/** RFC 791 and RFC 9293, on the ports 50000 and 5000. */
function segment(payload: Uint8Array, reversed = false): Uint8Array {
  const [source, destination] = reversed ? [OTHER, ONE] : [ONE, OTHER];
  const ports = [0xc3, 0x50, 0x13, 0x88];
  const bytes = ip(6, 20 + payload.length, source, destination);
  bytes.set(reversed ? [...ports.slice(2), ...ports.slice(0, 2)] : ports, 20);
  bytes.set([0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18], 24);
  bytes.set(payload, 40);
  return bytes;
}

function ip(protocol: number, length: number, source: Address, destination: Address): Uint8Array {
  const bytes = new Uint8Array(20 + length);
  bytes.set([0x45, 0, (20 + length) >> 8, 20 + length, 0, 1, 0x40, 0, 64, protocol, 0, 0]);
  bytes.set([...source, ...destination], 12);
  return bytes;
}

/** RFC 2003, between 198.51.100.`from` and 198.51.100.`to`. */
function ipip(from: number, to: number, inner: Uint8Array): Uint8Array {
  const bytes = ip(4, inner.length, [198, 51, 100, from], [198, 51, 100, to]);
  bytes.set(inner, 20);
  return bytes;
}

function judge(engine: Engine, bytes: Uint8Array): number {
  const packet = new Packet();
  assert.ok(parseIp(packet, bytes, 0, bytes.length));
  return engine.judge(packet);
}

Deno.test("what somebody puts into a tunnel does nothing to the same 5-tuple outside", () => {
  const engine = new Engine({ policy: CAPTURE_POLICY, seed: 7 });
  assert.equal(judge(engine, segment(TEXT, true)), INSPECT);
  assert.equal(judge(engine, ipip(1, 2, segment(HANDSHAKE))), DROP);
  assert.equal(judge(engine, segment(TEXT)), INSPECT);
});

Deno.test("nor to the same addresses in another's tunnel", () => {
  const engine = new Engine({ policy: CAPTURE_POLICY, seed: 7 });
  assert.equal(judge(engine, ipip(1, 2, segment(HANDSHAKE))), DROP);
  assert.equal(judge(engine, ipip(3, 2, segment(TEXT))), INSPECT);
  assert.equal(judge(engine, ipip(3, 2, segment(TEXT, true))), INSPECT);
});

Deno.test("the two directions of a tunnel are one: later packets of the flow are dropped", () => {
  const engine = new Engine({ policy: CAPTURE_POLICY, seed: 7 });
  assert.equal(judge(engine, ipip(1, 2, segment(HANDSHAKE))), DROP);
  assert.equal(judge(engine, ipip(2, 1, segment(TEXT, true))), DROP);
  assert.equal(engine.counters.flows, 1);
});
