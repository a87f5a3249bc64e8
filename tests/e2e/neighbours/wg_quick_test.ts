/** Beside wg-quick as Debian has it: all that leaves the router goes through its tunnel. */

import assert from "node:assert/strict";
import { Bed, bedImpossible, FREE, GUARDED } from "./bed.ts";
import { deviceName, newKey, startDevice } from "./wireguard.ts";

const NEEDED = ["wireguard-go", "wg-quick", "/dev/net/tun"];
const ignore = bedImpossible("wg_quick_test.ts", ...NEEDED) !== null;

const PORT = 51_820;
const PROVIDER = ["10.98.0.1", "fd98::1"];

/** wg-quick makes its own device; this kernel may have none of it, so it is wireguard-go's. */
async function useTunnel(
  bed: Bed,
  name: string,
): Promise<(command: "up" | "down") => Promise<string>> {
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
  // A child of the test, so that it ends with the network.
  const begin = `${directory}/begin`;
  const waiting = `until [ -e ${begin} ]; do sleep 0.05; done; exec wireguard-go -f ${name}`;
  bed.spawn(["sh", "-c", waiting]);
  const implementation = `${directory}/implementation`;
  await Deno.writeTextFile(
    implementation,
    `#!/bin/sh\ntouch ${begin}\nuntil [ -S /run/wireguard/${name}.sock ]; do sleep 0.05; done\n`,
    { mode: 0o755 },
  );
  const env = `WG_QUICK_USERSPACE_IMPLEMENTATION=${implementation}`;
  return (command) => bed.router.run(["env", env, "wg-quick", command, config]);
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

    const blocker = await bed.start({ CHAINS: "INPUT,FORWARD,OUTPUT" });
    await bed.isGuardedBy(blocker, "beside wg-quick", GUARDED);
    const found = await bed.doctor();
    console.log(found.get("marks"));
    console.log(blocker.log);
    console.log(await blocker.command("status", "--json"));
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    assert.equal(await bed.rules(), theirs);
  },
});
