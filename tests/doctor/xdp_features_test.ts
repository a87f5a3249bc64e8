import assert from "node:assert/strict";
import {
  featuresOf,
  genericRequest,
  numberIn,
  xdpFeatures,
} from "../../src/doctor/xdp_features.ts";

Deno.test("genericRequest() builds a message with one padded attribute", () => {
  // CTRL_CMD_GETFAMILY for "netdev", by linux/genetlink.h
  const name = new TextEncoder().encode("netdev\0");
  assert.equal(
    genericRequest(0x10, 3, 2, name).toHex(),
    "20000000" + "1000" + "0100" + "00000000" + "00000000" + // nlmsghdr
      "03010000" + // genlmsghdr
      "0b000200" + "6e6574646576" + "00" + "00", // CTRL_ATTR_FAMILY_NAME, padded
  );
});

// NETDEV_CMD_DEV_GET's answer: IFINDEX 4, then XDP_FEATURES (64 bits)
const ANSWER = "28000000" + "1f00" + "0000" + "00000000" + "00000000" + "01010000" +
  "08000100" + "04000000" + "0c000300" + "2f00000000000000";

Deno.test("numberIn() finds an attribute behind another", () => {
  assert.equal(numberIn(Uint8Array.fromHex(ANSWER), 1), 4n);
  assert.equal(numberIn(Uint8Array.fromHex(ANSWER), 3), 0x2fn);
  assert.equal(numberIn(Uint8Array.fromHex(ANSWER), 7), null);
});

Deno.test("numberIn() has nothing in an error, a cut answer or a failure", () => {
  const error = "24000000" + "0200" + "0000" + "00000000" + "00000000" + "edffffff" +
    "00".repeat(16);
  assert.equal(numberIn(Uint8Array.fromHex(error), 1), null);
  for (let length = 0; length < 28; length++) {
    assert.equal(numberIn(Uint8Array.fromHex(ANSWER).subarray(0, length), 1), null);
  }
  assert.equal(numberIn(-1, 1), null);
});

Deno.test("featuresOf() reads NETDEV_XDP_ACT_*", () => {
  assert.deepEqual(featuresOf(0n), { isNative: false, isOffload: false, takesFragments: false });
  assert.deepEqual(featuresOf(0x2fn), { isNative: true, isOffload: false, takesFragments: true });
  assert.deepEqual(featuresOf(0x11n), { isNative: true, isOffload: true, takesFragments: false });
});

Deno.test({
  name: "xdpFeatures() asks the kernel: loopback has no native mode (needs Linux 6.3)",
  ignore: Deno.build.os !== "linux",
  fn() {
    const features = xdpFeatures(1);
    assert.ok(features === null || !features.isNative);
    assert.equal(xdpFeatures(0x7fff_fff0), null);
  },
});
