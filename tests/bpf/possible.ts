/**
 * Whether BPF programs can be loaded here at all. Asked with a program of two instructions, never with
 * ours: one of ours that the verifier refuses must fail its tests, not skip them.
 */
import { describeErrno } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";

const LIBBPF = {
  bpf_prog_load: {
    parameters: [
      "i32", /* type */
      "buffer", /* name */
      "buffer", /* license */
      "buffer", /* instructions */
      "usize", /* their number */
      "pointer", /* options, null: none */
    ],
    result: "i32", // a descriptor, or -errno
  },
} as const;

const TYPE_XDP = 6; // BPF_PROG_TYPE_XDP
/** r0 = XDP_PASS; exit */
const PASS = Uint8Array.fromHex("b700000002000000" + "9500000000000000");
/** Linux that ours need, as the readme says. */
const OLDEST = [5, 9];

/** Why no BPF program can be loaded here, or null. */
export const bpfImpossible: string | null = (() => {
  if (Deno.build.os !== "linux") return "needs Linux";
  const [major, minor] = Deno.osRelease().split(/[.-]/).map(Number);
  if (major < OLDEST[0] || major === OLDEST[0] && minor < OLDEST[1]) {
    return `needs Linux ${OLDEST.join(".")}`;
  }
  try {
    const { symbols } = Deno.dlopen("libbpf.so.1", LIBBPF);
    const name = new TextEncoder().encode("probe\0"); // and its license
    const count = BigInt(PASS.length / 8);
    const program = symbols.bpf_prog_load(TYPE_XDP, name, name, PASS, count, null);
    if (program >= 0) close(program);
    return program >= 0 ? null : `the kernel loads no BPF program: ${describeErrno(-program)}`;
  } catch (error) {
    return (error as Error).message;
  }
})();

if (bpfImpossible !== null) console.log(`Tests of the BPF programs are skipped: ${bpfImpossible}`);
