/** The XDP filter on real devices, in namespaces. */
import assert from "node:assert/strict";
import type { BanAnswer } from "../../src/gateway/ban_commands.ts";
import type { XdpAttachment } from "../../src/gateway/xdp.ts";
import { type Filter, namespaceProblem, Namespaces } from "./namespaces.ts";

const ignore = namespaceProblem !== null;
if (ignore) console.log(`Tests of the XDP filter are skipped: ${namespaceProblem}`);

const BANNED = "10.9.1.2";
const REVERSED = "2.1.9.10";
const BANNED6 = "2001:db8::7";
const OTHER6 = "2001:db8::8";
const ADDRESSES = {
  gateway: ["10.9.1.1/24", "2.1.9.1/24", "2001:db8::1/64"],
  outside: [`${BANNED}/24`, `${REVERSED}/24`, `${BANNED6}/64`, `${OTHER6}/64`],
};
const TALK: [string, string][] = [
  [BANNED, "10.9.1.1"],
  [REVERSED, "2.1.9.1"],
  [BANNED6, "2001:db8::1"],
  [OTHER6, "2001:db8::1"],
];

async function add(filter: Filter, addresses: string[], durationSeconds = 3600): Promise<void> {
  await filter.ask("bans", { action: "add", addresses, durationSeconds });
}

async function listed(filter: Filter): Promise<string[]> {
  const request = { action: "list", addresses: [], durationSeconds: 0 };
  const answers = await filter.ask<BanAnswer[]>("bans", request);
  return answers.flatMap((answer) => answer.type === "ban" ? [answer.ban.address] : []).sort();
}

function programOf(link: string): string | null {
  return /prog\/xdp id \d+ name (\S+)/.exec(link)?.[1] ?? null;
}

for (const mode of ["generic", "native"] as const) {
  Deno.test(
    `XDP on veth, ${mode}: bans drop the banned address and no other`,
    { ignore },
    async () => {
      await using hosts = await Namespaces.create();
      await hosts.connect("v0", ADDRESSES);
      hosts.talk(...TALK);
      const filter = await hosts.startFilter({ interfaces: ["v0"], xdpMode: mode });
      const [attachment] = await filter.ask<XdpAttachment[]>("attachments");
      assert.equal(attachment.mode, mode, filter.messages());
      for (const [source] of TALK) await filter.hears(source, true);
      await add(filter, [BANNED, BANNED6]);
      await filter.hears(BANNED, false);
      await filter.hears(BANNED6, false);
      await filter.hears(REVERSED, true);
      await filter.hears(OTHER6, true);
      const drops = await filter.ask<Record<string, { packets: number }>>("drops");
      assert.ok(drops.v0.packets > 0);

      const list = await hosts.btblocker("bans", "list", "--json");
      assert.equal(list.code, 0, list.stderr);
      const rows = list.stdout.trim().split("\n").map((line) => JSON.parse(line));
      const row = rows.find(({ address }) => address === BANNED);
      assert.equal(row.reason, "manual");
      assert.ok(row.packetsDropped > 0 && row.secondsLeft > 3590 && row.secondsLeft <= 3600);
      assert.ok(Date.parse(row.since) <= Date.now() && Date.parse(row.until) > Date.now());

      const removed = await hosts.btblocker("bans", "remove", BANNED);
      assert.equal(removed.code, 0, removed.stderr);
      await filter.hears(BANNED, true);
      await filter.hears(BANNED6, false);
      assert.equal((await hosts.btblocker("bans", "remove", BANNED)).code, 1, "was not banned");
      assert.equal((await hosts.btblocker("bans", "clear")).code, 0);
      await filter.hears(BANNED6, true);
      assert.equal((await hosts.btblocker("bans", "list")).stdout, "No bans\n");

      assert.equal((await filter.kill("SIGTERM")).code, 0);
      assert.equal(programOf(await hosts.ip("gateway", "link", "show", "v0")), null);
      assert.equal(
        (await hosts.run("gateway", "find", "/sys/fs/bpf/btblocker")).code,
        1,
        "no pins",
      );
    },
  );
}

Deno.test("bans end on time while the cleaner sleeps", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const filter = await hosts.startFilter({ interfaces: ["v0"] });
  await filter.hears(BANNED, true);
  const answers = await filter.ask<BanAnswer[]>("bans", {
    ...{ action: "add", addresses: [BANNED], durationSeconds: 3 },
  });
  const untilMs = answers[0].type === "added" ? answers[0].untilMs : 0;
  await filter.hears(BANNED, false, 2_000);
  await filter.hears(BANNED, true);
  const heard = await filter.ask<Record<string, { resumedMs: number }>>("heard");
  const late = heard[BANNED].resumedMs - untilMs;
  assert.ok(late >= -20 && late < 1_000, `traffic resumed ${late} ms after the ban's end`);
  assert.equal(await filter.ask("size"), 1, "not cleaned up yet");
  assert.deepEqual(await listed(filter), [], "not listed any more");
});

// From 10.9.1.2 and 2.1.9.10 to 10.8.0.1, UDP port 20000: RFC 791 and 768, checksums included where
// the kernel looks at them (IPv4 header); UDP checksum 0 means none.
const tunPacket = (source: string, checksum: string) =>
  `4500 001d 0001 0000 4011 ${checksum} ${source} 0a080001 1ae1 4e20 0009 0000 78`;

Deno.test("XDP on TUN, which has no Ethernet header", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.ip("gateway", "tuntap", "add", "dev", "t0", "mode", "tun");
  await hosts.ip("gateway", "address", "add", "10.8.0.1/24", "dev", "t0");
  for (const network of ["10.9.1.0/24", "2.1.9.0/24"]) {
    await hosts.ip("gateway", "link", "set", "t0", "up");
    await hosts.ip("gateway", "route", "add", network, "dev", "t0");
  }
  const filter = await hosts.startFilter({ interfaces: ["t0"] });
  const [attachment] = await filter.ask<XdpAttachment[]>("attachments");
  assert.equal(attachment.mode, "generic", filter.messages());
  const banned = tunPacket("0a090102", "65c1");
  const reversed = tunPacket("0201090a", "65c2");
  const feed = (packet: string) => filter.ask("feed", { device: "t0", packet });
  const heard = async () => Object.keys(await filter.ask<object>("heard")).sort();
  await feed(reversed);
  await filter.hears(REVERSED, true);
  await add(filter, [BANNED]);
  await feed(banned);
  await feed(reversed);
  assert.deepEqual(await heard(), [REVERSED]);
  const drops = await filter.ask<Record<string, { packets: number }>>("drops");
  assert.equal(drops.t0.packets, 1);
  await hosts.btblocker("bans", "remove", BANNED);
  await feed(banned);
  await filter.hears(BANNED, true);
});

Deno.test(
  "two interfaces share the bans; one that appears later and one created again are attached",
  {
    ignore,
  },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", ADDRESSES);
    hosts.talk(...TALK, ["10.9.2.2", "10.9.2.1"]);
    const filter = await hosts.startFilter({ interfaces: ["v0", "v1"] });
    assert.match(filter.messages(), /There is no interface v1; bans there hold once it appears/);
    const second = { gateway: ["10.9.2.1/24"], outside: ["10.9.2.2/24"] };
    await hosts.connect("v1", second);
    hosts.talk(["10.9.2.2", "10.9.2.1"]);
    await filter.hears("10.9.2.2", true);
    await add(filter, [BANNED, "10.9.2.2"]);
    await filter.hears(BANNED, false);
    await filter.hears("10.9.2.2", false);
    await filter.hears(REVERSED, true);
    await hosts.ip("gateway", "link", "delete", "v1");
    await filter.waitFor((log) =>
      log.filter(({ message }) => message?.includes("no interface v1")).length === 2
    );
    await hosts.connect("v1", second);
    const start = performance.now();
    const isAttached = async () => {
      const attachments = await filter.ask<XdpAttachment[]>("attachments");
      return attachments.every(({ mode }) => mode !== null);
    };
    while (!await isAttached()) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(performance.now() - start < 2_000, "attached within 2 seconds");
    hosts.talk(["10.9.2.2", "10.9.2.1"]);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await filter.hears("10.9.2.2", false);
  },
);

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

    const second = await hosts.startFilter({ interfaces: ["v0"] });
    assert.match(second.messages(), /1 bans of an earlier run hold again/);
    await second.hears(REVERSED, true);
    await second.hears(BANNED6, true);
    await second.hears(BANNED, false);
    assert.deepEqual(await listed(second), [BANNED]);
    await second.kill("SIGTERM");

    const third = await hosts.startFilter({ interfaces: ["v0"], persistBans: true });
    assert.deepEqual(await listed(third), [], "a clean stop forgets");
    await add(third, [BANNED]);
    await third.kill("SIGTERM");
    const fourth = await hosts.startFilter({ interfaces: ["v0"], persistBans: true });
    assert.deepEqual(await listed(fourth), [BANNED], "unless PERSIST_BANS");
    await fourth.kill("SIGTERM");
    const fifth = await hosts.startFilter({ interfaces: ["v0"], banLimit: 2048 });
    assert.match(fifth.messages(), /has room for 1024 bans, BAN_LIMIT is 2048/);
    assert.deepEqual(await listed(fifth), []);
  },
);

Deno.test(
  "another XDP program is never replaced; once it is gone ours is attached",
  { ignore },
  async () => {
    await using hosts = await Namespaces.create();
    await hosts.connect("v0", ADDRESSES);
    await hosts.connect("v1", { gateway: ["10.9.2.1/24"], outside: ["10.9.2.2/24"] });
    const object = new URL("../../bpf/btblocker.bpf.o", import.meta.url).pathname;
    await hosts.run(
      "gateway",
      "bpftool",
      "prog",
      "load",
      object,
      "/sys/fs/bpf/foreign",
      "type",
      "xdp",
    );
    const foreign = ["pinned", "/sys/fs/bpf/foreign"];
    await hosts.ip("gateway", "link", "set", "v0", "xdpgeneric", ...foreign);
  },
);
