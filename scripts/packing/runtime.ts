/** The Deno executable that is packed: the one that builds, or another architecture's from npm. */
import { BuildError, run, runOrFail, UsageError } from "./run.ts";

/** Debian's names; those of the release files. */
export const ARCHITECTURES = ["amd64", "arm64"] as const;
export type Architecture = typeof ARCHITECTURES[number];

interface Names {
  /** As in Deno.build. */
  rust: string;
  /** Package of the executable on npm. */
  npm: string;
}

export const NAMES: Readonly<Record<Architecture, Names>> = {
  amd64: { rust: "x86_64", npm: "@deno/linux-x64-glibc" },
  arm64: { rust: "aarch64", npm: "@deno/linux-arm64-glibc" },
};

/** The architecture of this machine. */
export function ownArchitecture(): Architecture {
  const own = ARCHITECTURES.find((name) => NAMES[name].rust === Deno.build.arch);
  if (own === undefined) throw new BuildError(`Cannot pack for ${Deno.build.arch}`);
  return own;
}

/** The architecture of a name; this machine's without one. */
export function architectureOf(name?: string): Architecture {
  if (name === undefined) return ownArchitecture();
  const found = ARCHITECTURES.find((one) => one === name);
  if (found !== undefined) return found;
  throw new UsageError(`Cannot build for ${name}: expected ${ARCHITECTURES.join(" or ")}`);
}

export interface Runtime {
  version: string;
  bytes: Uint8Array;
}

/**
 * Deno's executable, of the version that runs this. Another architecture's is fetched by npm, which
 * checks it against the registry's digest; where npm lacks the version, the newest of the same minor
 * version.
 */
export async function denoExecutable(architecture: Architecture): Promise<Runtime> {
  const version = Deno.version.deno;
  if (Deno.build.os === "linux" && NAMES[architecture].rust === Deno.build.arch) {
    return { version, bytes: await Deno.readFile(Deno.execPath()) };
  }
  const directory = await Deno.makeTempDir({ prefix: "btblocker-deno-" });
  try {
    const name = NAMES[architecture].npm;
    const pack = (range: string) =>
      run(["npm", "pack", "--silent", `--pack-destination=${directory}`, `${name}@${range}`], {
        cwd: directory,
      });
    if (!(await pack(version)).success) {
      const { success, text } = await pack(`~${version.replace(/\d+$/, "0")}`);
      if (!success) throw new BuildError(`Cannot fetch ${name} from npm: ${text.trim()}`);
    }
    await runOrFail(`unpack ${name}`, ["sh", "-c", "tar -xzf ./*.tgz"], { cwd: directory });
    const manifest = JSON.parse(await Deno.readTextFile(`${directory}/package/package.json`));
    return { version: manifest.version, bytes: await Deno.readFile(`${directory}/package/deno`) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
