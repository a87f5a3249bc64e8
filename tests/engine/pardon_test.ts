/** A ban that is lifted does not come back for what was there before. */
import assert from "node:assert/strict";
import { BITTORRENT } from "../../src/engine/engine.ts";
import { Conversation, latin1, REQUESTS, TestEngine, UNCHOKE } from "./conversation.ts";

const HANDSHAKE = latin1(
  "\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05aaaaaaaaaaaaaaaaaaaa-qB4520-bbbbbbbbbbbb",
);
/** Last words of the addresses. */
const CLIENT = 0x0a00_0001;
const OTHER = 0x0a00_0002;
const isOf = (last: number) => (words: Int32Array, at: number) => words[at + 3] === last;

Deno.test("a connection of before the lift is dropped when found, and bans nobody until its next SYN", () => {
  const test = new TestEngine();
  const known = new Conversation(test, "tcp").open().say(0, HANDSHAKE);
  const waiting = new Conversation(test, "tcp", "10.0.0.1:50001").open();
  const others = new Conversation(test, "tcp", "10.0.0.2:50000").open();
  test.engine.pardon(isOf(CLIENT));
  test.engine.forget(isOf(CLIENT), true);
  assert.equal(known.say(0, HANDSHAKE).lastVerdict, BITTORRENT);
  assert.equal(waiting.say(0, HANDSHAKE).lastVerdict, BITTORRENT, "sent when the ban was lifted");
  others.say(0, HANDSHAKE);
  known.open().say(0, HANDSHAKE);
  const mayBan = test.detections.map((detection) => [detection.sourcePort, detection.mayBan]);
  assert.deepEqual(mayBan, [
    ...[[50_000, true], [50_000, false], [50_001, false]],
    ...[[50_000, true], [50_000, true]],
  ]);
  assert.deepEqual(test.detections.map(({ ban, mayBan }) => ban === mayBan), Array(5).fill(true));
});

Deno.test("what is forgotten for another policy may ban, unless it was pardoned before", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp").open().say(0, HANDSHAKE).ack(1);
  const goesOn = () => flow.say(1, UNCHOKE).say(0, REQUESTS);
  test.engine.forget(isOf(CLIENT), false);
  goesOn();
  test.engine.forget(isOf(CLIENT), true);
  goesOn();
  test.engine.forget(isOf(OTHER), false);
  test.engine.forget(isOf(CLIENT), false);
  goesOn();
  assert.deepEqual(test.detections.map(({ mayBan }) => mayBan), [true, true, false, false]);
});

Deno.test("of datagrams nothing is pardoned: a closed client sends none", () => {
  const test = new TestEngine();
  const query = latin1(
    "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e" +
      "1:q9:get_peers1:t2:aa1:y1:qe",
  );
  const answer = latin1("d1:rd2:id20:mnopqrstuvwxyz1234565:token4:abcde1:t2:aa1:y1:re");
  const flow = new Conversation(test, "udp");
  test.engine.pardon(isOf(CLIENT));
  flow.say(0, query).say(1, answer);
  test.engine.forget(isOf(CLIENT), true);
  flow.say(0, query).say(1, answer);
  assert.equal(test.detections.length, 2);
  assert.deepEqual(test.detections.map(({ mayBan }) => mayBan), [true, true]);
});
