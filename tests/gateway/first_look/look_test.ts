/** The first look on flows typed from the specifications (BPF_PROG_TEST_RUN). */
import assert from "node:assert/strict";
import { canTakeElements } from "../../../ffi/bpf.ts";
import { bpfImpossible } from "../../bpf/possible.ts";
import { REASON_MANUAL } from "../../../src/gateway/bans/ban_codec.ts";
import { parseBanKey } from "../../../src/gateway/bans/ban_key.ts";
import { BanMap } from "../../../src/gateway/bans/ban_map.ts";
import { BITTORRENT, CLEAN, INSPECT, type Verdict } from "../../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../../src/engine/policy.ts";
import { openingsHeader } from "../../../src/gateway/first_look/openings_header.ts";
import { NotedFlows } from "../../../src/gateway/first_look/noted_flows.ts";
import { ACK, FIN, Packet, parseIp, PSH, SYN } from "../../../src/packet/packet.ts";
import { ip, TCP, tcp, UDP, udp } from "../../robustness/packets.ts";
import { answerTo, ask, freshLook, type Look, LookedChain, notedFlows } from "./look.ts";
import { openingPairs, PAIRS } from "./pairs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const A = "198.18.1.2";
const B = "198.18.2.2";
const HANDSHAKE = Uint8Array.fromHex(
  "13426974546f7272656e742070726f746f636f6c" + "00".repeat(8) + "5a".repeat(20) +
    "2d5452343035302d616263646566676869306a6b",
) as Bytes;

const DHT_MESSAGE = new TextEncoder().encode("d1:ad2:id20:") as Bytes;

function test(name: string, fn: (look: Look) => void): void {
  Deno.test({
    name: `first look: ${name}`,
    ignore: bpfImpossible !== null,
    fn: () => fn(freshLook()),
  });
}

/** A TCP connection from A's port to B's 9000; side 0 is A. */
class Connection {
  constructor(readonly port = 40_000, readonly begin = [1_000, 0xffff_fff0]) {}

  /** @param heard bytes of the other side's that are acknowledged */
  packet(
    side: 0 | 1,
    flags: number,
    offset = 0,
    payload: Uint8Array = new Uint8Array(),
    heard = 0,
  ): Bytes {
    const ports = [this.port, 9_000];
    const ends = side === 0 ? { source: A, destination: B } : { source: B, destination: A };
    const options = {
      ...{ sourcePort: ports[side], destinationPort: ports[1 - side], flags },
      ...{ sequence: this.begin[side] + offset, acknowledgement: this.begin[1 - side] + heard },
    };
    return ip({ ...ends, protocol: TCP }, tcp(options, payload, ends));
  }

  get opening(): Bytes[] {
    return [this.packet(0, SYN, -1), this.packet(1, SYN | ACK, -1), this.packet(0, ACK)];
  }
}

function datagram(side: 0 | 1, payload: Bytes): Bytes {
  const ends = side === 0 ? { source: A, destination: B } : { source: B, destination: A };
  const ports = [40_000, 9_000];
  return ip({ ...ends, protocol: UDP }, udp(ports[side], ports[1 - side], payload, ends));
}

/** Of each packet 1 where it makes no trip to user space. */
const looks = (look: Look, packets: readonly Bytes[]) =>
  packets.map((one) => answerTo(look, one) === "trip" ? 0 : 1);
const [[HELLO, ANSWER]] = openingPairs("tcp");

for (const [index, { kind, transport }] of PAIRS.entries()) {
  test(`${transport}: ${kind} (${index}) makes no trip in either direction`, (look) => {
    const nth = PAIRS.slice(0, index).filter((one) => one.transport === transport).length;
    const [initiator, responder] = openingPairs(transport)[nth];
    const tcpFlow = new Connection();
    const packets = transport === "udp" ? [datagram(0, initiator), datagram(1, responder)] : [
      ...tcpFlow.opening,
      ...[
        tcpFlow.packet(0, ACK | PSH, 0, initiator),
        tcpFlow.packet(1, ACK, 0, responder, initiator.length),
      ],
      ...[tcpFlow.packet(0, ACK | FIN, initiator.length), tcpFlow.packet(1, ACK, 20)],
    ];
    assert.deepEqual(looks(look, packets), packets.map(() => 1));
    if (transport === "tcp") assert.equal(ask(look.settled, packets[0]), 1);
  });

  test(`${transport}: ${kind} (${index}), answered by BitTorrent, is handed over`, (look) => {
    const nth = PAIRS.slice(0, index).filter((one) => one.transport === transport).length;
    const [initiator] = openingPairs(transport)[nth];
    const flow = new Connection();
    const [last, ...before] = transport === "udp"
      ? [datagram(1, DHT_MESSAGE), datagram(0, initiator)]
      : [flow.packet(1, ACK, 0, HANDSHAKE), ...flow.opening, flow.packet(0, ACK, 0, initiator)];
    assert.deepEqual(looks(look, before), before.map(() => 1));
    assert.deepEqual(looks(look, [last, ...before.slice(-1)]), [0, 0], "and so is what follows");
    assert.equal(ask(look.settled, last), 0);
  });
}

/** A ClientHello of 140 bytes before its extensions, the name first or behind `before`. */
function helloTo(name: string, before = ""): Bytes {
  const length = name.length;
  const rest = `${before} 0000 00${byte(length + 5)} 00${byte(length + 3)} 00 00${byte(length)}` +
    new TextEncoder().encode(name).toHex() + "0023 0000 0017 0000";
  const extensions = rest.replaceAll(" ", "");
  const body = "0303" + "5a".repeat(32) + "20" + "33".repeat(32) + "003e" + "c02c".repeat(31) +
    "0100" + "00" + byte(extensions.length / 2) + extensions;
  const message = `010000${byte(body.length / 2)}${body}`;
  return Uint8Array.fromHex(`16030100${byte(message.length / 2)}${message}`) as Bytes;
}

const byte = (number: number) => number.toString(16).padStart(2, "0");

test("a ClientHello to an info-hash (SSL torrent) is handed over, any other name is not", (look) => {
  const hash = "859599a551be0dadca539b8de766c2114defcba8";
  const whole = helloTo("host.example");
  const rows = [
    [whole, 1],
    [helloTo("host.example", "ff01 0001 00"), 1],
    [helloTo(hash), 0],
    [helloTo(hash, "ff01 0001 00"), 0],
    [helloTo(hash + "00"), 1],
    [whole.slice(0, 40), 0], // cut before the name
    [whole.slice(0, 148), 0],
    [whole.slice(0, 160), 1], // in it
  ] as const;
  for (const [index, [hello, expected]] of rows.entries()) {
    const flow = new Connection(41_000 + index);
    const packets = [...flow.opening, flow.packet(0, ACK, 0, hello)];
    assert.deepEqual(looks(look, packets), [1, 1, 1, expected], `row ${index}`);
  }
});

test("a ClientHello of the side that was called is handed over, whatever else its head shows", (look) => {
  const flow = new Connection();
  const text = new TextEncoder().encode("? what is it that you have here\r\n") as Bytes;
  const hello = helloTo("859599a551be0dadca539b8de766c2114defcba8"); // four equal bytes: no key
  const packets = [
    ...flow.opening,
    flow.packet(0, ACK, 0, text),
    flow.packet(1, ACK, 0, hello, text.length),
  ];
  assert.deepEqual(looks(look, packets), [1, 1, 1, 1, 0]);
});

test("an answer with another id, cookie or index than the question's is handed over", () => {
  const linked = PAIRS.filter(({ kind, transport }) =>
    transport === "udp" && !["dtls", "unknown"].includes(kind)
  );
  const pairs = openingPairs("udp");
  for (const { kind } of linked) {
    if (kind === "quic") continue; // its connection id is tested by the mutations
    const [initiator, responder] = pairs[
      PAIRS.filter(({ transport }) => transport === "udp")
        .findIndex((one) => one.kind === kind)
    ];
    const fresh = freshLook();
    const other = responder.slice();
    const place = { dns: 0, ntp: 24, stun: 8, wireguard: 8 }[kind]!;
    other[place] ^= 0x40;
    assert.deepEqual(looks(fresh, [datagram(0, initiator), datagram(1, other)]), [1, 0], kind);
  }
});

test("a datagram flow is settled after as much as the engine wants", (look) => {
  const [initiator, responder] = openingPairs("udp")[4];
  const packets = [datagram(0, initiator), datagram(1, responder)];
  for (let i = 0; i < 6; i++) {
    assert.equal(ask(look.settled, packets[0]), 0, `after ${packets.length}`);
    packets.push(datagram(0, Uint8Array.of(0x80, i, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9) as Bytes));
  }
  assert.deepEqual(looks(look, packets), packets.map(() => 1));
  assert.equal(ask(look.settled, packets[0]), 1);
});

test("what opens a flow passes, and all that follows its settling is told apart", (look) => {
  const flow = new Connection();
  const packets = [
    ...flow.opening,
    flow.packet(0, ACK | PSH, 0, HELLO),
    flow.packet(1, ACK, 0, undefined, HELLO.length),
  ];
  assert.deepEqual(packets.map((one) => answerTo(look, one)), packets.map(() => "passes"));
  const answer = flow.packet(1, ACK, 0, ANSWER, HELLO.length);
  const late = flow.packet(0, ACK, HELLO.length, HELLO);
  for (const packet of [answer, late, flow.opening[1]]) {
    assert.equal(answerTo(look, packet), "settled");
  }
  assert.equal(answerTo(look, flow.opening[0]), "passes", "a new connection");
  assert.equal(answerTo(look, late), "trip");
});

test("a DHT message in a flow that began with a pair is the engine's", (look) => {
  const [initiator, responder] = openingPairs("udp")[2];
  const packets = [datagram(0, initiator), datagram(1, responder), datagram(0, DHT_MESSAGE)];
  assert.deepEqual(looks(look, packets), [1, 1, 0]);
});

test("what is not expected is handed over", (look) => {
  const cases: [string, (flow: Connection) => Bytes][] = [
    ["a handshake", (flow) => flow.packet(0, ACK, 0, HANDSHAKE)],
    ["a segment ahead of the beginning", (flow) => flow.packet(0, ACK, 5, HELLO)],
    ["one before it", (flow) => flow.packet(0, ACK, -5, HELLO)],
    ["a FIN with payload", (flow) => flow.packet(0, ACK | FIN, 0, HELLO)],
    ["payload in a SYN", (flow) => flow.packet(0, SYN, -1, HELLO)],
    ["the server's opening from the client", (flow) => flow.packet(0, ACK, 0, ANSWER.slice(0, 12))],
    ["too little to tell", (flow) => flow.packet(0, ACK, 0, HELLO.slice(0, 6))],
  ];
  for (const [index, [name, make]] of cases.entries()) {
    const flow = new Connection(41_000 + index);
    looks(look, flow.opening);
    assert.equal(looks(look, [make(flow)])[0], 0, name);
    assert.equal(looks(look, [flow.packet(0, ACK, 0, HELLO)])[0], 0, `what follows ${name}`);
  }
});

test("a zero by itself may begin a SOCKS4 reply, whatever the caller has said", (look) => {
  const [caller] = openingPairs("tcp").at(-1)!;
  const flow = new Connection();
  const said = [flow.packet(0, ACK, 0, caller), flow.packet(1, ACK, 0, Uint8Array.of(0))];
  assert.deepEqual(looks(look, [...flow.opening, ...said]), [1, 1, 1, 1, 0]);
});

test("a flow whose SYN was not seen is user space's", (look) => {
  const flow = new Connection();
  assert.deepEqual(looks(look, [flow.packet(0, ACK, 0, HELLO), flow.packet(1, SYN | ACK, -1)]), [
    0,
    0,
  ]);
});

test("a packet with a banned end is user space's, and so is its flow from there on", (look) => {
  const flow = new Connection();
  looks(look, flow.opening);
  const map = new BanMap("blocked_ips", look.map("blocked_ips"), look.map("bans_in_force"));
  assert.ok(map.write(parseBanKey("198.18.2.2")!, 1e12, 0, REASON_MANUAL, true));
  assert.equal(looks(look, [flow.packet(0, ACK, 0, HELLO)])[0], 0);
});

test("the engine knows a flow that is handed over from its SYN on", (look) => {
  const chain = new LookedChain(look);
  const flow = new Connection();
  for (const packet of flow.opening) assert.equal(chain.take(packet, 1), null);
  assert.equal(chain.take(flow.packet(1, ACK, 0, HANDSHAKE), 2), BITTORRENT);
  assert.equal(notedFlows(look), 0, "taken out of the map");
});

test("a caller's own port on the white list hides nothing", (look) => {
  const chain = new LookedChain(look, { ...CAPTURE_POLICY, whitelistPorts: [443] });
  const flow = new Connection(443);
  for (const packet of flow.opening) assert.equal(chain.take(packet, 1), null);
  assert.equal(chain.take(flow.packet(0, ACK, 0, HANDSHAKE), 2), BITTORRENT);
});

test("a new connection on the 5-tuple of a settled one is looked at anew", (look) => {
  const chain = new LookedChain(look);
  const first = new Connection();
  const second = new Connection(40_000, [7_000_000, 9_000_000]);
  const settle = [first.packet(0, ACK, 0, HELLO), first.packet(1, ACK, 0, ANSWER)];
  for (const packet of [...first.opening, ...settle]) chain.take(packet, 1);
  assert.equal(chain.settled.size, 1);
  for (const packet of second.opening) assert.equal(chain.take(packet, 2), null);
  assert.equal(chain.take(second.packet(0, ACK, 0, HANDSHAKE), 3), BITTORRENT);
});

test("half of it in the kernel: TLS in two segments and an answer out of order", (look) => {
  const chain = new LookedChain(look);
  const flow = new Connection();
  const packets = [
    ...flow.opening,
    ...[flow.packet(0, ACK, 0, HELLO.slice(0, 100)), flow.packet(0, ACK, 100, HELLO.slice(100))],
  ];
  for (const packet of packets) assert.equal(chain.take(packet, 1), null);
  const [early, late] = [ANSWER.slice(0, 40), ANSWER.slice(40)];
  assert.notEqual(chain.take(flow.packet(1, ACK, 40, late), 2), BITTORRENT);
  assert.equal(chain.take(flow.packet(1, ACK, 0, early), 2), CLEAN);
});

for (const takesAtOnce of [true, false]) {
  const calls = takesAtOnce ? "one call" : "two calls, before Linux 5.14";
  test(`notes are taken out with ${calls}, what is settled stays`, (look) => {
    if (takesAtOnce && !canTakeElements(look.flows, new Uint8Array(40), new Uint8Array(56))) return;
    const notes = new NotedFlows(look.flows, takesAtOnce);
    const packet = new Packet();
    const flow = new Connection();
    const take = (bytes: Bytes) => {
      assert.ok(parseIp(packet, bytes, 0, bytes.length));
      return notes.take(packet);
    };
    const [request, answer] = [flow.packet(0, ACK, 0, HELLO), flow.packet(1, ACK, 0, ANSWER)];
    looks(look, flow.opening);
    const taken = take(request);
    assert.deepEqual(taken?.begin, [flow.begin[0], flow.begin[1] | 0]);
    assert.deepEqual([taken.isKnown, taken.length], [[true, true], [0, 0]]);
    assert.equal(take(request), null);
    assert.equal(notedFlows(look), 0);
    looks(look, [...flow.opening, request, answer]);
    for (const late of [answer, request]) {
      assert.equal(take(late), null);
      assert.equal(ask(look.settled, late), 1);
    }
  });
}

Deno.test("bpf/openings.h is what the table gives", async () => {
  const path = new URL("../../../bpf/openings.h", import.meta.url);
  assert.equal(await Deno.readTextFile(path), openingsHeader());
});

/** A request that user space judges, and what answers it. */
const REQUEST = "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST_ANSWER =
  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>hello";

test("an answer that ends its connection makes no trip once its request was judged", (look) => {
  const flow = new Connection();
  const chain = new LookedChain(look);
  const [request, answer] = [REQUEST, LAST_ANSWER].map((text) => new TextEncoder().encode(text));
  for (const packet of flow.opening) assert.equal(chain.take(packet, 1), null);
  assert.equal(chain.take(flow.packet(0, ACK | PSH, 0, request), 1), INSPECT);
  assert.equal(chain.take(flow.packet(1, ACK | PSH, 0, answer, request.length), 1), null);
  assert.equal(chain.settled.size, 1);
  assert.equal(chain.trips, 1);
  // The next connection on these ports is another one.
  const next = new Connection(40_000, [7_000, 8_000]);
  for (const packet of next.opening) assert.equal(chain.take(packet, 2), null);
  assert.equal(chain.take(next.packet(0, ACK | PSH, 0, HANDSHAKE), 2), BITTORRENT);
});

const LEFT_TO_THE_ENGINE: readonly (readonly [name: string, request: string, answer: string])[] = [
  [
    "it goes on",
    REQUEST,
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
  ],
  [
    "the first of two headers counts",
    REQUEST,
    LAST_ANSWER.replace("\r\nConn", "\r\nConnection: keep-alive\r\nConn"),
  ],
  ["another header ends alike", REQUEST, LAST_ANSWER.replace("Conn", "Proxy-Conn")],
  ["it stands in the body", REQUEST, LAST_ANSWER.replace("\r\nConn", "\r\n\r\nConn")],
  [
    "it stands behind an empty line of line feeds",
    REQUEST,
    LAST_ANSWER.replace("\r\nConn", "\n\nConn"),
  ],
  ["no body has come", REQUEST, LAST_ANSWER.slice(0, -8)],
  ["its head is cut", REQUEST, LAST_ANSWER.slice(0, -12)],
  [
    "it may be a tracker's",
    REQUEST,
    LAST_ANSWER.replace("<p>hello", "d8:intervali1800e5:peers6:abcdefe"),
  ],
  [
    "its chunk may be a tracker's",
    REQUEST,
    LAST_ANSWER.replace("<p>hello", "c\r\nd8:intervali1800e\r\n"),
  ],
  [
    "a proxy may open a tunnel with it",
    REQUEST,
    LAST_ANSWER.replace("Content-Type: text/html\r\n", ""),
  ],
  ["a proxy asks for a password", REQUEST, LAST_ANSWER.replace("200", "407")],
  ["another will follow", REQUEST, LAST_ANSWER.replace("200", "100")],
  ["the request was for the head", REQUEST.replace("GET", "HEAD"), LAST_ANSWER],
  [
    "the request's body has not come",
    REQUEST.replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n"),
    LAST_ANSWER,
  ],
  ["the request is cut", REQUEST.slice(0, -2), LAST_ANSWER],
  [
    "the request asks for WebSocket",
    REQUEST.replace("\r\n\r\n", "\r\nUpgrade: websocket\r\n\r\n"),
    LAST_ANSWER,
  ],
];
for (const [name, request, answer] of LEFT_TO_THE_ENGINE) {
  test(`an answer is the engine's where ${name}`, (look) => {
    const flow = new Connection();
    const chain = new LookedChain(look);
    const said = [request, answer].map((text) => new TextEncoder().encode(text));
    for (const packet of flow.opening) chain.take(packet, 1);
    chain.take(flow.packet(0, ACK | PSH, 0, said[0]), 1);
    assert.notEqual(chain.take(flow.packet(1, ACK | PSH, 0, said[1], said[0].length), 1), null);
    assert.equal(chain.settled.size, 0);
  });
}

test("an answer is the engine's where it does not answer the request, or that goes on", (look) => {
  const [request, answer] = [REQUEST, LAST_ANSWER].map((text) => new TextEncoder().encode(text));
  const announce = new TextEncoder().encode(
    "GET /announce?info_hash=%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13%14" +
      "&peer_id=-TR4050-abcdefghijkl&port=51413 HTTP/1.1\r\nHost: t\r\n\r\n",
  );
  const cases: readonly (readonly [number, (flow: Connection) => Bytes[], last: Verdict])[] = [
    [41_001, (flow) => [flow.packet(1, ACK, 0, answer)], CLEAN],
    [41_002, (flow) => [flow.packet(1, ACK, 3, answer, request.length)], INSPECT],
    [41_003, (flow) => [
      flow.packet(0, ACK, request.length, announce),
      flow.packet(1, ACK, 0, answer, request.length),
    ], BITTORRENT],
    [41_004, (flow) => [flow.packet(0, ACK, 0, HANDSHAKE)], BITTORRENT],
  ];
  for (const [port, makePackets, verdict] of cases) {
    const flow = new Connection(port);
    const chain = new LookedChain(look);
    for (const packet of flow.opening) chain.take(packet, 1);
    assert.equal(chain.take(flow.packet(0, ACK | PSH, 0, request), 1), INSPECT);
    const [first, ...rest] = makePackets(flow);
    assert.equal(chain.take(first, 1), verdict, `${port}`);
    for (const packet of rest) assert.equal(chain.take(packet, 1), null, "dropped by its mark");
    assert.equal(chain.settled.size, 0);
  }
});

test("what was not acknowledged may be a decoy and settles nothing for the other side", (look) => {
  const text = new TextEncoder().encode("220 ready, nothing to see\r\n");
  const key = Uint8Array.from({ length: 196 }, (_, i) => (i * i * 7 + i * 31 + 128) & 0xff | 0x80);
  for (const side of [0, 1] as const) {
    for (const acknowledged of [0, 1, text.length, text.length + 1]) {
      const flow = new Connection(42_000 + side * 100 + acknowledged);
      looks(look, [...flow.opening, flow.packet(side, ACK, 0, text)]);
      const answer = flow.packet(side === 0 ? 1 : 0, ACK, 0, key, acknowledged);
      const isSettled = acknowledged > 0 && acknowledged <= text.length;
      assert.equal(looks(look, [answer])[0], isSettled ? 1 : 0, `${side}: ${acknowledged}`);
    }
  }
});

test("a SYN begins a connection anew of which the other end was not heard, as without the first look", (look) => {
  const [requests, answer] = [
    "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\x13BitTorrent protocol",
  ].map((text) => new TextEncoder().encode(text));
  const flow = new Connection();
  const packets = [
    flow.packet(0, ACK, 0, requests),
    flow.packet(0, ACK | PSH, 0, requests),
    flow.packet(0, SYN, -1),
    flow.packet(1, ACK | PSH, 0, answer, requests.length),
  ];
  for (const chain of [new LookedChain(null), new LookedChain(look)]) {
    assert.equal(packets.map((packet) => chain.take(packet, 1)).at(-1), BITTORRENT);
  }
});

test("a SYN in a connection that runs is the engine's, which waits for the answer to it", (look) => {
  const text = new TextEncoder().encode("@" + "ST".repeat(50));
  const message = Uint8Array.fromHex("000000cc1400") as Bytes;
  const extensions = new TextEncoder().encode("d12:complete_agoi0e1:md11:upload_onlyi3eee");
  const flow = new Connection();
  const forged = new Connection(40_000, [77_000, 0]);
  const packets = [
    ...flow.opening,
    flow.packet(0, ACK | PSH, 0, text),
    forged.packet(0, SYN, -1),
    flow.packet(1, ACK | PSH, 0, Uint8Array.of(...message, ...extensions), text.length),
  ];
  const found = (chain: LookedChain) =>
    packets.map((packet) => chain.take(packet, 1)).includes(BITTORRENT);
  assert.equal(found(new LookedChain(null)), false);
  const chain = new LookedChain(look);
  assert.equal(found(chain), false);
  assert.equal(chain.trips, 2);
});

/** Beginnings that the engine or the parser of tunnels has a question about; `5a` for the rest. */
const ASKED_ABOUT: readonly (readonly [name: string, hex: string])[] = [
  ["IPv4 in UDP", "45000054"],
  ["IPv6 in UDP", "60000000"],
  ["VXLAN", "885a5a5a5a5a5a00"],
  ["ESP, L2TP or another tunnel's head", "3f00"],
  ["KRPC", "64313a61"],
  ["local discovery", "42542d53"],
  ["uTP data", "0100"],
  ["uTP state", "21ff"],
  ["a tracker's answer", "00000001"],
  ["a tracker asked", "5a5a5a5a5a5a5a5a00000001"],
];
for (const [name, hex] of ASKED_ABOUT) {
  test(`udp: what may be ${name} is the engine's, what is like nothing is not`, (look) => {
    const payload = new Uint8Array(40).fill(0x5a);
    const none = Uint8Array.fromHex("80605a5a5a5a5a5a80605a5a").toHex();
    for (const [beginning, wanted] of [[none, 1], [hex, 0]] as const) {
      payload.set(Uint8Array.fromHex(beginning));
      const packets = [datagram(0, payload), datagram(1, payload)];
      assert.deepEqual(looks(look, packets), [wanted, wanted], beginning);
    }
  });
}
