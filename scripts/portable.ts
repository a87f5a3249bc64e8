/**
 * Packs the program and Deno into one self-extracting executable, for builders that cannot fetch
 * what `deno compile` needs, and for the release archives:
 *
 *     deno task portable [--arch amd64|arm64] [--output FILE] [--level 1…9]
 */
import { commandLine } from "./arguments.ts";
import { gzip, sha256, tar } from "./packing/archive.ts";
import { ALONE, BLOCKER_PERMISSIONS } from "./packing/permissions.ts";
import { PROGRAM_FILES, withProgram } from "./packing/program.ts";
import { ROOT, script, UsageError, writeWhole } from "./packing/run.ts";
import {
  type Architecture,
  architectureOf,
  denoExecutable,
  NAMES,
  type Runtime,
} from "./packing/runtime.ts";
import { readStamp, type Stamp } from "./packing/stamp.ts";

/** How Deno runs the packed program: from its files alone, whatever lies around them. */
export const RUN_FLAGS = [
  "--quiet",
  ...ALONE,
  "--no-remote",
  "--cached-only",
  "--no-code-cache",
  ...BLOCKER_PERMISSIONS,
].join(" ");

/** Enough of the archive's digest to tell builds apart in a directory's name. */
const ID_LENGTH = 12;

/** The launcher of an unpacked program; `directory` as the shell is to read it. */
export async function launcher(directory: string): Promise<string> {
  const text = await Deno.readTextFile(`${ROOT}scripts/portable/launcher.sh`);
  return text.replace("@DIRECTORY@", directory).replace("@FLAGS@", RUN_FLAGS);
}

/** Builds the executable of an architecture from the directory of a program. */
export async function portable(
  program: string,
  architecture: Architecture,
  runtime: Runtime,
  stamp: Stamp,
  level = 9,
): Promise<Uint8Array> {
  const files = await Promise.all(PROGRAM_FILES.map(async (path) => ({
    path,
    bytes: await Deno.readFile(`${program}/${path}`),
    mode: 0o644,
  })));
  const entries = [...files, { path: "deno", bytes: runtime.bytes, mode: 0o755 }];
  const unpacked = tar(entries, stamp.seconds);
  const archive = gzip(unpacked, level);
  const sum = sha256(archive);
  const values: Record<string, string> = {
    VERSION: stamp.version,
    MACHINE: NAMES[architecture].rust,
    DENO: runtime.version,
    SHA256: sum,
    ID: sum.slice(0, ID_LENGTH),
    MEGABYTES: String(Math.ceil(unpacked.length / 1e6)),
    FLAGS: RUN_FLAGS,
    LAUNCHER: (await launcher("@HERE@")).trimEnd(),
  };
  const template = await Deno.readTextFile(`${ROOT}scripts/portable/head.sh`);
  // The head holds its own length: a number of fixed width.
  const fill = (offset: string) =>
    new TextEncoder().encode(
      template.replace(/@([A-Z0-9]+)@/g, (mark, name: string) =>
        name === "OFFSET" ? offset : values[name] ?? mark),
    );
  const width = 6;
  const offset = fill("0".repeat(width)).length + 1;
  const head = fill(String(offset).padEnd(width));
  const executable = new Uint8Array(head.length + archive.length);
  executable.set(head);
  executable.set(archive, head.length);
  return executable;
}

if (import.meta.main) {
  const { values } = commandLine("deno task portable [--arch ARCH] [--output FILE] [--level N]", {
    arch: { type: "string" },
    output: { type: "string" },
    level: { type: "string", default: "9" },
  }, 0);
  await script(async () => {
    const architecture = architectureOf(values.arch);
    const output = values.output ?? `${ROOT}dist/btblocker-linux-${architecture}`;
    const level = Number(values.level);
    if (!(level >= 1 && level <= 9)) {
      throw new UsageError(`Cannot use --level ${values.level}: expected a number from 1 to 9`);
    }
    const stamp = readStamp();
    await withProgram(stamp, async (program) => {
      const runtime = await denoExecutable(architecture);
      const bytes = await portable(program, architecture, runtime, stamp, level);
      await Deno.mkdir(output.replace(/[^/]*$/, "") || ".", { recursive: true });
      await writeWhole(output, (unfinished) => Deno.writeFile(unfinished, bytes, { mode: 0o755 }));
      console.log(`${output}: ${(bytes.length / 1e6).toFixed(1)} MB, Deno ${runtime.version}`);
    });
  });
}
