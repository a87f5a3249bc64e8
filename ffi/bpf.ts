/**
 * libbpf (1.0 or later): load programs, read and write maps; attaching them is `bpf_links.ts`. Loaded at the
 * first call.
 *
 * Map calls may come from any thread (file descriptors belong to the process). Loading and attaching
 * belong to the main thread: while they run, libbpf's messages are caught by a callback of this one.
 */
import { EnvironmentError } from "../src/errors.ts";
import { check, describeErrno, ENOENT, SystemError } from "./errno.ts";
import { close, cString, errno } from "./libc.ts";

const SYMBOLS = {
  libbpf_version_string: { parameters: [], result: "pointer" /* const char * */ },
  libbpf_set_print: { parameters: ["pointer" /* callback, null: silent */], result: "pointer" },
  // of the C library, found through libbpf's own dependency on it
  vsnprintf: {
    parameters: ["buffer", "usize", "pointer", /* format */ "pointer" /* va_list */],
    result: "i32",
  },
  bpf_object__open_mem: {
    parameters: ["buffer", /* ELF */ "usize", "buffer" /* options, null: none */],
    result: "pointer", // null: failed, see errno
  },
  bpf_object__load: { parameters: ["pointer"], result: "i32" },
  bpf_object__close: { parameters: ["pointer"], result: "void" },
  bpf_object__find_map_by_name: { parameters: ["pointer", "buffer"], result: "pointer" },
  bpf_object__find_program_by_name: { parameters: ["pointer", "buffer"], result: "pointer" },
  bpf_map__set_max_entries: { parameters: ["pointer", "u32"], result: "i32" },
  bpf_map__set_initial_value: { parameters: ["pointer", "buffer", "usize"], result: "i32" },
  bpf_map__reuse_fd: { parameters: ["pointer", "i32"], result: "i32" },
  bpf_map__fd: { parameters: ["pointer"], result: "i32" },
  bpf_program__set_flags: { parameters: ["pointer", "u32"], result: "i32" },
  bpf_program__fd: { parameters: ["pointer"], result: "i32" },
  // Below: 0 (or a descriptor), or -errno.
  bpf_map_update_elem: {
    parameters: ["i32", /* int fd */ "buffer", /* key */ "buffer", /* value */ "u64" /* flags */],
    result: "i32",
  },
  bpf_map_lookup_elem: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  bpf_map_delete_elem: { parameters: ["i32", "buffer"], result: "i32" },
  bpf_map_lookup_and_delete_elem: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  bpf_map_get_next_key: {
    parameters: ["i32", "buffer", /* null: the first */ "buffer" /* out */],
    result: "i32",
  },
  bpf_map_lookup_batch: {
    parameters: [
      "i32", /* int fd */
      "buffer", /* where to begin, null: at the beginning */
      "buffer", /* out: where the next batch begins */
      "buffer", /* out: keys */
      "buffer", /* out: values */
      "buffer", /* u32 * in: room, out: number read */
      "pointer", /* options */
    ],
    result: "i32",
  },
  bpf_obj_pin: { parameters: ["i32", "buffer" /* path */], result: "i32" },
  bpf_obj_get: { parameters: ["buffer" /* path */], result: "i32" },
  bpf_obj_get_info_by_fd: { parameters: ["i32", "buffer", "buffer" /* u32 * */], result: "i32" },
  bpf_prog_get_fd_by_id: { parameters: ["u32"], result: "i32" },
  bpf_link_create: {
    parameters: ["i32", /* program */ "i32", /* interface */ "u32", /* type */ "buffer"],
    result: "i32",
  },
  bpf_prog_query: {
    parameters: [
      ...["i32", /* interface */ "u32", /* type */ "u32" /* flags */] as const,
      ...[
        "buffer", /* u32 *attach_flags */
        "buffer", /* u32 *ids */
        "buffer", /* u32 *count */
      ] as const,
    ],
    result: "i32",
  },
  bpf_xdp_query: {
    parameters: ["i32", /* interface */ "i32", /* flags */ "buffer"],
    result: "i32",
  },
  bpf_xdp_attach: {
    parameters: ["i32", "i32", /* program, -1 none */ "u32", "pointer"],
    result: "i32",
  },
  bpf_tc_hook_create: { parameters: ["buffer" /* struct bpf_tc_hook * */], result: "i32" },
  bpf_tc_attach: { parameters: ["buffer", "buffer" /* struct bpf_tc_opts * */], result: "i32" },
  bpf_tc_detach: { parameters: ["buffer", "buffer"], result: "i32" },
  bpf_tc_query: { parameters: ["buffer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Libbpf = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
let library: Libbpf | undefined;

/** The library, loaded at the first call; throws an EnvironmentError where it is missing. */
export function libbpf(): Libbpf {
  if (library !== undefined) return library;
  try {
    library = Deno.dlopen("libbpf.so.1", SYMBOLS).symbols;
  } catch (error) {
    throw new EnvironmentError(
      `Cannot load libbpf.so.1: ${(error as Error).message}`,
      "Debian: apt install libbpf1; Fedora: dnf install libbpf; Alpine: apk add libbpf",
    );
  }
  library.libbpf_set_print(null);
  return library;
}

/** As the library says itself: `1.1.2`. */
export function libbpfVersion(): string {
  const text = libbpf().libbpf_version_string();
  return text === null ? "" : Deno.UnsafePointerView.getCString(text).replace(/^v/, "");
}

/** A step of loading or attaching failed; {@link log} is what libbpf and the verifier said. */
export class BpfError extends SystemError {
  override readonly name = "BpfError";
  readonly log: string;
  /** Why, in the kernel's or the driver's words where it has any. */
  readonly reason: string;

  constructor(errno: number, action: string, log: string, hint?: string) {
    const said = reasonIn(log);
    const reason = said === null ? describeErrno(errno) : `${describeErrno(errno)}: ${said}`;
    super(errno, `Cannot ${action}: ${reason}`, hint);
    this.log = log;
    this.reason = reason;
  }
}

/** The driver's or the kernel's own words in libbpf's messages, if they are there. */
function reasonIn(log: string): string | null {
  return /Kernel error message: (.+)/.exec(log)?.[1].trim() ?? null;
}

/** Runs `action` and returns its result with what libbpf printed meanwhile. */
export function withLog<T>(action: () => T): [result: T, log: string] {
  const bpf = libbpf();
  const line = new Uint8Array(65536);
  let log = "";
  const callback = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "i32" },
    (level, format, values) => {
      if (level !== 0) return 0; // LIBBPF_WARN only
      // A va_list parameter is a pointer in the calling conventions of x86-64, AArch64 and RISC-V.
      const length = bpf.vsnprintf(line, BigInt(line.length), format, values);
      const end = Math.max(0, Math.min(length, line.length - 1));
      log += new TextDecoder().decode(line.subarray(0, end));
      return 0;
    },
  );
  try {
    bpf.libbpf_set_print(callback.pointer);
    return [action(), log];
  } finally {
    bpf.libbpf_set_print(null);
    callback.close();
  }
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** BPF_F_XDP_HAS_FRAGS (Linux 5.18): the program may see packets in several buffers (jumbo frames). */
export const XDP_HAS_FRAGS = 1 << 5;

/**
 * An object file: open, set sizes, load. Closing it closes the descriptors of maps and programs; a
 * link or a pin keeps what it refers to.
 */
export class BpfObject implements Disposable {
  #object: Deno.PointerObject | null;
  readonly #elf: Uint8Array<ArrayBuffer>; // libbpf reads it until the object is loaded

  constructor(elf: Uint8Array<ArrayBuffer>) {
    this.#elf = elf;
    const [[object, error], log] = withLog(() => {
      const object = libbpf().bpf_object__open_mem(elf, BigInt(elf.length), null);
      return [object, errno()] as const;
    });
    if (object === null) throw new BpfError(error, "open the BPF object", log);
    this.#object = object;
  }

  setMaxEntries(map: string, entries: number): void {
    check(libbpf().bpf_map__set_max_entries(this.#map(map), entries), `size BPF map ${map}`);
  }

  /** Replaces the constants (`const volatile`) of the object; `bytes` must have their size. */
  setConstants(bytes: Uint8Array<ArrayBuffer>): void {
    const map = this.#map(".rodata");
    const result = libbpf().bpf_map__set_initial_value(map, bytes, BigInt(bytes.length));
    check(result, "set the constants of the BPF object");
  }

  /** Takes a map that exists instead of creating one. The descriptor is copied. */
  reuseMap(map: string, fd: number): void {
    check(libbpf().bpf_map__reuse_fd(this.#map(map), fd), `take over BPF map ${map}`);
  }

  setProgramFlags(program: string, flags: number): void {
    const result = libbpf().bpf_program__set_flags(this.#program(program), flags);
    check(result, `set flags of BPF program ${program}`);
  }

  /** Creates the maps, and has the programs verified and compiled. */
  load(): void {
    const [result, log] = withLog(() => libbpf().bpf_object__load(this.#open()));
    if (result < 0) {
      const hint = "needs root or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and Linux 5.9 or later";
      throw new BpfError(-result, "load the BPF programs", log, hint);
    }
  }

  mapFd(map: string): number {
    return check(libbpf().bpf_map__fd(this.#map(map)), `use BPF map ${map}`);
  }

  programFd(program: string): number {
    return check(libbpf().bpf_program__fd(this.#program(program)), `use BPF program ${program}`);
  }

  [Symbol.dispose](): void {
    if (this.#object !== null) libbpf().bpf_object__close(this.#object);
    this.#object = null;
    this.#elf; // reachable until here
  }

  #open(): Deno.PointerObject {
    if (this.#object === null) throw new TypeError("The BPF object is closed");
    return this.#object;
  }

  #map(name: string): Deno.PointerObject {
    const map = libbpf().bpf_object__find_map_by_name(this.#open(), cString(name));
    if (map === null) throw new RangeError(`No map ${name} in the BPF object`);
    return map;
  }

  #program(name: string): Deno.PointerObject {
    const program = libbpf().bpf_object__find_program_by_name(this.#open(), cString(name));
    if (program === null) throw new RangeError(`No program ${name} in the BPF object`);
    return program;
  }
}

/** Sets an element, whether or not it is there. 0 or -errno. */
export function updateElement(
  map: number,
  key: Uint8Array<ArrayBuffer>,
  value: Uint8Array<ArrayBuffer>,
): number {
  return libbpf().bpf_map_update_elem(map, key, value, 0n);
}

const BPF_NOEXIST = 1n;

/** Sets an element that is not there. 0 or -errno (-EEXIST: it is). */
export function addElement(
  map: number,
  key: Uint8Array<ArrayBuffer>,
  value: Uint8Array<ArrayBuffer>,
): number {
  return libbpf().bpf_map_update_elem(map, key, value, BPF_NOEXIST);
}

/** Reads an element into `value`. 0 or -errno (-ENOENT: none). */
export function lookupElement(
  map: number,
  key: Uint8Array<ArrayBuffer>,
  value: Uint8Array<ArrayBuffer>,
): number {
  return libbpf().bpf_map_lookup_elem(map, key, value);
}

/** Deletes an element. 0 or -errno (-ENOENT: none). */
export function deleteElement(map: number, key: Uint8Array<ArrayBuffer>): number {
  return libbpf().bpf_map_delete_elem(map, key);
}

/** Reads an element into `value` and deletes it, at once. 0 or -errno (-ENOENT: none). */
export function takeElement(
  map: number,
  key: Uint8Array<ArrayBuffer>,
  value: Uint8Array<ArrayBuffer>,
): number {
  return libbpf().bpf_map_lookup_and_delete_elem(map, key, value);
}

/** Whether {@link takeElement} works with a hash map: Linux 5.14. Asks for a key that must not be there. */
export function canTakeElements(
  map: number,
  absentKey: Uint8Array<ArrayBuffer>,
  value: Uint8Array<ArrayBuffer>,
): boolean {
  return takeElement(map, absentKey, value) === -ENOENT;
}

const BATCH = 4096;

/**
 * Calls `visit` for each element of a hash map (Linux 5.6). The bytes are valid during the call only.
 * Elements written meanwhile may or may not be seen.
 *
 * @param valueLength bytes of a value; for a per-CPU map, of all CPUs' values together
 */
export function readElements(
  map: number,
  keyLength: number,
  valueLength: number,
  visit: (keys: Uint8Array, keyAt: number, values: DataView, valueAt: number) => void,
): void {
  const keys = new Uint8Array(BATCH * keyLength);
  const values = new DataView(new ArrayBuffer(BATCH * valueLength));
  const valueBytes = new Uint8Array(values.buffer);
  const next = new Uint8Array(Math.max(4, keyLength));
  const count = new Uint32Array(1);
  let result = 0;
  for (let position: typeof next | null = null; result >= 0; position = next) {
    count[0] = BATCH;
    result = libbpf().bpf_map_lookup_batch(map, position, next, keys, valueBytes, count, null);
    if (result < 0 && result !== -ENOENT) check(result, "read a BPF map");
    for (let i = 0; i < count[0]; i++) visit(keys, i * keyLength, values, i * valueLength);
  }
}

/**
 * The keys of a map whose kind has no batches on older kernels (an LPM trie before Linux 5.13). One
 * call of the kernel each: for maps of some thousands.
 */
export function readKeys(map: number, keyLength: number): Uint8Array<ArrayBuffer>[] {
  const keys: Uint8Array<ArrayBuffer>[] = [];
  let next = new Uint8Array(keyLength);
  let result = libbpf().bpf_map_get_next_key(map, null, next);
  while (result >= 0) {
    keys.push(next);
    next = new Uint8Array(keyLength);
    result = libbpf().bpf_map_get_next_key(map, keys[keys.length - 1], next);
  }
  if (result !== -ENOENT) check(result, "read the keys of a BPF map");
  return keys;
}

/** Whether a map has no element. */
export function isEmptyMap(map: number, keyLength: number): boolean {
  return libbpf().bpf_map_get_next_key(map, null, new Uint8Array(keyLength)) === -ENOENT;
}

/** Makes a map outlive the process, at `path` on a bpffs. */
export function pin(fd: number, path: string): void {
  check(libbpf().bpf_obj_pin(fd, cString(path)), `pin a BPF map at ${path}`);
}

/** Descriptor of what is pinned at `path`, or -errno. */
export function openPinned(path: string): number {
  return libbpf().bpf_obj_get(cString(path));
}

/** struct bpf_map_info */
export interface MapInfo {
  readonly type: number;
  readonly keyLength: number;
  readonly valueLength: number;
  readonly maxEntries: number;
}

/** BPF_MAP_TYPE_HASH */
export const HASH = 1;
/** BPF_MAP_TYPE_LPM_TRIE */
export const LPM_TRIE = 11;

export function mapInfo(fd: number): MapInfo {
  const info = objectInfo(fd, "a BPF map");
  const view = new DataView(info.buffer);
  return {
    type: view.getUint32(0, true),
    keyLength: view.getUint32(8, true),
    valueLength: view.getUint32(12, true),
    maxEntries: view.getUint32(16, true),
  };
}

/** Name of a loaded program; null when it is gone or hidden from us. */
export function programName(id: number): string | null {
  const fd = libbpf().bpf_prog_get_fd_by_id(id);
  if (fd < 0) return null;
  try {
    return textAt(objectInfo(fd, "a BPF program"), 64, 16);
  } finally {
    close(fd);
  }
}

/** What the kernel tells of a map, program or link, as its `struct bpf_*_info`. */
export function objectInfo(fd: number, what: string): Uint8Array<ArrayBuffer> {
  const info = new Uint8Array(256);
  const length = new Uint32Array([info.length]);
  check(libbpf().bpf_obj_get_info_by_fd(fd, info, length), `read the properties of ${what}`);
  return info;
}
