/** Machines of a fleet in this process, with a real Local API. */
import assert from "node:assert/strict";
import { Fleet } from "../../src/fleet/fleet.ts";
import { Lapi } from "../../src/fleet/lapi.ts";
import type { FleetSettings } from "../../src/fleet/settings.ts";
import { reasonNumber } from "../../src/gateway/bans/bans.ts";
import { Networks, parseNetwork } from "../../src/gateway/network/networks.ts";
import { ban, bansOf, HOUR, report, secondsLeft } from "./bans.ts";
import { alertOf } from "../../src/fleet/alerts.ts";
import { until } from "../until.ts";
import { networkKey } from "../../src/gateway/bans/ban_key.ts";
import { keyOf, lapiProblem, PASSWORD, RealLapi } from "./real_lapi.ts";

const ignore = lapiProblem !== null;
const A = "192.0.2.1";
const INTERVAL = 500;

class Member implements AsyncDisposable {
  readonly bans = bansOf(65_536);
  readonly messages: string[] = [];
  readonly fleet: Fleet;
  readonly directory = Deno.makeTempDirSync();

  constructor(lapi: RealLapi, name: string, values: Partial<FleetSettings> = {}) {
    this.fleet = Fleet.start({
      settings: settingsOf(lapi, name, { spoolDirectory: this.directory, ...values }),
      bans: this.bans,
      limit: 131_072,
      never: Networks.of("127.0.0.0/8", "203.0.113.1"),
      log: (level, message) => this.messages.push(`${level}: ${message}`),
    });
  }

  /** A detection with its ban, as a worker makes them. */
  detect(address: string, seconds = 3600): void {
    this.bans.add(networkKey(parseNetwork(address)!), seconds * 1000, reasonNumber("dht"));
    this.fleet.add(report([address], seconds));
  }

  left(text: string): number | null {
    return secondsLeft(this.bans, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fleet[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

function settingsOf(lapi: RealLapi, name: string, values: Partial<FleetSettings>): FleetSettings {
  return {
    ...{ url: lapi.url, login: name, password: PASSWORD, key: keyOf(name) },
    ...{
      intervalMs: INTERVAL,
      scope: "btblocker",
      sharesPrivate: false,
      ca: "",
      cert: "",
      certKey: "",
    },
    spoolDirectory: "/nonexistent",
    ...values,
  };
}

/** Of IPv6 the prefix that a host has (BAN_PREFIX). */
const SIX = "2001:db8::/64";

Deno.test("a ban of one is a ban of all, and so is its end", { ignore }, async () => {
  await using lapi = await RealLapi.create();
  await using one = new Member(lapi, "gw-1");
  await using two = new Member(lapi, "gw-2");
  await using everything = new Member(lapi, "gw-3", { scope: "all" });
  one.detect(A);
  one.detect(SIX, 600);
  const has = (member: Member) => member.left(A) !== null && member.left(SIX) !== null;
  await until(() => has(two) && has(everything));
  for (const text of [A, SIX]) {
    const [here, there] = [one.left(text)!, two.left(text)!];
    assert.ok(
      Math.abs(there - here) <= 2,
      `${text}: ${here} s where it offended, ${there} s there`,
    );
  }
  assert.equal(two.bans.list().every(({ reason }) => reason === "fleet"), true);
  assert.equal(one.bans.list().every(({ reason }) => reason === "dht"), true, "no echo");
  const listed = await lapi.cscli("alerts", "list", "-o", "json");
  assert.match(listed, /"machine_id": ?"gw-1"/);
  assert.match(listed, /btblocker\/dht/);

  await lapi.cscli("decisions", "delete", "-i", A);
  const gone = () => [one, two, everything].every((member) => member.left(A) === null);
  await until(gone);
  one.detect(A); // again
  await until(() => two.left(A) !== null);
  assert.deepEqual(await one.fleet.lift([A]), [1]);
  one.bans.liftAddress(parseNetwork(A)!.words); // as `bans remove --fleet` does
  await until(gone);

  await lapi.cscli(
    "decisions",
    "add",
    "-r",
    "198.51.100.0/24",
    "-R",
    "btblocker/manual",
    "-d",
    "1h",
  );
  await lapi.cscli(
    "decisions",
    "add",
    "-i",
    "192.0.2.50",
    "-R",
    "crowdsecurity/ssh-bf",
    "-d",
    "1h",
  );
  await until(() => two.left("198.51.100.0/24") !== null);
  await until(() => everything.left("192.0.2.50") !== null);
  assert.equal(two.left("192.0.2.50"), null, "another scenario's");
  for (const text of ["203.0.113.1", "203.0.113.0/24"]) {
    const flag = text.includes("/") ? "-r" : "-i";
    await lapi.cscli("decisions", "add", flag, text, "-R", "btblocker/malice", "-d", "1h");
  }
  await until(() => one.messages.filter((text) => /is ignored/.test(text)).length === 2);
  assert.equal(one.left("203.0.113.1"), null);
  assert.equal(one.left("203.0.113.0/24"), null);
  assert.equal(await two.fleet.lift(["198.51.100.0/24"]).then(([count]) => count), 1);
  await until(() => one.left("198.51.100.0/24") === null);
});

Deno.test("the API dies and comes back: bans hold, wait, and are told", { ignore }, async () => {
  await using lapi = await RealLapi.create();
  await using one = new Member(lapi, "gw-1");
  await using two = new Member(lapi, "gw-2");
  one.detect(A);
  one.detect("192.0.2.2");
  await until(() => two.left(A) !== null && two.left("192.0.2.2") !== null);
  await lapi.kill();
  one.detect("192.0.2.3");
  await until(() => two.messages.some((text) => /cannot be used/.test(text)));
  assert.notEqual(two.left(A), null, "what was taken over holds");
  assert.equal(one.fleet.waiting, 1);
  await lapi.start();
  await lapi.cscli("decisions", "delete", "-i", "192.0.2.2");
  const begin = performance.now();
  await until(() => two.left("192.0.2.3") !== null);
  await until(() => two.left("192.0.2.2") === null && one.left("192.0.2.2") === null);
  console.log(`told and lifted ${Math.round(performance.now() - begin)} ms after the API was back`);
  assert.notEqual(one.left(A), null);
  assert.notEqual(two.left(A), null);
  await until(() => one.fleet.waiting === 0);
});

Deno.test("clocks apart: a ban is neither longer nor shorter", { ignore }, async () => {
  await using lapi = await RealLapi.create();
  const settings = settingsOf(lapi, "gw-1", {});
  using teller = new Lapi(settings);
  await teller.login();
  // A gateway whose clock is a day behind would say so in its alerts: ours are in the API's time.
  const now = Date.now;
  try {
    Date.now = () => now() - 24 * HOUR;
    await using one = new Member(lapi, "gw-1");
    one.detect(A, 1800);
    await until(() => one.fleet.waiting === 0);
  } finally {
    Date.now = now;
  }
  using listener = new Lapi(settings);
  const { added: [decision] } = await listener.news(true);
  assert.ok(Math.abs(decision.durationMs - 1_800_000) < 60_000, `${decision.durationMs} ms`);
  // What waited ten minutes in the spool has ten minutes less.
  const waited = ban("192.0.2.2", { durationMs: HOUR });
  await teller.report([alertOf(waited, teller.nowMs() - 600_000, "gw-1")]);
  const { added } = await listener.news(true);
  const { durationMs } = added.find(({ key }) => key === "192.0.2.2")!;
  assert.ok(Math.abs(durationMs - 50 * 60_000) < 60_000, `${durationMs} ms`);
});

Deno.test("50,000 decisions at the start", { ignore }, async () => {
  await using lapi = await RealLapi.create();
  const COUNT = 50_000;
  const rows = Array.from({ length: COUNT }, (_, i) => ({
    ...{ duration: "4h", scope: "ip", type: "ban", reason: "btblocker/dht" },
    ...{ value: `11.${i >> 16}.${(i >> 8) & 255}.${i & 255}` },
  }));
  const file = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(file, JSON.stringify(rows));
  await lapi.cscli("decisions", "import", "-i", file);
  await Deno.remove(file);
  const begin = performance.now();
  let longest = 0;
  let last = begin;
  const ticker = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  await using one = new Member(lapi, "gw-1");
  await until(() => one.messages.some((text) => /takes over/.test(text)), undefined, 300_000);
  const seconds = (performance.now() - begin) / 1000;
  clearInterval(ticker);
  assert.equal(one.fleet.held, COUNT);
  assert.notEqual(one.left("11.0.195.79"), null); // number 49,999
  console.log(
    `${COUNT} decisions in force after ${seconds.toFixed(2)} s; the main thread was held up for ` +
      `${Math.round(longest)} ms at most`,
  );
});

Deno.test(
  "TLS: an authority and a certificate instead of password and key",
  { ignore },
  async () => {
    const directory = await Deno.makeTempDir();
    try {
      const pem = await certificates(directory);
      const tls = { ca: pem("ca.pem"), cert: pem("server.pem"), key: pem("server.key") };
      await using lapi = await RealLapi.create({ tls });
      const secretless = { login: "", password: "", key: "", ca: tls.ca };
      const own = { cert: pem("gateway.pem"), certKey: pem("gateway.key") };
      await using one = new Member(lapi, "gw-1", { ...secretless, ...own });
      await using two = new Member(lapi, "gw-2", { ca: tls.ca }); // password and key, over TLS
      one.detect(A);
      await until(() => two.left(A) !== null);
      two.detect("192.0.2.2");
      await until(() => one.left("192.0.2.2") !== null);
      const foreign = { cert: pem("stranger.pem"), certKey: pem("stranger.key") };
      await using stranger = new Member(lapi, "gw-3", { ...secretless, ...foreign });
      await using trusting = new Member(lapi, "gw-3", { ca: "" });
      await until(() => stranger.messages.length + trusting.messages.length === 4);
      for (const message of stranger.messages) {
        assert.match(
          message,
          /warn: .*(401|403).*FLEET_CERT/,
        );
      }
      for (const message of trusting.messages) {
        assert.match(message, /warn: .*certificate.*FLEET_CA/);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

/** An authority, and what it has certified; gives the path of each file. */
async function certificates(directory: string): Promise<(name: string) => string> {
  const script = `
    new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl req -x509 $new -keyout ca.key -out ca.pem -subj "/CN=a fleet" -days 2
    printf 'subjectAltName=DNS:localhost\\nextendedKeyUsage=serverAuth,clientAuth\\n' > extensions
    for row in server,/CN=localhost gateway,/CN=gw-tls/OU=fleet stranger,/CN=x/OU=strangers; do
      name=\${row%%,*}
      openssl req $new -keyout $name.key -out $name.csr -subj "\${row#*,}"
      openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem \\
        -days 2 -extfile extensions
    done`;
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-ec", script],
    cwd: directory,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return (name) => `${directory}/${name}`;
}
