import assert from "node:assert/strict";
import fc from "fast-check";
import { HttpHead } from "../../src/protocols/http.ts";
import { Query } from "../../src/protocols/query.ts";

const encoder = new TextEncoder();
const query = new Query();
const head = new HttpHead();

/** The parameters of a request for `target`, as text. */
function parametersOf(target: string): string[][] {
  const bytes = encoder.encode(`GET ${target} HTTP/1.1\r\n\r\n`);
  head.read(bytes, 0, bytes.length);
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const found: string[][] = [];
  for (query.begin(bytes, head); query.next();) {
    found.push([
      text(query.key, query.key + query.keyLength),
      text(query.value, query.valueEnd),
    ]);
  }
  return found;
}

Deno.test("Query has the keys and values of a query, in order", () => {
  assert.deepEqual(parametersOf("/announce?a=1&b&c==&=d&e=#f=2"), [
    ["a", "1"],
    ["b", ""],
    ["c", "="],
    ["", "d"],
    ["e", ""],
    ["f", "2"],
  ]);
  assert.deepEqual(parametersOf("/announce"), []);
  assert.deepEqual(parametersOf("/announce?"), []);
});

Deno.test("Query reads 64 parameters and no more", () => {
  const found = parametersOf("/announce?" + "k=v&".repeat(65));
  assert.equal(found.length, 64);
});

Deno.test("Query splits any text at & and #, and each part at its first =", () => {
  const part = fc.constantFrom("a", "=", "&", "#", "%41", ">", "~", "%", "$", "'");
  const texts = fc.array(part, { maxLength: 40 }).map((parts) => parts.join(""));
  fc.assert(fc.property(texts, (text) => {
    const parts = text.split(/[&#]/).map((one) => {
      const [key, ...rest] = one.split("=");
      return [key, rest.join("=")];
    });
    if (/(^|[&#])$/.test(text)) parts.pop(); // nothing stands behind the last separator
    assert.deepEqual(parametersOf(`/?${text}`), parts.slice(0, 64));
  }));
});
