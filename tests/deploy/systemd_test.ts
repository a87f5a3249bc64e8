import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { liveImpossible } from "../gateway/live.ts";
import { output } from "../../src/demo/program.ts";
import { denoDirectory, PROJECT } from "./unprivileged.ts";

const UNIT = `${PROJECT}deploy/systemd/btblocker.service`;

function hasCommand(command: string): boolean {
  const probe = new Deno.Command("sh", { args: ["-c", `command -v "$0"`, command] });
  return Deno.build.os === "linux" && probe.outputSync().success;
}

const analyzable = hasCommand("systemd-analyze");

Deno.test({
  name: `systemd-analyze verify has nothing to say about the unit${
    analyzable ? "" : " (skipped: needs systemd-analyze)"
  }`,
  ignore: !analyzable,
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      // The executable need not be installed here.
      const unit = (await Deno.readTextFile(UNIT)).replace("/usr/local/bin/btblocker", "/bin/true");
      await Deno.writeTextFile(`${directory}/btblocker.service`, unit);
      const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", "--man=no", `${directory}/btblocker.service`],
      }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      // Of other units of the machine it may speak; ours is named in each line about it.
      assert.doesNotMatch(said, /btblocker/);
      assert.ok(success, said);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: `systemd-analyze security finds the unit as docs/permissions.md says${
    analyzable ? "" : " (skipped: needs systemd-analyze)"
  }`,
  ignore: !analyzable,
  async fn() {
    const text = await output(["systemd-analyze", "security", "--offline=true", UNIT]);
    const exposure = Number(/Overall exposure level .*: ([\d.]+)/.exec(text)?.[1]);
    const stated = Number(
      /exposure level is ([\d.]+)/.exec(await Deno.readTextFile(`${PROJECT}docs/permissions.md`))
        ?.[1],
    );
    assert.ok(exposure <= stated, `${exposure}, stated ${stated}`);
  },
});

const impossible = liveImpossible("systemd-nspawn", "systemd-sysusers", "unshare");
const why = impossible === null ? "" : ` (skipped: ${impossible})`;

const START_MS = 120_000;

/** A booted machine with the unit installed; see machine.sh. */
class Machine implements AsyncDisposable {
  private constructor(
    private readonly boot: Deno.ChildProcess,
    private readonly leader: number,
    private readonly work: string,
  ) {}

  /** Null where such a container cannot be had (a container itself, other cgroups). */
  static async boot(): Promise<Machine | null> {
    const work = await Deno.makeTempDir({ prefix: "btblocker-machine-" });
    const name = `btblocker-test-${Deno.pid}`;
    const script = fileURLToPath(new URL("./machine.sh", import.meta.url));
    const boot = new Deno.Command("unshare", {
      args: ["--mount", "sh", script],
      env: {
        ...{ WORK: work, NAME: name, PROJECT, DENO: Deno.execPath() },
        CACHE: await denoDirectory(),
      },
      ...{ stdin: "null", stdout: "null", stderr: "piped" },
    }).spawn();
    const deadline = performance.now() + START_MS;
    let hasEnded = false;
    boot.status.then(() => hasEnded = true);
    while (performance.now() < deadline && !hasEnded) {
      const leader = leaderOf(boot.pid);
      if (leader !== null) {
        const machine = new Machine(boot, leader, work);
        const state = await machine.run("systemctl is-system-running || true").catch(() => "");
        if (/running|degraded/.test(state)) return machine; // degraded: first-boot units
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    try {
      boot.kill("SIGKILL");
    } catch {
      // it ended by itself
    }
    const { stderr } = await boot.output();
    await Deno.remove(work, { recursive: true });
    console.log(`skipped: no container boots here: ${new TextDecoder().decode(stderr).trim()}`);
    return null;
  }

  run(script: string): Promise<string> {
    const target = ["--target", String(this.leader), "--mount", "--net", "--pid", "--uts", "--ipc"];
    return output(["nsenter", ...target, "sh", "-ec", script], START_MS);
  }

  property(name: string): Promise<string> {
    return this.run(`systemctl show btblocker -p ${name} --value`).then((text) => text.trim());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      Deno.kill(this.leader, "SIGKILL"); // the container ends with its first process
    } catch {
      // gone already
    }
    await this.boot.output();
    await Deno.remove(this.work, { recursive: true });
  }
}

/** The first process of the container: systemd-nspawn's child. */
function leaderOf(nspawn: number): number | null {
  try {
    const children = Deno.readTextFileSync(`/proc/${nspawn}/task/${nspawn}/children`).trim();
    for (const child of children.split(" ").filter((one) => one !== "").map(Number)) {
      if (Deno.readTextFileSync(`/proc/${child}/comm`).trim() === "systemd") return child;
    }
  } catch {
    // not that far yet
  }
  return null;
}

async function waitFor(what: string, test: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.fail(`${what}: not within ${START_MS} ms`);
}

Deno.test({
  name: `the unit under systemd: start, status, reload, crash, stop${why}`,
  ignore: impossible !== null,
  async fn() {
    await using machine = await Machine.boot();
    if (machine === null) return;
    await machine.run(
      "ip link add guarded0 type veth peer peer0; ip link set guarded0 up; ip link set peer0 up; " +
        "ip address add 198.18.0.1/24 dev guarded0; ip route add default via 198.18.0.2; " +
        "systemd-sysusers; systemd-tmpfiles --create btblocker.conf; systemctl daemon-reload; " +
        "systemctl start btblocker", // returns at READY=1
    );
    assert.equal(await machine.property("ActiveState"), "active");
    assert.match(await machine.property("StatusText"), /^Guarding FORWARD: 0 packets judged/);
    assert.match(await machine.run("iptables-save"), /-A FORWARD -m connmark .* -j BTBLOCKER$/m);
    const journal = () => machine.run("journalctl -u btblocker -o cat --no-pager");
    const guards = async () => (await journal()).match(/Banned addresses are dropped on guarded0/g);
    assert.equal((await guards())?.length, 1);
    const pid = await machine.property("MainPID");
    const status = await machine.run(`cat /proc/${pid}/status`);
    assert.match(status, /^CapEff:\s+000000c000003000$/m);
    assert.doesNotMatch(status, /^Uid:\s+0\s/m);
    const pins = await machine.run("find /sys/fs/bpf/btblocker -name blocked_ips");
    assert.match(pins, /blocked_ips/);
    assert.doesNotMatch(await journal(), /not kept over a crash|user space only/);
    // Journald has the levels: nothing of ours is a warning.
    const warnings = await machine.run("journalctl -p warning _PID=" + pid + " -o cat --no-pager");
    assert.equal(warnings.replace("-- No entries --", "").trim(), "");

    await machine.run("systemctl reload btblocker");
    await waitFor("a reload", async () => /Reloaded/.test(await journal()));
    // The line is logged just before systemd is told.
    const isActive = async () => await machine.property("ActiveState") === "active";
    await waitFor("the end of the reload", isActive);
    assert.equal(await machine.property("MainPID"), pid);
    for (const name of ["detections.log", "detections.pcapng"]) {
      const file = await machine.run(`stat -c '%a %U' /var/log/btblocker/${name}`);
      assert.equal(file.trim(), "600 btblocker");
    }

    await machine.run("systemctl kill -s KILL btblocker");
    await waitFor("a restart", async () => {
      const [state, now] = [
        await machine.property("ActiveState"),
        await machine.property("MainPID"),
      ];
      return state === "active" && now !== pid && now !== "0";
    });
    assert.equal((await guards())?.length, 2);

    await machine.run("systemctl stop btblocker");
    assert.equal(await machine.property("Result"), "success");
    assert.doesNotMatch(await machine.run("iptables-save; ip6tables-save"), /BTBLOCKER|NFQUEUE/);
    assert.equal(await machine.run("cat /proc/net/netfilter/nfnetlink_queue"), "");

    // A wrong setting is not tried again and again.
    await machine.run("echo 'queue_num = 70000' >>/etc/btblocker/config.toml");
    await machine.run("systemctl start btblocker || true");
    await waitFor("the refusal", async () => await machine.property("ActiveState") === "failed");
    assert.equal(await machine.property("ExecMainStatus"), "2");
    assert.match(await journal(), /expected a number from 0 to 65535/);
  },
});
