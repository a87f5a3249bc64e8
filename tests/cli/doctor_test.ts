import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { describeFindings } from "../../src/cli/doctor.ts";
import { type Diagnosis, ok, problem, warning } from "../../src/doctor/diagnosis.ts";
import { Network } from "../../src/demo/network.ts";
import { blockerCommand } from "../e2e/blocker.ts";
import { liveImpossible } from "../gateway/live.ts";
import { btblocker } from "./command_line.ts";

Deno.test("describeFindings() writes a line a finding and one that sums up", () => {
  const findings = [
    ok("kernel", "Linux 6.1"),
    warning("bpffs", "not mounted", "mount it"),
    problem("rights", "CAP_NET_ADMIN is missing", "run as root"),
  ];
  assert.deepEqual(describeFindings(findings, false), [
    "ok       kernel  Linux 6.1",
    "warning  bpffs   not mounted (mount it)",
    "problem  rights  CAP_NET_ADMIN is missing (run as root)",
    "This machine cannot run it yet: 1 problem, 1 warning",
  ]);
  assert.equal(describeFindings(findings, true)[0], "\x1b[32mok     \x1b[0m  kernel  Linux 6.1");
});

const isLinux = Deno.build.os === "linux";

Deno.test("doctor --json prints one array, and the exit code tells of problems", async () => {
  const { code, stdout, stderr } = await btblocker(["doctor", "--json"]);
  const findings: Diagnosis[] = JSON.parse(stdout);
  assert.ok(findings.length > (isLinux ? 10 : 0), stdout);
  for (const finding of findings) {
    assert.deepEqual(Object.keys(finding), ["check", "status", "detail", "advice"]);
    assert.match(finding.status, /^(ok|warning|problem)$/);
    if (finding.status === "problem") assert.ok(finding.advice, finding.check);
  }
  assert.equal(code, findings.some(({ status }) => status === "problem") ? 1 : 0);
  assert.equal(stderr, "");
});

Deno.test("doctor with few permissions of Deno answers what it can", async () => {
  const { code, stdout, stderr } = await btblocker(["doctor"], {
    permissions: ["--allow-read", "--allow-env"],
  });
  assert.match(stdout, /^problem +rights/m, stderr);
  assert.equal(code, 1);
});

const impossible = liveImpossible("unshare");

Deno.test({
  name: `doctor in an empty network namespace, and as nobody${
    impossible === null ? "" : ` (skipped: ${impossible})`
  }`,
  ignore: impossible !== null,
  async fn() {
    const inside = async (...command: string[]) => {
      const { code, stdout } = await new Deno.Command("unshare", {
        args: ["--net", ...command],
        env: { NO_COLOR: "1" },
      }).output();
      return { code, text: new TextDecoder().decode(stdout) };
    };
    const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
    const doctor = [Deno.execPath(), "run", "--quiet", "--no-prompt", "-A", main, "doctor"];
    const asRoot = await inside(...doctor);
    assert.equal(asRoot.code, 0, asRoot.text);
    assert.match(asRoot.text, /^ok +rights +root/m);
    assert.match(asRoot.text, /^warning +xdp +there is no default route/m);
    const withoutRights = await inside(
      "setpriv",
      "--bounding-set=-all",
      "--inh-caps=-all",
      ...doctor,
    );
    assert.equal(withoutRights.code, 1, withoutRights.text);
    assert.match(withoutRights.text, /^problem +rights +CAP_NET_ADMIN is missing/m);
    const wrongName = await inside(...doctor, "--interface", "nosuch0");
    assert.equal(wrongName.code, 0, wrongName.text); // as a start does, which waits for it
    assert.match(
      wrongName.text,
      /^warning +xdp nosuch0 +there is no such interface \(it is waited/m,
    );
  },
});

Deno.test({
  name: `doctor tells of rules that a killed run has left${
    impossible === null ? "" : ` (skipped: ${impossible})`
  }`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btdoc");
    const { router } = network;
    const doctor = () =>
      router.run(["sh", "-c", '"$@" || true', "sh", ...blockerCommand(), "doctor"]);
    assert.doesNotMatch(await doctor(), /^warning +rules /m);
    await router.run([...blockerCommand(), "rules", "install"]);
    assert.match(await doctor(), /^warning +rules .*none runs.*btblocker rules remove/m);
  },
});
