/**
 * The programs of XDP and tc on literal packets (BPF_PROG_TEST_RUN); bans are written by the blocker's
 * codec. A test run of tc has an Ethernet device: the others' packets are tested live.
 */
import assert from "node:assert/strict";
import { lookupElement, readElements } from "../../ffi/bpf.ts";
import {
  BAN_VALUE_LENGTH,
  decodeBanValue,
  encodeKey,
  KEY_LENGTHS,
} from "../../src/gateway/bans/ban_codec.ts";
import type { BanScope } from "../../src/gateway/bans/ban_policy.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans, REASON_FLEET, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { Offenders } from "../../src/gateway/bans/offenders.ts";
import { parseNetwork } from "../../src/gateway/network/networks.ts";
import { until } from "../until.ts";
import { address, bytes } from "../gateway/bytes.ts";
import { addressKey, networkKey } from "../../src/gateway/bans/ban_key.ts";
import { writeOpenPorts, writeOwnAddresses } from "../../src/gateway/bans/open_ports.ts";
import { bpfImpossible } from "./possible.ts";
import { isTestableAtTc, loadProgram, verdict, verdictOf } from "./program.ts";

// Headers, typed from the specifications. Checksums are not looked at.
const MACS = "02 00 00 00 00 01 02 00 00 00 00 02"; // IEEE 802.3: destination, source
const IPV4 = "0800";
const IPV6 = "86dd";
const VLAN = "8100 0064"; // IEEE 802.1Q: TPID, TCI of VLAN 100
const SERVICE_VLAN = "88a8 00c8"; // IEEE 802.1ad: VLAN 200
const FROM = "0a090102"; // 10.9.1.2
const REVERSED = "0201090a"; // 2.1.9.10, the same bytes the other way round
const TO = "c0a80101";
// RFC 791: version 4, IHL 5, total length 32, protocol UDP, TTL 64
const ip4 = (source: string) => `4500 0020 0001 0000 4011 0000 ${source} ${TO}`;
// IHL 6: a router alert option (RFC 2113) before the end of the header
const ip4Options = (source: string) => `4600 0024 0001 0000 4011 0000 ${source} ${TO} 94040000`;
// IHL 15: the longest header
const ip4Longest = (source: string) =>
  `4f00 0048 0001 0000 4011 0000 ${source} ${TO} ${"01".repeat(40)}`;
// fragment offset 185 (RFC 791): payload where ports would be
const ip4LaterFragment = (source: string) => `4500 0020 0001 00b9 4011 0000 ${source} ${TO}`;
const ip4Tcp = (source: string) => `4500 0028 0001 0000 4006 0000 ${source} ${TO}`;
const FROM6 = "20010db8000000000000000000000007"; // 2001:db8::7
const OTHER6 = "20010db8000000000000000000000008";
const TO6 = "20010db8000000000000000000000001";
// RFC 8200: version 6, payload length 12, next header, hop limit 64
const ip6 = (source: string, next = "11") => `60000000 000c ${next} 40 ${source} ${TO6}`;
const HOP_BY_HOP = "11 00 0502 0000 0100"; // router alert (RFC 2711), then UDP
const FIRST_FRAGMENT = "11 00 0001 00000007"; // offset 0, more follow; then UDP
const LATER_FRAGMENT = "11 00 05a8 00000007"; // offset 181
const AUTHENTICATION = "11 04 0000 00000001 00000001 000000000000000000000000"; // RFC 4302, 24 bytes
const UDP = "1ae1 4e20 000c 0000 64313a61"; // RFC 768: from port 6881 to 20000, 4 bytes
const TCP = "1ae1 4e20 00000001 00000000 5002 2000 0000 0000"; // RFC 9293: SYN from port 6881

const L2 = "l2";
const L3 = "l3";
/** The packet goes to the program of XDP, and where it can to that of tc. */
const entriesOf = ({ entry, packet }: Case) =>
  entry === L2 && isTestableAtTc(bytes(packet)) ? [L2, "tc"] as const : [entry];
const eth = (type: string, rest: string) => `${MACS} ${type} ${rest}`;

interface Case {
  readonly name: string;
  readonly entry: typeof L2 | typeof L3;
  readonly packet: string;
  /** With 10.9.1.2 and 2001:db8::7 banned. */
  readonly wanted: "drop" | "pass";
}

function test(name: string, entry: Case["entry"], packet: string, wanted: Case["wanted"]): Case {
  return { name, entry, packet, wanted };
}

const cases: readonly Case[] = [
  test("IPv4 over Ethernet", L2, eth(IPV4, ip4(FROM) + UDP), "drop"),
  test("its reversed address", L2, eth(IPV4, ip4(REVERSED) + UDP), "pass"),
  test(
    "to the banned address",
    L2,
    eth(IPV4, `4500 0020 0001 0000 4011 0000 ${TO} ${FROM}` + UDP),
    "pass",
  ),
  test("IPv4 in a VLAN", L2, eth(VLAN, IPV4 + ip4(FROM) + UDP), "drop"),
  test("reversed in a VLAN", L2, eth(VLAN, IPV4 + ip4(REVERSED) + UDP), "pass"),
  test("IPv4 in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV4 + ip4(FROM) + UDP), "drop"),
  test("reversed in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV4 + ip4(REVERSED) + UDP), "pass"),
  test("two 802.1Q tags", L2, eth(VLAN, VLAN + IPV4 + ip4(FROM) + UDP), "drop"),
  test("three tags, one too many", L2, eth(VLAN, VLAN + VLAN + IPV4 + ip4(FROM) + UDP), "pass"),
  test("IPv4 with an option", L2, eth(IPV4, ip4Options(FROM) + UDP), "drop"),
  test("IPv4 with the longest header", L2, eth(IPV4, ip4Longest(FROM) + UDP), "drop"),
  test("an IPv4 fragment", L2, eth(IPV4, ip4LaterFragment(FROM) + UDP), "drop"),
  test("IPv4 with IHL 4", L2, eth(IPV4, ip4(FROM).replace("4500", "4400") + UDP), "pass"),
  test("IPv4 without a payload", L2, eth(IPV4, ip4(FROM)), "drop"),
  test("IPv4 cut by a byte", L2, eth(IPV4, ip4(FROM).slice(0, -2)), "pass"),
  test("Ethernet header alone", L2, eth(IPV4, ""), "pass"),
  test("VLAN tag cut", L2, eth("8100", "00"), "pass"),
  test("second tag cut", L2, eth(SERVICE_VLAN, "8100 00"), "pass"),
  test("IPv6 over Ethernet", L2, eth(IPV6, ip6(FROM6) + UDP), "drop"),
  test("another IPv6 address", L2, eth(IPV6, ip6(OTHER6) + UDP), "pass"),
  test("IPv6 in a VLAN", L2, eth(VLAN, IPV6 + ip6(FROM6) + UDP), "drop"),
  test("IPv6 in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV6 + ip6(FROM6) + UDP), "drop"),
  test("another in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV6 + ip6(OTHER6) + UDP), "pass"),
  test("IPv6 with a hop-by-hop header", L2, eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP + UDP), "drop"),
  test("IPv6 cut by a byte", L2, eth(IPV6, ip6(FROM6).slice(0, -2)), "pass"),
  test("IPv6 without a payload", L2, eth(IPV6, ip6(FROM6, "3b")), "drop"),
  test(
    "ARP about the banned address",
    L2,
    eth("0806", `0001 0800 0604 0001 020000000002 ${FROM}`),
    "pass",
  ),
  test("an IEEE 802.3 length field", L2, eth("0026", "424203" + "00".repeat(35)), "pass"),
  test("IPv4 without Ethernet", L3, ip4(FROM) + UDP, "drop"),
  test("reversed without Ethernet", L3, ip4(REVERSED) + UDP, "pass"),
  test("IPv4 with an option, without Ethernet", L3, ip4Options(FROM) + UDP, "drop"),
  test("IPv4 cut, without Ethernet", L3, ip4(FROM).slice(0, -2), "pass"),
  test("IPv6 without Ethernet", L3, ip6(FROM6) + UDP, "drop"),
  test("another IPv6 without Ethernet", L3, ip6(OTHER6) + UDP, "pass"),
  test("IPv6 cut, without Ethernet", L3, ip6(FROM6).slice(0, -2), "pass"),
  test("version 5, without Ethernet", L3, ip4(FROM).replace("4500", "5500") + UDP, "pass"),
];

const SECOND = 1_000;
/** A second ago: the programs read the clock once a tick, so that one that ends now drops a little longer. */
const ENDED = -SECOND;

function bansOver(
  program: ReturnType<typeof loadProgram>,
  scope: BanScope,
  limit = 64,
): Bans {
  return new Bans({
    table: BanTable.buffer(limit),
    scope,
    maps: program.maps,
    inForce: program.inForce,
  });
}

/** One for all rows of the tables below: loading it takes longest. Each row leaves no ban behind. */
let ofRows: ReturnType<typeof loadProgram> | null = null;
const programOfRows = () => ofRows ??= loadProgram({});
Deno.test.afterAll(() => ofRows?.[Symbol.dispose]());

const runs = (list: readonly Case[]) =>
  list.flatMap((one) => entriesOf(one).map((entry) => ({ ...one, entry })));

for (const { name, entry, packet, wanted } of runs(cases)) {
  Deno.test(`${entry}: ${name}: ${wanted}, passes before the ban and after its end`, {
    ignore: bpfImpossible !== null,
  }, () => {
    const program = programOfRows();
    const bans = bansOver(program, "ip");
    const judged = () => verdictOf(program, entry, bytes(packet));
    assert.equal(judged(), "pass", "nobody is banned");
    for (const text of ["10.9.1.2", "2001:db8::7"]) {
      bans.add(addressKey(address(text)), 3600 * SECOND, 0);
    }
    assert.equal(judged(), wanted);
    for (const text of ["10.9.1.2", "2001:db8::7"]) bans.add(addressKey(address(text)), ENDED, 0);
    assert.equal(judged(), "pass", "the bans have ended, nothing has swept them");
    bans.clear();
  });
}

// With UDP port 6881 of 10.9.1.2 and of 2001:db8::7 banned (BAN_SCOPE=endpoint).
const OTHER_PORT = UDP.replace("1ae1", "1ae2");
const endpointCases: readonly Case[] = [
  test("IPv4, its UDP port", L2, eth(IPV4, ip4(FROM) + UDP), "drop"),
  test("IPv4, another port", L2, eth(IPV4, ip4(FROM) + OTHER_PORT), "pass"),
  test("IPv4, the port as destination", L2, eth(IPV4, ip4(FROM) + "4e20 1ae1 000c 0000"), "pass"),
  test("IPv4, the same port of TCP", L2, eth(IPV4, ip4Tcp(FROM) + TCP), "pass"),
  test("another address, the same port", L2, eth(IPV4, ip4(REVERSED) + UDP), "pass"),
  test("IPv4 with an option", L2, eth(IPV4, ip4Options(FROM) + UDP), "drop"),
  test("IPv4 with the longest header", L2, eth(IPV4, ip4Longest(FROM) + UDP), "drop"),
  test(
    "IPv4 with the longest header, another port",
    L2,
    eth(IPV4, ip4Longest(FROM) + OTHER_PORT),
    "pass",
  ),
  test(
    "IPv4, a later fragment with such bytes",
    L2,
    eth(IPV4, ip4LaterFragment(FROM) + UDP),
    "pass",
  ),
  test("IPv4, ports cut", L2, eth(IPV4, ip4(FROM) + "1ae1 4e"), "pass"),
  test("IPv4 in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV4 + ip4(FROM) + UDP), "drop"),
  test("IPv6", L2, eth(IPV6, ip6(FROM6) + UDP), "drop"),
  test("IPv6, another port", L2, eth(IPV6, ip6(FROM6) + OTHER_PORT), "pass"),
  test("IPv6, hop-by-hop header", L2, eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP + UDP), "drop"),
  test("IPv6, destination options", L2, eth(IPV6, ip6(FROM6, "3c") + HOP_BY_HOP + UDP), "drop"),
  test(
    "IPv6, routing header",
    L2,
    eth(IPV6, ip6(FROM6, "2b") + "11 00 0400 00000000" + UDP),
    "drop",
  ),
  test(
    "IPv6, authentication header",
    L2,
    eth(IPV6, ip6(FROM6, "33") + AUTHENTICATION + UDP),
    "drop",
  ),
  test("IPv6, first fragment", L2, eth(IPV6, ip6(FROM6, "2c") + FIRST_FRAGMENT + UDP), "drop"),
  test("IPv6, later fragment", L2, eth(IPV6, ip6(FROM6, "2c") + LATER_FRAGMENT + UDP), "pass"),
  test(
    "IPv6, hop-by-hop then fragment",
    L2,
    eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP.replace("11 ", "2c ") + FIRST_FRAGMENT + UDP),
    "drop",
  ),
  test("IPv6, extension header cut", L2, eth(IPV6, ip6(FROM6, "00") + "11 00 05"), "pass"),
  test(
    "IPv6, longest extension header, cut",
    L2,
    eth(IPV6, ip6(FROM6, "00") + "11 ff 0502 0000 0100" + UDP),
    "pass",
  ),
  test("IPv4 without Ethernet", L3, ip4(FROM) + UDP, "drop"),
  test("IPv4 without Ethernet, another port", L3, ip4(FROM) + OTHER_PORT, "pass"),
  test("IPv6 without Ethernet", L3, ip6(FROM6) + UDP, "drop"),
];

for (const { name, entry, packet, wanted } of runs(endpointCases)) {
  Deno.test(
    `${entry}, endpoint scope: ${name}: ${wanted}`,
    { ignore: bpfImpossible !== null },
    () => {
      const program = programOfRows();
      const bans = bansOver(program, "endpoint");
      assert.equal(verdictOf(program, entry, bytes(packet)), "pass");
      for (const text of ["10.9.1.2", "2001:db8::7"]) {
        bans.ban(address(text), 0, 17, 6881, 3600 * SECOND, 0);
      }
      assert.equal(verdictOf(program, entry, bytes(packet)), wanted);
      assert.equal(bans.liftAddress(address("10.9.1.2")), true);
      assert.equal(bans.liftAddress(address("2001:db8::7")), true);
      assert.equal(verdictOf(program, entry, bytes(packet)), "pass");
    },
  );
}

// Networks banned by a fleet: each with the packets of 10.9.1.2 and 2001:db8::7 that it must drop.
const networkCases: readonly [network: string, four: Case["wanted"], six: Case["wanted"]][] = [
  ["10.9.1.0/24", "drop", "pass"],
  ["10.9.1.2/31", "drop", "pass"],
  ["10.9.1.0/31", "pass", "pass"], // 10.9.1.0 and .1
  ["10.9.0.0/24", "pass", "pass"],
  ["2.1.9.0/24", "pass", "pass"], // the bytes reversed
  ["10.0.0.0/8", "drop", "pass"],
  ["2001:db8::/32", "pass", "drop"],
  ["2001:db8::6/127", "pass", "drop"],
  ["2001:db9::/32", "pass", "pass"],
];

for (const [text, four, six] of networkCases) {
  Deno.test(`XDP: ${text} banned: IPv4 ${four}, IPv6 ${six}`, {
    ignore: bpfImpossible !== null,
  }, () => {
    const network = parseNetwork(text)!;
    const packets = [bytes(eth(IPV4, ip4(FROM) + UDP)), bytes(eth(IPV6, ip6(FROM6) + UDP))];
    const program = programOfRows();
    const bans = bansOver(program, "ip");
    const verdicts = () => packets.map((packet) => verdict(program.l2, packet));
    assert.equal(bans.add(networkKey(network), 3600 * SECOND, REASON_FLEET), true);
    assert.deepEqual(verdicts(), [four, six]);
    const atTc = packets.map((packet) => verdictOf(program, "tc", packet));
    assert.deepEqual(atTc, [four, six]);
    const [ban] = bans.list();
    assert.equal(ban.address, text);
    assert.equal(ban.packets, four === "drop" || six === "drop" ? 2 : 0);
    assert.equal(
      bans.add(networkKey(network), 7200 * SECOND, REASON_FLEET),
      false,
      "banned already",
    );
    assert.equal(bans.list()[0].packets, ban.packets, "a new end keeps the counters");
    bans.add(networkKey(network), ENDED, REASON_FLEET);
    assert.deepEqual(verdicts(), ["pass", "pass"], "ended, not swept");
    bans.add(networkKey(network), 3600 * SECOND, REASON_FLEET);
    assert.equal(bans.remove(networkKey(network)), true);
    assert.deepEqual(verdicts(), ["pass", "pass"], "lifted");
    assert.deepEqual(bans.list(), []);
  });
}

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

// From banned addresses, with 20000 open on 192.168.1.1 and 2001:db8::1. Headers as above.
const NEIGHBOUR = "60000000 0008 3a ff"; // RFC 4861: ICMPv6, hop limit 255
const openCases: readonly Case[] = [
  test("UDP to the open port", L2, eth(IPV4, ip4(FROM) + UDP), "pass"),
  test("of a VLAN", L2, eth(VLAN, IPV4 + ip4(FROM) + UDP), "pass"),
  test("TCP to it", L2, eth(IPV4, ip4Tcp(FROM) + TCP), "pass"),
  test("behind options", L2, eth(IPV4, ip4Options(FROM) + UDP), "pass"),
  test("behind the longest header", L2, eth(IPV4, ip4Longest(FROM) + UDP), "pass"),
  test("without a link header", L3, ip4(FROM) + UDP, "pass"),
  test("IPv6", L2, eth(IPV6, ip6(FROM6) + UDP), "pass"),
  test("IPv6 behind an extension", L2, eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP + UDP), "pass"),
  test("the port beside it", L2, eth(IPV4, ip4(FROM) + UDP.replace("4e20", "4e21")), "drop"),
  test("the port 32 beside it", L2, eth(IPV4, ip4(FROM) + UDP.replace("4e20", "4e40")), "drop"),
  test(
    "from it to another",
    L2,
    eth(IPV4, ip4(FROM) + UDP.replace("1ae1 4e20", "4e20 1ae1")),
    "drop",
  ),
  test("of another machine", L2, eth(IPV4, ip4(FROM).replace(TO, "c0a80102") + UDP), "drop"),
  test("of another machine, IPv6", L2, eth(IPV6, ip6(FROM6).replace(TO6, OTHER6) + UDP), "drop"),
  test("a later fragment", L2, eth(IPV4, ip4LaterFragment(FROM) + UDP), "drop"),
  test("ICMP", L2, eth(IPV4, ip4(FROM).replace("4011", "4001") + UDP), "drop"),
  test("cut before the port", L2, eth(IPV4, ip4(FROM) + "1ae1"), "drop"),
  // RFC 4861, section 4: router solicitation 133 to redirect 137
  ...[133, 134, 135, 136, 137].map((type) =>
    test(
      `what neighbours say (type ${type})`,
      L2,
      eth(IPV6, `${NEIGHBOUR} ${FROM6} ${TO6} ${type.toString(16)} 00 0000 00000000`),
      "pass",
    )
  ),
  ...[132, 138].map((type) =>
    // RFC 2710: listener done; RFC 2894: router renumbering
    test(
      `ICMPv6 beside it (type ${type})`,
      L2,
      eth(IPV6, `${NEIGHBOUR} ${FROM6} ${TO6} ${type.toString(16)} 00 0000 00000000`),
      "drop",
    )
  ),
  test(
    "the same from afar",
    L2,
    eth(IPV6, `${NEIGHBOUR.replace("ff", "fe")} ${FROM6} ${TO6} 87 00 0000 00000000`),
    "drop",
  ),
  test(
    "an echo request",
    L2,
    eth(IPV6, `${NEIGHBOUR} ${FROM6} ${TO6} 80 00 0000 00000000`),
    "drop",
  ),
];

Deno.test("XDP, tc: a banned sender reaches open ports of this machine, and no more", {
  ignore: bpfImpossible !== null,
}, () => {
  using program = loadProgram({}); // one for all rows: loading it takes longest
  const bans = bansOver(program, "ip");
  for (const banned of ["10.9.1.2", "2001:db8::7"]) {
    bans.add(addressKey(address(banned)), 3600 * SECOND, REASON_MANUAL);
  }
  const setUp = (own: string[], ports: number[]) => {
    writeOwnAddresses(program.ownAddresses, own.map((text) => address(text)));
    writeOpenPorts(program.openPorts, ports);
  };
  const expect = (one: Case, wanted: Case["wanted"], when: string) => {
    for (const entry of entriesOf(one)) {
      const told = `${one.name}, ${entry}, ${when}`;
      assert.equal(verdictOf(program, entry, bytes(one.packet)), wanted, told);
    }
  };
  const own = ["192.168.1.1", "2001:db8::1"];
  const rows = openCases.filter(({ name }) => !/neighbours/.test(name)); // not a matter of ports
  setUp(own, [22, 20_000]);
  for (const one of openCases) expect(one, one.wanted, "open");
  setUp(own, [22]);
  for (const one of rows) expect(one, "drop", "shut by a reload");
  setUp(["192.168.1.9"], [22, 20_000]);
  for (const one of rows) expect(one, "drop", "the address gone");
});
