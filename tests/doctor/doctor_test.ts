import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { examine } from "../../src/doctor/doctor.ts";
import { carryOut } from "../../src/doctor/diagnosis.ts";
import { kernelCheck, partsCheck, rightsChecks } from "../../src/doctor/kernel_checks.ts";
import {
  bridged,
  hasFlowtable,
  hasOwnRules,
  joinsPackets,
  queueCheck,
  uplink,
} from "../../src/doctor/network_checks.ts";
import { namedChecks } from "../../src/doctor/settings_checks.ts";
import type { Capability } from "../../src/doctor/machine.ts";

const { config } = loadConfig({ variables: {}, defaultConfigPath: "/nonexistent/config.toml" });

Deno.test("carryOut() makes a problem of what a required check throws", async () => {
  const look = () => Promise.reject(new Error("Cannot find iptables"));
  const [finding] = await carryOut({ name: "tables", isRequired: true, look });
  assert.equal(finding.status, "problem");
  assert.equal(finding.detail, "Cannot find iptables");
  assert.ok(finding.advice);
});

Deno.test("carryOut() makes a warning of whatever is thrown", async () => {
  for (const thrown of [new Error("no such thing"), "no such thing"]) {
    const [finding] = await carryOut({
      name: "sea",
      look: () => {
        throw thrown;
      },
    });
    assert.equal(finding.status, "warning");
    assert.match(finding.detail, /no such thing/);
  }
});

Deno.test("a router without a default route is told whom it does not ban", () => {
  assert.deepEqual(uplink(["eth0"]), []);
  const { status, detail, advice } = [uplink([])].flat()[0];
  assert.equal(status, "warning");
  assert.match(detail, /no default route .* nobody of those is banned/);
  assert.equal(advice, "add one by the uplink, of any metric");
});

Deno.test("which frames of a bridge pass the chain is said, with what shows it the others", () => {
  const of = (...on: string[]) =>
    [bridged((setting) => on.some((word) => setting.endsWith(word)) ? "1" : "0")].flat();
  assert.deepEqual(of(), []);
  const [some] = of("iptables");
  assert.match(some.detail, /but for frames with VLAN tags or PPPoE/);
  assert.match(some.detail, /bridge-nf-filter-vlan-tagged=1 .*bridge-nf-filter-pppoe-tagged=1/);
  assert.doesNotMatch(of("iptables", "vlan-tagged")[0].detail, /VLAN/);
  assert.doesNotMatch(of("iptables", "-tagged")[0].detail, /but for/);
});

Deno.test("examine() says on another system that it is not Linux", async () => {
  const findings = await examine(config, "darwin");
  assert.equal(findings.length, 1);
  assert.equal(findings[0].status, "problem");
  assert.match(findings[0].advice ?? "", /analyze/);
});

for (
  const [release, status] of [
    ["6.1.0-18-amd64", "ok"],
    ["5.4.0-150-generic", "warning"],
    ["4.9.0", "problem"],
  ] as const
) {
  Deno.test(`kernelCheck(): Linux ${release} is ${status}`, async () => {
    assert.equal((await carryOut(kernelCheck(release)))[0].status, status);
  });
}

Deno.test("partsCheck() names the module and the symbol that the kernel lacks", async () => {
  const part = { module: "xt_NFQUEUE", symbol: "CONFIG_NETFILTER_XT_TARGET_NFQUEUE" };
  const sources = { exists: () => false, config: "CONFIG_NET=y\n", modules: null };
  const [finding] = await carryOut(partsCheck("nfqueue", [part], sources));
  assert.equal(finding.status, "problem");
  assert.match(finding.detail, /xt_NFQUEUE \(CONFIG_NETFILTER_XT_TARGET_NFQUEUE\)/);
});

const RIGHTS: readonly [string, readonly Capability[], string][] = [
  ["none", [], "problem"],
  ["CAP_BPF without CAP_NET_ADMIN", ["CAP_BPF", "CAP_PERFMON"], "problem"],
  ["CAP_NET_ADMIN alone", ["CAP_NET_ADMIN"], "warning"],
  ["all but CAP_PERFMON", ["CAP_NET_ADMIN", "CAP_BPF", "CAP_NET_RAW"], "warning"],
  ["all four", ["CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON", "CAP_NET_RAW"], "ok"],
  [
    "CAP_SYS_ADMIN instead of the newer two",
    ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_NET_RAW"],
    "ok",
  ],
];

for (const [name, held, status] of RIGHTS) {
  Deno.test({
    name: `rightsChecks(): ${name} is ${status}`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const check = rightsChecks(new Set(held)).find(({ name }) => name === "rights")!;
      assert.equal((await carryOut(check))[0].status, status);
    },
  });
}

const QUEUES: readonly [string, number | null, Record<number, string>, string, RegExp][] = [
  ["all are free", null, {}, "ok", /5 to 6 free/],
  ["one is another's", null, { 6: "suricata, process 9" }, "problem", /6 by suricata, process 9/],
  ["they are the running one's", 9, { 5: "deno, process 9", 6: "deno, process 9" }, "ok", /ours/],
  ["the owner hides, and one runs", 9, { 5: "another program" }, "warning", /presumably/],
  ["the owner hides, and none runs", null, { 5: "another program" }, "problem", /5 by another/],
  ["process 19 is not process 9", 9, { 5: "deno, process 19" }, "problem", /process 19/],
];

for (const [name, running, owners, status, detail] of QUEUES) {
  Deno.test(`queueCheck(): ${name}`, async () => {
    const settings = { ...config, queueNum: 5, queueCount: 2 };
    const [finding] = await carryOut(queueCheck(settings, running, (one) => owners[one] ?? null));
    assert.equal(finding.status, status);
    assert.match(finding.detail, detail);
  });
}

Deno.test("hasFlowtable() reads nft list flowtables", () => {
  // As nft 1.0.6 prints it
  const table = "table inet x {\n\tflowtable f {\n\t\thook ingress priority filter\n" +
    "\t\tdevices = { eth0, eth1 }\n\t}\n}\n";
  assert.ok(hasFlowtable(table));
  assert.ok(!hasFlowtable("table inet x {\n}\n"));
  assert.ok(!hasFlowtable(""));
});

/** What the doctor says of settings that name files and addresses: "problem fleet: why". */
async function told(variables: Record<string, string>, runningPid: number | null = null) {
  const loaded = loadConfig({ variables, defaultConfigPath: "/nonexistent/config.toml" });
  const found = await Promise.all(namedChecks(loaded.config, runningPid).map(carryOut));
  return found.flat().map(({ check, status, detail }) => `${status} ${check}: ${detail}`);
}

Deno.test("namedChecks() says nothing where the settings name nothing", async () => {
  assert.deepEqual(await told({}), []);
});

Deno.test("namedChecks() tries the address of the status page, unless the blocker holds it", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const STATUS_LISTEN = `127.0.0.1:${taken.addr.port}`;
  const [finding] = await told({ STATUS_LISTEN });
  assert.match(finding, /^problem status page: Cannot serve the status page at 127.*in use/);
  assert.match((await told({ STATUS_LISTEN }, Deno.pid))[0], /^ok .*not tried: btblocker runs/);
  assert.match((await told({ STATUS_LISTEN: "127.0.0.1:0" }))[0], /^ok .* is free/);
});

Deno.test("namedChecks() reads the files of secrets", async () => {
  const STATUS_TOKEN_FILE = "/nonexistent/token";
  assert.match(
    (await told({ STATUS_LISTEN: "127.0.0.1:0", STATUS_TOKEN_FILE }))[0],
    /^problem status page: Cannot read the status token/,
  );
  const FLEET_URL = "https://lapi.example:8080";
  assert.match(
    (await told({ FLEET_URL, FLEET_KEY_FILE: "/nonexistent/key" }))[0],
    /^problem fleet: Cannot read \/nonexistent\/key of FLEET_KEY/,
  );
  assert.match((await told({ FLEET_URL, FLEET_KEY: "key" }))[0], /^ok fleet: /);
});

Deno.test({
  name: "namedChecks() tries whether the detections can be written",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const directory = Deno.makeTempDirSync();
    try {
      const of = async (DETECTION_LOG: string) => (await told({ DETECTION_LOG }))[0];
      assert.match(await of(`${directory}/d.log`), /^ok detection log: /);
      assert.deepEqual([...Deno.readDirSync(directory)], [], "nothing is left");
      assert.match(await of(directory), /^warning detection log: .* is a directory/);
      assert.match(await of(`${directory}/none/d.log`), /^warning .*there is no directory/);
      assert.match(await of("/proc/d.log"), /^warning .*cannot be written/); // root cannot either
      new Deno.Command("mkfifo", { args: [`${directory}/fifo`] }).outputSync();
      assert.match(await of(`${directory}/fifo`), /^warning .* is a FIFO/);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});

Deno.test("hasOwnRules() knows our chain and our table", () => {
  assert.ok(hasOwnRules("*security\n:FORWARD ACCEPT [0:0]\n:BTBLOCKER - [0:0]\n"));
  assert.ok(hasOwnRules("table ip filter\ntable inet btblocker\n"));
  assert.ok(!hasOwnRules("*filter\n:FORWARD ACCEPT [0:0]\n:MY_BTBLOCKER - [0:0]\n"));
  assert.ok(!hasOwnRules("table inet btblocker_of_others\n"));
});

Deno.test("joinsPackets() reads what ethtool -k prints", () => {
  assert.equal(joinsPackets("Features for eth0:\ngeneric-receive-offload: on\n"), true);
  assert.equal(joinsPackets("generic-receive-offload: off [fixed]\n"), false);
  assert.equal(joinsPackets(""), null);
});
