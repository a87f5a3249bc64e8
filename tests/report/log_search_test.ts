import assert from "node:assert/strict";
import fc from "fast-check";
import { jsonEntry, textEntry } from "../../src/report/detection_text.ts";
import {
  type Complaint,
  type FoundEntry,
  readAddress,
  readInfoHash,
  searchLog,
} from "../../src/report/log_search.ts";
import { record } from "./detection_fixture.ts";

const HASH = "6d6e6f707172737475767778797a313233343536";
const PAYLOAD = new TextEncoder().encode(
  "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
);
const WHO = { address: "10.8.0.5", source: "wireguard", id: "K=", name: "alice" } as const;
const MATCH = {
  method: "dht",
  kind: "get_peers",
  strength: "proof",
  reason: "get_peers query",
} as const;
const torrent = (timeMs: number, sourcePort = 6_881) =>
  record({ timeMs, who: WHO }, {
    ...{ match: MATCH, infoHash: HASH, payload: PAYLOAD, payloadLength: PAYLOAD.length },
    ...{ source: "10.8.0.5", sourcePort, destinationPort: 51_413 },
  });

const ANYTHING: Complaint = {
  infoHash: null,
  port: null,
  address: null,
  fromMs: -Infinity,
  untilMs: Infinity,
};

/** Searches a text that is read in pieces of the given length. */
function search(text: string, complaint: Partial<Complaint>, piece = 1 << 20): FoundEntry[] {
  let rest = new TextEncoder().encode(text);
  const read = (target: Uint8Array) => {
    if (rest.length === 0) return null;
    const length = Math.min(piece, rest.length, target.length);
    target.set(rest.subarray(0, length));
    rest = rest.subarray(length);
    return length;
  };
  return [...searchLog(read, { ...ANYTHING, ...complaint })];
}

const { timeMs } = record();
const RECORDS = [
  record(),
  torrent(timeMs + 60_000),
  record({}, { payload: new Uint8Array(0) }),
  torrent(timeMs + 120_000, 6_882),
];

for (const [format, entry] of [["text", textEntry], ["JSON", jsonEntry]] as const) {
  const log = RECORDS.map(entry).join("");

  Deno.test(`searchLog() answers by hash, port, address and time: ${format}`, () => {
    assert.equal(search(log, {}).length, 4);
    const byHash = search(log, { infoHash: HASH });
    assert.equal(byHash.length, 2);
    assert.equal(byHash[0].source, "10.8.0.5:6881");
    assert.equal(byHash[0].timeMs, timeMs + 60_000);
    assert.equal(byHash[0].infoHash, HASH);
    assert.match(byHash[0].what, /^dht: get_peers query/);
    assert.equal(byHash[0].who, format === "JSON" ? "alice (wireguard)" : null);
    assert.equal(search(log, { port: 6_882 }).length, 1);
    assert.equal(search(log, { port: 51_413 }).length, 2);
    assert.equal(search(log, { address: "10.8.0.5" }).length, 2);
    assert.equal(search(log, { address: "8.8.8.8" }).length, 4);
    assert.equal(search(log, { fromMs: timeMs + 1, untilMs: timeMs + 60_000 }).length, 1);
    assert.equal(search(log, { infoHash: HASH, untilMs: timeMs }).length, 0);
  });

  Deno.test(`searchLog() gives the same however a log is read: ${format}`, () => {
    const whole = search(log, {});
    for (const piece of [1, 7, 100, 1_000]) assert.deepEqual(search(log, {}, piece), whole);
  });

  Deno.test(`searchLog() passes over what is torn: ${format}`, () => {
    const first = entry(RECORDS[0]);
    assert.equal(search(first.slice(0, 200), {}).length, 0);
    assert.equal(search(first.slice(0, 200) + "\n" + entry(RECORDS[1]), {}).length, 1);
    assert.deepEqual(search("", {}), []);
    assert.deepEqual(search("nothing of ours\n", {}), []);
  });
}

Deno.test("searchLog() takes no stranger's bytes for an entry", () => {
  const forged = new TextEncoder().encode(`\n${textEntry(torrent(timeMs)).slice(0, 480)}`);
  const log = textEntry(record({}, { payload: forged, payloadLength: forged.length })) +
    textEntry(torrent(timeMs + 1));
  assert.equal(search(log, {}).length, 2);
  assert.equal(search(log, { address: "10.8.0.5" }).length, 1);
  const json = jsonEntry(record({}, { client: `x","info_hash":"${HASH}","y":"` }));
  assert.deepEqual(search(json, { infoHash: HASH }), []);
});

Deno.test("searchLog() throws on no bytes", () => {
  const logs = [textEntry, jsonEntry].map((entry) => RECORDS.map(entry).join(""));
  fc.assert(fc.property(
    fc.constantFrom(...logs),
    fc.array(fc.tuple(fc.nat(6_000), fc.nat(255)), { maxLength: 8 }),
    fc.nat(6_000),
    (log, changes, cut) => {
      const bytes = new TextEncoder().encode(log).slice(0, cut);
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      let isRead = false;
      const read = (target: Uint8Array) => {
        if (isRead) return null;
        isRead = true;
        target.set(bytes);
        return bytes.length;
      };
      assert(Array.from(searchLog(read, { ...ANYTHING, infoHash: HASH })).length <= RECORDS.length);
    },
  ));
});

Deno.test("readInfoHash() takes hexadecimal of both versions, base 32 and URNs", () => {
  assert.equal(readInfoHash(HASH.toUpperCase()), HASH);
  assert.equal(readInfoHash(`urn:btih:${HASH}`), HASH);
  assert.equal(readInfoHash(`urn:btmh:1220${HASH}${"0".repeat(24)}`), HASH);
  assert.equal(readInfoHash("NVXG64DROJZXI5LWO54HS6RRGIZTINJW"), HASH);
  assert.equal(readInfoHash("xyz"), null);
});

Deno.test("readAddress() gives an address as the log writes it", () => {
  assert.equal(readAddress("2001:DB8:0::1"), "2001:db8::1");
  assert.equal(readAddress("10.0.0.256"), null);
});
