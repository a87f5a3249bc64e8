/** Messages and attributes of netlink: what is built is read back, and nothing reads past its end. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bytesOf,
  CUT,
  netlinkAttribute,
  netlinkAttributes,
  netlinkMessages,
  netlinkRequest,
  NLM_F_DUMP,
} from "../../src/gateway/netlink.ts";

const small = fc.uint8Array({ maxLength: 9 });

Deno.test("netlinkRequest() and netlinkAttribute() write what linux/netlink.h has", () => {
  const request = netlinkRequest(
    0x1234,
    NLM_F_DUMP,
    Uint8Array.of(2, 0, 0, 0),
    netlinkAttribute(7, Uint8Array.of(0xaa)),
  );
  assert.equal(
    request.toHex(),
    "1c000000" + "3412" + "0103" + "00000000" + "00000000" + "02000000" + "0500" + "0700" +
      "aa000000",
  );
});

Deno.test("messages and their attributes are read as they were written", () => {
  const message = fc.record({
    type: fc.nat(0xffff),
    attributes: fc.array(fc.tuple(fc.nat(0x3fff), small), { maxLength: 4 }),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.array(message, { maxLength: 4 }), (messages) => {
    const datagram = messages.flatMap(({ type, attributes }) => {
      const list = attributes.flatMap((each) => [...netlinkAttribute(...each)]);
      return [...netlinkRequest(type, 0, Uint8Array.of(1, 2, 3, 4), Uint8Array.from(list))];
    });
    const read = [...netlinkMessages(Uint8Array.from(datagram))].map(({ type, body }) => ({
      type,
      attributes: [...netlinkAttributes(body, 4)].map(({ type, value }) => [type, bytesOf(value)]),
    }));
    assert.deepEqual(read, messages);
  }));
});

Deno.test("a message that ends behind the datagram is told once, and its bytes are not read", () => {
  const whole = netlinkRequest(20, 0, new Uint8Array(4));
  const types = (length: number) =>
    [...netlinkMessages(Uint8Array.of(...whole, ...whole.subarray(0, length)))]
      .map(({ type }) => type);
  assert.deepEqual(types(15), [20]); // less than a header: padding
  for (const length of [16, 19]) assert.deepEqual(types(length), [20, CUT]);
  assert.deepEqual(types(20), [20, 20]);
});

Deno.test("any bytes are walked in as many steps as they have words", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const messages = [...netlinkMessages(bytes)];
    assert.ok(messages.length <= bytes.length / 16 + 1);
    for (const { body } of messages) {
      for (const { value } of netlinkAttributes(body, 0)) bytesOf(value);
    }
  }));
});
