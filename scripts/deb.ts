/**
 * The Debian package: the program and Deno side by side in /usr/lib/btblocker, nothing to unpack.
 *
 *     deno task deb [--arch amd64|arm64] [--output DIRECTORY] [--fast]
 */
import { commandLine } from "./arguments.ts";
import { gzip } from "./packing/archive.ts";
import { packedPackages, thirdPartyNotices } from "./packing/packages.ts";
import { PROGRAM_FILES, withProgram } from "./packing/program.ts";
import { ROOT, runOrFail, script, writeWhole } from "./packing/run.ts";
import {
  type Architecture,
  architectureOf,
  denoExecutable,
  type Runtime,
} from "./packing/runtime.ts";
import { readStamp, type Stamp } from "./packing/stamp.ts";
import { launcher } from "./portable.ts";

/** Where things go, and where they are in the checkout; what is not there is not packed. */
const DEPLOYED = [
  ["deploy/systemd/btblocker.service", "lib/systemd/system/btblocker.service"],
  ["deploy/systemd/btblocker.tmpfiles", "usr/lib/tmpfiles.d/btblocker.conf"],
  ["deploy/logrotate/btblocker", "etc/logrotate.d/btblocker"],
  ["deploy/completions/btblocker.bash", "usr/share/bash-completion/completions/btblocker"],
  ["deploy/completions/_btblocker", "usr/share/zsh/vendor-completions/_btblocker"],
  ["deploy/completions/btblocker.fish", "usr/share/fish/vendor_completions.d/btblocker.fish"],
  ["deploy/debian/lintian-overrides", "usr/share/lintian/overrides/btblocker"],
] as const;

/** Files of the administrator's, that dpkg asks about before it replaces them. */
const CONFFILES = ["/etc/logrotate.d/btblocker"];

/** Debian has the text once for all packages. */
const APACHE = "On Debian systems, see /usr/share/common-licenses/Apache-2.0.";

const LIBRARY = "usr/lib/btblocker";

/** Writes btblocker_VERSION_ARCH.deb into the directory and gives its path. */
export async function buildDeb(
  program: string,
  architecture: Architecture,
  runtime: Runtime,
  stamp: Stamp,
  directory: string,
  isFast = false,
): Promise<string> {
  const root = await Deno.makeTempDir({ prefix: "btblocker-deb-" });
  try {
    const files: string[] = [];
    const write = async (path: string, bytes: Uint8Array | string, mode = 0o644) => {
      await Deno.mkdir(`${root}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
      await Deno.writeFile(`${root}/${path}`, content);
      await Deno.chmod(`${root}/${path}`, mode);
      files.push(path);
    };
    for (const name of PROGRAM_FILES) {
      await write(`${LIBRARY}/${name}`, await Deno.readFile(`${program}/${name}`));
    }
    await write(`${LIBRARY}/deno`, runtime.bytes, 0o755);
    await write("usr/bin/btblocker", await launcher(`/${LIBRARY}`), 0o755);
    for (const [source, target] of DEPLOYED) {
      const text = await readIfThere(source);
      if (text === null) continue;
      await write(target, text.replaceAll("/usr/local/bin/", "/usr/bin/"));
    }
    const manual = await readIfThere("deploy/man/btblocker.8");
    if (manual !== null) {
      await write("usr/share/man/man8/btblocker.8.gz", gzip(new TextEncoder().encode(manual), 9));
    }
    const packages = (await packedPackages(program)).map((one) =>
      one.license === "Apache-2.0" ? { ...one, licenseText: APACHE } : one
    );
    const notices = await thirdPartyNotices(packages, runtime.version);
    await write("usr/share/doc/btblocker/copyright", await copyright(notices));
    const changes = new TextEncoder().encode(debianChangelog(stamp));
    await write("usr/share/doc/btblocker/changelog.gz", gzip(changes, 9));
    await write("DEBIAN/control", await control(architecture, stamp, root, files));
    const conffiles = CONFFILES.filter((path) => files.includes(path.slice(1)));
    if (conffiles.length > 0) await write("DEBIAN/conffiles", `${conffiles.join("\n")}\n`);
    for (const name of ["postinst", "prerm", "postrm"]) {
      await write(`DEBIAN/${name}`, await Deno.readFile(`${ROOT}deploy/debian/${name}`), 0o755);
    }
    await write("DEBIAN/md5sums", await checksums(root, files));
    await sealTree(root, stamp.seconds);
    const path = `${directory}/btblocker_${stamp.version}_${architecture}.deb`;
    const compression = isFast ? ["-Zgzip", "-z1"] : ["-Zxz", "-z6"];
    const build = ["dpkg-deb", "--root-owner-group", ...compression, "--build", root];
    await writeWhole(
      path,
      (unfinished) =>
        runOrFail("build the Debian package", [...build, unfinished], {
          env: { SOURCE_DATE_EPOCH: String(stamp.seconds) },
        }),
    );
    return path;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(`${ROOT}${path}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function control(
  architecture: Architecture,
  stamp: Stamp,
  root: string,
  files: readonly string[],
): Promise<string> {
  const bytes = files.reduce((sum, path) => sum + Deno.statSync(`${root}/${path}`).size, 0);
  const text = await Deno.readTextFile(`${ROOT}deploy/debian/control`);
  return text
    .replace("@VERSION@", stamp.version)
    .replace("@ARCHITECTURE@", architecture)
    .replace("@INSTALLED_SIZE@", String(Math.ceil(bytes / 1024)));
}

/** Machine-readable (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/). */
async function copyright(notices: string): Promise<string> {
  const license = await Deno.readTextFile(`${ROOT}LICENSE`);
  const text = license.slice(license.indexOf("Permission")).trim();
  const indented = (lines: string) => lines.replace(/^/gm, " ").replace(/^\s+$/gm, " .");
  return [
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
    "Upstream-Name: btblocker",
    "Comment:",
    indented(notices.trim()),
    "",
    "Files: *",
    `Copyright: ${/Copyright \(c\) (.+)/.exec(license)?.[1]}`,
    "License: Expat",
    indented(text),
    "",
  ].join("\n");
}

/** The package's own; what changes for operators is CHANGELOG.md. */
function debianChangelog({ version, seconds }: Stamp): string {
  const date = new Date(seconds * 1000).toUTCString().replace("GMT", "+0000");
  return `btblocker (${version}) unstable; urgency=medium\n\n` +
    `  * Version ${version}; see CHANGELOG.md of the release.\n\n` +
    ` -- The btblocker authors <btblocker@users.noreply.github.com>  ${date}\n`;
}

async function checksums(root: string, files: readonly string[]): Promise<string> {
  const packed = files.filter((path) => !path.startsWith("DEBIAN/")).sort();
  return await runOrFail("sum the files up", ["md5sum", ...packed], { cwd: root });
}

/** One time and plain rights for everything, so that the same tree gives the same package. */
async function sealTree(directory: string, seconds: number): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) await sealTree(path, seconds);
    else await Deno.utime(path, seconds, seconds);
  }
  await Deno.chmod(directory, 0o755);
  await Deno.utime(directory, seconds, seconds);
}

if (import.meta.main) {
  const { values } = commandLine("deno task deb [--arch ARCH] [--output DIRECTORY] [--fast]", {
    arch: { type: "string" },
    output: { type: "string" },
    fast: { type: "boolean" },
  }, 0);
  await script(async () => {
    const architecture = architectureOf(values.arch);
    const output = values.output ?? `${ROOT}dist`;
    const isFast = values.fast ?? false;
    const stamp = readStamp();
    await withProgram(stamp, async (program) => {
      await Deno.mkdir(output, { recursive: true });
      const runtime = await denoExecutable(architecture);
      console.log(await buildDeb(program, architecture, runtime, stamp, output, isFast));
    });
  });
}
