/** Who torrents again is banned longer (BAN_FACTOR): live, in log, record, list and kernel. */

import assert from "node:assert/strict";
import { labImpossible } from "../lab/lab.ts";
import { until } from "../until.ts";
import type { Blocker } from "./blocker.ts";
import { FlowBed, QUERY } from "./flow_bed.ts";

const impossible = labImpossible();
if (impossible !== null) console.log(`tests/e2e: skipped: ${impossible}`);

/** Torrents until banned anew; for how many seconds. */
async function offend(bed: FlowBed, blocker: Blocker): Promise<number> {
  const before = (await bansOf(blocker)).length;
  await bed.arrives("hello");
  await bed.arrives(QUERY);
  await until(async () => (await bansOf(blocker)).length > before, () => blocker.log);
  const { target, seconds } = (await bansOf(blocker)).at(-1)!;
  assert.equal(target, bed.client.ipv4);
  return seconds;
}

async function bansOf(blocker: Blocker) {
  return (await blocker.detections()).flatMap(({ bans }) => bans);
}

/** Seconds of the ban in force, as `bans list` has it. */
async function listed(blocker: Blocker): Promise<number> {
  const lines = (await blocker.command("bans", "list", "--json")).split("\n");
  const [ban] = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
  return Math.round((Date.parse(ban.until) - Date.parse(ban.since)) / 1000);
}

Deno.test({
  name: "a repeated offender is banned longer, up to the bound, and from the start when lifted",
  ignore: impossible !== null,
  async fn() {
    await using bed = await FlowBed.create();
    const settings = { BAN_DURATION: "3", BAN_FACTOR: "100", BAN_DURATION_MAX: "200" };
    const blocker = await bed.start(settings);
    assert.match(await blocker.command("status"), /for 3s, repeated offenders up to 3m20s/);
    assert.equal(await offend(bed, blocker), 3);
    const config = blocker.program.command[blocker.program.command.indexOf("--config") + 1];
    await Deno.writeTextFile(config, 'log_level = "debug"\n');
    blocker.program.kill("SIGHUP"); // which he outlives
    await blocker.program.printedMatch(/Reloaded: /);
    await until(() => bed.arrives("hello again"), () => blocker.log);
    assert.equal(await offend(bed, blocker), 200);
    assert.match(blocker.log, new RegExp(`banned ${bed.client.ipv4} for 3m20s`));
    assert.equal(await listed(blocker), 200);
    await blocker.command("bans", "remove", bed.client.ipv4);
    assert.equal(await offend(bed, blocker), 3);
  },
});
