/**
 * Beside Docker as Debian has it: a real engine on the router with processes and mounts of its own,
 * containers that serve, and one that torrents.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Program } from "../../../src/demo/program.ts";
import { until } from "../../until.ts";
import { Bed, bedImpossible, FREE, inNoOrder } from "./bed.ts";
import { OPEN_PORT, REFUSED_PORT, TORRENT_PORT } from "./traffic.ts";

const ignore = isInChroot() ||
  bedImpossible("docker_test.ts", "dockerd", "docker", "containerd", "runc") !== null;

/** Whether `/` is no file system's root (proc(5), mountinfo): there `docker exec` ends with 126. */
function isInChroot(): boolean {
  if (Deno.build.os !== "linux") return false;
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
  // Id, parent, device, place in the file system, place here; btrfs has its roots at places of its own.
  if (mounts.some((line) => /^\S+ \S+ \S+ (\/ \/ |\S+ \/ .* - btrfs )/.test(line))) return false;
  console.log("tests/e2e/neighbours/docker_test.ts: skipped: does not run in a chroot");
  return true;
}

const PROJECT = fileURLToPath(new URL("../../../", import.meta.url));
/** Control groups stay when an engine ends. */
const GROUP = `/btblocker-docker-${Deno.pid}`;
const BRIDGE = "172.31.255.1";
/** What one IPv4 host gets of a visit. */
const SERVED = { tcp: FREE.tcp / 2, udp: FREE.udp / 2, refusable: FREE.refusable / 2 };

class Docker implements AsyncDisposable {
  private constructor(private readonly bed: Bed, private daemon: Program) {}

  static async start(bed: Bed): Promise<Docker> {
    const docker = new Docker(bed, await startDaemon(bed));
    // Nothing is pulled: an image of empty directories, over the machine's own programs.
    const image = `${bed.network.directory}/image`;
    await bed.router.run([
      "mkdir",
      "-p",
      ...["usr", "etc", "tmp", "proc", "dev"].map((name) => `${image}/${name}`),
    ]);
    for (const name of ["bin", "sbin", "lib", "lib64"]) {
      await bed.router.run(["ln", "-s", `usr/${name}`, `${image}/${name}`]);
    }
    await bed.router.run(["tar", "-C", image, "-cf", `${image}.tar`, "."]);
    await docker.command("import", `${image}.tar`, "empty:1");
    return docker;
  }

  async command(...args: string[]): Promise<string> {
    return await this.bed.router.run(["docker", "-H", `unix://${socketOf(this.bed)}`, ...args]);
  }

  /** Runs a command in a new container. */
  async run(options: readonly string[], ...command: string[]): Promise<string> {
    const mounts = ["/usr:/usr:ro", `${Deno.execPath()}:/deno:ro`, `${PROJECT}:/btblocker:ro`];
    const shared = mounts.flatMap((mount) => ["--volume", mount]);
    return await this.command(
      "run",
      "--stop-signal",
      "KILL",
      ...shared,
      ...options,
      "empty:1",
      ...command,
    );
  }

  async addressOf(container: string): Promise<string> {
    const format = "{{.NetworkSettings.IPAddress}}";
    return (await this.command("inspect", "-f", format, container)).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon.stop();
    // An engine in use keeps its own: theirs are not empty.
    const groups = `find /sys/fs/cgroup -depth -type d \\( -path '*${GROUP}*' -o -name docker \\)`;
    await this.bed.router.run(["sh", "-c", `${groups} -exec rmdir {} \\; 2>/dev/null; true`]);
  }

  async restart(): Promise<void> {
    await this.daemon.stop();
    this.daemon = await startDaemon(this.bed);
  }
}

function socketOf(bed: Bed): string {
  return `${bed.network.directory}/docker.sock`;
}

/** dockerd(8). What it starts ends with it: they are its processes' namespace. */
async function startDaemon(bed: Bed): Promise<Program> {
  const { directory } = bed.network;
  const own = ["--data-root", `${directory}/docker`, "--exec-root", `${directory}/docker-exec`];
  const engine = [
    "dockerd",
    ...own,
    "--pidfile",
    `${directory}/docker.pid`,
    "--live-restore=false",
  ];
  const options = ["--host", `unix://${socketOf(bed)}`, "--storage-driver", "vfs"];
  const network = ["--bip", `${BRIDGE}/24`, "--ip6tables=false"];
  const script = 'mount -t tmpfs tmpfs /run && exec "$@"';
  const isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const daemon = bed.spawn(
    [...isolated, "sh", "-c", script, "sh", ...engine, ...options, ...network],
    { log: `${directory}/docker.log` },
  );
  const answers = ["docker", "-H", `unix://${socketOf(bed)}`, "version"];
  const isUp = () => bed.router.run(answers).then(() => true, () => false);
  await until(isUp, () => daemon.text());
  return daemon;
}

function traffic(...args: string[]): string[] {
  const deno = ["/deno", "run", "--quiet", "--no-prompt", "--no-config", "-A"];
  return [...deno, "/btblocker/tests/e2e/neighbours/traffic.ts", ...args];
}

const PUBLISHED = [OPEN_PORT, REFUSED_PORT, TORRENT_PORT].flatMap((port) => [
  ...["-p", `${port}:${port}`, "-p", `${port}:${port}/udp`],
]);

Deno.test({
  name: "Docker: published ports are reached, a container that torrents is banned and no other",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await using docker = await Docker.start(bed);
    const { server, client, torrenter } = bed;
    await docker.run(["-d", "--name", "web", ...PUBLISHED], ...traffic("serve"));
    await docker.run(["-d", "--name", "leech"], "/bin/sleep", "infinity");
    await until(async () => /ready/.test(await docker.command("logs", "web")));
    const router = client.ipv4.replace(/\d+$/, "1");
    const outside = torrenter.ipv4.replace(/\d+$/, "1");
    const atWeb = async () => (await docker.command("logs", "web")).match(/torrent/g)?.length ?? 0;
    const leeches = () => docker.command("exec", "leech", ...traffic("torrent", server.ipv4));
    const theirs = await bed.rules();
    assert.match(theirs, new RegExp(`--dport ${OPEN_PORT} -j DNAT --to-destination `));
    assert.deepEqual(await bed.visit([router]), SERVED);
    await Promise.all([bed.torrent([outside]), leeches()]);
    const [free, freeOutward] = [await atWeb(), bed.torrentsArrived];
    assert.deepEqual([free, freeOutward], [FREE.torrents / 2, FREE.torrents / 2]);

    const blocker = await bed.start({ BAN_TARGET: "source" });
    const areServed = async (when: string) => {
      const outward = docker.run(["--rm"], ...traffic("visit", "0", server.ipv4));
      const served = [await bed.visit([router]), JSON.parse(await outward)];
      assert.deepEqual(served, [SERVED, SERVED], `${when}\n${blocker.log}`);
    };
    await areServed("beside Docker");
    await Promise.all([bed.torrent([outside]), leeches()]);
    assert.equal(await atWeb(), free, `a torrent through a published port\n${blocker.log}`);
    assert.equal(bed.torrentsArrived, freeOutward, `a container's torrent\n${blocker.log}`);
    await areServed("after torrents");
    assert.deepEqual(
      await blocker.banned(),
      new Set([torrenter.ipv4, await docker.addressOf("leech")]),
      blocker.log,
    );
    // The next container may get the address of a banned one that has gone: docs/neighbours.md.
    await blocker.command("bans", "clear");
    await docker.restart();
    await docker.command("start", "web", "leech");
    await areServed("after a restart of the engine");
    await leeches();
    assert.equal(bed.torrentsArrived, freeOutward, `a container's torrent\n${blocker.log}`);
    assert.doesNotMatch(blocker.log, /removed the firewall rules|ERROR/);
    const found = await bed.doctor();
    assert.match(found.get("marks")!.detail, /^nobody else uses the bits /);
    assert.equal((await blocker.stop()).code, 0, blocker.log);
    // At its restart the engine has made its chains in another order itself.
    assert.deepEqual(inNoOrder(await bed.rules()), inNoOrder(theirs));
  },
});
