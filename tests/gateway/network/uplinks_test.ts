/**
 * Which interfaces lead to the internet, by routes in a namespace: equal-cost next hops, another
 * table, the halves of a VPN client. (A VRF is a table of its own; this kernel has no such device.)
 */
import assert from "node:assert/strict";
import { Network } from "../../../src/demo/network.ts";
import { blockerCommand } from "../../e2e/blocker.ts";
import { liveImpossible } from "../live.ts";

const impossible = liveImpossible();
const LOOK = new URL("../programs/uplinks.ts", import.meta.url).pathname;

Deno.test({
  name: `every uplink is guarded, none taken for an inside network${
    impossible === null ? "" : ` (skipped: ${impossible})`
  }`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btup");
    const { router } = network;
    const names = ["one", "two", "policy", "vpn", "inside"] as const;
    const hosts = new Map<string, Awaited<ReturnType<typeof network.addHost>>>();
    for (const name of names) hosts.set(name, await network.addHost(name));
    const link = (name: string) => hosts.get(name)!.routerInterface;
    const hop = (name: string) => ["via", hosts.get(name)!.ipv4, "dev", link(name)];
    await router.run([
      ...["ip", "route", "add", "default"],
      ...["nexthop", ...hop("one"), "nexthop", ...hop("two")],
    ]);
    await router.run(["ip", "route", "add", "default", ...hop("policy"), "table", "77"]);
    for (const half of ["0.0.0.0/1", "128.0.0.0/1"]) {
      await router.run(["ip", "route", "add", half, ...hop("vpn")]);
    }
    // A TPROXY's table and a black hole lead nowhere.
    await router.run(["ip", "route", "add", "local", "default", "dev", "lo", "table", "78"]);
    await router.run(["ip", "route", "add", "blackhole", "default", "table", "79"]);

    const uplinks = names.filter((name) => name !== "inside").map(link).sort();
    const looked = await router.run([Deno.execPath(), "run", "--quiet", "-A", LOOK]);
    const { defaultInterfaces, inside } = JSON.parse(looked);
    assert.deepEqual([...defaultInterfaces].sort(), uplinks);
    assert.deepEqual(inside, [link("inside")]);

    const config = `${network.directory}/config.toml`;
    await Deno.writeTextFile(config, 'chains = ["INPUT", "OUTPUT"]\nqueue_count = 1\n');
    const program = router.spawn([...blockerCommand(), "run", "--config", config]);
    await program.printedMatch(/Guarding INPUT, OUTPUT/);
    const status = JSON.parse(await router.run([...blockerCommand(), "status", "--json"]));
    const attached = status.xdp.filter(({ mode }: { mode: string | null }) => mode !== null);
    const guarded = attached.map((one: { interface: string }) => one.interface).sort();
    assert.deepEqual(guarded, uplinks, program.text());
    assert.equal((await program.stop()).code, 0);
  },
});
