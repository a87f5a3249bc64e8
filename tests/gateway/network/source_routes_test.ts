import assert from "node:assert/strict";
import fc from "fast-check";
import {
  MOST_NEXT_HOPS,
  readRoute,
  type RouteAnswer,
  routeQuestion,
} from "../../../src/gateway/network/route_answer.ts";
import { SourceRoutes } from "../../../src/gateway/network/source_routes.ts";
import { Networks } from "../../../src/gateway/network/networks.ts";
import { interfaceIndex } from "../../../ffi/libc.ts";
import { parseAddress } from "../../../src/packet/address.ts";

function read(bytes: Uint8Array): RouteAnswer {
  const answer = { isOwn: true, count: 5, interfaces: new Int32Array(MOST_NEXT_HOPS) };
  readRoute(bytes, answer);
  return answer;
}

const interfacesOf = ({ count, interfaces }: RouteAnswer) => [...interfaces.subarray(0, count)];
const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

// struct nlmsghdr, struct rtmsg and attributes of linux/rtnetlink.h, little-endian.
const UNICAST = "02180000 fe000001 00000000"; // type 1
const LOCAL = "02200000 ff000002 00000000"; // type 2
const UNREACHABLE = "02180000 fe000007 00000000"; // type 7
const header = (length: number, type = "1800") =>
  `${length.toString(16).padStart(2, "0")}000000 ${type} 0000 00000000 00000000`;
const OIF5 = "0800 0400 05000000";

Deno.test("routeQuestion() asks for the entry of the table, IPv4 and IPv6", () => {
  assert.equal(
    routeQuestion(parseAddress("192.0.2.9")!, 0).toHex(),
    hex("24000000 1a00 0100 00000000 00000000 02200000 00000000 00200000 0800 0100 c0000209")
      .toHex(),
  );
  assert.equal(
    routeQuestion(parseAddress("2001:db8::9")!, 0).toHex(),
    hex(
      "30000000 1a00 0100 00000000 00000000 0a800000 00000000 00200000 1400 0100" +
        "20010db8000000000000000000000009",
    ).toHex(),
  );
});

Deno.test("readRoute() gives the interface, all next hops, and whether the address is own", () => {
  assert.deepEqual(interfacesOf(read(hex(header(36) + UNICAST + OIF5))), [5]);
  const hops = "1800 0900 0800 0000 06000000 0c00 0000 07000000 00000000";
  assert.deepEqual(interfacesOf(read(hex(header(52) + UNICAST + hops))), [6, 7]);
  const own = read(hex(header(36) + LOCAL + OIF5));
  assert.deepEqual([own.isOwn, own.count], [true, 0]);
});

Deno.test("readRoute() finds no way where there is none", () => {
  const answers = [
    header(36) + UNREACHABLE + OIF5,
    header(36, "0200") + UNICAST + OIF5, // NLMSG_ERROR
    header(28) + UNICAST,
    header(36) + UNICAST + "0300 0400 05000000", // a length within the header
    header(36) + UNICAST + "ff00 0400 05000000",
    "",
    "24",
  ];
  for (const text of answers) {
    const { isOwn, count } = read(hex(text));
    assert.deepEqual([isOwn, count], [false, 0], text);
  }
});

Deno.test("readRoute() takes any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isLikely) => {
    if (isLikely) {
      bytes.set(hex(header(Math.min(bytes.length, 200)) + UNICAST).subarray(0, bytes.length));
    }
    const { count } = read(bytes);
    assert.ok(count >= 0 && count <= MOST_NEXT_HOPS);
  }));
});

/** Answers of this machine's own kernel: loopback is everywhere. */
Deno.test({
  name: "SourceRoutes knows this machine's own addresses, and what leads nowhere",
  ignore: Deno.build.os !== "linux",
  fn() {
    const buffer = () => new SharedArrayBuffer(Networks.byteLength(4));
    using routes = new SourceRoutes({ ours: buffer(), uplinks: new SharedArrayBuffer(16) });
    const loopback = interfaceIndex("lo");
    for (let again = 0; again < 2; again++) {
      const own = parseAddress("127.0.0.1")!;
      assert.equal(routes.isOwn(own, 0), true);
      assert.equal(routes.leadsBack(own, 0, loopback), false, "nobody sends with it from outside");
      const link = parseAddress("fe80::1")!;
      assert.equal(routes.leadsBack(link, 0, loopback), true, "of any link");
      const reserved = parseAddress("240.0.0.1")!;
      assert.equal(routes.isOwn(reserved, 0), false);
      assert.equal(routes.leadsBack(reserved, 0, loopback), false);
    }
    // Without a known uplink only what is ours is inside.
    assert.equal(routes.isInside(parseAddress("198.51.100.1")!, 0, loopback), false);
  },
});
