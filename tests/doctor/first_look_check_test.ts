import assert from "node:assert/strict";
import { firstLookCheck } from "../../src/doctor/first_look_check.ts";
import type { Diagnosis } from "../../src/doctor/diagnosis.ts";
import type { KernelSources } from "../../src/doctor/kernel_parts.ts";

const kernel = (config: string | null): KernelSources => {
  return { exists: () => false, config, modules: null };
};
const ON = { manageRules: true, xdpMode: "auto" } as const;
const CASES = [
  ["others' rules", { ...ON, manageRules: false }, kernel(null), "ok", /MANAGE_RULES/],
  ["no BPF wanted", { ...ON, xdpMode: "off" }, kernel(null), "ok", /XDP_MODE=off/],
  ["no match", ON, kernel("CONFIG_NETFILTER=y\n"), "warning", /no xt_bpf/],
  ["a kernel that does not tell", ON, kernel(null), "ok", /the start does/],
  ["all there", ON, kernel("CONFIG_NETFILTER_XT_MATCH_BPF=y\n"), "ok", /settled in the kernel/],
] as const;

for (const [name, config, sources, level, detail] of CASES) {
  Deno.test(`firstLookCheck(): ${name}`, async () => {
    const finding = await firstLookCheck(config, sources).look() as Diagnosis;
    assert.equal(finding.status, level);
    assert.match(finding.detail, detail);
  });
}
