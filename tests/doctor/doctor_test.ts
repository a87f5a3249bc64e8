import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { examine } from "../../src/doctor/doctor.ts";
import { carryOut } from "../../src/doctor/finding.ts";
import { kernelCheck, partsCheck, rightsChecks } from "../../src/doctor/kernel_checks.ts";
import { hasFlowtable, queueCheck } from "../../src/doctor/network_checks.ts";
import type { Capability } from "../../src/doctor/machine.ts";

const { config } = loadConfig({ variables: {}, defaultConfigPath: "/nonexistent/config.toml" });

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
