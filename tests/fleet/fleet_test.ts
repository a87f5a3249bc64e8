/** The whole of a machine's part in a fleet, against a stand-in for the API. */
import assert from "node:assert/strict";
import { Fleet } from "../../src/fleet/fleet.ts";
import type { FleetSettings } from "../../src/fleet/settings.ts";
import { reasonNumber } from "../../src/gateway/bans/bans.ts";
import { Networks } from "../../src/gateway/network/networks.ts";
import { bansOf, HOUR, report, secondsLeft } from "./bans.ts";
import { until } from "../until.ts";
import { addressKey } from "../../src/gateway/bans/ban_key.ts";
import { FakeLapi } from "./fake_lapi.ts";

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
  for (let i = 0; i < 300; i++) member.fleet.add(report([`203.0.113.${i % 150}`], 3600));
  await until(() => api.alerts().length === 150);
  const posts = api.paths().filter((path) => path === "POST /v1/alerts");
  assert.equal(posts.length, 2, "a hundred at once");
  const [first] = api.alerts();
  assert.equal(first.decisions[0].duration, "3600s");
  assert.ok(Math.abs(Date.parse(first.stop_at) - Date.now()) < 600_000); // not an hour ahead
  await until(() => member.fleet.waiting === 0); // the answer is there
  member.fleet.add(report(["203.0.113.1"], 3600)); // its ban ends a little later
  member.fleet.add(report(["203.0.113.1"], 7200)); // much later
  await until(() => api.alerts().length === 151);
  assert.equal(api.alerts().at(-1)?.decisions[0].duration, "7200s");
});

test("an API that is away: bans wait on disk, over a restart", async (api, directory) => {
  api.answer = () => new Response("", { status: 503 });
  {
    await using member = await join(api, directory, { key: "" });
    member.fleet.add(report([A], 3600));
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

test(
  "bans of private addresses stay here, spooled ones of an earlier run too",
  async (api, dir) => {
    const own = ["10.8.0.5", "192.168.1.7", "172.16.9.9", "100.64.1.1", "169.254.7.7", "fd00::7"];
    api.answer = () => new Response("", { status: 503 });
    {
      await using open = await join(api, dir, { key: "", sharesPrivate: true });
      open.fleet.add(report(["10.8.0.6", ...own], 3600));
      await until(() => open.messages.length > 0);
      assert.equal(open.fleet.waiting, own.length + 1, "FLEET_PRIVATE");
    }
    const told = api.alerts().length;
    api.answer = null;
    await using member = await join(api, dir, { key: "" });
    for (const address of own) member.fleet.add(report([address], 3600));
    member.fleet.add(report([A], 3600));
    await until(() => member.fleet.waiting === 0);
    assert.deepEqual(api.alerts().slice(told).map(({ source }) => source.value), [A]);
  },
);

test("state: each half for itself, with what went wrong last", async (api, directory) => {
  const beganMs = Date.now();
  api.loginAnswer = () => Response.json({ message: "incorrect password" }, { status: 401 });
  api.answer = () => Response.json({ new: [entry(A, "1h", 1)], deleted: null });
  await using member = await join(api, directory);
  const before = member.fleet.state;
  assert.equal(before.takesOver?.connected, false);
  assert.equal(before.takesOver?.lastSuccess, null);
  member.fleet.add(report(["203.0.113.1"], 3600));
  await until(() => member.fleet.state.takesOver?.connected === true);
  await until(() => member.fleet.state.reports!.failures.forbidden > 0);
  const { reports, takesOver } = member.fleet.state;
  assert.equal(takesOver?.held, 1);
  assert.equal(takesOver?.lastFailure, null);
  assert.ok(Date.parse(takesOver!.lastSuccess!) >= beganMs);
  assert.equal(reports?.connected, false);
  assert.equal(reports?.lastSuccess, null);
  assert.equal(reports?.waiting, 1);
  assert.equal(reports?.lost, 0);
  assert.equal(reports?.failures.away, 0);
  assert.equal(reports?.lastFailure?.trouble, "forbidden");
  assert.match(reports!.lastFailure!.problem, /401, incorrect password/);
});

test(
  "state: a half that the settings do not have is null, a failure is kept",
  async (api, directory) => {
    let answer = () => new Response("", { status: 503 });
    api.answer = () => answer();
    await using member = await join(api, directory, { login: "", password: "" });
    await until(() => member.fleet.state.takesOver!.failures.away > 0);
    assert.equal(member.fleet.state.reports, null);
    answer = () => Response.json({ new: null, deleted: null });
    await until(() => member.fleet.state.takesOver!.connected);
    assert.equal(member.fleet.state.takesOver?.lastFailure?.trouble, "away");
  },
);

/** Addresses in the spool's file. */
function saved(directory: string): string[] {
  return Deno.readTextFileSync(`${directory}/fleet-gw-1.spool`).split("\n")
    .filter((line) => line !== "").map((line) => JSON.parse(line).address);
}

test("a lifted ban does not come back from the spool", async (api, directory) => {
  const B = "192.0.2.2";
  const C = "192.0.2.3";
  api.answer = () => Response.json({ message: "no database" }, { status: 503 });
  {
    await using member = await join(api, directory, { key: "" });
    for (const address of [A, B, C]) member.fleet.add(report([address], 3600));
    await until(() => member.messages.length > 0);
    assert.deepEqual(saved(directory), [A, B, C]);
    // Everywhere: the API cannot be asked, but does not hear of it either.
    await assert.rejects(member.fleet.lift([A]), /Cannot lift .* 503/);
    member.fleet.forget([B]); // lifted on this machine
    assert.deepEqual(saved(directory), [C]);
  }
  api.asked.length = 0;
  api.answer = null;
  await using member = await join(api, directory, { key: "" });
  await until(() => api.alerts().length > 0);
  await until(() => member.fleet.waiting === 0);
  assert.deepEqual(api.alerts().map(({ source }) => source.value), [C]);
  member.fleet.add(report([A], 3600)); // a new offence
  await until(() => api.alerts().length === 2);
});

test("a ban whose alert is under way is lifted after it", async (api, directory) => {
  const order: string[] = [];
  let arrive = () => {};
  api.answer = async ({ method, path }) => {
    const what = `${method} ${path.split("?")[0]}`;
    if (what === "POST /v1/alerts") await new Promise<void>((resolve) => arrive = resolve);
    order.push(what);
    return Response.json(method === "POST" ? ["1"] : []);
  };
  await using member = await join(api, directory, { key: "" });
  member.fleet.add(report([A], 3600));
  await until(() => api.alerts().length === 1);
  const lifted = member.fleet.lift([A]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  arrive();
  await lifted;
  assert.deepEqual(order, ["POST /v1/alerts", "GET /v1/alerts"]);
  assert.equal(member.fleet.waiting, 0);
});

test("bans are on disk at once, while the password is wrong", async (api, directory) => {
  api.loginAnswer = () => Response.json({ message: "incorrect password" }, { status: 401 });
  await using member = await join(api, directory, { key: "" });
  await until(() => member.messages.length > 0); // the next attempt is a minute away
  for (let i = 0; i < 1_000; i++) member.fleet.add(report([`203.0.${i >> 8}.${i & 255}`], 3600));
  assert.equal(saved(directory).length, 0, "not one by one");
  await until(() => saved(directory).length === 1_000);
  member.fleet.add(report([A], 3600));
  await until(() => saved(directory).length === 1_001);
  assert.equal(api.asked.length, 1, "before the next attempt");
});

test("FLEET_SPOOL empty: bans wait in memory only", async (api, directory) => {
  api.answer = () => new Response("", { status: 503 });
  await using member = await join(api, directory, { key: "", spoolDirectory: "" });
  member.fleet.add(report([A], 3600));
  await until(() => member.messages.length > 0);
  assert.equal(member.messages.length, 1, member.messages.join("\n"));
  assert.equal(member.fleet.waiting, 1);
  assert.throws(() => Deno.statSync("/fleet-gw-1.spool"), Deno.errors.NotFound);
});

test("a wrong key and password: told once, asked slowly, bans wait", async (api, directory) => {
  api.loginAnswer = () => Response.json({ message: "incorrect password" }, { status: 401 });
  api.answer = () => Response.json({ message: "access forbidden" }, { status: 403 });
  await using member = await join(api, directory);
  await until(() => member.messages.length === 2);
  member.fleet.add(report([A], 3600));
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
    bans.add(addressKey(Int32Array.of(0, 0, 0xffff, 0xc0000201 | 0)), HOUR, reasonNumber("dht"));
    fleet.add(report([A], 3600));
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
  member.fleet.add(report(["192.0.2.1:6881"], 3600));
  member.fleet.add(report(["192.0.2.1:6882"], 3600));
  assert.equal(member.messages.length, 1);
  assert.equal(member.fleet.waiting, 0);
});

test("a hanging API does not keep the blocker from stopping", async (api, directory) => {
  const hanging: (() => void)[] = [];
  api.answer = () => new Promise((resolve) => hanging.push(() => resolve(new Response("{}"))));
  const member = await join(api, directory);
  member.fleet.add(report([A], 3600));
  await until(() => hanging.length === 2);
  await member[Symbol.asyncDispose]();
  // Neither call was given up because its time was up.
  assert.doesNotMatch(member.messages.join("\n"), /no answer within/);
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
