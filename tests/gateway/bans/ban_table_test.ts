import assert from "node:assert/strict";
import fc from "fast-check";
import { BanTable } from "../../../src/gateway/bans/ban_table.ts";
import { REASON_FLEET, REASON_MANUAL } from "../../../src/gateway/bans/ban_codec.ts";
import {
  addressKey,
  endpointKey,
  formatBanKey,
  networkKey,
} from "../../../src/gateway/bans/ban_key.ts";
import { parseNetwork } from "../../../src/gateway/network/networks.ts";
import { address } from "../bytes.ts";

const TCP = 6;
const UDP = 17;
const METHOD = 0; // of a detection, not by hand nor the fleet
const [A, B, C] = ["10.9.1.2", "2.1.9.10", "2001:db8::7"].map(address);

function table(entries = 1024): BanTable {
  return new BanTable(BanTable.buffer(entries));
}

/** Whether the address in `words[at … at + 3]` is banned as a whole. */
function has(bans: BanTable, words: Int32Array, nowMs: number, at = 0): boolean {
  return bans.get(addressKey(words, at), nowMs) !== null;
}

/** The `index`th address of a network of our own. */
function numbered(index: number): Int32Array {
  return Int32Array.of(0, 0, 0xffff, 0x0a000000 + index);
}

Deno.test("a ban holds for its address, until its end", () => {
  const bans = table();
  assert.equal(has(bans, A, 1_000), false);
  assert.equal(bans.add(addressKey(A), 61_000, 1_000, 3)?.isNew, true);
  assert.equal(has(bans, A, 1_000), true);
  assert.equal(has(bans, A, 60_999), true);
  assert.equal(has(bans, A, 61_000), false);
  assert.equal(has(bans, B, 1_000), false, "the address byte by byte reversed");
  assert.equal(has(bans, C, 1_000), false);
});

Deno.test("words are read where they are said to be", () => {
  const bans = table();
  bans.add(addressKey(Int32Array.of(...B, ...A), 4), 10_000, 0, 0);
  assert.equal(has(bans, A, 1), true);
  assert.equal(has(bans, Int32Array.of(...C, ...A), 1, 4), true);
  assert.equal(has(bans, Int32Array.of(...A, ...C), 1, 4), false);
});

Deno.test("nothing is written where no ban is: memory is taken for bans, not for questions", () => {
  const buffer = BanTable.buffer(1024);
  const bans = new BanTable(buffer);
  const before = new Int32Array(buffer).slice();
  for (let index = 0; index < 1000; index++) {
    assert.equal(bans.remove(addressKey(numbered(index))), false);
    assert.equal(has(bans, numbered(index), 1), false);
  }
  assert.equal(bans.sweep(1), 0);
  assert.deepEqual(new Int32Array(buffer), before);
});

Deno.test("an endpoint's ban spares the address's other ports", () => {
  const bans = table();
  bans.add(endpointKey(A, 0, UDP, 6881), 10_000, 0, 0);
  assert.equal(has(bans, A, 1), false);
  assert.equal(bans.drops(A, 0, UDP, 6881, 1), true);
  assert.equal(bans.drops(A, 0, TCP, 6881, 1), false);
  assert.equal(bans.drops(A, 0, UDP, 6882, 1), false);
  assert.equal(bans.remove(addressKey(A)), false);
  assert.equal(bans.remove(endpointKey(A, 0, UDP, 6881)), true);
  assert.equal(bans.drops(A, 0, UDP, 6881, 1), false);
  assert.equal(bans.size, 0);
});

Deno.test("an address's ban holds beside those of others' endpoints and networks", () => {
  const bans = table();
  bans.add(addressKey(A), 10_000, 0, 0);
  bans.add(endpointKey(B, 0, UDP, 6881), 10_000, 0, 0);
  bans.add(networkKey(parseNetwork("198.51.100.0/24")!), 10_000, 0, 0);
  for (const [words, udpPort, banned] of [[A, 1, true], [B, 6881, true], [B, 1, false]] as const) {
    assert.equal(bans.has(words, 0, UDP, udpPort, 1), banned);
    assert.equal(bans.drops(words, 0, UDP, udpPort, 1), banned);
  }
  assert.equal(bans.has(address("198.51.100.9"), 0, TCP, 1, 1), true);
  assert.equal(bans.has(C, 0, TCP, 1, 1), false);
});

Deno.test("who is banned stays so for longer where his network has had its share, and by hand others too", () => {
  const bans = table();
  const key = (port: number) => endpointKey(A, 0, UDP, port);
  let last = 0; // of one address, a small part of the table
  while (last < 1000 && bans.add(key(last + 1), 10_000, 0, METHOD) !== null) last++;
  assert.ok(last > 0 && last < 1000, `${last}`);
  assert.equal(bans.add(key(1), 90_000, 1, METHOD)?.isNew, false);
  assert.equal(bans.drops(A, 0, UDP, 1, 80_000), true);
  assert.equal(bans.add(key(last + 1), 90_000, 1, REASON_MANUAL)?.isNew, true);
  assert.equal(bans.drops(A, 0, UDP, last + 1, 80_000), true);
  assert.equal(bans.size, last + 1);
});

Deno.test("in a full table a ban gets a new end, and none gives way to it", () => {
  const evicted: string[] = [];
  const bans = new BanTable(BanTable.buffer(256), (key) => evicted.push(formatBanKey(key)));
  const keys = Array.from({ length: 256 }, (_, i) => addressKey(numbered(i << 16)));
  for (const key of keys) bans.add(key, 10_000, 0, 0);
  const before = bans.size;
  evicted.length = 0;
  const known = keys.filter(({ words }) => has(bans, words, 1));
  assert.equal(known.length, before);
  for (const key of known) assert.equal(bans.add(key, 90_000, 1, 0)?.isNew, false);
  assert.deepEqual(evicted, []);
  assert.equal(bans.size, before);
  for (const { words } of known) assert.equal(has(bans, words, 80_000), true);
});

Deno.test("a second ban moves the end and keeps start and counters; a lapsed one begins anew", () => {
  const bans = table();
  bans.add(addressKey(A), 10_000, 1_000, 3);
  assert.equal(bans.drops(A, 0, TCP, 1, 2_000), true);
  assert.equal(bans.add(addressKey(A), 20_000, 3_000, 4)?.isNew, false);
  const [entry] = bans.entries(3_000);
  assert.deepEqual(entry, {
    key: addressKey(A),
    untilMs: 20_000,
    sinceMs: 1_000,
    lastSeenMs: 2_000,
    packets: 1,
    reason: 4,
  });
  assert.equal(bans.add(addressKey(A), 40_000, 30_000, 5)?.isNew, true);
  assert.equal(bans.entries(30_000)[0].packets, 0);
  assert.equal(bans.entries(30_000)[0].sinceMs, 30_000);
  assert.equal(bans.size, 1);
});

Deno.test("sweep() frees ended bans only, clear() all", () => {
  const bans = table();
  for (let i = 0; i < 100; i++) bans.add(addressKey(numbered(i)), 1_000 * (i + 1), 0, REASON_FLEET);
  assert.equal(bans.size, 100);
  assert.equal(bans.sweep(50_000), 50);
  assert.equal(bans.size, 50);
  assert.equal(has(bans, numbered(50), 50_000), true);
  assert.equal(bans.entries(50_000).length, 50);
  assert.equal(bans.clear(), 50);
  assert.equal(bans.size, 0);
  assert.equal(has(bans, numbered(99), 50_000), false);
});

Deno.test("bans up to the size are kept, but for one in some thousands", () => {
  const entries = 16_384; // a power of two: the table has no room to spare
  const bans = table(entries);
  for (let i = 0; i < entries; i++) bans.add(addressKey(numbered(i)), 1e6, 0, REASON_FLEET);
  let kept = 0;
  for (let i = 0; i < entries; i++) if (has(bans, numbered(i), 1)) kept++;
  // Both buckets of an address may be full: four times here, on an average of many seeds.
  assert.ok(kept >= entries - 40, `${kept} of ${entries}`);
  assert.equal(bans.size, kept);
});

Deno.test("beyond its size it stays bounded, and bans in use outlive idle ones", () => {
  const bans = table(64);
  const busy = numbered(1_000_000);
  bans.add(addressKey(busy), 1e9, 0, 0);
  for (let i = 0; i < 5_000; i++) {
    const now = 1_000 * (i + 1);
    bans.add(addressKey(numbered(i)), 1e9, now, REASON_FLEET);
    assert.equal(bans.drops(busy, 0, TCP, 1, now + 100), true, `after ${i}`);
  }
  assert.ok(bans.size <= 64, `${bans.size} of 64`);
  assert.equal(has(bans, numbered(4_999), 5e6), true);
});

Deno.test("it behaves as a map of addresses to ends", () => {
  const step = fc.record({
    action: fc.constantFrom("add", "add", "remove", "sweep"),
    index: fc.nat(40),
    lasts: fc.integer({ min: 1, max: 50 }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const bans = table(256);
    const model = new Map<number, number>();
    let now = 0;
    for (const { action, index, lasts } of steps) {
      now += 1_000;
      if (action === "add") {
        bans.add(addressKey(numbered(index)), now + lasts * 1_000, now, 0);
        model.set(index, now + lasts * 1_000);
      } else if (action === "remove") {
        bans.remove(addressKey(numbered(index)));
        model.delete(index);
      } else bans.sweep(now);
      for (let i = 0; i <= 40; i++) {
        assert.equal(has(bans, numbered(i), now), (model.get(i) ?? 0) > now);
      }
    }
  }));
});

Deno.test("a ban holds while a writer sleeps inside its bucket", () => {
  const buffer = BanTable.buffer(64);
  const bans = new BanTable(buffer);
  bans.add(addressKey(A), 10_000, 0, 0);
  // As the layout has it: 16 words, then buckets of 96 that begin with a number, odd while one writes.
  const cells = new Int32Array(buffer);
  for (let bucket = 16; bucket < cells.length; bucket += 96) cells[bucket] |= 1;
  assert.equal(has(bans, A, 1), true);
  assert.equal(has(bans, A, 10_000), false);
  assert.equal(has(bans, B, 1), false);
  // It has died there: the next one takes the bucket.
  assert.equal(bans.remove(addressKey(A)), true);
  assert.equal(has(bans, A, 1), false);
});

Deno.test("several threads add, look up and remove at once", async () => {
  const entries = 8_192;
  const buffer = BanTable.buffer(entries);
  const shared = new BanTable(buffer);
  const workers = [0, 1, 2].map((number) => {
    const url = new URL("./ban_table_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const done = new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage({ buffer, number, rounds: 30_000 });
    return { worker, done };
  });
  const wrong = await Promise.all(workers.map(({ done }) => done));
  for (const { worker } of workers) worker.terminate();
  assert.deepEqual(wrong, [0, 0, 0], "answers that cannot be");
  assert.equal(shared.size, shared.entries(0).length);
  // Each leaves the odd half of its 1,000; 500 are shared by all.
  assert.equal(shared.size, 3 * 500 + 500);
});
