/**
 * What a Local API and a gateway bear: `deno run -A tests/fleet/lapi_bench.ts [decisions]`. Prints the
 * figures of docs/FLEET.md.
 */
import { commandLine } from "../../scripts/arguments.ts";
import { alertOf } from "../../src/fleet/alerts.ts";
import { Lapi } from "../../src/fleet/lapi.ts";
import type { FleetSettings } from "../../src/fleet/settings.ts";
import { Takeover } from "../../src/fleet/takeover.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans } from "../../src/gateway/bans/bans.ts";
import { Networks } from "../../src/gateway/network/networks.ts";
import { bpfImpossible } from "../bpf/possible.ts";
import { loadProgram } from "../bpf/program.ts";
import { ban, bansOf, HOUR } from "./bans.ts";
import { keyOf, PASSWORD, RealLapi } from "./real_lapi.ts";

const { numberAt } = commandLine("deno run -A tests/fleet/lapi_bench.ts [DECISIONS]", {}, 1);
const DECISIONS = numberAt(0, "DECISIONS", 50_000);
const BATCH = 100;
const BATCHES = 20;
const POLLS = 100;
const LIMIT = 131_072;

const settingsOf = (api: RealLapi, name: string): FleetSettings => ({
  ...{ url: api.url, login: name, password: PASSWORD, key: keyOf(name), intervalMs: 10_000 },
  ...{
    scope: "btblocker",
    sharesPrivate: false,
    ca: "",
    cert: "",
    certKey: "",
    spoolDirectory: "",
  },
});

/** Processor time of the API so far, in milliseconds (proc(5): utime, stime in hundredths). */
function cpuMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memoryMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1024;
}

await using api = await RealLapi.create();
using teller = new Lapi(settingsOf(api, "gw-1"));
using listener = new Lapi(settingsOf(api, "gw-2"));
await teller.login();
await listener.news(true);

async function measure(what: string, count: number, action: () => Promise<void>): Promise<void> {
  const [begin, cpu] = [performance.now(), cpuMs(api.pid)];
  await action();
  const ms = performance.now() - begin;
  console.log(
    `${what}: ${(count / ms * 1000).toFixed(0)} a second, ${(ms / count).toFixed(2)} ms each, ` +
      `${((cpuMs(api.pid) - cpu) / count).toFixed(2)} ms of the API's processor`,
  );
}

const address = (i: number) => `11.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
let next = 0;
const alerts = (count: number) =>
  Array.from({ length: count }, () => alertOf(ban(address(next++)), teller.nowMs(), "gw-1"));

await measure(`decisions told in batches of ${BATCH}`, BATCH * BATCHES, async () => {
  for (let i = 0; i < BATCHES; i++) await teller.report(alerts(BATCH));
});
await measure("decisions told one by one", 100, async () => {
  for (let i = 0; i < 100; i++) await teller.report(alerts(1));
});
await listener.news(false);
await measure("questions without news, few decisions", POLLS, async () => {
  for (let i = 0; i < POLLS; i++) await listener.news(false);
});

const rows = Array.from({ length: DECISIONS - next }, (_, i) => ({
  ...{ duration: "4h", scope: "ip", type: "ban", reason: "btblocker/dht" },
  value: address(next + i),
}));
const file = await Deno.makeTempFile({ suffix: ".json" });
await Deno.writeTextFile(file, JSON.stringify(rows));
await api.cscli("decisions", "import", "-i", file);
await Deno.remove(file);
await listener.news(false);

await measure(`questions without news, ${DECISIONS} decisions`, POLLS, async () => {
  for (let i = 0; i < POLLS; i++) await listener.news(false);
});
await measure(`question and one new decision among ${DECISIONS}`, 20, async () => {
  for (let i = 0; i < 20; i++) {
    await teller.report(alerts(1));
    await listener.news(false);
  }
});
await measure(`snapshots of ${DECISIONS} decisions, read`, 3, async () => {
  for (let i = 0; i < 3; i++) await listener.news(true);
});
const news = await listener.news(true);
using program = bpfImpossible === null ? loadProgram({ limit: LIMIT }) : null;
const bans = program === null ? bansOf(LIMIT) : new Bans({
  table: BanTable.buffer(LIMIT),
  scope: "ip",
  maps: program.maps,
  inForce: program.inForce,
});
const takeover = new Takeover({
  ...{
    bans,
    never: Networks.of("127.0.0.0/8", "192.0.2.1"),
    most: LIMIT,
    wasMember: false,
    sharesPrivate: false,
  },
  own: { isUnderWay: () => false, isKnown: () => false, known: () => [], forget: () => {} },
  log: () => {},
});
const begin = performance.now();
await takeover.snapshot(news);
console.log(
  `${takeover.size} put into force${program === null ? "" : ", in the kernel too"}: ${
    (performance.now() - begin).toFixed(0)
  } ms`,
);
const again = performance.now();
takeover.refresh();
await takeover.snapshot(news);
console.log(`the same again: ${(performance.now() - again).toFixed(0)} ms`);
console.log(
  `the API's memory: ${memoryMb(api.pid).toFixed(0)} MB; a ban lasts ${HOUR / 3_600_000} h`,
);
