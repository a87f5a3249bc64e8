/** What is the beginning of somebody's stream, and what others had him send in the middle of it. */
import assert from "node:assert/strict";
import { BITTORRENT } from "../../src/engine/engine.ts";
import { SYN } from "../../src/packet/packet.ts";
import { Conversation, DHT_PING, HANDSHAKE, latin1, REQUESTS, torrents } from "./conversation.ts";
import { Random } from "../fuzz/random.ts";
import { hex } from "../protocols/datagrams.ts";
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

/** A connection with one of the servers of a page. */
const withServer = (test: Gateway, number: number) =>
  new Conversation(test, "tcp", INSIDE, `198.51.100.${number}:40000`);
/** How a connection comes to be joined in its middle, and whose bytes may be anything then. */
const JOINED: readonly [(test: Gateway, number: number) => Conversation, 0 | 1][] = [
  [withServer, 0],
  [withServer, 1],
  // Its server sends a SYN where nobody knows the connection any more.
  [(test, number) => withServer(test, number).knock(1, NONE), 0],
];

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
  for (const [what, bytes] of Object.entries({ HANDSHAKE, ANNOUNCE, WEB_SEED })) {
    Deno.test(`a page's upload bans nobody where ${name}: ${what}`, () => {
      const test = new Gateway();
      begin(test).say(0, bytes).say(1, bytes).say(0, bytes);
      assert.ok(test.detections.every(({ mayBan }) => !mayBan), test.found.join());
    });
  }
}

/** Peer exchange (BEP 11), the head of a piece that {@link REQUESTS} asks for, and rejects (BEP 6). */
const PEX = hex("0000001f140164353a6164646564363ac6120102c8d5373a61646465642e66313a1065");
const PIECE = Uint8Array.of(...hex("00004009070000043100004000"), ...new Random(1).bytes(900));
const REJECTS = hex("0000000d100000043100004000000040000000000d10000004310000800000004000");
/** In a connection that was joined in its middle a page and its server write both sides as they like. */
for (const [what, bytes] of Object.entries({ REQUESTS, PEX, REJECTS })) {
  Deno.test(`what both sides of a joined connection say bans nobody by itself: ${what}`, () => {
    for (const [begin, side] of JOINED) {
      const test = new Gateway();
      begin(test, 1).say(side, bytes).say(1, PIECE);
      assert.deepEqual(test.detections.map(({ ban }) => ban), [false]);
      begin(test, 2).say(side, bytes).say(1, PIECE);
      assert.deepEqual(test.detections.map(({ ban }) => ban), [false, false], "two are not more");
    }
    const known = new Gateway();
    torrents(known);
    new Conversation(known, "tcp", INSIDE, OUTSIDE).say(0, bytes).say(0, bytes);
    assert.deepEqual(known.detections.map(({ ban }) => ban), [true, true], "who torrents");
    const swarm = new Gateway();
    for (let peer = 1; peer <= 9; peer++) {
      withServer(swarm, peer).say(0, bytes).say(0, bytes);
    }
    assert.ok(swarm.detections.at(-1)!.ban, "with eight");
  });
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

/** As a page's script and its server can play it in a WebSocket: any lengths, and what looks random. */
function playEncrypted(flow: Conversation): void {
  const said = "0:240 1:180 0:124 1:82 1:123 0:123 1:5 0:73 0:17 1:17 0:5 1:5 0:34 1:13";
  for (const turn of said.split(" ")) {
    const [side, length] = turn.split(":").map(Number);
    flow.sayRandom(side as 0 | 1, length);
  }
  for (let block = 0; block < 8; block++) {
    for (let left = 16_397; left > 0; left -= 1448) {
      flow.sayRandom(1, Math.min(left, 1448), left <= 1448);
    }
    flow.sayRandom(0, 17);
  }
}

Deno.test("what is played as an encrypted beginning is found, and not behind a SYN that nobody answers", () => {
  const whole = new Gateway();
  playEncrypted(new Conversation(whole, "tcp", INSIDE, OUTSIDE).open());
  assert.equal(whole.detections.length, 1);
  for (const answers of [false, true]) {
    const test = new Gateway();
    const flow = upload(test).knock(1, NONE);
    if (answers) flow.sayAndForget(1, NONE, SYN);
    const plain = Uint8Array.of(...test.random(300), ...HANDSHAKE);
    playEncrypted(flow.say(0, plain).say(1, plain));
    assert.deepEqual(test.found, []);
  }
});

Deno.test("a new connection on the ports of an old one is judged from its SYN and the answer to it", () => {
  const test = new Gateway();
  const flow = upload(test);
  flow.open().say(0, HANDSHAKE);
  assert.deepEqual(test.detections.map(({ ban }) => ban), [true]);
  const other = new Gateway();
  upload(other);
  new Conversation(other, "tcp", OUTSIDE, INSIDE).open().say(0, ANNOUNCE);
  assert.deepEqual(other.detections.map(({ ban }) => ban), [true]);
});

Deno.test("where one direction alone is seen, a SYN is a new connection's", () => {
  const test = new Gateway();
  const flow = new Conversation(test, "tcp", INSIDE, OUTSIDE).knock(0, NONE, 1);
  for (let i = 0; i < 70; i++) flow.say(0, latin1("line of text\n".repeat(100)));
  const anew = new Conversation(test, "tcp", INSIDE, OUTSIDE).knock(0, NONE).skipSyns([12_345, 1]);
  assert.equal(anew.say(0, HANDSHAKE).lastVerdict, BITTORRENT);
});

Deno.test("strict: a SYN that anybody can send does not make a beginning of the middle of an SSH session", () => {
  for (const side of [0, 1] as const) {
    const test = new Gateway({ strict: true });
    const flow = new Conversation(test, "tcp", INSIDE, OUTSIDE).open()
      .say(0, latin1("SSH-2.0-x\r\n")).say(1, latin1("SSH-2.0-y\r\n"));
    const types = () => flow.sayRandom(0, 400).sayRandom(1, 1448);
    for (let i = 0; i < 8; i++) types();
    const { from } = test;
    test.from = () => UPLINK;
    flow.knock(side, NONE);
    test.from = from;
    for (let i = 0; i < 8; i++) types();
    assert.deepEqual(test.found, []);
  }
});
