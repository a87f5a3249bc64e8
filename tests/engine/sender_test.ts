/** Who is real in a flow: by interfaces and routes, as a gateway knows them, and as a capture does not. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BITTORRENT, CLEAN, DROP, INSPECT } from "../../src/engine/engine.ts";
import { BOTH_ENDS, DESTINATION_END, SOURCE_END } from "../../src/engine/sender.ts";
import { formatAddress } from "../../src/packet/address.ts";
import { type Packet, UNKNOWN_INTERFACE } from "../../src/packet/packet.ts";
import { Conversation, DHT_PING, HANDSHAKE, latin1, TestEngine } from "./conversation.ts";
import {
  ELSEWHERE,
  Gateway,
  homeOf,
  INSIDE,
  LAN,
  NEIGHBOUR,
  OUTSIDE,
  OWN,
  UPLINK,
  UPLINK2,
} from "./gateway.ts";

/** Ends that the one detection holds to be real. */
function realOf(test: TestEngine): number {
  assert.equal(test.detections.length, 1);
  return test.detections[0].real;
}

const handshake = (test: TestEngine, a: string, b: string) =>
  void new Conversation(test, "tcp", a, b).open().say(0, HANDSHAKE);
const datagram = (test: TestEngine, a: string, b: string) =>
  void new Conversation(test, "udp", a, b).say(0, DHT_PING);
const answeredDatagram = (test: TestEngine, a: string, b: string) =>
  void new Conversation(test, "udp", a, b)
    .say(0, latin1("hello")).say(1, latin1("hello")).say(0, DHT_PING);

/** `a` calls, `b` is found. */
const calledDatagram = (test: TestEngine, a: string, b: string) =>
  void new Conversation(test, "udp", a, b).say(0, latin1("hello")).say(1, DHT_PING);

type Talk = (test: TestEngine, a: string, b: string) => void;
type From = (source: string) => number;
const byUplink: From = () => UPLINK;
const unknown: From = () => UNKNOWN_INTERFACE;
/** What this machine sends itself comes in by no interface (netfilter's OUTPUT). */
const ofMachine: From = (source) => source === "203.0.113.1" ? 0 : UPLINK;

// What is said, from whom, to whom, where packets come in; whether the sender is real.
const cases: readonly (readonly [string, Talk, string, string, From | null, boolean])[] = [
  ["one inside calls out", handshake, INSIDE, OUTSIDE, null, true],
  ["one inside sends a first datagram", datagram, INSIDE, OUTSIDE, null, true],
  ["one inside calls another link", handshake, INSIDE, ELSEWHERE, null, true],
  ["one outside calls in and is answered", handshake, OUTSIDE, INSIDE, null, true],
  ["one outside sends a first datagram", datagram, OUTSIDE, INSIDE, null, false],
  ["one outside sends a datagram once answered", answeredDatagram, OUTSIDE, INSIDE, null, false],
  ["one outside sends a datagram once called", calledDatagram, INSIDE, OUTSIDE, null, false],
  ["one inside sends a datagram once called", calledDatagram, OUTSIDE, INSIDE, null, true],
  ["both directions come by the uplink", handshake, INSIDE, OUTSIDE, byUplink, false],
  [
    "datagrams of both directions come by the uplink",
    answeredDatagram,
    OUTSIDE,
    INSIDE,
    byUplink,
    false,
  ],
  [
    "a first datagram of one inside comes by the uplink",
    datagram,
    INSIDE,
    OUTSIDE,
    byUplink,
    false,
  ],
  ["one inside is forged from another link", datagram, ELSEWHERE, OUTSIDE, () => LAN, false],
  [
    "one inside is forged from another link, in a connection",
    handshake,
    ELSEWHERE,
    OUTSIDE,
    (source) => source === "10.1.0.1" ? LAN : UPLINK,
    false,
  ],
  [
    "one outside is real only beside an inside end that is where it belongs",
    handshake,
    OUTSIDE,
    ELSEWHERE,
    (source) => source === "10.1.0.1" ? LAN : UPLINK,
    false,
  ],
  ["both ends behind one link", handshake, INSIDE, NEIGHBOUR, null, false],
  ["a first datagram leaves by the link it came in by", datagram, INSIDE, NEIGHBOUR, null, false],
  ["interfaces are not known, and it is answered", handshake, INSIDE, OUTSIDE, unknown, true],
  ["interfaces are not known, and nobody answers", datagram, INSIDE, OUTSIDE, unknown, false],
  ["both ends outside", handshake, OUTSIDE, "192.0.2.1:6881", null, false],
  ["this machine itself", handshake, OWN, OUTSIDE, ofMachine, false],
  ["one outside calls this machine", handshake, OUTSIDE, OWN, ofMachine, true],
  [
    "one outside calls who is forged by this machine",
    handshake,
    OUTSIDE,
    INSIDE,
    (source) => source === "10.0.0.1" ? 0 : UPLINK,
    false,
  ],
];
for (const [name, talk, a, b, from, isReal] of cases) {
  Deno.test(`a sender is ${isReal ? "" : "not "}real: ${name}`, () => {
    const test = new Gateway();
    if (from !== null) test.from = from;
    if (from === ofMachine) test.to = ofMachine;
    talk(test, a, b);
    assert.equal(realOf(test) & SOURCE_END, isReal ? SOURCE_END : 0);
    assert.equal(test.detections[0].ban, isReal);
  });
}

Deno.test("an end that only received is not held to be anything, one that answered is real", () => {
  const silent = new Gateway();
  datagram(silent, INSIDE, OUTSIDE);
  assert.equal(realOf(silent) & DESTINATION_END, 0);
  assert.equal(silent.detections[0].acted, SOURCE_END);
  const captured = new TestEngine(); // no interfaces are known
  datagram(captured, INSIDE, OUTSIDE);
  assert.equal(realOf(captured), 0);
  const answering = new Gateway();
  answeredDatagram(answering, INSIDE, OUTSIDE);
  assert.equal(realOf(answering), BOTH_ENDS);
});

Deno.test("who shows that he hears the other end ends a connection with it, whoever he is", () => {
  const test = new Gateway();
  const flow = new Conversation(test, "tcp", OUTSIDE, "192.0.2.1:6881").open().say(0, HANDSHAKE);
  assert.equal(realOf(test), 0);
  assert.equal(flow.lastVerdict, BITTORRENT);
  assert.equal(flow.say(1, latin1("whatever it is")).lastVerdict, BITTORRENT);
});

Deno.test("both ends outside are not real, by two uplinks neither", () => {
  const test = new Gateway();
  test.from = test.to = (address) => address === "192.0.2.1" ? UPLINK2 : UPLINK;
  handshake(test, OUTSIDE, "192.0.2.1:6881");
  assert.equal(realOf(test), 0);
});

Deno.test("one outside is real by whichever uplink he comes", () => {
  const test = new Gateway();
  test.from = (source) => source === "10.0.0.1" ? LAN : UPLINK2;
  handshake(test, OUTSIDE, INSIDE);
  assert.equal(realOf(test) & SOURCE_END, SOURCE_END);
  assert.equal(test.detections[0].ban, true);
});

Deno.test("a packet injected into another's connection from elsewhere does not make him an offender", () => {
  // 10.0.0.1 has opened a page of the attacker's, who knows all numbers.
  const test = new Gateway();
  const flow = new Conversation(test, "tcp", INSIDE, OUTSIDE).open();
  test.from = byUplink;
  flow.say(0, HANDSHAKE);
  assert.equal(realOf(test), 0);
});

Deno.test("nor does one by another uplink than the one that it would leave by", () => {
  const test = new Gateway();
  const flow = new Conversation(test, "tcp", INSIDE, OUTSIDE).open();
  test.from = () => UPLINK2;
  flow.say(0, HANDSHAKE);
  assert.equal(realOf(test) & SOURCE_END, 0);
  assert.equal(test.detections[0].ban, false);
});

Deno.test("a proxy is not held to be who speaks behind it, and its user is who he is", () => {
  // RFC 1928: no authentication; connect to 192.0.2.7:6881; done.
  const negotiate = (test: TestEngine) =>
    new Conversation(test, "tcp", INSIDE, "198.51.100.1:1080").open()
      .say(0, Uint8Array.of(5, 1, 0)).say(1, Uint8Array.of(5, 0))
      .say(0, Uint8Array.of(5, 1, 0, 1, 192, 0, 2, 7, 0x1a, 0xe1))
      .say(1, Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
  const peer = new Gateway();
  negotiate(peer).say(1, HANDSHAKE);
  assert.equal(realOf(peer) & SOURCE_END, 0);
  assert.equal(peer.detections[0].ban, false);
  const user = new Gateway();
  negotiate(user).say(0, HANDSHAKE);
  assert.equal(realOf(user), SOURCE_END);
  assert.equal(user.detections[0].ban, true);
});

Deno.test("in a bridge two ports are two links, one port is one", () => {
  // By end: the port its packets come in by, and the port they go out of.
  const rows = [
    ["each behind its own", [21, 22], [22, 21], true],
    ["both behind one", [21, 21], [21, 21], false],
    ["both written by a third behind another", [23, 22], [23, 21], false],
  ] as const;
  for (const [name, first, second, isReal] of rows) {
    const test = new Gateway();
    const judge = test.judge.bind(test);
    test.judge = (packet: Packet) => {
      const ports = () => formatAddress(packet.address, 0) === "10.0.0.1" ? first : second;
      Object.defineProperty(packet, "inputLink", { get: () => ports()[0], set() {} });
      Object.defineProperty(packet, "outputLink", { get: () => ports()[1], set() {} });
      return judge(packet);
    };
    handshake(test, INSIDE, NEIGHBOUR);
    assert.equal(realOf(test) & SOURCE_END, isReal ? SOURCE_END : 0, name);
  }
});

Deno.test("inside a tunnel nobody is real", () => {
  const test = new TestEngine();
  const judge = test.judge.bind(test);
  test.judge = (packet: Packet) => {
    packet.tunnelled = true;
    return judge(packet);
  };
  handshake(test, INSIDE, OUTSIDE);
  assert.equal(realOf(test), 0);
  assert.equal(test.detections[0].mayBan, false);
});

Deno.test("nobody's addresses are never real", () => {
  const nobodys = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.192.152.143"];
  for (const address of [...nobodys, "::", "::1", "ff02::1", "ff02::2", "ff15::efc0:988f"]) {
    const test = new TestEngine();
    handshake(test, `${address}:5000`, OUTSIDE);
    assert.equal(realOf(test) & SOURCE_END, 0, address);
  }
});

/** A uTP connection that the other side answers (BEP 29): SYN, STATE. */
function utp(test: TestEngine, a: string, b: string): void {
  const header = (type: number, id: number, sequence: number, acknowledged: number) => {
    const view = new DataView(new ArrayBuffer(20));
    view.setUint16(0, type << 12 | 0x100);
    view.setUint16(2, id);
    view.setUint32(4, 0x1234_5678);
    view.setUint32(12, 0x10_0000);
    view.setUint16(16, sequence);
    view.setUint16(18, acknowledged);
    return new Uint8Array(view.buffer);
  };
  new Conversation(test, "udp", a, b).say(0, header(4, 7001, 1, 0)).say(1, header(2, 7001, 900, 1));
}

Deno.test("uTP is dropped, and bans a host of which more is known or that has it with eight in a minute", () => {
  const few = new Gateway();
  for (let i = 0; i < 30; i++) utp(few, `10.0.0.1:${40_000 + i}`, `198.51.100.${1 + i % 3}:22000`);
  assert.equal(few.detections.length, 30);
  assert.ok(few.detections.every(({ ban }) => !ban), "a file synchroniser was to be banned");

  const many = new Gateway();
  for (let i = 0; i < 9; i++) utp(many, `10.0.0.1:${40_000 + i}`, `198.51.100.${1 + i}:6881`);
  assert.deepEqual(many.detections.map(({ ban }) => ban), [...Array(7).fill(false), true, true]);

  const called = new Gateway();
  for (let i = 0; i < 20; i++) utp(called, `198.51.100.${1 + i}:6881`, "10.0.0.1:40000");
  assert.ok(called.detections.every(({ ban }) => !ban), "addresses may be forged to call it");

  const slow = new Gateway();
  for (let i = 0; i < 12; i++) {
    utp(slow, `10.0.0.1:${40_000 + i}`, `198.51.100.${1 + i}:6881`);
    slow.nowMs += 30_000;
  }
  assert.ok(slow.detections.every(({ ban }) => !ban), "eight within a minute, not ever");

  const known = new Gateway();
  datagram(known, INSIDE, OUTSIDE);
  utp(known, "10.0.0.1:40000", "198.51.100.2:6881");
  assert.deepEqual(known.detections.map(({ ban }) => ban), [true, true]);
});

const WORD = latin1("what an encrypted tunnel says");

/** Two that have a tunnel with each other, on ports that anybody knows. */
const tunnel = (test: TestEngine) => {
  const [inside, outside] = ["10.0.0.1:4500", "198.51.100.1:4500"];
  return {
    called: new Conversation(test, "udp", inside, outside),
    calling: new Conversation(test, "udp", outside, inside),
  };
};

Deno.test("a datagram in another's name is dropped, and nothing that he says himself", () => {
  const test = new Gateway();
  const { called, calling } = tunnel(test);
  for (let i = 0; i < 3; i++) assert.equal(calling.say(0, DHT_PING).lastVerdict, DROP);
  for (const side of [0, 1, 0] as const) assert.equal(called.say(side, WORD).lastVerdict, INSPECT);
  assert.equal(called.say(1, DHT_PING).lastVerdict, DROP); // in the middle, as an answer
  assert.equal(called.say(1, WORD).lastVerdict, INSPECT);
  for (let i = 0; i < 8; i++) called.say(0, WORD);
  assert.equal(called.lastVerdict, CLEAN);
  assert.deepEqual(test.detections.map(({ ban }) => ban), [false]); // told once
});

Deno.test("who answers what was not let through is nobody, who sends BitTorrent himself is found", () => {
  const test = new Gateway();
  const { called, calling } = tunnel(test);
  calling.say(0, DHT_PING);
  assert.equal(called.say(0, DHT_PING).lastVerdict, BITTORRENT);
  assert.deepEqual(test.detections.map(({ real }) => real), [0, SOURCE_END]);
  assert.equal(test.detections[1].ban, true);
});

Deno.test("a forged call does not make a service of who calls one", () => {
  const test = new Gateway({ whitelistPorts: [443] });
  const inside = "10.0.0.1:51820";
  new Conversation(test, "udp", "198.51.100.1:443", inside).say(0, DHT_PING);
  const flow = new Conversation(test, "udp", inside, "198.51.100.1:443").say(0, WORD);
  assert.equal(flow.lastVerdict, CLEAN);
});

const UTP_SYN = latin1("\x41\0\x12\x34\0\x0f\x42\x40\0\0\0\0\0\x10\0\0\x03\xe8\0\0");
const UTP_DATA = latin1("\x01\0\x12\x35\0\x0f\x46\x28\0\0\0\x10\0\x10\0\0\x03\xe9\x13\x88data");
const UTP_STATE = latin1("\x21\0\x12\x34\0\x1f\x46\x28\0\0\0\x10\0\x10\0\0\x13\x88\x03\xe8");

/** A connection of uTP by one side. */
function utpAlone(test: TestEngine, flow: Conversation, side: 0 | 1): Conversation {
  flow.say(side, UTP_SYN);
  test.nowMs += 1;
  return flow.say(side, UTP_DATA);
}

Deno.test("uTP in another's name ends nothing that the two have", () => {
  const test = new Gateway();
  const { called, calling } = tunnel(test);
  assert.equal(utpAlone(test, calling, 0).lastVerdict, DROP);
  assert.equal(calling.say(0, WORD).lastVerdict, DROP); // nobody has answered yet
  for (const side of [0, 1] as const) assert.equal(called.say(side, WORD).lastVerdict, INSPECT);
  assert.equal(utpAlone(test, called, 1).lastVerdict, DROP);
  assert.equal(called.say(1, WORD).lastVerdict, INSPECT);
  assert.deepEqual(test.detections.map(({ ban }) => ban), [false]);
});

Deno.test("an answer in another's name ends nothing where the two have just begun", () => {
  // The ports of tunnels, time and calls are known to everybody: as if it came from who was called.
  const peersOf = latin1(
    "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash20:bbbbbbbbbbbbbbbbbbbbe1:q9:get_peers1:t2:aa1:y1:qe",
  );
  const forged: ((test: TestEngine, flow: Conversation) => Conversation)[] = [
    (_, flow) => flow.say(1, peersOf),
    (_, flow) => flow.say(1, latin1("\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0abcd")),
    (test, flow) => utpAlone(test, flow, 1),
  ];
  for (const say of forged) {
    const test = new Gateway();
    const { called } = tunnel(test);
    called.say(0, WORD);
    assert.equal(say(test, called).lastVerdict, DROP);
    for (const side of [1, 0] as const) assert.equal(called.say(side, WORD).lastVerdict, INSPECT);
    assert.deepEqual(test.detections.map(({ ban }) => ban), [false]);
  }
});

Deno.test("uTP that is called from outside is dropped with its flow", () => {
  const test = new Gateway();
  const { calling } = tunnel(test);
  assert.equal(calling.say(0, UTP_SYN).say(1, UTP_STATE).lastVerdict, BITTORRENT);
  assert.equal(calling.say(0, WORD).lastVerdict, BITTORRENT);
});

const LINE = latin1("a line of text, and more of it\n");
const ANNOUNCE = latin1(
  `GET /announce?info_hash=${
    "%aa".repeat(20)
  }&peer_id=-TR3000-abcdefghijkl&port=6881 HTTP/1.1\r\n` +
    "Host: a\r\nUser-Agent: Transmission/3.00\r\n\r\n",
);

Deno.test("what a stranger says in another's name ends no connection, whose ports he knows", () => {
  for (const said of [HANDSHAKE, ANNOUNCE]) {
    for (const side of [0, 1] as const) {
      const test = new Gateway();
      const flow = new Conversation(test, "tcp", OUTSIDE, INSIDE);
      flow.open().say(0, LINE).say(1, LINE);
      test.from = () => UPLINK;
      assert.equal(flow.knock(side, said).lastVerdict, DROP);
      const forged = new Conversation(test, "tcp", OUTSIDE, INSIDE).skipSyns([12_344, 4_711]);
      forged.say(side, said); // behind the forged SYN, where nobody expects anything
      test.from = homeOf;
      for (let i = 0; i < 40; i++) {
        const verdict = flow.say((i & 1) as 0 | 1, LINE).lastVerdict;
        assert(verdict === INSPECT || verdict === CLEAN, `${i}: ${verdict}`);
      }
      assert.deepEqual(test.found, []);
    }
  }
});

Deno.test("property: of a handshake whose sender may be another nothing arrives, however it comes", () => {
  const points = fc.uniqueArray(fc.integer({ min: 1, max: 67 }), { maxLength: 67 });
  fc.assert(fc.property(points, (cuts) => {
    const test = new Gateway();
    test.from = () => UPLINK;
    const edges = [0, ...cuts.toSorted((a, b) => a - b), HANDSHAKE.length];
    const segment = (from: number) => {
      const end = edges.find((edge) => edge > from)!;
      const flow = new Conversation(test, "tcp", OUTSIDE, INSIDE).skipSyns([99 + from, 4_711]);
      return flow.say(0, HANDSHAKE.subarray(from, end)).lastVerdict;
    };
    new Conversation(test, "tcp", OUTSIDE, INSIDE).knock(0, new Uint8Array(0), 99);
    const dropped = edges.findIndex((from) => segment(from) !== INSPECT);
    assert(edges[dropped] < 20);
    for (let again = 0; again < 10; again++) {
      assert.equal(segment(edges[dropped]), DROP);
      if (dropped + 2 < edges.length) segment(edges[dropped + 1]);
    }
  }));
});
