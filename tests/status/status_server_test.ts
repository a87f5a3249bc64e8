import assert from "node:assert/strict";
import { connect } from "node:net";
import { PAGE, PAGE_POLICY } from "../../src/report/page/document.ts";
import { StatusServer } from "../../src/status/status_server.ts";
import { ban, FakeSource, status } from "./fake_status.ts";

const TOKEN = "correct-horse-battery";

interface Asked {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** One request as it is, with whatever headers: fetch would set Host and Origin itself. */
function raw(
  where: string,
  path: string,
  headers: Record<string, string> = {},
  { method = "GET", body = "" } = {},
): Promise<Asked> {
  const url = where.startsWith("unix:") ? null : new URL(where);
  const all: Record<string, string> = {
    host: url?.host ?? "localhost",
    connection: "close",
    ...body === "" ? {} : { "content-length": `${body.length}` },
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return new Promise((resolve, reject) => {
    const socket = url === null
      ? connect(where.slice("unix:".length))
      : connect(Number(url.port), url.hostname.replace(/[[\]]/g, ""));
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (part) => text += part);
    socket.on("error", reject);
    socket.on("end", () => {
      const [top, ...rest] = text.split("\r\n\r\n");
      const [first, ...lines] = top.split("\r\n");
      resolve({
        status: Number(first.split(" ")[1]),
        headers: Object.fromEntries(lines.map((line) => line.toLowerCase().split(": "))),
        body: rest.join("\r\n\r\n"),
      });
    });
    socket.write(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`);
  });
}

async function serve(
  act: (address: string, source: FakeSource) => Promise<void>,
  { listen = "127.0.0.1:0", token = "" } = {},
): Promise<void> {
  const source = new FakeSource();
  await using server = await StatusServer.start({ listen, token, source });
  await act(server.address, source);
}

function lift(address: string, headers: Record<string, string>, victim = "192.0.2.7") {
  const body = JSON.stringify({ address: victim });
  const all = { "content-type": "application/json", ...headers };
  return raw(address, "/api/bans/remove", all, { method: "POST", body });
}

const BEARER = { authorization: `Bearer ${TOKEN}` };

Deno.test("before there is anything to tell, all questions get 503", async () => {
  let isReady = false;
  const options = { listen: "127.0.0.1:0", token: "", source: new FakeSource() };
  await using server = await StatusServer.start({ ...options, isReady: () => isReady });
  for (const path of ["/", "/healthz", "/api/status"]) {
    assert.equal((await raw(server.address, path)).status, 503, path);
  }
  isReady = true;
  assert.equal((await raw(server.address, "/healthz")).status, 200);
});

Deno.test("the server gives page, JSON and metrics", async () => {
  await serve(async (address, source) => {
    source.list = [ban("192.0.2.7")];
    source.detect();
    const page = await raw(address, "/");
    assert.equal(page.status, 200);
    assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
    assert.equal(page.headers["cache-control"], "no-store");
    assert.equal(page.headers["x-content-type-options"], "nosniff");
    const now = JSON.parse(await fetch(`${address}api/status`).then((r) => r.text()));
    assert.deepEqual(now, JSON.parse(JSON.stringify(source.now)));
    const metrics = await fetch(`${address}metrics`);
    assert.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.match(await metrics.text(), /^btblocker_packets_processed 1200$/m);
    const bans = await fetch(`${address}api/bans`).then((r) => r.json());
    assert.equal(bans.count, 1);
    assert.equal(bans.mayLift, false);
    assert.equal(bans.bans[0].address, "192.0.2.7");
    const history = await fetch(`${address}api/history?span=minute`).then((r) => r.json());
    assert.equal(history.traffic.rows[0].values.length, 60);
    assert.equal(history.clients.rows[0].name, "qBittorrent");
    const detections = await fetch(`${address}api/detections`).then((r) => r.json());
    assert.equal(detections.recent[0].method, "udp-tracker");
  });
});

Deno.test("the page's policy allows its own script and style and nothing else", async () => {
  assert.match(PAGE_POLICY, /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-/);
  assert.doesNotMatch(PAGE_POLICY, /unsafe|\*|https?:/);
  assert.doesNotMatch(PAGE, /<(script|img|link|iframe)[^>]+(src|href)="(?!data:)/);
  assert.doesNotMatch(PAGE, / on[a-z]+="| style="/);
  assert.doesNotMatch(PAGE, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|cookie/);
  assert.equal(PAGE.match(/<script/g)?.length, 1);
  await serve(async (address) => {
    const { headers } = await raw(address, "/");
    assert.equal(headers["content-security-policy"], PAGE_POLICY.toLowerCase());
  });
});

Deno.test("/healthz fails as soon as one worker is down, and names its queue", async () => {
  await serve(async (address, source) => {
    assert.equal((await raw(address, "/healthz")).status, 200);
    const workers = source.now.workers.map((worker, i) => ({ ...worker, running: i === 0 }));
    source.now = status({ healthy: false, workers });
    const down = await raw(address, "/healthz");
    assert.equal(down.status, 503);
    assert.match(down.body, /queue 1/);
  });
});

const refused: [string, string, { method?: string }, number][] = [
  ["an unknown path", "/api/config", {}, 404],
  ["a path of Object", "/constructor", {}, 404],
  ["POST to the page", "/", { method: "POST" }, 405],
  ["GET where bans are lifted", "/api/bans/remove", {}, 405],
  ["a preflight", "/api/bans/remove", { method: "OPTIONS" }, 405],
  ["an unknown span", "/api/history?span=year", {}, 400],
];
for (const [name, path, options, expected] of refused) {
  Deno.test(`the server refuses ${name}`, async () => {
    await serve(async (address) => {
      const answer = await raw(address, path, {}, options);
      assert.equal(answer.status, expected);
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
    });
  });
}

Deno.test("a local server answers to no foreign name (DNS rebinding)", async () => {
  await serve(async (address) => {
    for (const host of ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", ""]) {
      for (const path of ["/", "/api/bans", "/metrics"]) {
        assert.equal((await raw(address, path, { host })).status, 421, host);
      }
    }
    for (const host of ["localhost:8080", "127.0.0.1", "[::1]:9090", "127.1.2.3:1"]) {
      assert.equal((await raw(address, "/api/status", { host })).status, 200, host);
    }
  });
});

Deno.test("without a token no ban is lifted", async () => {
  await serve(async (address, source) => {
    source.list = [ban("192.0.2.7")];
    assert.equal((await lift(address, BEARER)).status, 403);
    assert.equal(source.list.length, 1);
  });
});

Deno.test("with the token a ban is lifted, once", async () => {
  await serve(async (address, source) => {
    source.list = [ban("192.0.2.7"), ban("192.0.2.8")];
    assert.equal(JSON.parse((await raw(address, "/api/bans")).body).count, 2);
    const host = new URL(address).host;
    const origin = { origin: `http://${host}`, "sec-fetch-site": "same-origin" };
    const first = await lift(address, { ...BEARER, ...origin });
    assert.equal(first.status, 200);
    assert.deepEqual(JSON.parse(first.body), { address: "192.0.2.7", removed: true });
    assert.equal(JSON.parse((await raw(address, "/api/bans")).body).count, 1); // not the old list
    assert.equal(JSON.parse((await lift(address, BEARER)).body).removed, false);
  }, { token: TOKEN });
});

const forged: [string, Record<string, string>, number][] = [
  ["no token", {}, 401],
  ["a wrong token", { authorization: "Bearer wrong-horse-battery" }, 401],
  ["the token as a password", { authorization: `Basic ${btoa(`:${TOKEN}`)}` }, 401],
  ["the token in a cookie", { cookie: `token=${TOKEN}` }, 401],
  ["another origin", { ...BEARER, origin: "https://evil.example" }, 403],
  ["the null origin", { ...BEARER, origin: "null" }, 403],
  ["another site", { ...BEARER, "sec-fetch-site": "cross-site" }, 403],
  ["another subdomain", { ...BEARER, "sec-fetch-site": "same-site" }, 403],
  ["a form's content type", { ...BEARER, "content-type": "text/plain" }, 400],
];
for (const [name, headers, expected] of forged) {
  Deno.test(`no ban is lifted with ${name}`, async () => {
    await serve(async (address, source) => {
      source.list = [ban("192.0.2.7")];
      assert.equal((await lift(address, headers)).status, expected);
      assert.equal(source.list.length, 1);
    }, { token: TOKEN });
  });
}

Deno.test("a request to lift that is no JSON, too long or no address is refused", async () => {
  await serve(async (address) => {
    const headers = { ...BEARER, "content-type": "application/json" };
    const long = `{"address":"${"1".repeat(2000)}"}`;
    for (const body of ["{", "null", "[]", '{"address":7}', long]) {
      const answer = await raw(address, "/api/bans/remove", headers, { method: "POST", body });
      assert.equal(answer.status, body === long ? 413 : 400, body.slice(0, 20));
    }
    assert.equal((await lift(address, BEARER, "nobody!")).status, 400);
  }, { token: TOKEN });
});

Deno.test("where others can reach it, only page and health are free", async () => {
  await serve(async (address) => {
    const here = address.replace("0.0.0.0", "127.0.0.1");
    for (const path of ["/", "/healthz"]) {
      assert.equal((await raw(here, path, { host: "gw.example" })).status, 200, path);
    }
    for (
      const path of ["/metrics", "/api/status", "/api/history", "/api/detections", "/api/bans"]
    ) {
      const refusal = await raw(here, path, { host: "gw.example" });
      assert.equal(refusal.status, 401, path);
      assert.equal(refusal.headers["www-authenticate"], "bearer");
      assert.equal((await raw(here, path, { host: "gw.example", ...BEARER })).status, 200, path);
    }
  }, { listen: "0.0.0.0:0", token: TOKEN });
});

Deno.test("a server that others can reach does not start without a token", async () => {
  const start = StatusServer.start({ listen: "0.0.0.0:0", token: "", source: new FakeSource() });
  await assert.rejects(start, /Cannot serve the status page at 0.0.0.0:0: set STATUS_TOKEN/);
});

Deno.test("the token can be in a file", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, `${TOKEN}\n`);
    await serve(async (address) => {
      assert.equal((await lift(address, BEARER)).status, 200);
    }, { token: `file:${path}` });
    await Deno.writeTextFile(path, "short\n");
    const start = () =>
      StatusServer.start({
        ...{ listen: "127.0.0.1:0", token: `file:${path}`, source: new FakeSource() },
      });
    await assert.rejects(start, /expected 16 or more printable characters/);
    await Deno.remove(path);
    await assert.rejects(start, /Cannot read the status token: no such file/);
  } finally {
    await Deno.remove(path).catch(() => {});
  }
});

Deno.test("a port in use is told", async () => {
  await serve(async (address) => {
    const listen = new URL(address).host;
    const start = StatusServer.start({ listen, token: "", source: new FakeSource() });
    await assert.rejects(start, /Cannot serve the status page at 127.0.0.1:\d+: .*in use/);
  });
});

Deno.test("IPv6 loopback is local", async () => {
  await serve(async (address) => {
    assert.match(address, /^http:\/\/\[::1\]:\d+\/$/);
    assert.equal((await raw(address, "/api/status")).status, 200);
  }, { listen: "[::1]:0" });
});

Deno.test({
  name: "a unix socket is for its directory's group, replaces a stale one and is removed",
  ignore: Deno.build.os === "windows",
  async fn() {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/status.sock`;
    try {
      const left = new Deno.Command(Deno.execPath(), {
        args: ["eval", `Deno.listen({transport:"unix",path:${JSON.stringify(path)}});Deno.exit(0)`],
      });
      await left.output();
      assert(Deno.statSync(path).isSocket);
      await serve(async (address, source) => {
        assert.equal(address, `unix:${path}`);
        const { mode, gid } = Deno.statSync(path);
        assert.equal(mode! & 0o777, 0o660);
        assert.equal(gid, Deno.statSync(directory).gid);
        const answer = await raw(address, "/api/status", { host: "anything" });
        assert.equal(answer.status, 200);
        const second = StatusServer.start({ listen: address, token: "", source });
        await assert.rejects(second, /another program listens there/);
      }, { listen: `unix:${path}` });
      assert.throws(() => Deno.statSync(path));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("the list of bans is read at most once a second, whoever asks", async () => {
  await serve(async (address, source) => {
    source.list = Array.from({ length: 700 }, (_, i) => ban(`10.0.${i >> 8}.${i & 255}`));
    const begin = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => raw(address, "/api/bans")));
    const seconds = Math.ceil((performance.now() - begin) / 1000);
    assert.ok(source.reads <= seconds, `${source.reads} times in ${seconds} s`);
    const { count, bans } = JSON.parse(answers[0].body);
    assert.equal(count, 700);
    assert.equal(bans.length, 500);
  });
});

Deno.test("an error inside is a 500 without its text", async () => {
  await serve(async (address, source) => {
    source.status = () => {
      throw new Error("secret");
    };
    const answer = await raw(address, "/api/status");
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.body, /secret/);
  });
});
