/** Archives whose bytes follow from their contents alone, readable by the system's tar. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { gzip, sha256, tar } from "../../scripts/packing/archive.ts";
import { bundledPackages } from "../../scripts/packing/program.ts";

const SECONDS = 1_700_000_000; // 2023-11-14 22:13:20 UTC
const text = (value: string) => new TextEncoder().encode(value);

async function listed(archive: Uint8Array): Promise<string> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, archive);
    const { stdout } = await new Deno.Command("tar", {
      args: ["--utc", "--full-time", "-tvf", path],
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test({
  name: "tar() writes what tar lists",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const entries = [
      { path: "a/run", bytes: text("#!/bin/sh\n"), mode: 0o755 },
      { path: "a/", bytes: new Uint8Array(), mode: 0o755 },
      { path: "a/empty", bytes: new Uint8Array(), mode: 0o644 },
    ];
    assert.equal(
      await listed(gzip(tar(entries, SECONDS), 9)),
      "drwxr-xr-x root/root         0 2023-11-14 22:13:20 a/\n" +
        "-rw-r--r-- root/root         0 2023-11-14 22:13:20 a/empty\n" +
        "-rwxr-xr-x root/root        10 2023-11-14 22:13:20 a/run\n",
    );
  },
});

Deno.test("tar() does not depend on the order of its entries", () => {
  const entry = fc.record({
    path: fc.stringMatching(/^[a-z]{1,20}$/),
    bytes: fc.uint8Array({ maxLength: 2000 }),
    mode: fc.constantFrom(0o644, 0o755),
  });
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: ({ path }) => path }), (entries) => {
      const archive = tar(entries, SECONDS);
      assert.equal(archive.length % 512, 0);
      assert.equal(sha256(tar(entries.toReversed(), SECONDS)), sha256(archive));
    }),
    { numRuns: 50 },
  );
});

Deno.test("tar() refuses a path that its format cannot hold", () => {
  const entry = { path: "a".repeat(101), bytes: new Uint8Array(), mode: 0o644 };
  assert.throws(() => tar([entry], SECONDS), /the path is too long/);
});

Deno.test("bundledPackages() reads the bundler's notes", () => {
  const bundle = "// npm:commander/15.1.0/lib/help.js\nvar a;\n  // npm:@scope/name/2.0.0/a.js\n";
  assert.deepEqual([...bundledPackages(bundle)], ["commander/15.1.0", "@scope/name/2.0.0"]);
});
