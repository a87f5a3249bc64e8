/**
 * Ways to hide, each with what becomes of it; docs/EVASION.md says the same in words, row by row (the
 * last test holds the two together). `found` is what the engine detects, nothing where it does not.
 */
import assert from "node:assert/strict";
import { readsHandshake } from "../../src/engine/handshake_readings.ts";
import { FlowRecord } from "../../src/engine/flow_record.ts";
import { CLEAN, INSPECT } from "../../src/engine/engine.ts";
import { SYN } from "../../src/packet/packet.ts";
import {
  Conversation,
  DHT_PING,
  HANDSHAKE,
  latin1,
  randomBytes,
  TestEngine,
} from "../engine/conversation.ts";
import { hex } from "../protocols/datagrams.ts";
import { type Ends, ip, join, judge, tcp, TcpWire, UDP, udp, URG } from "./packets.ts";

/** A SYN-ACK that no kernel heeds on an open connection; it speaks of other numbers for both ends. */
function strayAnswer(wire: TcpWire, side: 0 | 1): void {
  const numbers = { sequence: 0x1234_5678, acknowledgement: 0x2345_6789 };
  wire.segment(side, -1, new Uint8Array(0), { flags: SYN | 0x10, ...numbers });
}

const PEER_WIRE = ["peer-wire proof"];
const DHT = ["dht proof"];
const TRACKER = ["http-tracker proof"];
const NOTHING: string[] = [];
const V4: Ends = { source: "10.0.0.1", destination: "198.51.100.1" };
const V6: Ends = { source: "2001:db8::1", destination: "2001:db8:1::2" };
const NOISE = latin1("nothing that any detector knows, said in the place of something else");
const announce = (text: string) =>
  latin1(text.replace("HASH", "%124Vx%9A%BC%DE%F1%23Eg%89ab" + "cdefgh"));
const ANNOUNCE = announce("GET /announce?info_hash=HASH&peer_id=-TR3000-1&port=1 HTTP/1.1\r\n\r\n");
const DHT_V4 = udp(6881, 6881, DHT_PING, V4);

interface Row {
  /** As in docs/EVASION.md. */
  readonly name: string;
  readonly found: readonly string[];
  run(test: TestEngine): void;
}

/** A connection that is open. */
const tcpWire = (test: TestEngine) => new TcpWire(test).open();

/** A page is asked for and comes. */
function exchangePage(flow: Conversation): void {
  flow.say(0, latin1("GET /index HTTP/1.1\r\nHost: a\r\n\r\n"));
  flow.say(1, latin1("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
}

const rows: readonly Row[] = [
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
      tcpWire(test).segment(0, 0, randomBytes(100).fill(0x80, 0, 8), { ttl: 2 })
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
      for (let i = 0; i < 20; i++) wire.segment(0, i * 1400, randomBytes(1400), { ttl: 2 });
      wire.segment(0, 0, HANDSHAKE);
    },
  },
  {
    name: "64 KiB of decoys, then the handshake, answered by one",
    found: NOTHING,
    run(test) {
      const wire = tcpWire(test);
      for (let i = 0; i < 50; i++) wire.segment(0, i * 1400, randomBytes(1400), { ttl: 2 });
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
  {
    name: "first IP fragment",
    found: DHT,
    run(test) {
      const fragment = { offset: 0, more: true, id: 7 };
      judge(test, ip({ ...V4, protocol: UDP, fragment }, DHT_V4));
    },
  },
  {
    name: "IP fragments that cut the datagram, before the kernel has put them together",
    found: DHT,
    run(test) {
      const first = { offset: 0, more: true, id: 7 };
      const last = { offset: 24, more: false, id: 7 };
      judge(test, ip({ ...V4, protocol: UDP, fragment: first }, DHT_V4.subarray(0, 24)));
      judge(test, ip({ ...V4, protocol: UDP, fragment: last }, DHT_V4.subarray(24)));
    },
  },
  {
    name: "IPv6 extension headers",
    found: DHT,
    run(test) {
      const options = new Uint8Array(8); // PadN of 4 bytes (RFC 8200, section 4.2)
      options.set([0, 0, 1, 4]);
      const routing = new Uint8Array(8); // type 0, no segments left
      const extensions = [[0, options], [60, options], [43, routing], [60, options]] as const;
      judge(test, ip({ ...V6, protocol: UDP, extensions }, udp(6881, 6881, DHT_PING, V6)));
    },
  },
  {
    name: "more IPv6 extension headers than any packet has",
    found: NOTHING,
    run(test) {
      const options = new Uint8Array(8);
      options.set([0, 0, 1, 4]);
      const extensions = Array.from({ length: 10 }, () => [60, options] as const);
      judge(test, ip({ ...V6, protocol: UDP, extensions }, udp(6881, 6881, DHT_PING, V6)));
    },
  },
  {
    name: "uTP with extensions that no specification knows, in one direction",
    found: ["utp proof"],
    run(test) {
      // Extension 7 of 6 bytes on every packet of the initiator; the answers are as always.
      const unknown = "00 06 000000000000";
      const wire = new Conversation(test, "udp");
      wire.say(0, hex("41074567 ed639296 00000000 00100000 23c60000" + unknown));
      wire.say(1, hex("21004567 ed639341 00000000 00100000 456723c6"));
      wire.say(0, hex("01074568 ed7a591d 000000a7 00100000 23c74566" + unknown + "13426974"));
      wire.say(1, hex("21004567 ed7a5a2b 000000ec 00100000 456723c7"));
      wire.say(1, join(hex("01004567 ed7a5a2c 000000ec 00100000 456823c7"), HANDSHAKE));
    },
  },
  {
    name: "uTP with a chain of many selective acknowledgements",
    found: ["utp strong"],
    run(test) {
      const chain = "01 04 00000000".repeat(9) + "00 04 00000000";
      const wire = new Conversation(test, "udp");
      wire.say(0, hex("41014567 ed639296 00000000 00100000 23c60000" + chain));
      wire.say(1, hex("21004567 ed639341 00000000 00100000 456723c6"));
    },
  },
  {
    name: "DHT query with unsorted keys",
    found: DHT,
    run(test) {
      const query = "d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee";
      new Conversation(test, "udp").say(0, latin1(query));
    },
  },
  {
    name: "DHT query with bytes behind it",
    found: DHT,
    run: (test) => void new Conversation(test, "udp").say(0, join(DHT_PING, NOISE)),
  },
  {
    name: "DHT query behind eight datagrams of noise that nobody answers",
    found: DHT,
    run(test) {
      const wire = new Conversation(test, "udp");
      for (let i = 0; i < 8; i++) wire.say(0, randomBytes(100).fill(0xff, 0, 1));
      wire.say(0, DHT_PING);
    },
  },
  {
    name: "tracker on port 53 or 443 with the default whitelist",
    found: NOTHING,
    run(test) {
      test.engine.setPolicy({
        ...{ strict: false, blockSocks: false, blockMentions: false },
        whitelistPorts: [53, 443],
      });
      const request = hex("0000041727101980 00000000 5eed0001");
      for (const port of [53, 443]) {
        const wire = new Conversation(test, "udp", undefined, `198.51.100.1:${port}`);
        assert.equal(wire.say(0, request).lastVerdict, CLEAN);
      }
    },
  },
  {
    name: "a client that is called on 443, with the default whitelist",
    found: NOTHING,
    run(test) {
      test.engine.setPolicy({
        ...{ strict: false, blockSocks: false, blockMentions: false },
        whitelistPorts: [53, 443],
      });
      new Conversation(test, "tcp", "198.51.100.1:50000", "10.0.0.1:443").open().say(0, HANDSHAKE);
    },
  },
  {
    name: "a client that listens on 443 and calls others from it, with the default whitelist",
    found: DHT,
    run(test) {
      test.engine.setPolicy({
        ...{ strict: false, blockSocks: false, blockMentions: false },
        whitelistPorts: [53, 443],
      });
      new Conversation(test, "udp", "10.0.0.1:443", "198.51.100.1:6881").say(0, DHT_PING);
    },
  },
  {
    name: "tracker on port 53 or 443 with an empty whitelist",
    found: ["udp-tracker proof", "udp-tracker proof"],
    run(test) {
      const request = hex("0000041727101980 00000000 5eed0001");
      for (const port of [53, 443]) {
        new Conversation(test, "udp", undefined, `198.51.100.1:${port}`).say(0, request);
      }
    },
  },
  {
    name: "announce with a method and headers in mixed case",
    found: TRACKER,
    run(test) {
      const text =
        "gEt /announce?info_hash=HASH&peer_id=-TR3000-1&port=1 hTTp/1.1\r\nhOsT: a\r\n\r\n";
      new Conversation(test, "tcp").open().say(0, announce(text));
    },
  },
  {
    name: "announce with every byte of its info-hash percent-encoded, in either case",
    found: TRACKER,
    run(test) {
      const hash = "%AB%cd%Ef%01".repeat(5);
      const text = `GET /a?port=1&peer_id=%2DTR3000%2d1&info_hash=${hash} HTTP/1.1\r\n\r\n`;
      new Conversation(test, "tcp").open().say(0, latin1(text));
    },
  },
  {
    name: "announce with percent-encoded names, which some trackers decode",
    found: NOTHING,
    run(test) {
      const text = "GET /a?%69nfo_hash=HASH&p%65er_id=-TR3000-1&por%74=1 HTTP/1.1\r\n\r\n";
      new Conversation(test, "tcp").open().say(0, announce(text));
    },
  },
  {
    name: "an announce after ten answered requests on one kept-alive connection",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      for (let i = 0; i < 10; i++) exchangePage(flow);
      flow.say(0, ANNOUNCE);
    },
  },
  {
    name: "an announce in pieces, to a tracker that says something else first",
    found: TRACKER,
    run(test) {
      const flow = new Conversation(test, "tcp").open().say(1, latin1("220 ready\r\n"));
      for (let at = 0; at < ANNOUNCE.length; at++) flow.say(0, ANNOUNCE.subarray(at, at + 1));
    },
  },
  {
    name: "an announce in pieces, which the tracker answers one by one",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      for (let at = 0; at < ANNOUNCE.length; at += 8) {
        flow.say(0, ANNOUNCE.subarray(at, at + 8)).say(1, latin1("go on"));
      }
    },
  },
  {
    name: "an announce behind an answered line that is no request",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      flow.say(0, latin1("EHLO me\r\n")).say(1, latin1("250 hello\r\n")).say(0, ANNOUNCE);
    },
  },
  {
    name: "an announce behind a response that ends the connection",
    found: NOTHING,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      flow.say(0, latin1("GET /index HTTP/1.1\r\nHost: a\r\n\r\n"));
      const head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
      flow.say(1, latin1(`${head}hello`)).say(0, ANNOUNCE);
    },
  },
  {
    name: "an announce right behind another request, before a response that ends the connection",
    found: TRACKER,
    run(test) {
      const flow = new Conversation(test, "tcp").open();
      flow.say(0, latin1("GET /index HTTP/1.1\r\nHost: a\r\n\r\n")).say(0, ANNOUNCE);
    },
  },
  {
    name: "a handshake through CONNECT whose request is longer than 4 KiB",
    found: NOTHING,
    run(test) {
      const head = `CONNECT 192.0.2.9:6881 HTTP/1.1\r\nA: ${"a".repeat(4_300)}\r\n\r\n`;
      const flow = new Conversation(test, "tcp").open();
      for (let at = 0; at < head.length; at += 1_400) {
        flow.say(0, latin1(head.slice(at, at + 1_400)));
      }
      flow.say(1, latin1("HTTP/1.1 200 OK\r\n\r\n")).say(0, HANDSHAKE);
    },
  },
  {
    name: "DHT in 6in4 (IPv6 in IPv4)",
    found: DHT,
    run(test) {
      const inner = ip({ ...V6, protocol: UDP }, udp(6881, 6881, DHT_PING, V6));
      judge(test, ip({ ...V4, protocol: 41 }, inner));
    },
  },
  {
    name: "DHT in IPIP (IPv4 in IPv4)",
    found: DHT,
    run: (test) =>
      void judge(test, ip({ ...V4, protocol: 4 }, ip({ ...V4, protocol: UDP }, DHT_V4))),
  },
  {
    name: "DHT in GRE with key and checksum",
    found: DHT,
    run(test) {
      const gre = hex("a000 0800 00000000 00000007");
      const inner = ip({ ...V4, protocol: UDP }, DHT_V4);
      judge(test, ip({ ...V4, protocol: 47 }, join(gre, inner)));
    },
  },
  {
    name: "DHT in four tunnels inside each other",
    found: DHT,
    run(test) {
      let packet = ip({ ...V4, protocol: UDP }, DHT_V4);
      for (let i = 0; i < 4; i++) packet = ip({ ...V4, protocol: 4 }, packet);
      judge(test, packet);
    },
  },
  {
    name: "DHT in a dozen tunnels inside each other",
    found: NOTHING,
    run(test) {
      let packet = ip({ ...V4, protocol: UDP }, DHT_V4);
      for (let i = 0; i < 12; i++) packet = ip({ ...V4, protocol: 4 }, packet);
      judge(test, packet);
    },
  },
  {
    name: "DHT in VXLAN",
    found: DHT,
    run(test) {
      const frame = hex("020000000001 020000000002 0800");
      const vxlan = hex("08000000 00000700"); // RFC 7348: VNI 7
      const inner = join(vxlan, frame, ip({ ...V4, protocol: UDP }, DHT_V4));
      judge(test, ip({ ...V4, protocol: UDP }, udp(50_000, 4789, inner, V4)));
    },
  },
  {
    name: "DHT in Teredo",
    found: DHT,
    run(test) {
      const inner = ip({ ...V6, protocol: UDP }, udp(6881, 6881, DHT_PING, V6)); // RFC 4380
      judge(test, ip({ ...V4, protocol: UDP }, udp(50_000, 3544, inner, V4)));
    },
  },
];

for (const { name, found, run } of rows) {
  const result = found.length === 0 ? "not found" : `found: ${found.join(", ")}`;
  Deno.test(`evasion: ${name} (${result})`, () => {
    const test = new TestEngine();
    run(test);
    assert.deepEqual(test.found, found);
  });
}

Deno.test("what makes two of them not found: the same with less of it is found", () => {
  const test = new TestEngine();
  const kept = new Conversation(test, "tcp").open();
  for (let i = 0; i < 3; i++) exchangePage(kept);
  kept.say(0, ANNOUNCE);
  assert.deepEqual(test.found, TRACKER);
  const other = new TestEngine();
  const flow = new Conversation(other, "tcp").open();
  flow.say(0, latin1(`CONNECT 192.0.2.9:6881 HTTP/1.1\r\nA: ${"a".repeat(1_000)}\r\n\r\n`));
  flow.say(1, latin1("HTTP/1.1 200 OK\r\n\r\n")).say(0, HANDSHAKE);
  assert.deepEqual(other.found, PEER_WIRE);
});

Deno.test("docs/EVASION.md has every row of this table, with its result", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/EVASION.md", import.meta.url));
  const table = text.split("\n").filter((line) => line.startsWith("| "))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  for (const { name, found } of rows) {
    const row = table.find((cells) => cells[1] === name);
    assert.ok(row, `${name} is missing`);
    assert.equal(row[2], found.length > 0 ? "found" : "not found", name);
  }
});

Deno.test("an honest stream that is no handshake never reads as one, however it is cut", () => {
  // One bit off in every place: no reading of consistent copies completes it.
  for (let bit = 0; bit < 160; bit++) {
    const almost = HANDSHAKE.slice(0, 20);
    almost[bit >> 3] ^= 1 << (bit & 7);
    const record = new FlowRecord(1);
    for (const [from, to] of [[10, 20], [0, 12], [5, 20], [0, 20]]) {
      assert.equal(readsHandshake(record, 0, almost, from, to, from), false);
    }
  }
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp").open();
  flow.say(0, NOISE).say(0, HANDSHAKE.subarray(0, 19));
  assert.equal(flow.lastVerdict, INSPECT);
  assert.deepEqual(test.found, []);
});
