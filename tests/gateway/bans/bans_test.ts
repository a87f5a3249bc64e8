/** The bans without a kernel map: user space alone. With one: tests/bpf. */
import assert from "node:assert/strict";
import { bootTimeMs } from "../../../ffi/libc.ts";
import type { BanScope } from "../../../src/gateway/bans/ban_policy.ts";
import { BanTable } from "../../../src/gateway/bans/ban_table.ts";
import { Bans, REASON_FLEET, REASON_MANUAL, reasonNumber } from "../../../src/gateway/bans/bans.ts";
import { Networks, parseNetwork } from "../../../src/gateway/network/networks.ts";
import {
  addressKey,
  endpointKey,
  formatBanKey,
  networkKey,
  parseBanKey,
} from "../../../src/gateway/bans/ban_key.ts";
import { address } from "../bytes.ts";

const ignore = Deno.build.os !== "linux";
const TCP = 6;
const UDP = 17;
const HOUR = 3_600_000;
const [A, B, C] = ["10.9.1.2", "2.1.9.10", "2001:db8::7"].map(address);

function bansOf(scope: BanScope): Bans {
  const table = BanTable.buffer(256);
  return new Bans({ table, scope, maps: {} });
}

Deno.test("bans in user space: listed with reason, times and drops", { ignore }, () => {
  const bans = bansOf("ip");
  assert.deepEqual(bans.ban(A, 0, TCP, 6881, HOUR, reasonNumber("dht"))?.key, addressKey(A));
  assert.deepEqual(bans.ban(A, 0, UDP, 1, 2 * HOUR, reasonNumber("utp"))?.key, addressKey(A));
  const now = bootTimeMs();
  assert.equal(bans.drops(A, 0, TCP, 80, now), true);
  assert.equal(bans.drops(B, 0, TCP, 80, now), false);
  const [ban, ...others] = bans.list();
  assert.equal(others.length, 0);
  assert.equal(ban.address, "10.9.1.2");
  assert.equal(ban.port, null);
  assert.equal(ban.reason, "utp");
  assert.equal(ban.packets, 1);
  assert.equal(ban.bytes, null, "not counted in user space");
  assert.ok(Math.abs(ban.sinceMs - Date.now()) < 60_000);
  assert.ok(Math.abs(ban.untilMs - Date.now() - 2 * HOUR) < 60_000);
  assert.equal(bans.liftAddress(A), true);
  assert.equal(bans.liftAddress(A), false);
  assert.equal(bans.drops(A, 0, TCP, 80, now), false);
});

Deno.test("bans of endpoints; an address's removal ends them", { ignore }, () => {
  const bans = bansOf("endpoint");
  bans.ban(A, 0, UDP, 6881, HOUR, reasonNumber("dht"));
  bans.ban(C, 0, TCP, 51_413, HOUR, reasonNumber("peer-wire"));
  const now = bootTimeMs();
  assert.equal(bans.drops(A, 0, UDP, 6881, now), true);
  assert.equal(bans.drops(A, 0, UDP, 6882, now), false);
  const rows = bans.list().map(({ address, protocol, port }) => `${address} ${protocol} ${port}`);
  assert.deepEqual(rows.sort(), ["10.9.1.2 udp 6881", "2001:db8::7 tcp 51413"]);
  assert.equal(bans.liftAddress(A), true);
  assert.equal(bans.drops(A, 0, UDP, 6881, now), false);
  assert.equal(bans.size, 1);
});

Deno.test("ended bans are swept, not listed", { ignore }, () => {
  const bans = bansOf("ip");
  bans.add(addressKey(A), -1_000, REASON_FLEET); // rounded up to a tenth of a second
  bans.add(addressKey(B), HOUR, REASON_FLEET);
  assert.deepEqual(bans.list().map(({ address, reason }) => `${address} ${reason}`), [
    "2.1.9.10 fleet",
  ]);
  assert.equal(bans.sweep(), 1);
  bans.add(addressKey(A), -1_000, REASON_FLEET);
  assert.equal(bans.clear(), 1, "not the ended one");
  assert.equal(bans.size, 0);
});

Deno.test("what is never to be banned from now on is lifted, and only that", { ignore }, () => {
  for (const scope of ["ip", "endpoint"] as const) {
    const bans = bansOf(scope);
    bans.add(addressKey(A), HOUR, reasonNumber("dht"));
    bans.ban(A, 0, UDP, 6881, HOUR, reasonNumber("dht"));
    bans.add(addressKey(B), HOUR, reasonNumber("dht"));
    bans.add(networkKey(parseNetwork("10.9.0.0/16")!), HOUR, REASON_FLEET);
    bans.add(networkKey(parseNetwork("192.0.2.0/24")!), HOUR, REASON_FLEET);
    bans.add(addressKey(address("10.9.1.3")), -1_000, REASON_FLEET);
    assert.equal(bans.liftNever(Networks.of("203.0.113.0/24").all()), 0);
    assert.equal(bans.liftNever(Networks.of("10.9.1.0/24").all()), scope === "ip" ? 2 : 3);
    const left = bans.list().map(({ address }) => address).sort();
    assert.deepEqual(left, ["192.0.2.0/24", "2.1.9.10"]);
    assert.equal(bans.drops(A, 0, UDP, 6881, bootTimeMs()), false);
  }
});

Deno.test("bans of networks: of any length, beside addresses and endpoints", { ignore }, () => {
  for (const scope of ["ip", "endpoint"] as const) {
    const bans = bansOf(scope);
    const now = bootTimeMs();
    const drops = (text: string) => bans.drops(address(text), 0, TCP, 80, now);
    assert.equal(drops("192.0.2.7"), false);
    for (const text of ["192.0.2.0/24", "198.51.100.64/26", "2001:db8::/32", "10.0.0.0/8"]) {
      assert.equal(bans.add(networkKey(parseNetwork(text)!), HOUR, REASON_FLEET), true);
      assert.equal(bans.add(networkKey(parseNetwork(text)!), HOUR, REASON_FLEET), false);
    }
    for (
      const text of ["192.0.2.0", "192.0.2.255", "198.51.100.127", "2001:db8:f::1", "10.9.1.2"]
    ) {
      assert.equal(drops(text), true, text);
    }
    for (
      const text of ["192.0.3.0", "198.51.100.128", "198.51.100.63", "2001:db9::1", "2.1.9.10"]
    ) {
      assert.equal(drops(text), false, text);
    }
    bans.add(addressKey(address("192.0.2.0")), HOUR, REASON_FLEET);
    assert.equal(bans.liftAddress(address("192.0.2.0")), true);
    assert.equal(drops("192.0.2.0"), true, "its network is banned still");
    const [row] = bans.list().filter((ban) => ban.address === "192.0.2.0/24");
    assert.deepEqual([row.protocol, row.port, row.reason, row.packets], [null, null, "fleet", 3]);
    assert.equal(bans.find(networkKey(parseNetwork("192.0.2.0/24")!))?.reason, REASON_FLEET);
    assert.equal(bans.find(networkKey(parseNetwork("192.0.2.0/25")!)), null);
    assert.equal(bans.find(networkKey(parseNetwork("192.0.2.0")!)), null);
    assert.equal(bans.remove(networkKey(parseNetwork("192.0.2.0/24")!)), true);
    assert.equal(bans.remove(networkKey(parseNetwork("192.0.2.0/24")!)), false);
    assert.equal(drops("192.0.2.7"), false);
    bans.add(networkKey(parseNetwork("192.0.2.0/24")!), -1_000, REASON_FLEET);
    assert.equal(drops("192.0.2.7"), false, "ended");
    assert.equal(bans.clear(), 3);
    assert.equal(drops("10.9.1.2"), false);
  }
});

Deno.test("liftNever() of single addresses: all they could be banned by, as a scan finds it", {
  ignore,
}, () => {
  for (const scope of ["ip", "endpoint"] as const) {
    const bans = bansOf(scope);
    const banned = ["10.9.1.2", "10.9.1.3", "10.9.0.0/16", "10.10.0.0/16", "2001:db8::7"];
    const wide = ["2001:db8::/64", "2001:db8:1::/48"];
    for (const text of [...banned, ...wide]) {
      bans.add(networkKey(parseNetwork(text)!), HOUR, REASON_FLEET);
    }
    bans.add(endpointKey(A, 0, TCP, 6881), HOUR, REASON_FLEET);
    const never = Networks.of("10.9.1.2", "2001:db8::7");
    const isLeft = (text: string) => !never.overlaps(parseNetwork(text)!);
    const lifted = [...banned, ...wide].filter((text) => !isLeft(text)).length;
    const isFound = scope === "endpoint" ? 1 : 0; // without endpoints of its own nobody looks for any
    assert.equal(bans.liftNever(never.all()), lifted + isFound);
    const left = bans.list().filter(({ port }) => port === null).map(({ address }) => address);
    assert.deepEqual(left.sort(), [...banned, ...wide].filter(isLeft).sort());
    assert.equal(bans.liftNever([]), 0);
  }
});

const key = (text: string) => parseBanKey(text)!;

Deno.test("IPv6: the next address of the same host is banned too; a neighbour's network is not", {
  ignore,
}, () => {
  const now = bootTimeMs();
  for (
    const [bits, others] of [
      [64, { "2001:db8:1:2::8": true, "2001:db8:1:3::7": false }],
      [48, { "2001:db8:1:3::7": true, "2001:db8:2:2::7": false }],
      [128, { "2001:db8:1:2::8": false }],
    ] as const
  ) {
    const bans = new Bans({ table: BanTable.buffer(64), scope: "ip", maps: {}, ipv6Bits: bits });
    const host = address("2001:db8:1:2::7");
    bans.ban(host, 0, UDP, 6881, HOUR, reasonNumber("dht"));
    assert.equal(bans.drops(host, 0, UDP, 6881, now), true);
    for (const [text, wanted] of Object.entries(others)) {
      assert.equal(bans.drops(address(text), 0, UDP, 6881, now), wanted, `/${bits}: ${text}`);
    }
    assert.equal(bans.liftAddress(host), true);
    assert.equal(bans.size, 0);
  }
});

Deno.test("IPv6: in a network that this machine is in itself only the address is banned", {
  ignore,
}, () => {
  const never = new SharedArrayBuffer(Networks.byteLength(4));
  new Networks(never).replace([parseNetwork("fd42::1")!]);
  const bans = new Bans({ table: BanTable.buffer(64), scope: "ip", maps: {}, never });
  const banned = (text: string) => {
    return formatBanKey(bans.ban(address(text), 0, UDP, 6881, HOUR, reasonNumber("dht"))!.key);
  };
  assert.equal(banned("fd42::2"), "fd42::2", "a VPN's other customers are in the same /64");
  assert.equal(bans.drops(address("fd42::3"), 0, UDP, 6881, bootTimeMs()), false);
  assert.equal(banned("2001:db8:1:2::7"), "2001:db8:1:2::/64");
});

Deno.test("a flood of one inside /64, and of many networks, leaves bans by hand in force", {
  ignore,
}, () => {
  const limit = 1_000;
  const never = new SharedArrayBuffer(Networks.byteLength(4));
  new Networks(never).replace([parseNetwork("fd42::1")!]); // so that each address is banned alone
  const bans = new Bans({ table: BanTable.buffer(limit), scope: "ip", maps: {}, never });
  const manual = ["192.0.2.1", "2001:db8:9:9::/64", "203.0.113.0/24"];
  for (const text of manual) bans.add(key(text), HOUR, REASON_MANUAL);
  const innocent = address("198.51.100.1");
  bans.ban(innocent, 0, TCP, 1, HOUR, reasonNumber("dht"));
  for (let i = 0; i < 6_000; i++) {
    bans.ban(Int32Array.of(0xfd42_0000 | 0, 0, 0, 2 + i), 0, UDP, 1, HOUR, reasonNumber("dht"));
  }
  assert.ok(bans.size <= 4 + 64, `${bans.size}: one /64 has its share`);
  assert.equal(bans.drops(innocent, 0, TCP, 1, bootTimeMs()), true);
  for (let i = 0; i < 6_000; i++) {
    const words = Int32Array.of(0x2001_0db8, i << 8, 0, 1);
    bans.ban(words, 0, UDP, 1, HOUR, reasonNumber("dht"));
  }
  assert.ok(bans.size <= limit, `${bans.size} of ${limit}`);
  const left = new Set(
    bans.list().filter(({ reason }) => reason === "manual").map((b) => b.address),
  );
  for (const text of manual) assert.ok(left.has(text), text);
});

Deno.test("BAN_LIMIT by hand: refused beyond it, and automatic bans give way", { ignore }, () => {
  const bans = new Bans({ table: BanTable.buffer(8), scope: "ip", maps: {} });
  const numbered = (i: number) => Int32Array.of(0, 0, 0xffff, (192 << 24) + (i << 16));
  for (let i = 0; i < 8; i++) bans.ban(numbered(i), 0, TCP, 1, HOUR, reasonNumber("dht"));
  for (let i = 20; i < 28; i++) {
    assert.equal(bans.add(addressKey(numbered(i)), HOUR, REASON_MANUAL), true);
  }
  assert.equal(bans.add(addressKey(numbered(30)), HOUR, REASON_MANUAL), null);
  assert.equal(bans.ban(numbered(31), 0, TCP, 1, HOUR, reasonNumber("dht")), null);
  assert.equal(bans.size, 8);
  assert.ok(bans.list().every(({ reason }) => reason === "manual"));
});

Deno.test("a detection makes no ban by hand shorter, nor its own", { ignore }, () => {
  const bans = bansOf("ip");
  bans.add(addressKey(A), 10 * HOUR, REASON_MANUAL);
  bans.ban(A, 0, TCP, 1, HOUR, reasonNumber("dht"));
  const [ban] = bans.list();
  assert.equal(ban.reason, "manual");
  assert.ok(ban.untilMs > Date.now() + 9 * HOUR);
});
