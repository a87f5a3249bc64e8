import assert from "node:assert/strict";
import { CLIENTS } from "../../src/protocols/client_table.ts";
import { MESSAGE_FORMS } from "../../src/protocols/peer_wire/message.ts";
import { HANDSHAKE, SIGNATURES, wordsAt } from "../../src/protocols/signatures.ts";
import { hex } from "./datagrams.ts";

Deno.test("the signature table has 95 rows and more, without peer IDs and message forms", () => {
  assert.ok(SIGNATURES.length >= 95, `${SIGNATURES.length} rows`);
  assert.ok(CLIENTS.length >= 80);
  assert.equal(MESSAGE_FORMS.length, 19);
});

Deno.test("every signature is bytes, once at its place, with a source", () => {
  const seen = new Set<string>();
  for (const { place, text, source } of SIGNATURES) {
    assert.ok(text.length > 0 && [...text].every((char) => char.charCodeAt(0) <= 0xff), text);
    assert.notEqual(source, "");
    assert.ok(!seen.has(`${place}: ${text}`), `${place}: ${text} twice`);
    seen.add(`${place}: ${text}`);
  }
});

Deno.test("the handshake is BEP 3's", () => {
  assert.deepEqual(HANDSHAKE, hex("13426974546f7272656e742070726f746f636f6c"));
});

Deno.test("wordsAt() keeps the table's order", () => {
  assert.deepEqual(wordsAt("json action"), ["announce", "scrape"]);
  assert.deepEqual(wordsAt("path end"), [".torrent"]);
});
