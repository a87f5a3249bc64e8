/**
 * The process's memory. Most of what it holds after a start is of the start: sources, syntax trees,
 * code that ran once, the pages of Deno that it ran through. Nothing would give it back: packets make
 * no garbage, what the C library has freed stays with it, and pages of files stay until the machine
 * needs memory.
 */
import { setFlagsFromString } from "node:v8";
import { forgetPages, trimHeap } from "../../ffi/libc.ts";
import { collectGarbage } from "../garbage.ts";

/** MB of a young generation's half; V8's own is 16 in each of our threads. */
const HALF_OF_YOUNG = 1;

/**
 * To be called before any worker is made: they have small young generations.
 *
 * @returns what {@link giveBackMemory} can give back of the program itself
 */
export function useLittleMemory(): Pages[] {
  setFlagsFromString(`--max-semi-space-size=${HALF_OF_YOUNG}`);
  return executablePages(readText("/proc/self/smaps"), Deno.execPath());
}

/** Until all that a start brings about is done, and the code that ran once is old. */
const SETTLING_MS = 3_000;
const LOOK_MS = 2_000;
/** Bytes; compilers at work, a flood or a busy status page leave as much behind. */
const HEAPS_WORTH_IT = 5e6;
/** Half of it is there again by the next look of a busy process, by some hundred page faults. */
const PAGES_WORTH_IT = 5e6;

/** Gives back what the start has left behind, in a moment, and later whenever much has come since. */
export function giveBackMemory(pages: readonly Pages[]): Disposable {
  const resident = () => residentBytes(readText("/proc/self/status"));
  const heaps = new Growth(HEAPS_WORTH_IT, () => resident().own, () => {
    collectGarbage();
    trimHeap();
  });
  const files = new Growth(PAGES_WORTH_IT, () => resident().ofFiles, () => {
    for (const { start, length } of pages) forgetPages(start, length);
  });
  let timer = setTimeout(() => {
    heaps.undo();
    files.undo();
    timer = setInterval(() => {
      heaps.look();
      files.look();
    }, LOOK_MS);
  }, SETTLING_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Undoes the growth of an amount whenever it is worth it. */
export class Growth {
  /** The amount behind the last undoing. */
  #least = 0;

  constructor(
    private readonly worthIt: number,
    private readonly measure: () => number,
    private readonly act: () => void,
  ) {}

  /** To be called from time to time. */
  look(): void {
    if (this.measure() >= this.#least + this.worthIt) this.undo();
  }

  undo(): void {
    this.act();
    this.#least = this.measure();
  }
}

/** Bytes resident, by the text of /proc/PID/status; nothing where it cannot be read. */
export function residentBytes(status: string): { readonly own: number; readonly ofFiles: number } {
  const bytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
  return { own: bytes("RssAnon"), ofFiles: bytes("RssFile") };
}

/** Addresses of a process's memory. */
export interface Pages {
  readonly start: bigint;
  readonly length: bigint;
}

/**
 * Where a file stands in a process's memory as it is on disk, so that what is not in use can go and
 * is read again when it is: private, never written. V8 has a second copy of its builtins beside the
 * code of each thread, which goes with the thread: those are left out, other memory may be there by then.
 *
 * @param smaps text of /proc/PID/smaps
 */
export function executablePages(smaps: string, path: string): Pages[] {
  const found: (Pages & { readonly offset: bigint })[] = [];
  for (const [, mapping] of smaps.matchAll(/^([\da-f]+-[\da-f]+ .*(?:\n[A-Z].*)*)/gm)) {
    const [, from, to, mode, at, file] =
      /^([\da-f]+)-([\da-f]+) (\S+) ([\da-f]+) \S+ \d+ +(.*)/.exec(mapping) ?? [];
    if (file !== path || !/^r-[-x]p$/.test(mode) || !/^Anonymous: +0 kB/m.test(mapping)) continue;
    const [start, end, offset] = [from, to, at].map((digits) => BigInt(`0x${digits}`));
    found.push({ start, length: end - start, offset });
  }
  const isCopy = ({ offset, length }: typeof found[number]) =>
    found.some((other) =>
      other.length > length && other.offset <= offset &&
      offset + length <= other.offset + other.length
    );
  return found.filter((one) => !isCopy(one)).map(({ start, length }) => ({ start, length }));
}

/** Empty where it cannot be read: then nothing of the file is given back. */
function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
