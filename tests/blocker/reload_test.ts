/** Reloads of the running blocker: taken over whole, or refused with everything as it was. */
import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import type { Status } from "../../src/status/status.ts";
import { blockerCommand } from "../e2e/blocker.ts";
import { liveImpossible, savedRules } from "../gateway/live.ts";
import { until } from "../until.ts";

const impossible = liveImpossible();
if (impossible !== null) console.log(`tests/blocker/reload: skipped: ${impossible}`);

/** Directory with iptables commands of which those named in its file `broken` fail to restore. */
async function brokenTools(directory: string): Promise<string> {
  const tools = `${directory}/tools`;
  await Deno.mkdir(tools);
  for (const name of ["iptables-restore", "ip6tables-restore"]) {
    const script = `#!/bin/sh
if grep -qx "${name}" ${tools}/broken 2>/dev/null; then
  cat > /dev/null; echo "${name}: line 7 failed, as asked" >&2; exit 4
fi
PATH=/usr/sbin:/sbin:/usr/bin:/bin exec ${name} "$@"
`;
    await Deno.writeTextFile(`${tools}/${name}`, script, { mode: 0o755 });
  }
  return tools;
}

/** Without the counts and times that change by themselves. */
function plain(rules: string): string {
  return rules.replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "[0:0]");
}

for (const broken of ["iptables-restore", "ip6tables-restore"]) {
  Deno.test({
    name: `a reload whose ${broken} fails changes nothing: mode, rules, XDP, whitelist, workers`,
    ignore: impossible !== null,
    async fn() {
      await using network = await Network.create("btrl");
      const host = await network.addHost("host");
      const tools = await brokenTools(network.directory);
      const config = `${network.directory}/config.toml`;
      await Deno.writeTextFile(config, "ban_duration = 600\n");
      const program = network.router.spawn([...blockerCommand(), "run", "--config", config], {
        env: {
          PATH: `${tools}:${Deno.env.get("PATH")}`,
          QUEUE_COUNT: "1",
          INTERFACE: host.routerInterface,
        },
      });
      await program.printedMatch(/Guarding FORWARD/);
      const command = (...args: string[]) => network.router.run([...blockerCommand(), ...args]);
      const status = async () => JSON.parse(await command("status", "--json")) as Status;
      await command("bans", "add", "203.0.113.9");
      const before = await status();
      const rules = plain(await savedRules(network.router));
      assert.deepEqual(before.xdp.map(({ problem }) => problem), [null]);

      await Deno.writeTextFile(`${tools}/broken`, `${broken}\n`);
      const asked = 'monitor_only = true\nban_duration = 60\nwhitelist_ips = ["203.0.113.9"]\n';
      await Deno.writeTextFile(config, asked);
      program.kill("SIGHUP");
      await program.printedMatch(/Cannot reload, the settings stay as they were: .*as asked/);
      const after = await status();
      assert.equal(after.monitorOnly, false);
      assert.equal(after.banDurationSeconds, 600);
      assert.deepEqual(after.xdp.map(({ mode }) => mode), before.xdp.map(({ mode }) => mode));
      assert.match(await command("bans", "list"), /203\.0\.113\.9/);
      // What could not be put back at once is put back as soon as it can.
      await Deno.remove(`${tools}/broken`);
      const isAsBefore = async () => plain(await savedRules(network.router)) === rules;
      await until(isAsBefore, () => program.text());

      program.kill("SIGHUP");
      await program.printedMatch(/Reloaded: .*MONITOR_ONLY/);
      const now = await status();
      assert.equal(now.monitorOnly, true);
      assert.deepEqual(now.xdp, []);
      assert.match(await command("bans", "list"), /No bans/);
      assert.equal((await program.stop()).code, 0, program.text());
    },
  });
}
