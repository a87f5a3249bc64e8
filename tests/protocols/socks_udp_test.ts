import assert from "node:assert/strict";
import fc from "fast-check";
import { innerDatagram } from "../../src/protocols/socks/datagram.ts";
import { hex, readsOnlyItsRange } from "./datagrams.ts";

// RFC 1928, section 7: reserved 2, fragment 1, address type 1, address, port 2.
const rows: readonly (readonly [string, string, number])[] = [
  ["IPv4", "0000 00 01 c0000201 1ae1 64", 10],
  ["IPv6", "0000 00 04 20010db8000000000000000000000001 1ae1 64", 22],
  ["a name", "0000 00 03 03 612e62 1ae1 64", 10],
  ["nothing inside", "0000 00 01 c0000201 1ae1", -1],
  ["a cut address", "0000 00 04 20010db8000000000000000000000001 1a", -1],
  ["a cut name", "0000 00 03 09 612e62 1ae1 64", -1],
  ["an empty name", "0000 00 03 00 1ae1 6464646464", -1],
  ["a fragment", "0000 01 01 c0000201 1ae1 64", -1],
  ["reserved bytes in use", "0001 00 01 c0000201 1ae1 64", -1],
  ["an unknown address type", "0000 00 02 c0000201 1ae1 64", -1],
  ["zeros", "0000 00 00 00000000 0000 00", -1],
  ["nothing", "", -1],
];
for (const [name, text, inner] of rows) {
  Deno.test(`innerDatagram() of ${name} is ${inner}`, () => {
    const read = (bytes: Uint8Array, start: number, end: number) =>
      Math.max(-1, innerDatagram(bytes, start, end) - start);
    assert.equal(readsOnlyItsRange(read, hex(text)), inner);
  });
}

Deno.test("property: innerDatagram() stays inside any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(4), (bytes, zeros) => {
    bytes.fill(0, 0, Math.min(zeros, 3));
    assert.ok(innerDatagram(bytes, 0, bytes.length) < bytes.length || bytes.length === 0);
  }));
});
