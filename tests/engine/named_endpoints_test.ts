/** Endpoints that a tracker's answer names: whose answer is believed, and what follows from it. */
import assert from "node:assert/strict";
import { Gateway, homeOf, UPLINK } from "./gateway.ts";
import { asksTracker, HOST, Play } from "./play.ts";

const NAMED = "203.0.113.9:51413";

Deno.test("an endpoint is believed to be named by an answer that its host is known to have got", () => {
  for (const [from, kinds] of [[homeOf, ["named-peer"]], [() => UPLINK, []]] as const) {
    const test = new Gateway();
    test.from = from; // by the uplink alone a stranger may have written request and answer
    asksTracker(test, NAMED);
    test.from = homeOf;
    test.detections.length = 0;
    // 19 bits: enough to an endpoint that was named, too little to another.
    new Play(test, HOST, NAMED).say(">220 <393 >124 <461 <282 >123 >75 <50 <13 <4000w >17");
    assert.deepEqual(test.detections.map(({ match }) => match.kind), kinds);
  }
});
