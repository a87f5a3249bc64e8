/** The blocker while its fleet's API is away: a ban lifted here must not come back from the spool. */
import assert from "node:assert/strict";
import { DHT_PING } from "../engine/conversation.ts";
import { Bed, impossible } from "../robustness/bed.ts";
import { ip, UDP, udp } from "../robustness/packets.ts";
import { until } from "../until.ts";

const TOKEN = "a token of more than sixteen".replaceAll(" ", "-");

Deno.test({
  name: "a ban lifted while the API is away is not told later: bans remove, the page, bans clear",
  ignore: impossible !== null,
  async fn() {
    await using bed = await Bed.create();
    const spool = `${bed.network.directory}/spool`;
    const blocker = await bed.start({
      FLEET_URL: "http://127.0.0.1:9/",
      FLEET_LOGIN: "gw",
      FLEET_PASSWORD: "password",
      FLEET_SPOOL: spool,
      FLEET_PRIVATE: "true", // the offenders are of 10.0.0.0/8
      BAN_TARGET: "source",
      STATUS_LISTEN: "127.0.0.1:9980",
      STATUS_TOKEN: TOKEN,
    });
    const saved = async () =>
      (await Deno.readTextFile(`${spool}/fleet-gw.spool`)).split("\n").filter((line) => line !== "")
        .map((line) => JSON.parse(line).address).sort();
    const offenders = [1, 2, 3, 4].map((last) => `10.9.1.${last}`);
    await bed.sendPackets(...offenders.map((source) => {
      const ends = { source, destination: bed.target.ipv4 };
      return ip({ ...ends, protocol: UDP }, udp(6881, 6881, DHT_PING, ends));
    }));
    await until(async () => (await saved()).length === 4);
    assert.match(await blocker.command("bans", "remove", "10.9.1.1"), /no longer banned/);
    assert.deepEqual(await saved(), offenders.slice(1));
    await assert.rejects(blocker.command("bans", "remove", "--fleet", "10.9.1.2"), /Cannot lift/);
    assert.deepEqual(await saved(), offenders.slice(2));
    const headers = [`Authorization: Bearer ${TOKEN}`, "Content-Type: application/json"]
      .flatMap((header) => ["-H", header]);
    const body = JSON.stringify({ address: "10.9.1.3" });
    const page = "http://127.0.0.1:9980/api/bans/remove";
    await bed.router.run(["curl", "-sf", ...headers, "-d", body, page]);
    assert.deepEqual(await saved(), offenders.slice(3));
    await blocker.command("bans", "clear");
    assert.deepEqual(await saved(), []);
    assert.equal((await blocker.stop()).code, 0);
  },
});
