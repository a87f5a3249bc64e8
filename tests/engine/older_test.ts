import assert from "node:assert/strict";
import { INSPECT, RESET } from "../../src/engine/engine.ts";
import { Conversation, latin1, TestEngine } from "./conversation.ts";

const LINE = latin1("a line of something\n");

Deno.test("connections older than the blocker are reset where that is asked for, both directions", () => {
  const test = new TestEngine({ resetOlder: true });
  const older = new Conversation(test, "tcp").say(0, LINE);
  assert.equal(older.lastVerdict, RESET);
  assert.equal(older.say(1, LINE).lastVerdict, RESET);
  assert.notEqual(older.open().say(0, LINE).lastVerdict, RESET, "begun anew");
  assert.deepEqual(test.found, []);
});

Deno.test("connections begun under the blocker's eyes, datagrams and recalled flows are not reset", () => {
  const test = new TestEngine({ resetOlder: true });
  assert.notEqual(new Conversation(test, "tcp").open().say(0, LINE).lastVerdict, RESET);
  assert.equal(new Conversation(test, "udp").say(0, LINE).lastVerdict, INSPECT);
  const recalled = new Conversation(test, "tcp", "10.0.0.2:50000");
  recalled.isRecalled = true;
  assert.notEqual(recalled.say(0, LINE).lastVerdict, RESET);
  const listed = new TestEngine({ resetOlder: true, whitelistPorts: [443] });
  const service = new Conversation(listed, "tcp", "10.0.0.2:50000", "198.51.100.1:443");
  assert.notEqual(service.say(0, LINE).lastVerdict, RESET);
});

Deno.test("only at the start: what the table has forgotten later is not reset, nor by default", () => {
  const test = new TestEngine({ resetOlder: true });
  new Conversation(test, "udp").say(0, LINE);
  test.nowMs += 131_000;
  assert.notEqual(new Conversation(test, "tcp").say(0, LINE).lastVerdict, RESET);
  assert.notEqual(new Conversation(new TestEngine(), "tcp").say(0, LINE).lastVerdict, RESET);
});
