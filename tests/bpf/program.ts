/** The program of bpf/, loaded into the kernel for tests: attached to nothing, pinned nowhere. */
import { BpfObject } from "../../ffi/bpf.ts";
import { testRun } from "./test_run.ts";

const OBJECT = new URL("../../bpf/btblocker.bpf.o", import.meta.url);

export interface LoadedProgram extends Disposable {
  readonly addressMap: number;
  readonly endpointMap: number;
  readonly networkMap: number;
  readonly dropsMap: number;
  readonly l2: number;
  readonly l3: number;
}

export interface ProgramSettings {
  endpointScope?: boolean;
  networkBans?: boolean;
  limit?: number;
}

export function loadProgram(options: ProgramSettings): LoadedProgram {
  const object = new BpfObject(Deno.readFileSync(OBJECT));
  for (const map of ["blocked_ips", "blocked_endpoints"]) {
    object.setMaxEntries(map, options.limit ?? 1024);
  }
  const constants = Uint32Array.of(options.endpointScope ? 1 : 0, options.networkBans ? 1 : 0);
  object.setConstants(new Uint8Array(constants.buffer));
  object.load();
  return {
    addressMap: object.mapFd("blocked_ips"),
    endpointMap: object.mapFd("blocked_endpoints"),
    networkMap: object.mapFd("blocked_networks"),
    dropsMap: object.mapFd("interface_drops"),
    l2: object.programFd("btblocker_l2"),
    l3: object.programFd("btblocker_l3"),
    [Symbol.dispose]: () => object[Symbol.dispose](),
  };
}

const XDP_DROP = 1;
const XDP_PASS = 2;

/** What the program says to one packet. */
export function verdict(program: number, packet: Uint8Array<ArrayBuffer>): "drop" | "pass" {
  const { verdict } = testRun(program, packet);
  if (verdict === XDP_DROP) return "drop";
  if (verdict === XDP_PASS) return "pass";
  throw new RangeError(`XDP verdict ${verdict}`);
}

/** Why this machine cannot load the program; null if it can. */
export const bpfProblem: string | null = (() => {
  try {
    using _ = loadProgram({});
    return null;
  } catch (error) {
    return (error as Error).message;
  }
})();

if (bpfProblem !== null) console.log(`Tests of the XDP program are skipped: ${bpfProblem}`);
