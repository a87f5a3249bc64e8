import assert from "node:assert/strict";
import { readResolvers } from "../../../src/gateway/network/local_addresses.ts";
import { needsReading } from "../../../src/gateway/network/route_events.ts";
import { readIpv4Routes, readIpv6Routes } from "../../../src/gateway/network/routes.ts";
import { formatAddress } from "../../../src/packet/address.ts";
import { bytes } from "../bytes.ts";

function described(routes: ReturnType<typeof readIpv4Routes>) {
  return routes.map(({ interface: name, gateway }) =>
    `${name} ${gateway === null ? "direct" : formatAddress(gateway, 0)}`
  );
}

// As printed by Linux for: default via 192.168.1.1 metric 100; default dev ppp0 metric 50;
// unreachable default metric 4278198272; a host route; a network.
const IPV4 =
  `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0                                                                             
ppp0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0                                                                             
*\t00000000\t00000000\t0200\t0\t0\t4278198272\t00000000\t0\t0\t0                                                                             
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0                                                                             
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0                                                                             
`;

Deno.test("readIpv4Routes() takes usable default routes by metric; 0.0.0.0/1 is none", () => {
  assert.deepEqual(described(readIpv4Routes(IPV4)), ["ppp0 direct", "eth0 192.168.1.1"]);
  assert.deepEqual(readIpv4Routes(""), []);
});

const ZERO = "0".repeat(32);
const IPV6 = [
  `20010db8000000000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth0`,
  `${ZERO} 00 ${ZERO} 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0`,
  `${ZERO} 00 ${ZERO} 00 ${ZERO} 00000200 00000002 00000000 00000001      wg0`,
  `${ZERO} 00 ${ZERO} 00 ${ZERO} ffffffff 00000001 00000000 00200200       lo`,
  "",
].join("\n");

Deno.test("readIpv6Routes() takes usable default routes by metric", () => {
  assert.deepEqual(described(readIpv6Routes(IPV6)), ["wg0 direct", "eth0 fe80::1"]);
});

Deno.test("readResolvers() takes nameserver lines", () => {
  const text = "# nameserver 9.9.9.9\nsearch lan\nnameserver 192.168.1.1\n" +
    "nameserver fe80::1%eth0\n nameserver 2001:db8::53 # office\nnameserver nonsense\n";
  const found = readResolvers(text).map((words) => formatAddress(words, 0));
  assert.deepEqual(found, ["192.168.1.1", "fe80::1", "2001:db8::53"]);
});

// nlmsghdr and the first bytes of rtmsg, little-endian (rtnetlink(7))
const route = (bits: string) =>
  `1c000000 1800 0000 00000000 00000000 02${bits}0000 fe030001 00000000`;
const events = [
  ["a new address", "18000000 1400 0000 00000000 00000000 02180000 02000000", true],
  ["a link", "20000000 1000 0000 00000000 00000000 00000000 00000000 00000000 00000000", true],
  ["a default route", route("00"), true],
  ["another route", route("18"), false],
  ["another route, then a default route", route("18") + route("00"), true],
  ["lost messages", "", true],
  ["nonsense", "ffffffff", true],
  ["a length of 0", "00000000 1800 0000 00000000 00000000 02180000", true],
] as const;

for (const [name, text, wanted] of events) {
  Deno.test(`needsReading() after ${name}: ${wanted}`, () => {
    assert.equal(needsReading(bytes(text)), wanted);
  });
}
