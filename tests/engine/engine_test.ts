import assert from "node:assert/strict";
import fc from "fast-check";
import { BITTORRENT, CLEAN, DROP, Engine, INSPECT } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";
import { Random } from "../fuzz/random.ts";
import { Conversation, DHT_PING, HANDSHAKE, latin1, TestEngine } from "./conversation.ts";

Deno.test("Engine drops a handshake on the packet that proves it, and all later packets", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp").open().say(0, HANDSHAKE);
  assert.equal(flow.lastVerdict, BITTORRENT);
  assert.equal(flow.sayRandom(1, 10).lastVerdict, BITTORRENT);
  assert.equal(flow.ack(0).lastVerdict, BITTORRENT);
  assert.deepEqual(test.found, ["peer-wire proof"]);
  const [detection] = test.detections;
  assert.equal(detection.source, "10.0.0.1");
  assert.equal(detection.destinationPort, 40000);
  assert.equal(detection.client, "qBittorrent 4.5.2");
  assert.equal(detection.ban, true);
  assert.deepEqual(detection.payload, HANDSHAKE);
});

Deno.test("Engine finds a handshake cut into any segments in any order, some sent twice", () => {
  const points = fc.uniqueArray(fc.integer({ min: 1, max: 67 }), { maxLength: 67 });
  fc.assert(fc.property(points, fc.boolean(), fc.integer(), (cuts, shuffled, seed) => {
    const test = new TestEngine();
    new Conversation(test, "tcp").open().sayInPieces(0, HANDSHAKE, cuts, (pieces) => {
      pieces.push(...pieces.slice(0, 3));
      let random = seed | 1;
      if (shuffled) {
        pieces.sort(() => (random = (Math.imul(random, 1103515245) + 12345) | 0) < 0 ? -1 : 1);
      }
    });
    assert.deepEqual(test.found, ["peer-wire proof"]);
  }));
});

Deno.test("Engine finds the responder's handshake where the initiator's was not seen", () => {
  const test = new TestEngine();
  new Conversation(test, "tcp").open().say(1, HANDSHAKE);
  assert.deepEqual(test.found, ["peer-wire proof"]);
  assert.equal(test.detections[0].initiatorIsSource, false);
});

/** What servers of raw files are asked, if anything. */
const FILE_REQUESTS: readonly (readonly [string, string])[] = [
  ["FTP's data connection", ""],
  ["HTTP/0.9", "GET /recorded\r\n"],
  ["Gopher", "9/recorded\r\n"],
  ["finger", "recorded\r\n"],
];
for (const [name, request] of FILE_REQUESTS) {
  for (const cuts of [[], [7]]) {
    Deno.test(`Engine bans no server of files for a handshake in one: ${name}, ${cuts}`, () => {
      const test = new TestEngine();
      const flow = new Conversation(test, "tcp").open();
      if (request !== "") flow.say(0, latin1(request));
      flow.sayInPieces(1, HANDSHAKE, cuts);
      assert.equal(flow.lastVerdict, BITTORRENT);
      assert.deepEqual(test.detections.map(({ ban }) => ban), [false]);
    });
  }
}

const proxies: readonly (readonly [string, readonly (readonly [0 | 1, string])[]])[] = [
  ["SOCKS5 without authentication (RFC 1928)", [
    [0, "\x05\x01\0"],
    [1, "\x05\0"],
    [0, "\x05\x01\0\x01\xc6\x33\x64\x01\x1a\xe1"],
    [1, "\x05\0\0\x01\0\0\0\0\0\0"],
  ]],
  ["SOCKS4", [[0, "\x04\x01\x1a\xe1\xc6\x33\x64\x01user\0"], [1, "\0\x5a\0\0\0\0\0\0"]]],
  ["HTTP CONNECT (RFC 9110, section 9.3.6)", [
    [0, "CONNECT 198.51.100.1:6881 HTTP/1.1\r\nHost: 198.51.100.1:6881\r\n\r\n"],
    [1, "HTTP/1.1 200 Connection established\r\n\r\n"],
  ]],
];
for (const [name, lines] of proxies) {
  Deno.test(`Engine finds a handshake behind ${name}`, () => {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp").open();
    for (const [side, text] of lines) flow.say(side, latin1(text));
    assert.deepEqual(test.found, []);
    flow.say(0, HANDSHAKE);
    assert.deepEqual(test.found, ["peer-wire proof"]);
  });
}

Deno.test("Engine finds an announce that follows other requests on one connection", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp").open()
    .say(0, latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
    .say(1, latin1("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  assert.equal(flow.lastVerdict, INSPECT);
  const announce = latin1(
    "GET /announce?info_hash=%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13%14" +
      "&peer_id=-TR3000-abcdefghijkl&port=51413 HTTP/1.1\r\nHost: tracker\r\n\r\n",
  );
  flow.sayInPieces(0, announce, [30, 90]);
  assert.deepEqual(test.found, ["http-tracker proof"]);
});

Deno.test("Engine releases a flow whose both sides open with something else", () => {
  const test = new TestEngine();
  const hello = Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...test.random(506));
  hello.set([0, 0, 2, 0x13, 1, 1, 0], 43); // no session, one cipher suite, no compression
  const flow = new Conversation(test, "tcp").open().say(0, hello);
  assert.equal(flow.lastVerdict, INSPECT);
  assert.equal(flow.say(1, hello).lastVerdict, CLEAN);
  assert.equal(flow.say(0, HANDSHAKE).lastVerdict, CLEAN, "no stream begins in its middle");
  assert.deepEqual(test.found, []);
});

Deno.test("Engine releases a download after its first 4 KiB, and UDP after 8 datagrams if answered", () => {
  const test = new TestEngine();
  const tcp = new Conversation(test, "tcp").open().say(0, latin1("GET /file HTTP/1.1\r\n\r\n"));
  tcp.say(1, latin1("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + "x".repeat(1300)));
  for (let i = 0; i < 3; i++) tcp.sayRandom(1, 1400);
  assert.equal(tcp.lastVerdict, CLEAN);
  const udp = new Conversation(test, "udp");
  for (let i = 0; i < 4; i++) {
    udp.say(0, Uint8Array.of(0x80, 0, ...test.random(100)));
    udp.say(1, Uint8Array.of(0x80, 0, ...test.random(100)));
  }
  assert.equal(udp.lastVerdict, CLEAN);
  const unanswered = new Conversation(test, "udp", "10.0.0.1:50001");
  for (let i = 0; i < 20; i++) unanswered.say(0, Uint8Array.of(0x80, 0, ...test.random(100)));
  assert.equal(unanswered.lastVerdict, INSPECT, "noise ahead of an exchange does not release it");
  assert.equal(unanswered.say(0, DHT_PING).lastVerdict, BITTORRENT);
});

Deno.test("Engine takes a SYN on an old 5-tuple as a new connection", () => {
  const test = new TestEngine();
  const text = latin1("SSH-2.0-OpenSSH_9.2\r\n");
  new Conversation(test, "tcp").open().say(1, text).say(0, text);
  new Conversation(test, "tcp").open().say(0, HANDSHAKE);
  assert.deepEqual(test.found, ["peer-wire proof"]);
});

Deno.test("Engine judges a released flow anew when it is called back, and not before", () => {
  const test = new TestEngine();
  const text = latin1("SSH-2.0-OpenSSH_9.2\r\n");
  const flow = new Conversation(test, "tcp").open().say(1, text).say(0, text);
  // Peer wire behind innocent first packets: a request for each of three blocks (BEP 3).
  const request = (begin: number) => [0, 0, 0, 13, 6, 0, 0, 0, 70, 0, begin, 0, 0, 0, 0, 0x40, 0];
  const requests = Uint8Array.from([0, 0x40, 0x80].flatMap((begin) => {
    const bytes = request(0);
    bytes[11] = begin;
    return bytes;
  }));
  assert.equal(flow.say(0, requests).lastVerdict, CLEAN);
  flow.isRecalled = true;
  flow.say(0, requests).say(0, requests);
  assert.deepEqual(test.found, ["mid-stream strong"]);
});

Deno.test("Engine never touches a whitelisted port", () => {
  const test = new TestEngine({ whitelistPorts: [40000] });
  assert.equal(new Conversation(test, "udp").say(0, DHT_PING).lastVerdict, CLEAN);
  assert.equal(new Conversation(test, "tcp").open().say(0, HANDSHAKE).lastVerdict, CLEAN);
  assert.equal(test.engine.counters.whitelisted, 5);
});

Deno.test("Engine drops only the packet, not the tunnel, when the flow is inside one", () => {
  const udp = (payload: Uint8Array) => {
    const total = 28 + payload.length;
    const inner = [
      0x45,
      0,
      total >> 8,
      total & 255,
      0,
      1,
      0,
      0,
      64,
      17,
      0,
      0,
      10,
      0,
      0,
      1,
      10,
      0,
      0,
      2,
    ]
      .concat([0x1a, 0xe1, 0x1a, 0xe1, 0, 8 + payload.length, 0, 0], [...payload]);
    return Uint8Array.of(
      0x45,
      0,
      0,
      20 + total,
      0,
      1,
      0,
      0,
      64,
      4,
      0,
      0,
      10,
      9,
      9,
      1,
      10,
      9,
      9,
      2,
      ...inner,
    );
  };
  const test = new TestEngine();
  const packet = new Packet();
  const bytes = udp(DHT_PING);
  assert.equal(parseIp(packet, bytes, 0, bytes.length), true);
  assert.equal(test.judge(packet), DROP);
  assert.deepEqual(test.found, ["dht proof"]);
});

Deno.test("Engine detects the same at any table size when each flow decides by one packet", () => {
  for (const flows of [8, 64, 4096]) {
    const test = new TestEngine({}, { flows });
    for (let port = 1024; port < 3024; port++) {
      const payload = port % 2 === 0 ? DHT_PING : test.random(40).fill(0x80, 0, 1);
      new Conversation(test, "udp", `10.0.0.1:${port}`).say(0, payload);
    }
    assert.equal(test.detections.length, 1000, `${flows} flows`);
  }
});

Deno.test("Engine: a flood of a million flows stays within its memory and never throws", () => {
  const engine = new Engine({ policy: CAPTURE_POLICY, flows: 4096 });
  const packet = new Packet();
  packet.bytes = new Random(1).bytes(64);
  packet.bytes[0] = 0x13; // a possible beginning: asks for a prefix buffer each time
  packet.family = 4;
  const before = Deno.memoryUsage();
  for (let i = 0; i < 1_000_000; i++) {
    packet.protocol = i & 1 ? 17 : 6;
    packet.flags = i % 3 === 0 ? 2 : 16;
    packet.address[3] = Math.imul(i, 0x9e3779b1);
    packet.address[7] = i;
    packet.sourcePort = i & 0xffff;
    packet.destinationPort = (i >> 4) & 0xffff;
    packet.payloadStart = 0;
    packet.payloadEnd = i % 3 === 0 ? 0 : 1;
    packet.timeMs = i;
    engine.judge(packet);
  }
  const after = Deno.memoryUsage();
  assert.equal(engine.counters.packets, 1_000_000);
  assert.ok(after.external - before.external < 1 << 20, "no buffers were added");
  assert.ok(after.heapUsed - before.heapUsed < 16 << 20, `${after.heapUsed - before.heapUsed}`);
});

Deno.test("Engine: 100 000 random payloads on fresh flows, nothing detected", () => {
  const test = new TestEngine({}, { flows: 65_536 });
  const packet = new Packet();
  packet.family = 4;
  const pool = test.random(65_536);
  for (let i = 0; i < 100_000; i++) {
    if (i % 1000 === 0) crypto.getRandomValues(pool);
    packet.bytes = pool;
    packet.protocol = i & 1 ? 17 : 6;
    packet.flags = 16;
    packet.address[3] = i;
    packet.sourcePort = 2000 + (i & 1023);
    packet.destinationPort = 7000;
    packet.payloadStart = Math.imul(i, 7919) & 0x7fff;
    packet.payloadEnd = packet.payloadStart + 1 + (i % 1500);
    packet.payloadLength = packet.payloadEnd - packet.payloadStart;
    test.judge(packet);
  }
  assert.deepEqual(test.found, []);
});
