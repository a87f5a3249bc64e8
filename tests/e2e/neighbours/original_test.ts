/** Beside a rule that another program has left, or still has, for our queue: the Go original's. */

import assert from "node:assert/strict";
import { Bed, bedImpossible, GUARDED } from "./bed.ts";

const ignore = bedImpossible("original_test.ts") !== null;

for (const bypass of [[], ["--queue-bypass"]]) {
  const rule = ["FORWARD", "-j", "NFQUEUE", "--queue-num", "0", ...bypass];
  Deno.test({
    name: `another program's rule for our queue: ${rule.slice(1).join(" ")}`,
    ignore,
    async fn() {
      await using bed = await Bed.create();
      const { router } = bed;
      for (const command of ["iptables", "ip6tables"]) {
        await router.run([command, "-I", ...rule]);
      }
      const line = new RegExp(`-A ${rule.join(" ").replace(" -j", "(?: .*)? -j")}`);
      const warned = (await bed.doctor()).get("queue rules");
      assert.equal(warned?.status, "warning");
      assert.match(warned.detail, line);
      const blocker = await bed.start();
      assert.match(blocker.log, new RegExp(`WARN .* to a queue of ours: ${line.source}`));
      await bed.isGuardedBy(blocker, "beside the rule", GUARDED);
      assert.match(
        blocker.log,
        new RegExp(
          `ERROR Packets come again after they were judged: a rule of another.*${line.source}`,
        ),
      );
      assert.doesNotMatch(blocker.log, /set by another program/);
    },
  });
}
