/**
 * Packs the program with Deno's own packer: one executable a target.
 *
 *     deno task compile [--target TARGET] [--output FILE]
 *
 * Linux targets can do everything, the others `analyze`. Deno fetches a runtime (denort) for the
 * target; DENORT_BIN names one that is at hand.
 */
import { commandLine } from "./arguments.ts";
import { ALONE, ANALYZE_PERMISSIONS, BLOCKER_PERMISSIONS } from "./packing/permissions.ts";
import { PROGRAM_FILES, withProgram } from "./packing/program.ts";
import { BuildError, ROOT, run, script, UsageError } from "./packing/run.ts";
import { readStamp } from "./packing/stamp.ts";

export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
] as const;
export type Target = typeof TARGETS[number];

/** Compiles into `output`; gives what Deno printed, with the list of embedded files. */
export async function compile(target: Target, output: string): Promise<string> {
  return await withProgram(readStamp(), async (program) => {
    const isLinux = target.includes("linux");
    const includes = isLinux ? PROGRAM_FILES.filter((name) => name !== "main.js") : [];
    const { success, text } = await run([
      Deno.execPath(),
      "compile",
      "--no-check",
      ...ALONE,
      "--app-name=btblocker",
      `--target=${target}`,
      ...isLinux ? BLOCKER_PERMISSIONS : ANALYZE_PERMISSIONS,
      ...includes.map((name) => `--include=${name}`),
      `--output=${absolute(output)}`,
      "main.js",
    ], { cwd: program });
    if (success) return text;
    throw new BuildError(compileError(target, text));
  });
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function compileError(target: Target, text: string): string {
  const lines = text.trim().split("\n");
  const isFetch = /denort|error sending request|error downloading/i.test(text);
  if (!isFetch) return `Cannot compile for ${target}: ${text.trim()}`;
  // The causes are listed from the outermost to the one that says why.
  const reason = lines.findLast((line) => /^\s*\d+: \w/.test(line))?.replace(/^\s*\d+: /, "") ??
    lines[0];
  return `Cannot compile for ${target}: Deno's runtime for it, denort, cannot be fetched ` +
    `(${
      reason ?? lines[0]
    }). Set DENORT_BIN to the denort of Deno ${Deno.version.deno}, or build ` +
    "without it: deno task portable";
}

function ownTarget(): Target {
  const own = TARGETS.find((target) => target === Deno.build.target);
  if (own === undefined) throw new BuildError(`Cannot compile for ${Deno.build.target}`);
  return own;
}

if (import.meta.main) {
  const { values } = commandLine("deno task compile [--target TARGET] [--output FILE]", {
    target: { type: "string" },
    output: { type: "string" },
  }, 0);
  await script(async () => {
    const wanted = values.target;
    const target = wanted === undefined ? ownTarget() : TARGETS.find((one) => one === wanted);
    if (target === undefined) {
      throw new UsageError(`Cannot compile for ${wanted}: expected one of ${TARGETS.join(", ")}`);
    }
    const suffix = target.includes("windows") ? ".exe" : "";
    const output = values.output ?? `${ROOT}dist/btblocker-${target}${suffix}`;
    await Deno.mkdir(`${ROOT}dist`, { recursive: true });
    console.log((await compile(target, output)).trim());
  });
}
