/** The workflows build for every target, and run the long forms that the tasks have. */
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { TARGETS } from "../../scripts/compile.ts";

async function workflow(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(`../../.github/workflows/${name}.yml`, import.meta.url));
}

Deno.test("CI compiles for every target, a release has analyze for all but Linux", async () => {
  const [ci, release] = [await workflow("ci"), await workflow("release")];
  for (const target of TARGETS) {
    assert.ok(ci.includes(`- ${target}\n`), target);
    if (!target.includes("linux")) assert.ok(release.includes(`target: ${target},`), target);
  }
});

Deno.test("every task that a workflow runs is there", async () => {
  const known = Object.keys(manifest.tasks);
  for (const name of ["ci", "nightly", "release"]) {
    for (const [, task] of (await workflow(name)).matchAll(/deno task ([\w:]+)/g)) {
      assert.ok(known.includes(task), `${name}.yml: ${task}`);
    }
  }
});

Deno.test("the long forms run at night, minutes of them in CI", async () => {
  const [ci, nightly] = [await workflow("ci"), await workflow("nightly")];
  assert.match(nightly, /schedule:\n +- cron: /);
  const long = ["nightly\n", "soak 120\n", "test:robustness\n", "matrix "];
  for (const task of long) assert.ok(nightly.includes(`deno task ${task}`), task);
  assert.match(nightly, /FUZZ_SECONDS=3600 /);
  assert.match(ci, /deno task soak 5\n/);
  assert.match(ci, /FUZZ_SECONDS=300 /);
});
