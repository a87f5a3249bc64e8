/** What one end can do alone, or say in vain, to hide an encrypted beginning. */
import assert from "node:assert/strict";
import { CLEAN } from "../../src/engine/engine.ts";
import { Conversation, latin1, TestEngine } from "./conversation.ts";
import { HOST, PEER, says } from "./play.ts";

Deno.test("encrypted: what one end alone can do hides nothing", () => {
  const rest = ">124 <82 <268 >5 <5 >17 <1448";
  const beginnings: readonly [string, (flow: Conversation, test: TestEngine) => void][] = [
    ["a first byte by itself", (flow) => {
      flow.say(0, latin1("1")).sayRandom(0, 215).sayRandom(1, 296);
    }],
    ["a key that begins with its own length", (flow, test) => {
      flow.say(0, Uint8Array.of(0, 214, ...test.random(214))).sayRandom(1, 296);
    }],
    ["a key of which 15 bytes are text", (flow, test) => {
      flow.say(0, Uint8Array.of(...latin1("GET /index.html"), ...test.random(201))).sayRandom(
        1,
        296,
      );
    }],
    ["padding that is not random", (flow, test) => {
      flow.say(0, Uint8Array.of(...test.random(96), ...new Uint8Array(300)))
        .say(1, Uint8Array.of(...test.random(96), ...new Uint8Array(80)));
    }],
  ];
  for (const [name, begin] of beginnings) {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", HOST, PEER).open();
    begin(flow, test);
    says(flow, rest);
    assert.deepEqual(test.found, ["mse strong"], name);
  }
});

Deno.test("encrypted: a decoy in the key's place that dies on the way hides nothing", () => {
  for (const decoy of ["HELLO WORLD, nothing to see.\n", "GET /index.html HTT", "SSH-2.0-x"]) {
    const test = new TestEngine();
    const flow = new Conversation(test, "tcp", HOST, PEER).open();
    flow.sayAndForget(0, latin1(decoy.repeat(8))).sayRandom(0, 196).sayRandom(1, 296);
    flow.sayRandom(0, 124).sayRandom(1, 82).sayRandom(1, 268);
    flow.sayRandom(0, 5).sayRandom(1, 5).sayRandom(0, 17).sayRandom(1, 1448);
    assert.deepEqual(test.found, ["mse strong"], decoy);
  }
});

Deno.test("encrypted: a decoy in the place of the answer's key that dies on the way hides nothing", () => {
  const decoy = latin1("HELLO WORLD, nothing to see.\n".repeat(4));
  const orders: [string, (flow: Conversation) => Conversation][] = [
    ["before the key", (flow) => flow.sayAndForget(1, decoy).sayRandom(0, 196)],
    ["behind the key", (flow) => flow.sayRandom(0, 196).sayAndForget(1, decoy)],
  ];
  for (const [name, begin] of orders) {
    const test = new TestEngine();
    const flow = begin(new Conversation(test, "tcp", HOST, PEER).open());
    flow.sayRandom(1, 296).sayRandom(0, 124).sayRandom(1, 82).sayRandom(1, 268);
    flow.sayRandom(0, 5).sayRandom(1, 5).sayRandom(0, 17).sayRandom(1, 1448);
    assert.deepEqual(test.found, ["mse strong"], name);
  }
});

Deno.test("encrypted: an answer that has arrived is no decoy, and the flow is let go", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp", HOST, PEER).open();
  flow.say(1, latin1("220 ready when you are, and not before\r\n")).sayRandom(0, 196);
  assert.equal(flow.lastVerdict, CLEAN);
});
