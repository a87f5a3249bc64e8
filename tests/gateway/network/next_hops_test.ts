/** Next hops of every table are never banned: real routes in a namespace of its own. */
import assert from "node:assert/strict";
import { Network } from "../../../src/demo/network.ts";
import { TextLineStream } from "../../../src/blocker/text_lines.ts";
import { liveImpossible, program } from "../live.ts";

const impossible = liveImpossible();
if (impossible !== null) console.log(`next_hops_test: skipped: ${impossible}`);

const ROUTES = [
  "route add default nexthop via 198.18.1.9 dev to_a nexthop via 198.18.2.9 dev to_b",
  "route add 203.0.113.0/24 via 198.18.1.10",
  "route add default via 198.18.2.11 table 100",
  "route add 203.0.114.0/24 via 198.18.2.12 table 77",
  "route add 203.0.115.0/24 via inet6 2001:db8:2::13 dev to_b",
  "-6 route add default nexthop via 2001:db8:1::9 dev to_a nexthop via 2001:db8:2::9 dev to_b",
  "-6 route add 2001:db8:99::/48 via 2001:db8:1::14 table 100",
  "nexthop add id 5 via 198.18.1.15 dev to_a",
  "route add unreachable 203.0.116.0/24",
];

Deno.test({
  name: "ECMP, static routes, other tables, IPv6, next hops by number: none may be banned",
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btnh");
    await network.addHost("a");
    await network.addHost("b");
    const { router } = network;
    for (const route of ROUTES) await router.run(["ip", ...route.split(" ")]);
    const [command, ...args] = router.inside(program("never_banned"));
    const options = { args, stdin: "piped", stdout: "piped" } as const;
    await using asked = new Deno.Command(command, options).spawn();
    const input = asked.stdin.getWriter();
    const lines = asked.stdout
      .pipeThrough(new TextLineStream()).getReader();
    const next = async () => (await lines.read()).value;
    const say = async (line: string) => {
      await input.write(new TextEncoder().encode(`${line}\n`));
      return await next();
    };
    const ask = async (address: string) => (await say(address))?.split(" ")[1];
    assert.equal(await next(), "ready to_a,to_b");
    for (
      const address of [
        ...["198.18.1.9", "198.18.2.9", "198.18.1.10", "198.18.2.11", "198.18.2.12"],
        ...["2001:db8:2::13", "2001:db8:1::9", "2001:db8:2::9", "2001:db8:1::14", "198.18.1.15"],
        ...["198.18.1.1", "2001:db8:2::1", "198.18.2.255"],
      ]
    ) assert.equal(await ask(address), "never", address);
    for (const address of ["198.18.1.2", "203.0.113.1", "203.0.116.1", "2001:db8:1::2"]) {
      assert.equal(await ask(address), "may", address);
    }
    await router.run(["ip", "route", "add", "203.0.117.0/24", "via", "198.18.1.77"]);
    assert.equal(await say("refresh"), "refreshed true");
    assert.equal(await ask("198.18.1.77"), "never", "a route that was added later");
    await input.close();
    await asked.status;
  },
});
