/**
 * Everything of a release, into one directory:
 *
 *     deno task release VERSION [--arch amd64,arm64] [--output DIRECTORY] [--fast]
 *
 * The archives, their checksums, Debian packages, the program without Deno (for Nix), the bill of
 * materials. The same commit gives the same bytes. --fast compresses little, for tests.
 */
import { commandLine } from "./arguments.ts";
import { type ArchiveEntry, gzip, sha256, tar, writeWithChecksum } from "./packing/archive.ts";
import { packedPackages, thirdPartyNotices } from "./packing/packages.ts";
import { PROGRAM_FILES, withProgram } from "./packing/program.ts";
import { ROOT, script, UsageError } from "./packing/run.ts";
import {
  type Architecture,
  architectureOf,
  ARCHITECTURES,
  denoExecutable,
} from "./packing/runtime.ts";
import { readStamp, type Stamp } from "./packing/stamp.ts";
import { buildDeb } from "./deb.ts";
import { portable } from "./portable.ts";
import { billOfMaterials } from "./sbom.ts";

/** What lies beside the executable in an archive, and where it is in the checkout. */
const BESIDE = [
  ["LICENSE", "LICENSE"],
  ["README.md", "README.md"],
  ["CHANGELOG.md", "CHANGELOG.md"],
  ["scripts/install.sh", "install.sh"],
  ["deploy/systemd/btblocker.service", "btblocker.service"],
  ["deploy/systemd/btblocker.sysusers", "btblocker.sysusers"],
  ["deploy/systemd/btblocker.tmpfiles", "btblocker.tmpfiles"],
  ["deploy/logrotate/btblocker", "btblocker.logrotate"],
  ["deploy/man/btblocker.8", "btblocker.8"],
  ["deploy/completions/btblocker.bash", "completions/btblocker.bash"],
  ["deploy/completions/_btblocker", "completions/_btblocker"],
  ["deploy/completions/btblocker.fish", "completions/btblocker.fish"],
] as const;

export interface ReleaseOptions {
  architectures: readonly Architecture[];
  directory: string;
  isFast: boolean;
}

/** Builds the release of the working tree; `say` gets a line a file. */
export async function release(
  stamp: Stamp,
  { architectures, directory, isFast }: ReleaseOptions,
  say: (line: string) => void,
): Promise<void> {
  const level = isFast ? 1 : 9;
  const base = `${directory}/btblocker-${stamp.version}`;
  const write = async (path: string, bytes: Uint8Array) => {
    await writeWithChecksum(path, bytes);
    say(`${sha256(bytes)}  ${path} (${(bytes.length / 1e6).toFixed(1)} MB)`);
  };
  await Deno.mkdir(directory, { recursive: true });
  await withProgram(stamp, async (program) => {
    const packages = await packedPackages(program);
    const programEntries = await Promise.all(PROGRAM_FILES.map(async (path) => ({
      path: `btblocker-${stamp.version}/${path}`,
      bytes: await Deno.readFile(`${program}/${path}`),
      mode: 0o644,
    })));
    const notices = new TextEncoder().encode(await thirdPartyNotices(packages, Deno.version.deno));
    await write(`${base}-program.tar.gz`, gzip(tar(programEntries, stamp.seconds), level));
    for (const architecture of architectures) {
      const runtime = await denoExecutable(architecture);
      say(`linux-${architecture}: Deno ${runtime.version}`);
      const executable = await portable(program, architecture, runtime, stamp, level);
      const entries = archiveEntries(`btblocker-${stamp.version}-linux-${architecture}`, {
        btblocker: executable,
        "THIRD-PARTY-NOTICES.txt": notices,
      });
      // Level 1: nearly all of it is compressed already.
      await write(`${base}-linux-${architecture}.tar.gz`, gzip(tar(entries, stamp.seconds), 1));
      const deb = await buildDeb(program, architecture, runtime, stamp, directory, isFast);
      await write(deb, await Deno.readFile(deb));
    }
    const materials = billOfMaterials(packages, Deno.version.deno, stamp);
    await write(`${base}.cdx.json`, new TextEncoder().encode(materials));
  });
}

function archiveEntries(name: string, made: Record<string, Uint8Array>): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  const directories = new Set<string>();
  const add = (path: string, bytes: Uint8Array, isProgram: boolean) => {
    const full = `${name}/${path}`;
    for (let at = full.indexOf("/"); at >= 0; at = full.indexOf("/", at + 1)) {
      directories.add(full.slice(0, at + 1));
    }
    entries.push({ path: full, bytes, mode: isProgram ? 0o755 : 0o644 });
  };
  for (const [path, bytes] of Object.entries(made)) add(path, bytes, path === "btblocker");
  for (const [source, path] of BESIDE) {
    try {
      add(path, Deno.readFileSync(`${ROOT}${source}`), path === "install.sh");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      console.error(`Not packed: ${source} is not there`);
    }
  }
  for (const path of directories) entries.push({ path, bytes: new Uint8Array(), mode: 0o755 });
  return entries;
}

if (import.meta.main) {
  const usage = "deno task release VERSION [--arch LIST] [--output DIRECTORY] [--fast]";
  const { values, words: [version] } = commandLine(usage, {
    arch: { type: "string", default: ARCHITECTURES.join(",") },
    output: { type: "string", default: `${ROOT}dist/release` },
    fast: { type: "boolean", default: false },
  }, 1);
  await script(async () => {
    const stamp = readStamp();
    if (version !== stamp.version) {
      throw new UsageError(
        `Cannot release ${version ?? "without a version"}: deno.json says ${stamp.version}`,
      );
    }
    const architectures = values.arch.split(",").map((name) => architectureOf(name));
    const { output: directory, fast: isFast } = values;
    await release(stamp, { architectures, directory, isFast }, console.log);
  });
}
