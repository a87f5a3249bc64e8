/** Which network namespaces exist still: over processes of our own, and over a /proc made up. */
import assert from "node:assert/strict";
import { endedNamespaces } from "../../../src/gateway/network/live_namespaces.ts";
import { until } from "../../until.ts";

const INITIAL = "pid:[4026531836]";

const problem: string | null = (() => {
  if (Deno.build.os !== "linux") return "not Linux";
  if (Deno.readLinkSync("/proc/self/ns/pid") !== INITIAL) return "not in the first pid namespace";
  try {
    const { success } = new Deno.Command("unshare", { args: ["--net", "true"], stderr: "null" })
      .outputSync();
    return success ? null : "no right to create namespaces";
  } catch (error) {
    return (error as Error).message;
  }
})();
if (problem !== null) console.log(`The test of namespaces that end is skipped: ${problem}`);

function inodeOf(link: string): number {
  return Number(/\[(\d+)\]/.exec(Deno.readLinkSync(link))?.[1]);
}

Deno.test("a namespace exists while a process lives in it or holds it open", {
  ignore: problem !== null,
}, async () => {
  const own = inodeOf("/proc/self/ns/net");
  const child = new Deno.Command("unshare", { args: ["--net", "sleep", "infinity"] }).spawn();
  const link = `/proc/${child.pid}/ns/net`;
  await until(() => inodeOf(link) !== own);
  const inode = inodeOf(link);
  const held = Deno.openSync(link);
  assert.deepEqual([...endedNamespaces([own, inode])], []);
  child.kill("SIGKILL");
  await child.status;
  assert.deepEqual([...endedNamespaces([own, inode])], [], "open still");
  held.close();
  await until(() => endedNamespaces([own, inode]).has(inode));
});

/** A /proc of a few processes; each file is a link or a text. */
async function withProc(
  files: Record<string, { link: string } | { text: string }>,
  test: (proc: string) => void,
): Promise<void> {
  const proc = await Deno.makeTempDir();
  try {
    for (const [name, file] of Object.entries(files)) {
      const path = `${proc}/${name}`;
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      if ("link" in file) Deno.symlinkSync(file.link, path);
      else Deno.writeTextFileSync(path, file.text);
    }
    test(proc);
  } finally {
    await Deno.remove(proc, { recursive: true });
  }
}

const SELF = {
  "self/ns/pid": { link: INITIAL },
  "self/ns/net": { link: "net:[1]" },
  "self/net/dev": { text: "" },
};
const MOUNT = "44 42 0:4 net:[4] /run/netns/a rw shared:3 - nsfs nsfs rw\n";

Deno.test("main threads, other threads, mounts and open files hold a namespace", async () => {
  const files = {
    ...SELF,
    "7/ns/net": { link: "net:[2]" },
    "7/task/8/ns/net": { link: "net:[3]" },
    "7/mountinfo": { text: MOUNT },
    "7/fd/3": { link: "net:[5]" },
    "7/fd/4": { link: "socket:[6]" },
  };
  await withProc(files, (proc) => {
    assert.deepEqual([...endedNamespaces([1, 2, 3, 4, 5, 6], proc)], [6]);
    assert.deepEqual([...endedNamespaces([], proc)], []);
  });
});

Deno.test("from a container nothing is known to have ended", async () => {
  await withProc({ ...SELF, "self/ns/pid": { link: "pid:[4026532000]" } }, (proc) => {
    assert.deepEqual([...endedNamespaces([6], proc)], []);
  });
});

Deno.test("nor where it cannot be read where a process lives", async () => {
  // A link to itself stands for the refusal, which root never gets from a file of his own.
  const loop = { "7/ns": { link: "ns" } };
  await withProc({ ...SELF, ...loop, "7/net/dev": { text: "" } }, (proc) => {
    assert.deepEqual([...endedNamespaces([6], proc)], []);
  });
  await withProc({ ...SELF, ...loop, "7/net": { link: "../self/net" } }, (proc) => {
    assert.deepEqual([...endedNamespaces([6], proc)], [6], "where we live, so not there");
  });
});
