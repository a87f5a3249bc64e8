/**
 * Ways to hide, each with what becomes of it; docs/EVASION.md says the same in words, row by row (one
 * test below holds the two together). The rows stand in evasion/, by where something is hidden.
 */
import assert from "node:assert/strict";
import { INSPECT } from "../../src/engine/engine.ts";
import { FlowRecord } from "../../src/engine/flow_record.ts";
import { readsHandshake } from "../../src/engine/handshake_readings.ts";
import { Conversation, HANDSHAKE, latin1, TestEngine } from "../engine/conversation.ts";
import { DATAGRAMS } from "./evasion/datagrams.ts";
import { REQUESTS } from "./evasion/requests.ts";
import { ANNOUNCE, exchangePage, NOISE, PEER_WIRE, TRACKER } from "./evasion/row.ts";
import { STREAMS } from "./evasion/streams.ts";

const rows = [...STREAMS, ...DATAGRAMS, ...REQUESTS];

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
