/** Beside wg-quick as Debian has it: all that leaves the router goes through its tunnel. */

import assert from "node:assert/strict";
import { Bed, bedImpossible, FREE, GUARDED, inNoOrder } from "./bed.ts";
import { deviceName, newKey, startDevice } from "./wireguard.ts";

const NEEDED = ["wireguard-go", "wg-quick", "/dev/net/tun"];
const ignore = bedImpossible("wg_quick_test.ts", ...NEEDED) !== null;

const PORT = 51_820;
const PROVIDER = ["10.98.0.1", "fd98::1"];

/** wg-quick makes its own device; this kernel may have none of it, so it is wireguard-go's. */
async function useTunnel(
  bed: Bed,
  name: string,
): Promise<(command: "up" | "down") => Promise<void>> {
  const { directory } = bed.network;
  const keys = await Promise.all([newKey(bed), newKey(bed)]);
  await startDevice(bed.server, `${name}p`, {
    key: keys[0],
    port: PORT,
    addresses: [`${PROVIDER[0]}/24`, `${PROVIDER[1]}/64`],
    peers: [[keys[1], "allowed-ips", "10.98.0.2/32,fd98::2/128"]],
  });
  const config = `${directory}/${name}.conf`;
  await Deno.writeTextFile(
    config,
    `[Interface]
PrivateKey = ${(await Deno.readTextFile(keys[1].private)).trim()}
Address = 10.98.0.2/32, fd98::2/128
PostUp = iptables -t nat -A POSTROUTING -o %i -j MASQUERADE
PostUp = ip6tables -t nat -A POSTROUTING -o %i -j MASQUERADE
PostDown = iptables -t nat -D POSTROUTING -o %i -j MASQUERADE
PostDown = ip6tables -t nat -D POSTROUTING -o %i -j MASQUERADE
[Peer]
PublicKey = ${keys[0].public}
Endpoint = ${bed.server.ipv4}:${PORT}
AllowedIPs = 0.0.0.0/0, ::/0
`,
    { mode: 0o600 },
  );
  const begin = `${directory}/begin`;
  const socket = `/run/wireguard/${name}.sock`;
  const implementation = `${directory}/implementation`;
  await Deno.writeTextFile(
    implementation,
    `#!/bin/sh\ntouch ${begin}\nuntil [ -S ${socket} ]; do sleep 0.05; done\n`,
    { mode: 0o755 },
  );
  const env = `WG_QUICK_USERSPACE_IMPLEMENTATION=${implementation}`;
  return async (command) => {
    if (command === "up") {
      // A child of the test, so that it ends with the network; begun when wg-quick wants it.
      const wait = `rm -f ${begin}; until [ -e ${begin} ]; do sleep 0.05; done`;
      bed.spawn(["sh", "-c", `${wait}; exec wireguard-go -f ${name}`]);
    }
    await bed.router.run(["env", env, "wg-quick", command, config]);
  };
}

Deno.test({
  name: "wg-quick: a full tunnel's users are served, torrents through it die, it goes up and down",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    bed.destinations = PROVIDER;
    const tunnel = await useTunnel(bed, deviceName("wg"));
    await tunnel("up");
    const theirs = await bed.rules();
    assert.match(theirs, /ct mark set (meta )?mark/);
    assert.match(theirs, /not from all fwmark 0xca6c lookup 51820/);
    assert.deepEqual(await bed.exchange(), FREE);

    const blocker = await bed.start({
      CHAINS: "INPUT,FORWARD,OUTPUT",
      WHITELIST_PORTS: `22,${PORT}`, // else each packet of the tunnel would come to user space
    });
    await bed.isGuardedBy(blocker, "beside wg-quick", GUARDED);
    // Its rule writes the whole mark of the tunnel's own connection.
    const found = (await bed.doctor()).get("marks")!;
    assert.match(
      found.detail,
      /^other rules overwrite whole marks of connections: nft, table ip6? wg-quick-/,
    );
    assert.equal(found.status, "warning");
    assert.match(blocker.log, /WARN .*overwrites the bits 0x82000000.*wg-quick-/);
    await tunnel("down");
    await tunnel("up");
    await bed.isGuardedBy(blocker, "after down and up", GUARDED);
    assert.doesNotMatch(blocker.log, /ERROR/);
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    // The new device has another address of its own.
    const withoutOwn = (rules: string) => inNoOrder(rules.replaceAll(/fe80::[0-9a-f:]+/g, "fe80"));
    assert.deepEqual(withoutOwn(await bed.rules()), withoutOwn(theirs));
  },
});
