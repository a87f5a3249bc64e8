import assert from "node:assert/strict";
import fc from "fast-check";
import { MessageChains } from "../../src/engine/message_chain.ts";
import type { Match } from "../../src/protocols/match.ts";
import {
  decides,
  eachRandomPayload,
  hex,
  join,
  latin1,
  randomPayloadCount,
} from "../protocols/datagrams.ts";

const BLOCK = 0x4000;

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function message(id: number, ...body: Uint8Array[]): Uint8Array {
  const content = join(Uint8Array.of(id), ...body);
  return join(u32(content.length), content);
}

const CHOKE = message(0);
const UNCHOKE = message(1);
const KEEP_ALIVE = u32(0);
const have = (index: number) => message(4, u32(index));
const request = (index: number, begin: number, length = BLOCK) =>
  message(6, u32(index), u32(begin), u32(length));
const reject = (index: number, begin: number) => message(16, u32(index), u32(begin), u32(BLOCK));
const allowedFast = (index: number) => message(17, u32(index));

/** Bytes that never look like a message: compressed data does not. */
function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 11;
  }
  return bytes;
}

function piece(index: number, begin: number, length = BLOCK): Uint8Array {
  const bytes = new Uint8Array(13 + length);
  bytes.set(u32(9 + length));
  bytes[4] = 7;
  bytes.set(u32(index), 5);
  bytes.set(u32(begin), 9);
  bytes.set(noise(length, index + begin + 1), 13);
  return bytes;
}

/** One direction of one flow, whose positions wrap around soon. */
class Stream {
  readonly #chains = new MessageChains(4);
  position = 0x7fff_f000;
  bytesSeen = 0;
  found: Match | null = null;

  /** The next bytes of the stream, one segment. */
  say(...parts: Uint8Array[]): this {
    const bytes = join(...parts);
    this.at(this.position, bytes);
    this.position = (this.position + bytes.length) | 0;
    return this;
  }

  /** A segment anywhere in the stream, in a buffer with other bytes around it. */
  at(position: number, bytes: Uint8Array): this {
    if (this.found !== null) return this;
    this.bytesSeen += bytes.length;
    const buffer = new Uint8Array(bytes.length + 32).fill(0x40);
    buffer.set(bytes, 16);
    this.found = this.#chains.observe(2, 1, position, buffer, 16, 16 + bytes.length);
    return this;
  }

  get words(): string {
    return this.found === null ? "nothing" : `${this.found.method} ${this.found.strength}`;
  }
}

/** `bytes` in segments of `size`. */
function segments(bytes: Uint8Array, size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.slice(at, at + size));
  return parts;
}

const CHAIN = "mid-stream strong";

// Each inner list is one segment.
const chains: readonly (readonly [string, readonly Uint8Array[][], string])[] = [
  // mercury-bittorrent.pcap, frames 5 and 8, which are two requests and one.
  [
    "requests of one segment",
    [[hex("0000000d060000004800000000000040000000000d06000000480000400000004000")]],
    CHAIN,
  ],
  ["requests, one a segment", [[request(72, 0)], [request(72, BLOCK)]], CHAIN],
  ["have and request", [[have(3)], [request(72, 0)]], CHAIN],
  ["unchoke and the head of a piece", [[UNCHOKE, piece(170, BLOCK).slice(0, 13)]], CHAIN],
  ["request around a keep-alive", [[have(3)], [KEEP_ALIVE], [request(72, 0)]], CHAIN],
  ["cancel after its request", [[request(1, 0)], [message(8, u32(1), u32(0), u32(BLOCK))]], CHAIN],
  ["a torrent's last block", [[have(2)], [request(90, BLOCK), request(90, 2 * BLOCK, 291)]], CHAIN],
  ["a single request deep in a torrent", [[request(72, 2 * BLOCK)]], CHAIN],
  ["a single head of a piece", [[piece(72, 3 * BLOCK).slice(0, 1380)]], CHAIN],
  ["small records with two counters", [[piece(0, 0, 100)], [piece(1, 0, 100)]], "nothing"],
  ["rejects", [[reject(95, 0), reject(95, BLOCK)]], "fast strong"],
  ["allowed fast and request", [[allowedFast(95), request(95, 0)]], "fast strong"],
  [
    "hash requests of BitTorrent v2",
    [[have(1), message(21, noise(32), u32(0), u32(512), u32(512), u32(3))]],
    CHAIN,
  ],
  [
    "peer exchange, which needs no chain",
    [[hex("0000001f140164353a6164646564363ac6120102c8d5373a61646465642e66313a1065")]],
    "extension proof",
  ],
  ["a single request that an open file may explain", [[request(72, 0)]], "nothing"],
  ["a read of 16 KiB by a small handle", [[request(3, 5 * BLOCK)]], "nothing"],
  ["the head of a piece inside a segment", [[noise(9), piece(72, BLOCK).slice(0, 999)]], "nothing"],
  // What a protocol of files says whose read is a handle, an offset and a size, in type 6.
  [
    "a file read by a small handle",
    [0, 1, 2, 3, 5, 6].map((i) => [request(3, i * BLOCK)]),
    "nothing",
  ],
  [
    "a file sent by a small handle",
    [[0, 1, 2, 3, 4].flatMap((i) => piece(3, i * BLOCK))],
    "nothing",
  ],
  [
    "a read whose handle is the size of the reads",
    [1, 2, 3, 4].map((i) => [request(BLOCK, i * BLOCK)]),
    "nothing",
  ],
  ["a have that is a counter, and a read", [[have(31)], [request(3, BLOCK)]], "nothing"],
  [
    "first blocks of one piece after the other",
    [[600, 601, 603].map((i) => request(i, 0))],
    "nothing",
  ],
  ["reads numbered, by twos", [2, 4, 6, 8].map((i) => [request(20_000 + i, i * BLOCK)]), "nothing"],
  ["reads of three files", [[request(4, 0)], [request(9, 0)], [request(2, 0)]], "nothing"],
  // What a swarm says and they do not.
  ["requests over the end of a small piece", [
    [request(3, 2 * BLOCK)],
    [request(3, 3 * BLOCK), request(4, 0)],
  ], CHAIN],
  ["pieces asked for in any order", [[request(9000, 0), request(8123, 0)]], CHAIN],
  [
    "reads numbered one by one",
    [2, 3, 4, 5].map((i) => [request(20_000 + i, i * BLOCK)]),
    "nothing",
  ],
  [
    "requests of other sizes",
    [1, 2, 3, 4].map((i) => [request(72, i * BLOCK, 0x1_0000)]),
    "nothing",
  ],
  ["a lone cancel with a sequence number", [
    [hex("0000000d08000004b0000000000000033e0000000101")],
  ], "nothing"],
  [
    "a request among another protocol's messages",
    [[message(40, noise(20))], [request(72, BLOCK)], [message(41, noise(9))]],
    "nothing",
  ],
  [
    "three requests among another protocol's messages",
    [[message(40, noise(20))], [
      request(72, BLOCK),
      request(72, 2 * BLOCK),
      request(72, 3 * BLOCK),
    ]],
    CHAIN,
  ],
  [
    "the same request again and again",
    [[request(1, 0)], [request(1, 0)], [request(1, 0)]],
    "nothing",
  ],
  ["haves", [[have(1), have(2), have(3), have(4)]], "nothing"],
  ["unchokes", [[UNCHOKE, UNCHOKE, UNCHOKE, CHOKE, UNCHOKE, UNCHOKE]], "nothing"],
  ["the Fast extension without a block", [[1, 2, 3, 4, 5].map(allowedFast)], "nothing"],
  ["zeros", [[new Uint8Array(4000)]], "nothing"],
  ["requests off the block grid", [[request(1, 1), request(1, 2), request(1, 3)]], "nothing"],
  ["requests that do not join", [[request(1, 0), hex("00"), request(1, BLOCK)]], "nothing"],
  [
    "a request in the middle of a segment",
    [[latin1("text"), request(1, 0), request(1, BLOCK)]],
    "nothing",
  ],
  ["requests with a short tail", [[request(1, 0), request(1, BLOCK), latin1("tail")]], "nothing"],
  ["a request with a tail", [[have(1), request(1, 0), latin1("tail of another kind")]], "nothing"],
];
for (const [name, said, expected] of chains) {
  Deno.test(`MessageChains finds ${expected} in ${name}`, () => {
    const stream = new Stream();
    for (const parts of said) stream.say(...parts);
    assert.equal(stream.words, expected);
  });
}

/** What a seed sends: pieces, and between some of them a have. */
const SEED = join(
  piece(207, 0),
  piece(207, BLOCK),
  have(12),
  piece(207, 2 * BLOCK),
  piece(207, 3 * BLOCK),
);

for (const size of [17, 100, 536, 1448, 9000, 65_000]) {
  Deno.test(`MessageChains joins a running download, segments of ${size} bytes`, () => {
    for (const skipped of [1, 4, 12, 700, 16_000, 16_396]) {
      const stream = new Stream();
      for (const part of segments(SEED.slice(skipped), size)) stream.say(part);
      assert.equal(stream.words, CHAIN, `joined at byte ${skipped}`);
      assert.ok(stream.bytesSeen <= 65_536 || size > 60_000, `${stream.bytesSeen} bytes`);
    }
  });
}

Deno.test("MessageChains finds messages cut at any two places", () => {
  const said = join(have(3), request(72, 0), request(72, BLOCK));
  for (let first = 5; first < said.length; first++) {
    for (let second = first; second < said.length; second++) {
      const stream = new Stream();
      stream.say(said.slice(0, first));
      if (second > first) stream.say(said.slice(first, second));
      stream.say(said.slice(second));
      assert.equal(stream.words, CHAIN, `cut at ${first} and ${second}`);
    }
  }
});

Deno.test("MessageChains is not confused by what TCP does to segments", () => {
  const parts = segments(SEED.slice(5000), 1448);
  fc.assert(fc.property(
    fc.array(fc.record({ at: fc.nat(parts.length - 1), kind: fc.nat(3) }), { maxLength: 12 }),
    (events) => {
      const stream = new Stream();
      const start = stream.position;
      for (let i = 0; i < parts.length; i++) {
        const position = (start + i * 1448) | 0;
        const kinds = events.filter((event) => event.at === i).map((event) => event.kind);
        if (kinds.includes(0) && i + 1 < parts.length) { // the next one overtakes
          stream.at((position + 1448) | 0, parts[i + 1]);
        }
        stream.at(position, parts[i]);
        if (kinds.includes(1)) stream.at(position, parts[i]); // sent twice
        if (kinds.includes(2)) { // sent again in other pieces
          stream.at((position - 700) | 0, SEED.slice(5000 + i * 1448 - 700).slice(0, 1448));
        }
        if (kinds.includes(3)) stream.at((position - 9000) | 0, noise(1448)); // long ago
      }
      assert.equal(stream.words, CHAIN);
    },
  ));
});

Deno.test("MessageChains starts again when the segment with the next header is lost", () => {
  const stream = new Stream();
  const long = join(SEED, SEED.slice(0, 40_000));
  segments(long.slice(5000), 1448).forEach((part, i) => {
    const position = (stream.position + i * 1448) | 0;
    if (i !== 19) stream.at(position, part); // the second piece's header, 27 794 bytes on
  });
  assert.equal(stream.words, CHAIN);
});

Deno.test("MessageChains takes no file for a swarm that holds its packets", () => {
  // A capture of BitTorrent, downloaded: headers of pieces, but at the distances of a capture file.
  const stream = new Stream();
  const record = noise(70);
  const file = join(record, piece(1, 0), record, piece(1, BLOCK), record, piece(1, 2 * BLOCK));
  for (const part of segments(file, 1448)) stream.say(part);
  assert.equal(stream.words, "nothing");
});

Deno.test("MessageChains gives a direction up after 72 KiB", () => {
  const stream = new Stream();
  for (const part of segments(noise(80_000), 1448)) stream.say(part);
  stream.say(request(1, 0)).say(request(1, BLOCK));
  assert.equal(stream.words, "nothing");
});

Deno.test("MessageChains keeps slots and directions apart, and forgets on reset", () => {
  const chains = new MessageChains(2);
  const first = request(101, 0);
  const second = request(101, BLOCK);
  const see = (slot: number, direction: 0 | 1, position: number, bytes: Uint8Array) =>
    chains.observe(slot, direction, position, bytes, 0, bytes.length);
  assert.equal(see(0, 0, 0, first), null);
  assert.equal(see(1, 0, 17, second), null);
  assert.equal(see(0, 1, 17, second), null);
  chains.reset(0);
  assert.equal(see(0, 0, 17, second), null);
  assert.ok(decides(see(1, 0, 34, request(101, 2 * BLOCK))));
});

Deno.test("MessageChains finds the block that one end asks for and the other sends", () => {
  const see = (first: Uint8Array, second: Uint8Array) => {
    const chains = new MessageChains(1);
    const found = chains.observe(0, 0, 0, first, 0, first.length);
    return found ?? chains.observe(0, 1, 0, second, 0, second.length);
  };
  assert.ok(decides(see(request(3, 2 * BLOCK), piece(3, 2 * BLOCK).slice(0, 1448))));
  assert.ok(decides(see(piece(3, 0).slice(0, 1448), request(3, 5 * BLOCK)))); // asked in advance
  assert.equal(see(request(3, 2 * BLOCK), piece(4, 2 * BLOCK).slice(0, 1448)), null);
  assert.equal(see(request(3, 2 * BLOCK), piece(3, 3 * BLOCK).slice(0, 1448)), null);
  assert.equal(see(request(3, 2 * BLOCK), request(3, 2 * BLOCK)), null);
  // A counter that both ends use.
  assert.equal(see(request(3018, BLOCK), request(3019, 2 * BLOCK)), null);
});

// First bytes of streams that are cut into messages by a length of 4 bytes, or begin with zeros.
const others: readonly (readonly [string, readonly string[]])[] = [
  ["SSH", ["0000002c0614000000", "0000011c1e00000101", "0000000c0a1500000000000000000000"]],
  ["Kafka", [
    "0000002400120003000000010017",
    "0000001e0003000900000002",
    "000000150000000700000003",
  ]],
  ["HTTP/2", [
    "000000040000000000",
    "00000408000000000000ef0001",
    "0000080600000000000000000000000000",
  ]],
  ["PostgreSQL", ["0000000804d2162f", "00000029000300007573657200"]],
  ["NetBIOS session", ["000000a4ff534d4272", "00000054fe534d4240"]],
  ["MP4", ["00000018667479706d703432", "0000000d0605ffff09b7", "00000002 09f0 00000002 0910"]],
  ["Thrift", ["0000000d800100010000", "00000011800100020000"]],
  ["DNS over TCP", ["001d0001010000010000", "002d0001818000010001"]],
  ["Cassandra", ["0400000001000000160001", "84000000020000000000"]],
  ["fixed records", ["0000000506000000010000000506000000020000000506000000030000000506000000"]],
];
for (const [name, said] of others) {
  Deno.test(`MessageChains finds nothing in ${name}`, () => {
    const stream = new Stream();
    for (let round = 0; round < 20; round++) for (const part of said) stream.say(hex(part));
    assert.equal(stream.words, "nothing");
  });
}

Deno.test("MessageChains survives any segments anywhere, and reads none past its end", () => {
  const some = [
    have(1),
    request(1, 0),
    request(1, BLOCK),
    piece(1, 0, 64),
    reject(2, 0),
    KEEP_ALIVE,
  ];
  const segment = fc.record({
    direction: fc.constantFrom(0 as const, 1 as const),
    position: fc.integer({ min: -40, max: 40 }),
    parts: fc.array(fc.constantFrom(...some), { maxLength: 4 }),
    cut: fc.nat(60),
    tail: fc.uint8Array({ maxLength: 20 }),
  });
  fc.assert(fc.property(fc.array(segment, { maxLength: 30 }), (said) => {
    const alone = new MessageChains(1);
    const inside = new MessageChains(1);
    for (const { direction, position, parts, cut, tail } of said) {
      const bytes = join(join(...parts).slice(0, cut), tail);
      const buffer = join(hex("00000001"), bytes, join(...parts).slice(cut), hex("0000000d0600"));
      const found = alone.observe(0, direction, position, bytes, 0, bytes.length);
      assert.equal(inside.observe(0, direction, position, buffer, 4, 4 + bytes.length), found);
    }
  }));
});

Deno.test("MessageChains finds nothing in random payloads", () => {
  // A direction sees eight payloads in a row; half of them begin like messages.
  const beginnings = [have(1), request(1, 0), piece(1, 0, 1).slice(0, 13), KEEP_ALIVE, hex("0000")];
  const chains = new MessageChains(1);
  let position = 0;
  let count = 0;
  eachRandomPayload(randomPayloadCount(), beginnings, (bytes, start, end) => {
    if (count++ % 8 === 0) chains.reset(0);
    assert.ok(!decides(chains.observe(0, 0, position, bytes, start, end)));
    position = (position + end - start) | 0;
  });
});
