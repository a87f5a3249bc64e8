import assert from "node:assert/strict";
import { ageMs, alertOf, readSharedBan, sharedBan } from "../../src/fleet/alerts.ts";
import { ban, HOUR, report } from "./bans.ts";

Deno.test("alertOf(): a ban as the API wants it", () => {
  const alert = alertOf(ban("192.0.2.7", { client: "aria2 1.36" }), Date.UTC(2026, 0, 2), "gw-1");
  const { events, ...rest } = alert as Record<string, unknown>;
  const time = "2026-01-02T00:00:00.000Z";
  assert.deepEqual(rest, {
    scenario: "btblocker/dht",
    scenario_hash: "",
    scenario_version: rest.scenario_version,
    message: "gw-1 banned 192.0.2.7 for BitTorrent: dht, ping query",
    events_count: 1,
    start_at: time,
    stop_at: time,
    capacity: 0,
    leakspeed: "0s",
    simulated: false,
    source: { scope: "Ip", value: "192.0.2.7", ip: "192.0.2.7" },
    decisions: [{
      duration: "3600s",
      origin: "crowdsec",
      scenario: "btblocker/dht",
      scope: "Ip",
      type: "ban",
      value: "192.0.2.7",
    }],
  });
  const [event] = events as { timestamp: string; meta: { key: string; value: string }[] }[];
  assert.equal(event.timestamp, time);
  assert.deepEqual(Object.fromEntries(event.meta.map(({ key, value }) => [key, value])), {
    machine: "gw-1",
    method: "dht",
    reason: "ping query",
    client: "aria2 1.36",
    transport: "udp",
    source: "192.0.2.7:6881",
    destination: "198.51.100.9:6881",
  });
});

Deno.test("no payload leaves the machine", () => {
  const now = { wallMs: 1, bootMs: 2, boot: "this" };
  const shared = sharedBan(report(["192.0.2.7"], 3600), "192.0.2.7", HOUR, now);
  const text = JSON.stringify(alertOf(shared, 1, "gw-1"));
  assert.ok(!text.includes("secret") && text.includes("libtorrent 2.0"), text);
});

Deno.test("the age of a ban: by the boot clock, after a reboot by the other", () => {
  const shared = ban("192.0.2.7", { sinceMs: 1_000_000, sinceBootMs: 50_000, boot: "this" });
  // The wall clock was set back by an hour meanwhile.
  assert.equal(ageMs(shared, { wallMs: 1_000_000 - HOUR, bootMs: 60_000, boot: "this" }), 10_000);
  assert.equal(ageMs(shared, { wallMs: 1_090_000, bootMs: 3_000, boot: "next" }), 90_000);
  assert.equal(ageMs(shared, { wallMs: 900_000, bootMs: 3_000, boot: "next" }), 0);
});

Deno.test("readSharedBan(): lines of the spool, and such as are none", () => {
  const shared = ban("192.0.2.7");
  const line = JSON.stringify(shared);
  assert.deepEqual(readSharedBan(line), shared);
  for (const bad of [line.slice(0, -9), "", "null", "7", "{}", '{"address":"192.0.2.7"}']) {
    assert.equal(readSharedBan(bad), null, bad);
  }
});
