import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DetectionHistory,
  type Steps,
  TrafficHistory,
  type TrafficTotals,
} from "../../src/status/history.ts";
import { detectionJson } from "../../src/report/detection_json.ts";
import { record } from "../report/detection_fixture.ts";

function totals(packets: number, rest: Partial<TrafficTotals> = {}): TrafficTotals {
  return { packets, bytes: 0, dropped: 0, detections: 0, unjudged: 0, ...rest };
}

function valuesOf(steps: Steps, name: string): readonly number[] {
  return steps.rows.find((row) => row.name === name)!.values;
}

Deno.test("TrafficHistory tells the last minute by the second, the newest last", () => {
  const history = new TrafficHistory(10_000);
  for (let second = 1; second <= 5; second++) {
    history.sample(10_000 + second * 1000, totals(second * 10));
  }
  const minute = history.read("minute", 15_250);
  assert.equal(minute.stepMs, 1000);
  assert.equal(minute.ageMs, 250);
  const packets = valuesOf(minute, "packets");
  assert.equal(packets.length, 60);
  assert.deepEqual(packets.slice(-6), [0, 10, 10, 10, 10, 10]);
  assert.equal(history.rate("packets"), 10);
});

Deno.test("TrafficHistory spreads what a late timer brings, without gap or peak", () => {
  const history = new TrafficHistory(0);
  history.sample(1000, totals(10));
  history.sample(4500, totals(45)); // 2.5 s late
  history.sample(5000, totals(50));
  assert.deepEqual(valuesOf(history.read("minute", 5000), "packets").slice(-5), [
    ...[10, 10, 10, 10, 10],
  ]);
});

Deno.test("TrafficHistory tells the last hour by ten seconds, as amounts a second", () => {
  const history = new TrafficHistory(0);
  for (let ms = 1000; ms <= 3_700_000; ms += 1000) history.sample(ms, totals(ms / 1000 * 7));
  const hour = valuesOf(history.read("hour", 3_700_000), "packets");
  assert.equal(hour.length, 360);
  assert(hour.every((value) => value === 7), hour.join());
});

Deno.test("TrafficHistory forgets everything after a pause longer than it remembers", () => {
  const history = new TrafficHistory(0);
  history.sample(1000, totals(1000));
  history.sample(10_000_000, totals(1000));
  for (const span of ["minute", "hour"] as const) {
    assert(valuesOf(history.read(span, 10_000_000), "packets").every((value) => value === 0));
  }
});

Deno.test("TrafficHistory takes counts that begin anew for nothing, not for less", () => {
  const history = new TrafficHistory(0);
  history.sample(1000, totals(50));
  history.sample(2000, totals(5));
  history.sample(3000, totals(6));
  assert.deepEqual(valuesOf(history.read("minute", 3000), "packets").slice(-3), [50, 0, 1]);
});

Deno.test("TrafficHistory loses and invents nothing within the minute", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 9_000 }), fc.integer({ min: 0, max: 1_000 }))),
      (samples) => {
        const history = new TrafficHistory(0);
        let nowMs = 0;
        let packets = 0;
        const recent: [number, number][] = [];
        for (const [waitMs, more] of samples) {
          nowMs += waitMs;
          packets += more;
          history.sample(nowMs, totals(packets));
          recent.push([nowMs - waitMs, more]);
        }
        const endMs = Math.ceil(nowMs / 1000) * 1000 + 1000;
        history.sample(endMs, totals(packets));
        const begin = endMs - 60_000;
        const sure = recent.filter(([from]) => from >= begin).reduce((sum, [, n]) => sum + n, 0);
        const most = recent.filter(([from]) => from >= begin - 9_000)
          .reduce((sum, [, n]) => sum + n, 0);
        const told = valuesOf(history.read("minute", endMs), "packets")
          .reduce((sum, value) => sum + value, 0);
        assert(told >= sure - 1 && told <= most + 1, `${sure} ≤ ${told} ≤ ${most}`); // rounding
      },
    ),
  );
});

Deno.test("DetectionHistory counts by method and by client, a minute a step", () => {
  const history = new DetectionHistory();
  history.add(30_000, record());
  history.add(95_000, record());
  history.add(
    95_000,
    record({}, {
      match: { method: "peer-wire", kind: "handshake", strength: "proof", reason: "handshake" },
      client: "Transmission 4.0.2",
    }),
  );
  history.add(95_000, record({}, { client: null }));
  assert.equal(history.count, 4);
  assert.deepEqual(history.methods, { "peer-wire": 1, "udp-tracker": 3 });
  const methods = history.byMethod(119_000);
  assert.equal(methods.ageMs, -1000); // the present minute has a second to go
  assert.deepEqual(valuesOf(methods, "udp-tracker").slice(-3), [0, 1, 2]);
  assert.deepEqual(valuesOf(methods, "peer-wire").slice(-3), [0, 0, 1]);
  const clients = history.byClient(119_000);
  assert.deepEqual(clients.rows.map(({ name, values }) => [name, values.at(-1)]), [
    ["client unknown", 1],
    ["qBittorrent", 1],
    ["Transmission", 1],
  ]);
});

Deno.test("DetectionHistory forgets after an hour, but not the counts since the start", () => {
  const history = new DetectionHistory();
  history.add(1000, record());
  assert.deepEqual(history.byMethod(3_700_000).rows, []);
  assert.deepEqual(history.methods, { "udp-tracker": 1 });
});

Deno.test("DetectionHistory keeps a bounded number of names, whatever peers call themselves", () => {
  const history = new DetectionHistory();
  for (let i = 0; i < 5; i++) history.add(1000, record({}, { client: "qBittorrent 4.5.2" }));
  for (let i = 0; i < 500; i++) history.add(1000, record({}, { client: `Fake${"x".repeat(i)}` }));
  history.add(1000, record({}, { client: "__proto__" }));
  history.add(1000, record({}, { client: "other clients" }));
  const { rows } = history.byClient(1000);
  assert(rows.length <= 24, `${rows.length}`);
  assert(rows.every(({ name }) => name.length <= 40));
  const sum = rows.reduce((sum, { values }) => sum + values.at(-1)!, 0);
  assert.equal(sum, 507);
  assert.equal(rows.find(({ name }) => name === "qBittorrent")!.values.at(-1), 5);
});

Deno.test("DetectionHistory shows the last fifty, the newest first", () => {
  const history = new DetectionHistory();
  for (let i = 0; i < 60; i++) history.add(1000, record({}, { sourcePort: i }));
  assert.equal(history.recent.length, 50);
  assert.deepEqual(history.recent[0], {
    number: 60,
    ...detectionJson(record({}, { sourcePort: 59 })),
    done: "banned 192.168.1.100 for 5h",
  });
});
