/** BitTorrent behind what other programs say first on a connection, and whom it is held against. */
import assert from "node:assert/strict";
import { join } from "../robustness/packets.ts";
import { Conversation, HANDSHAKE, latin1, TestEngine } from "./conversation.ts";
import { HOST, PEER, Play } from "./play.ts";

/** What is found: kinds, and whether they ban. */
function finds(run: (flow: Conversation) => unknown): string[] {
  const test = new TestEngine();
  run(new Conversation(test, "tcp").open());
  return test.detections.map(({ match, ban }) => `${match.kind}${ban ? ", bans" : ""}`);
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

const LOAD_BALANCER = latin1("PROXY TCP4 192.0.2.1 192.0.2.2 56324 6881\r\n");

Deno.test("a peer, and a tracker, behind a load balancer that says whose words they are", () => {
  for (const [said, kind] of [[HANDSHAKE, "handshake"], [ANNOUNCE, "announce"]] as const) {
    assert.deepEqual(finds((flow) => flow.say(0, LOAD_BALANCER).say(0, said)), [kind]);
    assert.deepEqual(finds((flow) => flow.say(0, join(LOAD_BALANCER, said))), [kind]);
    // It is asked for others with the same connection.
    const page = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const later = finds((flow) =>
      flow.say(0, LOAD_BALANCER).say(0, latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        .say(1, latin1(page)).say(0, ANNOUNCE)
    );
    assert.deepEqual(later, ["announce"]);
    // Whose proxy is behind it is not who asks that.
    const socks = finds((flow) =>
      flow.say(0, LOAD_BALANCER).say(0, latin1("\x05\x01\0")).say(1, latin1("\x05\0"))
        .say(0, latin1("\x05\x01\0\x01\xc0\0\x02\x01\x1a\xe1"))
        .say(1, latin1("\x05\0\0\x01\0\0\0\0\0\0")).say(0, said)
    );
    assert.deepEqual(socks, [kind]);
  }
});

Deno.test("what is encrypted behind a load balancer is no host's suspect", () => {
  // Enough by itself otherwise: Transmission's handshakes, and requests before 32 at once.
  const text = ">220 <393 >124 <82 <123 >123 <5 >73 <1448 <1448 <104 <1448 <3000w <16397w";
  const found = (begin: (flow: Conversation) => unknown) => {
    const test = new TestEngine();
    new Play(test, HOST, PEER, begin).say(text);
    return test.found;
  };
  assert.deepEqual(found(() => {}), ["mse strong"]);
  assert.deepEqual(found((flow) => flow.say(0, LOAD_BALANCER)), []);
});

/** As v2ray's "httpupgrade" asks, and as a browser does. */
const UPGRADE = latin1(
  "GET /path HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
);
const UPGRADED = latin1(
  "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
);
const VLESS = latin1(`\0${"0123456789abcdef"}\0\x01\x1a\xe1\x01\xc0\0\x02\x01`);

Deno.test("a stream of its own behind an upgrade to WebSocket", () => {
  const upgraded = (flow: Conversation) => flow.say(0, UPGRADE).say(1, UPGRADED);
  assert.deepEqual(finds((flow) => upgraded(flow).say(0, HANDSHAKE)), ["handshake"]);
  assert.deepEqual(finds((flow) => upgraded(flow).say(0, join(VLESS, HANDSHAKE))), ["handshake"]);
  assert.deepEqual(finds((flow) => flow.say(0, join(UPGRADE, VLESS, HANDSHAKE))), ["handshake"]);
  assert.deepEqual(finds((flow) => upgraded(flow).say(1, HANDSHAKE)), ["unasked-handshake"]);
  const cut = finds((flow) => {
    upgraded(flow);
    for (let at = 0; at < 68; at++) flow.say(0, HANDSHAKE.subarray(at, at + 1));
  });
  assert.deepEqual(cut, ["handshake"]);
});

Deno.test("frames behind an upgrade to WebSocket are frames, whatever they quote", () => {
  const quoting = join(latin1("\x02\x05text:\x80\x44"), HANDSHAKE); // a message in two fragments
  const found = finds((flow) =>
    flow.say(0, UPGRADE).say(1, UPGRADED).say(1, quoting.subarray(0, 7)).say(1, quoting.subarray(7))
      .say(1, HANDSHAKE)
  );
  assert.deepEqual(found, []);
});

/** VLESS (Xray): version, id, additions behind their length, command, port, address. */
const vless = (rest: string, version = "\0") => latin1(`${version}${"0123456789abcdef"}${rest}`);

Deno.test("a peer behind VLESS, to whatever address it is", () => {
  const rows: [name: string, header: Uint8Array, isOne: boolean][] = [
    ["IPv4", vless("\0\x01\x1a\xe1\x01\xc0\0\x02\x01"), true],
    ["a name", vless("\0\x01\x1a\xe1\x02\x10peer.example.org"), true],
    ["IPv6", vless(`\0\x01\x1a\xe1\x03\x20\x01\x0d\xb8${"\0".repeat(11)}\x01`), true],
    ["additions", vless(`\x04\x0a\x02ab\x01\x1a\xe1\x02\x10peer.example.org`), true],
    ["datagrams", vless("\0\x02\x1a\xe1\x01\xc0\0\x02\x01"), true],
    ["version 1", vless("\0\x01\x1a\xe1\x01\xc0\0\x02\x01", "\x01"), false],
    ["command 0", vless("\0\0\x1a\xe1\x01\xc0\0\x02\x01"), false],
    ["command 4", vless("\0\x04\x1a\xe1\x01\xc0\0\x02\x01"), false],
    ["port 0", vless("\0\x01\0\0\x01\xc0\0\x02\x01"), false],
    ["a fourth kind of address", vless("\0\x01\x1a\xe1\x04\xc0\0\x02\x01"), false],
    ["a name that is none", vless("\0\x01\x1a\xe1\x02\x10peer.\0xample.org"), false],
    ["a name with a byte too many", vless("\0\x01\x1a\xe1\x02\x10peer.example.orgs"), false],
    [
      "more additions than there are",
      vless(`\x41${"a".repeat(65)}\x01\x1a\xe1\x01\xc0\0\x02\x01`),
      false,
    ],
  ];
  for (const [name, header, isOne] of rows) {
    const found = finds((flow) => flow.say(0, join(header, HANDSHAKE)));
    assert.deepEqual(found, isOne ? ["handshake, bans"] : [], name);
  }
});
