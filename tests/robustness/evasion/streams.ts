/** Ways to hide in a stream of TCP: decoys, overlaps, numbers, order, time. */
import assert from "node:assert/strict";
import { SYN } from "../../../src/packet/packet.ts";
import { HANDSHAKE, latin1 } from "../../engine/conversation.ts";
import { ip, join, judge, tcp, TcpWire, URG } from "../packets.ts";
import { ANNOUNCE, NOISE, NOTHING, PEER_WIRE, type Row, tcpWire, TRACKER } from "./row.ts";

/** A SYN-ACK that no kernel heeds on an open connection; it speaks of other numbers for both ends. */
function strayAnswer(wire: TcpWire, side: 0 | 1): void {
  const numbers = { sequence: 0x1234_5678, acknowledgement: 0x2345_6789 };
  wire.segment(side, -1, new Uint8Array(0), { flags: SYN | 0x10, ...numbers });
}

export const STREAMS: readonly Row[] = [
  {
    name: "handshake in segments of one byte",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 0; i < 68; i++) wire.segment(0, i, HANDSHAKE.subarray(i, i + 1));
    },
  },
  {
    name: "segments out of order, the last one first",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 67; i >= 0; i--) wire.segment(0, i, HANDSHAKE.subarray(i, i + 1));
    },
  },
  {
    name: "a decoy with a wrong checksum before the handshake",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, 0, NOISE, { wrongChecksum: true }).segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "a keep-alive probe with a byte of garbage before the handshake",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, -1, new Uint8Array(1)).segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "a SYN with a number one too high, then the handshake's first byte by itself",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, -1, HANDSHAKE.subarray(0, 1)).segment(0, 0, HANDSHAKE.subarray(1));
    },
  },
  {
    name: "a decoy with a low TTL before the handshake",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, 0, NOISE, { ttl: 2 }).segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "a decoy before the handshake, which comes in two segments in the wrong order",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, 0, NOISE, { ttl: 2 })
        .segment(0, 10, HANDSHAKE.subarray(10)).segment(0, 0, HANDSHAKE.subarray(0, 10));
    },
  },
  {
    name: "overlapping segments, the first copy counts",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, 0, HANDSHAKE.subarray(0, 10))
        .segment(0, 4, NOISE.subarray(0, 6)).segment(0, 10, HANDSHAKE.subarray(10));
    },
  },
  {
    name: "overlapping segments, the last copy counts",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, 0, join(HANDSHAKE.subarray(0, 4), NOISE.subarray(0, 6)))
        .segment(0, 4, HANDSHAKE.subarray(4, 10)).segment(0, 10, HANDSHAKE.subarray(10));
    },
  },
  {
    name: "overlapping segments, now the first and now the last copy counts",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 0; i < 20; i++) {
        const copies = [HANDSHAKE.subarray(i, i + 1), Uint8Array.of(0x55)];
        if (i % 2 === 1) copies.reverse();
        for (const copy of copies) wire.segment(0, i, copy);
      }
    },
  },
  {
    name: "an announce to a tracker after a decoy in the same place",
    found: TRACKER,
    run(test) {
      tcpWire(test).segment(0, 0, test.random(100).fill(0x80, 0, 8), { ttl: 2 })
        .segment(0, 0, ANNOUNCE.subarray(0, 40)).segment(0, 40, ANNOUNCE.subarray(40));
    },
  },
  {
    name: "an announce in whose second segment's place a decoy came first",
    found: TRACKER,
    run(test) {
      const wire = tcpWire(test);
      wire.segment(0, 0, ANNOUNCE.subarray(0, 20))
        .segment(0, 20, NOISE, { ttl: 2 }).segment(0, 20, ANNOUNCE.subarray(20));
      assert.deepEqual(test.found, []);
      const body = "d8:intervali1800e5:peers6:\x0a\x01\x02\x03\x1a\xe1e";
      wire.segment(
        1,
        0,
        latin1(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
      );
    },
  },
  {
    name: "4 KiB of decoys, then the handshake",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 0; i < 20; i++) wire.segment(0, i * 1400, test.random(1400), { ttl: 2 });
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "64 KiB of decoys, then the handshake, answered by one",
    found: NOTHING,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 0; i < 50; i++) wire.segment(0, i * 1400, test.random(1400), { ttl: 2 });
      wire.segment(0, 0, HANDSHAKE).segment(1, 0, HANDSHAKE);
    },
  },
  {
    name: "a SYN with another sequence number that dies on the way, before the answer",
    found: PEER_WIRE,
    run(test) {
      const wire = new TcpWire(test);
      const syn = { flags: SYN, acknowledgement: 0 };
      wire.segment(0, -1, new Uint8Array(0), syn);
      wire.segment(0, -1, new Uint8Array(0), { ...syn, sequence: 0x1234_5678, ttl: 2 });
      wire.segment(1, -1, new Uint8Array(0), { flags: SYN | 0x10 });
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "a SYN with another sequence number that dies on the way, after the answer",
    found: PEER_WIRE,
    run(test) {
      const wire = new TcpWire(test).open();
      const syn = { flags: SYN, acknowledgement: 0, sequence: 0x1234_5678, ttl: 2 };
      wire.segment(0, -1, new Uint8Array(0), syn);
      wire.segment(0, 0, HANDSHAKE); // far from where that one says
    },
  },
  {
    name: "a SYN-ACK of the responder with other numbers, after the answer",
    found: PEER_WIRE,
    run(test) {
      const wire = new TcpWire(test).open();
      strayAnswer(wire, 1);
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "a SYN-ACK of the responder with other numbers, and only the responder speaks",
    found: PEER_WIRE,
    run(test) {
      const wire = new TcpWire(test).open();
      strayAnswer(wire, 1);
      wire.segment(1, 0, HANDSHAKE);
    },
  },
  {
    name: "a SYN-ACK of the initiator with other numbers, after the answer",
    found: PEER_WIRE,
    run(test) {
      const wire = new TcpWire(test).open();
      strayAnswer(wire, 0);
      wire.segment(1, 0, HANDSHAKE);
    },
  },
  {
    name: "a SYN-ACK a few numbers before the real one, the handshake in one segment",
    found: PEER_WIRE,
    run(test) {
      const wire = new TcpWire(test).open();
      wire.segment(0, -40, new Uint8Array(0), { flags: SYN | 0x10, ttl: 2 });
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "handshake with an urgent byte in it, which the receiver takes out",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      const cut = join(HANDSHAKE.subarray(0, 5), Uint8Array.of(0x21), HANDSHAKE.subarray(5));
      wire.segment(0, 0, cut, { flags: 0x10 | URG, urgentPointer: 6 });
      assert.deepEqual(test.found, []);
      wire.segment(1, 0, HANDSHAKE); // the answer has none
    },
  },
  {
    name: "handshake in urgent data",
    found: PEER_WIRE,
    run(test) {
      tcpWire(test).segment(0, 0, HANDSHAKE, { flags: 0x10 | URG, urgentPointer: 68 });
    },
  },
  {
    name: "first payload ten minutes after the connection was opened",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      test.nowMs += 600_000;
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "first payload after a flood has pushed the connection out of the table",
    found: PEER_WIRE,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 0; i < 20_000; i++) {
        const ends = {
          source: `10.${1 + (i >> 14)}.${(i >> 7) & 127}.${i & 127}`,
          destination: "198.51.100.9",
        };
        const options = { sourcePort: 1024 + i, destinationPort: 81, sequence: i, flags: SYN };
        judge(test, ip({ ...ends, protocol: 6 }, tcp(options, new Uint8Array(0), ends)));
      }
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "junk before the handshake, which no ordinary peer understands",
    found: NOTHING,
    run(test) {
      tcpWire(test).segment(0, 0, join(Uint8Array.of(0x21), HANDSHAKE));
    },
  },
];
