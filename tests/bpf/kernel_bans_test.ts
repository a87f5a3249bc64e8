/** What the kernel keeps of bans: over a restart, in a flood, their counters, and those of networks. */
import assert from "node:assert/strict";
import { lookupElement, readElements } from "../../ffi/bpf.ts";
import {
  BAN_VALUE_LENGTH,
  decodeBanValue,
  encodeKey,
  KEY_LENGTHS,
} from "../../src/gateway/bans/ban_codec.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans, REASON_FLEET, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { Offenders } from "../../src/gateway/bans/offenders.ts";
import { parseNetwork } from "../../src/gateway/network/networks.ts";
import { until } from "../until.ts";
import { address, bytes } from "../gateway/bytes.ts";
import { addressKey, networkKey } from "../../src/gateway/bans/ban_key.ts";
import { bpfImpossible } from "./possible.ts";
import { loadProgram, verdict, verdictOf } from "./program.ts";
import {
  bansOver,
  eth,
  FROM,
  FROM6,
  ip4,
  ip6,
  IPV4,
  IPV6,
  OTHER6,
  SECOND,
  UDP,
} from "./banned_packets.ts";

Deno.test("XDP: networks come back from the kernel and are swept there", {
  ignore: bpfImpossible !== null,
}, () => {
  using program = loadProgram({});
  const before = bansOver(program, "ip");
  for (let i = 0; i < 30; i++) {
    before.add(
      networkKey(parseNetwork(`172.${i >> 4}.${(i & 15) << 4}.0/20`)!),
      3600 * SECOND,
      254,
    );
  }
  before.add(networkKey(parseNetwork("2001:db8::/32")!), 0, 254);
  const after = bansOver(program, "ip");
  assert.equal(after.restore(), 30, "without the one that has ended");
  assert.notEqual(after.find(networkKey(parseNetwork("172.1.16.0/20")!)), null);
  assert.equal(after.find(networkKey(parseNetwork("172.1.16.0/21")!)), null);
  assert.equal(after.sweep(), 1);
  assert.equal(after.clear(), 30);
  assert.deepEqual(after.list(), []);
});

Deno.test(
  "XDP: the bans of an earlier run count for BAN_FACTOR, and those that have ended do not",
  {
    ignore: bpfImpossible !== null,
  },
  async () => {
    using program = loadProgram({});
    const run = () =>
      new Bans({
        ...{ table: BanTable.buffer(64), scope: "ip", offenders: Offenders.buffer(64) },
        ...{ maps: program.maps, inForce: program.inForce },
      });
    const escalation = { factor: 100, mostMs: 3600 * SECOND };
    const from = address("10.9.1.2");
    /** Bans when the ban before has ended; for how long. */
    const banned = async (bans: Bans) => {
      await until(() => bans.find(addressKey(from)) === null);
      return bans.ban(from, 0, 17, 6881, 20, 0, escalation)!.durationMs;
    };
    const before = run();
    assert.deepEqual([await banned(before), await banned(before)], [20, 2000]);
    const after = run();
    assert.equal(after.restore(), 1);
    assert.equal(await banned(after), 200_000);
    assert.equal(after.list().length, 1);
    after.clear();
    const last = run();
    assert.equal(last.restore(), 0);
    assert.equal(await banned(last), 20);
  },
);

Deno.test("XDP counts packets, bytes and the last one of a ban, and drops by interface", {
  ignore: bpfImpossible !== null,
}, () => {
  using program = loadProgram({});
  const bans = bansOver(program, "ip");
  const packet = bytes(eth(IPV4, ip4(FROM) + UDP));
  bans.add(addressKey(address("10.9.1.2")), 3600 * SECOND, REASON_MANUAL);
  for (let i = 0; i < 3; i++) verdict(program.l2, packet);
  const key = new Uint8Array(KEY_LENGTHS.blocked_ips);
  const value = new Uint8Array(BAN_VALUE_LENGTH);
  encodeKey("blocked_ips", key, addressKey(address("10.9.1.2")));
  assert.equal(lookupElement(program.maps.blocked_ips, key, value), 0);
  const ban = decodeBanValue(new DataView(value.buffer), 0);
  assert.equal(ban.packets, 3);
  assert.equal(ban.bytes, 3 * packet.length);
  assert.ok(ban.lastSeenMs >= ban.sinceMs && ban.lastSeenMs < ban.untilMs);
  bans.add(addressKey(address("10.9.1.2")), 7200 * SECOND, 0);
  assert.equal(bans.list()[0].packets, 3, "a new end keeps the counters");
  // A test run comes in by the loopback interface, number 1.
  const drops = new BigUint64Array(2 * 256);
  assert.equal(
    lookupElement(program.dropsMap, Uint8Array.of(1, 0, 0, 0), new Uint8Array(drops.buffer)),
    0,
  );
  const packets = drops.reduce((sum, count, index) => index % 2 === 0 ? sum + count : sum, 0n);
  assert.equal(packets, 3n);
});

Deno.test(
  "XDP makes room for new bans and keeps those in use",
  { ignore: bpfImpossible !== null },
  () => {
    const limit = 4096;
    using program = loadProgram({ limit });
    const bans = bansOver(program, "ip", limit);
    const busy = bytes(eth(IPV4, ip4(FROM) + UDP));
    bans.add(addressKey(address("10.9.1.2")), 3600 * SECOND, 0);
    for (let i = 0; i < 4 * limit; i++) {
      bans.add(
        addressKey(Int32Array.of(0, 0, 0xffff, 0x0b000000 + i)),
        3600 * SECOND,
        REASON_FLEET,
      );
      if (i % 64 === 0) assert.equal(verdict(program.l2, busy), "drop", `after ${i} bans`);
    }
    let entries = 0;
    readElements(
      program.maps.blocked_ips,
      KEY_LENGTHS.blocked_ips,
      BAN_VALUE_LENGTH,
      () => entries++,
    );
    assert.ok(entries <= limit && entries > limit / 2, `${entries} entries`);
    assert.equal(bans.refusedByKernel, 0);
  },
);

Deno.test(
  "XDP, tc: an IPv6 /64 is banned, whatever address in it, and bans by hand outlive a flood",
  {
    ignore: bpfImpossible !== null,
  },
  () => {
    const limit = 256;
    using program = loadProgram({ limit });
    const bans = bansOver(program, "ip", limit);
    const from = (source: string) => bytes(eth(IPV6, ip6(source) + UDP));
    const verdicts = (source: string) =>
      (["l2", "tc"] as const).map((entry) => verdictOf(program, entry, from(source)));
    bans.ban(address("2001:db8::7"), 0, 17, 6881, 3600 * SECOND, 0);
    assert.deepEqual(verdicts(FROM6), ["drop", "drop"]);
    assert.deepEqual(verdicts(OTHER6), ["drop", "drop"], "the next address of the same host");
    assert.deepEqual(verdicts("20010db8000000010000000000000007"), ["pass", "pass"]);
    assert.deepEqual(bans.list().map((ban) => [ban.address, ban.packets]), [["2001:db8::/64", 4]]);
    for (const text of ["10.9.1.2", "192.0.2.0/24"]) {
      bans.add(networkKey(parseNetwork(text)!), 3600 * SECOND, REASON_MANUAL);
    }
    for (let i = 0; i < 6_000; i++) {
      bans.ban(Int32Array.of(0x2001_0db8, 0x10000 + (i << 8), 0, 1), 0, 17, 1, 3600 * SECOND, 0);
    }
    let entries = 0;
    readElements(
      program.maps.blocked_ips,
      KEY_LENGTHS.blocked_ips,
      BAN_VALUE_LENGTH,
      () => entries++,
    );
    assert.ok(entries < limit, `${entries} in the kernel`);
    for (const entry of ["l2", "tc"] as const) {
      assert.equal(verdictOf(program, entry, bytes(eth(IPV4, ip4(FROM) + UDP))), "drop", "by hand");
      const inNetwork = bytes(eth(IPV4, ip4("c0000209") + UDP));
      assert.equal(verdictOf(program, entry, inNetwork), "drop", "a network by hand");
    }
    assert.equal(bans.refusedByKernel, 0);
  },
);

Deno.test("XDP: bans of IPv6 of an earlier run hold on with another BAN_PREFIX", {
  ignore: bpfImpossible !== null,
}, () => {
  using program = loadProgram({ ipv6Bits: 56 });
  const bansFor = (ipv6Bits: number) =>
    new Bans({
      ...{ table: BanTable.buffer(64), scope: "ip", ipv6Bits },
      ...{ maps: program.maps, inForce: program.inForce },
    });
  bansFor(64).ban(address("2001:db8::7"), 0, 17, 6881, 3600 * SECOND, 0);
  const after = bansFor(56);
  assert.equal(after.restore(), 1);
  const judged = (source: string) => verdict(program.l2, bytes(eth(IPV6, ip6(source) + UDP)));
  assert.equal(judged(OTHER6), "drop");
  assert.equal(judged("20010db8000000010000000000000007"), "pass", "no wider than it was");
  after.ban(address("2001:db8::7"), 0, 17, 6881, 3600 * SECOND, 0);
  assert.equal(judged("20010db8000000010000000000000007"), "drop");
});
