/** BitTorrent behind what other programs say first on a connection, and whom it is held against. */
import assert from "node:assert/strict";
import { Conversation, HANDSHAKE, latin1, TestEngine } from "./conversation.ts";

/** Of the last find: kind, and whether it may ban. */
function finds(run: (flow: Conversation) => unknown): string[] {
  const test = new TestEngine();
  run(new Conversation(test, "tcp").open());
  return test.detections.map(({ match, mayBan }) => `${match.kind}${mayBan ? ", bans" : ""}`);
}

// libtorrent 2.0.11 with a router that speaks SAM 3.1.
const DESTINATION = "A-b~".repeat(129);
const askRouter = (flow: Conversation, question: string) =>
  flow.say(0, latin1("HELLO VERSION MIN=3.1 MAX=3.1\n"))
    .say(1, latin1("HELLO REPLY RESULT=OK VERSION=3.1\n"))
    .say(0, latin1(`${question}\n`))
    .say(1, latin1("STREAM STATUS RESULT=OK\n"));
const ANNOUNCE = latin1(
  "GET /announce?info_hash=%92%17m%19e%81%122%b5KR5%f4%ee%c4%3d%8a%99y2" +
    "&peer_id=-LT20B0-pf4WGkEYMAJM&port=1&left=0 HTTP/1.1\r\nHost: tracker.i2p\r\n" +
    "User-Agent: libtorrent/2.0.11\r\n\r\n",
);

Deno.test("a peer, and a tracker, through an I2P router's SAM", () => {
  const connect = `STREAM CONNECT ID=lt DESTINATION=${DESTINATION}`;
  assert.deepEqual(finds((flow) => askRouter(flow, connect).say(0, HANDSHAKE)), [
    "handshake, bans",
  ]);
  assert.deepEqual(finds((flow) => askRouter(flow, connect).say(0, ANNOUNCE)), ["announce, bans"]);
});

Deno.test("a peer that calls through SAM: the router, which passes it on, is not banned", () => {
  const called = finds((flow) =>
    askRouter(flow, "STREAM ACCEPT ID=lt").say(1, latin1(`${DESTINATION}\n`)).say(1, HANDSHAKE)
  );
  assert.deepEqual(called, ["unasked-handshake"]);
});

Deno.test("a page through SAM that quotes a handshake is a page", () => {
  const page = "HTTP/1.1 200 OK\r\nContent-Length: 68\r\n\r\n";
  const found = finds((flow) =>
    askRouter(flow, `STREAM CONNECT ID=x DESTINATION=${DESTINATION}`)
      .say(0, latin1("GET / HTTP/1.1\r\nHost: site.i2p\r\n\r\n"))
      .say(1, latin1(page)).say(1, HANDSHAKE)
  );
  assert.deepEqual(found, []);
});
