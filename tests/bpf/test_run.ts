/** BPF_PROG_TEST_RUN: has the kernel run an XDP program on a packet. */
import { check } from "../../ffi/errno.ts";

const LIBBPF = {
  bpf_prog_test_run_opts: {
    parameters: ["i32", /* program */ "buffer" /* struct bpf_test_run_opts * */],
    result: "i32", // 0 or -errno
  },
} as const;

export interface TestRun {
  /** The program's answer (XDP_DROP 1, XDP_PASS 2). */
  readonly verdict: number;
  /** Mean duration of a run. */
  readonly nanoseconds: number;
}

const OPTIONS_LENGTH = 80;
const LIVE_FRAMES = 1 << 1;
let library: Deno.DynamicLibrary<typeof LIBBPF> | undefined;

/** Runs the program, on a packet of 14 bytes or more (fewer the kernel refuses). */
export function testRun(program: number, packet: Uint8Array<ArrayBuffer>, repeat = 1): TestRun {
  return run(program, packet, repeat, 0);
}

/**
 * The same, but the verdicts are carried out: redirected packets leave, passed ones enter the stack
 * (Linux 5.18). The duration is not measured.
 */
export function sendLiveFrames(
  program: number,
  packet: Uint8Array<ArrayBuffer>,
  count: number,
): void {
  run(program, packet, count, LIVE_FRAMES);
}

function run(
  program: number,
  packet: Uint8Array<ArrayBuffer>,
  repeat: number,
  flags: number,
): TestRun {
  library ??= Deno.dlopen("libbpf.so.1", LIBBPF);
  const options = new Uint8Array(OPTIONS_LENGTH);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(OPTIONS_LENGTH), true);
  view.setBigUint64(8, Deno.UnsafePointer.value(Deno.UnsafePointer.of(packet)), true);
  view.setUint32(24, packet.length, true);
  view.setUint32(60, repeat, true);
  view.setUint32(68, flags, true);
  check(library.symbols.bpf_prog_test_run_opts(program, options), "test a BPF program");
  return { verdict: view.getUint32(56, true), nanoseconds: view.getUint32(64, true) };
}
