/** The blocker in a container that shares the host's network: another /run, the same bpffs. */
import assert from "node:assert/strict";
import { isPresent, showPresence } from "../../src/blocker/presence.ts";
import { Network } from "../../src/demo/network.ts";
import { blockerCommand } from "../e2e/blocker.ts";
import { liveImpossible } from "../gateway/live.ts";

const impossible = liveImpossible("unshare", "mount");
if (impossible !== null) console.log(`tests/blocker/container: skipped: ${impossible}`);

Deno.test({
  name: "bans and status on the host while it runs in a container: refused, nothing is lifted",
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btct");
    const host = await network.addHost("host");
    const config = `${network.directory}/config.toml`;
    await Deno.writeTextFile(config, "");
    const inContainer = 'mount --make-rprivate / && mount -t tmpfs tmpfs /run && exec "$@"';
    const program = network.router.spawn(
      [
        ...["unshare", "--mount", "sh", "-c", inContainer, "sh"],
        ...[...blockerCommand(), "run", "--config", config],
      ],
      { env: { QUEUE_COUNT: "1", INTERFACE: host.routerInterface } },
    );
    await program.printedMatch(/Guarding FORWARD/);
    // Root and directory too: with the mounts alone they would be those of the machine, which are
    // others where the tests run in a chroot.
    const itsOwn = () => {
      const proc = `/proc/${program.pid}`;
      return [`--mount=${proc}/ns/mnt`, `--root=${proc}/root`, `--wd=${proc}/cwd`];
    };
    const inside = (...args: string[]) =>
      network.router.run(["nsenter", ...itsOwn(), ...blockerCommand(), ...args]);
    const outside = (...args: string[]) => network.router.run([...blockerCommand(), ...args]);
    await inside("bans", "add", "203.0.113.9");
    for (
      const args of [["bans", "remove", "203.0.113.9"], ["bans", "clear"], ["bans", "list"], [
        "status",
      ]]
    ) {
      await assert.rejects(
        outside(...args),
        /it runs in this network namespace, but not with this \/run\/btblocker.*docker exec/,
        args.join(" "),
      );
    }
    assert.match(await inside("bans", "list"), /203\.0\.113\.9/);
    assert.match(await inside("bans", "remove", "203.0.113.9"), /no longer banned/);
    assert.equal((await program.stop()).code, 0, program.text());
    await assert.rejects(outside("status"), /does not run in this network namespace/);
  },
});

Deno.test({
  name: "presence: seen by those of the same directory and namespace, until it ends",
  ignore: Deno.build.os !== "linux",
  fn() {
    const directory = `/run/btblocker-test-${Deno.pid}`;
    assert.equal(isPresent(1, directory), false);
    using shown = showPresence(1, directory);
    assert.equal(isPresent(1, directory), true);
    assert.equal(isPresent(2, directory), false);
    assert.equal(isPresent(1, `${directory}x`), false);
    shown[Symbol.dispose]();
    assert.equal(isPresent(1, directory), false);
  },
});
