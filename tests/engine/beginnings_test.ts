/** What is the beginning of somebody's stream, and what others had him send in the middle of it. */
import assert from "node:assert/strict";
import { SYN } from "../../src/packet/packet.ts";
import { Conversation, DHT_PING, HANDSHAKE, latin1, REQUESTS, UNCHOKE } from "./conversation.ts";
import { Gateway, INSIDE, OUTSIDE, UPLINK } from "./gateway.ts";

const NONE = new Uint8Array(0);
const ANNOUNCE = latin1(
  "GET /announce?info_hash=" + "%AA".repeat(20) + "&peer_id=-qB4520-abcdefghijkl&port=6881 " +
    "HTTP/1.1\r\nHost: tracker\r\nUser-Agent: qBittorrent/4.5.2\r\n\r\n",
);
const WEB_SEED = latin1(
  "GET /file HTTP/1.1\r\nHost: seed\r\nUser-Agent: qBittorrent/4.5.2\r\nRange: bytes=0-16383\r\n\r\n",
);
const UPLOAD = latin1(
  "POST /up HTTP/1.1\r\nHost: page:8080\r\nUser-Agent: Mozilla/5.0\r\nContent-Length: 9999999\r\n\r\n",
);

/** A visitor of a page uploads what its script has made; all of it is text so far. */
function upload(test: Gateway): Conversation {
  const flow = new Conversation(test, "tcp", INSIDE, OUTSIDE).open().say(0, UPLOAD);
  for (let i = 0; i < 12; i++) flow.say(0, latin1("x".repeat(1448)));
  assert.deepEqual(test.found, []);
  return flow;
}

/** How the middle of a connection may look like a beginning; none of it is the visitor's doing. */
const MIDDLES: readonly [string, (test: Gateway) => Conversation][] = [
  ["its server sends a SYN", (test) => upload(test).knock(1, NONE)],
  [
    "its server sends a SYN and an answer",
    (test) => upload(test).knock(1, NONE).sayAndForget(1, NONE, SYN),
  ],
  ["it is older than the blocker", (test) => new Conversation(test, "tcp", INSIDE, OUTSIDE)],
  [
    "it is older, and its server answers a SYN that nobody sent",
    (test) => new Conversation(test, "tcp", INSIDE, OUTSIDE).sayAndForget(1, NONE, SYN),
  ],
  ["a packet of it is called back", (test) => {
    const flow = upload(test);
    flow.isRecalled = true;
    return flow;
  }],
  ["a SYN in his name comes from elsewhere", (test) => {
    const flow = upload(test);
    const { from } = test;
    test.from = () => UPLINK;
    flow.knock(0, NONE);
    test.from = from;
    return flow;
  }],
];
for (const [name, begin] of MIDDLES) {
  for (const [what, bytes] of Object.entries({ HANDSHAKE, ANNOUNCE, WEB_SEED, REQUESTS })) {
    Deno.test(`a page's upload bans nobody where ${name}: ${what}`, () => {
      const test = new Gateway();
      begin(test).say(0, bytes).say(1, bytes).say(0, bytes);
      assert.ok(test.detections.every(({ mayBan }) => !mayBan), test.found.join());
    });
  }
}

Deno.test("what stands at the beginning of the caller's stream bans", () => {
  for (const bytes of [HANDSHAKE, ANNOUNCE]) {
    const test = new Gateway();
    new Conversation(test, "tcp", INSIDE, OUTSIDE).open().say(0, bytes);
    assert.deepEqual(test.detections.map(({ ban }) => ban), [true]);
  }
  const test = new Gateway();
  const asks = () => new Conversation(test, "tcp", INSIDE, OUTSIDE).open().say(0, WEB_SEED);
  asks();
  new Conversation(test, "udp", INSIDE, OUTSIDE).say(0, DHT_PING);
  asks();
  assert.deepEqual(
    test.detections.map(({ ban }) => ban),
    [false, true, true],
    "a name is no proof",
  );
});

Deno.test("who is called has asked for nothing: a server of raw files sends what it was given", () => {
  for (const bytes of [HANDSHAKE, ANNOUNCE, WEB_SEED]) {
    const test = new Gateway();
    const file = new Conversation(test, "tcp", OUTSIDE, INSIDE).open();
    file.say(0, latin1("/file\r\n")).say(1, bytes);
    assert.deepEqual(test.detections.map(({ ban }) => ban), [false]);
  }
});

Deno.test("messages between peers in the middle ban a host of which more is known", () => {
  const known = new Gateway();
  new Conversation(known, "udp", INSIDE, OUTSIDE).say(0, DHT_PING);
  new Conversation(known, "tcp", INSIDE, OUTSIDE).say(1, UNCHOKE).say(0, REQUESTS);
  assert.deepEqual(known.detections.map(({ ban }) => ban), [true, true]);
});

Deno.test("messages between peers in the middle, with eight in a minute, ban", () => {
  const many = new Gateway();
  for (let i = 1; i <= 9; i++) {
    new Conversation(many, "tcp", `10.0.0.1:${40_000 + i}`, `198.51.100.${i}:6881`)
      .say(0, UNCHOKE).say(1, UNCHOKE).say(0, REQUESTS);
  }
  assert.deepEqual(many.detections.map(({ ban }) => ban), [...Array(7).fill(false), true, true]);
});

Deno.test("what a SOCKS server relays to its user is a stranger's, what he has it send is his own", () => {
  // RFC 1928, section 7: 198.51.100.9:6881.
  const header = Uint8Array.of(0, 0, 0, 1, 198, 51, 100, 9, 0x1a, 0xe1);
  const wrapped = Uint8Array.of(...header, ...DHT_PING);
  const word = Uint8Array.of(...header, ...latin1("something of a game"));
  const relay = "10.1.0.1:1080";
  const told = new Gateway();
  new Conversation(told, "udp", INSIDE, relay).say(0, word).say(1, word).say(1, wrapped);
  assert.deepEqual(told.detections.map(({ ban, source }) => [ban, source]), [[false, "10.1.0.1"]]);
  const telling = new Gateway();
  new Conversation(telling, "udp", INSIDE, relay).say(0, word).say(1, word).say(0, wrapped);
  assert.deepEqual(telling.detections.map(({ ban, source }) => [ban, source]), [[
    true,
    "10.0.0.1",
  ]]);
});
