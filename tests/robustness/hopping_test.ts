/** Who hops from address to address of his own IPv6 networks: banned by the prefix, and nobody's ban goes. */
import assert from "node:assert/strict";
import { DHT_PING } from "../engine/conversation.ts";
import { until } from "../until.ts";
import { Bed, impossible } from "./bed.ts";
import { ip, UDP, udp } from "./packets.ts";

const BATCH = 200;
const BY_HAND = ["192.0.2.1", "2001:db8:99::/64", "198.51.100.0/24"];
const LIMIT = 8_192;
/** What one network's automatic bans may have of it, an IPv6 /48's too (ban_buckets.ts). */
const SHARE = LIMIT / 16;
const WORKERS = 2;

Deno.test({
  name:
    "IPv6: an address a datagram out of one /64 is one ban; a /64 each out of a /48 evicts none by hand",
  ignore: impossible !== null,
  async fn() {
    await using bed = await Bed.create();
    const link = bed.attacker.routerInterface;
    await bed.router.run(["ip", "-6", "route", "add", "2001:db8:77::/48", "dev", link]);
    // The target is in the internet: a machine without an uplink does not tell who is inside.
    const uplink = bed.target.routerInterface;
    await bed.router.run(["ip", "-6", "route", "add", "default", "dev", uplink]);
    await bed.start({ BAN_LIMIT: String(LIMIT) });
    await bed.blocker.command("bans", "add", ...BY_HAND);
    const sendFrom = async (sources: string[]) => {
      for (let at = 0; at < sources.length; at += BATCH) {
        await bed.sendPackets(
          ...sources.slice(at, at + BATCH).map((source, index) => {
            const ends = { source, destination: bed.target.ipv6 };
            return ip({ ...ends, protocol: UDP }, udp(2_000 + index, 6_881, DHT_PING, ends));
          }),
        );
      }
    };
    const hops = (count: number, hop: (number: string) => string) =>
      Array.from({ length: count }, (_, i) => hop((i + 1).toString(16)));

    await sendFrom(["2001:db8:77::ffff"]);
    await until(
      async () => (await bed.banned()).includes("2001:db8:77::/64"),
      () => bed.blocker.log,
    );
    const { counters, xdp } = await bed.accounted();
    const dropped = (status: { xdp: typeof xdp }) =>
      status.xdp.reduce((sum, { packetsDropped }) => sum + packetsDropped, 0);
    const before = dropped({ xdp });
    await sendFrom(hops(1_000, (number) => `2001:db8:77::${number}`));
    const after = await bed.settled((status) => dropped(status) - before >= 1_000);
    assert.equal(after.counters.detections, counters.detections, "none of them is judged");
    assert.deepEqual((await bed.banned()).sort(), ["2001:db8:77::/64", ...BY_HAND].sort());

    await sendFrom(hops(1_000, (number) => `2001:db8:77:${number}::1`));
    await bed.accounted();
    const banned = await bed.banned();
    for (const one of BY_HAND) assert.ok(banned.includes(one), `${one} in ${banned.length} bans`);
    const most = SHARE + BY_HAND.length + WORKERS - 1; // the others may each insert one meanwhile
    assert.ok(banned.length > BY_HAND.length + 1 && banned.length <= most, `${banned.length} bans`);
    await bed.download(); // others are served
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});
