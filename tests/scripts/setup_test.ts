/** scripts/setup.ts on a machine that lacks something: an empty file stands in a library's place. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../scripts/setup.ts", import.meta.url));
const LIBRARY = "libnetfilter_queue.so.1";

function libraryPath(): string | null {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return null;
  const { stdout } = new Deno.Command("/sbin/ldconfig", { args: ["-p"] }).outputSync();
  const line = new TextDecoder().decode(stdout).split("\n").find((one) => one.includes(LIBRARY));
  return line?.split(" => ")[1] ?? null;
}

const library = libraryPath();
const ignore = library === null;
if (ignore) console.log(`tests of setup skipped: need Linux, root and ${LIBRARY}`);

async function setup(before: string): Promise<{ code: number; text: string }> {
  const run = `exec "$0" run --quiet --no-prompt -A "$1" --check`;
  const { code, stderr } = await new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", `${before} ${run}`, Deno.execPath(), SCRIPT],
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, text: new TextDecoder().decode(stderr) };
}

Deno.test({
  name: "setup is content with a machine that has everything",
  ignore,
  async fn() {
    assert.deepEqual(await setup(""), { code: 0, text: "" });
  },
});

Deno.test({
  name: "setup names the package that is missing and ends with 1",
  ignore,
  async fn() {
    const { code, text } = await setup(`mount --bind /dev/null ${library};`);
    assert.equal(code, 1);
    assert.match(text, /^Missing: libnetfilter-queue1 \(takes packets from NFQUEUE\)$/m);
    assert.match(text, /apt-get install libnetfilter-queue1/);
    assert.doesNotMatch(text, /libbpf1/);
  },
});
