/** A release: its files, the same bytes twice, installed into this machine's file system and removed. */

import assert from "node:assert/strict";
import { ownArchitecture } from "../../scripts/packing/runtime.ts";
import { IS_LINUX, ROOT, run, script } from "./build.ts";
import { Root } from "./root.ts";
import { block, debianPackage, installScript, VERSION } from "./scenarios.ts";

const IS_ROOT = IS_LINUX && Deno.uid() === 0;
const CAPTURES = `${ROOT}tests/captures`;

function has(command: string): boolean {
  const path = (Deno.env.get("PATH") ?? "").split(":");
  return path.some((directory) => {
    try {
      return Deno.statSync(`${directory}/${command}`).isFile;
    } catch {
      return false;
    }
  });
}

const CAN_PACK = IS_LINUX && has("dpkg-deb") && ownArchitectureOrNull() !== null;

function ownArchitectureOrNull(): string | null {
  try {
    return ownArchitecture();
  } catch {
    return null;
  }
}

/** A release of this architecture, with little compression, and install.sh beside it. */
async function makeRelease(): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-release-" });
  const arch = ownArchitecture();
  const { code, text } = await script("release.ts", [
    ...[VERSION, "--fast", `--arch=${arch}`, `--output=${directory}`],
  ]);
  assert.equal(code, 0, text);
  await Deno.copyFile(`${ROOT}scripts/install.sh`, `${directory}/install.sh`);
  return directory;
}

Deno.test({
  name: "a release is complete, the same twice, and installs and goes without a trace" +
    (CAN_PACK ? "" : " (needs Linux and dpkg-deb)"),
  ignore: !CAN_PACK,
  fn: async (t) => {
    const [first, second] = [await makeRelease(), await makeRelease()];
    try {
      await t.step(
        "holds the archives, packages, checksums and the bill of materials",
        async () => {
          await contents(first);
        },
      );
      await t.step("is the same, built twice", async () => {
        const sums = (directory: string) =>
          run(["sh", "-c", `cd ${directory} && cat ./*.sha256`]).then(({ text }) => text);
        assert.equal(await sums(second), await sums(first));
      });
      const rooted = (name: string, scenario: (root: Root) => Promise<void>) =>
        t.step({
          name: IS_ROOT ? name : `${name} (needs root)`,
          ignore: !IS_ROOT || ownArchitecture() !== "amd64",
          fn: async () => {
            await using root = await Root.create("/", first, CAPTURES);
            await scenario(root);
          },
        });
      await rooted(
        "is installed by install.sh, blocks, and is removed",
        (root) => installScript(root, async () => void await block(root)),
      );
      await rooted(
        "is installed, upgraded, removed and purged by dpkg",
        (root) => debianPackage(root),
      );
    } finally {
      for (const directory of [first, second]) await Deno.remove(directory, { recursive: true });
    }
  },
});

async function contents(directory: string): Promise<void> {
  const arch = ownArchitecture();
  const archive = `btblocker-${VERSION}-linux-${arch}`;
  const files = [
    `${archive}.tar.gz`,
    `btblocker-${VERSION}-program.tar.gz`,
    `btblocker-${VERSION}.cdx.json`,
    `btblocker_${VERSION}_${arch}.deb`,
  ];
  assert.deepEqual(
    Array.from(Deno.readDirSync(directory), ({ name }) => name).sort(),
    [...files, ...files.map((name) => `${name}.sha256`), "install.sh"].sort(),
  );
  const check = await run(["sh", "-c", `cd ${directory} && sha256sum -c ./*.sha256`]);
  assert.equal(check.code, 0, check.text);

  const { text } = await run(["tar", "-tzf", `${directory}/${archive}.tar.gz`]);
  const packed = new Set(text.trim().split("\n"));
  for (
    const name of [
      ...["btblocker", "install.sh", "LICENSE", "THIRD-PARTY-NOTICES.txt", "btblocker.service"],
      ...["btblocker.8", "completions/btblocker.bash", "completions/_btblocker"],
      "completions/btblocker.fish",
    ]
  ) assert(packed.has(`${archive}/${name}`), `${name} is not packed`);

  const materials = JSON.parse(await Deno.readTextFile(`${directory}/${files[2]}`));
  assert.deepEqual([materials.bomFormat, materials.specVersion], ["CycloneDX", "1.5"]);
  const names: string[] = materials.components.map((one: { name: string }) => one.name);
  for (const name of ["deno", "commander", "valibot", "smol-toml"]) assert(names.includes(name));
  assert(!names.includes("fast-check"), "only of the tests");
  for (const { hashes, type } of materials.components) {
    if (type === "library") assert.match(hashes[0].content, /^[0-9a-f]{128}$/);
  }
}

Deno.test("a release is refused under another version than deno.json's", async () => {
  const { code, text } = await script("release.ts", ["99.0.0"]);
  assert.equal(code, 2);
  assert.match(text, /^Cannot release 99\.0\.0: deno\.json says \d/);
});
