/** `deno task compile`: what goes into the executable, and what it says when it cannot be made. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { buildProgram, bundledPackages, PROGRAM_FILES } from "../../scripts/packing/program.ts";
import { IS_LINUX, ROOT, script } from "./build.ts";

/** Stands in for the runtime: it can be packed into, though not run from. */
const STAND_IN = Deno.execPath();

async function compile(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; text: string }> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-compile-" });
  try {
    return await script("compile.ts", [`--output=${directory}/btblocker`, ...args], env);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The files of the tree that Deno prints, without their sizes. */
function embeddedFiles(text: string): string[] {
  return Array.from(text.matchAll(/[├└]─[─┬]\s(\S+)/g), ([, name]) => name).sort();
}

const testOnLinux = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: !IS_LINUX, fn });

testOnLinux("an executable for Linux holds exactly the program's files", async () => {
  const { code, text } = await compile([], { DENORT_BIN: STAND_IN });
  assert.equal(code, 0, text);
  assert.deepEqual(embeddedFiles(text), [...PROGRAM_FILES]);
});

Deno.test("the program holds its page and data, and nothing of the building machine", async () => {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-program-" });
  try {
    const stamp = { version: "0", commit: "0123abc", seconds: 0, date: "1970-01-01" };
    await buildProgram(directory, stamp);
    const names = Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();
    assert.deepEqual(names, [...PROGRAM_FILES]);
    const main = await Deno.readTextFile(`${directory}/main.js`);
    assert.match(main, /<!doctype html>/i); // the status page
    assert.match(main, /commit: "0123abc", date: "1970-01-01"/);
    assert.match(main, /new URL\("\.\/queue_worker\.js", import\.meta\.url\)/);
    for (const name of ["main.js", "queue_worker.js"]) {
      const text = await Deno.readTextFile(`${directory}/${name}`);
      for (const path of [directory, ROOT, `${Deno.env.get("HOME") ?? ""}/.`, ".cache/"]) {
        assert(!text.includes(path), `${name} has ${path}`);
      }
      const packages = [...bundledPackages(text)].map((path) => path.replace(/\/[^/]*$/, ""));
      assert.equal(packages.includes("commander"), name === "main.js");
      assert(!packages.includes("fast-check"), "only of the tests");
      assert.doesNotMatch(text, /^\s*\/\/ (\.\.\/)*tests\//m);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

testOnLinux("an executable for analysis alone holds one module", async () => {
  const { code, text } = await compile(["--target", "aarch64-apple-darwin"], {
    DENORT_BIN: fileURLToPath(new URL("./build.ts", import.meta.url)),
  });
  // No runtime of that system is at hand to pack into, but the files have been chosen by then.
  if (code === 0) assert.deepEqual(embeddedFiles(text), ["main.js"]);
  else assert.match(text, /^Cannot compile for aarch64-apple-darwin: /);
});

testOnLinux("a runtime that cannot be had is named, with the way round it", async () => {
  const { code, text } = await compile([], { DENORT_BIN: "/nonexistent/denort" });
  assert.equal(code, 1);
  assert.match(
    text,
    /^Cannot compile for \S+: Deno's runtime for it, denort, cannot be fetched \(/,
  );
  assert.match(text, /DENORT_BIN/);
  assert.match(text, /deno task portable/);
});

Deno.test("an unknown target is refused with the known ones", async () => {
  const { code, text } = await compile(["--target", "amiga"], {});
  assert.equal(code, 2);
  assert.match(text, /^Cannot compile for amiga: expected one of x86_64-unknown-linux-gnu, /);
});
