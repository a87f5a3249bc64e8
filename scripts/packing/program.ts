/**
 * The program as it is packed: the sources and their npm packages bundled into one module a thread,
 * and the files they open by URL, all in one directory. `deno compile`, the portable executable,
 * the Debian package and the Nix package hold exactly these files.
 */
import { BuildError, ROOT, run, runOrFail } from "./run.ts";
import type { Stamp } from "./stamp.ts";

/** Everything a build of the program consists of, sorted. */
export const PROGRAM_FILES = [
  "btblocker.bpf.o",
  "btblocker_look.bpf.o",
  "btblocker_tc.bpf.o",
  "main.js",
  "queue_worker.js",
] as const;

const BPF_OBJECTS = PROGRAM_FILES.filter((name) => name.endsWith(".bpf.o"));

/** Sources that become a module of their own, and its name. */
const ENTRIES = [["main.ts", "main.js"], ["src/gateway/queue/queue_worker.ts", "queue_worker.js"]];

/** What the sources open by `new URL(…, import.meta.url)`, and where it stands when packed. */
const ASSETS = new Map([
  ["./queue_worker.ts", "./queue_worker.js"],
  ...BPF_OBJECTS.map((name) => [`../../../bpf/${name}`, `./${name}`] as const),
]);

/** What the bundle is made of; nothing else of the checkout is looked at. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "src", "ffi", "bpf"];

/** An address of a module of ours, put together when it is needed: `src/cli/commands.ts` says why. */
const LATE_IMPORT = /\bimport\(\s*new URL\("(\.[^"]+\.ts)", import\.meta\.url\)\.href,?\s*\)/g;

const ASSET_URL = /new URL\("(\.[^"]*)",\s*import\.meta\.url\)/g;
/**
 * Where a package's module was cached, as the bundler notes it and names wrapped modules by it:
 * `// ../.cache/deno/npm/HOST/NAME/…` and `"../.cache/deno/npm/HOST/NAME/…"(exports) {`.
 */
const CACHE_PATH = /^(\s*(?:\/\/ |"))[^"\n]*\/npm\/[^/"\n]+\/([^"\n]+(?:"\(.*)?)$/gm;

/** Builds the program of the checkout for `pack`, which gets its directory; it is gone afterwards. */
export async function withProgram<T>(
  stamp: Stamp,
  pack: (directory: string) => Promise<T>,
): Promise<T> {
  const temporary = await Deno.makeTempDir({ prefix: "btblocker-pack-" });
  try {
    // `deno compile` takes the name of the directory into the executable.
    const directory = `${temporary}/btblocker`;
    await buildProgram(directory, stamp);
    return await pack(directory);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/** Writes the program into a new directory. */
export async function buildProgram(directory: string, stamp: Stamp): Promise<void> {
  const staging = await Deno.makeTempDir({ prefix: "btblocker-program-" });
  try {
    await runOrFail("copy the sources", ["cp", "-R", ...SOURCES, staging]);
    await bundleLateImports(`${staging}/src`);
    const { commit, date } = stamp;
    await Deno.writeTextFile(`${staging}/src/build.json`, JSON.stringify({ commit, date }));
    const out = `${staging}/bundle`;
    const inputs = ENTRIES.map(([source]) => source);
    const bundled = await run(
      [Deno.execPath(), "bundle", "--quiet", "--platform=deno", `--outdir=${out}`, ...inputs],
      { cwd: staging },
    );
    if (!bundled.success) throw new BuildError(`Cannot bundle the program: ${bundled.text.trim()}`);
    await Deno.mkdir(directory, { recursive: true });
    for (const [source, name] of ENTRIES) {
      const text = await Deno.readTextFile(`${out}/${source.replace(/\.ts$/, ".js")}`);
      await Deno.writeTextFile(`${directory}/${name}`, packedText(text, [staging, ROOT]));
    }
    for (const name of BPF_OBJECTS) {
      await Deno.copyFile(`${staging}/bpf/${name}`, `${directory}/${name}`);
    }
  } finally {
    await Deno.remove(staging, { recursive: true });
  }
}

/** Makes literals of late imports, which a bundler takes in. */
async function bundleLateImports(directory: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) await bundleLateImports(path);
    else if (name.endsWith(".ts")) {
      const text = await Deno.readTextFile(path);
      const literal = text.replace(LATE_IMPORT, 'import("$1")');
      if (literal !== text) await Deno.writeTextFile(path, literal);
    }
  }
}

/** The bundle with its files' places when packed, and without those of the building machine. */
function packedText(bundle: string, foreignPaths: readonly string[]): string {
  const text = bundle
    .replace(ASSET_URL, (_, source: string) => {
      const place = ASSETS.get(source);
      if (place === undefined) {
        throw new BuildError(`Cannot pack ${source}: scripts/packing/program.ts does not know it`);
      }
      return `new URL("${place}", import.meta.url)`;
    })
    .replace(CACHE_PATH, "$1npm:$2");
  for (const path of foreignPaths) {
    if (text.includes(path)) throw new BuildError(`Cannot pack a bundle that names ${path}`);
  }
  return text;
}

/** Names and versions of the npm packages in a bundle: `commander/15.1.0`. */
export function bundledPackages(bundle: string): Set<string> {
  const found = bundle.matchAll(/^\s*\/\/ npm:((?:@[^/\n]+\/)?[^/\n]+\/[^/\n]+)\//gm);
  return new Set(Array.from(found, ([, name]) => name));
}
