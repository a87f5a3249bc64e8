/**
 * A release in a bare Debian (debootstrap, only the packages that are named; no deno, no node, no
 * compiler): installed both ways, blocking, removed. Takes minutes; `deno task test:ship` runs it.
 */

import assert from "node:assert/strict";
import { script } from "./build.ts";
import { ROOT, run } from "./build.ts";
import { Root } from "./root.ts";
import { block, debianPackage, image, installScript, VERSION } from "./scenarios.ts";

const NEEDED = "libnetfilter-queue1,libbpf1,iptables";
/** Of the demo, which builds a network. */
const FOR_DEMO = "iproute2";
/** Of the Dockerfile, which removes it again. */
const FOR_IMAGE = "libcap2-bin";
const SUITE = "bookworm";

const directory = await Deno.makeTempDir({ prefix: "btblocker-bare-" });
const [base, release] = [`${directory}/debian`, `${directory}/release`];

function milliseconds(since: number): string {
  return `${Math.round(performance.now() - since)} ms`;
}

Deno.test("a bare Debian and a release are made", async () => {
  const made = await run([
    ...["debootstrap", "--variant=minbase", `--include=${NEEDED},${FOR_DEMO},${FOR_IMAGE}`],
    ...[SUITE, base],
  ]);
  assert.equal(made.code, 0, made.text.split("\n").slice(-10).join("\n"));
  // Lists and archives of packages are no part of an installed system.
  await run([
    "sh",
    "-c",
    `rm -rf ${base}/var/cache/apt/archives/*.deb ${base}/var/lib/apt/lists/*`,
  ]);
  for (const absent of ["deno", "node", "npm", "python3", "cc"]) {
    const found = await run(["find", `${base}/usr`, `${base}/bin/`, "-name", absent]);
    assert.equal(found.text, "", absent);
  }
  const { code, text } = await script("release.ts", [
    ...[VERSION, "--arch=amd64", `--output=${release}`],
  ]);
  assert.equal(code, 0, text);
  console.log(text);
  await Deno.copyFile(`${ROOT}scripts/install.sh`, `${release}/install.sh`);
});

Deno.test("the portable executable of the archive starts, and starts faster again", async () => {
  await using root = await Root.create(base, release, `${ROOT}tests/captures`);
  await root.succeed(
    "tar",
    "-xzf",
    `/release/btblocker-${VERSION}-linux-amd64.tar.gz`,
    "-C",
    "/tmp",
  );
  const executable = `/tmp/btblocker-${VERSION}-linux-amd64/btblocker`;
  const size = await root.succeed("stat", "--format=%s", executable);
  const start = performance.now();
  await root.succeed(executable, "--version");
  const first = milliseconds(start);
  const warm: number[] = [];
  for (let round = 0; round < 9; round++) {
    const again = performance.now();
    await root.succeed(executable, "--version");
    warm.push(performance.now() - again);
  }
  const unpacked = await root.succeed("du", "--summarize", "--bytes", "/root/.cache/btblocker");
  console.log(
    `portable: ${(Number(size) / 1e6).toFixed(1)} MB, unpacked ` +
      `${(Number.parseInt(unpacked) / 1e6).toFixed(1)} MB; first start ${first}, warm ` +
      `${Math.round(warm.sort((a, b) => a - b)[4])} ms (median of 9)`,
  );
});

Deno.test("install.sh installs it, it blocks, and goes without a trace", async () => {
  await using root = await Root.create(base, release, `${ROOT}tests/captures`);
  await installScript(root, async () => console.log(await block(root)));
});

Deno.test("the Debian package installs, upgrades, is removed and purged", async () => {
  await using root = await Root.create(base, release, `${ROOT}tests/captures`);
  await debianPackage(root, async () => console.log(await block(root)));
});

Deno.test("the image's file system guards with the container's capabilities, as root and as a user", async () => {
  await using root = await Root.create(base, release, `${ROOT}tests/captures`);
  console.log(await image(root, await Deno.readTextFile(`${ROOT}Dockerfile`)));
});

Deno.test("the files are thrown away", async () => {
  await Deno.remove(directory, { recursive: true });
});
