import assert from "node:assert/strict";
import {
  forwardingInterfaces,
  type Link,
  linksIn,
  readLinks,
} from "../../../src/gateway/network/links.ts";

// struct nlmsghdr, struct ifinfomsg and attributes, typed from linux/rtnetlink.h and linux/if_link.h
const BRIDGE_PORT = "44000000 1000 0200 00000000 00000000" + // 68 bytes, RTM_NEWLINK, of several
  "00 00 0100 07000000 43100100 00000000" + // Ethernet, number 7, up
  "0a00 0300 766574683000 0000" + // IFLA_IFNAME "veth0"
  "1800 1200" + // IFLA_LINKINFO
  "0800 0100 76657468" + // IFLA_INFO_KIND "veth"
  "0b00 0400 62726964676500 00"; // IFLA_INFO_SLAVE_KIND "bridge"
const LOOPBACK = "28000000 1000 0200 00000000 00000000" +
  "00 00 0403 01000000 49000100 00000000" + // IFF_LOOPBACK is among the flags
  "0700 0300 6c6f00 00";
const bytes = (hex: string) => Uint8Array.fromHex(hex.replaceAll(" ", ""));

Deno.test("linksIn() reads names, numbers, and what an interface is a part of", () => {
  assert.deepEqual(linksIn(bytes(BRIDGE_PORT + LOOPBACK)), [
    { name: "veth0", index: 7, isLoopback: false, master: "bridge" },
    { name: "lo", index: 1, isLoopback: true, master: null },
  ]);
});

Deno.test("linksIn() takes any bytes", () => {
  const whole = bytes(BRIDGE_PORT + LOOPBACK);
  for (let length = 0; length <= whole.length; length++) linksIn(whole.subarray(0, length));
  for (let at = 0; at < whole.length; at++) {
    for (const value of [0, 1, 3, 0x7f, 0xff]) {
      const mutated = whole.slice();
      mutated[at] = value;
      linksIn(mutated);
    }
  }
});

const link = (name: string, master: string | null = null): Link => {
  return { name, index: 0, isLoopback: name === "lo", master };
};

Deno.test("forwardingInterfaces(): a bridge stands for its ports, a bond for its parts", () => {
  const links = [
    ...[link("lo"), link("eth0", "bond"), link("bond0"), link("br0"), link("veth1", "bridge")],
    ...[link("wg0"), link("red0", "vrf"), link("mgmt0")],
  ];
  assert.deepEqual(
    forwardingInterfaces(links, (name) => name !== "mgmt0"),
    ["bond0", "br0", "wg0", "red0"],
  );
});

Deno.test({
  name: "readLinks() asks the kernel: loopback is there",
  ignore: Deno.build.os !== "linux",
  fn() {
    assert.ok(readLinks().some(({ name, isLoopback }) => name === "lo" && isLoopback));
  },
});
