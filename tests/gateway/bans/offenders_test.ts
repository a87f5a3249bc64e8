import assert from "node:assert/strict";
import fc from "fast-check";
import { type BanKey, formatBanKey, parseBanKey } from "../../../src/gateway/bans/ban_key.ts";
import { REASON_FLEET, REASON_MANUAL } from "../../../src/gateway/bans/ban_codec.ts";
import { BanTable } from "../../../src/gateway/bans/ban_table.ts";
import { Bans, reasonNumber } from "../../../src/gateway/bans/bans.ts";
import { escalated, Offenders, REMEMBERED_MS } from "../../../src/gateway/bans/offenders.ts";
import { until } from "../../until.ts";

const ignore = Deno.build.os !== "linux";
const HOUR = 3_600_000;
const TEN_YEARS = 315_360_000_000;
const KEYS = ["192.0.2.7", "192.0.2.7:6881/udp", "2001:db8::/64", "192.0.2.8", "2001:db8::7"]
  .map((text) => parseBanKey(text)!);
const [A, ENDPOINT, PREFIX, B] = KEYS;

function offenders(limit = 64): Offenders {
  return new Offenders(Offenders.buffer(limit));
}

/** Bans one ban after the other; how many there were before each. */
function banned(table: Offenders, key: BanKey, moments: readonly number[]): number[] {
  return moments.map((now) => {
    const before = table.before(key, now);
    table.banned(key, now + HOUR, now);
    return before;
  });
}

// [bans before, seconds], of 5 h with a factor of 2, a week at most
const terms = [[0, 18_000], [1, 36_000], [2, 72_000], [5, 576_000], [6, 604_800], [255, 604_800]];
for (const [before, seconds] of terms) {
  Deno.test(`escalated() after ${before} bans is ${seconds} s`, () => {
    const mostMs = 604_800_000;
    assert.equal(escalated(18_000_000, before, { factor: 2, mostMs }), seconds * 1000);
  });
}

Deno.test("escalated() never exceeds the bound, nor falls, nor is less than the first", () => {
  const ms = fc.integer({ min: 1000, max: TEN_YEARS });
  const property = fc.property(
    ...[ms, ms, fc.integer({ min: 1, max: 100 }), fc.nat(255)] as const,
    (durationMs, more, factor, before) => {
      const mostMs = Math.min(durationMs + more, TEN_YEARS);
      const now = escalated(durationMs, before, { factor, mostMs });
      const next = escalated(durationMs, before + 1, { factor, mostMs });
      assert(Number.isSafeInteger(now) && durationMs <= now && now <= next && next <= mostMs);
      assert(next === mostMs || next === now * factor);
    },
  );
  fc.assert(property, { numRuns: 2000 });
});

Deno.test("each ban that begins counts, one that goes on does not", () => {
  const table = offenders();
  assert.deepEqual(banned(table, A, [0, 1, HOUR - 1]), [0, 0, 0]); // on to 2 h
  assert.deepEqual(banned(table, A, [2 * HOUR, 3 * HOUR, 5 * HOUR]), [1, 2, 3]);
  assert.equal(table.before(A, 5 * HOUR + 1), 3, "of the one in force");
});

Deno.test("an address, its endpoint and a prefix count each for itself", () => {
  const table = offenders();
  for (const key of [A, ENDPOINT, PREFIX]) assert.deepEqual(banned(table, key, [0, HOUR]), [0, 1]);
  assert.equal(table.before(B, 2 * HOUR), 0);
});

Deno.test("an offender is forgotten a day after the end of his last ban", () => {
  const end = 2 * HOUR;
  for (const [later, before] of [[-1, 2], [0, 0], [1, 0]]) {
    const table = offenders();
    banned(table, A, [0, HOUR]);
    const now = end + REMEMBERED_MS + later * 100;
    assert.deepEqual(banned(table, A, [now, now + HOUR]), [before, before + 1]);
  }
});

Deno.test("an offender whose ban was lifted begins anew; others do not", () => {
  const table = offenders();
  for (const key of [A, B]) banned(table, key, [0, HOUR]);
  table.forget(A);
  assert.deepEqual([A, B].map((key) => table.before(key, 2 * HOUR)), [0, 2]);
  table.forget(A); // nobody
  table.clear();
  assert.equal(table.before(B, 2 * HOUR), 0);
});

Deno.test("offenders beyond the room push out those who would be forgotten first", () => {
  const table = offenders(64); // two buckets' worth of 64 and more
  const key = (i: number): BanKey => parseBanKey(`198.51.${i >> 8}.${i & 255}`)!;
  for (let i = 0; i < 20_000; i++) table.banned(key(i), i * 1000 + 100, i * 1000);
  const now = 20_000 * 1000;
  const remembered = Array.from({ length: 20_000 }, (_, i) => i).filter((i) =>
    table.before(key(i), now) > 0
  );
  assert(remembered.length >= 64 && remembered.length <= 256, `${remembered.length} remembered`);
  assert(remembered.every((i) => i >= 19_000), `since ${remembered[0]}`);
});

Deno.test("offenders are what a list of all bans says", () => {
  const step = fc.record({
    key: fc.constantFrom(...KEYS),
    wait: fc.nat(2 * REMEMBERED_MS).map((ms) => ms * 100),
    length: fc.integer({ min: 1, max: 40 * HOUR }).map((ms) => ms * 100),
    act: fc.constantFrom("ban", "ban", "ban", "lift"),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const table = offenders(256);
    const model = new Map<string, { bans: number; end: number }>();
    let now = 0;
    for (const { key, wait, length, act } of steps) {
      now = (now + wait / 100) - (now + wait / 100) % 100;
      const name = formatBanKey(key);
      if (act === "lift") {
        table.forget(key);
        model.delete(name);
        continue;
      }
      let known = model.get(name) ?? { bans: 0, end: -REMEMBERED_MS };
      if (known.end + REMEMBERED_MS <= now) known = { bans: 0, end: 0 };
      const goesOn = known.end > now;
      assert.equal(table.before(key, now), goesOn ? known.bans - 1 : known.bans);
      assert.equal(table.isBanned(key, now), goesOn);
      const end = now + length - length % 100;
      table.banned(key, end, now);
      model.set(name, { bans: goesOn ? known.bans : known.bans + 1, end });
    }
  });
  fc.assert(property, { numRuns: 300 });
});

const UDP = 17;
const GROWS = { factor: 3, mostMs: 1000 };

function bansOf(): Bans {
  const [table, memory] = [BanTable.buffer(64), Offenders.buffer(64)];
  return new Bans({ table, offenders: memory, scope: "ip", maps: {} });
}

/** Lets a host be banned for 200 ms; for how long it is. */
function ban(bans: Bans, escalation: typeof GROWS | null = GROWS): number {
  return bans.ban(A.words, 0, UDP, 6881, 200, reasonNumber("dht"), escalation)!.durationMs;
}

const over = (bans: Bans) => until(() => bans.find(A) === null);

Deno.test("bans of a repeated offender grow up to the bound", {
  ignore,
}, async () => {
  const bans = bansOf();
  const lengths: number[] = [];
  for (let i = 0; i < 4; i++) {
    lengths.push(ban(bans));
    await over(bans);
  }
  assert.deepEqual(lengths, [200, 600, 1000, 1000]);
});

Deno.test("bans by hand, of the fleet, and without a factor do not count", { ignore }, async () => {
  const bans = bansOf();
  for (const reason of [REASON_MANUAL, REASON_FLEET]) {
    bans.add(A, HOUR, reason);
    assert.equal(ban(bans), 200); // while it is in force
    bans.remove(A);
  }
  assert.equal(ban(bans, null), 200);
  await over(bans);
  assert.equal(ban(bans), 200);
  await over(bans);
  assert.equal(ban(bans), 600);
});

Deno.test("a lifted ban is forgotten, one that has ended is not", { ignore }, async () => {
  const bans = bansOf();
  ban(bans);
  await over(bans);
  bans.liftAddress(A.words);
  assert.equal(ban(bans), 200);
  await over(bans);
  bans.sweep();
  bans.remove(A); // as the fleet's decision of it is, when it has ended
  assert.equal(ban(bans), 600);
  bans.clear();
  assert.equal(ban(bans), 200);
});

Deno.test("a ban that found no room counts for nothing", { ignore }, () => {
  const [table, memory] = [BanTable.buffer(8), Offenders.buffer(8)];
  const bans = new Bans({ table, offenders: memory, scope: "ip", maps: {} });
  for (let i = 0; i < 8; i++) bans.add(parseBanKey(`203.0.113.${i}`)!, HOUR, REASON_MANUAL);
  assert.equal(bans.ban(A.words, 0, UDP, 1, HOUR, reasonNumber("dht"), GROWS), null);
  assert.equal(new Offenders(memory).isBanned(A, 0), false);
  bans.clear();
  assert.equal(ban(bans), 200);
});

Deno.test("four threads that ban at once begin one ban, and lose none", async () => {
  const memory = Offenders.buffer(4096);
  const rounds = 50;
  const gate = new SharedArrayBuffer(8);
  const threads = 4;
  const workers = Array.from({ length: threads }, () => {
    const url = new URL("./offenders_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const done = new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage({ memory, gate, threads, rounds });
    return { worker, done };
  });
  await Promise.all(workers.map(({ done }) => done));
  for (const { worker } of workers) worker.terminate();
  const table = new Offenders(memory);
  const now = rounds * HOUR - 1;
  for (let i = 0; i < 200; i++) {
    const key = parseBanKey(`198.51.100.${i}`)!;
    assert.equal(table.before(key, now), rounds - 1, formatBanKey(key));
  }
});
