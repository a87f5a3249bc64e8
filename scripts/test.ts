/**
 * Everything that must hold: installs what the tests use (root, Debian and its like) or names it,
 * then format, lint, types, the committed BPF objects, and all tests. The last line is
 * `N passed, N failed, N skipped`, and the exit code 0 when nothing failed.
 *
 *     deno task test [--no-install]
 */

import { fileURLToPath } from "node:url";
import { commandLine } from "./arguments.ts";
import { type Counts, countsOfRun } from "./testing/counts.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
/** A quarter of it on two cores; a machine may be slower, or do much else. */
const PATIENCE_MS = 30 * 60_000;

/** libbpf reports to one thread, and memory is the whole process's: each file has a process of its own. */
const ALONE = [
  "tests/bpf",
  "tests/fuzz",
  "tests/gateway/first_look",
  "tests/report/page_test.ts",
  "tests/report/analysis/page_test.ts",
];
/** Those that take minutes come first, so that the end is not one of them by itself. */
const FIRST = [
  "tests/e2e/matrix_test.ts",
  "tests/ship/release_test.ts",
  "tests/soak",
  "tests/robustness",
  "tests/e2e",
  "tests/fleet",
  "tests/gateway",
];
/** Files at once: the long ones wait for clients and for packets most of the time, also on two cores. */
const FILES = 4;

/** Such processes at once: each mostly waits for the kernel, for packets or for a page. */
const PROCESSES = 3;

const total: Counts = { passed: 0, failed: 0, skipped: 0 };

function say(text: string): void {
  console.log(`== ${text}`);
}

function skip(name: string, reason: string): void {
  say(`${name}: skipped, ${reason}`);
  total.skipped++;
}

/** One step, passed or failed as its command says. */
async function step(name: string, command: readonly string[]): Promise<void> {
  say(name);
  const { success } = await new Deno.Command(command[0], {
    args: command.slice(1),
    cwd: ROOT,
    stdin: "null",
  }).spawn().status;
  if (success) total.passed++;
  else {
    say(`${name} FAILED`);
    total.failed++;
  }
}

/** Counts what `deno test` counts, and hands on what it prints as it comes. */
async function tests(
  name: string,
  args: readonly string[],
  show: (bytes: Uint8Array) => unknown,
): Promise<void> {
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--quiet", "-A", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_JOBS: `${FILES}` },
    stdin: "null",
    stdout: "piped",
    signal: timeout,
  }).spawn();
  let end = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    await show(chunk);
    end = (end + decoder.decode(chunk, { stream: true })).slice(-4096);
  }
  const { success } = await child.status;
  const counts = countsOfRun(end, success);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  if (counts.failed > 0) {
    say(`${name} FAILED${timeout.aborted ? `: not done in ${PATIENCE_MS / 60_000} minutes` : ""}`);
  }
}

/** Each file in a process, some at once; what one prints comes whole, when it has ended. */
async function testsAlone(paths: readonly string[]): Promise<void> {
  const files = [...paths];
  const work = async () => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const printed: Uint8Array[] = [];
      await tests(file, [file], (bytes) => printed.push(bytes));
      for (const bytes of printed) Deno.stdout.writeSync(bytes);
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
}

/** The tests at a path, which is a file or a directory, from the root. */
function testFiles(path: string): string[] {
  if (path.endsWith(".ts")) return path.endsWith("_test.ts") ? [path] : [];
  return [...Deno.readDirSync(ROOT + path)]
    .filter(({ name, isDirectory }) => isDirectory || name.endsWith("_test.ts"))
    .flatMap(({ name }) => testFiles(`${path}/${name}`)).sort();
}

function canRun(command: string): boolean {
  const args = ["-c", 'command -v "$0" >/dev/null', command];
  return new Deno.Command("sh", { args, stdin: "null" }).outputSync().success;
}

async function install(isWanted: boolean): Promise<void> {
  if (Deno.build.os !== "linux") {
    say(`test tools: none for ${Deno.build.os}; what needs Linux is skipped and says so`);
  } else if (Deno.uid() === 0 && canRun("apt-get") && isWanted) {
    await step("test tools", [`${ROOT}scripts/install_test_tools.sh`]);
  } else {
    const why = canRun("apt-get") ? "as root it installs them" : "no apt-get here";
    say(`test tools (${why}); what lacks one is skipped and says so`);
    if (canRun("dpkg-query")) {
      await step("missing", [`${ROOT}scripts/install_test_tools.sh`, "--list"]);
    }
  }
}

const USAGE = "deno task test [--no-install] (some tests: deno test -A PATH)";
const { values } = commandLine(USAGE, { "no-install": { type: "boolean", default: false } }, 0);
const deno = Deno.execPath();
await install(!values["no-install"]);
await step("format", [deno, "fmt", "--check", "--quiet"]);
await step("lint", [deno, "lint", "--quiet"]);
await step("types", [deno, "check", "--quiet", "."]);
if (canRun("clang")) {
  await step("committed BPF objects", [
    deno,
    "run",
    "-A",
    "--quiet",
    "scripts/build_bpf.ts",
    "--check",
  ]);
} else skip("committed BPF objects", "needs clang");
say("tests");
const alone = ALONE.flatMap(testFiles);
// Each by its path: where paths hold each other, Deno ignores nothing. It begins with deeper directories.
const beside = [...new Set([...FIRST, "tests"].flatMap(testFiles))]
  .filter((file) => !alone.includes(file));
await tests("tests", ["--parallel", ...beside], (bytes) => Deno.stdout.write(bytes));
say("tests that run alone");
await testsAlone(alone);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
Deno.exit(total.failed === 0 ? 0 : 1);
