/** Which network namespaces of this machine still exist, as far as /proc can tell. */

/** PROC_PID_INIT_INO (linux/proc_ns.h): the first pid namespace, which sees every process. */
const INITIAL_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Of network namespaces by inode number, those that exist no more: no thread is in one, and neither a
 * mount nor an open file that can be seen holds one. Empty in doubt: in a container not all processes
 * can be seen, and without the right to (CAP_SYS_PTRACE) not always where one lives.
 *
 * @param proc for tests
 */
export function endedNamespaces(inodes: readonly number[], proc: string = "/proc"): Set<number> {
  const left = new Set(inodes);
  if (left.size === 0) return left;
  try {
    if (Deno.readLinkSync(`${proc}/self/ns/pid`) !== INITIAL_PID_NAMESPACE) return new Set();
    const processes = ["self", ...numbersIn(proc)].map((name) => `${proc}/${name}`);
    // Each look takes longer than the one before, and most need the first alone.
    const looks = [
      () => homes(processes),
      () => processes.flatMap(mounts),
      () => homes(processes.flatMap(threads)),
      () => processes.flatMap(descriptors),
    ];
    for (const look of looks) {
      if (left.size === 0) return left;
      for (const inode of look()) left.delete(inode);
    }
    return left;
  } catch {
    return new Set();
  }
}

/** Where processes or threads live. Throws where that cannot be known of one. */
function homes(processes: readonly string[]): number[] {
  const inodes: number[] = [];
  const readable: string[] = [];
  const refused = new Set<number | null>();
  for (const process of processes) {
    try {
      inodes.push(...inodesOf([`${process}/ns/net`]));
      readable.push(process);
    } catch {
      refused.add(fileOf(process));
    }
  }
  // A refused one lives where another does whose home is known, or it may live anywhere.
  for (const process of readable) {
    if (refused.size === 0) return inodes;
    refused.delete(fileOf(process));
  }
  refused.delete(null);
  if (refused.size > 0) throw new Error("a process may not be looked into");
  return inodes;
}

/** A file that each namespace has one of and that anybody may look at; null once the process ended. */
function fileOf(process: string): number | null {
  return unlessGone(() => Deno.statSync(`${process}/net/dev`).ino);
}

/** proc_pid_mountinfo(5): the root of a mounted namespace is `net:[4026532177]`. */
function mounts(process: string): number[] {
  const text = ifAllowed(() => Deno.readTextFileSync(`${process}/mountinfo`)) ?? "";
  return [...text.matchAll(/ net:\[(\d+)\] /g)].map(([, inode]) => Number(inode));
}

function threads(process: string): string[] {
  const names = unlessGone(() => numbersIn(`${process}/task`)) ?? [];
  return names.map((name) => `${process}/task/${name}`);
}

function descriptors(process: string): number[] {
  const names = ifAllowed(() => numbersIn(`${process}/fd`)) ?? [];
  return names.flatMap((name) => ifAllowed(() => inodesOf([`${process}/fd/${name}`])) ?? []);
}

function inodesOf(links: readonly string[]): number[] {
  return links.flatMap((link) => {
    const inode = /^net:\[(\d+)\]$/.exec(unlessGone(() => Deno.readLinkSync(link)) ?? "")?.[1];
    return inode === undefined ? [] : [Number(inode)];
  });
}

function numbersIn(directory: string): string[] {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
  return names.filter((name) => /^\d+$/.test(name));
}

/** Null where the process, thread or descriptor is gone meanwhile, or is a zombie. */
function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const { code } = error as { code?: string };
    const isGone = error instanceof Deno.errors.NotFound || code === "ESRCH" || code === "EINVAL";
    if (isGone) return null;
    throw error;
  }
}

/** Null too where it may not be read: what holds a namespace open seldom holds the last of it. */
function ifAllowed<T>(read: () => T): T | null {
  try {
    return unlessGone(read);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return null;
    throw error;
  }
}
