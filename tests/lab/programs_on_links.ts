/**
 * What of ours hangs on the links of a network namespace: the programs of XDP, those of tcx, and our
 * filter of tc. `ip link` tells of XDP alone, and of tcx only the kernel itself. As a program of its
 * own, run inside the namespace, it prints one line each.
 */
import { fileURLToPath } from "node:url";
import { programName } from "../../ffi/bpf.ts";
import { attachedProgram, clsactProgram } from "../../ffi/bpf_links.ts";
import { check, EINVAL, ENOENT } from "../../ffi/errno.ts";
import { interfaceIndex } from "../../ffi/libc.ts";

const LIBBPF = {
  bpf_prog_query_opts: {
    parameters: ["i32", /* interface */ "u32", /* attach type */ "buffer" /* options */],
    result: "i32", // 0 or -errno
  },
} as const;

const TCX_INGRESS = 46; // BPF_TCX_INGRESS
const OPTIONS_LENGTH = 40; // struct bpf_prog_query_opts, up to prog_attach_flags
const MOST = 64;
let library: Deno.DynamicLibrary<typeof LIBBPF> | undefined;

/** Numbers of the programs at an interface's tcx ingress. */
function tcxPrograms(index: number): number[] {
  library ??= Deno.dlopen("libbpf.so.1", LIBBPF);
  const ids = new Uint32Array(MOST);
  const options = new Uint8Array(OPTIONS_LENGTH);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(OPTIONS_LENGTH), true);
  view.setBigUint64(16, Deno.UnsafePointer.value(Deno.UnsafePointer.of(ids)), true);
  view.setUint32(24, ids.length, true);
  const result = library.symbols.bpf_prog_query_opts(index, TCX_INGRESS, options);
  if (result === -EINVAL || result === -ENOENT) return []; // before Linux 6.6; none
  check(result, "ask for the programs at tc ingress");
  return [...ids.subarray(0, view.getUint32(24, true))];
}

/** `v0: tcx btblocker_tc`, one for each program of ours in the namespace that this process is in. */
function programsHere(): string[] {
  const names = [...Deno.readTextFileSync("/proc/net/dev").matchAll(/^\s*([^\s:]+):/gm)];
  return names.flatMap(([, name]) => {
    const index = interfaceIndex(name);
    const places = [
      ["xdp", [attachedProgram(index)]],
      ["tcx", tcxPrograms(index)],
      ["filter", [clsactProgram(index)]],
    ] as const;
    return places.flatMap(([place, ids]) =>
      ids.filter((id) => id > 0).map((id) => `${name}: ${place} ${programName(id)}`)
    );
  }).filter((line) => line.includes(" btblocker_"));
}

/**
 * The lines for another namespace.
 *
 * @param inside the command line that runs a command there
 */
export async function programsOnLinks(
  inside: (command: readonly string[]) => readonly string[],
): Promise<string[]> {
  const self = fileURLToPath(import.meta.url);
  const [command, ...args] = inside([Deno.execPath(), "run", "--quiet", "-A", self]);
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`The links cannot be asked: ${text.decode(stderr)}`);
  return text.decode(stdout).split("\n").filter((line) => line !== "");
}

if (import.meta.main) { for (const line of programsHere()) console.log(line); }
