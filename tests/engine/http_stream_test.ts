import assert from "node:assert/strict";
import fc from "fast-check";
import { BITTORRENT } from "../../src/engine/engine.ts";
import { latin1 } from "../protocols/datagrams.ts";
import { Conversation, TestEngine } from "./conversation.ts";

const HASH = "%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A";
const ANNOUNCE =
  `GET /announce?info_hash=${HASH}&peer_id=-qB4520-abcdefghijkl&port=51413 HTTP/1.1\r\n` +
  "Host: t.example\r\n\r\n";
const HANDSHAKE = "\x13BitTorrent protocol" + "\0".repeat(8) + "h".repeat(20) +
  "-qB4520-abcdefghijkl";
const REQUEST = "GET /log.txt HTTP/1.1\r\nHost: a\r\n\r\n";

const chunked = (...parts: string[]) =>
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
  [...parts, ""].map((part) => `${part.length.toString(16)};x=y\r\n${part}\r\n`).join("");
const sized = (body: string, more = "") =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
const post = (body: string) =>
  `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** What is found when the client says `request` and the server `response`, in such segments. */
function found(
  request: readonly string[],
  response: readonly string[] = [],
  open = true,
): string[] {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp");
  if (open) flow.open();
  for (const text of request) flow.say(0, latin1(text));
  for (const text of response) flow.say(1, latin1(text));
  return test.found;
}

// Bodies that quote, each piece a segment; the last one begins with the quotation.
const quoted: (readonly [string, readonly string[], readonly string[]])[] = [];
for (const [what, text] of [["an announce", ANNOUNCE], ["a handshake", HANDSHAKE]] as const) {
  const body = "x".repeat(400) + text;
  const split = (message: string) => {
    const at = message.indexOf(text);
    return [message.slice(0, at), message.slice(at)];
  };
  quoted.push(
    [`${what}, in a body of known length`, [REQUEST], split(sized(body))],
    [`${what}, in a body up to the end`, [REQUEST], split(`HTTP/1.0 200 OK\r\n\r\n${body}`)],
    [`${what}, all of a body up to the end`, [REQUEST], ["HTTP/1.0 200 OK\r\n\r\n", text]],
    [`${what}, in a chunk`, [REQUEST], split(chunked("abc", body, "d"))],
    [`${what}, in an upload`, split(post(body)), []],
    [`${what}, in a chunk that ends in another segment`, [REQUEST], [
      ...split(chunked("abc", body + "y".repeat(30))).map((part, i) =>
        i === 0 ? part : part.slice(0, -20)
      ),
    ]],
  );
}
// Lengths that servers read otherwise than a part of them says, or do not know.
for (const [length, before] of [["0000000300", 30], ["+300", 0], ["0x12c", 0]] as const) {
  const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;
  const named = "x".repeat(before) +
    ANNOUNCE.replace("Host", "User-Agent: qBittorrent/4.5.2\r\nHost");
  quoted.push([`an announce, behind a length of ${length}`, [head, named], []]);
  quoted.push([`an announce, with a length of ${length}`, [head + named], []]);
}
for (const [name, request, response] of quoted) {
  Deno.test(`HTTP: nobody has sent what a body quotes: ${name}`, () => {
    assert.deepEqual(found(request, response), []);
  });
}

// What comes behind a message, however long that is.
const followed: readonly (readonly [string, readonly string[]])[] = [
  ["a pipelined announce", [REQUEST + ANNOUNCE]],
  ["the third of three requests", [REQUEST + REQUEST + ANNOUNCE]],
  ["a second announce-like request on a kept-alive connection", [REQUEST, ANNOUNCE]],
  ["behind an upload, in its last segment", [
    post("x".repeat(100)).slice(0, -57),
    "x".repeat(57) + ANNOUNCE,
  ]],
  ["behind an upload in chunks", [
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "lo\r\n0",
    "\r\nTrailer: a\r\n\r",
    "\n" + ANNOUNCE,
  ]],
  ["cut behind another request", [REQUEST + ANNOUNCE.slice(0, 30), ANNOUNCE.slice(30)]],
  ["after a line feed", ["\n" + ANNOUNCE]],
  ["after an empty line", ["\r\n" + ANNOUNCE]],
  ["with two spaces behind the method", [ANNOUNCE.replace(" ", "  ")]],
  ["with a tab behind the method", [ANNOUNCE.replace(" ", "\t")]],
  ["after a line feed that came alone", ["\n", ANNOUNCE]],
];
for (const [name, request] of followed) {
  Deno.test(`HTTP: an announce is found: ${name}`, () => {
    assert.deepEqual(found(request).slice(0, 1), ["http-tracker proof"]);
  });
}

// v2ray's "header: http": a request, then a proxy's stream as if it were a body.
const VLESS = `\0${"u".repeat(16)}\0\x01\xc8\xd5\x01\xcb\x00\x71\x09`;
const dressed: readonly (readonly [string, readonly string[]])[] = [
  ["VLESS", [REQUEST, VLESS + HANDSHAKE]],
  ["VLESS in one segment with it", [REQUEST + VLESS + HANDSHAKE]],
  ["VLESS behind a head that is cut", [
    REQUEST.slice(0, 20),
    REQUEST.slice(20) + VLESS + HANDSHAKE,
  ]],
  ["VLESS in pieces", [REQUEST, VLESS + "\x13Bit", HANDSHAKE.slice(4)]],
  ["SOCKS5", [REQUEST, "\x05\x01\0", "\x05\x01\0\x01\xcb\0\x71\x09\xc8\xd5", HANDSHAKE]],
];
for (const [name, request] of dressed) {
  Deno.test(`HTTP: a proxy's stream behind a request: ${name}`, () => {
    assert.deepEqual(found(request), ["peer-wire proof"]);
  });
}

Deno.test("HTTP: a handshake tunnelled in a WebSocket is dropped, and bans nobody", () => {
  const test = new TestEngine();
  const flow = new Conversation(test, "tcp").open()
    .say(0, latin1("GET /x HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
    .say(1, latin1("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
    .say(0, latin1("\x82\xc4\0\0\0\0" + HANDSHAKE));
  assert.deepEqual(test.found, ["peer-wire proof"]);
  assert.equal(flow.lastVerdict, BITTORRENT);
  assert.equal(test.detections[0].ban, false); // a page's script can send it from its visitor's browser
});

Deno.test("HTTP: an answer to HEAD has no body, whatever length it tells", () => {
  const test = new TestEngine();
  const body = "d8:intervali1800e5:peers6:abcdefe";
  new Conversation(test, "tcp").open()
    .say(0, latin1("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"))
    .say(1, latin1("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"))
    .say(0, latin1("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"))
    .say(1, latin1(sized(body)));
  assert.deepEqual(test.found, ["http-tracker proof"]);
});

Deno.test("property: HTTP messages are followed however TCP cuts and reorders them", () => {
  const quote = ANNOUNCE + HANDSHAKE;
  const innocent = fc.constantFrom(
    REQUEST,
    post("x" + quote),
    post(""),
    `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${
      quote.length.toString(16)
    }\r\n${quote}\r\n0\r\n\r\n`,
  );
  const cuts = fc.array(fc.nat(1500), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(innocent, { minLength: 1, maxLength: 3 }), cuts, (said, points) => {
      const judge = (text: string) => {
        const test = new TestEngine();
        new Conversation(test, "tcp").open()
          .sayInPieces(0, latin1(text), points.filter((one) => one < text.length));
        return test.found;
      };
      assert.deepEqual(judge(said.join("")), []);
      const whole = said.join("") + ANNOUNCE;
      // Prefixes are bounded, and so is how far a flow is looked at.
      if (whole.length < 1200) assert.deepEqual(judge(whole), ["http-tracker proof"]);
    }),
  );
});

Deno.test("HTTP: joined in the middle of a body, a quotation is none's request", () => {
  const line = ANNOUNCE.split("\r\n")[0];
  assert.deepEqual(found([], [`${line}" 200 300\nGET /next`], false), []);
  assert.deepEqual(
    found([], [HANDSHAKE.slice(0, 20) + " is how the handshake begins\n"], false),
    [],
  );
  assert.deepEqual(found([ANNOUNCE], [], false), ["http-tracker proof"]);
  assert.deepEqual(found([HANDSHAKE], [], false), ["peer-wire proof"]);
});

Deno.test("HTTP: a tracker's answer is found that ends its connection, wherever it is cut", () => {
  const answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n" +
    "d8:intervali1800e5:peers6:\x0a\x01\x02\x03\x1a\xe1e";
  const request = "GET /a?%69nfo_hash=x HTTP/1.1\r\nHost: a\r\n\r\n"; // says nothing itself
  for (let cut = 1; cut < answer.length; cut++) {
    const pieces = [answer.slice(0, cut), answer.slice(cut)];
    assert.deepEqual(found([request], pieces), ["http-tracker proof"], `cut at ${cut}`);
  }
});
