/** Beside ufw as Debian has it: enabled before us, reloaded, disabled and enabled again. */

import assert from "node:assert/strict";
import { Bed, bedImpossible, FREE, GUARDED } from "./bed.ts";
import { REFUSED_PORT } from "./traffic.ts";

const ignore = bedImpossible("ufw_test.ts", "ufw") !== null;

/** ufw with a copy of its files, in a mount namespace of each command's own. */
async function installUfw(bed: Bed): Promise<(...args: string[]) => Promise<string>> {
  const files = await Deno.makeTempDir({ dir: bed.network.directory, prefix: "ufw-" });
  const copies = [["/etc/ufw", "etc"], ["/etc/default/ufw", "default"], ["/run/ufw.lock", "lock"]];
  const mounts: string[] = [];
  await Deno.writeTextFile("/run/ufw.lock", "", { append: true });
  for (const [path, name] of copies) {
    await bed.router.run(["cp", "-a", path, `${files}/${name}`]);
    mounts.push(`mount --bind ${files}/${name} ${path}`);
  }
  const script = `${mounts.join(" && ")} && exec ufw "$@"`;
  return (...args) => bed.router.run(["unshare", "--mount", "sh", "-c", script, "ufw", ...args]);
}

Deno.test({
  name: "ufw: enabled, reloaded, disabled, enabled while the blocker runs",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const ufw = await installUfw(bed);
    await ufw("allow", "22/tcp");
    await ufw("route", "deny", "in", "on", "to_client", "to", "any", "port", String(REFUSED_PORT));
    for (const name of ["to_client", "to_torrenter"]) await ufw("route", "allow", "in", "on", name);
    await ufw("--force", "enable");
    const theirs = await bed.rules();
    assert.match(theirs, /ufw-user-forward -i to_client/);
    assert.deepEqual(await bed.exchange(), { ...FREE, refusable: 0 });

    const blocker = await bed.start();
    const refusing = { ...GUARDED, refusable: 0 };
    await bed.isGuardedBy(blocker, "beside ufw", refusing);
    const found = await bed.doctor();
    assert.equal(found.get("running")?.status, "ok");
    assert.match(found.get("marks")!.detail, /^nobody else uses the bits /);
    await ufw("reload");
    await bed.isGuardedBy(blocker, "after a reload", refusing);
    await ufw("disable");
    await bed.isGuardedBy(blocker, "ufw disabled", GUARDED);
    await ufw("--force", "enable");
    await bed.isGuardedBy(blocker, "enabled while we run", refusing);
    assert.doesNotMatch(blocker.log, /WARN|ERROR/);
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    assert.equal(await bed.rules(), theirs);
  },
});
