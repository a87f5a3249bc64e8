/** What was dropped is not dropped for ever: a flow's mark ends with the ban, with every way to end it. */

import assert from "node:assert/strict";
import { labImpossible } from "../lab/lab.ts";
import { until } from "../until.ts";
import { FlowBed, PORT, QUERY } from "./flow_bed.ts";

const impossible = labImpossible();
if (impossible !== null) console.log(`tests/e2e: skipped: ${impossible}`);
const ignore = impossible !== null;

Deno.test({
  name: "bans remove: the flow passes again, and not before",
  ignore,
  async fn() {
    await using bed = await FlowBed.create();
    const blocker = await bed.start({ BAN_TARGET: "none" });
    await bed.torrent(blocker);
    const printed = await blocker.command("bans", "remove", bed.client.ipv4);
    assert.match(printed, /was not banned; 1 flow judged anew/);
    await until(() => bed.arrives("hello again"), () => blocker.log);
    assert.equal(await bed.arrives(QUERY), false); // and it is judged
  },
});

Deno.test({
  name: "a ban that ends takes the flow's mark with it",
  ignore,
  async fn() {
    await using bed = await FlowBed.create();
    const blocker = await bed.start({ BAN_DURATION: "3" });
    await bed.torrent(blocker);
    await until(() => bed.arrives("hello again"), () => blocker.log);
  },
});

Deno.test({
  name: "a reload with the port whitelisted, and a restart, forget what no ban holds",
  ignore,
  async fn() {
    await using bed = await FlowBed.create();
    const first = await bed.start({ BAN_TARGET: "none" });
    await bed.torrent(first);
    const config = first.program.command[first.program.command.indexOf("--config") + 1];
    await Deno.writeTextFile(config, `whitelist_ports = [${PORT}]\n`);
    first.program.kill("SIGHUP");
    await first.program.printedMatch(/Reloaded: /);
    await until(() => bed.arrives("hello again"), () => first.log);
    await until(() => bed.arrives(QUERY), () => `a whitelisted service: ${first.log}`);
    await Deno.writeTextFile(config, "");
    first.program.kill("SIGHUP");
    await until(() => (first.log.match(/Reloaded: /g) ?? []).length === 2);
    assert.equal(await bed.arrives(QUERY), false);
    await first.stop();
    const second = await bed.start({ BAN_TARGET: "none" });
    await until(() => bed.arrives("hello once more"), () => second.log);
  },
});
