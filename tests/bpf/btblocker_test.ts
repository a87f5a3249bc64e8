/**
 * The programs of XDP and tc on literal packets (BPF_PROG_TEST_RUN); bans are written by the blocker's
 * codec. A test run of tc has an Ethernet device: the others' packets are tested live.
 */
import assert from "node:assert/strict";
import { REASON_FLEET, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { parseNetwork } from "../../src/gateway/network/networks.ts";
import { address, bytes } from "../gateway/bytes.ts";
import { addressKey, networkKey } from "../../src/gateway/bans/ban_key.ts";
import { writeOpenPorts, writeOwnAddresses } from "../../src/gateway/bans/open_ports.ts";
import { bpfImpossible } from "./possible.ts";
import { loadProgram, verdict, verdictOf } from "./program.ts";
import {
  AUTHENTICATION,
  bansOver,
  type Case,
  caseOf,
  ENDED,
  entriesOf,
  eth,
  FIRST_FRAGMENT,
  FROM,
  FROM6,
  HOP_BY_HOP,
  ip4,
  ip4LaterFragment,
  ip4Longest,
  ip4Options,
  ip4Tcp,
  ip6,
  IPV4,
  IPV6,
  L2,
  L3,
  LATER_FRAGMENT,
  OTHER6,
  REVERSED,
  SECOND,
  SERVICE_VLAN,
  TCP,
  TO,
  TO6,
  UDP,
  VLAN,
} from "./banned_packets.ts";

const cases: readonly Case[] = [
  caseOf("IPv4 over Ethernet", L2, eth(IPV4, ip4(FROM) + UDP), "drop"),
  caseOf("its reversed address", L2, eth(IPV4, ip4(REVERSED) + UDP), "pass"),
  caseOf(
    "to the banned address",
    L2,
    eth(IPV4, `4500 0020 0001 0000 4011 0000 ${TO} ${FROM}` + UDP),
    "pass",
  ),
  caseOf("IPv4 in a VLAN", L2, eth(VLAN, IPV4 + ip4(FROM) + UDP), "drop"),
  caseOf("reversed in a VLAN", L2, eth(VLAN, IPV4 + ip4(REVERSED) + UDP), "pass"),
  caseOf("IPv4 in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV4 + ip4(FROM) + UDP), "drop"),
  caseOf("reversed in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV4 + ip4(REVERSED) + UDP), "pass"),
  caseOf("two 802.1Q tags", L2, eth(VLAN, VLAN + IPV4 + ip4(FROM) + UDP), "drop"),
  caseOf("three tags, one too many", L2, eth(VLAN, VLAN + VLAN + IPV4 + ip4(FROM) + UDP), "pass"),
  caseOf("IPv4 with an option", L2, eth(IPV4, ip4Options(FROM) + UDP), "drop"),
  caseOf("IPv4 with the longest header", L2, eth(IPV4, ip4Longest(FROM) + UDP), "drop"),
  caseOf("an IPv4 fragment", L2, eth(IPV4, ip4LaterFragment(FROM) + UDP), "drop"),
  caseOf("IPv4 with IHL 4", L2, eth(IPV4, ip4(FROM).replace("4500", "4400") + UDP), "pass"),
  caseOf("IPv4 without a payload", L2, eth(IPV4, ip4(FROM)), "drop"),
  caseOf("IPv4 cut by a byte", L2, eth(IPV4, ip4(FROM).slice(0, -2)), "pass"),
  caseOf("Ethernet header alone", L2, eth(IPV4, ""), "pass"),
  caseOf("VLAN tag cut", L2, eth("8100", "00"), "pass"),
  caseOf("second tag cut", L2, eth(SERVICE_VLAN, "8100 00"), "pass"),
  caseOf("IPv6 over Ethernet", L2, eth(IPV6, ip6(FROM6) + UDP), "drop"),
  caseOf("another IPv6 address", L2, eth(IPV6, ip6(OTHER6) + UDP), "pass"),
  caseOf("IPv6 in a VLAN", L2, eth(VLAN, IPV6 + ip6(FROM6) + UDP), "drop"),
  caseOf("IPv6 in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV6 + ip6(FROM6) + UDP), "drop"),
  caseOf("another in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV6 + ip6(OTHER6) + UDP), "pass"),
  caseOf(
    "IPv6 with a hop-by-hop header",
    L2,
    eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP + UDP),
    "drop",
  ),
  caseOf("IPv6 cut by a byte", L2, eth(IPV6, ip6(FROM6).slice(0, -2)), "pass"),
  caseOf("IPv6 without a payload", L2, eth(IPV6, ip6(FROM6, "3b")), "drop"),
  caseOf(
    "ARP about the banned address",
    L2,
    eth("0806", `0001 0800 0604 0001 020000000002 ${FROM}`),
    "pass",
  ),
  caseOf("an IEEE 802.3 length field", L2, eth("0026", "424203" + "00".repeat(35)), "pass"),
  caseOf("IPv4 without Ethernet", L3, ip4(FROM) + UDP, "drop"),
  caseOf("reversed without Ethernet", L3, ip4(REVERSED) + UDP, "pass"),
  caseOf("IPv4 with an option, without Ethernet", L3, ip4Options(FROM) + UDP, "drop"),
  caseOf("IPv4 cut, without Ethernet", L3, ip4(FROM).slice(0, -2), "pass"),
  caseOf("IPv6 without Ethernet", L3, ip6(FROM6) + UDP, "drop"),
  caseOf("another IPv6 without Ethernet", L3, ip6(OTHER6) + UDP, "pass"),
  caseOf("IPv6 cut, without Ethernet", L3, ip6(FROM6).slice(0, -2), "pass"),
  caseOf("version 5, without Ethernet", L3, ip4(FROM).replace("4500", "5500") + UDP, "pass"),
];

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
  caseOf("IPv4, its UDP port", L2, eth(IPV4, ip4(FROM) + UDP), "drop"),
  caseOf("IPv4, another port", L2, eth(IPV4, ip4(FROM) + OTHER_PORT), "pass"),
  caseOf("IPv4, the port as destination", L2, eth(IPV4, ip4(FROM) + "4e20 1ae1 000c 0000"), "pass"),
  caseOf("IPv4, the same port of TCP", L2, eth(IPV4, ip4Tcp(FROM) + TCP), "pass"),
  caseOf("another address, the same port", L2, eth(IPV4, ip4(REVERSED) + UDP), "pass"),
  caseOf("IPv4 with an option", L2, eth(IPV4, ip4Options(FROM) + UDP), "drop"),
  caseOf("IPv4 with the longest header", L2, eth(IPV4, ip4Longest(FROM) + UDP), "drop"),
  caseOf(
    "IPv4 with the longest header, another port",
    L2,
    eth(IPV4, ip4Longest(FROM) + OTHER_PORT),
    "pass",
  ),
  caseOf(
    "IPv4, a later fragment with such bytes",
    L2,
    eth(IPV4, ip4LaterFragment(FROM) + UDP),
    "pass",
  ),
  caseOf("IPv4, ports cut", L2, eth(IPV4, ip4(FROM) + "1ae1 4e"), "pass"),
  caseOf("IPv4 in QinQ", L2, eth(SERVICE_VLAN, VLAN + IPV4 + ip4(FROM) + UDP), "drop"),
  caseOf("IPv6", L2, eth(IPV6, ip6(FROM6) + UDP), "drop"),
  caseOf("IPv6, another port", L2, eth(IPV6, ip6(FROM6) + OTHER_PORT), "pass"),
  caseOf("IPv6, hop-by-hop header", L2, eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP + UDP), "drop"),
  caseOf("IPv6, destination options", L2, eth(IPV6, ip6(FROM6, "3c") + HOP_BY_HOP + UDP), "drop"),
  caseOf(
    "IPv6, routing header",
    L2,
    eth(IPV6, ip6(FROM6, "2b") + "11 00 0400 00000000" + UDP),
    "drop",
  ),
  caseOf(
    "IPv6, authentication header",
    L2,
    eth(IPV6, ip6(FROM6, "33") + AUTHENTICATION + UDP),
    "drop",
  ),
  caseOf("IPv6, first fragment", L2, eth(IPV6, ip6(FROM6, "2c") + FIRST_FRAGMENT + UDP), "drop"),
  caseOf("IPv6, later fragment", L2, eth(IPV6, ip6(FROM6, "2c") + LATER_FRAGMENT + UDP), "pass"),
  caseOf(
    "IPv6, hop-by-hop then fragment",
    L2,
    eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP.replace("11 ", "2c ") + FIRST_FRAGMENT + UDP),
    "drop",
  ),
  caseOf("IPv6, extension header cut", L2, eth(IPV6, ip6(FROM6, "00") + "11 00 05"), "pass"),
  caseOf(
    "IPv6, longest extension header, cut",
    L2,
    eth(IPV6, ip6(FROM6, "00") + "11 ff 0502 0000 0100" + UDP),
    "pass",
  ),
  caseOf("IPv4 without Ethernet", L3, ip4(FROM) + UDP, "drop"),
  caseOf("IPv4 without Ethernet, another port", L3, ip4(FROM) + OTHER_PORT, "pass"),
  caseOf("IPv6 without Ethernet", L3, ip6(FROM6) + UDP, "drop"),
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

// From banned addresses, with 20000 open on 192.168.1.1 and 2001:db8::1. Headers as above.
const NEIGHBOUR = "60000000 0008 3a ff"; // RFC 4861: ICMPv6, hop limit 255
const openCases: readonly Case[] = [
  caseOf("UDP to the open port", L2, eth(IPV4, ip4(FROM) + UDP), "pass"),
  caseOf("of a VLAN", L2, eth(VLAN, IPV4 + ip4(FROM) + UDP), "pass"),
  caseOf("TCP to it", L2, eth(IPV4, ip4Tcp(FROM) + TCP), "pass"),
  caseOf("behind options", L2, eth(IPV4, ip4Options(FROM) + UDP), "pass"),
  caseOf("behind the longest header", L2, eth(IPV4, ip4Longest(FROM) + UDP), "pass"),
  caseOf("without a link header", L3, ip4(FROM) + UDP, "pass"),
  caseOf("IPv6", L2, eth(IPV6, ip6(FROM6) + UDP), "pass"),
  caseOf("IPv6 behind an extension", L2, eth(IPV6, ip6(FROM6, "00") + HOP_BY_HOP + UDP), "pass"),
  caseOf("the port beside it", L2, eth(IPV4, ip4(FROM) + UDP.replace("4e20", "4e21")), "drop"),
  caseOf("the port 32 beside it", L2, eth(IPV4, ip4(FROM) + UDP.replace("4e20", "4e40")), "drop"),
  caseOf(
    "from it to another",
    L2,
    eth(IPV4, ip4(FROM) + UDP.replace("1ae1 4e20", "4e20 1ae1")),
    "drop",
  ),
  caseOf("of another machine", L2, eth(IPV4, ip4(FROM).replace(TO, "c0a80102") + UDP), "drop"),
  caseOf("of another machine, IPv6", L2, eth(IPV6, ip6(FROM6).replace(TO6, OTHER6) + UDP), "drop"),
  caseOf("a later fragment", L2, eth(IPV4, ip4LaterFragment(FROM) + UDP), "drop"),
  caseOf("ICMP", L2, eth(IPV4, ip4(FROM).replace("4011", "4001") + UDP), "drop"),
  caseOf("cut before the port", L2, eth(IPV4, ip4(FROM) + "1ae1"), "drop"),
  // RFC 4861, section 4: router solicitation 133 to redirect 137
  ...[133, 134, 135, 136, 137].map((type) =>
    caseOf(
      `what neighbours say (type ${type})`,
      L2,
      eth(IPV6, `${NEIGHBOUR} ${FROM6} ${TO6} ${type.toString(16)} 00 0000 00000000`),
      "pass",
    )
  ),
  ...[132, 138].map((type) =>
    // RFC 2710: listener done; RFC 2894: router renumbering
    caseOf(
      `ICMPv6 beside it (type ${type})`,
      L2,
      eth(IPV6, `${NEIGHBOUR} ${FROM6} ${TO6} ${type.toString(16)} 00 0000 00000000`),
      "drop",
    )
  ),
  caseOf(
    "the same from afar",
    L2,
    eth(IPV6, `${NEIGHBOUR.replace("ff", "fe")} ${FROM6} ${TO6} 87 00 0000 00000000`),
    "drop",
  ),
  caseOf(
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
