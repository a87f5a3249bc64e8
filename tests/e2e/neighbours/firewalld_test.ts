/** Beside firewalld as Debian has it, on a bus of its own, with both of its back ends. */

import assert from "node:assert/strict";
import type { Program } from "../../../src/demo/program.ts";
import { until } from "../../until.ts";
import { Bed, bedImpossible, FREE, GUARDED, inNoOrder } from "./bed.ts";
import { REFUSED_PORT } from "./traffic.ts";

const NEEDED = ["firewalld", "firewall-cmd", "dbus-daemon"];
const ignore = bedImpossible("firewalld_test.ts", ...NEEDED) !== null;

/** dbus-daemon(1): a system bus that root alone reaches, since its directory is root's. */
const BUS = (socket: string) =>
  `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
    "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
  <busconfig>
    <type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
    <policy context="default">
      <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/>
    </policy>
  </busconfig>`;

/** A router: users in one zone, the server in another, whose one port is closed. */
const ZONES: Readonly<Record<string, string>> = {
  "zones/internal.xml": `<zone>
    <interface name="to_client"/><interface name="to_torrenter"/></zone>`,
  "zones/external.xml": `<zone><interface name="to_server"/><masquerade/></zone>`,
  "policies/out.xml": `<policy target="ACCEPT">
    <ingress-zone name="internal"/><egress-zone name="external"/>
    <rule><port port="${REFUSED_PORT}" protocol="tcp"/><reject/></rule></policy>`,
};

class Firewalld {
  private constructor(
    private readonly bed: Bed,
    private readonly etc: string,
    private readonly env: Record<string, string>,
    public daemon: Program,
  ) {}

  static async start(bed: Bed, backend: "nftables" | "iptables"): Promise<Firewalld> {
    const { directory } = bed.network;
    await Deno.writeTextFile(`${directory}/bus.conf`, BUS(`${directory}/bus`));
    const bus = ["dbus-daemon", `--config-file=${directory}/bus.conf`, "--nofork", "--nopidfile"];
    await bed.spawn([...bus, "--print-address"]).printedMatch(/unix:/);
    const etc = `${directory}/firewalld`;
    await bed.router.run(["cp", "-a", "/etc/firewalld", etc]);
    const settings = `${etc}/firewalld.conf`;
    const shipped = await Deno.readTextFile(settings);
    await Deno.writeTextFile(
      settings,
      shipped.replace(/^FirewallBackend=.*$/m, `FirewallBackend=${backend}`),
    );
    for (const [name, text] of Object.entries(ZONES)) {
      await Deno.writeTextFile(`${etc}/${name}`, text);
    }
    const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${directory}/bus` };
    return new Firewalld(bed, etc, env, await run(bed, etc, env));
  }

  async command(...args: string[]): Promise<string> {
    const env = Object.entries(this.env).map(([name, value]) => `${name}=${value}`);
    return await this.bed.router.run(["env", ...env, "firewall-cmd", ...args]);
  }

  async restart(): Promise<void> {
    await this.daemon.stop();
    this.daemon = await run(this.bed, this.etc, this.env);
  }
}

async function run(bed: Bed, etc: string, env: Record<string, string>): Promise<Program> {
  const options = ["--nofork", "--nopid", "--system-config", etc];
  const log = `${bed.network.directory}/firewalld.log`;
  const daemon = bed.spawn(["firewalld", ...options], { env, log });
  const state = ["env", `DBUS_SYSTEM_BUS_ADDRESS=${env.DBUS_SYSTEM_BUS_ADDRESS}`];
  const isRunning = () =>
    bed.router.run([...state, "firewall-cmd", "--state"]).then(() => true, () => false);
  await until(isRunning, () => daemon.text());
  return daemon;
}

for (const backend of ["nftables", "iptables"] as const) {
  Deno.test({
    name: `firewalld (${backend}): reloaded, completely too, and restarted while the blocker runs`,
    ignore,
    async fn() {
      await using bed = await Bed.create();
      const firewalld = await Firewalld.start(bed, backend);
      const theirs = await bed.rules();
      assert.deepEqual(await bed.exchange(), { ...FREE, refusable: 0 }, theirs);

      const blocker = await bed.start();
      const expected = { ...GUARDED, refusable: 0 };
      await bed.isGuardedBy(blocker, "beside firewalld", expected);
      const found = await bed.doctor();
      assert.equal(found.get("running")?.status, "ok");
      assert.match(found.get("marks")!.detail, /^nobody else uses the bits /);
      await firewalld.command("--reload");
      await bed.isGuardedBy(blocker, "after a reload", expected);
      await firewalld.command("--complete-reload");
      await bed.isGuardedBy(blocker, "after a complete reload", expected);
      await firewalld.restart();
      await bed.isGuardedBy(blocker, "after a restart", expected);
      // It empties all tables of iptables, with either back end.
      assert.match(blocker.log, /Another program removed the firewall rules/);
      assert.doesNotMatch(blocker.log, /ERROR/);
      assert.equal((await blocker.stop()).code, 0, blocker.log);
      // It writes its policies in the order of a set, another one after each start.
      assert.deepEqual(inNoOrder(await bed.rules()), inNoOrder(theirs));
    },
  });
}
