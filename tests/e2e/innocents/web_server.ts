/**
 * The web server that the innocents visit, run as a program inside a namespace:
 *
 *     deno run -A tests/e2e/innocents/web_server.ts PORT FILE
 *
 * `GET /page` is a page of some hundred bytes, `GET /file` the file; `POST` answers with the SHA-256
 * of what it was sent, in hexadecimal.
 */

import { createHash } from "node:crypto";

const PAGE = `<!doctype html><title>up</title><p>${"It works. ".repeat(20)}</p>\n`;

async function answer(request: Request, path: string): Promise<Response> {
  if (request.method === "POST") {
    const hash = createHash("sha256");
    for await (const bytes of request.body!) hash.update(bytes);
    return new Response(hash.digest("hex"));
  }
  if (new URL(request.url).pathname !== "/file") return new Response(PAGE);
  const file = await Deno.open(path);
  const { size } = await file.stat();
  return new Response(file.readable, { headers: { "content-length": String(size) } });
}

if (import.meta.main) {
  const [port, path] = Deno.args;
  Deno.serve({ port: Number(port), hostname: "::" }, (request) => answer(request, path));
}
