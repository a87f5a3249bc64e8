/**
 * Beside Tailscale: an exit node with the rules that tailscaled installs, and wireguard-go, which it
 * is made of, for its device. Debian has no tailscaled, and that would want its login server.
 */

import assert from "node:assert/strict";
import { Bed, bedImpossible, FREE, GUARDED } from "./bed.ts";
import { deviceName, newKey, startDevice } from "./wireguard.ts";

const NEEDED = ["wireguard-go", "wg", "/dev/net/tun", "iptables-restore"];
const ignore = bedImpossible("tailscale_test.ts", ...NEEDED) !== null;

const PORT = 41_641;
/** tailscaled's socket goes by the main table; what it forwards is masqueraded. */
const BYPASS_MARK = 0x8_0000;

/** The rules of tailscaled, as iptables-save shows them on an exit node. */
function rules(name: string, own: string, networks: readonly string[]): string {
  const own4 = networks.flatMap((net, index) =>
    index === 0
      ? [
        `-A ts-input -s 100.115.92.0/23 ! -i ${name} -j RETURN`,
        `-A ts-input -s ${net} ! -i ${name} -j DROP`,
      ]
      : []
  );
  return [
    "*mangle",
    "-A PREROUTING -m conntrack --ctstate RELATED,ESTABLISHED -m connmark ! --mark 0x0/0xff0000 " +
    "-j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000",
    "-A OUTPUT -m conntrack --ctstate NEW -m mark ! --mark 0x0/0xff0000 " +
    "-j CONNMARK --save-mark --nfmask 0xff0000 --ctmask 0xff0000",
    "COMMIT",
    "*filter",
    ":ts-forward -",
    ":ts-input -",
    "-I INPUT 1 -j ts-input",
    "-I FORWARD 1 -j ts-forward",
    `-A ts-forward -i ${name} -j MARK --set-xmark 0x40000/0xff0000`,
    "-A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT",
    ...networks.map((net) => `-A ts-forward -s ${net} -o ${name} -j DROP`),
    `-A ts-forward -o ${name} -j ACCEPT`,
    `-A ts-input -s ${own} -i lo -j ACCEPT`,
    ...own4,
    `-A ts-input -i ${name} -j ACCEPT`,
    `-A ts-input -p udp -m udp --dport ${PORT} -j ACCEPT`,
    "COMMIT",
    "*nat",
    ":ts-postrouting -",
    "-A POSTROUTING -j ts-postrouting",
    "-A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE",
    "COMMIT",
    "",
  ].join("\n");
}

Deno.test({
  name: "Tailscale: an exit node's users are served, one that torrents is banned and no other",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const { router, client, torrenter } = bed;
    const name = deviceName("ts");
    const keys = await Promise.all([newKey(bed), newKey(bed), newKey(bed)]);
    const nodes = [
      { host: router, key: keys[0], ipv4: "100.64.0.1", ipv6: "fd7a:115c:a1e0::1" },
      { host: client, key: keys[1], ipv4: "100.64.0.2", ipv6: "fd7a:115c:a1e0::2" },
      { host: torrenter, key: keys[2], ipv4: "100.64.0.3", ipv6: "fd7a:115c:a1e0::3" },
    ];
    for (const [index, { host, key, ipv4, ipv6 }] of nodes.entries()) {
      const addresses = [`${ipv4}/32`, `${ipv6}/128`];
      const everything = "0.0.0.0/0,::/0";
      const gateway = `${host.ipv4.replace(/\d+$/, "1")}:${PORT}`;
      const peers = index === 0
        ? nodes.slice(1).map((one) =>
          [one.key, "allowed-ips", `${one.ipv4}/32,${one.ipv6}/128`] as const
        )
        : [[keys[0], "allowed-ips", everything, "endpoint", gateway] as const];
      const device = `${name}${index}`;
      await startDevice(host, device, {
        key,
        ...index === 0 ? { port: PORT, mark: BYPASS_MARK } : {},
        addresses,
        peers,
      });
      for (const family of ["-4", "-6"]) {
        if (index > 0) {
          await host.run(["ip", family, "route", "replace", "default", "dev", device]);
          continue;
        }
        // ip rule of a machine with tailscaled.
        const mark = ["fwmark", "0x80000/0xff0000"];
        const route = ["ip", family, "rule", "add"];
        await host.run([...route, "pref", "5210", ...mark, "lookup", "main"]);
        await host.run([...route, "pref", "5230", ...mark, "lookup", "default"]);
        await host.run([...route, "pref", "5250", ...mark, "unreachable"]);
        await host.run([...route, "pref", "5270", "lookup", "52"]);
        for (const node of nodes.slice(1)) {
          const to = family === "-4" ? node.ipv4 : node.ipv6;
          await host.run(["ip", family, "route", "add", to, "dev", device, "table", "52"]);
        }
      }
    }
    const restores = [
      ["iptables-restore", rules(`${name}0`, "100.64.0.1/32", ["100.64.0.0/10"])],
      ["ip6tables-restore", rules(`${name}0`, "fd7a:115c:a1e0::1/128", [])],
    ];
    for (const [command, text] of restores) {
      await router.run(["sh", "-c", `printf %s "$1" | ${command} --noflush`, "sh", text]);
    }
    const theirs = await bed.rules();
    assert.deepEqual(await bed.exchange(), FREE);

    const blocker = await bed.start({ BAN_TARGET: "source" });
    assert.deepEqual(await bed.exchange(), GUARDED, blocker.log);
    const expected = new Set([nodes[2].ipv4, nodes[2].ipv6]);
    assert.deepEqual(await blocker.banned(), expected, blocker.log);
    await bed.isGuardedBy(blocker, "after the ban", GUARDED);
    const found = await bed.doctor();
    assert.match(found.get("marks")!.detail, /^nobody else uses the bits /);
    assert.doesNotMatch(blocker.log, /WARN|ERROR/);
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    assert.equal(await bed.rules(), theirs);
  },
});
