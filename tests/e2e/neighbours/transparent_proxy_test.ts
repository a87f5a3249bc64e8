/** Beside a transparent proxy on the router: forwarded TCP is its own, once in and once out. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Bed, bedImpossible, FREE, GUARDED } from "./bed.ts";

const ignore = bedImpossible("transparent_proxy_test.ts", "python3") !== null;
const PROXY = fileURLToPath(new URL("./transparent_proxy.py", import.meta.url));

/** As Linux' Documentation/networking/tproxy.rst has it. */
async function divert(bed: Bed): Promise<void> {
  const { router } = bed;
  for (const [command, ip, all] of [["iptables", "-4", "0.0.0.0/0"], ["ip6tables", "-6", "::/0"]]) {
    const mangle = (...rule: string[]) =>
      router.run([command, "-t", "mangle", "-A", "PREROUTING", ...rule]);
    await mangle("-p", "tcp", "-m", "socket", "--transparent", "-j", "MARK", "--set-mark", "1/1");
    for (const { routerInterface } of [bed.client, bed.torrenter]) {
      const to = ["-j", "TPROXY", "--on-port", "1234", "--tproxy-mark", "1/1"];
      await mangle("-i", routerInterface, "-p", "tcp", ...to);
    }
    await router.run(["ip", ip, "rule", "add", "fwmark", "1/1", "lookup", "100"]);
    await router.run(["ip", ip, "route", "add", "local", all, "dev", "lo", "table", "100"]);
  }
}

for (const how of ["spoof", "plain"]) {
  Deno.test({
    name:
      `a transparent proxy (TPROXY, ${how}): named where only FORWARD is judged, judged with INPUT and OUTPUT`,
    ignore,
    async fn() {
      await using bed = await Bed.create();
      await divert(bed);
      const proxy = bed.spawn(["python3", PROXY, "1234", how]);
      await proxy.printedMatch(/listens[^]*listens/);
      assert.deepEqual(await bed.exchange(), FREE);
      const theirs = await bed.rules();

      const told = (await bed.doctor()).get("proxy rules");
      assert.equal(told?.status, "warning");
      assert.match(told.detail, /-j TPROXY/);
      const forwarding = await bed.start();
      assert.match(
        forwarding.log,
        /WARN .*a proxy on this machine, which FORWARD does not see: .*TPROXY/,
      );
      await forwarding.stop();

      const CHAINS = "FORWARD,INPUT,OUTPUT";
      assert.equal((await bed.doctor({ CHAINS })).get("proxy rules"), undefined);
      const blocker = await bed.start({ CHAINS });
      assert.deepEqual(await bed.exchange(), GUARDED, blocker.log);
      assert.doesNotMatch(blocker.log, /WARN|ERROR/);
      assert.equal((await blocker.stop()).code, 0, blocker.log);
      assert.equal(await bed.rules(), theirs);
    },
  });
}
