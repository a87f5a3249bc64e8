import assert from "node:assert/strict";
import fc from "fast-check";
import { readResolvers } from "../../../src/gateway/network/local_addresses.ts";
import { needsReading } from "../../../src/gateway/network/route_events.ts";
import { isDefaultLike, nextHopsIn, routesIn } from "../../../src/gateway/network/routes.ts";
import { formatAddress } from "../../../src/packet/address.ts";
import { bytes } from "../bytes.ts";

// struct nlmsghdr, rtmsg and rtattr of linux/netlink.h and rtnetlink.h, little-endian.
// ip route add default nexthop via 192.168.1.1 dev 2 nexthop via 192.168.2.1 dev 3
const MULTIPATH = "48000000 1800 0200 00000000 00000000 02 00 00 00 fe 03 00 01 00000000" +
  "0800 0f00 fe000000" + // RTA_TABLE
  "2400 0900" + "1000 00 00 02000000 0800 0500 c0a80101" + "1000 00 00 03000000 0800 0500 c0a80201";
// ip -6 route add 2001:db8::/32 via fe80::1 dev 4 metric 1024
const STATIC6 = "44000000 1800 0200 00000000 00000000 0a 20 00 00 fe 03 00 01 00000000" +
  "1400 0500 fe800000000000000000000000000001 0800 0400 04000000 0800 0600 00040000" +
  "0400 3f00";
// ip route add 203.0.113.0/24 via inet6 2001:db8::1 dev 2: RTA_VIA with AF_INET6
const VIA = "3c000000 1800 0200 00000000 00000000 02 18 00 00 64 03 00 01 00000000" +
  "1600 1200 0a00 20010db8000000000000000000000001 0000" + "0800 0400 02000000";
// ip route add unreachable default: RTN_UNREACHABLE
const UNREACHABLE = "24000000 1800 0200 00000000 00000000 02 00 00 00 fe 03 00 07 00000000" +
  "0800 0500 c0a80909";

function described(hex: string) {
  return routesIn(bytes(hex)).map(({ interfaces, hops, bits, metric, isMain }) =>
    `/${bits} ${hops.map((hop) => formatAddress(hop, 0)).join()} dev ${interfaces.join()} ` +
    `metric ${metric}${isMain ? "" : " elsewhere"}`
  );
}

Deno.test("routesIn() has every next hop, of either family and any table", () => {
  assert.deepEqual(described(MULTIPATH), ["/0 192.168.1.1,192.168.2.1 dev 2,3 metric 0"]);
  assert.deepEqual(described(STATIC6), ["/32 fe80::1 dev 4 metric 1024"]);
  assert.deepEqual(described(VIA), ["/24 2001:db8::1 dev 2 metric 0 elsewhere"]);
  assert.deepEqual(described(UNREACHABLE), []);
  assert.equal(described(MULTIPATH + STATIC6 + UNREACHABLE + VIA).length, 3);
});

Deno.test("routesIn() of what is cut or nonsense throws nothing and reads nothing behind the end", () => {
  const whole = bytes(MULTIPATH);
  for (let length = 0; length < whole.length; length++) {
    assert.deepEqual(routesIn(whole.subarray(0, length)), []);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(71), (noise, at) => {
    const mixed = whole.slice();
    mixed.set(noise.subarray(0, whole.length - at), at);
    routesIn(mixed);
    routesIn(noise);
    nextHopsIn(noise);
  }));
});

Deno.test("a default route is one to the whole internet, in halves too", () => {
  assert.ok(isDefaultLike(true, 0) && isDefaultLike(true, 1) && isDefaultLike(false, 3));
  assert.ok(!isDefaultLike(true, 2) && !isDefaultLike(false, 4));
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
