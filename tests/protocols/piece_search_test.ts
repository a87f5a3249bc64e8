import assert from "node:assert/strict";
import fc from "fast-check";
import { findPiece, isPieceBeginning } from "../../src/protocols/peer_wire/piece_search.ts";
import { GRID, judgeMessage } from "../../src/protocols/peer_wire/message.ts";
import { hex, join, readsOnlyItsRange } from "./datagrams.ts";

/** bittorrent_tcp_miss.pcapng, frame 13. */
const HEADER = hex("00004009 07 00000084 00004000");

/** Bytes around a header, of which many are bytes of a header too. */
const surroundings = fc.array(fc.constantFrom(0, 0, 0x40, 0x09, 0x07, 1, 0xff), { maxLength: 60 })
  .map((bytes) => Uint8Array.from(bytes));

Deno.test("findPiece() finds a header at any place, and only a whole one", () => {
  fc.assert(fc.property(surroundings, surroundings, (before, after) => {
    const bytes = join(before, HEADER, after);
    const found = readsOnlyItsRange((all, start, end) => {
      const at = findPiece(all, start, end);
      return at < 0 ? -1 : at - start;
    }, bytes);
    // One that the surroundings have made may stand before it.
    assert.ok(found >= 0 && found <= before.length);
    const end = before.length + HEADER.length - 1;
    if (found === before.length) assert.equal(findPiece(bytes, 0, end), -1);
  }));
});

Deno.test("findPiece() finds the first header of any bytes, as a plain search does", () => {
  const isHeader = (bytes: Uint8Array, at: number) =>
    bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 0x40 && bytes[at + 3] === 9 &&
    bytes[at + 4] === 7 && bytes[at + 5] === 0 && at + 13 <= bytes.length &&
    judgeMessage(bytes, at, bytes.length) === GRID;
  const pieces = fc.constantFrom(
    HEADER,
    HEADER.slice(0, 9),
    hex("000040090700"),
    hex("00"),
    hex("07"),
  );
  fc.assert(fc.property(fc.array(fc.oneof(surroundings, pieces), { maxLength: 12 }), (parts) => {
    const bytes = join(...parts);
    let first = 0;
    while (first < bytes.length && !isHeader(bytes, first)) first++;
    assert.equal(findPiece(bytes, 0, bytes.length), first < bytes.length ? first : -1);
  }));
});

Deno.test("findPiece() finds a header that begins with the last known byte of a false one", () => {
  const bytes = hex("00004009 07 00004009 07 00004009 07 00000084 00004000");
  assert.equal(findPiece(bytes, 0, bytes.length), 5);
});

Deno.test("findPiece() gives a segment up that is full of headers whose fields do not agree", () => {
  const wrong = hex("000040090700");
  const many = (count: number) => join(...Array.from({ length: count }, () => wrong), HEADER);
  assert.equal(findPiece(many(20), 0, 20 * 6 + 13), 120);
  assert.equal(findPiece(many(2000), 0, 2000 * 6 + 13), -1);
});

const nearMisses = [
  ["another block size", "00002009 07 00000084 00002000"],
  ["another message", "00004009 06 00000084 00004000"],
  ["a piece index of 2^24", "00004009 07 01000000 00004000"],
  ["a begin off the block grid", "00004009 07 00000084 00004001"],
  ["zeros", "00000000 00 00000000 00000000"],
] as const;
for (const [name, bytes] of nearMisses) {
  Deno.test(`findPiece() rejects ${name}`, () => {
    const all = join(hex("4009074009"), hex(bytes), hex("0000400900"));
    assert.equal(findPiece(all, 0, all.length), -1);
  });
}

Deno.test("isPieceBeginning() knows every part of a header", () => {
  for (let length = 1; length < HEADER.length; length++) {
    assert.ok(isPieceBeginning(join(HEADER, hex("ff")), 0, length));
  }
  assert.ok(!isPieceBeginning(hex("000040ff"), 0, 4));
});
