import assert from "node:assert/strict";
import fc from "fast-check";
import { TrackerFlows } from "../../src/engine/tracker_flow.ts";
import type { Match } from "../../src/protocols/match.ts";
import {
  decides,
  eachRandomPayload,
  hex,
  join,
  latin1,
  randomPayloadCount,
} from "../protocols/datagrams.ts";

// Bytes typed from the tables of BEP 15.
const connect = hex("0000041727101980 00000000 5eed0001");
const connected = hex("00000000 5eed0001 1122334455667788");
const announce = join(
  hex("1122334455667788 00000001 5eed0002"),
  latin1("abcdefghij0123456789" + "no client's peer id "),
  hex(
    "0000000000000000 000000000bebc200 0000000000000000 00000002 00000000 1234abcd ffffffff 1ae1",
  ),
);
const announced = hex("00000001 5eed0002 00000708 00000001 00000002 c00002011ae1 cb007109c8d5");
const scrape = join(hex("1122334455667788 00000002 5eed0003"), latin1("abcdefghij0123456789"));
const scraped = hex("00000002 5eed0003 00000001 00000002 00000003");
const failed = join(hex("00000003 5eed0002"), latin1("Connection ID missmatch."));

/** The answers to a conversation, one a datagram, read inside a larger buffer. */
function answers(rows: readonly (readonly [number, Uint8Array])[]): (Match | null)[] {
  const flows = new TrackerFlows(2);
  return rows.map(([direction, payload]) => {
    const buffer = join(hex("00000417"), payload, hex("00000000 5eed0001"));
    return flows.observe(1, direction, buffer, 4, 4 + payload.length);
  });
}

const last = (...rows: readonly (readonly [number, Uint8Array])[]) => answers(rows).at(-1);

Deno.test("TrackerFlows: a whole exchange, from either side", () => {
  for (const client of [0, 1]) {
    const tracker = 1 - client;
    const found = answers([
      [client, connect],
      [tracker, connected],
      [client, announce],
      [tracker, announced],
      [client, scrape],
      [tracker, scraped],
      [client, announce],
      [tracker, failed],
    ]);
    assert.deepEqual(found.map((match) => `${match?.strength} ${match?.reason}`), [
      "proof connect request",
      "proof connect response to its request",
      "proof announce request of a connection",
      "strong announce response to its request",
      "proof scrape request of a connection",
      "strong scrape response to its request",
      "proof announce request of a connection",
      "strong error response to its request",
    ]);
    assert.ok(found.every((match) => match?.method === "udp-tracker"));
  }
});

Deno.test("TrackerFlows: an exchange whose beginning was not seen", () => {
  assert.equal(last([0, announce])?.strength, "hint"); // the peer id is no client's
  assert.equal(last([0, announce], [1, announced])?.strength, "strong");
  assert.equal(last([0, announce], [1, failed])?.strength, "strong");
  assert.equal(last([0, scrape]), null);
  assert.equal(last([0, scrape], [1, scraped])?.strength, "strong");
  const named = announce.slice();
  named.set(latin1("-qB4520-"), 36);
  assert.equal(last([0, named])?.strength, "strong");
});

Deno.test("TrackerFlows: an announce over IPv6 is answered with 18 bytes a peer", () => {
  const answer = join(announced.slice(0, 20), new Uint8Array(36).fill(7));
  assert.equal(last([0, announce], [1, answer])?.strength, "strong");
});

const small = (transaction: string) => {
  const request = scrape.slice();
  request.set(hex(transaction), 12);
  const answer = scraped.slice();
  answer.set(hex(transaction), 4);
  return [[0, request], [1, answer]] as const;
};

const rejected: readonly (readonly [string, readonly (readonly [number, Uint8Array])[]])[] = [
  ["responses without a request", [[1, connected], [1, announced], [1, scraped], [1, failed]]],
  ["a connect response of another transaction", [
    [0, connect],
    [1, hex("00000000 5eed0002 1122334455667788")],
  ]],
  ["a connect response from the same side", [[0, connect], [0, connected]]],
  ["a connect response of 12 bytes", [[0, connect], [1, connected.slice(0, 12)]]],
  ["an announce response of another transaction", [[0, announce], [
    1,
    hex(
      "00000001 5eed0003 00000708 00000001 00000002",
    ),
  ]]],
  ["an announce response of 19 bytes", [[0, announce], [1, announced.slice(0, 19)]]],
  ["an announce response with half a peer", [[0, announce], [1, announced.slice(0, -3)]]],
  ["a scrape response to an announce", [[0, announce], [
    1,
    hex(
      "00000002 5eed0002 00000001 00000002 00000003",
    ),
  ]]],
  ["a scrape response with more rows than asked", [[0, scrape], [
    1,
    join(
      scraped,
      new Uint8Array(12),
    ),
  ]]],
  ["a scrape response without rows", [[0, scrape], [1, scraped.slice(0, 8)]]],
  ["a header of kind, sender, 2 and receiver", [ // the receiver's number comes back as sender's
    [0, join(hex("00000001 000a0001 00000002 00c80002"), new Uint8Array(20))],
    [1, hex("00000003 00c80002 00000002 000a0001 6f6b")],
  ]],
  ["an error that is no text", [[0, announce], [1, hex("00000003 5eed0002 00000002 5eed0001")]]],
  ["an error without a text", [[0, announce], [1, hex("00000003 5eed0002")]]],
  ["zeros answered by zeros", small("00000000")],
  ["a small counter that comes back", small("00000012")],
  ["an announce of another connection", [[0, connect], [1, connected], [
    0,
    join(
      hex("1122334455667789"),
      announce.slice(8),
    ),
  ]]],
];
for (const [name, rows] of rejected) {
  Deno.test(`TrackerFlows: nothing new decides with ${name}`, () => {
    assert.ok(!decides(last(...rows) ?? null));
  });
}

Deno.test("TrackerFlows: reset() forgets, and slots do not mix", () => {
  const flows = new TrackerFlows(2);
  flows.observe(1, 0, connect, 0, connect.length);
  assert.equal(flows.observe(0, 1, connected, 0, connected.length), null);
  flows.reset(0);
  assert.ok(flows.observe(1, 1, connected, 0, connected.length));
  flows.reset(1);
  assert.equal(flows.observe(1, 1, connected, 0, connected.length), null);
});

Deno.test("property: any datagrams in any order, cut and changed, do no harm", () => {
  const messages = [connect, connected, announce, announced, scrape, scraped, failed];
  const row = fc.tuple(
    fc.nat(1),
    fc.constantFrom(...messages),
    fc.nat(110),
    fc.nat(110 * 8),
  ).map(([direction, message, length, bit]) => {
    const changed = message.slice(0, length);
    if (bit >> 3 < changed.length) changed[bit >> 3] ^= 1 << (bit & 7);
    return [direction, changed] as const;
  });
  fc.assert(fc.property(fc.array(row, { maxLength: 12 }), (rows) => {
    answers(rows);
  }));
});

Deno.test("property: conversations of random datagrams decide nothing", () => {
  const flows = new TrackerFlows(1);
  const beginnings = [
    hex("00000000"),
    hex("00000001"),
    hex("00000002"),
    hex("1122334455667788 00000001"),
    hex("1122334455667788 00000002"),
  ];
  let count = 0;
  eachRandomPayload(randomPayloadCount(), beginnings, (bytes, start, end) => {
    if (count % 64 === 0) flows.reset(0);
    const found = flows.observe(0, count % 3 & 1, bytes, start, end);
    count++;
    assert.ok(!decides(found), found?.reason);
  });
});
