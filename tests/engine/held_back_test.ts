/** First data that waits until the other flows of its host have shown what they are. */
import assert from "node:assert/strict";
import { BITTORRENT, DROP, INSPECT } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { FIN } from "../../src/packet/packet.ts";
import { Conversation, TestEngine } from "./conversation.ts";
import { HOST, isOneOfSeveral, PEER, says } from "./play.ts";
import { ADDRESSES, calls, KIN, NEGOTIATIONS, PROXY, RELAYED } from "./proxied.ts";

/** The foremost of several peers, whose data stands for the first time in its stream; the others. */
function foremost(test: TestEngine, own = RELAYED): [Conversation, Conversation[]] {
  const flows = KIN.map((kin, i) =>
    says(calls(test, `10.0.0.1:4000${i}`, ADDRESSES[i]), kin.split(" >68")[0])
  );
  return [says(calls(test, HOST, "203.0.113.9:51413"), own.split(" <10136")[0]), flows];
}

Deno.test("held back: the foremost of several peers waits until another has shown what it is", () => {
  const test = new TestEngine({ holds: true });
  const [flow, [other]] = foremost(test);
  const data = test.random(10_136);
  assert.equal(flow.sayAndForget(1, data).lastVerdict, DROP);
  assert.deepEqual(test.found, []);
  says(other, ">68 <294");
  test.nowMs += 210;
  assert.equal(flow.sayAndForget(1, data.subarray(0, 1448)).lastVerdict, BITTORRENT);
  assert.deepEqual(test.detections.map(({ match }) => match.kind), ["fan-out"]);
});

Deno.test("held back: until it is sent again, once, and small messages not at all", () => {
  const test = new TestEngine({ holds: true });
  const [flow] = foremost(test);
  const data = test.random(10_136);
  assert.equal(flow.sayAndForget(1, data).lastVerdict, DROP);
  test.nowMs += 20; // a probe of the tail
  assert.equal(flow.sayAndForget(1, data).lastVerdict, DROP);
  assert.equal(flow.sayRandom(0, 34).lastVerdict, INSPECT);
  test.nowMs += 180;
  for (let again = 0; again < 3; again++) {
    assert.equal(flow.say(1, data).lastVerdict, INSPECT);
    test.nowMs += 10;
  }
  assert.deepEqual(test.found, []);
});

Deno.test("held back: nothing of what was sent before the others are several", () => {
  const test = new TestEngine({ holds: true });
  // No proxy's, which may have led to the others later.
  const flow = new Conversation(test, "tcp", HOST, "203.0.113.9:51413").open();
  says(flow, RELAYED.split(" <10136")[0]);
  const data = test.random(10_136);
  assert.equal(flow.sayAndForget(1, data).lastVerdict, INSPECT);
  for (const [i, kin] of KIN.entries()) {
    says(calls(test, `10.0.0.1:4000${i}`, ADDRESSES[i]), kin.split(" >68")[0]);
  }
  assert.equal(flow.say(1, data).lastVerdict, INSPECT);
});

Deno.test("held back: passes at once where nothing is to be held any more", () => {
  const test = new TestEngine({ holds: true });
  const [flow] = foremost(test);
  const data = test.random(10_136);
  assert.equal(flow.sayAndForget(1, data).lastVerdict, DROP);
  test.engine.setPolicy({ ...CAPTURE_POLICY, holds: false });
  assert.equal(flow.say(1, data).lastVerdict, INSPECT);
});

Deno.test("held back: with the end of its stream it is sent again as it was", () => {
  const test = new TestEngine({ holds: true });
  const [flow, [other]] = foremost(test);
  const data = test.random(1400);
  assert.equal(flow.sayAndForget(1, data, FIN).lastVerdict, DROP);
  says(other, ">68 <294");
  test.nowMs += 210;
  assert.equal(flow.sayAndForget(1, data, FIN).lastVerdict, BITTORRENT);
});

Deno.test("held back: with a handshake among several places, or without one beside another that has it", () => {
  const hidden = ">361 <467 >371 <721 >286 <10136w";
  const held = (
    own: string,
    shown: number,
    { policy = { holds: true }, places = 3, toldBack = 286 } = {},
  ) => {
    const test = new TestEngine(policy);
    const flow = calls(test, HOST, "203.0.113.9:51413");
    for (const [i, kin] of KIN.slice(0, places).entries()) {
      const other = calls(test, `10.0.0.1:4000${i}`, ADDRESSES[i]);
      says(other, i < shown ? `${kin} >${toldBack}` : kin.split(" >68")[0]);
    }
    says(flow, own.split(" <10136")[0]);
    return flow.sayRandom(1, 10_136).lastVerdict === DROP;
  };
  assert.equal(held(RELAYED, 0), true);
  assert.equal(held(RELAYED, 0, { policy: { holds: false } }), false, "what judges captures");
  assert.equal(held(RELAYED, 0, { places: 0 }), true, "the proxy has led to the others later");
  assert.equal(held(RELAYED.replace(">276", ">250"), 0), false, "not alike");
  assert.equal(held(hidden, 2), true);
  assert.equal(held(hidden, 1), true);
  assert.equal(held(hidden, 0), false);
  assert.equal(held(hidden, 2, { toldBack: 288 }), false, "other words than the others'");
  assert.equal(held(hidden.replace(">286", ">90"), 2, { toldBack: 90 }), false, "too short");
  assert.equal(held(hidden.replace(">286", ">543"), 2, { toldBack: 543 }), false, "as obfs4's");
  assert.equal(held(hidden.replace("<721", "<209"), 2), false, "no room for what is told back");
  assert.equal(held(hidden.replace(">286", ">286 <9 >286"), 2), false, "later");
});

/** Whether the first data of one is held back, beside others whose data has not come. */
function isHeld(others: readonly string[], own: string, negotiate = NEGOTIATIONS.SOCKS5): boolean {
  const test = new TestEngine({ holds: true });
  for (const [i, other] of others.entries()) {
    says(calls(test, `10.0.0.1:4000${i}`, ADDRESSES[i]), other);
  }
  const flow = new Conversation(test, "tcp", HOST, PROXY).open();
  negotiate(flow, "203.0.113.9:51413");
  return says(flow, own).sayRandom(1, 10_136).lastVerdict === DROP;
}

Deno.test("held back: a handshake that none has shown, where both have said nearly the same of themselves", () => {
  const openings = [">432 <488", ">481 <160", ">207 <268"];
  const hidden = ">157 <556 >435 <474 <293 >286";
  assert.equal(isHeld(openings, hidden), true);
  assert.equal(isHeld(openings, hidden.replace(">286", ">290")), false, "hardly longer");
  assert.equal(isHeld(openings, hidden, () => {}), true, "without a proxy for this one");
  assert.equal(isHeld([], hidden, () => {}), false, "one place, without a proxy");
});

Deno.test("held back: what was told back may be extensions where another was told as much", () => {
  const hidden = ">361 <467 >371 <721 >286";
  assert.equal(isHeld([">473 <509 >198 <428 <293 >285"], hidden), true);
  assert.equal(isHeld([">473 <509 >198 <428 <293 >284"], hidden), false);
  assert.equal(isHeld([">473 <509 >198 <428 <303 >284"], hidden), false);
  assert.equal(isHeld([">473 <509 >98 <721 >285"], hidden), false, "as one's requests are");
  assert.equal(isHeld([], hidden), false);
});

Deno.test("held back: also where the others' first packets wait for another worker", () => {
  // libtorrent seeds to Deluge, recorded on a busy machine.
  const begun = ">396 <403 >553 <340 >68 <294 >300 <50";
  for (const [text, isHeld] of [[begun, true], [begun.replace(">68", ">69"), false]] as const) {
    const test = new TestEngine({ holds: true });
    const flow = new Conversation(test, "tcp", HOST, PEER).open();
    says(flow, text);
    const data = test.random(8688);
    assert.equal(flow.sayAndForget(1, data).lastVerdict === DROP, isHeld, text);
    isOneOfSeveral(test);
    test.nowMs += 200;
    flow.say(1, data);
    assert.deepEqual(test.found, isHeld ? ["mse strong"] : []);
  }
});

Deno.test("held back: one that says no less than it is told, beside another that was told as much", () => {
  // qBittorrent's by CONNECT, recorded: 52 KB passed while the foremost, whose words were longer, was held.
  const recorded = [">228 <474 >441 <377 >68 <293 >294", ">577 <223 >429 >68 <346 <293 >294"];
  const held = (own: string, told: number) => {
    const test = new TestEngine({ holds: true });
    says(calls(test, "10.0.0.1:40001", ADDRESSES[0]), `>527 <257 >216 <289 >68 <${told} >286`);
    const flow = calls(test, HOST, "203.0.113.9:51413");
    says(flow, own);
    const isHeld = flow.sayRandom(1, 10_136).lastVerdict === DROP;
    assert.deepEqual(test.found, []);
    return isHeld;
  };
  for (const own of recorded) {
    assert.ok(held(own, 293), own);
    assert.ok(!held(own, 292), "others' words");
    assert.ok(!held(own.replace(">294", ">335"), 293), "unlike");
    assert.ok(!held(own.replace(">68", ">69"), 293), "no handshake");
  }
});
