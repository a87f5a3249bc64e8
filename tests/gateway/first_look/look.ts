/** The kernel's first look, loaded for tests (BPF_PROG_TEST_RUN), beside the engine and in its place. */
import {
  BpfObject,
  deleteElement,
  mapInfo,
  readElements,
  readKeys,
  updateElement,
} from "../../../ffi/bpf.ts";
import { check } from "../../../ffi/errno.ts";
import { BITTORRENT, CLEAN, DROP, Engine, type Verdict } from "../../../src/engine/engine.ts";
import { CAPTURE_POLICY, type EnginePolicy } from "../../../src/engine/policy.ts";
import { NotedFlows } from "../../../src/gateway/first_look/noted_flows.ts";
import { ACK, Packet, parseIp, PROTOCOL_TCP, SYN } from "../../../src/packet/packet.ts";
import { testRun } from "../../bpf/test_run.ts";

const OBJECT = new URL("../../../bpf/btblocker_look.bpf.o", import.meta.url);
const ETHERNET = Uint8Array.of(2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00);
/** A test run takes no longer packets than a page with its own headers. */
export const LONGEST = 3_000;

export interface Look {
  readonly look: number;
  readonly settled: number;
  readonly flows: number;
  readonly map: (name: string) => number;
}

/** What tests write, and what the programs note: emptied for each test. */
const MAPS = [
  "noted_flows",
  "blocked_ips",
  "blocked_endpoints",
  "blocked_networks",
  "bans_in_force",
];
let loaded: { readonly object: BpfObject; readonly flows: number } | null = null;

/**
 * The first look as at its start. Verifying it takes the kernel a third of a second, so it is loaded once
 * and emptied for who asks for it: one at a time.
 */
export function freshLook(flows = 4096): Look {
  if (loaded?.flows !== flows) {
    loaded?.object[Symbol.dispose]();
    loaded = { object: loadLook(flows), flows };
  } else for (const name of MAPS) emptyMap(loaded.object.mapFd(name));
  const { object } = loaded;
  return {
    look: object.programFd("btblocker_look"),
    settled: object.programFd("btblocker_settled"),
    flows: object.mapFd("noted_flows"),
    map: (name) => object.mapFd(name),
  };
}

function loadLook(flows: number): BpfObject {
  const object = new BpfObject(Deno.readFileSync(OBJECT));
  for (const name of ["blocked_ips", "blocked_endpoints"]) object.setMaxEntries(name, 64);
  object.setMaxEntries("noted_flows", flows);
  object.load();
  return object;
}

const ARRAY = 2; // BPF_MAP_TYPE_ARRAY: its elements are always there

function emptyMap(map: number): void {
  const { type, keyLength, valueLength } = mapInfo(map);
  const nothing = new Uint8Array(valueLength);
  for (const key of readKeys(map, keyLength)) {
    const result = type === ARRAY ? updateElement(map, key, nothing) : deleteElement(map, key);
    check(result, "empty a BPF map");
  }
}

/** What a program says to an IP packet: 0 where the kernel itself takes no such packet. */
export function ask(program: number, whole: Uint8Array): number {
  const ip = whole.subarray(0, LONGEST); // its first bytes are all that is looked at
  const frame = new Uint8Array(ETHERNET.length + ip.length);
  frame.set(ETHERNET);
  if (ip[0] >> 4 === 6) frame.set([0x86, 0xdd], 12);
  frame.set(ip, ETHERNET.length);
  return testRun(program, frame).verdict;
}

/** What the rules do with an IP packet: both programs, in the rules' order. */
export function answerTo({ look, settled }: Look, ip: Uint8Array): "passes" | "settled" | "trip" {
  if (ask(look, ip) === 1) return "passes";
  return ask(settled, ip) === 1 ? "settled" : "trip";
}

/** What the kernel's chain does with packets, and the engine with those that come to it. */
export class LookedChain {
  readonly packet = new Packet();
  /** The engine behind the first look. */
  readonly engine: Engine;
  /** Flows, as texts, that the first look has settled, that the engine has released, or convicted. */
  readonly settled = new Set<string>();
  readonly released = new Set<string>();
  readonly convicted = new Set<string>();
  /** Packets that the engine was asked about. */
  trips = 0;

  /** @param look null: the chain without it, where the engine sees every flow's first packets */
  constructor(readonly look: Look | null, policy: EnginePolicy = CAPTURE_POLICY) {
    const notes = look === null ? null : new NotedFlows(look.flows);
    this.engine = new Engine({ policy, flows: 4096, notes });
  }

  /** One IP packet on its way. Null: it made no trip. */
  take(ip: Uint8Array, timeMs: number): Verdict | null {
    const { packet } = this;
    if (!parseIp(packet, ip, 0, ip.length)) return null;
    packet.timeMs = timeMs;
    const flow = flowOf(packet);
    const isSyn = packet.protocol === PROTOCOL_TCP && (packet.flags & (SYN | ACK)) === SYN;
    if (isSyn) {
      for (const set of [this.settled, this.released, this.convicted]) {
        set.delete(flow);
      }
    }
    if (this.settled.has(flow) || this.released.has(flow) || this.convicted.has(flow)) return null;
    const { look } = this;
    const answer = look === null ? "trip" : answerTo(look, ip);
    if (answer === "settled") this.settled.add(flow);
    if (answer !== "trip") return null;
    this.trips++;
    const verdict = this.engine.judge(packet);
    if (verdict === CLEAN) this.released.add(flow);
    if (verdict === BITTORRENT || verdict === DROP) this.convicted.add(flow);
    return verdict;
  }
}

/** Both directions alike. */
export function flowOf(packet: Packet): string {
  const end = (at: number, port: number) => `${packet.address.slice(at, at + 4).join(".")}:${port}`;
  const ends = [end(0, packet.sourcePort), end(4, packet.destinationPort)].sort();
  return `${packet.tunnelled} ${packet.protocol} ${ends.join(" ")}`;
}

/** Number of flows that are noted. */
export function notedFlows(look: Look): number {
  let count = 0;
  readElements(look.flows, 40, 56, () => count++);
  return count;
}
