/** How the blocker ends: when what started it is gone, and when the lock of iptables is held. */
import assert from "node:assert/strict";
import { starters, watchStarters } from "../../src/blocker/starters.ts";
import { Network } from "../../src/demo/network.ts";
import { blockerCommand } from "../e2e/blocker.ts";
import { liveImpossible, program, savedRules } from "../gateway/live.ts";
import { until } from "../until.ts";

const isLinux = Deno.build.os === "linux";
const impossible = liveImpossible("iptables-legacy", "flock");
if (impossible !== null) console.log(`tests/blocker/stop: skipped: ${impossible}`);

/** A /proc of processes: number, name, parent, command line. */
async function fakeProc(rows: readonly [number, string, number, string][]): Promise<string> {
  const proc = await Deno.makeTempDir({ prefix: "btblocker-proc-" });
  for (const [pid, comm, parent, words] of rows) {
    await Deno.mkdir(`${proc}/${pid}`);
    const rest = `S ${parent} ${"0 ".repeat(17)}${pid * 10} 0`;
    await Deno.writeTextFile(`${proc}/${pid}/stat`, `${pid} (${comm}) ${rest}\n`);
    await Deno.writeTextFile(`${proc}/${pid}/cmdline`, words.replaceAll(" ", "\0"));
  }
  return proc;
}

const chains: readonly [string, [number, string, number, string][], number[]][] = [
  ["npx -y deno task run in a shell", [
    [1, "systemd", 0, "/sbin/init"],
    [50, "bash", 1, "-bash"],
    [51, "sudo", 50, "sudo npx"],
    [52, "npm exec deno@2", 51, "npm exec deno@2.9 task run"],
    [53, "sh", 52, "sh -c deno task run"],
    [54, "node", 53, "node /x/bin.cjs task run"],
    [55, "deno", 54, "deno task run"],
    [56, "deno", 55, "deno task --quiet btblocker run"],
  ], [56, 55, 54, 53, 52]],
  ["a shell in the background", [
    [1, "systemd", 0, "/sbin/init"],
    [56, "bash", 1, "-bash"],
  ], []],
  ["a script at boot", [[1, "init", 0, "init"], [56, "sh", 1, "sh -c btblocker"]], []],
  ["a service manager", [[1, "systemd", 0, "init"], [56, "runsv", 1, "runsv btblocker"]], []],
  ["init", [], []],
  ["a name that looks like the end of the field", [
    [55, "a) S 1 (b", 1, "x"],
    [56, "deno", 55, "deno task"],
  ], [56]],
];
for (const [name, rows, wanted] of chains) {
  Deno.test(`starters() of one started by ${name}`, async () => {
    const proc = await fakeProc(rows);
    assert.deepEqual(starters(rows.length === 0 ? 1 : 56, proc).map(({ pid }) => pid), wanted);
    await Deno.remove(proc, { recursive: true });
  });
}

Deno.test("watchStarters() tells of one that is gone, and of a number used again", async () => {
  const gone: number[] = [];
  const rows: [number, string, number, string][] = [[55, "npm", 1, "npm"], [
    56,
    "deno",
    55,
    "deno",
  ]];
  for (const pid of [55, 56]) {
    const proc = await fakeProc(rows);
    using _ = watchStarters(starters(56, proc), (one) => gone.push(one.pid), proc);
    if (pid === 55) await Deno.remove(`${proc}/55`, { recursive: true });
    else {
      const stat = await Deno.readTextFile(`${proc}/56/stat`);
      await Deno.writeTextFile(`${proc}/56/stat`, stat.replace(" 560 ", " 999 "));
    }
    await until(() => gone.at(-1) === pid);
    await Deno.remove(proc, { recursive: true });
  }
  assert.deepEqual(gone, [55, 56]);
});

Deno.test({
  name: "starters() of this test: the programs that run it",
  ignore: !isLinux,
  fn() {
    for (const { pid, started } of starters()) {
      assert.ok(pid > 1 && /^\d+$/.test(started));
    }
  },
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  Deno.test({
    name: `${signal} to the task runner that started it: it stops and leaves nothing`,
    ignore: impossible !== null,
    async fn() {
      await using network = await Network.create("btst");
      const host = await network.addHost("host");
      const config = `${network.directory}/config.toml`;
      const runnerFile = `${network.directory}/deno.json`;
      await Deno.writeTextFile(config, "");
      const command = [...blockerCommand(), "run", "--config", config].join(" ");
      await Deno.writeTextFile(runnerFile, JSON.stringify({ tasks: { guard: command } }));
      const log = `${network.directory}/log`;
      const runner = network.router.spawn(
        [Deno.execPath(), "task", "--quiet", "--config", runnerFile, "guard"],
        { log, env: { QUEUE_COUNT: "1", INTERFACE: host.routerInterface } },
      );
      await runner.printedMatch(/Guarding FORWARD/);
      assert.match(await savedRules(network.router), /BTBLOCKER/);
      Deno.kill(runner.pid, signal); // to it alone, not to its group
      await runner.status;
      await until(
        async () => !/BTBLOCKER/.test(await savedRules(network.router)),
        () => Deno.readTextFileSync(log),
      );
      await until(() => /Stopping/.test(Deno.readTextFileSync(log)));
    },
  });
}

Deno.test({
  name:
    "the lock of iptables is held by another: it stops within TimeoutStopSec, and says what stays",
  ignore: impossible !== null,
  async fn() {
    const unit = await Deno.readTextFile(
      new URL("../../deploy/systemd/btblocker.service", import.meta.url),
    );
    assert.match(unit, /^StartLimitIntervalSec=0$/m);
    const seconds = Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)![1]);
    await using network = await Network.create("btst");
    await network.addHost("host");
    const lock = `${network.directory}/lock`;
    const gateway = network.router.spawn(
      program("gateway", JSON.stringify({ backend: "legacy" })),
      { env: { XTABLES_LOCKFILE: lock } },
    );
    await gateway.printedMatch(/^ready$/m);
    const holder = network.router.spawn(["flock", lock, "sh", "-c", "echo held; exec sleep 120"]);
    await holder.printedMatch(/held/);
    Deno.kill(gateway.pid, "SIGTERM"); // as KillMode=mixed: the commands it runs get none
    const patience = setTimeout(() => gateway.kill("SIGKILL"), seconds * 1_000); // as systemd does
    const { signal } = await gateway.status;
    clearTimeout(patience);
    assert.equal(signal, null, gateway.text());
    assert.match(
      gateway.text(),
      /failed: Cannot remove the firewall rules in 7 seconds.*rules remove/,
    );
    await holder.stop();
  },
});
