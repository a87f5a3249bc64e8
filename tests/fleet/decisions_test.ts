import assert from "node:assert/strict";
import fc from "fast-check";
import { parseGoDuration, readDecision, readNews } from "../../src/fleet/decisions.ts";

// As time.Duration prints them (Go, package time), and as crowdsec 1.4.6 sent them.
const durations = [
  ["3h59m58.767119944s", 14_398_767.119944],
  ["59m58.770120985s", 3_598_770.120985],
  ["-1.948147393s", -1_948.147393],
  ["4h", 14_400_000],
  ["1h0m0s", 3_600_000],
  ["250ms", 250],
  ["-12.175777695s", -12_175.777695],
  ["1.5µs", 0.0015],
  ["0", 0],
  ["", NaN],
  ["4", NaN],
  ["4d", NaN],
  ["h", NaN],
  ["1h ", NaN],
  ["--1s", NaN],
  ["1h".repeat(40), NaN],
] as const;

for (const [text, wanted] of durations) {
  Deno.test(`parseGoDuration("${text}") is ${wanted}`, () => {
    const found = parseGoDuration(text);
    if (Number.isNaN(wanted)) assert.ok(Number.isNaN(found));
    else assert.ok(Math.abs(found - wanted) < 1e-6, `${found}`);
  });
}

// An answer of crowdsec 1.4.6.
const ENTRY = {
  duration: "2h59m58.7s",
  id: 1,
  origin: "crowdsec",
  scenario: "btblocker/dht",
  scope: "Ip",
  type: "ban",
  value: "192.0.2.1",
};

const entries: readonly [name: string, entry: unknown, key: string | null][] = [
  ["a ban of an address", ENTRY, "192.0.2.1"],
  ["a ban of a network", { ...ENTRY, scope: "Range", value: "192.0.2.77/24" }, "192.0.2.0/24"],
  ["IPv6 in another spelling", { ...ENTRY, value: "2001:0DB8:0::1" }, "2001:db8::1"],
  ["a scope in small letters", { ...ENTRY, scope: "ip" }, "192.0.2.1"],
  ["another remedy", { ...ENTRY, type: "captcha" }, null],
  ["another scope", { ...ENTRY, scope: "Country", value: "SE" }, null],
  ["another scenario", { ...ENTRY, scenario: "crowdsecurity/ssh-bf" }, null],
  ["a simulated one", { ...ENTRY, simulated: true }, null],
  ["no address", { ...ENTRY, value: "192.0.2" }, null],
  ["no duration", { ...ENTRY, duration: "soon" }, null],
  ["no id", { ...ENTRY, id: "1" }, null],
  ["no object", 7, null],
  ["null", null, null],
];

for (const [name, entry, key] of entries) {
  Deno.test(`readDecision(): ${name}: ${key ?? "passed over"}`, () => {
    assert.equal(readDecision(entry, "btblocker")?.key ?? null, key);
  });
}

Deno.test("FLEET_SCOPE=all takes other scenarios too", () => {
  const entry = { ...ENTRY, scenario: "crowdsecurity/ssh-bf" };
  assert.equal(readDecision(entry, "all")?.scenario, "crowdsecurity/ssh-bf");
});

Deno.test("readNews() reads what can be read and counts the rest", () => {
  const news = readNews({ new: [ENTRY, 1, { ...ENTRY, value: "?" }], deleted: null }, "all");
  assert.equal(news.added.length, 1);
  assert.equal(news.deleted.length, 0);
  assert.equal(news.skipped, 2);
  for (const bad of [null, 7, "x", { new: 7 }, { deleted: {} }]) {
    assert.throws(() => readNews(bad, "all"), TypeError);
  }
});

Deno.test("readNews() of any JSON gives decisions or throws TypeError", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (added, deleted) => {
    try {
      readNews({ new: [added], deleted: [deleted] }, "all");
      readNews(added, "all");
    } catch (error) {
      assert.ok(error instanceof TypeError);
    }
  }));
});
