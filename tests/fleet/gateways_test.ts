/**
 * Three gateways, each with a network of its own behind it, and a real Local API that they reach over
 * separate links: what one bans all drop, whatever dies or is cut off on the way.
 */
import assert from "node:assert/strict";
import { type Host, Network } from "../../src/demo/network.ts";
import { banKey, Blocker } from "../e2e/blocker.ts";
import { startFileServer } from "../lab/file_server.ts";
import { CLIENTS, Lab, labImpossible, programPresent, startSwarm, type Swarm } from "../lab/lab.ts";
import { until } from "../until.ts";
import { keyOf, LAPI_PORT, lapiProblem, PASSWORD, RealLapi } from "./real_lapi.ts";

const impossible = labImpossible() ?? lapiProblem;
if (impossible !== null) console.log(`tests/fleet/gateways_test.ts: skipped: ${impossible}`);

const INTERVAL_S = 2;
/** An interval, what it is jittered by, the gathering of reports, and some for what is to be done. */
const WITHIN_MS = INTERVAL_S * 1_100 + 1_500;
/** The longest that a gateway waits between attempts to reach the API. */
const RECOVERY_MS = 15_000;
/** What the three gateways needed to start: so much longer may all else take on a slow machine. */
let startMs = 0;
const WEB_PORT = 8_000;
/** A datagram of the DHT (BEP 5, ping). */
const QUERY = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT201:y1:qe";

class Gateway {
  blocker!: Blocker;

  constructor(readonly lab: Lab, readonly number: number) {}

  get name(): string {
    return `gw-${this.number}`;
  }

  async start(): Promise<void> {
    const interfaces = this.lab.network.hosts.map((host) => host.routerInterface);
    this.blocker = await Blocker.start(this.lab.router, interfaces, this.lab.directory, {
      FLEET_URL: `http://10.99.${this.number}.1:${LAPI_PORT}`,
      FLEET_LOGIN: this.name,
      FLEET_PASSWORD: PASSWORD,
      FLEET_KEY: keyOf(this.name),
      FLEET_INTERVAL: `${INTERVAL_S}`,
      FLEET_SPOOL: `${this.lab.directory}/state`,
    });
  }

  /** Whether the kernel has a ban in force. */
  async bans(address: string): Promise<boolean> {
    const ban = await this.blocker.kernelBan(banKey(address));
    if (ban === null) return false;
    const uptime = Number((await Deno.readTextFile("/proc/uptime")).split(" ")[0]);
    return Number(ban.untilNs) / 1e9 > uptime;
  }

  /** Whether a host behind it reaches the web server. */
  async reaches(from: Host): Promise<boolean> {
    const server = this.lab.outer[1];
    const url = `http://${server.ipv4}:${WEB_PORT}/`;
    return await from.run(["curl", "-sf", "-m", "2", url]).catch(() => "") === "hello";
  }

  /** A host speaks to the DHT once. */
  async offend(host: Host): Promise<void> {
    const to = `/dev/udp/${this.lab.outer[1].ipv4}/6881`;
    await host.run(["bash", "-c", `printf %s '${QUERY}' >${to}`]);
  }

  /** Cuts the link to the API, or joins it again. */
  async link(state: "up" | "down"): Promise<void> {
    await this.lab.router.run(["ip", "link", "set", "fleet", state]);
  }
}

/** A lab with hosts of the same addresses as every other. */
async function createGateway(hub: Network, number: number): Promise<Gateway> {
  const lab = await Lab.create({ outer: 3 });
  const { router } = lab;
  const link = ["link", "add", "fleet", "type", "veth", "peer", "name", `gw${number}`];
  await router.run(["ip", ...link, "netns", hub.router.namespace]);
  for (
    const [host, name, last] of [[hub.router, `gw${number}`, 1], [router, "fleet", 2]] as const
  ) {
    await host.run(["ip", "address", "add", `10.99.${number}.${last}/24`, "dev", name]);
    await host.run(["ip", "link", "set", name, "up"]);
  }
  const file = `${lab.directory}/hello`;
  await Deno.writeTextFile(file, "hello");
  await startFileServer(lab.network, lab.outer[1], WEB_PORT, file);
  return new Gateway(lab, number);
}

async function took(what: string, isSo: () => Promise<boolean>, withinMs: number): Promise<void> {
  const begin = performance.now();
  try {
    await until(isSo, undefined, withinMs + startMs);
  } catch (cause) {
    throw new Error(what, { cause });
  }
  console.log(`${what}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}

const all = async (gateways: readonly Gateway[], is: (one: Gateway) => Promise<boolean>) =>
  (await Promise.all(gateways.map(is))).every((one) => one);

Deno.test({
  name: "three gateways share their bans through a Local API that dies, and apart from it",
  ignore: impossible !== null,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const hub = stack.use(await Network.create("hub"));
    const gateways: Gateway[] = [];
    for (const number of [1, 2, 3]) {
      const gateway = await createGateway(hub, number);
      stack.use(gateway.lab);
      gateways.push(gateway);
    }
    const [one, two, three] = gateways;
    const inside = (command: readonly string[]) => hub.router.inside(command);
    const lapi = stack.use(await RealLapi.create({ host: "0.0.0.0", inside }));
    const begin = performance.now();
    await Promise.all(gateways.map((gateway) => gateway.start()));
    startMs = performance.now() - begin;
    const hosts = (gateway: Gateway) => [gateway.lab.inner, ...gateway.lab.outer];

    await t.step("a swarm at the first: the others drop the offender", async () => {
      const client = ["transmission", "aria2"].map((name) => CLIENTS[name])
        .find(({ program }) => programPresent(program));
      const offender = one.lab.inner.ipv4;
      await until(() => two.reaches(two.lab.inner), () => "it is not reached before");
      let swarm: Swarm | null = null;
      if (client === undefined) await one.offend(one.lab.inner);
      else {
        const roles = { seeder: client, leecher: client, mode: "tcp", discovery: "http" } as const;
        swarm = await startSwarm(one.lab, roles);
      }
      await until(() => one.bans(offender));
      const others = [two, three];
      await took("all drop the offender", () => all(others, (o) => o.bans(offender)), WITHIN_MS);
      for (const program of swarm === null ? [] : [swarm.leecher, ...swarm.seeders]) {
        await program.stop();
      }
      for (const other of others) {
        assert.equal(await other.reaches(other.lab.inner), false);
        const bystander = other.lab.outer[2];
        await until(() => other.reaches(bystander));
        const ban = await other.blocker.kernelBan(banKey(offender));
        assert.ok(ban!.packets > 0n, "XDP has dropped it");
      }
      const listed = await two.blocker.command("bans", "list", "--json");
      assert.match(listed, /"reason":"fleet"/);
      assert.match(await one.blocker.command("bans", "list"), /tracker|peer-wire|dht/);
    });

    await t.step("cscli decisions delete lifts it everywhere", async () => {
      await lapi.cscli("decisions", "delete", "--all");
      const isFree = (gateway: Gateway) => gateway.reaches(gateway.lab.outer[0]);
      const lifted = async (gateway: Gateway) => !await gateway.bans(gateway.lab.inner.ipv4);
      await took("all have lifted it", () => all([two, three], lifted), WITHIN_MS);
      await until(() => all([two, three], isFree));
    });

    const culprit = 2; // outer3 of each lab, which takes part in no swarm
    const address = one.lab.outer[culprit].ipv4;
    const banned = (gateway: Gateway) => gateway.bans(address);
    const free = async (gateway: Gateway) => !await gateway.bans(address);

    await t.step("bans remove --fleet lifts it everywhere", async () => {
      await two.offend(hosts(two)[1 + culprit]);
      await took("all drop the second", () => all(gateways, banned), WITHIN_MS);
      const printed = await three.blocker.command("bans", "remove", "--fleet", address);
      assert.match(printed, /is no longer banned; 1 decision of the fleet lifted/);
      await took("all have lifted the second", () => all(gateways, free), WITHIN_MS);
    });

    await t.step("the API is killed and comes back", async () => {
      await lapi.kill();
      await three.offend(hosts(three)[1 + culprit]);
      await until(() => banned(three)); // blocking goes on
      assert.ok(await all([one, two], free));
      const spool = `${three.lab.directory}/state/fleet-gw-3.spool`;
      await until(async () => (await Deno.readTextFile(spool)).includes(address));
      await lapi.start();
      await took("all know, the API being back", () => all(gateways, banned), RECOVERY_MS);
    });

    await t.step("a gateway is killed and comes back", async () => {
      await one.blocker.stop("SIGKILL");
      await lapi.cscli("decisions", "add", "-i", "203.0.113.5", "-R", "btblocker/x", "-d", "1h");
      await one.start();
      const knows = (gateway: Gateway) => gateway.bans("203.0.113.5");
      await took("the killed one knows all", () => knows(one), WITHIN_MS);
      assert.ok(await banned(one));
    });

    await t.step("a partition: each goes on, and both learn afterwards", async () => {
      await two.link("down");
      await lapi.cscli("decisions", "delete", "-i", address);
      await took("those with the API lift", () => all([one, three], free), WITHIN_MS);
      assert.ok(await banned(two), "it cannot know");
      await two.offend(two.lab.outer[0]);
      const second = two.lab.outer[0].ipv4;
      await until(() => two.bans(second));
      await two.link("up");
      await took("the partition healed: lifted", () => free(two), 2 * RECOVERY_MS);
      const know = () => all([one, three], (gateway) => gateway.bans(second));
      await took("the partition healed: told", know, RECOVERY_MS);
      await lapi.cscli("decisions", "delete", "-i", second);
      await until(() => all(gateways, async (gateway) => !await gateway.bans(second)));
    });

    await t.step("a network: all of it, and nothing beside it", async () => {
      const network = ["decisions", "add", "-r", "198.18.4.0/24", "-R", "btblocker/x", "-d", "1h"];
      const inNetwork = (gateway: Gateway) => gateway.lab.outer[2]; // 198.18.4.2
      // Each router is .1 of that network, so it would hit the gateway: not in force there.
      await lapi.cscli(...network);
      const ignored = /fleet's ban of 198\.18\.4\.0\/24 is ignored/;
      await until(() => gateways.every(({ blocker }) => ignored.test(blocker.log)));
      await until(() => all(gateways, (gateway) => gateway.reaches(inNetwork(gateway))));
      // Beside the router's address there is room for a smaller one.
      await lapi.cscli("decisions", "add", "-r", "198.18.4.2/31", "-R", "btblocker/x", "-d", "1h");
      const isOut = async (gateway: Gateway) => !await gateway.reaches(inNetwork(gateway));
      await took("all drop the network", () => all(gateways, isOut), WITHIN_MS + 2_000);
      await until(() => all(gateways, (gateway) => gateway.reaches(gateway.lab.outer[0])));
      assert.match(await one.blocker.command("bans", "list"), /198\.18\.4\.2\/31/);
      await lapi.cscli("decisions", "delete", "-r", "198.18.4.2/31");
      const isIn = (gateway: Gateway) => gateway.reaches(inNetwork(gateway));
      await took("all have lifted the network", () => all(gateways, isIn), WITHIN_MS + 2_000);
    });

    await t.step("decisions against the gateways are ignored and told", async () => {
      const own = ["10.99.1.2", "198.18.1.1"];
      for (const text of own) {
        await lapi.cscli("decisions", "add", "-i", text, "-R", "btblocker/malice", "-d", "1h");
      }
      await lapi.cscli("decisions", "add", "-r", "0.0.0.0/0", "-R", "btblocker/malice", "-d", "1h");
      const ignored = (gateway: Gateway) =>
        gateway.blocker.log.match(/The fleet's ban of \S+ is ignored/g)?.length ?? 0;
      await until(() => ignored(one) >= own.length + 2); // and the network before
      for (const text of own) assert.equal(await one.bans(text), false);
      await two.offend(hosts(two)[1 + culprit]);
      await took("and the fleet goes on", () => all(gateways, banned), WITHIN_MS);
    });

    await t.step("a clean stop leaves nothing", async () => {
      for (const { blocker, lab } of gateways) {
        const { code, milliseconds } = await blocker.stop();
        assert.equal(code, 0, blocker.log);
        assert.ok(milliseconds < 2_500 + startMs, `${milliseconds} ms`);
        assert.deepEqual(await Blocker.leftovers(lab.router), []);
      }
    });
  },
});
