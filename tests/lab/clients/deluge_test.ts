/** Deluge's driver leaves nothing behind. */

import assert from "node:assert/strict";
import { createTorrent } from "../../../src/demo/torrent.ts";
import { until } from "../../until.ts";
import { FIRST_PEER_PORT } from "../client.ts";
import { CLIENTS, Lab, labImpossible, programPresent } from "../lab.ts";

Deno.test({
  name: "deluge: its console ends with the lab, also while it is being asked",
  ignore: labImpossible() !== null || !programPresent(CLIENTS.deluge.program),
  async fn() {
    const lab = await Lab.create({ outer: 1 });
    const consoles = async () => {
      const pids = (await lab.network.router.run(["ip", "netns", "pids", lab.inner.namespace]))
        .split("\n").filter((pid) => pid !== "");
      return pids.filter((pid) => /deluge-console/.test(commandOf(pid)));
    };
    const starting = CLIENTS.deluge.start({
      host: lab.inner,
      directory: await lab.newDirectory("deluge"),
      torrent: createTorrent({ length: 1 << 16 }),
      mode: "tcp",
      role: "leech",
      port: FIRST_PEER_PORT,
    });
    const ended = starting.then(() => {}, () => {});
    await until(async () => (await consoles()).length > 0);
    const [pid] = await consoles();
    await lab.dispose();
    await until(() => commandOf(pid) === "");
    await ended;
    assert.equal(commandOf(pid), "");
  },
});

/** Empty when there is no such process. */
function commandOf(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch {
    return "";
  }
}
