/**
 * Real programs that are not BitTorrent, each alone through the gateway: every exchange completes,
 * nothing is detected, nobody is banned.
 */

import assert from "node:assert/strict";
import { Lab, labImpossible, programPresent } from "../lab/lab.ts";
import { ALL_CONVERSATIONS } from "../lab/programs/all.ts";
import { Blocker } from "./blocker.ts";

const impossible = labImpossible();

for (const conversation of ALL_CONVERSATIONS) {
  const missing = impossible === null
    ? conversation.programs.filter((program) => !programPresent(program))
    : [];
  const why = impossible ?? (missing.length > 0 ? `${missing.join(", ")} missing` : null);
  Deno.test({
    name: `gateway: ${conversation.name} passes untouched${
      why === null ? "" : ` (skipped: ${why})`
    }`,
    ignore: why !== null,
    async fn() {
      await using lab = await Lab.create({ outer: 1 });
      const interfaces = lab.network.hosts.map((host) => host.routerInterface);
      const blocker = await Blocker.start(lab.router, interfaces, lab.directory);
      await conversation.run(lab);
      // It was in the path, or the test proves nothing.
      const status = JSON.parse(await blocker.command("status", "--json"));
      const settled = status.firstLook?.packets ?? 0;
      assert.ok(status.counters.payloadPackets + settled > 0, "no packet was judged");
      assert.equal(status.bans, 0);
      assert.deepEqual(await blocker.detections(), []);
      assert.equal((await blocker.stop()).code, 0, blocker.log);
    },
  });
}
