/** What undecided flows wait for, as the status tells it: read by another view of the same memory. */
import assert from "node:assert/strict";
import { FlowRecord, flowsByteLength } from "../../src/engine/flow_record.ts";
import { tickOf } from "../../src/engine/flow_table.ts";
import { countUndecided, noWaits, type Wait } from "../../src/engine/undecided.ts";
import { Conversation, TestEngine } from "./conversation.ts";

const FLOWS = 64;
const text = (value: string) => new TextEncoder().encode(value);
/** RFC 1928 has no such version, and no other detector knows it. */
const BINARY = Uint8Array.of(0xf7, 0, 0, 9, 1, 2, 3, 4, 5);
const RANDOM = crypto.getRandomValues(new Uint8Array(300));
/** BEP 29: a SYN as clients send it, of version 1, without an extension. */
const UTP_SYN = Uint8Array.fromHex("41001234000100010000000000100000" + "00010000");

class Watched {
  readonly words = new SharedArrayBuffer(flowsByteLength(FLOWS));
  readonly test = new TestEngine({}, { flows: FLOWS, flowWords: this.words });

  tcp(port = 50_000): Conversation {
    return new Conversation(this.test, "tcp", `10.0.0.1:${port}`);
  }

  udp(): Conversation {
    return new Conversation(this.test, "udp");
  }

  udp6(): Conversation {
    return new Conversation(this.test, "udp", "2001:db8::1:50000", "2001:db8:1::1:40000");
  }

  /** What there is, by name. */
  waits(laterMs = 0): Partial<Record<Wait, number>> {
    const counts = noWaits();
    const nowTick = tickOf(this.test.nowMs + laterMs);
    countUndecided(new FlowRecord(FLOWS, this.words), nowTick, counts);
    return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
  }
}

const cases: [
  name: string,
  act: (watched: Watched) => void,
  waits: Partial<Record<Wait, number>>,
][] = [
  ["an empty table", () => {}, {}],
  ["a SYN", (w) => w.tcp().open(), { payload: 1 }],
  ["a request's head that is cut", (w) => w.tcp().open().say(0, text("GET / HTTP/1.1\r\nHo")), {
    opening: 1,
  }],
  ["a message nobody answers", (w) => w.tcp().open().say(0, new Uint8Array(120).fill(0xf7)), {
    answer: 1,
  }],
  [
    "HTTP that goes on",
    (w) =>
      w.tcp().open().say(0, text("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
        .say(1, text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    { http: 1 },
  ],
  ["too little to be random", (w) => w.tcp().open().say(0, BINARY), { random: 1 }],
  [
    "two random beginnings",
    (w) => w.tcp().open().say(0, RANDOM.subarray(0, 200)).say(1, RANDOM.subarray(100)),
    { encrypted: 1 },
  ],
  ["a stream joined in the middle", (w) => w.tcp().say(0, RANDOM), { "mid-stream": 1 }],
  ["a uTP SYN", (w) => w.udp().say(0, UTP_SYN), { hint: 1 }],
  ["a uTP SYN between IPv6 addresses", (w) => w.udp6().say(0, UTP_SYN), { hint: 1 }],
  ["a datagram nobody answers", (w) => w.udp().say(0, BINARY), { answer: 1 }],
  ["a datagram and its answer", (w) => w.udp().say(0, BINARY).say(1, BINARY), { budget: 1 }],
  ["a flow judged clean", (w) => w.tcp().open().say(0, BINARY).say(1, BINARY), {}],
  [
    "BitTorrent",
    (w) => w.udp().say(0, text("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")),
    {},
  ],
  [
    "several of a kind",
    (w) => {
      for (let port = 50_000; port < 50_003; port++) w.tcp(port).open();
    },
    { payload: 3 },
  ],
];

for (const [name, act, waits] of cases) {
  Deno.test(`countUndecided(): ${name}`, () => {
    const watched = new Watched();
    act(watched);
    assert.deepEqual(watched.waits(), waits);
    assert.deepEqual(watched.waits(59_900), waits);
    assert.deepEqual(watched.waits(61_000), {}, "silent for a minute");
  });
}
