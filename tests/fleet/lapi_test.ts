/** The client of the API against answers of every kind. The real API: real_lapi_test.ts. */
import assert from "node:assert/strict";
import { FleetError, Lapi } from "../../src/fleet/lapi.ts";
import { until } from "../until.ts";
import { FakeLapi } from "./fake_lapi.ts";

const ENTRY = {
  ...{ duration: "1h", id: 1, origin: "crowdsec", scenario: "btblocker/dht" },
  ...{ scope: "Ip", type: "ban", value: "192.0.2.1" },
};

async function fails(promise: Promise<unknown>): Promise<FleetError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof FleetError, String(error));
    return error;
  }
  assert.fail("no error");
}

Deno.test("logs in once, reports with the token, asks with the key", async () => {
  await using api = new FakeLapi();
  using lapi = new Lapi(api.settings());
  await lapi.report([{ one: 1 }]);
  await lapi.report([{ two: 2 }]);
  await lapi.news(true);
  assert.deepEqual(api.paths(), [
    ...["POST /v1/watchers/login", "POST /v1/alerts", "POST /v1/alerts"],
    "GET /v1/decisions/stream",
  ]);
  const [login, report, , news] = api.asked;
  const { machine_id: machine, password, scenarios } = login.body as Record<string, unknown>;
  assert.deepEqual([machine, password], ["gw-1", "password"]);
  assert.ok((scenarios as string[]).includes("btblocker/dht"));
  assert.equal(report.headers.get("authorization"), "Bearer token-1");
  assert.equal(report.headers.get("x-api-key"), null);
  assert.equal(news.headers.get("x-api-key"), "key");
  assert.equal(news.headers.get("authorization"), null);
  assert.match(news.headers.get("user-agent") ?? "", /^btblocker\/[\w.-]+$/);
  const query = new URLSearchParams(news.path.split("?")[1]);
  assert.deepEqual(Object.fromEntries(query), {
    startup: "true",
    scopes: "ip,range",
    scenarios_containing: "btblocker/",
  });
});

Deno.test("a token that has ended early is replaced by another", async () => {
  await using api = new FakeLapi();
  using lapi = new Lapi(api.settings());
  await lapi.report([]);
  let refusals = 1;
  api.answer = () => {
    return refusals-- > 0
      ? Response.json({ message: "token is expired" }, { status: 401 })
      : Response.json(["1"]);
  };
  await lapi.report([]);
  assert.equal(api.paths().filter((path) => path.endsWith("login")).length, 2);
});

const faults: readonly [name: string, answer: () => Response, trouble: string, RegExp][] = [
  [
    "a wrong key",
    () => Response.json({ message: "access forbidden" }, { status: 403 }),
    "forbidden",
    /^it answers 403, access forbidden$/,
  ],
  ["no right", () => Response.json({}, { status: 401 }), "forbidden", /^it answers 401/],
  [
    "a fault of its own",
    () => Response.json({ message: "database is locked" }, { status: 500 }),
    "away",
    /^it answers 500, database is locked$/,
  ],
  [
    "a proxy's page",
    () => new Response("<html>Bad Gateway\n…", { status: 502 }),
    "away",
    /^it answers 502, <html>Bad Gateway$/,
  ],
  ["half an answer", () => new Response('{"new":[{"id":1,'), "away", /is no JSON/],
  ["a page", () => new Response("<html>Welcome"), "away", /is no JSON/],
  ["JSON of another kind", () => Response.json(["1"]), "away", /no JSON|not a stream/],
  ["other fields", () => Response.json({ new: "all" }), "away", /not a stream of decisions/],
  [
    "colours for the terminal",
    () => Response.json({ message: "\x1b[31mred\nline" }, { status: 500 }),
    "away",
    /^it answers 500, \\x1b\[31mred\\x0aline$/,
  ],
  [
    "a very long message",
    () => Response.json({ message: "x".repeat(100_000) }, { status: 500 }),
    "away",
    /^it answers 500, x{200}$/,
  ],
];

for (const [name, answer, trouble, message] of faults) {
  Deno.test(`news(): ${name}: ${trouble}`, async () => {
    await using api = new FakeLapi();
    using lapi = new Lapi(api.settings());
    api.answer = answer;
    const error = await fails(lapi.news(false));
    assert.equal(error.trouble, trouble);
    assert.match(error.message, message);
    assert.equal(error.isHarmless, error.status === 401 || error.status === 403);
    api.answer = null;
    assert.equal((await lapi.news(false)).added.length, 0, "well again");
  });
}

Deno.test("report(): a wrong password is told as such", async () => {
  await using api = new FakeLapi();
  using lapi = new Lapi(api.settings());
  api.loginAnswer = () =>
    Response.json({ message: "incorrect Username or Password" }, { status: 401 });
  const error = await fails(lapi.report([]));
  assert.equal(error.trouble, "forbidden");
  assert.deepEqual(api.paths(), ["POST /v1/watchers/login"], "not tried twice");
});

Deno.test("an endless answer is cut off", async () => {
  await using api = new FakeLapi();
  using lapi = new Lapi(api.settings());
  let sent = 0;
  const chunk = new Uint8Array(1 << 20).fill(0x20);
  api.answer = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += chunk.length;
          controller.enqueue(chunk);
        },
      }),
    );
  const error = await fails(lapi.news(true));
  assert.match(error.message, /longer than 64 MiB/);
  assert.ok(sent < 128 << 20, `${sent} bytes`);
});

Deno.test("no answer: the time is up; a stop does not wait for that", async () => {
  await using api = new FakeLapi();
  const hanging: (() => void)[] = [];
  api.answer = () => new Promise((resolve) => hanging.push(() => resolve(new Response("{}"))));
  const lapi = new Lapi(api.settings());
  const asked = fails(lapi.news(false));
  await until(() => hanging.length === 1);
  lapi[Symbol.dispose]();
  const error = await asked;
  assert.doesNotMatch(error.message, /no answer within/, "the stop ended it, not the time");
  await fails(lapi.news(false));
  for (const answer of hanging) answer();
});

Deno.test("nobody listens: away", async () => {
  const api = new FakeLapi();
  await api[Symbol.asyncDispose]();
  using lapi = new Lapi(api.settings());
  const error = await fails(lapi.news(false));
  assert.equal(error.trouble, "away");
  assert.match(error.message, /refused/i);
  assert.equal(error.isHarmless, true);
});

Deno.test("a redirection does not get the key", async () => {
  await using api = new FakeLapi();
  await using other = new FakeLapi();
  using lapi = new Lapi(api.settings());
  api.answer = () => Response.redirect(`${other.url}v1/decisions/stream`, 307);
  assert.equal((await fails(lapi.news(false))).trouble, "away");
  assert.deepEqual(other.asked, []);
});

Deno.test("the API's clock counts, not ours", async () => {
  await using api = new FakeLapi();
  using lapi = new Lapi(api.settings());
  const ahead = 3 * 3_600_000;
  const date = new Date(Date.now() + ahead).toUTCString();
  api.answer = () => Response.json({ new: null, deleted: null }, { headers: { date } });
  await lapi.news(false);
  assert.ok(Math.abs(lapi.nowMs() - Date.now() - ahead) < 60_000);
});

Deno.test("secrets from files are read again at each use", async () => {
  await using api = new FakeLapi();
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "first\n");
  using lapi = new Lapi(api.settings({ key: `file:${path}` }));
  await lapi.news(false);
  await Deno.writeTextFile(path, "second\n");
  await lapi.news(false);
  const keys = api.asked.map(({ headers }) => headers.get("x-api-key"));
  assert.deepEqual(keys, ["first", "second"]);
  await Deno.remove(path);
  assert.throws(() => new Lapi(api.settings({ key: `file:${path}` })), /Cannot read .* FLEET_KEY/);
  const ca = api.settings({ ca: "/nonexistent.pem" });
  assert.throws(() => new Lapi(ca), /Cannot read \/nonexistent.pem of FLEET_CA/);
});

Deno.test("lift(): the scope's decisions of exactly that address", async () => {
  await using api = new FakeLapi();
  using lapi = new Lapi(api.settings());
  api.answer = ({ method }) => {
    if (method === "DELETE") return Response.json({ nbDeleted: "1" });
    const decisions = [
      ENTRY,
      { ...ENTRY, id: 2, scenario: "crowdsecurity/ssh-bf" },
      { ...ENTRY, id: 3, value: "192.0.2.2" },
      { ...ENTRY, id: 4, duration: "-1s" },
    ];
    return Response.json([{ decisions }, { decisions: [{ ...ENTRY, id: 5 }] }, {
      decisions: null,
    }]);
  };
  assert.equal(await lapi.lift("192.0.2.1"), 2);
  assert.deepEqual(api.paths().slice(2), ["DELETE /v1/decisions/1", "DELETE /v1/decisions/5"]);
  using all = new Lapi(api.settings({ scope: "all" }));
  assert.equal(await all.lift("192.0.2.0/24"), 1);
  assert.equal(api.asked.at(-1)?.path, "/v1/decisions?scope=Range&value=192.0.2.0%2F24");
});
