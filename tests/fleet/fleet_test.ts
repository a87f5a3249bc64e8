/** The whole of a machine's part in a fleet, against a stand-in for the API. */
import assert from "node:assert/strict";
import { Fleet } from "../../src/fleet/fleet.ts";
import type { FleetSettings } from "../../src/fleet/settings.ts";
import { reasonOf } from "../../src/gateway/bans/bans.ts";
import { Networks } from "../../src/gateway/network/networks.ts";
import { bansOf, HOUR, report, secondsLeft } from "./bans.ts";
import { FakeLapi, until } from "./fake_lapi.ts";

const ignore = Deno.build.os !== "linux";
const A = "192.0.2.1";
const entry = (value: string, duration: string, id: number) => ({
  ...{ duration, id, origin: "crowdsec", scenario: "btblocker/dht", type: "ban", value },
  scope: value.includes("/") ? "Range" : "Ip",
});

interface Member extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly bans: ReturnType<typeof bansOf>;
  readonly messages: string[];
}

async function join(
  api: FakeLapi,
  directory: string,
  values: Partial<FleetSettings> = {},
  scope: "ip" | "endpoint" = "ip",
): Promise<Member> {
  const bans = bansOf(1024, scope);
  const messages: string[] = [];
  const fleet = Fleet.start({
    settings: api.settings({ spoolDirectory: directory, ...values }),
    bans,
    limit: 1024,
    never: Networks.of("127.0.0.0/8"),
    log: (level, message) => messages.push(`${level}: ${message}`),
  });
  const dispose = () => fleet[Symbol.asyncDispose]();
  return await Promise.resolve({ fleet, bans, messages, [Symbol.asyncDispose]: dispose });
}

function test(name: string, action: (api: FakeLapi, directory: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    async fn() {
      const directory = await Deno.makeTempDir();
      try {
        await using api = new FakeLapi();
        await action(api, directory);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

test("bans are told together, once each, with what is left of them", async (api, directory) => {
  await using member = await join(api, directory, { key: "" });
  for (let i = 0; i < 300; i++) member.fleet.add(report([`10.0.0.${i % 150}`]), 3600);
  await until(() => api.alerts().length === 150);
  const posts = api.paths().filter((path) => path === "POST /v1/alerts");
  assert.equal(posts.length, 2, "a hundred at once");
  const [first] = api.alerts();
  assert.equal(first.decisions[0].duration, "3600s");
  assert.ok(Math.abs(Date.parse(first.stop_at) - Date.now()) < 3_000);
  assert.equal(member.fleet.waiting, 0);
  member.fleet.add(report(["10.0.0.1"]), 3600); // its ban ends a little later
  member.fleet.add(report(["10.0.0.1"]), 7200); // much later
  await until(() => api.alerts().length === 151);
  assert.equal(api.alerts().at(-1)?.decisions[0].duration, "7200s");
});

test("an API that is away: bans wait on disk, over a restart", async (api, directory) => {
  api.answer = () => new Response("", { status: 503 });
  {
    await using member = await join(api, directory, { key: "" });
    member.fleet.add(report([A]), 3600);
    await until(() => member.messages.length > 0);
    assert.match(member.messages[0], /warn: .* cannot be used: it answers 503.*1 ban wait/);
    assert.equal(member.fleet.waiting, 1);
  }
  const [name] = [...Deno.readDirSync(directory)].map((file) => file.name);
  assert.equal(name, "fleet-gw-1.spool");
  assert.equal(Deno.statSync(`${directory}/${name}`).mode! & 0o777, 0o600);
  const told = api.alerts().length;
  api.answer = null;
  await using member = await join(api, directory, { key: "" });
  await until(() => api.alerts().length > told);
  assert.equal(api.alerts().at(-1)?.source.value, A);
  await until(() => member.fleet.waiting === 0);
  assert.equal(Deno.statSync(`${directory}/${name}`).size, 0);
});

test("a wrong key and password: told once, asked slowly, bans wait", async (api, directory) => {
  api.loginAnswer = () => Response.json({ message: "incorrect password" }, { status: 401 });
  api.answer = () => Response.json({ message: "access forbidden" }, { status: 403 });
  await using member = await join(api, directory);
  await until(() => member.messages.length === 2);
  member.fleet.add(report([A]), 3600);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal(member.messages.length, 2, member.messages.join("\n"));
  assert.ok(member.messages.every((message) => message.includes("check FLEET_LOGIN")));
  assert.equal(api.asked.length, 2, "the next attempt is a minute away");
  assert.equal(member.fleet.waiting, 1);
});

test("takes over, follows, and asks for everything after trouble", async (api, directory) => {
  let answer = () => Response.json({ new: [entry(A, "1h", 1)], deleted: null });
  api.answer = () => answer();
  await using member = await join(api, directory, { login: "", password: "" });
  const left = (text: string) => secondsLeft(member.bans, text);
  await until(() => left(A) !== null);
  answer = () => Response.json({ new: [entry("198.51.100.0/24", "1h", 2)], deleted: null });
  await until(() => left("198.51.100.0/24") !== null);
  answer = () => new Response("", { status: 500 });
  await until(() => member.messages.some((message) => message.includes("500")));
  answer = () => Response.json({ new: [entry("198.51.100.0/24", "1h", 2)], deleted: null });
  await until(() => left(A) === null);
  assert.notEqual(left("198.51.100.0/24"), null);
  const startups = api.asked.map(({ path }) => /startup=(\w+)/.exec(path)?.[1]);
  assert.equal(startups[0], "true");
  assert.equal(startups[1], "false");
  assert.equal(startups.filter((one) => one === "true").length >= 2, true);
  assert.equal(member.messages.length, 3, member.messages.join("\n"));
});

test("a ban of ours, lifted by the fleet, is lifted; the next is told", async (api, directory) => {
  let deleted: unknown = null;
  let added: unknown = null;
  api.answer = ({ method }) =>
    method === "GET" ? Response.json({ new: added, deleted }) : Response.json(["1"]);
  await using member = await join(api, directory);
  const { bans, fleet } = member;
  const ban = () => {
    bans.banAddress(Int32Array.of(0, 0, 0xffff, 0xc0000201 | 0), 0, HOUR, reasonOf("dht"));
    fleet.add(report([A]), 3600);
  };
  ban();
  await until(() => api.alerts().length === 1);
  added = [entry(A, "59m59s", 1)];
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(bans.list()[0].reason, "dht");
  added = null;
  deleted = [entry(A, "-1s", 1)];
  await until(() => secondsLeft(bans, A) === null);
  ban();
  await until(() => api.alerts().length === 2);
  assert.notEqual(secondsLeft(bans, A), null);
});

test("BAN_SCOPE=endpoint: ports are not shared, and that is told", async (api, directory) => {
  await using member = await join(api, directory, { key: "" }, "endpoint");
  member.fleet.add(report(["192.0.2.1:6881"]), 3600);
  member.fleet.add(report(["192.0.2.1:6882"]), 3600);
  assert.equal(member.messages.length, 1);
  assert.equal(member.fleet.waiting, 0);
});

test("a hanging API does not keep the blocker from stopping", async (api, directory) => {
  const hanging: (() => void)[] = [];
  api.answer = () => new Promise((resolve) => hanging.push(() => resolve(new Response("{}"))));
  const member = await join(api, directory);
  member.fleet.add(report([A]), 3600);
  await until(() => hanging.length === 2);
  const begin = performance.now();
  await member[Symbol.asyncDispose]();
  assert.ok(performance.now() - begin < 1_500);
  assert.equal(member.fleet.waiting, 1, "for the next run");
  for (const answer of hanging) answer();
});

test("lift() needs a login, and says what went wrong", async (api, directory) => {
  await using bouncer = await join(api, directory, { login: "", password: "" });
  await assert.rejects(bouncer.fleet.lift([A]), /only takes them over \(set FLEET_LOGIN/);
  api.answer = () => Response.json({ message: "no" }, { status: 500 });
  await using member = await join(api, directory, { key: "" });
  await assert.rejects(member.fleet.lift([A]), /Cannot lift .* 192\.0\.2\.1: it answers 500, no/);
});
