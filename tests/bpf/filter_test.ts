/** The XDP filter on real devices, in namespaces. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { XdpAttachment } from "../../src/gateway/bans/guarded_interfaces.ts";
import { programsOnLinks } from "../lab/programs_on_links.ts";
import { until } from "../until.ts";
import {
  add,
  ADDRESSES,
  BANNED,
  BANNED6,
  ignore,
  OTHER6,
  programOf,
  REVERSED,
  TALK,
  withoutTun,
} from "./filter_bed.ts";
import { Namespaces } from "./namespaces.ts";

Deno.test("a look at the links sees what of ours is left on them", { ignore }, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  const look = () => programsOnLinks((command) => hosts.inside("gateway", command));
  assert.deepEqual(await look(), []);
  for (
    const [settings, whileItRuns, afterAKill] of [
      [{}, "v0: tcx btblocker_tc", null],
      [{ xdpMode: "generic" }, "v0: xdp btblocker_l2", null],
      [{ withoutTcx: true }, "v0: filter btblocker_tc", "v0: filter btblocker_tc"],
    ] as const
  ) {
    const filter = await hosts.startFilter({ interfaces: ["v0"], ...settings });
    await add(filter, [BANNED]);
    assert.deepEqual(await look(), [whileItRuns]);
    await filter.kill("SIGKILL");
    assert.deepEqual(await look(), afterAKill === null ? [] : [afterAKill]);
  }
});

const PLACES = [
  ["generic", { xdpMode: "generic" }],
  ["native", { xdpMode: "native" }],
  ["tc", {}],
  ["tc", { xdpMode: "tc", withoutTcx: true }],
] as const;

for (const [mode, settings] of PLACES) {
  Deno.test(
    `on veth, ${mode} ${JSON.stringify(settings)}: bans drop the banned address and no other`,
    { ignore },
    async () => {
      await using hosts = await Namespaces.create();
      await hosts.connect("v0", ADDRESSES);
      hosts.talk(...TALK);
      const filter = await hosts.startFilter({ interfaces: ["v0"], ...settings });
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
      assert.ok(row.packetsDropped > 0 && row.secondsLeft > 3000 && row.secondsLeft <= 3600);
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

// From 10.9.1.2 and 2.1.9.10 to 10.8.0.1, UDP port 20000: RFC 791 and 768, checksums included where
// the kernel looks at them (IPv4 header); UDP checksum 0 means none.
const tunPacket = (source: string, checksum: string) =>
  `4500 001d 0001 0000 4011 ${checksum} ${source} 0a080001 1ae1 4e20 0009 0000 78`;

for (const mode of ["generic", "tc"] as const) {
  const name = `${mode} on TUN, which has no Ethernet header`;
  Deno.test(name, { ignore: withoutTun }, () => tunTest(mode));
}

async function tunTest(mode: "generic" | "tc"): Promise<void> {
  await using hosts = await Namespaces.create();
  await hosts.ip("gateway", "tuntap", "add", "dev", "t0", "mode", "tun");
  await hosts.ip("gateway", "address", "add", "10.8.0.1/24", "dev", "t0");
  for (const network of ["10.9.1.0/24", "2.1.9.0/24"]) {
    await hosts.ip("gateway", "link", "set", "t0", "up");
    await hosts.ip("gateway", "route", "add", network, "dev", "t0");
  }
  const filter = await hosts.startFilter({ interfaces: ["t0"], xdpMode: mode });
  const [attachment] = await filter.ask<XdpAttachment[]>("attachments");
  assert.equal(attachment.mode, mode, filter.messages());
  const banned = tunPacket("0a090102", "65bc");
  const reversed = tunPacket("0201090a", "65bc");
  const feed = (packet: string) => filter.ask("feed", { device: "t0", packet });
  const heard = async () => Object.keys(await filter.ask<object>("heard")).sort();
  await feed(reversed);
  await filter.hears(REVERSED, true);
  await add(filter, [BANNED]);
  await feed(banned);
  await feed(reversed);
  const dropped = async () =>
    (await filter.ask<Record<string, { packets: number }>>("drops")).t0.packets;
  await until(async () => await dropped() > 0, () => "nothing is dropped");
  assert.equal(await dropped(), 1);
  assert.deepEqual(await heard(), [REVERSED]);
  await hosts.btblocker("bans", "remove", BANNED);
  await feed(banned);
  await filter.hears(BANNED, true);
}

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
    const isAttached = async () => {
      const attachments = await filter.ask<XdpAttachment[]>("attachments");
      return attachments.every(({ mode }) => mode !== null);
    };
    await until(isAttached, () => "v1 is not attached again");
    const packets = async () =>
      (await filter.ask<Record<string, { packets: number }>>("drops")).v1?.packets ?? 0;
    const before = await packets();
    hosts.talk(["10.9.2.2", "10.9.2.1"]);
    await until(async () => await packets() > before, () => "nothing is dropped on the new v1");
    await filter.hears("10.9.2.2", false);
  },
);

Deno.test("before Linux 6.6 the filter of tc outlives a crash, is replaced, and goes at a stop", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  hosts.talk(...TALK);
  const object = fileURLToPath(new URL("../../bpf/btblocker_tc.bpf.o", import.meta.url));
  const theirs = ["prio", "7", "bpf", "direct-action", "object-file", object, "section", "tc"];
  await hosts.run("gateway", "tc", "qdisc", "add", "dev", "v0", "clsact");
  const add7 = ["tc", "filter", "add", "dev", "v0", "ingress", ...theirs];
  const added = await hosts.run("gateway", ...add7);
  assert.equal(added.code, 0, added.stderr);
  const filters = async () => {
    const { stdout } = await hosts.run("gateway", "tc", "filter", "show", "dev", "v0", "ingress");
    return {
      ours: (stdout.match(/pref 1 bpf .*handle/g) ?? []).length,
      theirs: /pref 7/.test(stdout),
    };
  };
  const settings = { interfaces: ["v0"], withoutTcx: true };
  const first = await hosts.startFilter(settings);
  await first.hears(BANNED, true);
  await add(first, [BANNED]);
  await first.hears(BANNED, false);
  await first.kill("SIGKILL");
  assert.deepEqual(await filters(), { ours: 1, theirs: true });
  const second = await hosts.startFilter(settings);
  assert.deepEqual(await filters(), { ours: 1, theirs: true });
  await second.hears(REVERSED, true);
  await second.hears(BANNED, false);
  await hosts.run("gateway", "tc", "qdisc", "del", "dev", "v0", "clsact");
  const isBack = async () => (await filters()).ours === 1;
  await until(isBack, () => "a filter that somebody removed is not put back");
  await second.kill("SIGTERM");
  assert.deepEqual(await filters(), { ours: 0, theirs: false });
});

for (const held of ["netlink", "a link"] as const) {
  Deno.test(
    `an XDP program attached by ${held} is not replaced; once it is gone ours is attached`,
    {
      ignore,
    },
    async () => {
      await using hosts = await Namespaces.create();
      await hosts.connect("v0", ADDRESSES);
      await hosts.connect("v1", { gateway: ["10.9.2.1/24"], outside: ["10.9.2.2/24"] });
      hosts.talk(...TALK);
      const foreign = await (held === "netlink" ? attachByNetlink : attachByLink)(hosts, "v0");
      const programId = async () =>
        /prog\/xdp id (\d+)/.exec(await hosts.ip("gateway", "link", "show", "v0"))?.[1];
      const before = await programId();
      const filter = await hosts.startFilter({
        ...{ interfaces: ["v0", "v1"], xdpMode: "generic" },
      });
      assert.match(
        filter.messages(),
        /Cannot drop banned addresses on v0: program btblocker_l2 \(id \d+\) is attached already and is not replaced; bans there hold in user space only/,
      );
      assert.equal(await programId(), before);
      const modes = async () =>
        (await filter.ask<XdpAttachment[]>("attachments")).map(({ mode }) => mode);
      assert.deepEqual(await modes(), [null, "generic"]);
      await add(filter, [BANNED]);
      await filter.hears(BANNED, true);
      await foreign.detach();
      await filter.hears(BANNED, false);
      assert.deepEqual(await modes(), ["generic", "generic"]);
    },
  );
}

interface ForeignProgram {
  detach(): Promise<unknown>;
}

async function attachByNetlink(hosts: Namespaces, name: string): Promise<ForeignProgram> {
  const object = fileURLToPath(new URL("../../bpf/btblocker.bpf.o", import.meta.url));
  const program = ["obj", object, "program", "btblocker_l2"];
  const result = await hosts.run("gateway", "ip", "link", "set", name, "xdpgeneric", ...program);
  assert.equal(result.code, 0, result.stderr);
  return { detach: () => hosts.ip("gateway", "link", "set", name, "xdpgeneric", "off") };
}

async function attachByLink(hosts: Namespaces, name: string): Promise<ForeignProgram> {
  const script = fileURLToPath(new URL("./foreign_link.ts", import.meta.url));
  const command = [Deno.execPath(), "run", "-q", "-A", script, name];
  const child = hosts.command("gateway", { stdout: "piped" }, ...command).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    detach: async () => {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

Deno.test("a driver that refuses the mode asked for is an error; auto takes tc", {
  ignore: withoutTun,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.ip("gateway", "tuntap", "add", "dev", "t0", "mode", "tun");
  const native = await hosts.startFilter({ interfaces: ["t0"], xdpMode: "native" });
  assert.match(
    native.messages(),
    /fatal: Cannot drop banned addresses on t0: native mode: E\w+, .+ \(XDP_MODE=auto takes what the interface allows\)/,
  );
  const pins = () => hosts.run("gateway", "find", "/sys/fs/bpf/btblocker");
  assert.equal((await pins()).stdout, "", "a start that fails leaves no map");
  const offload = await hosts.startFilter({ interfaces: ["t0"], xdpMode: "offload" });
  assert.match(offload.messages(), /fatal: Cannot drop banned addresses on t0: offload mode: E/);
  const auto = await hosts.startFilter({ interfaces: ["t0"], xdpMode: "auto" });
  assert.match(
    auto.messages(),
    /Banned addresses are dropped on t0 by tc ingress \(tcx, driver tun: XDP would cost offloads or a copy of each packet; while anybody is banned\)/,
  );
});

Deno.test("a router guards every interface that forwards, new ones too; a bridge its ports", {
  ignore,
}, async () => {
  await using hosts = await Namespaces.create();
  await hosts.connect("v0", ADDRESSES);
  await hosts.ip("gateway", "route", "add", "default", "via", "10.9.1.99");
  const filter = await hosts.startFilter({ judgesForwarded: true });
  const guarded = async () =>
    (await filter.ask<XdpAttachment[]>("attachments")).map(({ name }) => name).sort().join();
  assert.equal(await guarded(), "v0", "nothing forwards yet");
  await hosts.run("gateway", "sysctl", "-w", "net.ipv4.ip_forward=1");
  await hosts.ip("gateway", "link", "add", "br0", "type", "bridge");
  await hosts.ip("gateway", "link", "set", "br0", "up");
  await hosts.ip("gateway", "link", "add", "port0", "type", "veth", "peer", "name", "in0");
  await hosts.ip("gateway", "link", "set", "port0", "master", "br0");
  let last = "";
  await until(async () => (last = await guarded()) === "br0,in0,v0", () => last);
  await hosts.ip("gateway", "link", "delete", "port0");
  await until(async () => (last = await guarded()) === "br0,v0", () => last);
  await hosts.run("gateway", "sysctl", "-w", "net.ipv4.conf.br0.forwarding=0");
  await until(async () => (last = await guarded()) === "v0", () => last);
});
