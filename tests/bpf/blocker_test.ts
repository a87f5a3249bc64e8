/** Bans of the whole blocker (`btblocker run`) over a crash and a stop. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { until } from "../until.ts";
import { namespaceProblem, Namespaces } from "./namespaces.ts";

const main = fileURLToPath(new URL("../../main.ts", import.meta.url));

/** Why the blocker cannot run here. */
const problem = namespaceProblem ?? (() => {
  try {
    Deno.dlopen("libnetfilter_queue.so.1", {}).close();
    new Deno.Command("iptables", { args: ["--version"] }).outputSync();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
})();
if (problem !== null) console.log(`Tests of the blocker's bans are skipped: ${problem}`);

async function start(hosts: Namespaces): Promise<Deno.ChildProcess> {
  const args = ["run", "-q", "-A", main, "run", "--interface", "v0", "--chains", "INPUT,OUTPUT"]
    .concat("--xdp-mode", "generic");
  const child = hosts.command(
    "gateway",
    { stdout: "null", stderr: "null" },
    Deno.execPath(),
    ...args,
  )
    .spawn();
  const isThere = async () => (await hosts.btblocker("bans", "list")).code === 0;
  await until(isThere, () => "the blocker has not started");
  return child;
}

async function isAttached(hosts: Namespaces): Promise<boolean> {
  return (await hosts.ip("gateway", "link", "show", "v0")).includes("prog/xdp");
}

async function banned(hosts: Namespaces): Promise<string[]> {
  const { stdout } = await hosts.btblocker("bans", "list", "--json");
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).address);
}

Deno.test(
  "a killed blocker leaves nothing attached and finds its bans again; a stopped one forgets",
  {
    ignore: problem !== null,
  },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", { gateway: ["10.9.1.1/24"], outside: ["10.9.1.2/24"] });
    const first = await start(hosts);
    assert.equal((await hosts.btblocker("bans", "add", "10.9.1.2")).code, 0);
    await until(() => isAttached(hosts), () => "a ban attaches nothing");
    first.kill("SIGKILL");
    await first.status;
    // The kernel lets go of a link a little after its process has ended.
    await until(async () => !await isAttached(hosts), () => "it stays attached");
    const second = await start(hosts);
    await until(() => isAttached(hosts), () => "a ban of the run before attaches nothing");
    assert.deepEqual(await banned(hosts), ["10.9.1.2"]);
    second.kill("SIGTERM");
    assert.equal((await second.status).code, 0);
    assert.equal(await isAttached(hosts), false);
    assert.equal((await hosts.run("gateway", "find", "/sys/fs/bpf/btblocker")).code, 1, "no pins");
    assert.equal((await hosts.btblocker("bans", "list")).code, 1);
  },
);
