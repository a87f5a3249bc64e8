import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatIsoTime,
  formatLocalTime,
  printable,
} from "../src/text.ts";

for (
  const [timeMs, expected] of [
    [1_705_343_713_123.456, "2024-01-15T18:35:13.123456Z"],
    [0, "1970-01-01T00:00:00.000000Z"],
    [999.9999, "1970-01-01T00:00:01.000000Z"],
    [-5, "1970-01-01T00:00:00.000000Z"],
    [Infinity, "9999-12-31T23:59:59.999000Z"],
    [NaN, "1970-01-01T00:00:00.000000Z"],
    [1e300, "9999-12-31T23:59:59.999000Z"],
  ] as const
) {
  Deno.test(`formatIsoTime(${timeMs})`, () => assert.equal(formatIsoTime(timeMs), expected));
}

Deno.test("Times of any number have their shape", () => {
  fc.assert(fc.property(fc.double(), (timeMs) => {
    assert.match(formatIsoTime(timeMs), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.match(formatLocalTime(timeMs), /^\d{4,5}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/);
  }));
});

for (
  const [seconds, expected] of [
    [18_000, "5h"],
    [300, "5m"],
    [5_400, "1h30m"],
    [45, "45s"],
    [86_400, "1d"],
    [90_061, "1d1h"],
    [86_405, "1d"],
    [31_536_000, "365d"],
    [0, "0s"],
    [-3, "0s"],
  ] as const
) {
  Deno.test(`formatDuration(${seconds}) is ${expected}`, () => {
    assert.equal(formatDuration(seconds), expected);
  });
}

for (
  const [bytes, expected] of [
    [0, "0 B"],
    [999, "999 B"],
    [1_000, "1.0 kB"],
    [1_549, "1.5 kB"],
    [9_960, "10 kB"],
    [999_600, "1.0 MB"],
    [34_000_000, "34 MB"],
  ] as const
) {
  Deno.test(`formatBytes(${bytes}) is ${expected}`, () =>
    assert.equal(formatBytes(bytes), expected));
}

Deno.test("formatCount() has a plural", () => {
  assert.equal(formatCount(1, "flow"), "1 flow");
  assert.equal(formatCount(1204, "packet"), "1,204 packets");
});

Deno.test("printable() leaves nothing that moves a cursor, forges a line or turns text round", () => {
  assert.equal(printable("qBittorrent 4.5.2 ü→"), "qBittorrent 4.5.2 ü→");
  assert.equal(printable("a\x1b[2Jb\r\nc\x9b\u202e"), "a\\x1b[2Jb\\x0d\\x0ac\\x9b\\u202e");
});
