/** Who is banned can still log in: whitelisted ports of the machine itself stay open. */

import assert from "node:assert/strict";
import type { Host } from "../../src/demo/network.ts";
import { createRouter, liveImpossible, program } from "../gateway/live.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

const impossible = liveImpossible("iptables");
if (impossible !== null) console.log(`tests/e2e/open_ports: skipped: ${impossible}`);

const OPEN = 2222;
const SHUT = 2223;

for (const mode of ["auto", "generic"]) {
  Deno.test({
    name: `XDP_MODE=${mode}: a banned address reaches whitelisted ports of the router, and no more`,
    ignore: impossible !== null,
    async fn() {
      await using lab = await createRouter(OPEN, SHUT);
      const { router, client, server, network } = lab;
      const echo = router.spawn(program("talk", "serve", String(OPEN), String(SHUT)));
      await echo.printedMatch(/ready/);
      const interfaces = network.hosts.map((host) => host.routerInterface);
      const blocker = await Blocker.start(router, interfaces, network.directory, {
        WHITELIST_PORTS: `53,${OPEN}`,
        XDP_MODE: mode,
      });
      const answered = async (how: "tcp" | "udp", to: string, port: number) => {
        const rounds = [to, String(port), "100", "3", "1000"];
        const told = client.run(["timeout", "4", ...program("talk", how, ...rounds)]).catch(() =>
          ""
        );
        return Number(/answered (\d+)/.exec(await told)?.[1] ?? 0);
      };
      const gateways = async (host: Host): Promise<string[]> => {
        const routes = await host.run([
          "sh",
          "-c",
          "ip -4 route show default; ip -6 route show default",
        ]);
        return [...routes.matchAll(/via (\S+)/g)].map(([, address]) => address)
          .filter((address) => !address.startsWith("fe80"));
      };
      const own = [...await gateways(client), ...await gateways(server)];
      assert(
        own.some((one) => one.includes(":")) && own.some((one) => !one.includes(":")),
        `${own}`,
      );
      await blocker.command("bans", "add", client.ipv4);
      await blocker.command("bans", "add", client.ipv6);
      for (const address of own) {
        for (const how of ["tcp", "udp"] as const) {
          assert.equal(await answered(how, address, OPEN), 3, `${how} ${address}`);
        }
        assert.equal(await answered("udp", address, SHUT), 0, address);
      }
      for (const address of [server.ipv4, server.ipv6]) {
        assert.equal(await answered("udp", address, OPEN), 0, address);
      }
      // A new address of the router is one of its own too.
      await router.run(["ip", "address", "add", "198.18.77.1/32", "dev", client.routerInterface]);
      await until(async () => await answered("udp", "198.18.77.1", OPEN) === 3, () => blocker.log);
    },
  });
}
