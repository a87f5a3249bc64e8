/**
 * A root file system to install into: what `base` holds, with all changes in memory (overlayfs), in a
 * mount namespace of its own.
 */
import assert from "node:assert/strict";
import { type Ran, run } from "./build.ts";

const HOLDER = `
umask 022
mount -t tmpfs -o mode=755 none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mkdir -p release captures
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t bpf bpf sys/fs/bpf
mount -t tmpfs -o mode=755 none dev
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
for name in null zero random urandom; do
	touch "dev/$name"
	mount --bind "/dev/$name" "dev/$name"
done
ln -s /proc/self/fd dev/fd
mount --bind "$3" release
mount --bind "$4" captures
echo ready
exec sleep 3600
`;

export class Root implements AsyncDisposable {
  private constructor(
    private readonly holder: Deno.ChildProcess,
    private readonly directory: string,
    private readonly base: string,
  ) {}

  /** `release` is seen as /release, `captures` as /captures. */
  static async create(base: string, release: string, captures: string): Promise<Root> {
    const directory = await Deno.makeTempDir({ prefix: "btblocker-root-" });
    const holder = new Deno.Command("unshare", {
      args: [
        ...["--mount", "--propagation", "private", "sh", "-eu", "-c", HOLDER, "holder"],
        ...[directory, base, release, captures],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const { value } = await holder.stdout.getReader().read();
    assert.equal(new TextDecoder().decode(value), "ready\n");
    return new Root(holder, directory, base);
  }

  /** Runs a command in it, as root with a plain environment. */
  run(...command: string[]): Promise<Ran> {
    const enter = ["nsenter", "--target", String(this.holder.pid), "--mount", "--root"];
    return run([...enter, "chroot", `${this.directory}/root`, ...command], {
      HOME: "/root",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      DEBIAN_FRONTEND: "noninteractive",
    });
  }

  /** Runs a command that must succeed; gives what it printed. */
  async succeed(...command: string[]): Promise<string> {
    const { code, text } = await this.run(...command);
    assert.equal(code, 0, `${command.join(" ")}: ${text}`);
    return text;
  }

  /** Paths of files (of directories, with a slash at the end) that the base does not have. */
  async additions(): Promise<string[]> {
    const enter = ["nsenter", "--target", String(this.holder.pid), "--mount", "--root"];
    const { text } = await run([
      ...enter,
      ...["find", `${this.directory}/upper`, "-mindepth", "1"],
      // Character devices are overlayfs's mark of what is deleted.
      ...["!", "-type", "c", "(", "-type", "d", "-printf", "/%P/\\n", "-o", "-printf", "/%P\\n"],
      ")",
    ]);
    const base = this.base === "/" ? "" : this.base;
    return text.split("\n").filter((path) => {
      if (path === "" || path === "/release/" || path === "/captures/") return false;
      try {
        Deno.lstatSync(`${base}${path.replace(/\/$/, "")}`);
        return false;
      } catch {
        return true;
      }
    }).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.holder.kill("SIGKILL");
    await this.holder.status;
    await this.holder.stdout.cancel().catch(() => {});
    await Deno.remove(this.directory, { recursive: true });
  }
}
