/** Messages of ctnetlink, against bytes as the kernel (6.18) sent them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { formatAddress } from "../../../src/packet/address.ts";
import {
  clearRequest,
  connectionsIn,
  dumpRequest,
} from "../../../src/gateway/conntrack/ctnetlink.ts";

/** linux/netfilter/nfnetlink_conntrack.h: 198.18.1.2:3333 → 198.18.2.2:2000, UDP, mark 0x80000001. */
const TUPLE = "14000180" + "08000100c6120102" + "08000200c6120202" +
  "1c000280" + "0500010011000000" + "060002000d050000" + "0600030007d00000";
const REPLY = "14000180" + "08000100c6120202" + "08000200c6120102" +
  "1c000280" + "0500010011000000" + "0600020007d00000" + "060003000d050000";
const BODY = "02000000" + "34000180" + TUPLE + "34000280" + REPLY +
  "0800080080000001" + "08000c0012345678";
const MESSAGE = Uint8Array.fromHex("8c000000" + "0001" + "0200" + "00000000" + "00000000" + BODY);

Deno.test("connectionsIn() reads tuples, mark and id", () => {
  assert.equal(MESSAGE.length, 0x8c);
  const [one, ...more] = connectionsIn(MESSAGE);
  assert.deepEqual(more, []);
  assert.equal(one.protocol, 17);
  assert.equal(one.mark >>> 0, 0x8000_0001);
  assert.equal(one.id, 0x1234_5678);
  const ends = one.ends.map(({ words, port }) => `${formatAddress(words, 0)}:${port}`);
  const [client, server] = ["198.18.1.2:3333", "198.18.2.2:2000"];
  assert.deepEqual(ends, [client, server, server, client]);
});

Deno.test("connectionsIn() reads several, and none of other messages", () => {
  assert.equal(connectionsIn(new Uint8Array([...MESSAGE, ...MESSAGE])).length, 2);
  const other = MESSAGE.slice();
  other[5] = 2;
  assert.deepEqual(connectionsIn(other), []);
});

Deno.test("connectionsIn() reads cut and changed messages without a throw", () => {
  fc.assert(
    fc.property(
      fc.nat(MESSAGE.length),
      fc.nat(MESSAGE.length - 1),
      fc.nat(255),
      (length, at, byte) => {
        const bytes = MESSAGE.slice(0, length);
        if (at < length) bytes[at] = byte;
        connectionsIn(bytes);
      },
    ),
    { numRuns: 5_000 },
  );
});

Deno.test("dumpRequest() asks for a mark under a mask", () => {
  assert.equal(
    dumpRequest(0x8000_0000 | 0, 0x8200_0000 | 0).toHex(),
    "24000000" + "0101" + "0103" + "00000000" + "00000000" + "00000000" +
      "0800080080000000" + "0800150082000000",
  );
});

Deno.test("clearRequest() names the connection as it came, and clears the mask only", () => {
  const [one] = connectionsIn(MESSAGE);
  assert.equal(
    clearRequest(one, 0x8200_0000 | 0).toHex(),
    "58000000" + "0001" + "0500" + "00000000" + "00000000" + "02000000" +
      "34000180" + TUPLE + "0800080000000000" + "0800150082000000",
  );
});
