import assert from "node:assert/strict";
import fc from "fast-check";
import { HttpServer, readRequest, type RequestHead } from "../../src/status/http_server.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const head = (text: string) => readRequest(encode(text.replaceAll("\n", "\r\n")));

const refused: readonly [what: string, text: string, status: number][] = [
  ["nothing", "\n\n", 400],
  ["no version", "GET /\nHost: a\n\n", 400],
  ["HTTP/2", "GET / HTTP/2.0\nHost: a\n\n", 400],
  ["no path", "GET  HTTP/1.1\nHost: a\n\n", 400],
  ["another site's address", "GET http://b/ HTTP/1.1\nHost: a\n\n", 400],
  ["a space in the path", "GET /a b HTTP/1.1\nHost: a\n\n", 400],
  ["a method in small letters", "get / HTTP/1.1\nHost: a\n\n", 400],
  ["no host", "GET / HTTP/1.1\n\n", 400],
  ["two hosts", "GET / HTTP/1.1\nHost: a\nHost: b\n\n", 400],
  ["a space before the colon", "GET / HTTP/1.1\nHost : a\n\n", 400],
  ["a header on two lines", "GET / HTTP/1.1\nHost: a\nX: 1\n 2\n\n", 400],
  ["a header without colon", "GET / HTTP/1.1\nHost: a\nX\n\n", 400],
  ["a NUL in a value", "GET / HTTP/1.1\nHost: a\0\n\n", 400],
  ["a lone CR", "GET / HTTP/1.1\nHost: a\rX: 1\n\n", 400],
  ["chunks", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n", 501],
  ["two lengths", "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 2\n\n", 400],
  ["a signed length", "POST / HTTP/1.1\nHost: a\nContent-Length: +1\n\n", 400],
  ["a large body", "POST / HTTP/1.1\nHost: a\nContent-Length: 1025\n\n", 413],
];
for (const [what, text, status] of refused) {
  Deno.test(`readRequest() refuses ${what}`, () => assert.equal(head(text), status));
}

Deno.test("readRequest() reads what clients send", () => {
  const request = head("POST /a?b=c HTTP/1.1\nHost: [::1]:80\ncontent-length:  7 \nX:\n\n");
  const { headers, ...rest } = request as RequestHead;
  const wanted = { method: "POST", target: "/a?b=c", bodyLength: 7, keepsAlive: true };
  assert.deepEqual(rest, wanted);
  assert.equal(headers.get("Host"), "[::1]:80");
  assert.equal(headers.get("x"), "");
  const old = head("GET / HTTP/1.0\n\n") as RequestHead;
  assert.equal(old.keepsAlive, false);
  const last = head("GET / HTTP/1.1\nHost: a\nConnection: close\n\n") as RequestHead;
  assert.equal(last.keepsAlive, false);
});

Deno.test("readRequest() takes any bytes and throws at none", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "GET ",
      "POST ",
      "/",
      " HTTP/1.1",
      "\r\n",
      ":",
      "Host",
      "Content-Length: ",
      " ",
    ),
    fc.string(),
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const result = readRequest(encode(`${pieces.join("")}\r\n\r\n`));
    if (typeof result === "number") assert.ok([400, 413, 501].includes(result));
    else assert.ok(result.target.startsWith("/") && result.bodyLength <= 1024);
  }));
});

async function talk(...parts: string[]): Promise<string> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using _ = new HttpServer(listener, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/throws") throw new Error("as asked");
    return new Response(`${request.method} ${pathname} ${await request.text()}\n`);
  }, () => {});
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  for (const part of parts) {
    await connection.write(encode(part));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await connection.closeWrite();
  return await new Response(connection.readable).text();
}

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const bodies = (answers: string) =>
  [...answers.matchAll(/^(?:GET|HEAD|POST) .*$/gm)].map(([b]) => b);

Deno.test("requests are answered one after the other, however they are cut", async () => {
  const post = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
  const all = GET + post + GET;
  const wanted = ["GET /a ", "POST /b hello", "GET /a "];
  assert.deepEqual(bodies(await talk(all)), wanted);
  assert.deepEqual(bodies(await talk(all.slice(0, 33), all.slice(33, 80), all.slice(80))), wanted);
  const answer = await talk("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*content-length: 9\r\n[^]*\r\n\r\n$/);
});

Deno.test("what is refused ends the connection: what follows is not a request", async () => {
  const answer = await talk(
    `GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${GET}`,
  );
  assert.match(answer, /^HTTP\/1\.1 501 /);
  assert.deepEqual(bodies(answer), []);
  const long = await talk(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(8_200)}`);
  assert.match(long, /^HTTP\/1\.1 431 /);
});
