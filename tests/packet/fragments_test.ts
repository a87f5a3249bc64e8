import assert from "node:assert/strict";
import fc from "fast-check";
import { FragmentTable } from "../../src/packet/fragments.ts";
import { FRAGMENT_WAITS, Packet, parseIp } from "../../src/packet/packet.ts";

/** A fragment's place in the data of its packet. */
interface Piece {
  from: number;
  to: number;
  isLast: boolean;
}

/** UDP 6881 → 53 or TCP 6881 → 443 with `length` bytes that differ from one another. */
function dataOf(protocol: 6 | 17, length: number): Uint8Array {
  const header = protocol === 17
    ? [0x1a, 0xe1, 0, 53, (length + 8) >> 8, length + 8, 0, 0]
    : [0x1a, 0xe1, 1, 0xbb, 0, 0, 0, 7, 0, 0, 0, 1, 0x50, 0x18, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([
    ...header,
    ...Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255),
  ]);
}

function fragment(
  family: 4 | 6,
  protocol: 6 | 17,
  data: Uint8Array,
  { from, to, isLast }: Piece,
  id = 1,
): Uint8Array {
  const part = data.subarray(from, to);
  if (family === 4) {
    const bytes = new Uint8Array(20 + part.length);
    const view = new DataView(bytes.buffer);
    bytes.set([0x45, 0]);
    view.setUint16(2, bytes.length);
    view.setUint16(4, id);
    view.setUint16(6, (isLast ? 0 : 0x2000) | (from / 8));
    bytes.set([64, protocol, 0, 0, 10, 9, 1, 2, 192, 0, 2, 1], 8);
    bytes.set(part, 20);
    return bytes;
  }
  const bytes = new Uint8Array(48 + part.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x60;
  view.setUint16(4, 8 + part.length);
  bytes.set([44, 64], 6);
  bytes.set([0x20, 1, 0x0d, 0xb8], 8);
  bytes.set([0x20, 1, 0x0d, 0xb8], 24);
  bytes[39] = 2;
  bytes[40] = protocol;
  view.setUint16(42, from | (isLast ? 0 : 1));
  view.setUint32(44, id);
  bytes.set(part, 48);
  return bytes;
}

function newPacket(): Packet {
  const packet = new Packet();
  packet.fragments = new FragmentTable();
  return packet;
}

function read(packet: Packet, bytes: Uint8Array, end = bytes.length): boolean {
  return parseIp(packet, bytes, 0, end);
}

function payloadOf(packet: Packet): Uint8Array {
  return packet.bytes.slice(packet.payloadStart, packet.payloadEnd);
}

/** An IPv4 header (RFC 791) of no fragment, whose words add up to 0xffff in ones' complement. */
function assertHeaderOfItsOwn({ bytes, start }: Packet): void {
  const header = new DataView(bytes.buffer, bytes.byteOffset + start, 20);
  assert.equal(header.getUint16(6), 0, "flags and fragment offset");
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += header.getUint16(at);
  assert.equal((sum & 0xffff) + (sum >>> 16), 0xffff, "checksum");
}

/** The data cut at these places. */
function cut(length: number, ...places: number[]): Piece[] {
  const ends = [...places, length];
  return ends.map((to, i) => ({ from: i === 0 ? 0 : ends[i - 1], to, isLast: to === length }));
}

for (const family of [4, 6] as const) {
  for (const protocol of [6, 17] as const) {
    const name = `${protocol === 6 ? "TCP" : "UDP"} over IPv${family}`;
    const data = dataOf(protocol, 300);
    const payload = data.subarray(protocol === 6 ? 20 : 8);
    const pieces = cut(data.length, 24, 48, 200);

    for (
      const [order, arrivals] of [
        ["in order", [0, 1, 2, 3]],
        ["in the other order", [3, 2, 1, 0]],
        ["mixed and twice", [2, 2, 0, 3, 0, 1]],
      ] as const
    ) {
      Deno.test(`fragments ${order} are one packet: ${name}`, () => {
        const packet = newPacket();
        for (const arrival of arrivals.slice(0, -1)) {
          const isRead = read(packet, fragment(family, protocol, data, pieces[arrival]));
          // The first part of a datagram is read as a cut one.
          assert.equal(isRead, protocol === 17 && arrival === 0);
          if (isRead) assert.equal(packet.payloadLength, payload.length);
          else assert.equal(packet.unread, FRAGMENT_WAITS);
        }
        const last = fragment(family, protocol, data, pieces[arrivals[arrivals.length - 1]]);
        assert.equal(read(packet, last), true);
        assert.ok(packet.isReassembled);
        assert.deepEqual(payloadOf(packet), payload);
        assert.equal(packet.payloadLength, payload.length);
        assert.equal(packet.fragments!.waiting, 0);
        assert.equal(packet.fragments!.bytesHeld, 0);
        // What was put together is a packet that reads the same by itself.
        const again = new Packet();
        assert.ok(read(again, packet.bytes.slice(packet.start, packet.end)));
        assert.deepEqual(payloadOf(again), payload);
        if (family === 4) assertHeaderOfItsOwn(packet);
      });
    }

    Deno.test(`an overlap that is no duplicate spoils the packet, as on Linux: ${name}`, () => {
      const packet = newPacket();
      for (const piece of [pieces[0], pieces[1], { from: 40, to: 64, isLast: false }]) {
        read(packet, fragment(family, protocol, data, piece));
      }
      assert.equal(packet.fragments!.waiting, 0);
      assert.equal(packet.fragments!.incomplete, 1);
      for (const piece of pieces.slice(2)) {
        assert.equal(read(packet, fragment(family, protocol, data, piece)), false);
      }
    });

    Deno.test(`fragments of other packets, or half a minute later, do not fit: ${name}`, () => {
      const packet = newPacket();
      const [first, second] = cut(data.length, 160);
      read(packet, fragment(family, protocol, data, first));
      assert.equal(read(packet, fragment(family, protocol, data, second, 2)), false);
      packet.timeMs += 31_000;
      assert.equal(read(packet, fragment(family, protocol, data, second)), false);
    });

    Deno.test(`pieces of two hosts that chose one id are two packets: ${name}`, () => {
      const [first, second] = cut(data.length, 160).map((p) => fragment(family, protocol, data, p));
      // The last byte of each word of both addresses.
      const places = family === 4 ? [15, 19] : [11, 15, 19, 23, 27, 31, 35, 39];
      for (const place of places) {
        const packet = newPacket();
        read(packet, first);
        const other = second.slice();
        other[place] ^= 1;
        assert.equal(read(packet, other), false, `byte ${place}`);
        assert.equal(packet.fragments!.waiting, 2);
        assert.equal(read(packet, second), true);
      }
    });

    Deno.test(`pieces that do not fit an end spoil the packet: ${name}`, () => {
      const long = dataOf(protocol, 70_000);
      const last = (from: number, to: number) => ({ from, to, isLast: true });
      const piece = (from: number, to: number) => ({ from, to, isLast: false });
      const rows: [name: string, ...pieces: Piece[]][] = [
        ["one behind the last", last(160, 200), piece(200, 240)],
        ["a last one before what is there", piece(160, 200), last(80, 120)],
        ["two ends", last(160, 200), last(200, 240)],
        ["one beyond what an IP packet holds", piece(65_528, 65_544)],
        ["one without data", piece(160, 160)],
      ];
      for (const [told, ...misfits] of rows) {
        const packet = newPacket();
        for (const one of misfits) {
          assert.equal(read(packet, fragment(family, protocol, long, one)), false, told);
        }
        assert.equal(packet.fragments!.incomplete, 1, told);
        assert.equal(packet.fragments!.waiting, 0, told);
        assert.equal(packet.fragments!.bytesHeld, 0, told);
      }
    });

    Deno.test(`of pieces that were cut by the recorder the beginning is there: ${name}`, () => {
      const packet = newPacket();
      const [first, second] = cut(data.length, 160).map((p) => fragment(family, protocol, data, p));
      read(packet, first, first.length - 60);
      assert.equal(read(packet, second), true);
      assert.equal(packet.payloadLength, payload.length);
      const there = 100 - (data.length - payload.length);
      assert.deepEqual(payloadOf(packet), payload.slice(0, there));
    });
  }
}

Deno.test("pieces in any order with duplicates: the packet, once, and nothing held", () => {
  const parts = fc.uniqueArray(fc.integer({ min: 1, max: 400 }), { maxLength: 40 });
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.integer({ min: 20, max: 3300 }),
      parts,
      fc.array(fc.nat(), { maxLength: 60 }),
      (family, length, places, order) => {
        const data = dataOf(17, length);
        const cuts = places.map((place) => place * 8).filter((at) => at < data.length)
          .sort((a, b) => a - b);
        const pieces = cut(data.length, ...cuts);
        if (pieces.length < 2) return;
        const arrivals = order.map((at) => at % pieces.length);
        const rest = pieces.map((_, i) => i).filter((i) => !arrivals.includes(i));
        const packet = newPacket();
        let wholes = 0;
        const needed = new Set(pieces.keys());
        for (const arrival of [...arrivals, ...rest]) {
          if (needed.size === 0) break;
          needed.delete(arrival);
          read(packet, fragment(family, 17, data, pieces[arrival]));
          if (!packet.isReassembled) continue;
          wholes++;
          assert.deepEqual(payloadOf(packet), data.slice(8));
        }
        assert.equal(wholes, 1);
        assert.equal(packet.fragments!.bytesHeld, 0);
      },
    ),
    { numRuns: 1000 },
  );
});

Deno.test("a flood of fragments holds no more than its bound", () => {
  const packet = newPacket();
  const { fragments } = packet;
  const data = dataOf(17, 60_000);
  for (let id = 0; id < 5000; id++) {
    const from = (id % 7) * 8000;
    read(packet, fragment(6, 17, data, { from, to: from + 1448, isLast: false }, id));
    assert.ok(fragments!.waiting <= 1024 && fragments!.bytesHeld <= 5 << 20);
  }
  assert.ok(fragments!.incomplete > 3000);
});

Deno.test("any fragments: no throw, and what is read lies in its bytes", () => {
  const step = fc.record({
    family: fc.constantFrom<4 | 6>(4, 6),
    protocol: fc.constantFrom<6 | 17>(6, 17),
    from: fc.integer({ min: 0, max: 8191 }).map((units) => units * 8),
    length: fc.integer({ min: 0, max: 3000 }),
    isLast: fc.boolean(),
    id: fc.nat(2),
    change: fc.tuple(fc.nat(60), fc.nat(255)),
    cut: fc.nat(100),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const packet = newPacket();
      for (const { family, protocol, from, length, isLast, id, change, cut } of steps) {
        const data = new Uint8Array(from + length);
        const bytes = fragment(family, protocol, data, { from, to: from + length, isLast }, id);
        bytes[change[0] % bytes.length] = change[1];
        if (!read(packet, bytes, Math.max(0, bytes.length - cut))) continue;
        assert.ok(packet.start <= packet.payloadStart);
        assert.ok(packet.payloadStart <= packet.payloadEnd && packet.payloadEnd <= packet.end);
        assert.ok(packet.end <= packet.bytes.length);
      }
    }),
    { numRuns: 3000 },
  );
});
