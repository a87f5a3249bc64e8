import assert from "node:assert/strict";
import {
  CONTENT_TYPE,
  CUT_HEAD,
  CUT_LINE,
  decimalAt,
  HttpHead,
  LOCATION,
  NOT_HTTP,
  percentDecodedLength,
  RANGE,
  UPGRADE,
  USER_AGENT,
  valueEnd,
  WHOLE_HEAD,
} from "../../src/protocols/http.ts";
import { latin1 } from "./datagrams.ts";

const head = new HttpHead();

function part(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

Deno.test("HttpHead.request() finds the parts of a request line", () => {
  const bytes = latin1("GET http://a.example/x/announce.php?k=/v? HTTP/1.1\r\nHost: a\r\n\r\nbody");
  assert.equal(head.request(bytes, 0, bytes.length), WHOLE_HEAD);
  assert.equal(part(bytes, head.targetStart, head.pathEnd), "http://a.example/x/announce.php");
  assert.equal(part(bytes, head.lastSegment, head.pathEnd), "announce.php");
  assert.equal(part(bytes, head.queryStart, head.targetEnd), "k=/v?");
  assert.equal(part(bytes, head.bodyStart, bytes.length), "body");
});

Deno.test("HttpHead says how much of a head is there", () => {
  const request = latin1("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
  const response = latin1("HTTP/1.1 206 OK\nServer: a\n\n");
  for (const [bytes, read] of [[request, "request"], [response, "response"]] as const) {
    const firstLine = bytes.indexOf(10) + 1;
    for (let end = 1; end <= bytes.length; end++) {
      const expected = end < firstLine ? CUT_LINE : end < bytes.length ? CUT_HEAD : WHOLE_HEAD;
      assert.equal(head[read](bytes, 0, end), expected, `${read} of ${end} bytes`);
    }
  }
  assert.equal(head.status, 206);
});

Deno.test("HttpHead rejects what is no HTTP", () => {
  for (
    const text of ["", "\x16\x03\x01", "EHLO \r\n", "GET\r/ ", "GETGETGET /", "G /", "SSH-2.0-x"]
  ) {
    assert.equal(head.request(latin1(text), 0, text.length), NOT_HTTP, text);
  }
  for (const text of ["", "ICY 200 OK", "HTTP/2 200", "HTTP/1.1x200", "HTTP/1.1 2x0 "]) {
    assert.equal(head.response(latin1(text), 0, text.length), NOT_HTTP, text);
  }
});

Deno.test("HttpHead takes what servers take: empty lines before a request, blanks behind its method", () => {
  for (const text of ["\nGET /a?b HTTP/1.1\r\n", "\r\n\r\nGET /a?b H\r\n", "GET \t  /a?b H\r\n"]) {
    const bytes = latin1(text);
    assert.equal(head.request(bytes, 0, bytes.length), CUT_HEAD, text);
    assert.equal(part(bytes, head.targetStart, head.targetEnd), "/a?b");
    assert.equal(part(bytes, head.methodEnd - 3, head.methodEnd), "GET");
  }
  assert.equal(head.request(latin1("\n".repeat(17) + "GET / H\r\n"), 0, 27), NOT_HTTP);
  assert.equal(head.request(latin1("GET" + " ".repeat(17) + "/ H\r\n"), 0, 25), NOT_HTTP);
});

Deno.test("HttpHead.values compares names without case, in whole lines of the head", () => {
  const bytes = latin1(
    "GET / HTTP/1.1\r\nX-Range: no\r\nRANGE:\t bytes=0-\r\nRange: second\r\nLocation : no\r\n" +
      "Upgrade:\r\nUser-Agent: a\r\n\r\nContent-Type: body\r\n",
  );
  assert.equal(head.read(bytes, 0, bytes.length), WHOLE_HEAD);
  const text = (header: number) =>
    part(bytes, head.values[header], valueEnd(bytes, head.values[header], bytes.length));
  assert.equal(text(RANGE), "bytes=0-");
  assert.equal(text(UPGRADE), "");
  assert.equal(text(USER_AGENT), "a");
  assert.equal(head.values[LOCATION], -1);
  assert.equal(head.values[CONTENT_TYPE], -1);
  const cut = bytes.indexOf(0x61, head.values[USER_AGENT]) + 1;
  assert.equal(head.read(bytes, 0, cut), CUT_HEAD);
  assert.equal(head.values[USER_AGENT], -1);
  assert.equal(text(RANGE), "bytes=0-");
});

Deno.test("HttpHead.read() tells a response from a request and forgets the one before", () => {
  const response = latin1("HTTP/1.1 200 OK\r\nContent-Type: a\r\n\r\n");
  const request = latin1("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal(head.read(response, 0, response.length), WHOLE_HEAD);
  assert.equal(head.isResponse, true);
  assert.equal(head.read(request, 0, request.length), WHOLE_HEAD);
  assert.equal(head.isResponse, false);
  assert.equal(head.status, -1);
  assert.equal(head.values[CONTENT_TYPE], -1);
  assert.equal(head.read(request, 0, 0), NOT_HTTP);
});

Deno.test("percentDecodedLength() counts bytes and refuses malformed escapes", () => {
  for (
    const [text, length] of [["", 0], ["a%20b", 3], ["%fF", 1], ["%f", -1], ["%gg", -1]] as const
  ) {
    assert.equal(percentDecodedLength(latin1(text), 0, text.length), length, text);
  }
});

Deno.test("decimalAt() reads digits up to something else", () => {
  assert.equal(decimalAt(latin1("51413&"), 0, 6), 51413);
  assert.equal(decimalAt(latin1("51413&"), 0, 2), 51);
  assert.equal(decimalAt(latin1("x"), 0, 1), -1);
  assert.equal(decimalAt(latin1("0"), 0, 1), 0);
});

Deno.test("HttpHead reads 128 header lines: of more the end is not looked for", () => {
  const stateOf = (lines: number) => {
    const bytes = new TextEncoder().encode(`GET / HTTP/1.1\r\n${"a: b\r\n".repeat(lines)}\r\n`);
    return head.read(bytes, 0, bytes.length);
  };
  assert.equal(stateOf(128), WHOLE_HEAD);
  assert.equal(stateOf(129), CUT_HEAD);
});
