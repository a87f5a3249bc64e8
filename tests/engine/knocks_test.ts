import assert from "node:assert/strict";
import { Knocks } from "../../src/engine/knocks.ts";
import { Packet } from "../../src/packet/packet.ts";

const acknowledging = (acknowledgement: number) =>
  Object.assign(new Packet(), { acknowledgement: acknowledgement | 0 });

Deno.test("Knocks: a SYN is answered by the other end, with its own number, in its own flow", () => {
  // Numbers as they stand in a packet: signed, and once without a sign.
  for (const begin of [0, 1000, 0x8000_0000, 0xffff_ffff]) {
    for (const direction of [0, 1]) {
      const knocks = new Knocks(4);
      const answers = (slot: number, from: number, number: number) =>
        knocks.isAnswered(slot, from, acknowledging(number));
      for (const from of [0, 1]) assert.equal(answers(2, from, begin), false); // none was noted
      knocks.note(2, direction, begin);
      assert.equal(answers(2, 1 - direction, begin), true);
      assert.equal(answers(2, 1 - direction, begin + 1), false); // who has not got it guesses
      assert.equal(answers(2, direction, begin), false); // who sent it answers himself
      assert.equal(answers(1, 1 - direction, begin), false);
      knocks.note(2, direction, begin + 7); // the last one counts
      assert.equal(answers(2, 1 - direction, begin), false);
      knocks.note(2, direction, begin);
      knocks.forget(2); // the slot is another flow's
      for (const from of [0, 1]) assert.equal(answers(2, from, begin), false);
    }
  }
});
