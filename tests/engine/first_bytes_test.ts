/** How soon a flow is let go that cannot be BitTorrent, by its first bytes. */
import assert from "node:assert/strict";
import { CLEAN } from "../../src/engine/engine.ts";
import { Conversation, latin1, TestEngine } from "./conversation.ts";
import { FIRST_BYTES, writesOf } from "./first_bytes.ts";

for (const kind of FIRST_BYTES) {
  Deno.test(`release: ${kind.name} after ${kind.packets} packets with payload`, () => {
    const flow = new Conversation(new TestEngine(), "tcp").open();
    let packets = 0;
    for (const [side, text] of writesOf(kind, 100)) {
      packets++;
      flow.say(side, latin1(text));
      if (flow.lastVerdict === CLEAN) break;
    }
    assert.equal(packets, kind.packets);
  });
}
