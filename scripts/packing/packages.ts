/** The npm packages that a build holds, as deno.lock and Deno's cache know them. */
import { bundledPackages } from "./program.ts";
import { BuildError, ROOT, runOrFail } from "./run.ts";

export interface NpmPackage {
  name: string;
  version: string;
  /** SHA-512 of the package's archive, in hexadecimal. */
  sha512: string;
  /** SPDX expression of its manifest. */
  license: string;
  licenseText: string;
  /** `name@version` of what it needs. */
  dependencies: string[];
}

interface LockEntry {
  integrity: string;
  dependencies?: string[];
}

interface Lock {
  npm: Record<string, LockEntry>;
}

/** The packages of which code is in the bundled program, sorted by name. */
export async function packedPackages(program: string): Promise<NpmPackage[]> {
  const found = new Set<string>();
  for (const file of ["main.js", "queue_worker.js"]) {
    const bundle = await Deno.readTextFile(`${program}/${file}`);
    for (const name of bundledPackages(bundle)) found.add(name);
  }
  const cache = await packageCache();
  const lock = JSON.parse(await Deno.readTextFile(`${ROOT}deno.lock`)) as Lock;
  const packages: NpmPackage[] = [];
  for (const path of [...found].sort()) {
    const at = path.lastIndexOf("/");
    packages.push(
      await readPackage(path.slice(0, at), path.slice(at + 1), `${cache}/${path}`, lock),
    );
  }
  return packages;
}

/** The folder of the registry in Deno's cache. */
async function packageCache(): Promise<string> {
  const info = await runOrFail("find Deno's cache", [Deno.execPath(), "info", "--json"]);
  const { npmCache } = JSON.parse(info) as { npmCache: string };
  for (const { name, isDirectory } of Deno.readDirSync(npmCache)) {
    if (isDirectory) return `${npmCache}/${name}`;
  }
  throw new BuildError(`Cannot find the npm packages in ${npmCache}`);
}

async function readPackage(
  name: string,
  version: string,
  directory: string,
  { npm: entries }: Lock,
): Promise<NpmPackage> {
  // A package that has peers is locked together with them: NAME@VERSION_PEER@VERSION.
  const key = Object.keys(entries).find((one) =>
    one === `${name}@${version}` || one.startsWith(`${name}@${version}_`)
  );
  if (key === undefined) throw new BuildError(`Cannot pack ${name}@${version}: not in deno.lock`);
  const { integrity, dependencies = [] } = entries[key];
  const manifest = JSON.parse(await Deno.readTextFile(`${directory}/package.json`));
  const licenseFile = Array.from(Deno.readDirSync(directory), (entry) => entry.name)
    .find((file) => /^licen[cs]e(\.\w+)?$/i.test(file));
  if (licenseFile === undefined) {
    throw new BuildError(`Cannot pack ${name}: it has no licence file`);
  }
  return {
    name,
    version,
    sha512: Uint8Array.fromBase64(integrity.replace("sha512-", "")).toHex(),
    license: manifest.license,
    licenseText: (await Deno.readTextFile(`${directory}/${licenseFile}`)).trim(),
    dependencies: dependencies.map((dependency) => lockedName(dependency, entries)),
  };
}

/** `commander` or `commander@15.1.0` of the lock file as `commander@15.1.0`. */
function lockedName(dependency: string, entries: Record<string, LockEntry>): string {
  if (dependency.lastIndexOf("@") > 0) return dependency.replace(/_.*$/, "");
  const key = Object.keys(entries).find((one) => one.startsWith(`${dependency}@`));
  return (key ?? dependency).replace(/_.*$/, "");
}

/** The licences of everything packed that is not ours. */
export async function thirdPartyNotices(
  packages: readonly NpmPackage[],
  denoVersion: string,
): Promise<string> {
  const deno = await Deno.readTextFile(`${ROOT}deploy/deno-LICENSE`);
  const sections = [
    `Deno ${denoVersion} (MIT), with V8 and its other parts: https://deno.com\n\n${deno.trim()}`,
    ...packages.map(({ name, version, license, licenseText }) =>
      `${name} ${version} (${license})\n\n${licenseText}`
    ),
  ];
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `btblocker is packed together with the following.\n\n${sections.join(rule)}\n`;
}
