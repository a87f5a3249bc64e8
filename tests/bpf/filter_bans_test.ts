/** Bans in the kernel: how long they hold, what ends them, over starts and changes of settings. */
import assert from "node:assert/strict";
import type { BanAnswer } from "../../src/blocker/ban_request.ts";
import { until } from "../until.ts";
import {
  add,
  ADDRESSES,
  BANNED,
  BANNED6,
  ignore,
  listed,
  programOf,
  REVERSED,
  TALK,
  withoutTun,
} from "./filter_bed.ts";
import { type Heard, PORT } from "./filter_process.ts";
import { Namespaces } from "./namespaces.ts";

Deno.test("bans end on time while the cleaner sleeps", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const filter = await hosts.startFilter({ interfaces: ["v0"] });
  await filter.hears(BANNED, true);
  const answers = await filter.ask<BanAnswer[]>("bans", {
    ...{ action: "add", addresses: [BANNED], durationSeconds: 6 },
  });
  const untilMs = answers[0].type === "added" ? answers[0].untilMs : 0;
  await filter.hears(BANNED, false, 5_000);
  await filter.hears(BANNED, true);
  const heard = await filter.ask<Record<string, Heard>>("heard");
  const late = heard[BANNED].resumedMs - untilMs;
  // On a busy machine nobody is heard for a while, banned or not.
  const busy = heard[REVERSED].pauseMs;
  const told = `traffic resumed ${late} ms after the ban's end; another paused for ${busy} ms`;
  assert.ok(late >= -20 && late < 1_000 + busy, told);
  assert.equal(await filter.ask("size"), 1, "not cleaned up yet");
  // The list counts in ticks of 100 ms, the last one whole.
  await until(async () => (await listed(filter)).length === 0, () => "still listed");
});

Deno.test(
  "kill -9 lets traffic flow and keeps the bans for the next start",
  { ignore },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", ADDRESSES);
    hosts.talk(...TALK);
    const first = await hosts.startFilter({ interfaces: ["v0"] });
    await first.hears(BANNED, true);
    await add(first, [BANNED, BANNED6]);
    await first.hears(BANNED, false);
    await first.kill("SIGKILL");
    assert.equal(programOf(await hosts.ip("gateway", "link", "show", "v0")), null, "detached");

    // Without a running blocker the command works on what it left.
    const list = await hosts.btblocker("bans", "list", "--json");
    assert.equal(list.stdout.trim().split("\n").length, 2, list.stderr);
    assert.equal((await hosts.btblocker("bans", "remove", BANNED6)).code, 0);
    const elsewhere = await hosts.btblockerIn("outside", "bans", "list");
    assert.equal(elsewhere.code, 1, "another namespace of the same bpffs has no part in them");
    assert.match(elsewhere.stderr, /^Cannot list bans: btblocker does not run in this network/);

    const second = await hosts.startFilter({ interfaces: ["v0"] });
    assert.match(second.messages(), /Holding again: 1 ban of an earlier run/);
    await second.hears(REVERSED, true);
    await second.hears(BANNED6, true);
    await second.hears(BANNED, false);
    assert.deepEqual(await listed(second), [BANNED]);
    await second.kill("SIGTERM");

    const third = await hosts.startFilter({ interfaces: ["v0"], persist: true });
    assert.deepEqual(await listed(third), [], "a clean stop forgets");
    await add(third, [BANNED]);
    await third.kill("SIGTERM");
    const fourth = await hosts.startFilter({ interfaces: ["v0"], persist: true });
    assert.deepEqual(await listed(fourth), [BANNED], "unless PERSIST_BANS");
    await fourth.kill("SIGTERM");
    const fifth = await hosts.startFilter({ interfaces: ["v0"], limit: 2048 });
    assert.match(fifth.messages(), /has room for 1024 bans, BAN_LIMIT is 2048/);
    assert.deepEqual(await listed(fifth), []);
  },
);

Deno.test("a reload opens ports of this machine to the banned, and shuts them", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  for (const xdpMode of ["generic", "tc"] as const) {
    const settings = { interfaces: ["v0"], openPorts: [22, PORT], xdpMode };
    const filter = await hosts.startFilter(settings);
    await add(filter, [BANNED, BANNED6, REVERSED]);
    // Sees that they pass by what comes after the ban is in force.
    for (const source of [BANNED, BANNED6, REVERSED]) await filter.hears(source, true);
    await filter.ask("openPorts", [22, PORT + 1]);
    for (const source of [BANNED, BANNED6, REVERSED]) await filter.hears(source, false);
    await filter.ask("openPorts", [PORT]);
    for (const source of [BANNED, BANNED6, REVERSED]) await filter.hears(source, true);
    // Of an address that is no longer this machine's own nothing is open.
    await hosts.ip("gateway", "address", "delete", "2.1.9.1/24", "dev", "v0");
    await hosts.ip("gateway", "route", "add", "local", "2.1.9.1", "dev", "v0");
    await filter.hears(REVERSED, false);
    await hosts.ip("gateway", "route", "delete", "local", "2.1.9.1", "dev", "v0");
    await hosts.ip("gateway", "address", "add", "2.1.9.1/24", "dev", "v0");
    await filter.kill("SIGTERM");
  }
});

Deno.test(
  "a start that fails keeps the bans of the run before",
  { ignore: withoutTun },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.ip("gateway", "tuntap", "add", "dev", "t0", "mode", "tun");
    const first = await hosts.startFilter({ interfaces: ["t0"] });
    await add(first, [BANNED]);
    await first.kill("SIGKILL");
    const native = await hosts.startFilter({ interfaces: ["t0"], xdpMode: "native" });
    assert.match(native.messages(), /fatal: Cannot drop banned addresses on t0/);
    const third = await hosts.startFilter({ interfaces: ["t0"] });
    assert.deepEqual(await listed(third), [BANNED]);
  },
);

Deno.test(
  "bans of endpoints, kept over a change of BAN_SCOPE, are in force",
  { ignore },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", ADDRESSES);
    const first = await hosts.startFilter({ interfaces: ["v0"], scope: "endpoint" });
    await first.ask("banEndpoint", { address: BANNED, port: 20_000 });
    await first.kill("SIGKILL");
    const second = await hosts.startFilter({ interfaces: ["v0"], scope: "ip" });
    assert.deepEqual(await listed(second), [BANNED]);
    const script = `echo x | nc -u -w1 -p 20000 -s ${BANNED} 10.9.1.1 20000 || true`;
    const packets = async () =>
      (await second.ask<Record<string, { packets: number }>>("drops")).v0.packets;
    const isDropped = async () => {
      await hosts.run("outside", "sh", "-c", script);
      return await packets() > 0;
    };
    await until(isDropped, () => "listed, and not dropped");
    assert.equal((await hosts.btblocker("bans", "remove", BANNED)).code, 0);
    assert.deepEqual(await listed(second), []);
  },
);

Deno.test("bans of what has come into WHITELIST_IPS are lifted: running, and at start", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const first = await hosts.startFilter({ interfaces: ["v0"] });
  await add(first, [BANNED, BANNED6, "203.0.113.7"]);
  await first.ask("whitelist", [BANNED]);
  assert.deepEqual(await listed(first), [BANNED6, "203.0.113.7"]);
  assert.match(first.messages(), /Lifted 1 ban of addresses that are never banned now/);
  await first.kill("SIGKILL");
  const second = await hosts.startFilter({ interfaces: ["v0"], whitelistIps: [BANNED6] });
  assert.deepEqual(await listed(second), ["203.0.113.7"]);
  await hosts.ip("gateway", "address", "add", "203.0.113.7/32", "dev", "v0");
  await until(async () => (await listed(second)).length === 0, () => "an own address is banned");
});

Deno.test("the bans of a namespace go once it has ended, not before", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const first = await hosts.startFilter({ interfaces: ["v0"] });
  await first.kill("SIGKILL");
  const folders = async () => {
    const { stdout } = await hosts.run("outside", "ls", "/sys/fs/bpf/btblocker");
    return stdout.split("\n").filter((name) => name !== "");
  };
  const [left, ...others] = await folders();
  assert.match(left, /^net-\d+/);
  assert.deepEqual(others, []);
  const second = await hosts.startFilterIn("outside", { interfaces: ["v0"] });
  assert.equal((await folders()).length, 2, "a namespace without a process may come back");
  await second.kill("SIGKILL");
  await hosts.remove("gateway");
  const isGone = async () => {
    const third = await hosts.startFilterIn("outside", { interfaces: ["lo"] });
    const now = await folders();
    await third.kill("SIGKILL");
    return !now.includes(left);
  };
  await until(isGone, () => "the folder of a namespace that has ended is there still");
  assert.equal((await folders()).length, 1);
});

Deno.test("no interface of those named is there at the start: waited for with a warning", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  const filter = await hosts.startFilter({ interfaces: ["late0"] });
  assert.match(
    filter.messages(),
    /warn: None of INTERFACE \(late0\) is there yet, (none is up|there are .*): waiting for it/,
  );
  await hosts.connect("late0", ADDRESSES);
  await until(() => /dropped on late0 by/.test(filter.messages()), () => filter.messages());
});

Deno.test("a second blocker in the namespace is refused, naming the first", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const first = await hosts.startFilter({ interfaces: ["v0"] });
  const second = await hosts.startFilter({ interfaces: ["v0"] });
  assert.match(
    second.messages(),
    /fatal: Cannot start: btblocker is running here already \(process \d+\)/,
  );
  assert.equal((await first.kill("SIGTERM")).code, 0);
});

Deno.test("without BPF rights the bans hold in user space, with the same commands", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const filter = await hosts.startFilter({ interfaces: ["v0"] }, "-bpf,-sys_admin");
  assert.match(
    filter.messages(),
    /warn: Cannot load the BPF programs: .+; bans hold in user space only/,
  );
  assert.equal((await hosts.btblocker("bans", "add", BANNED, "--duration", "10m")).code, 0);
  const list = await hosts.btblocker("bans", "list", "--json");
  const row = JSON.parse(list.stdout);
  assert.equal(row.address, BANNED);
  assert.ok(row.secondsLeft > 300 && row.secondsLeft <= 600);
  assert.equal((await hosts.btblocker("bans", "remove", BANNED)).code, 0);
  assert.equal((await hosts.btblocker("bans", "list", "--json")).stdout, "");
});

Deno.test("monitor mode detaches, and leaving it attaches again", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const filter = await hosts.startFilter({ interfaces: ["v0"], monitorOnly: true });
  await add(filter, [BANNED]);
  await filter.hears(BANNED, true);
  await filter.ask("monitor", false);
  await filter.hears(BANNED, false);
  await filter.ask("monitor", true);
  await filter.hears(BANNED, true);
});

Deno.test("own addresses, gateways and special ones cannot be banned; bad input is refused", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  await hosts.ip("gateway", "route", "add", "default", "via", "10.9.1.99");
  const filter = await hosts.startFilter({ whitelistIps: ["198.51.100.0/24"] });
  assert.match(
    filter.messages(),
    /Banned addresses are dropped on v0/,
    "that of the default route",
  );
  const own = "is this machine's own address";
  const never: [string, string][] = [
    ["10.9.1.1", `10.9.1.1 ${own}`],
    ["10.9.1.0/24", `10.9.1.1 ${own}`],
    ["2001:db8::1", `2001:db8::1 ${own}`],
    ["10.9.1.99", "10.9.1.99 is a gateway of this machine's routes"],
    ["10.9.1.255", "a broadcast address of this machine's networks is in it"],
    ["127.0.0.1", "127.0.0.0/8 is of no single host"],
    ["224.0.0.1", "224.0.0.0/4 is of no single host"],
    ["198.51.100.7", "198.51.100.0/24 is in WHITELIST_IPS"],
  ];
  for (const [text, why] of never) {
    const { code, stderr } = await hosts.btblocker("bans", "add", text);
    assert.equal(code, 1, text);
    assert.equal(stderr.split("\n")[0], `Cannot ban ${text}: ${why}`);
  }
  for (const text of ["10.0.0.0/7", "10.0.0", "example.org", "10.9.1.2:80", "fe80::1%v0"]) {
    const { code, stderr } = await hosts.btblocker("bans", "add", BANNED, text);
    assert.equal(code, 2, text);
    assert.match(stderr, /^Cannot ban .+: expected (an address, |a network of at least \/8)/);
  }
  const wide = await hosts.btblocker("bans", "add", BANNED, "10.0.0.0/8");
  assert.equal(wide.code, 1, "it has this machine's own address");
  assert.deepEqual(await listed(filter), [], "nor is the good one of a bad request");
  await hosts.ip("gateway", "address", "add", "10.9.1.50/24", "dev", "v0");
  const isRefused = async () => {
    if ((await hosts.btblocker("bans", "add", "10.9.1.50")).code === 1) return true;
    await hosts.btblocker("bans", "remove", "10.9.1.50"); // not noticed yet
    return false;
  };
  await until(isRefused, () => "a new own address can be banned");
});

Deno.test("200,000 bans", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const filter = await hosts.startFilter({ interfaces: ["v0"], limit: 262_144 });
  const rate = await filter.ask<number>("banMany", 200_000);
  console.log(`${Math.round(rate)} bans a second`);
  await add(filter, [BANNED]);
  await filter.hears(REVERSED, true);
  await filter.hears(BANNED, false);
  const list = await hosts.btblocker("bans", "list", "--json");
  assert.equal(list.code, 0, list.stderr);
  // One in some ten thousand gives way early: both of its buckets are full (ban_buckets.ts).
  const held = list.stdout.trim().split("\n").length;
  assert.ok(held > 199_980 && held <= 200_001, `${held}`);
  const clear = await hosts.btblocker("bans", "clear");
  assert.equal(clear.stdout, `Lifted ${held} bans\n`);
  await filter.hears(BANNED, true);
});
