import assert from "node:assert/strict";
import fc from "fast-check";
import {
  hexDump,
  jsonEntry,
  jsonGap,
  textEntry,
  textGap,
} from "../../src/report/detection_text.ts";
import { record } from "./detection_fixture.ts";

// The original's documented entry; its method names are its own.
const ENTRY = `================================================================================
Timestamp:    2024-01-15 18:46:57.123
Interface:    ens33
Protocol:     UDP
Source:       192.168.1.100:51234
Destination:  8.8.8.8:6881
Detection:    udp-tracker: announce request, qBittorrent 1.4.2
Payload Size: 32 bytes

Hex Dump:
00000000  00 00 04 17 27 10 19 80  00 00 00 00 00 00 00 01  |....'...........|
00000010  12 34 56 78 9a bc de f0  2d 71 42 31 34 32 30 2d  |.4Vx....-qB1420-|

ASCII (printable only):
....'............4Vx....-qB1420-

`;

Deno.test("textEntry() has the original's shape", () => assert.equal(textEntry(record()), ENTRY));

Deno.test("textEntry() says when the payload is cut", () => {
  const payload = new Uint8Array(512).fill(0x41);
  const entry = textEntry(record({}, { payload, payloadLength: 1400 }));
  assert.match(entry, /^Payload Size: 1400 bytes \(showing first 512 bytes\)$/m);
  assert.equal(entry.match(/\|A{16}\|/g)?.length, 32);
});

Deno.test("textEntry() keeps line ends and tabs in the printable part only", () => {
  const payload = new TextEncoder().encode("GET /\r\n\tx\x00");
  const entry = textEntry(record({}, { payload, payloadLength: payload.length }));
  assert.match(entry, /\|GET \/\.\.\.x\.\|/);
  assert.ok(entry.endsWith("ASCII (printable only):\nGET /\r\n\tx.\n\n"));
});

Deno.test("textEntry() lets no client's name forge a line", () => {
  const entry = textEntry(record({}, { client: "x\nSource:       1.2.3.4:5" }));
  assert.match(entry, /^Detection: .*x\\x0aSource: /m);
});

Deno.test("hexDump() fills up the last line", () => {
  assert.equal(hexDump(new Uint8Array(0)), "(empty)");
  assert.equal(
    hexDump(Uint8Array.of(0x41)),
    "00000000  41                                                |A|",
  );
  assert.equal(
    hexDump(new TextEncoder().encode("123456789")),
    "00000000  31 32 33 34 35 36 37 38  39                       |123456789|",
  );
});

Deno.test("jsonEntry() is one line with every field", () => {
  const line = jsonEntry(record());
  assert.equal(line.indexOf("\n"), line.length - 1);
  const { timestamp, ...fields } = JSON.parse(line);
  assert.match(timestamp, /^2024-01-1[456]T\d\d:\d\d:57\.123000Z$/);
  assert.deepEqual(fields, {
    event_type: "detection",
    in_iface: "ens33",
    proto: "UDP",
    src_ip: "192.168.1.100",
    src_port: 51234,
    dest_ip: "8.8.8.8",
    dest_port: 6881,
    method: "udp-tracker",
    strength: "proof",
    reason: "announce request",
    client: "qBittorrent 1.4.2",
    info_hash: null,
    who: null,
    action: "dropped",
    ban: true,
    bans: [{ target: "192.168.1.100", seconds: 18_000 }],
    payload_length: 32,
    payload: "AAAEFycQGYAAAAAAAAAAARI0VniavN7wLXFCMTQyMC0=",
  });
});

Deno.test("textGap() and jsonGap() tell when how many entries are missing, and why", () => {
  const { timeMs } = record();
  const gap = { sinceMs: timeMs - 60_000, untilMs: timeMs, entries: 1_234 };
  assert.equal(
    textGap(gap, "it takes so much"),
    `${"=".repeat(80)}
Timestamp:    2024-01-15 18:46:57.123
Left Out:     1234 entries since 2024-01-15 18:45:57.123 (it takes so much)

`,
  );
  const line = jsonGap(gap, "it takes so much");
  assert.equal(line.indexOf("\n"), line.length - 1);
  const { timestamp, since, ...fields } = JSON.parse(line);
  assert.equal(Date.parse(timestamp), gap.untilMs);
  assert.equal(Date.parse(since), gap.sinceMs);
  assert.deepEqual(fields, {
    event_type: "left_out",
    entries: 1_234,
    reason: "it takes so much",
  });
});

Deno.test("Entries of any bytes are text of whole lines", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 600 }),
      fc.string({ unit: "binary" }),
      (payload, client) => {
        const any = record({}, { payload, payloadLength: payload.length, client });
        assert.ok(textEntry(any).endsWith("\n\n"));
        assert.equal(JSON.parse(jsonEntry(any)).payload_length, payload.length);
      },
    ),
  );
});
