/**
 * The XDP filter against a program that does nothing, xdp-filter (xdp-tools) and iptables:
 * `deno task bench:xdp` (root, clang; xdp-tools and iptables where present). Every number is the
 * median of rounds in which all rivals take turns.
 */
import { fileURLToPath } from "node:url";
import { namespaceProblem, Namespaces } from "../bpf/namespaces.ts";

const here = fileURLToPath(new URL("./", import.meta.url));

/** Builds the programs to compare with. */
async function compile(): Promise<string> {
  const object = await Deno.makeTempFile({ suffix: ".o" });
  const flags = ["-target", "bpf", "-O2", "-g", `-I/usr/include/${Deno.build.arch}-linux-gnu`];
  const args = [...flags, "-c", `${here}xdp_bare.bpf.c`, "-o", object];
  const { success } = await new Deno.Command("clang", { args, stderr: "inherit" }).output();
  if (!success) throw new Error("Cannot compile the programs to compare with");
  return object;
}

if (namespaceProblem !== null) {
  console.log(`Cannot measure the XDP filter: ${namespaceProblem}`);
  Deno.exit(1);
}
const object = await compile();
try {
  await using hosts = await Namespaces.create();
  const run = async (script: string, ...args: string[]) => {
    const command = [Deno.execPath(), "run", "-q", "-A", here + script, object, ...args];
    await hosts.command("gateway", { stdout: "inherit", stderr: "inherit" }, ...command).output();
  };
  await run("xdp_program_bench.ts");
  await run("xdp_ban_bench.ts");
  const { measureDrops } = await import("./xdp_drop_bench.ts");
  await measureDrops(hosts, object);
} finally {
  await Deno.remove(object);
}
