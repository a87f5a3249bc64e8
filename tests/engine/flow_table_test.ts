import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BITTORRENT_FLOW,
  CLEAN_FLOW,
  EMBRYONIC,
  flowsByteLength,
  STRIDE,
  TRACKER_USED,
  UNDECIDED,
} from "../../src/engine/flow_record.ts";
import { FlowTable, UDP_IDLE_TICKS } from "../../src/engine/flow_table.ts";
import { Packet, PROTOCOL_TCP } from "../../src/packet/packet.ts";
import { Conversation, TestEngine } from "./conversation.ts";

const keep = () => {};

function packetOf(source: number, sourcePort: number, destination: number, port: number): Packet {
  const packet = new Packet();
  packet.family = 4;
  packet.protocol = 17;
  packet.address.set([0, 0, 0xffff, source, 0, 0, 0xffff, destination]);
  packet.sourcePort = sourcePort;
  packet.destinationPort = port;
  return packet;
}

Deno.test("FlowTable finds a flow from both directions and tells them apart", () => {
  const table = new FlowTable(64);
  const there = packetOf(0x0a000001, 1000, -5, 2000); // -5: an address above 128.0.0.0
  const back = packetOf(-5, 2000, 0x0a000001, 1000);
  assert.equal(table.find(there), -1);
  const slot = table.insert(there, 0, EMBRYONIC, keep);
  assert.equal(table.find(back), slot);
  assert.equal(table.direction, 1);
  assert.equal(table.find(there), slot);
  assert.equal(table.direction, 0);
});

Deno.test("FlowTable tells flows between two ports of one address apart", () => {
  const table = new FlowTable(64);
  const there = packetOf(7, 1000, 7, 2000);
  table.find(there);
  const slot = table.insert(there, 0, EMBRYONIC, keep);
  assert.equal(table.find(packetOf(7, 2000, 7, 1000)), slot);
  assert.equal(table.direction, 1);
  assert.equal(table.find(packetOf(7, 1000, 7, 2001)), -1);
});

Deno.test("FlowTable makes room by value first, then by age, and never grows", () => {
  const table = new FlowTable(8); // one set
  const slots: number[] = [];
  const insert = (packet: Packet, tick: number, release: (slot: number) => void) => {
    assert.equal(table.find(packet), -1);
    return table.insert(packet, tick, UNDECIDED, release);
  };
  for (let i = 0; i < 8; i++) {
    slots.push(insert(packetOf(i, 1, 99, 1), i, keep));
  }
  table.flow.select(slots[5]).state = CLEAN_FLOW;
  table.flow.select(slots[0]).state = BITTORRENT_FLOW;
  const gone: number[] = [];
  const note = (slot: number) => gone.push(slot);
  assert.equal(insert(packetOf(100, 1, 99, 1), 20, note), slots[5], "the clean flow first");
  assert.equal(
    insert(packetOf(101, 1, 99, 1), 21, note),
    slots[1],
    "then the oldest undecided one",
  );
  assert.deepEqual(gone, [slots[5], slots[1]]);
  assert.equal(table.find(packetOf(0, 1, 99, 1)), slots[0], "BitTorrent stays");
});

Deno.test("FlowTable keeps no flow that has been silent before one that speaks, not even BitTorrent", () => {
  const table = new FlowTable(8); // one set
  const insert = (source: number, tick: number, state: number) => {
    const packet = packetOf(source, 1, 99, 1);
    assert.equal(table.find(packet), -1);
    table.insert(packet, tick, state, keep);
  };
  for (let i = 0; i < 8; i++) insert(i, i, BITTORRENT_FLOW);
  const later = UDP_IDLE_TICKS + 100;
  for (let i = 0; i < 8; i++) insert(100 + i, later + i, i % 2 === 0 ? UNDECIDED : CLEAN_FLOW);
  for (let i = 0; i < 8; i++) {
    assert.equal(table.find(packetOf(i, 1, 99, 1)), -1, "what was silent is gone");
    assert.notEqual(table.find(packetOf(100 + i, 1, 99, 1)), -1, "what speaks is there");
  }
});

Deno.test("FlowTable gives slots out in order, so that few flows touch little memory", () => {
  const table = new FlowTable(1 << 16);
  const insert = (source: number) => {
    const packet = packetOf(source, 1, 99, 1);
    assert.equal(table.find(packet), -1);
    return table.insert(packet, 0, EMBRYONIC, () => assert.fail("there is room"));
  };
  for (let i = 0; i < 100; i++) assert.equal(insert(i), i);
  table.flow.select(3).state = BITTORRENT_FLOW;
  table.clear();
  for (let i = 0; i < 100; i++) assert.equal(insert(99 - i), i);
  assert.equal(table.flow.select(3).state, EMBRYONIC);
});

Deno.test("a flood of datagrams touches no words of streams, nor of trackers' exchanges", () => {
  const flows = 64;
  const flowWords = new ArrayBuffer(flowsByteLength(flows));
  const test = new TestEngine({}, { flows, flowWords });
  const noise = Uint8Array.from({ length: 100 }, (_, index) => 0x45 + index);
  for (let port = 50_000; port < 50_200; port++) {
    new Conversation(test, "udp", `10.0.0.1:${port}`).say(0, noise);
  }
  const { flow } = new FlowTable(flows, 0, flowWords);
  for (let slot = 0; slot < flows; slot++) {
    assert.equal(flow.select(slot).state, UNDECIDED);
    assert.equal(flow.has(TRACKER_USED), false);
  }
  assert.deepEqual([...new Set(new Int32Array(flowWords).subarray(flows * STRIDE))], [0]);
});

Deno.test("FlowTable: a stream's words are an earlier one's until the next stream begins", () => {
  const table = new FlowTable(8); // one set
  const words = table.flow.words.subarray(8 * STRIDE);
  const streams = Array.from({ length: 9 }, (_, source) => packetOf(source, 1, 99, 1));
  for (const packet of streams) packet.protocol = PROTOCOL_TCP;
  const insert = (packet: Packet) => {
    assert.equal(table.find(packet), -1);
    return table.insert(packet, 0, EMBRYONIC, keep);
  };
  for (const packet of streams.slice(0, 8)) insert(packet);
  words.fill(7);
  const datagrams = insert(packetOf(100, 1, 99, 1));
  assert.equal(words.every((word) => word === 7), true, "datagrams have none");
  table.flow.select(datagrams).state = CLEAN_FLOW;
  table.flow.lastTick = -1;
  assert.equal(insert(streams[8]), table.find(streams[8]));
  assert.equal(words.filter((word) => word === 0).length, words.length / 8);
  assert.equal(table.flow.base(0) | table.flow.encryption | table.flow.toldBack, 0);
  assert.equal(table.flow.prefix(1), -1);

  table.flow.state = BITTORRENT_FLOW;
  table.flow.encryption = -1;
  table.forgetBitTorrent(() => true, false);
  assert.equal(words.filter((word) => word === 0).length, words.length / 8);
});

Deno.test("FlowTable agrees with a map while nothing is evicted", () => {
  const endpoint = fc.tuple(fc.integer(), fc.nat(65535));
  fc.assert(fc.property(
    fc.array(fc.tuple(endpoint, endpoint), { minLength: 1, maxLength: 40 }),
    fc.integer(),
    (pairs, seed) => {
      const table = new FlowTable(4096, seed);
      const slots = new Map<string, number>();
      for (const [[source, sourcePort], [destination, port]] of pairs) {
        const ends = [`${source}:${sourcePort}`, `${destination}:${port}`].sort().join();
        const packet = packetOf(source, sourcePort, destination, port);
        const slot = table.find(packet);
        assert.equal(slot, slots.get(ends) ?? -1);
        if (slot < 0) slots.set(ends, table.insert(packet, 0, UNDECIDED, keep));
      }
    },
  ));
});

Deno.test("FlowTable refuses a size that is no power of two", () => {
  assert.throws(() => new FlowTable(100), /Cannot make a flow table of 100/);
});
