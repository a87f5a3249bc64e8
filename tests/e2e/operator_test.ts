/**
 * What an operator meets in a day, with the program as it is started: variables of other programs, an
 * interface that comes up later, somebody who knocks at every door and says nothing, a network that
 * is banned by hand and lifted on the page.
 */

import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import type { Status } from "../../src/status/status.ts";
import { liveImpossible, program } from "../gateway/live.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

const impossible = liveImpossible("curl");
if (impossible !== null) console.log(`tests/e2e/operator: skipped: ${impossible}`);

const TOKEN = "correct-horse-battery";
const PAGE = "http://127.0.0.1:9090";

Deno.test({
  name:
    "an interface that comes later, foreign variables, idle callers, a network lifted on the page",
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btop");
    const { router } = network;
    const host = await network.addHost("host");
    const blocker = await Blocker.start(router, ["wg7"], network.directory, {
      CHAIN: "mainnet",
      INTERFACES: "eth0",
      STATUS_LISTEN: "127.0.0.1:9090",
      STATUS_TOKEN: TOKEN,
    });
    for (const name of ["CHAIN", "INTERFACES"]) {
      assert.match(blocker.log, new RegExp(`WARN .*\\b${name}\\b`), "a warning, and a start");
    }
    assert.match(blocker.log, /None of INTERFACE \(wg7\) is there yet/);
    await router.run(["ip", "link", "add", "wg7", "type", "veth", "peer", "name", "wg8"]);
    await router.run(["ip", "link", "set", "wg7", "up"]);
    await blocker.program.printedMatch(/Banned addresses are dropped on wg7/);

    const idlers = router.spawn(program("idlers", "127.0.0.1", "9090", "400"));
    await idlers.printedMatch(/page: 400 tried/);
    await idlers.printedMatch(/socket: 200 tried/);
    const page = (path: string, ...more: string[]) =>
      router.run(["curl", "-sS", "--max-time", "30", ...more, `${PAGE}${path}`]);
    const answers = async () => (await page("/healthz").catch(() => "")) === "ok\n";
    await until(answers, () => blocker.log);
    const status = JSON.parse(await blocker.command("status", "--json")) as Status;
    assert.equal(status.healthy, true);

    await blocker.command("bans", "add", "192.0.2.0/24", host.ipv4);
    const bearer = ["-H", `Authorization: Bearer ${TOKEN}`, "-H", "Content-Type: application/json"];
    const body = JSON.stringify({ address: "192.0.2.0/24" });
    await until(async () => {
      const answer = await page("/api/bans/remove", ...bearer, "-d", body).catch(String);
      return !/curl/.test(answer);
    }, () => blocker.log);
    const left = await blocker.command("bans", "list");
    assert.doesNotMatch(left, /192\.0\.2\.0/);
    assert.match(left, new RegExp(host.ipv4.replaceAll(".", "\\.")));

    await idlers.stop();
    assert.equal((await blocker.stop()).code, 0);
    assert.deepEqual(await Blocker.leftovers(router), []);
  },
});
