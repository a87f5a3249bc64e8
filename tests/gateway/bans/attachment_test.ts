import assert from "node:assert/strict";
import { candidates } from "../../../src/gateway/bans/attachment.ts";

const modes = (driver: string | null) => candidates("auto", driver).map(([mode]) => mode);

Deno.test("XDP_MODE=auto: native where a card keeps its offloads, tc everywhere else", () => {
  for (const driver of ["mlx5_core", "ice", "i40e", "ixgbe", "igb", "igc"]) {
    assert.deepEqual(modes(driver), ["native", "tc", "generic"], driver);
  }
  const others = [
    "veth",
    "virtio_net",
    "tun",
    "bridge",
    "bonding",
    "wireguard",
    "bnxt_en",
    "e1000e",
  ];
  for (const driver of [...others, null, ""]) {
    assert.deepEqual(modes(driver), ["tc", "generic"], driver ?? "none");
  }
});

Deno.test("a mode that is asked for is the only one", () => {
  for (const mode of ["tc", "native", "generic", "offload"] as const) {
    assert.deepEqual(candidates(mode, "ice"), [[mode, "as XDP_MODE says"]]);
  }
});
