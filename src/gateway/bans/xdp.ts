/**
 * The XDP filter: loads the program, keeps it attached to the interfaces that are there, and owns
 * the kernel's ban maps. Everything ends with the process: links are descriptors.
 */
import type { LogLine } from "../../log_line.ts";
import {
  attachedProgram,
  attachXdp,
  BpfError,
  BpfObject,
  linkInterface,
  lookupElement,
  programName,
  readElements,
  XDP_GENERIC,
  XDP_HAS_FRAGS,
  XDP_NATIVE,
  XDP_OFFLOAD,
} from "../../../ffi/bpf.ts";
import { EBUSY, EEXIST, EINVAL } from "../../../ffi/errno.ts";
import { bootTimeMs, close, interfaceIndex } from "../../../ffi/libc.ts";
import { hardwareType, interfaceDriver } from "../../../ffi/libc_net.ts";
import { EnvironmentError } from "../../errors.ts";
import { BAN_VALUE_LENGTH, decodeBanValue, ENDPOINT_KEY_LENGTH } from "./ban_codec.ts";
import type { BanScope } from "./ban_policy.ts";
import {
  BAN_MAP_NAMES,
  type BanMapName,
  BPFFS,
  isSizedByLimit,
  openPinnedMap,
  pinDirectory,
  pinMap,
  preparePins,
  removePins,
  removeStalePins,
} from "./ban_pins.ts";
import type { NetworkNamespace } from "../network/network_namespace.ts";

export type XdpMode = "auto" | "generic" | "native" | "offload" | "off";

export interface XdpOptions {
  /** Asked at each {@link XdpFilter.refresh}: the interface of the default route may change. */
  readonly interfaces: () => readonly string[];
  readonly mode: Exclude<XdpMode, "off">;
  readonly scope: BanScope;
  /** Whether networks are banned too (a fleet does); without, packets pay nothing for it. */
  readonly networks?: boolean;
  /** Size of each ban map. */
  readonly limit: number;
  /** Keep the pinned bans at a clean stop. */
  readonly persist: boolean;
  readonly namespace: NetworkNamespace;
  readonly log: LogLine;
  readonly bpffs?: string;
}

/** What is known of one interface. */
export interface XdpAttachment {
  readonly name: string;
  /** 0 while there is no such interface. */
  readonly index: number;
  /** The mode it runs in, null where nothing is attached. */
  readonly mode: "native" | "generic" | "offload" | null;
  /** Why nothing is attached; null where it is. */
  readonly problem: string | null;
  /** Why a faster mode was refused (XDP_MODE=auto); null where it was not. */
  readonly refusal: string | null;
}

/** What was dropped in the driver. */
export interface Drops {
  readonly packets: number;
  readonly bytes: number;
}

interface Slot extends XdpAttachment {
  /** Descriptor of the link, -1 for none. */
  readonly link: number;
  /** Another program's number where that is what stands in the way, else 0. */
  readonly foreignProgram: number;
}

// ARPHRD_* of linux/if_arp.h
const WITH_ETHERNET_HEADER = new Map([[1, "Ethernet"], [772, "loopback"]]);
const WITHOUT_LINK_HEADER = new Map([
  [65534, "WireGuard, TUN"],
  [512, "PPP"],
  [519, "raw IP"],
  [768, "IPIP"],
  [769, "IPv6 tunnel"],
  [776, "6in4"],
  [778, "GRE"],
  [823, "GRE over IPv6"],
]);

/** Whether there is a program for devices of a hardware type (ARPHRD_*). */
export function isSupportedHardware(type: number): boolean {
  return WITH_ETHERNET_HEADER.has(type) || WITHOUT_LINK_HEADER.has(type);
}

const MODE_FLAGS = { native: XDP_NATIVE, generic: XDP_GENERIC, offload: XDP_OFFLOAD } as const;

/** As in bpf/layout.h. */
const DROP_COUNTERS = 1024;

const OBJECT = new URL("../../../bpf/btblocker.bpf.o", import.meta.url);

export class XdpFilter implements Disposable {
  readonly #options: XdpOptions;
  readonly #object: BpfObject;
  readonly #pins: string | null;
  /** Maps of this run, not those of an earlier one. */
  readonly #created: BanMapName[] = [];
  readonly #slots = new Map<string, Slot>();
  #isOpen = true;
  #hasStarted = false;

  /**
   * Loads the program and opens or creates the maps; attaches nothing yet ({@link refresh} does).
   * Throws BpfError where rights or kernel do not allow BPF, EnvironmentError without libbpf.
   */
  constructor(options: XdpOptions) {
    this.#options = options;
    const directory = pinDirectory(options.namespace, options.bpffs);
    const problem = preparePins(directory, options.bpffs);
    this.#pins = problem === null ? directory : null;
    if (problem !== null) options.log("info", `Bans are not kept over a crash: ${problem}`);
    const kept = this.#openKeptMaps();
    let object: BpfObject | null = null;
    try {
      object = loadObject(options, kept);
      for (const name of BAN_MAP_NAMES) {
        if (this.#pins === null || kept.has(name)) continue;
        pinMap(object.mapFd(name), this.#pins, name);
        this.#created.push(name);
      }
    } catch (error) {
      object?.[Symbol.dispose]();
      this.#unpinCreated();
      throw error;
    } finally {
      for (const fd of kept.values()) close(fd);
    }
    this.#object = object;
  }

  #unpinCreated(): void {
    if (this.#pins !== null) removePins(this.#pins, this.#created);
  }

  #openKeptMaps(): Map<BanMapName, number> {
    const kept = new Map<BanMapName, number>();
    if (this.#pins === null) return kept;
    const { namespace, bpffs = BPFFS, limit, log } = this.#options;
    removeStalePins(namespace, bpffs);
    for (const name of BAN_MAP_NAMES) {
      const { fd, problem } = openPinnedMap(this.#pins, name, limit);
      if (fd >= 0) kept.set(name, fd);
      if (problem !== null) {
        log("warn", `Bans of an earlier run are given up: ${this.#pins}/${name}: ${problem}`);
      }
    }
    return kept;
  }

  /** Descriptor of a ban map, good in every thread of the process until disposed. */
  mapFd(name: BanMapName): number {
    return this.#object.mapFd(name);
  }

  /** One entry an interface asked for. */
  get attachments(): XdpAttachment[] {
    return [...this.#slots.values()];
  }

  /**
   * Attaches to interfaces that have appeared or were created again, and lets go of those that are
   * gone; some microseconds where nothing changed, so call it every second. What cannot be attached
   * is logged once and left to the bans in user space.
   */
  refresh(): void {
    const wanted = this.#options.interfaces();
    for (const [name, slot] of this.#slots) {
      if (wanted.includes(name)) continue;
      this.#release(slot);
      this.#slots.delete(name);
    }
    for (const name of wanted) this.#refreshInterface(name);
  }

  /**
   * The first {@link refresh}, which is strict: with XDP_MODE=native or offload, a driver that
   * refuses is an error.
   */
  start(): void {
    this.refresh();
    const isStrict = this.#options.mode === "native" || this.#options.mode === "offload";
    for (const { problem, foreignProgram, index } of this.#slots.values()) {
      if (!isStrict || problem === null || foreignProgram !== 0 || index === 0) continue;
      throw new EnvironmentError(problem, "XDP_MODE=auto falls back to the generic mode");
    }
    this.#hasStarted = true;
  }

  #refreshInterface(name: string): void {
    const known = this.#slots.get(name);
    const index = interfaceIndex(name);
    if (known !== undefined) {
      const isSame = known.index === index;
      if (isSame && known.link >= 0 && linkInterface(known.link) === index) return;
      if (isSame && known.link < 0 && !this.#canRetry(known)) return;
      this.#release(known);
    }
    const slot = index === 0 ? missing(name) : this.#attach(name, index);
    this.#slots.set(name, slot);
    this.#report(slot, known);
  }

  /** A refusal stays one until the interface is another, or the program in the way has gone. */
  #canRetry(slot: Slot): boolean {
    return slot.foreignProgram !== 0 && attachedProgram(slot.index) !== slot.foreignProgram;
  }

  #attach(name: string, index: number): Slot {
    const refuse = (problem: string, foreignProgram = 0): Slot => ({
      ...{ name, index, mode: null, link: -1, foreignProgram, refusal: null },
      problem: `Cannot attach XDP to ${name}: ${problem}`,
    });
    const type = hardwareType(name);
    const program = WITH_ETHERNET_HEADER.has(type)
      ? "btblocker_l2"
      : WITHOUT_LINK_HEADER.has(type)
      ? "btblocker_l3"
      : null;
    if (program === null) return refuse(`devices of hardware type ${type} are not supported`);
    const foreign = attachedProgram(index);
    if (foreign > 0) return refuse(describeForeign(foreign), foreign);
    const { mode } = this.#options;
    const refusals: string[] = [];
    for (const candidate of mode === "auto" ? automaticModes(name) : [mode]) {
      try {
        const link = attachXdp(this.#object.programFd(program), index, MODE_FLAGS[candidate]);
        const refusal = refusals.length === 0 ? null : refusals.join("; ");
        return { name, index, mode: candidate, link, foreignProgram: 0, problem: null, refusal };
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        if (error.errno === EBUSY || error.errno === EEXIST) {
          const other = attachedProgram(index);
          if (other > 0) return refuse(describeForeign(other), other);
        }
        refusals.push(`${candidate} mode: ${error.reason}`);
      }
    }
    return refuse(refusals.join("; "));
  }

  #report(slot: Slot, before: Slot | undefined): void {
    const { log } = this.#options;
    if (slot.problem === null) {
      const refusal = slot.refusal === null ? "" : `; refused: ${slot.refusal}`;
      log("info", `XDP drops banned addresses on ${slot.name} (${slot.mode} mode${refusal})`);
      return;
    }
    if (before?.problem === slot.problem) return;
    const rest = slot.index === 0
      ? "bans there hold once it appears"
      : "bans there hold in user space only";
    log("warn", `${slot.problem}; ${rest}`);
  }

  #release(slot: Slot): void {
    if (slot.link >= 0) close(slot.link);
  }

  /** Packets and bytes dropped in the driver, by interface name. */
  drops(): Map<string, Drops> {
    const drops = new Map<string, Drops>();
    for (const { name, index } of this.#slots.values()) drops.set(name, this.#dropsOf(index));
    return drops;
  }

  #dropsOf(index: number): Drops {
    const sum = { packets: 0, bytes: 0 };
    const key = new Uint8Array(Uint32Array.of(index % DROP_COUNTERS).buffer);
    const value = new BigUint64Array(2 * possibleCpus()); // struct drops, one a CPU
    const map = this.#object.mapFd("interface_drops");
    if (lookupElement(map, key, new Uint8Array(value.buffer)) < 0) return sum;
    for (let at = 0; at < value.length; at += 2) {
      sum.packets += Number(value[at]);
      sum.bytes += Number(value[at + 1]);
    }
    return sum;
  }

  /**
   * A clean stop: detaches, and forgets the bans unless they are to persist. One that never started
   * leaves the bans of the run before as they were, and nothing of its own.
   */
  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const slot of this.#slots.values()) this.#release(slot);
    this.#slots.clear();
    if (!this.#hasStarted) this.#unpinCreated();
    else if (this.#pins !== null && !this.#options.persist) removePins(this.#pins);
    this.#object[Symbol.dispose]();
  }
}

/**
 * Modes to try, the faster one first. A virtual Ethernet pair carries segmentation offload's packets
 * of up to 64 KiB only without a native program: with one, bulk TCP falls to about a fifth.
 */
function automaticModes(name: string): readonly ("native" | "generic")[] {
  return interfaceDriver(name) === "veth" ? ["generic"] : ["native", "generic"];
}

function missing(name: string): Slot {
  const problem = `There is no interface ${name}`;
  return { name, index: 0, mode: null, link: -1, foreignProgram: 0, problem, refusal: null };
}

function describeForeign(program: number): string {
  const name = programName(program);
  const what = name === null || name === "" ? "a program" : `program ${name}`;
  return `${what} (id ${program}) is attached already and is not replaced`;
}

/** Before Linux 5.18 a program cannot take packets in several buffers: loaded without that. */
function loadObject(options: XdpOptions, kept: Map<BanMapName, number>): BpfObject {
  const elf = Deno.readFileSync(OBJECT);
  try {
    return loadWith(elf, options, kept, XDP_HAS_FRAGS);
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno !== EINVAL) throw error;
    return loadWith(elf, options, kept, 0);
  }
}

function loadWith(
  elf: Uint8Array<ArrayBuffer>,
  options: XdpOptions,
  kept: Map<BanMapName, number>,
  flags: number,
): BpfObject {
  const object = new BpfObject(elf);
  try {
    for (const name of BAN_MAP_NAMES) {
      const fd = kept.get(name);
      if (fd !== undefined) object.reuseMap(name, fd);
      else if (isSizedByLimit(name)) object.setMaxEntries(name, options.limit);
    }
    const constants = Uint32Array.of(
      options.scope === "endpoint" || hasBans(kept.get("blocked_endpoints")) ? 1 : 0, // endpoint_scope
      options.networks === true ? 1 : 0, // network_bans
    );
    object.setConstants(new Uint8Array(constants.buffer));
    for (const program of ["btblocker_l2", "btblocker_l3"]) object.setProgramFlags(program, flags);
    object.load();
    return object;
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
}

/** Whether bans of endpoints are kept from a run with BAN_SCOPE=endpoint, which hold on. */
function hasBans(endpointMap: number | undefined): boolean {
  if (endpointMap === undefined) return false;
  const now = bootTimeMs();
  let found = false;
  readElements(endpointMap, ENDPOINT_KEY_LENGTH, BAN_VALUE_LENGTH, (_keys, _at, values, at) => {
    found ||= decodeBanValue(values, at).untilMs > now;
  });
  return found;
}

/** CPUs that per-CPU maps have a value for: `0-7` in /sys (the same in every namespace). */
function possibleCpus(): number {
  const text = Deno.readTextFileSync("/sys/devices/system/cpu/possible");
  return 1 + Math.max(...text.trim().split(/[-,]/).map(Number));
}
