import assert from "node:assert/strict";
import fc from "fast-check";
import {
  acceptAllMessage,
  MALFORMED,
  NF_DROP,
  NF_REPEAT,
  OTHER,
  PACKET,
  QueueMessage,
  REFUSAL,
  VERDICT_LENGTH,
  VerdictBatch,
} from "../../../src/gateway/queue/queue_message.ts";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

/** Received from Linux 6.18: UDP 127.0.0.1:50488 → 127.0.0.1:6881 "hi" in OUTPUT, mark 0x40001. */
const RECEIVED = "5a000000 0003 0000 00000000 00000000 " + // length 90, type, flags, sequence, port
  "02 00 0007 " + // AF_INET, version, queue 7
  "0b00 0100 00000001 0800 03 00 " + // packet id 1, IPv4, hook 3, padding
  "0800 0600 00000001 " + // output interface 1
  "0800 0300 00040001 " + // mark
  "0800 0e00 00000001 " + // checksum not ready
  "2200 0a00 " + // payload, 30 bytes
  "4500001e77f540004011c4d77f0000017f000001c5381ae1000afe1d6869";
const RECEIVED_LENGTH = 90;

Deno.test("QueueMessage.read() reads a packet as the kernel sends it", () => {
  const message = new QueueMessage();
  const datagram = bytes(`ffff ${RECEIVED} 0000 ffff`); // the range may lie anywhere
  assert.equal(message.read(datagram, 2, 2 + RECEIVED_LENGTH), PACKET);
  assert.equal(message.id, 1);
  assert.equal(message.hook, 3);
  assert.equal(message.mark, 0x40001);
  assert.equal(message.inputInterface, 0);
  assert.equal(message.outputInterface, 1);
  assert.equal(message.payloadEnd - message.payloadStart, 30);
  assert.equal(datagram[message.payloadStart], 0x45);
  assert.equal(message.next, 2 + RECEIVED_LENGTH);
});

Deno.test("QueueMessage.read() finds all messages of a datagram and keeps nothing of the last", () => {
  const unmarked = "20000000 0003 0000 00000000 00000000 0a 00 0007 0b00 0100 fffffffe 86dd 02 00";
  const datagram = bytes(`${RECEIVED} 0000 ${unmarked}`);
  const message = new QueueMessage();
  assert.equal(message.read(datagram, 0, datagram.length), PACKET);
  assert.equal(message.next, RECEIVED_LENGTH + 2);
  assert.equal(message.read(datagram, message.next, datagram.length), PACKET);
  assert.equal(message.id, 0xffff_fffe);
  assert.equal(message.mark, 0);
  assert.equal(message.outputInterface, 0);
  assert.equal(message.payloadStart, message.payloadEnd); // none came
  assert.equal(message.next, datagram.length);
});

Deno.test("QueueMessage.read() tells interfaces and a bridge's ports, and takes none from the message before", () => {
  // linux/netfilter/nfnetlink_queue.h: NFQA_IFINDEX_INDEV 5, _OUTDEV 6, _PHYSINDEV 7, _PHYSOUTDEV 8
  const bridged = "40000000 0003 0000 00000000 00000000 02 00 0007 0b00 0100 00000001 0800 02 00 " +
    "0800 0500 00010203 0800 0600 00000004 0800 0700 00000005 0800 0800 00000006";
  const bare = "20000000 0003 0000 00000000 00000000 02 00 0007 0b00 0100 00000002 0800 03 00";
  const datagram = bytes(`${bridged} ${bare}`);
  const message = new QueueMessage();
  const places = () => [
    message.inputInterface,
    message.outputInterface,
    message.inputPort,
    message.outputPort,
  ];
  assert.equal(message.read(datagram, 0, datagram.length), PACKET);
  assert.deepEqual(places(), [0x10203, 4, 5, 6]);
  assert.equal(message.read(datagram, message.next, datagram.length), PACKET);
  assert.deepEqual(places(), [0, 0, 0, 0]);
});

const others = [ // linux/netlink.h
  [
    "an error",
    "24000000 0200 0000 00000000 00000000 feffffff 00000000 00000000 00000000",
    REFUSAL,
    2,
  ],
  [
    "a receipt",
    "24000000 0200 0000 00000000 00000000 00000000 00000000 00000000 00000000",
    OTHER,
    0,
  ],
  ["NLMSG_NOOP", "10000000 0100 0000 00000000 00000000", OTHER, 0],
  ["NLMSG_DONE", "14000000 0300 0000 00000000 00000000 00000000", OTHER, 0],
  ["another subsystem's", "14000000 0001 0000 00000000 00000000 00000000", OTHER, 0],
] as const;

for (const [name, hex, kind, errno] of others) {
  Deno.test(`QueueMessage.read() tells ${name} apart`, () => {
    const message = new QueueMessage();
    const datagram = bytes(hex.padEnd(8 * 9 + hex.length, "00"));
    assert.equal(message.read(datagram, 0, datagram.length), kind);
    if (kind === REFUSAL) assert.equal(message.errno, errno);
  });
}

const malformed = [
  ["nothing", ""],
  ["half a header", "5a0000000003"],
  ["a length beyond the end", "5b000000" + RECEIVED.slice(9)],
  ["a length shorter than the header", "0f000000" + RECEIVED.slice(9)],
  ["a length of four gigabytes", "ffffffff" + RECEIVED.slice(9)],
  ["no nfgenmsg", "12000000 0003 0000 00000000 00000000 0200"],
  ["no packet header", "1c000000 0003 0000 00000000 00000000 02000007 0800 0300 00040001"],
  ["a short packet header", "1c000000 0003 0000 00000000 00000000 02000007 0800 0100 00000001"],
  [
    "an attribute of length 0",
    "20000000 0003 0000 00000000 00000000 02000007 0000 0100 00000001 08000300",
  ],
  [
    "an attribute beyond the end",
    "20000000 0003 0000 00000000 00000000 02000007 0d00 0100 00000001 08000300",
  ],
  ["an error without its number", "12000000 0200 0000 00000000 00000000 0000"],
] as const;

for (const [name, hex] of malformed) {
  Deno.test(`QueueMessage.read() refuses ${name}`, () => {
    const datagram = bytes(hex);
    assert.equal(new QueueMessage().read(datagram, 0, datagram.length), MALFORMED);
  });
}

Deno.test("QueueMessage.read() neither throws, hangs nor leaves the range, whatever it reads", () => {
  const template = bytes(RECEIVED);
  const mutated = fc.tuple(
    fc.array(fc.tuple(fc.nat(RECEIVED_LENGTH - 1), fc.nat(255)), { maxLength: 6 }),
    fc.nat(RECEIVED_LENGTH),
  ).map(([changes, cut]) => {
    const copy = template.slice(0, cut);
    for (const [at, value] of changes) if (at < cut) copy[at] = value;
    return copy;
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (datagram) => {
      const message = new QueueMessage();
      let at = 0;
      let steps = 0;
      while (at < datagram.length) {
        assert(++steps <= datagram.length);
        const kind = message.read(datagram, at, datagram.length);
        if (kind === MALFORMED) break;
        if (kind === PACKET) {
          assert(message.payloadStart <= message.payloadEnd);
          assert(message.payloadStart >= at && message.payloadEnd <= datagram.length);
        }
        assert(message.next > at && message.next <= datagram.length);
        at = message.next;
      }
    }),
    { numRuns: 5000 },
  );
});

Deno.test("VerdictBatch writes one message after another, as nfnetlink_queue.h lays them out", () => {
  const batch = new VerdictBatch(7, 2);
  assert(!batch.full);
  batch.add(0xffff_ffff, NF_REPEAT, 0x1004_0001);
  batch.add(2, NF_DROP, -0x8000_0000);
  assert(batch.full);
  assert.equal(batch.length, 2 * VERDICT_LENGTH);
  assert.deepEqual(
    batch.bytes,
    bytes(
      "28000000 0103 0100 00000000 00000000 00 00 0007 " +
        "0c00 0200 00000004 ffffffff 0800 0300 10040001" +
        "28000000 0103 0100 00000000 00000000 00 00 0007 " +
        "0c00 0200 00000000 00000002 0800 0300 80000000",
    ),
  );
  assert.throws(() => batch.add(3, NF_DROP, 0), RangeError);
  batch.clear();
  assert.equal(batch.length, 0);
});

Deno.test("acceptAllMessage() accepts all ids that are not before the last one seen", () => {
  assert.deepEqual(
    acceptAllMessage(7, 0xffff_fff0),
    bytes("20000000 0303 0100 00000000 00000000 00 00 0007 0c00 0200 00000001 7fffffef"),
  );
});

Deno.test("VerdictBatch makes one message of equal verdicts in a row", () => {
  const batch = new VerdictBatch(7, 3);
  for (const id of [5, 6, 7]) batch.add(id, NF_REPEAT, 0x1000_0000);
  batch.add(8, NF_REPEAT, 0x2000_0000);
  batch.add(9, NF_DROP, 0x2000_0000);
  batch.add(10, NF_DROP, 0x2000_0000);
  const expected = bytes(
    "28000000 0303 0100 00000000 00000000 00 00 0007 " +
      "0c00 0200 00000004 00000007 0800 0300 10000000" +
      "28000000 0103 0100 00000000 00000000 00 00 0007 " +
      "0c00 0200 00000004 00000008 0800 0300 20000000" +
      "28000000 0303 0100 00000000 00000000 00 00 0007 " +
      "0c00 0200 00000000 0000000a 0800 0300 20000000",
  );
  assert.deepEqual(batch.bytes, expected);
  batch.clear();
  batch.add(11, NF_DROP, 0x2000_0000); // nothing of the last batch goes on
  assert.equal(batch.length, VERDICT_LENGTH);
  assert.equal(batch.bytes[4], 1);
});
