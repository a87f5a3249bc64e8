/**
 * The filter in the kernel: loads the programs, has one attached to each interface that is there while
 * anybody is banned (XDP or tc ingress, see attachment.ts), and owns the ban maps.
 */
import { BpfError, BpfObject, lookupElement, XDP_HAS_FRAGS } from "../../../ffi/bpf.ts";
import { EINVAL } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/libc.ts";
import { attach, type Attachment, type AttachMode } from "./attachment.ts";
import { BAN_MAP_NAMES, type BanMapName, IN_FORCE, ipv6Mask } from "./ban_codec.ts";
import { OPEN_PORT_MAPS, writeOpenPorts, writeOwnAddresses } from "./open_ports.ts";
import {
  BPFFS,
  isSizedByLimit,
  openPinnedMap,
  pinDirectory,
  pinMap,
  preparePins,
  removePins,
  removeStalePins,
  roomFor,
} from "./ban_pins.ts";
import { GuardedInterfaces, type GuardOptions, type XdpAttachment } from "./guarded_interfaces.ts";
import { possibleCpus } from "./possible_cpus.ts";
import type { NetworkNamespace } from "../network/network_namespace.ts";

export interface XdpOptions extends GuardOptions {
  /** BAN_PREFIX */
  readonly ipv6Bits: number;
  /** Size of each ban map. */
  readonly limit: number;
  /** Keep the pinned bans at a clean stop. */
  readonly persist: boolean;
  readonly namespace: NetworkNamespace;
  readonly bpffs?: string;
  /** As before Linux 6.6, which has no tcx; for tests. */
  readonly withoutTcx?: boolean;
}

/** What was dropped in the driver. */
export interface Drops {
  readonly packets: number;
  readonly bytes: number;
}

/** As in bpf/layout.h. */
const DROP_COUNTERS = 1024;

const XDP_OBJECT = new URL("../../../bpf/btblocker.bpf.o", import.meta.url);
const TC_OBJECT = new URL("../../../bpf/btblocker_tc.bpf.o", import.meta.url);

export class XdpFilter implements Disposable {
  readonly #options: XdpOptions;
  readonly #object: BpfObject;
  /** Null where the kernel takes none, or it is not asked for. */
  #tcObject: BpfObject | null = null;
  readonly #pins: string | null;
  /** Maps of this run, not those of an earlier one. */
  readonly #created: BanMapName[] = [];
  readonly #guarded: GuardedInterfaces;
  readonly #constants: Uint8Array<ArrayBuffer>;
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
      this.#constants = ipv6Mask(options.ipv6Bits);
      object = loadXdp(options, kept, this.#constants);
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
    this.#guarded = new GuardedInterfaces(
      options,
      (...where) => this.#attachIn(...where),
      () => this.#mayHaveBans(),
    );
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
  mapFd(name: BanMapName | "bans_in_force"): number {
    return this.#object.mapFd(name);
  }

  /** One entry an interface asked for. */
  get attachments(): XdpAttachment[] {
    return this.#guarded.attachments;
  }

  /** See {@link GuardedInterfaces.refresh}. */
  refresh(first: readonly number[] = []): boolean {
    return this.#guarded.refresh(first);
  }

  /** Whether a new ban needs a {@link refresh} to hold in the kernel. */
  get isResting(): boolean {
    return this.#isOpen && this.#hasStarted && !this.#guarded.isWanted;
  }

  /** As the programs see it: a map may have bans. */
  #mayHaveBans(): boolean {
    const map = this.#object.mapFd("bans_in_force");
    const value = new Uint8Array(4);
    return Object.values(IN_FORCE).some((element) => {
      const key = new Uint8Array(Uint32Array.of(element).buffer);
      return lookupElement(map, key, value) === 0 && value[0] !== 0;
    });
  }

  /**
   * The first {@link refresh}, which is strict: with XDP_MODE=native, offload or tc, an interface
   * that refuses is an error.
   */
  start(): void {
    this.#guarded.start();
    this.#hasStarted = true;
  }

  #attachIn(mode: AttachMode, name: string, index: number): Attachment {
    const programs = {
      l2: this.#object.programFd("btblocker_l2"),
      l3: this.#object.programFd("btblocker_l3"),
      tc: mode === "tc" ? this.#tcProgram() : -1,
    };
    return attach(mode, programs, name, index, this.#options.withoutTcx);
  }

  /** Loaded when the first interface wants it, with the same maps. */
  #tcProgram(): number {
    this.#tcObject ??= this.loadBeside(TC_OBJECT);
    return this.#tcObject.programFd("btblocker_tc");
  }

  /** Loads another object over the same ban maps. Whoever calls disposes of it. */
  loadBeside(file: URL): BpfObject {
    const maps = [
      ...BAN_MAP_NAMES,
      ...OPEN_PORT_MAPS,
      "bans_in_force",
      "interface_drops",
    ] as const;
    const kept = new Map(maps.map((name) => [name, this.#object.mapFd(name)]));
    return loadWith(file, this.#options, kept, this.#constants);
  }

  /** Directory of this namespace's pins; null where nothing can be pinned. */
  get pins(): string | null {
    return this.#pins;
  }

  /** Ports of this machine that banned addresses reach all the same. */
  openPorts(ports: readonly number[]): void {
    writeOpenPorts(this.#object.mapFd("open_ports"), ports);
  }

  /** The machine's own addresses (four words each), whose open ports those are. */
  ownAddresses(addresses: readonly Int32Array[]): void {
    writeOwnAddresses(this.#object.mapFd("own_addresses"), addresses);
  }

  /** Packets and bytes dropped in the driver, by interface name. */
  drops(): Map<string, Drops> {
    const drops = new Map<string, Drops>();
    for (const { name, index } of this.attachments) drops.set(name, this.#dropsOf(index));
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
    this.#guarded[Symbol.dispose]();
    if (!this.#hasStarted) this.#unpinCreated();
    else if (this.#pins !== null && !this.#options.persist) removePins(this.#pins);
    this.#tcObject?.[Symbol.dispose]();
    this.#object[Symbol.dispose]();
  }
}

/** Before Linux 5.18 a program cannot take packets in several buffers: loaded without that. */
function loadXdp(
  options: XdpOptions,
  kept: ReadonlyMap<string, number>,
  constants: Uint8Array<ArrayBuffer>,
): BpfObject {
  const withFlags = (flags: number) => {
    return loadWith(XDP_OBJECT, options, kept, constants, (object) => {
      for (const name of ["btblocker_l2", "btblocker_l3"]) object.setProgramFlags(name, flags);
    });
  };
  try {
    return withFlags(XDP_HAS_FRAGS);
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno !== EINVAL) throw error;
    return withFlags(0);
  }
}

function loadWith(
  file: URL,
  options: XdpOptions,
  kept: ReadonlyMap<string, number>,
  constants: Uint8Array<ArrayBuffer>,
  prepare: (object: BpfObject) => void = () => {},
): BpfObject {
  const object = new BpfObject(Deno.readFileSync(file));
  try {
    for (const name of BAN_MAP_NAMES) {
      if (!kept.has(name) && isSizedByLimit(name)) {
        object.setMaxEntries(name, roomFor(options.limit));
      }
    }
    for (const [name, fd] of kept) object.reuseMap(name, fd);
    object.setConstants(constants);
    prepare(object);
    object.load();
    return object;
  } catch (error) {
    object[Symbol.dispose]();
    throw error;
  }
}
