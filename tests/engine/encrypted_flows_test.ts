import assert from "node:assert/strict";
import { CLEAN, INSPECT } from "../../src/engine/engine.ts";
import { Conversation, HANDSHAKE, latin1, TestEngine, torrents } from "./conversation.ts";

/** Message Stream Encryption's first messages: Ya+PadA, Yb+PadB, then the verification. */
function negotiate(test: TestEngine, a: string, b: string, sizes = [351, 284, 124]): Conversation {
  return new Conversation(test, "tcp", a, b).open()
    .sayRandom(0, sizes[0]).sayRandom(1, sizes[1]).sayRandom(0, sizes[2]);
}

const HOST = "10.0.0.1:50000";
const PEER = "198.51.100.1:40000";

Deno.test("MSE alone on a host is let go: nothing tells it from Shadowsocks", () => {
  const test = new TestEngine();
  const flow = negotiate(test, HOST, PEER);
  assert.equal(flow.lastVerdict, INSPECT);
  for (let i = 0; i < 60; i++) flow.sayRandom(1, 1400).sayRandom(0, 40 + i);
  assert.equal(flow.lastVerdict, CLEAN);
  assert.deepEqual(test.found, []);
});

Deno.test("MSE is proof where the handshake follows in the clear (crypto_select plaintext)", () => {
  for (const side of [0, 1] as const) {
    const test = new TestEngine();
    const flow = negotiate(test, HOST, PEER);
    flow.sayRandom(1, 90).say(side, Uint8Array.of(...test.random(33), ...HANDSHAKE));
    assert.deepEqual(test.found, ["mse proof"]);
    assert.equal(test.detections[0].client, "qBittorrent 4.5.2");
  }
});

const unlike: readonly (readonly [string, (test: TestEngine) => void])[] = [
  ["a first message of 95 bytes", (test) => negotiate(test, HOST, PEER, [95, 284, 124])],
  ["a first message of 609 bytes", (test) => negotiate(test, HOST, PEER, [609, 284, 124])],
  ["an answer of 70 bytes", (test) => negotiate(test, HOST, PEER, [351, 70, 124])],
  ["an answer of 1000 bytes", (test) => negotiate(test, HOST, PEER, [351, 1000, 124])],
  ["a third message of 55 bytes", (test) => negotiate(test, HOST, PEER, [351, 284, 55])],
  ["TLS", (test) => {
    const record = Uint8Array.of(22, 3, 1, 1, 60, ...test.random(316));
    new Conversation(test, "tcp").open().say(0, record).say(1, record).say(0, record);
  }],
  ["a length before each message (OpenVPN over TCP, RLPx)", (test) => {
    const framed = Uint8Array.of(1, 44, ...test.random(300));
    new Conversation(test, "tcp").open().say(0, framed).say(1, framed).say(0, framed);
  }],
  ["text", (test) => {
    const text = latin1("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".repeat(5));
    new Conversation(test, "tcp").open().say(0, text).say(1, text).say(0, text);
  }],
];
for (const [name, talk] of unlike) {
  Deno.test(`MSE is not seen in ${name}, even on a host that torrents`, () => {
    const test = new TestEngine();
    torrents(test);
    talk(test);
    assert.deepEqual(test.found, ["dht proof"]);
  });
}

Deno.test("strict policy drops a random handshake without evidence, but bans nobody for it", () => {
  const test = new TestEngine({ strict: true });
  negotiate(test, HOST, PEER);
  assert.deepEqual(test.found, ["entropy strong"]);
  assert.equal(test.detections[0].ban, false);
});

Deno.test("strict policy drops a random stream by its entropy", () => {
  const test = new TestEngine({ strict: true });
  new Conversation(test, "tcp").open().sayRandom(0, 1400);
  assert.deepEqual(test.found, ["entropy strong"]);
  const clean = new TestEngine({ strict: true });
  new Conversation(clean, "tcp").open().say(0, latin1("a text of some length, ".repeat(60)));
  assert.deepEqual(clean.found, []);
});

Deno.test("TLS joined in the middle of a record stays untouched on a torrenting host", () => {
  const test = new TestEngine();
  torrents(test);
  for (const port of [40001, 40002, 40003]) {
    const flow = new Conversation(test, "tcp", `10.0.0.1:${port}`, `198.51.100.${port & 7}:9999`);
    for (let i = 0; i < 30; i++) {
      const segment = test.random(1400);
      if (i === 10) segment.set([23, 3, 3, 0x40, 0x11], 700); // the next record begins
      flow.say(1, segment).sayRandom(0, 100);
    }
  }
  assert.deepEqual(test.found, ["dht proof"]);
});

/** `count` rounds of a request of 17 bytes, or two, and the blocks asked for; haves now and then. */
function download(flow: Conversation, count: number, haves = true): void {
  for (let i = 0; i < count; i++) {
    const requests = 1 + (i & 1);
    flow.sayRandom(0, 17 * requests);
    for (let left = 16_397 * requests; left > 0; left -= 1448) {
      flow.sayRandom(1, Math.min(left, 1448), left <= 1448);
    }
    if (haves && i % 4 === 3) flow.sayRandom(0, 9);
  }
}

Deno.test("MSE between two hosts alone is known by the lengths of requests and pieces", () => {
  const test = new TestEngine();
  const flow = negotiate(test, HOST, PEER);
  flow.sayRandom(1, 90).sayRandom(0, 68).sayRandom(0, 113).sayRandom(1, 200);
  download(flow, 12);
  assert.deepEqual(test.found, ["mse strong"]);
  assert.match(test.detections[0].match.reason, /lengths of/);
});

Deno.test("MSE older than the blocker is known by its lengths, from one flow or a few beginnings", () => {
  const alone = new TestEngine();
  download(new Conversation(alone, "tcp", HOST, PEER), 12);
  assert.deepEqual(alone.found, ["mse strong"]);
  const swarm = new TestEngine();
  swarmOf(swarm);
  assert.deepEqual(swarm.found, ["mse strong", "mse strong"], "the third flow makes it a swarm");
});

Deno.test("flows inside a tunnel, or of this machine's own address, make no swarm", () => {
  const tunnel = new TestEngine();
  const judge = tunnel.judge.bind(tunnel);
  tunnel.judge = (packet) => {
    packet.tunnelled = true; // two customers may have one private address
    return judge(packet);
  };
  swarmOf(tunnel);
  assert.deepEqual(tunnel.found, []);
  const proxy = new TestEngine({}, {
    paths: {
      isInside: () => false,
      isOwn: (words) => words[3] >>> 24 === 10,
      leadsBack: () => true,
    },
  });
  const judgeOfProxy = proxy.judge.bind(proxy);
  proxy.judge = (packet) => {
    const isSent = packet.address[3] >>> 24 === 10;
    packet.inputInterface = packet.inputLink = isSent ? 0 : 2;
    packet.outputLink = isSent ? 2 : 0;
    return judgeOfProxy(packet);
  };
  swarmOf(proxy);
  assert.deepEqual(proxy.found, []);
});

/** Four flows joined in the middle, each with too few lengths to be decided alone. */
function swarmOf(test: TestEngine): void {
  for (let peer = 1; peer <= 4; peer++) {
    const flow = new Conversation(
      test,
      "tcp",
      `10.0.0.1:5000${peer}`,
      `198.51.${peer}.1:4000${peer}`,
    );
    for (let i = 0; i < 5; i++) flow.sayRandom(1, 1448, false);
    flow.sayRandom(1, 456);
    for (let left = 32_794; left > 0; left -= 1448) {
      flow.sayRandom(1, Math.min(left, 1448), left <= 1448);
    }
    flow.sayRandom(0, 9).sayRandom(0, 9).sayRandom(0, 9).sayRandom(0, 9);
  }
}

const otherLengths: readonly (readonly [string, (i: number) => number, number])[] = [
  ["SSH: multiples of 16 with a tag of 20", (i) => 36 + 16 * (i % 4), 16_400],
  ["acknowledgements of one length, 34 bytes", () => 34, 16_400],
  ["lengths of all kinds", (i) => 10 + ((i * 37) % 200), 16_400],
  ["17 bytes answered with little", () => 17, 200],
  ["17 bytes answered with a megabyte", () => 17, 500_000],
];
for (const [name, lengthOf, answer] of otherLengths) {
  Deno.test(`an encrypted flow of other lengths is let go: ${name}`, () => {
    const test = new TestEngine();
    const flow = negotiate(test, HOST, PEER);
    for (let i = 0; i < 40; i++) {
      flow.sayRandom(0, lengthOf(i));
      for (let left = answer; left > 0; left -= 1448) flow.sayRandom(1, Math.min(left, 1448));
    }
    assert.deepEqual(test.found, []);
  });
}

Deno.test("on a service's port a flow is judged by what it shows itself, on every port", () => {
  for (const port of [443, 8080, 8388]) {
    const plain = new TestEngine();
    negotiate(plain, HOST, `198.51.100.1:${port}`)
      .sayRandom(1, 90).say(0, Uint8Array.of(...plain.random(33), ...HANDSHAKE));
    assert.deepEqual(plain.found, ["mse proof"], `handshake behind the negotiation, port ${port}`);
    const blocks = new TestEngine();
    const flow = negotiate(blocks, HOST, `198.51.100.1:${port}`);
    flow.sayRandom(1, 90).sayRandom(0, 68).sayRandom(0, 113).sayRandom(1, 200);
    download(flow, 12);
    assert.deepEqual(blocks.found, ["mse strong"], `lengths, port ${port}`);
  }
});

Deno.test("strict policy drops a random handshake on a proxy's usual port, not on a system's", () => {
  for (const [port, found] of [[8388, ["entropy strong"]], [443, []]] as const) {
    const test = new TestEngine({ strict: true });
    negotiate(test, HOST, `198.51.100.1:${port}`);
    assert.deepEqual(test.found, found, `port ${port}`);
  }
});
