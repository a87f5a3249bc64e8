/**
 * Where the ban maps live in the file system (bpffs), so that they outlive a crash and that
 * `btblocker bans` of another process finds them.
 */
import { describeErrno, ENOENT } from "../../../ffi/errno.ts";
import { HASH, LPM_TRIE, mapInfo, openPinned, pin } from "../../../ffi/bpf.ts";
import { close, mount } from "../../../ffi/libc.ts";
import { BAN_MAP_NAMES, BAN_VALUE_LENGTH, type BanMapName, KEY_LENGTHS } from "./ban_codec.ts";
import { endedNamespaces } from "../network/live_namespaces.ts";
import type { NetworkNamespace } from "../network/network_namespace.ts";
import { removeFile } from "../../files.ts";

/** Where systemd and most distributions mount the bpffs. */
export const BPFFS = "/sys/fs/bpf";

/** Attempts to make a directory that others remove. */
const MKDIR_ATTEMPTS = 5;

/** Types of the ban maps of bpf/btblocker.bpf.c. */
const MAP_TYPES = {
  blocked_ips: HASH,
  blocked_endpoints: HASH,
  blocked_networks: LPM_TRIE,
} as const satisfies Record<BanMapName, number>;

/** What the kernel's first look has beside the maps; a crash leaves it to its rules. */
const FIRST_LOOK_PINS = ["look", "settled"] as const;
type FirstLookPin = typeof FIRST_LOOK_PINS[number];

/** Entries of a map for `limit` bans: each of the workers may be about to add one. */
export function roomFor(limit: number): number {
  return limit + 64;
}

/** Whether BAN_LIMIT is the size of a map; the others have that of the program. */
export function isSizedByLimit(name: BanMapName): boolean {
  return MAP_TYPES[name] === HASH;
}

/**
 * The directory of this namespace's pins: the initial namespace's is `btblocker`, any other has a
 * directory of its own inside, since namespaces may share one bpffs.
 */
export function pinDirectory(namespace: NetworkNamespace, bpffs: string = BPFFS): string {
  const directory = `${bpffs}/btblocker`;
  return namespace.isInitial ? directory : `${directory}/net-${namespace.id}`;
}

/** Mounts the bpffs where it is missing, and makes the directory. Null, or why that cannot be. */
export function preparePins(directory: string, bpffs: string = BPFFS): string | null {
  const problem = isBpffsMounted(bpffs) ? null : mountBpffs(bpffs);
  if (problem !== null) return `cannot mount a bpffs at ${bpffs}: ${problem}`;
  for (let attempt = 1;; attempt++) {
    try {
      Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
      return null;
    } catch (error) {
      // Another blocker, ending, has removed the parent in between.
      if (error instanceof Deno.errors.NotFound && attempt < MKDIR_ATTEMPTS) continue;
      return `cannot make ${directory}: ${(error as Error).message}`;
    }
  }
}

/** One at a time: two blockers that start at once would mount one over the other, and its pins. */
function mountBpffs(bpffs: string): string | null {
  try {
    using place = Deno.openSync(bpffs);
    place.lockSync(true);
    if (isBpffsMounted(bpffs)) return null;
    const result = mount("bpf", bpffs, "bpf");
    return result < 0 ? describeErrno(-result) : null;
  } catch (error) {
    return (error as Error).message;
  }
}

export function isBpffsMounted(bpffs: string = BPFFS): boolean {
  const mounts = Deno.readTextFileSync("/proc/self/mounts");
  return mounts.split("\n").some((line) => {
    const [, target, type] = line.split(" ");
    return target === bpffs && type === "bpf";
  });
}

/**
 * Removes what namespaces that have ended left behind: those of the same inode, whose number has come
 * to us and whose bans must not, and those that exist no more. A namespace that may exist keeps its
 * bans.
 */
export function removeStalePins(namespace: NetworkNamespace, bpffs: string = BPFFS): void {
  const parent = `${bpffs}/btblocker`;
  const others = listDirectory(parent).flatMap(({ name }) => {
    const inode = /^net-(\d+)(-\d+)?$/.exec(name)?.[1];
    if (inode === undefined || name === `net-${namespace.id}`) return [];
    return [{ directory: `${parent}/${name}`, inode: Number(inode) }];
  });
  const inodes = others.map(({ inode }) => inode).filter((inode) => inode !== namespace.inode);
  const ended = endedNamespaces(inodes);
  for (const { directory, inode } of others) {
    if (inode !== namespace.inode && !ended.has(inode)) continue;
    try {
      removePins(directory);
    } catch {
      // Another user's: nobody takes them for his own, and they end with the next reboot.
    }
  }
}

/** A pinned map, open; or why there is none. */
export type PinnedMap =
  | { readonly fd: number; readonly problem: null }
  | { readonly fd: -1; readonly problem: string | null };

/**
 * Opens the pinned map `name` if it is what this version uses.
 *
 * @param limit entries it must have room for; null for any
 */
export function openPinnedMap(
  directory: string,
  name: BanMapName,
  limit: number | null,
): PinnedMap {
  const fd = openPinned(`${directory}/${name}`);
  if (fd === -ENOENT) return { fd: -1, problem: null };
  if (fd < 0) return { fd: -1, problem: describeErrno(-fd) };
  const info = mapInfo(fd);
  let problem: string | null = null;
  if (
    info.type !== MAP_TYPES[name] || info.keyLength !== KEY_LENGTHS[name] ||
    info.valueLength !== BAN_VALUE_LENGTH
  ) {
    problem = "it has the layout of another version";
  } else if (limit !== null && isSizedByLimit(name) && info.maxEntries !== roomFor(limit)) {
    problem = `it has room for ${info.maxEntries - roomFor(0)} bans, BAN_LIMIT is ${limit}`;
  }
  if (problem === null) return { fd, problem };
  close(fd);
  return { fd: -1, problem };
}

/** Pins `fd`, replacing what was there. */
export function pinMap(fd: number, directory: string, name: BanMapName): void {
  const path = `${directory}/${name}`;
  removeFile(path);
  pin(fd, path);
}

/**
 * Unpins the maps, all or those named, and removes the directory once it is empty; maps that nobody
 * uses any more are freed.
 */
export function removePins(
  directory: string,
  names: Iterable<BanMapName | FirstLookPin> = [...BAN_MAP_NAMES, ...FIRST_LOOK_PINS],
): void {
  for (const name of names) removeFile(`${directory}/${name}`);
  for (const empty of [directory, directory.slice(0, directory.lastIndexOf("/"))]) {
    if (empty.includes("/btblocker")) removeEmptyDirectory(empty);
  }
}

function removeEmptyDirectory(path: string): void {
  try {
    // What a service's user was given (tmpfiles.d) stays his, whoever else has run meanwhile.
    if (Deno.statSync(path).uid === Deno.uid()) Deno.removeSync(path);
  } catch {
    // Other namespaces have theirs inside, or it is gone.
  }
}

function listDirectory(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}
