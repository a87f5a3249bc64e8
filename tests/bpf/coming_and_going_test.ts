/** The program is attached while anybody is banned, on real devices, as the kernel itself lists it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { XdpAttachment } from "../../src/gateway/bans/guarded_interfaces.ts";
import { programsOnLinks } from "../lab/programs_on_links.ts";
import { until } from "../until.ts";
import { type Filter, namespaceProblem, Namespaces } from "./namespaces.ts";

const ignore = namespaceProblem !== null;
if (ignore) console.log(`Tests of attaching are skipped: ${namespaceProblem}`);

const BANNED = "10.9.1.2";
const INNOCENT = "10.9.1.3";
const ADDRESSES = { gateway: ["10.9.1.1/24"], outside: [`${BANNED}/24`, `${INNOCENT}/24`] };
const TALK: [string, string][] = [[BANNED, "10.9.1.1"], [INNOCENT, "10.9.1.1"]];

const look = (hosts: Namespaces) => programsOnLinks((command) => hosts.inside("gateway", command));

async function becomes(hosts: Namespaces, wanted: readonly string[]): Promise<void> {
  let last: string[] = [];
  const isSo = async () => (last = await look(hosts)).join() === wanted.join();
  await until(isSo, () => `on the links: ${last.join() || "nothing"}`);
}

async function add(filter: Filter, address: string, durationSeconds = 3600): Promise<void> {
  await filter.ask("bans", { action: "add", addresses: [address], durationSeconds });
}

const clear = (filter: Filter) =>
  filter.ask("bans", { action: "clear", addresses: [], durationSeconds: 0 });

const PLACES = [
  ["v0: tcx btblocker_tc", {}],
  ["v0: filter btblocker_tc", { withoutTcx: true }],
  ["v0: xdp btblocker_l2", { xdpMode: "generic" }],
] as const;

for (const [line, settings] of PLACES) {
  Deno.test(`${line} comes with the first ban and goes after the last`, { ignore }, async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", ADDRESSES);
    hosts.talk(...TALK);
    const filter = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 1_000, ...settings });
    assert.match(filter.messages(), /dropped on v0 by .+; while anybody is banned\)/);
    await becomes(hosts, []);
    await filter.hears(BANNED, true);
    await add(filter, BANNED);
    assert.deepEqual(await look(hosts), [line], "when the answer is there");
    await filter.hears(BANNED, false);
    await filter.hears(INNOCENT, true);
    const packets = async () =>
      (await filter.ask<Record<string, { packets: number }>>("drops")).v0.packets;
    await until(async () => await packets() > 0, () => "nothing is counted as dropped");
    await clear(filter);
    await becomes(hosts, []);
    await filter.hears(BANNED, true);
    const before = await packets();
    assert.ok(before > 0, "what was dropped stays counted");
    await add(filter, BANNED);
    assert.deepEqual(await look(hosts), [line], "again");
    await until(async () => await packets() > before, () => "nothing more is counted as dropped");
    assert.equal(filter.messages().match(/are dropped on v0/g)?.length, 1, filter.messages());
  });
}

Deno.test("native XDP, which a driver may reset its rings for, stays from start to stop", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const settings = { interfaces: ["v0", "v1"], lingerMs: 0, xdpMode: "native" } as const;
  const filter = await hosts.startFilter(settings);
  assert.match(filter.messages(), /dropped on v0 by XDP .+; attached for good\)/);
  // When a second interface has been seen, every one was looked at again.
  await hosts.connect("v1", { gateway: ["10.9.2.1/24"], outside: ["10.9.2.2/24"] });
  await becomes(hosts, ["v0: xdp btblocker_l2", "v1: xdp btblocker_l2"]);
  await add(filter, BANNED);
  await clear(filter);
  await becomes(hosts, ["v0: xdp btblocker_l2", "v1: xdp btblocker_l2"]);
});

Deno.test("a ban that ends by itself takes the program with it, once it is swept", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const filter = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 0 });
  await add(filter, BANNED, 1);
  await becomes(hosts, ["v0: tcx btblocker_tc"]);
  await until(async () => await filter.ask<number>("sweep") > 0, () => "the ban does not end");
  await becomes(hosts, []);
});

Deno.test("bans of the run before are in force in the kernel when it guards", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const first = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 0 });
  await add(first, BANNED);
  await first.kill("SIGKILL");
  assert.deepEqual(await look(hosts), []);
  const second = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 0 });
  await becomes(hosts, ["v0: tcx btblocker_tc"]);
  hosts.talk(...TALK);
  await second.hears(INNOCENT, true);
  await second.hears(BANNED, false);
});

Deno.test("an interface that appears while somebody is banned gets the program, and keeps it", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v1", { gateway: ["10.9.2.1/24"], outside: ["10.9.2.2/24"] });
  const filter = await hosts.startFilter({ interfaces: ["v0", "v1"], lingerMs: 0 });
  await add(filter, BANNED);
  await hosts.connect("v0", ADDRESSES);
  await becomes(hosts, ["v0: tcx btblocker_tc", "v1: tcx btblocker_tc"].toReversed());
  await hosts.ip("gateway", "link", "delete", "v1");
  await becomes(hosts, ["v0: tcx btblocker_tc"]);
  await clear(filter);
  await becomes(hosts, []);
  // One that appears while nobody is: tried, and let go of.
  await hosts.connect("v1", { gateway: ["10.9.2.1/24"], outside: ["10.9.2.2/24"] });
  await until(
    () => filter.messages().match(/are dropped on v1/g)?.length === 2,
    () => filter.messages(),
  );
  await becomes(hosts, []);
});

Deno.test(
  "where another program has come meanwhile, a ban says so, holds in user space, and tries again",
  {
    ignore,
  },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", ADDRESSES);
    hosts.talk(...TALK);
    const settings = { interfaces: ["v0"], lingerMs: 0, xdpMode: "generic" } as const;
    const filter = await hosts.startFilter(settings);
    await becomes(hosts, []);
    const object = fileURLToPath(new URL("../../bpf/btblocker.bpf.o", import.meta.url));
    const theirs = ["obj", object, "program", "btblocker_l3"];
    const link = (...rest: string[]) =>
      hosts.run("gateway", "ip", "link", "set", "v0", "xdpgeneric", ...rest);
    const set = await link(...theirs);
    assert.equal(set.code, 0, set.stderr);
    await add(filter, BANNED);
    assert.match(
      filter.messages(),
      /error: Cannot drop banned addresses on v0: program btblocker_l3 \(id \d+\) is attached already and is not replaced; bans there hold in user space only until it can be attached again/,
    );
    const [{ mode, isAttached, problem }] = await filter.ask<XdpAttachment[]>("attachments");
    assert.deepEqual([mode, isAttached], [null, false]);
    assert.match(problem ?? "", /btblocker_l3/);
    assert.equal(await filter.ask("isBanned", BANNED), true, "for the queue workers");
    await filter.hears(BANNED, true);
    await link("off");
    await filter.hears(BANNED, false);
    assert.deepEqual(await look(hosts), ["v0: xdp btblocker_l2"]);
    assert.equal(filter.messages().match(/error:/g)?.length, 1, filter.messages());
  },
);

Deno.test("a refusal of the kernel where it has worked before is tried again too", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const filter = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 0, xdpMode: "tc" });
  await becomes(hosts, []);
  const script = fileURLToPath(new URL("./foreign_crowd.ts", import.meta.url));
  const command = [Deno.execPath(), "run", "-q", "-A", script, "v0"];
  const crowd = hosts.command("gateway", { stdout: "piped" }, ...command).spawn();
  const reader = crowd.stdout.getReader();
  assert.equal((await reader.read()).done, false, "no crowd");
  await add(filter, BANNED);
  assert.match(
    filter.messages(),
    /error: Cannot drop banned addresses on v0: tc mode: ERANGE.*; bans there hold in user space only until/,
  );
  await filter.ask("refresh"); // fails again, and is no news
  await filter.hears(BANNED, true);
  crowd.kill("SIGKILL");
  await reader.cancel();
  await crowd.status;
  await filter.hears(BANNED, false);
  assert.equal(filter.messages().match(/error:/g)?.length, 1, filter.messages());
});

Deno.test("a program of another that comes before ours is put behind it again", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const filter = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 0, xdpMode: "tc" });
  await add(filter, BANNED);
  await filter.hears(BANNED, false);
  const script = fileURLToPath(new URL("./foreign_front.ts", import.meta.url));
  const command = [Deno.execPath(), "run", "-q", "-A", script, "v0"];
  const front = hosts.command("gateway", { stdout: "piped" }, ...command).spawn();
  let said = "";
  const reading = front.stdout.pipeThrough(new TextDecoderStream())
    .pipeTo(new WritableStream({ write: (text) => void (said += text) }));
  try {
    await until(() => said !== "", () => "it is not there");
    await until(() => said.endsWith("behind\n"), () => said);
    await filter.hears(BANNED, false);
  } finally {
    front.kill("SIGKILL");
    await Promise.all([front.status, reading]);
  }
});

Deno.test("with many interfaces a worker's ban holds first where the banned one was seen", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  const names = Array.from({ length: 24 }, (_, index) => `m${index}`);
  for (const name of names) {
    await hosts.ip("gateway", "link", "add", name, "type", "veth", "peer", "name", `p${name}`);
  }
  const filter = await hosts.startFilter({ interfaces: names, lingerMs: 0 });
  const attached = (list: readonly XdpAttachment[]) =>
    list.filter(({ isAttached }) => isAttached).map(({ name }) => name);
  const now = async () => attached(await filter.ask<XdpAttachment[]>("attachments"));
  await until(async () => (await now()).length === 0, () => "something stays attached");
  const ban = { address: BANNED, device: "m23" };
  const firstTurn = attached(await filter.ask<XdpAttachment[]>("banFrom", ban));
  assert.ok(firstTurn.includes("m23"), firstTurn.join());
  await until(async () => (await now()).length === names.length, () => "not all are attached");
  assert.deepEqual((await now()).sort(), names.toSorted());
});

Deno.test("attaching and detaching lose no packet", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  for (const settings of [{}, { withoutTcx: true }, { xdpMode: "generic" }] as const) {
    const filter = await hosts.startFilter({ interfaces: ["v0"], lingerMs: 0, ...settings });
    const arrived = async () => {
      const { stdout } = await hosts.run("gateway", "cat", "/proc/net/snmp");
      const [names, values] = stdout.split("\n").filter((line) => line.startsWith("Udp:"))
        .map((line) => line.split(" "));
      const of = (name: string) => Number(values[names.indexOf(name)]);
      return of("InDatagrams") + of("RcvbufErrors"); // came to the socket, whatever it did with them
    };
    const before = await arrived();
    const script = fileURLToPath(new URL("./flood.ts", import.meta.url));
    const flood = hosts.command(
      "outside",
      { stdin: "piped", stdout: "piped" },
      ...[Deno.execPath(), "run", "-q", "-A", script, INNOCENT, "10.9.1.1"],
    ).spawn();
    let changes = 0;
    for (let round = 0; round < 10; round++) {
      for (const act of [() => add(filter, BANNED), () => clear(filter)]) {
        await act();
        await filter.ask("refresh");
        const [{ isAttached }] = await filter.ask<XdpAttachment[]>("attachments");
        if (isAttached === (act.toString().includes("add"))) changes++;
      }
    }
    await flood.stdin.close();
    const { stdout } = await flood.output();
    const sent = Number(new TextDecoder().decode(stdout));
    assert.equal(changes, 20);
    assert.ok(sent > 1_000, `${sent}`);
    await until(async () => await arrived() - before >= sent, () => "packets are missing");
    assert.equal(await arrived() - before, sent);
    await filter.kill("SIGTERM");
  }
});
