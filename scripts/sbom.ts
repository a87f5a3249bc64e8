/**
 * What a release is made of: CycloneDX 1.5 JSON (https://cyclonedx.org/docs/1.5/json/) of the npm
 * packages in it, from deno.lock, and of the Deno that runs them.
 *
 *     deno run -A scripts/sbom.ts [--output FILE]
 */
import { commandLine } from "./arguments.ts";
import { type NpmPackage, packedPackages } from "./packing/packages.ts";
import { withProgram } from "./packing/program.ts";
import { script } from "./packing/run.ts";
import { readStamp, type Stamp } from "./packing/stamp.ts";
import { sha256 } from "./packing/archive.ts";

/** `pkg:npm/%40logtape/logtape@2.4.2` (https://github.com/package-url/purl-spec). */
function packageUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** The bill of materials as text; the same packages and stamp give the same bytes. */
export function billOfMaterials(
  packages: readonly NpmPackage[],
  denoVersion: string,
  stamp: Stamp,
): string {
  const isPacked = (dependency: string) =>
    packages.some(({ name, version }) => `${name}@${version}` === dependency);
  const own = `btblocker@${stamp.version}`;
  const deno = `deno@${denoVersion}`;
  const references = packages.map(({ name, version }) => packageUrl(name, version));
  const body = {
    metadata: {
      timestamp: new Date(stamp.seconds * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": own,
        name: "btblocker",
        version: stamp.version,
        licenses: [{ license: { id: "MIT" } }],
        ...stamp.commit === null
          ? {}
          : { properties: [{ name: "btblocker:commit", value: stamp.commit }] },
      },
    },
    components: [
      {
        type: "platform",
        "bom-ref": deno,
        name: "deno",
        version: denoVersion,
        licenses: [{ license: { id: "MIT" } }],
        purl: packageUrl("deno", denoVersion),
      },
      ...packages.map(({ name, version, sha512, license }) => ({
        type: "library",
        "bom-ref": packageUrl(name, version),
        name,
        version,
        hashes: [{ alg: "SHA-512", content: sha512 }],
        licenses: [{ license: { id: license } }],
        purl: packageUrl(name, version),
      })),
    ],
    dependencies: [
      { ref: own, dependsOn: [deno, ...references] },
      { ref: deno, dependsOn: [] },
      ...packages.map(({ name, version, dependencies }) => ({
        ref: packageUrl(name, version),
        dependsOn: dependencies.filter(isPacked).map((dependency) => {
          const at = dependency.lastIndexOf("@");
          return packageUrl(dependency.slice(0, at), dependency.slice(at + 1));
        }),
      })),
    ],
  };
  const digest = sha256(new TextEncoder().encode(JSON.stringify(body)));
  // A UUID of version 8 (RFC 9562): of our own making, here from the contents.
  const uuid = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-` +
    `8${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    ...body,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

if (import.meta.main) {
  const { values: { output } } = commandLine("deno run -A scripts/sbom.ts [--output FILE]", {
    output: { type: "string" },
  }, 0);
  await script(async () => {
    const stamp = readStamp();
    const packages = await withProgram(stamp, packedPackages);
    const text = billOfMaterials(packages, Deno.version.deno, stamp);
    if (output === undefined) console.log(text.trimEnd());
    else await Deno.writeTextFile(output, text);
  });
}
