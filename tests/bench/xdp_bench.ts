/**
 * The XDP filter against a program that does nothing, xdp-filter (xdp-tools) and iptables:
 * `deno task bench:xdp` (root, clang; xdp-tools and iptables where present). Every number is the
 * median of rounds in which all rivals take turns.
 */
import { fileURLToPath } from "node:url";
import { namespaceProblem, Namespaces } from "../bpf/namespaces.ts";
import { compileBare, measureDrops } from "./xdp_drop_bench.ts";

const here = fileURLToPath(new URL("./", import.meta.url));

if (namespaceProblem !== null) {
  console.log(`Cannot measure the XDP filter: ${namespaceProblem}`);
  Deno.exit(1);
}
const object = await compileBare();
try {
  await using hosts = await Namespaces.create();
  const run = async (script: string, ...args: string[]) => {
    const command = [Deno.execPath(), "run", "-q", "-A", here + script, object, ...args];
    await hosts.command("gateway", { stdout: "inherit", stderr: "inherit" }, ...command).output();
  };
  await run("xdp_program_bench.ts");
  await run("xdp_ban_bench.ts");
  await measureDrops(hosts, object);
} finally {
  await Deno.remove(object);
}
