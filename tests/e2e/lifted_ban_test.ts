/** A lifted ban does not come back for what the closed client's system sends again. */

import assert from "node:assert/strict";
import { CLIENTS, Lab, labImpossible, programPresent, startSwarm } from "../lab/lab.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

const { libtorrent } = CLIENTS;
const impossible = labImpossible() ??
  (programPresent(libtorrent.program) ? null : `needs ${libtorrent.program}`);
if (impossible !== null) console.log(`tests/e2e/lifted_ban: skipped: ${impossible}`);

Deno.test({
  name: "bans remove: a client that is closed is not banned anew for what was on its way",
  ignore: impossible !== null,
  async fn() {
    await using lab = await Lab.create({ outer: 1 });
    const interfaces = lab.network.hosts.map((host) => host.routerInterface);
    const blocker = await Blocker.start(lab.router, interfaces, lab.directory);
    const { leecher } = await startSwarm(lab, {
      ...{ seeder: libtorrent, leecher: libtorrent, mode: "tcp", discovery: "direct" },
    });
    const user = lab.inner.ipv4;
    await until(async () => (await blocker.banned()).has(user), () => blocker.log);
    await leecher.program.stop("SIGKILL");
    const orphans = await lab.inner.run(["ss", "-Htn", "state", "fin-wait-1"]);
    assert.notEqual(orphans.trim(), "", "its system has something to send");

    const before = (await blocker.detections()).length;
    assert.match(
      await blocker.command("bans", "remove", user),
      /no longer banned; \d+ flows? judged anew/,
    );
    await until(async () => (await blocker.detections()).length > before, () => blocker.log);
    const [again] = (await blocker.detections()).slice(before);
    assert.deepEqual([again.src_ip, again.action, again.bans], [user, "dropped", []]);
    assert.doesNotMatch(await blocker.command("bans", "list"), new RegExp(user));

    // A connection that begins after that is another matter.
    await libtorrent.start({ ...leecher.options, directory: await lab.newDirectory("again") });
    await until(async () => (await blocker.command("bans", "list")).includes(user));
  },
});
