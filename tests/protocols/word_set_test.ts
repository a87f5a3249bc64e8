import assert from "node:assert/strict";
import { lowerCase, PrefixSet, WordSet } from "../../src/protocols/word_set.ts";
import { latin1 } from "./datagrams.ts";

Deno.test("WordSet.indexOf() knows exact words only", () => {
  const set = new WordSet(["m", "added", "added.f", "value"]);
  const bytes = latin1("xadded.f");
  assert.equal(set.indexOf(bytes, 1, 5), 1);
  assert.equal(set.indexOf(bytes, 1, 7), 2);
  assert.equal(set.indexOf(bytes, 1, 6), -1);
  assert.equal(set.indexOf(bytes, 0, 5), -1);
  assert.equal(set.indexOf(bytes, 1, 0), -1);
  assert.equal(set.indexOf(bytes, 1, -1), -1);
  assert.equal(set.indexOf(bytes, 0, 500), -1);
  assert.ok(!set.has(latin1("Added"), 0, 5));
});

Deno.test("PrefixSet.indexOf() takes the longest prefix in any case", () => {
  const set = new PrefixSet(["uTorrent", "uTorrentMac/", "Vuze"]);
  assert.equal(set.indexOf(latin1("UTORRENT/3550"), 0, 13), 0);
  assert.equal(set.indexOf(latin1("utorrentmac/1"), 0, 13), 1);
  assert.equal(set.indexOf(latin1("utorrentmac/1"), 0, 11), 0);
  assert.equal(set.indexOf(latin1("Vuze"), 0, 3), -1);
  assert.equal(set.indexOf(latin1("Vuze"), 4, 4), -1);
});

Deno.test("lowerCase() changes ASCII letters alone", () => {
  assert.equal(lowerCase(0x41), 0x61);
  assert.equal(lowerCase(0x5a), 0x7a);
  for (const other of [0x40, 0x5b, 0x61, 0x30, 0xc1]) assert.equal(lowerCase(other), other);
});
