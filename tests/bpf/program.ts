/** The programs of bpf/, loaded into the kernel for tests: attached to nothing, pinned nowhere. */
import { BpfObject } from "../../ffi/bpf.ts";
import { type BanMapName, ipv6Mask } from "../../src/gateway/bans/ban_codec.ts";
import { roomFor } from "../../src/gateway/bans/ban_pins.ts";
import { OPEN_PORT_MAPS } from "../../src/gateway/bans/open_ports.ts";
import { testRun } from "./test_run.ts";

const XDP_OBJECT = new URL("../../bpf/btblocker.bpf.o", import.meta.url);
const TC_OBJECT = new URL("../../bpf/btblocker_tc.bpf.o", import.meta.url);
const MAPS = [
  "blocked_ips",
  "blocked_endpoints",
  "blocked_networks",
  "bans_in_force",
  "interface_drops",
  ...OPEN_PORT_MAPS,
];

export interface LoadedProgram extends Disposable {
  readonly maps: Readonly<Record<BanMapName, number>>;
  readonly inForce: number;
  readonly ownAddresses: number;
  readonly openPorts: number;
  readonly dropsMap: number;
  readonly l2: number;
  readonly l3: number;
  readonly tc: number;
}

export interface ProgramSettings {
  /** BAN_PREFIX; 64 unless given. */
  ipv6Bits?: number;
  limit?: number;
}

export function loadProgram(options: ProgramSettings): LoadedProgram {
  const object = new BpfObject(Deno.readFileSync(XDP_OBJECT));
  for (const map of ["blocked_ips", "blocked_endpoints"]) {
    object.setMaxEntries(map, roomFor(options.limit ?? 1024));
  }
  const constants = ipv6Mask(options.ipv6Bits ?? 64);
  object.setConstants(constants);
  object.load();
  const tcObject = new BpfObject(Deno.readFileSync(TC_OBJECT));
  for (const map of MAPS) tcObject.reuseMap(map, object.mapFd(map));
  tcObject.setConstants(constants);
  tcObject.load();
  return {
    maps: {
      blocked_ips: object.mapFd("blocked_ips"),
      blocked_endpoints: object.mapFd("blocked_endpoints"),
      blocked_networks: object.mapFd("blocked_networks"),
    },
    inForce: object.mapFd("bans_in_force"),
    dropsMap: object.mapFd("interface_drops"),
    ownAddresses: object.mapFd("own_addresses"),
    openPorts: object.mapFd("open_ports"),
    l2: object.programFd("btblocker_l2"),
    l3: object.programFd("btblocker_l3"),
    tc: tcObject.programFd("btblocker_tc"),
    [Symbol.dispose]() {
      tcObject[Symbol.dispose]();
      object[Symbol.dispose]();
    },
  };
}

const XDP_DROP = 1;
const XDP_PASS = 2;
const TC_ACT_SHOT = 2;
const TC_ACT_UNSPEC = 0xffff_ffff;
const SHORTEST_FRAMES = new Map([[0x0800, 34], [0x86dd, 54]]); // Ethernet and IP header

/** Whether the kernel takes a frame for a test run of tc: those with half an IP header it refuses. */
export function isTestableAtTc(frame: Uint8Array): boolean {
  return frame.length >= (SHORTEST_FRAMES.get((frame[12] << 8) | frame[13]) ?? 14);
}

/** What a program says to one packet. */
export function verdictOf(
  program: LoadedProgram,
  entry: "l2" | "l3" | "tc",
  packet: Uint8Array<ArrayBuffer>,
): "drop" | "pass" {
  if (entry !== "tc") return verdict(program[entry], packet);
  const { verdict: action } = testRun(program.tc, packet);
  if (action === TC_ACT_SHOT) return "drop";
  if (action === TC_ACT_UNSPEC) return "pass";
  throw new RangeError(`verdict ${action} of tc`);
}

/** What the XDP program says to one packet. */
export function verdict(program: number, packet: Uint8Array<ArrayBuffer>): "drop" | "pass" {
  const { verdict } = testRun(program, packet);
  if (verdict === XDP_DROP) return "drop";
  if (verdict === XDP_PASS) return "pass";
  throw new RangeError(`XDP verdict ${verdict}`);
}
