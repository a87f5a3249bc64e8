import assert from "node:assert/strict";
import fc from "fast-check";
import { UTP_HEADER_HINT, UTP_SYN_HINT, UtpFlows } from "../../src/engine/utp_flow.ts";
import type { Match } from "../../src/protocols/match.ts";
import {
  decides,
  eachRandomPayload,
  hex,
  join,
  latin1,
  randomPayloadCount,
} from "../protocols/datagrams.ts";

const SLOT = 1;
const NOISE = latin1("what an encrypted connection carries");

/** [direction, ms, datagram in hexadecimal]. */
type Row = readonly [number, number, string];

/** The answers to a conversation, one a datagram, read inside a larger buffer. */
function answers(rows: readonly (readonly [number, number, Uint8Array])[]): (Match | null)[] {
  const flows = new UtpFlows(4);
  return rows.map(([direction, ms, payload]) => {
    const buffer = join(hex("4100"), payload, hex("31425474"));
    return flows.observe(SLOT, direction, buffer, 2, 2 + payload.length, 1_448_000_000_000 + ms);
  });
}

const fromHex = (rows: readonly Row[]) =>
  rows.map(([direction, ms, text]) => [direction, ms, hex(text)] as const);

/** Position of the first datagram that decides, and why. */
function decision(
  rows: readonly (readonly [number, number, Uint8Array])[],
): [number, string] | null {
  const all = answers(rows);
  const at = all.findIndex(decides);
  return at < 0 ? null : [at, all[at]!.reason];
}

// bittorrent_utp.pcap, 127.0.0.1:49861 to 127.0.0.1:33333 (libutp's ucat).
const libutp: readonly Row[] = [
  [0, 338.043, "41004567 ed639296 00000000 00100000 23c60000"],
  [1, 338.229, "21004567 ed639341 00000000 00100000 456723c6"],
  [0, 1830.773, "01004568 ed7a591d 000000a7 00100000 23c74566 626c610a"],
  [1, 1830.917, "21004567 ed7a5a2b 000000ec 00100000 456723c7"],
  [0, 3036.574, "01004568 ed8cbfad 00000085 00100000 23c84566 746573740a"],
  [1, 3036.733, "21004567 ed8cc057 00000090 00100000 456723c8"],
];

// Recorded: libtorrent 2.0.8 (encrypted) to Transmission 3.00, whose answers carry extension bits.
const transmission: readonly Row[] = [
  [0, 0, "410017bf204ce4510000000000000000 36020000"],
  [1, 0.076, "210217bf6efe655a0000000000380000fc833602 00080000000000000000"],
  [0, 0.912, "010017c0204ce807b14e7f7c001000003603fc82 eea319f69e2524fa7740397b803186a6"],
  [1, 25.569, "010017c06efec8d54eb180ce00040000fc833603 1a811a30c58bbbf8d034aa9ad33b2f9d"],
];

Deno.test("UtpFlows: a SYN is a hint, its answer decides", () => {
  const [first, second] = answers(fromHex(libutp));
  assert.equal(first, UTP_SYN_HINT);
  assert.equal(second?.strength, "strong");
  assert.deepEqual(decision(fromHex(libutp)), [1, "uTP connection opened"]);
  assert.deepEqual(decision(fromHex(transmission)), [1, "uTP connection opened"]);
});

Deno.test("UtpFlows: what opens a connection may be padded", () => {
  const [[, , syn], [, , state]] = libutp;
  for (const pad of ["00", "00".repeat(8), "5eed".repeat(300)]) {
    assert.deepEqual(decision(fromHex([[0, 0, syn + pad], [1, 0.2, state + pad]])), [
      1,
      "uTP connection opened",
    ]);
  }
  const [, , ...later] = fromHex(libutp).map(([d, ms, bytes]) => {
    return [d, ms, join(bytes, hex("00"))] as const; // of a running one it proves nothing
  });
  assert.equal(decision(later.filter(([, , bytes]) => bytes[0] === 0x21)), null);
});

Deno.test("UtpFlows: either side may open, and both at once", () => {
  const turned = fromHex(libutp).map(([d, ms, bytes]) => [1 - d, ms, bytes] as const);
  assert.deepEqual(decision(turned), [1, "uTP connection opened"]);
  const other = hex("41001234 0f0f0f0f 00000000 00000000 77770000");
  const [syn, state] = fromHex(libutp);
  assert.deepEqual(decision([syn, [1, 338.1, other], state]), [2, "uTP connection opened"]);
});

Deno.test("UtpFlows: answers that do not answer the SYN decide nothing", () => {
  const [syn, state] = libutp;
  const wrong = [
    "21004568" + state[2].slice(8), // another id
    state[2].replace("456723c6", "456723c7"), // another sequence number
    "41004567" + state[2].slice(8), // a SYN back
    state[2].replace("2100", "2000"),
  ];
  for (const text of wrong) assert.equal(decision(fromHex([syn, [1, 338.3, text]])), null, text);
  // The same side acknowledging itself.
  assert.equal(decision(fromHex([syn, [0, 338.3, state[2]]])), null);
});

Deno.test("UtpFlows: one direction only, SYN and data", () => {
  const first = fromHex(libutp).filter(([direction]) => direction === 0);
  assert.deepEqual(decision(first), [1, "uTP SYN followed by its connection"]);
  const skipped = libutp[2][2].replace("23c74566", "23c94566"); // not the next number
  assert.equal(decision(fromHex([libutp[0], [0, 1830.773, skipped]])), null);
  const stopped = libutp[2][2].replace("ed7a591d", "ed639296"); // a constant, no clock
  assert.equal(decision(fromHex([libutp[0], [0, 1830.773, stopped]])), null);
});

Deno.test("UtpFlows: one direction only, a SYN sent again", () => {
  const syn = (clock: number): string =>
    `41004567 ${(clock >>> 0).toString(16).padStart(8, "0")} 00000000 00100000 23c60000`;
  const again = (ms: number, µs: number) =>
    decision(fromHex([[0, 100, syn(0xed639296)], [0, 100 + ms, syn(0xed639296 + µs)]]));
  assert.deepEqual(again(3000, 3_000_400), [1, "uTP SYN repeated on a microsecond clock"]);
  assert.equal(again(3000, 0), null); // the same datagram again
  assert.equal(again(3000, 1), null); // a counter
  assert.equal(again(3000, 3000), null); // a millisecond clock
  assert.equal(again(10, 10_000), null); // too soon to tell
});

Deno.test("UtpFlows: a connection older than the blocker, seen in both directions", () => {
  assert.deepEqual(decision(fromHex(libutp.slice(1))), [2, "uTP headers in both directions agree"]);
  assert.deepEqual(
    decision(fromHex(libutp.slice(2))),
    [2, "uTP headers in both directions agree"],
  );
});

/** Two sides of a made connection; clocks are far apart, the path takes `latencyMs` each way. */
class Connection {
  readonly id = 0x7a31;
  #seq = [0xfffe, 0x0100];
  #clock = [0x9000_0000, 0x3000_0000];
  #difference = [0, 0];
  constructor(public latencyMs: number) {}

  /** A packet of `side` that passes the blocker, which stands beside the initiator, at `ms`. */
  send(side: number, ms: number, data: boolean): readonly [number, number, Uint8Array] {
    if (data) this.#seq[side]++;
    const sent = side === 0 ? ms : ms - this.latencyMs;
    const timestamp = (this.#clock[side] + sent * 1000) >>> 0;
    const bytes = new Uint8Array(20);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, data ? 0x01 : 0x21);
    view.setUint16(2, side === 0 ? this.id + 1 : this.id);
    view.setUint32(4, timestamp);
    view.setUint32(8, this.#difference[side]);
    view.setUint32(12, 0x0010_0000);
    view.setUint16(16, this.#seq[side]);
    view.setUint16(18, this.#seq[1 - side]);
    const arrives = side === 0 ? ms + this.latencyMs : ms;
    this.#difference[1 - side] = (this.#clock[1 - side] + arrives * 1000 - timestamp) >>> 0;
    return [side, ms, data ? join(bytes, NOISE) : bytes];
  }
}

Deno.test("UtpFlows: the middle of a download, at any latency, across the wrap of numbers", () => {
  for (const latency of [0.1, 5, 40, 240]) {
    const connection = new Connection(latency);
    connection.send(0, 0, true);
    connection.send(1, latency * 2 + 1, true);
    const rows = [];
    for (let i = 1; i <= 4; i++) {
      rows.push(connection.send(1, 500 * i, true));
      rows.push(connection.send(0, 500 * i + 0.3, false));
    }
    const found = decision(rows);
    assert.ok(found && found[0] <= 3, `${latency} ms: ${found}`);
  }
});

/** What `side` sends of a download while the other side, which is out of sight, answers at once. */
function oneWay(side: number, times: readonly number[], latencyMs = 20) {
  const connection = new Connection(latencyMs);
  connection.send(1 - side, 0, true);
  const jitter = [0, 3, 1, 4, 2, 6, 1.5];
  return times.map((ms, i) => {
    // Each second packet of the other side acknowledges only; a path's delay is never the same.
    connection.latencyMs = latencyMs + jitter[i % 7];
    connection.send(1 - side, ms - 8, i % 2 === 0);
    connection.latencyMs = latencyMs;
    return connection.send(side, ms, i % 3 > 0);
  });
}

Deno.test("UtpFlows: one direction of the middle of a download needs the clock and the path", () => {
  for (const side of [0, 1]) {
    const rows = oneWay(side, Array.from({ length: 24 }, (_, i) => 100 + 17 * i));
    const found = decision(rows);
    assert.deepEqual(found?.[1], "uTP headers agree with the clock");
    assert.ok(found[0] <= 9, String(found));
    // The same packets on other clocks: too slow, too fast, stopped.
    for (const speed of [0.5, 2, 1000, 1 / 1000, 0]) {
      const warped = rows.map(([d, ms, bytes]) => [d, 100 + (ms - 100) / speed, bytes] as const);
      if (Number.isFinite(warped[1][1])) assert.equal(decision(warped), null, `speed ${speed}`);
    }
    // A difference that stands still, counts, jumps, or is a second clock is no path's.
    const fields: readonly ((i: number, ms: number) => number)[] = [
      () => 0x3a7f_19c2,
      (i) => 7000 + i,
      (i) => Math.imul(i + 1, 0x9e37_79b1) >>> 0,
      (_, ms) => Math.round(ms * 1000),
    ];
    for (const field of fields) {
      const other = rows.map(([d, ms, bytes], i) => {
        const copy = bytes.slice();
        new DataView(copy.buffer).setUint32(8, field(i, ms));
        return [d, ms, copy] as const;
      });
      assert.equal(decision(other), null, String(field));
    }
    // A window of a few bytes is another protocol's small number.
    const small = rows.map(([d, ms, bytes]) => {
      const copy = bytes.slice();
      new DataView(copy.buffer).setUint32(12, 320);
      return [d, ms, copy] as const;
    });
    assert.equal(decision(small), null);
  }
});

Deno.test("UtpFlows: a jittery path delays the one-way answer but does not prevent it", () => {
  const rows = oneWay(0, Array.from({ length: 200 }, (_, i) => 100 + 20 * i))
    .map(([d, ms, bytes], i) => [d, ms + [0, 31, 4, 17, 9, 38, 2][i % 7], bytes] as const);
  assert.ok(decision(rows));
});

Deno.test("UtpFlows: one direction alone at a high rate: full datagrams, a moving path", () => {
  const full = (i: number, value: number) => {
    const bytes = new Uint8Array(1400).fill(0xa5);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x0100_03e8);
    view.setUint32(4, 0x5dbb_f3db + 100 * i);
    view.setUint32(8, value);
    view.setUint32(12, 0x0010_0000);
    view.setUint32(16, (0x38cd + i) << 16 | 0x8bf8);
    return [0, i / 10, bytes] as const;
  };
  const noise = (i: number) => (Math.imul(i + 1, 0x9e37_79b1) >>> 23) - 256;
  const rows = (value: (i: number) => number) =>
    Array.from({ length: 80 }, (_, i) => full(i, value(i)));
  const moving = rows((i) => 0x7a02 + noise(i));
  assert.ok(decision(moving));
  assert.ok(decision(moving.flatMap((row) => [row, row]))); // a mirror shows each datagram twice
  assert.equal(decision(rows(() => 0x7a02)), null); // a constant
  assert.equal(decision(rows((i) => 0x7a02 + i)), null); // a counter
  assert.equal(decision(rows((i) => 257 + noise(i))), null); // noise of nine bits
});

Deno.test("UtpFlows: a request inside decides where nothing else is seen", () => {
  const header = "01008414 770f64d4 00000009 00100000 deb5bf07";
  const inside = (message: string) => decision(fromHex([[0, 0, header + message]]));
  assert.deepEqual(inside("0000000d060000003500004000 00004000"), [0, "peer wire message in uTP"]);
  assert.equal(inside("0000000d060000003500004000 00001000"), null);
  assert.equal(inside("0000000d060000003500000000 00004000"), null);
});

Deno.test("UtpFlows: two connections on one pair of sockets, in any mixture", () => {
  const first = new Connection(5);
  const second = new Connection(7);
  const rows: (readonly [number, number, Uint8Array])[] = [];
  const other = ([d, ms, bytes]: readonly [number, number, Uint8Array]) => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setUint16(
      2,
      (new DataView(copy.buffer).getUint16(2) + 9000) & 0xffff,
    );
    return [d, ms, copy] as const;
  };
  for (const one of [first, second]) {
    one.send(0, 0, true);
    one.send(1, 20, true);
  }
  for (let i = 0; i < 12; i++) {
    rows.push(first.send(i & 1, 100 + 10 * i, true));
    rows.push(other(second.send((i >> 1) & 1, 103 + 10 * i, true)));
  }
  assert.ok(decision(rows));
});

Deno.test("UtpFlows: the peer wire handshake inside is proof at once", () => {
  const data = "01005303 10f06876 09f12917 00100000 e7f6 49c6";
  const all = answers([[0, 0, join(hex(data), latin1("\x13BitTorrent protocol"), NOISE)]]);
  assert.equal(all[0]?.strength, "proof");
});

Deno.test("UtpFlows: reset() forgets, and slots do not mix", () => {
  const flows = new UtpFlows(3);
  const [[, , syn], [, , state]] = fromHex(libutp);
  const observe = (slot: number, direction: number, bytes: Uint8Array) =>
    flows.observe(slot, direction, bytes, 0, bytes.length, 338);
  assert.equal(observe(1, 0, syn), UTP_SYN_HINT);
  assert.equal(decides(observe(0, 1, state)), false);
  assert.equal(decides(observe(2, 1, state)), false);
  flows.reset(0);
  assert.equal(decides(observe(1, 1, state)), true);
  flows.reset(1);
  assert.equal(decides(observe(1, 1, state)), false);
});

/** What other programs send, at any pace unless the clock's own is given (ms a datagram). */
const others: readonly (readonly [string, (i: number) => Sent, number?])[] = [
  ["DNS, id 0x4100, 20 bytes", (i) => [i & 1, `41000100 00010000 00000000 ${DNS_QUESTION}`]],
  ["DNS, id 0x2100 after id 0x4100", (i) => [
    i & 1,
    `${i & 1 ? "21008180" : "41000100"} 00010001 00000000 ${DNS_QUESTION}`,
  ]],
  ["WireGuard, handshake initiations", (i) => [
    i & 1,
    "01000000" + word(0x9e3779b1 * (i + 1)) + "5a".repeat(140),
  ]],
  ["CAPWAP-like, one id in both directions, counters", (i) => [
    i & 1,
    header("0100 1a2b", 0x5000_0000 + i, i, i, i) + "00",
  ]],
  ["ids that differ by one, constants elsewhere", (i) => [
    i & 1,
    header(`0100 1a2${i & 1}`, 0x5555_5555, 0x1234_5678, 7, 7) + "61",
  ]],
  ["ids that differ by one, a millisecond clock", (i) => [
    i & 1,
    header(`0100 1a2${i & 1}`, 0x5500_0000 + 20 * i, 7, 7, 7) + "61",
  ]],
  ["request and answer numbered n and n + 1", (i) => [
    i & 1,
    header("0100" + half(i), 1_000_000 * i, 1, i, i) + "61",
  ]],
  ["a 48 kHz media clock, numbered", (i) => [
    0,
    header("0100 1a2b", 0x5500_0000 + 960 * i, i, i, i) + "61",
  ], 20],
  ["a 90 kHz media clock, numbered", (i) => [
    0,
    header("0100 1a2b", 0x5500_0000 + 1800 * i, i, i, i) + "61",
  ], 20],
  ["a microsecond clock in a message of zeros", (i) => [
    0,
    header("0100 1a2b", 0x5500_0000 + 20_000 * i, 0, i, 0) + "61",
  ], 20],
  ["a microsecond clock without progress", (i) => [
    0,
    header("0100 1a2b", 0x5500_0000 + 20_000 * i, 9, 9, 9) + "61",
  ], 20],
  ["zeros", (i) => [i & 1, (i & 2 ? "21" : "41") + "00".repeat(19)]],
  ["a little-endian message of type 0x41, answered by type 0x21", (i) => [
    i & 1,
    `${i & 1 ? "21" : "41"}00 1400 78563412 ${"00".repeat(8)} ${half(i << 8)} 0000`,
  ]],
  ["CoAP, a token of one byte", (i) => [i & 1, "4101" + half(i) + "54b3616263".repeat(5)]],
];

/** Direction and datagram. */
type Sent = readonly [number, string];

const DNS_QUESTION = "02616200 00010001"; // A record of "ab"

function header(start: string, time: number, difference: number, seq: number, ack: number): string {
  return start + word(time) + word(difference) + "00001000" + half(seq) + half(ack);
}

function word(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

function half(value: number): string {
  return (value & 0xffff).toString(16).padStart(4, "0");
}

for (const [name, datagram, pace] of others) {
  Deno.test(`UtpFlows: nothing decides in ${name}`, () => {
    for (const stepMs of pace ? [pace] : [0, 0.05, 1, 20, 1000]) {
      const rows = Array.from({ length: 100 }, (_, i) => {
        const [direction, text] = datagram(i);
        return [direction, i * stepMs, hex(text)] as const;
      });
      const found = decision(rows);
      assert.equal(found, null, `every ${stepMs} ms: ${found}`);
    }
  });
}

Deno.test("UtpFlows: a flow that only looks like uTP stops being hinted at", () => {
  const rows = Array.from({ length: 40 }, (_, i) => {
    const id = 1000 + 7 * i;
    return [0, i, hex(`0100 ${half(id)} ${word(i)} 00000000 00001000 0007 0007 61`)] as const;
  });
  assert.equal(answers(rows).at(-1), null);
  assert.equal(answers(fromHex(libutp.slice(1)))[1], UTP_HEADER_HINT);
});

Deno.test("property: conversations of random datagrams decide nothing", () => {
  const flows = new UtpFlows(1);
  const headers = ["0100", "2100", "4100", "0100 1a2b", "0100 1a2c", "2100 1a2b"].map(hex);
  let count = 0;
  eachRandomPayload(randomPayloadCount(), headers, (bytes, start, end) => {
    if (count % 64 === 0) flows.reset(0);
    const found = flows.observe(0, count % 3 & 1, bytes, start, end, count * 7);
    count++;
    assert.ok(!decides(found), found?.reason);
  });
});

Deno.test("property: a random datagram of exactly a header's length decides nothing", () => {
  const flows = new UtpFlows(1);
  const bytes = new Uint8Array(1 << 16);
  crypto.getRandomValues(bytes);
  const types = [0x01, 0x11, 0x21, 0x31, 0x41];
  for (let i = 0; i + 21 < bytes.length; i++) {
    if (i % 32 === 0) flows.reset(0);
    bytes[i] = types[i % 5];
    bytes[i + 1] = 0;
    const found = flows.observe(0, i & 1, bytes, i, i + 20 + (i % 5 === 0 ? 1 : 0), i * 3);
    assert.ok(!decides(found), found?.reason);
  }
});

Deno.test("property: any single changed bit of a conversation does no harm", () => {
  const rows = fromHex(libutp);
  for (let row = 0; row < rows.length; row++) {
    for (let bit = 0; bit < rows[row][2].length * 8; bit++) {
      const changed = rows.map(([d, ms, bytes]) => [d, ms, bytes.slice()] as const);
      changed[row][2][bit >> 3] ^= 1 << (bit & 7);
      answers(changed);
    }
  }
});

Deno.test("property: any datagrams in any order do no harm", () => {
  const datagram = fc.tuple(
    fc.constantFrom("", "0100", "2101", "4100", ...libutp.map(([, , text]) => text)),
    fc.uint8Array({ maxLength: 40 }),
  ).map(([text, tail]) => join(hex(text), tail));
  const row = fc.tuple(fc.nat(1), fc.nat(100_000), datagram);
  fc.assert(fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
    answers(rows);
  }));
});
