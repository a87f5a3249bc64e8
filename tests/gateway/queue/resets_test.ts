import assert from "node:assert/strict";
import { resetOf } from "../../../src/gateway/queue/resets.ts";
import { Packet, parseIp } from "../../../src/packet/packet.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replace(/\s/g, ""));

/** A segment of 4 bytes from 10.0.0.1:40000 to 198.51.100.1:7000, sequence 0x1000, acknowledging 0x2000. */
const SEGMENT4 = hex(
  "4500002c 00004000 40060000 0a000001 c6336401" +
    "9c401b58 00001000 00002000 5018ffff 00000000 61626364",
);
const SEGMENT6 = hex(
  "60000000 00180640 20010db8000000000000000000000001 20010db8000000000000000000000002" +
    "9c401b58 00001000 00002000 5018ffff 00000000 61626364",
);

function packetOf(bytes: Uint8Array): Packet {
  const packet = new Packet();
  assert.ok(parseIp(packet, bytes, 0, bytes.length));
  return packet;
}

/** Sum of all 16-bit words, which a right checksum makes 0xffff (RFC 1071). */
function sum(bytes: Uint8Array, start: number, end: number, more = 0): number {
  let total = more;
  for (let at = start; at < end; at += 2) total += (bytes[at] << 8) | bytes[at + 1];
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

for (
  const [name, segment, header, addresses] of [
    ["IPv4", SEGMENT4, 20, 12],
    ["IPv6", SEGMENT6, 40, 8],
  ] as const
) {
  Deno.test(`resetOf() over ${name}: what either end expects next, and right checksums`, () => {
    const packet = packetOf(segment);
    const back = resetOf(packet, false, packet.acknowledgement, packet.sequence + 4);
    assert.equal(back.subarray(header).toHex().slice(0, 28), "1b589c400000200000001004" + "5014");
    const forward = resetOf(packet, true, packet.sequence, packet.acknowledgement);
    assert.equal(
      forward.subarray(header).toHex().slice(0, 28),
      "9c401b580000100000002000" + "5014",
    );
    for (const reset of [back, forward]) {
      if (header === 20) assert.equal(sum(reset, 0, header), 0xffff);
      assert.equal(sum(reset, addresses, reset.length, 6 + 20), 0xffff);
    }
    assert.deepEqual(forward.subarray(addresses, header), segment.subarray(addresses, header));
    // A header that any router forwards: version, length, hop limit 64, TCP (RFC 791, RFC 8200).
    const head = header === 20 ? "4500002800000000" + "4006" : "6000000000140640";
    for (const reset of [back, forward]) assert.equal(reset.toHex().slice(0, head.length), head);
  });
}
