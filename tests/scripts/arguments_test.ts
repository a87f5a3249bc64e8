import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Commands that take arguments, by how they read them, and an argument that none takes. */
const COMMANDS = [
  ["scripts/build_bpf.ts", "--chek", /^Cannot use --chek\nUsage: deno task bpf \[--check\]\n$/],
  ["scripts/setup.ts", "now", /^Cannot use now\nUsage: deno task setup \[--check\]\n$/],
  ["scripts/test.ts", "tests/ffi", /^Cannot use tests\/ffi\nUsage: deno task test /],
  ["scripts/deb.ts", "--arhc", /^Cannot use --arhc\nUsage: deno task deb \[--arch ARCH\] /],
  ["scripts/deb.ts", "--arch=i386", /^Cannot build for i386: expected amd64 or arm64\n$/],
  ["scripts/release.ts", "--fats", /^Cannot use --fats\nUsage: deno task release VERSION /],
  ["scripts/portable.ts", "--level=x", /^Cannot use --level x: expected a number from 1 to 9\n$/],
  ["scripts/sbom.ts", "more", /^Cannot use more\nUsage: deno run -A scripts\/sbom.ts /],
  ["tests/e2e/matrix/run.ts", "--job=3", /^Cannot use --job\nUsage: deno task matrix /],
  ["tests/e2e/matrix/run.ts", "--jobs=two", /^Cannot use two for --jobs: expected a number/],
  ["tests/fuzz/fuzz.ts", "ten", /^Cannot use ten for MINUTES: expected a number of 0 or more\n/],
  [
    "tests/bench/joins.ts",
    "--all",
    /^Cannot use --all\nUsage: deno task bench:joins \[CORPUS\]\n$/,
  ],
] as const;

async function run(script: string, argument: string) {
  const args = ["run", "-A", "--quiet", "--no-check", script, argument];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

for (const [script, wrong, said] of COMMANDS) {
  Deno.test(`${script} ${wrong} is refused, in words and with 2`, async () => {
    const { code, stderr } = await run(script, wrong);
    assert.match(stderr, said);
    assert.equal(code, 2);
  });
}

for (const script of new Set(COMMANDS.map(([script]) => script))) {
  Deno.test(`${script} --help says what it takes, and does nothing`, async () => {
    const { code, stdout, stderr } = await run(script, "--help");
    assert.match(stdout, /^Usage: deno .*\n$/);
    assert.equal(stderr, "");
    assert.equal(code, 0);
  });
}
