/**
 * The end of a pcapng file that is appended to. No reader gets past a block that is cut, so one that
 * a crash has left there would hide all that comes after it.
 */
import { isSectionOf } from "./pcapng_blocks.ts";

/** What begins the file of an application. */
export interface SectionStart {
  /** Its name, to which the section adds a version. */
  readonly application: string;
  readonly section: Uint8Array;
  readonly interface: Uint8Array;
}

const BLOCK_OVERHEAD = 12; // type 4, length 4, length again 4
const WINDOW = 65_536;

/**
 * Cuts a torn block off the end of a file that the application has written. Throws where another
 * has: nothing of a stranger's file is cut, and nothing appended to it.
 *
 * @returns whether packets can follow as they are; false: a section must begin first
 */
export function mendTail(file: Deno.FsFile, start: SectionStart): boolean {
  const { isFile, size } = file.statSync();
  if (!isFile || size === 0) return false;
  const words = new Words(file);
  const head = words.head(size);
  if (!isOurs(head, start)) {
    throw new Error("it holds something else (move it away, or name another file)");
  }
  const end = endsWithBlock(words, size) ? size : soundLength(words, size);
  if (end < size) file.truncateSync(end);
  return hasInterface(head.subarray(0, end), start);
}

function isOurs(head: Uint8Array, { application, section }: SectionStart): boolean {
  if (isSectionOf(application, head)) return true;
  return head.length < section.length && beginsWith(section, head); // torn in its first block
}

/** Whether the interface is that of this version: its packets may be longer than another's. */
function hasInterface(head: Uint8Array, start: SectionStart): boolean {
  if (!isSectionOf(start.application, head)) return false;
  const sectionLength = new DataView(head.buffer, head.byteOffset).getUint32(4, true);
  return beginsWith(head.subarray(sectionLength), start.interface);
}

function beginsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  return bytes.length >= beginning.length &&
    beginning.every((byte, index) => byte === bytes[index]);
}

function endsWithBlock(words: Words, size: number): boolean {
  if (size % 4 !== 0 || size < BLOCK_OVERHEAD) return false;
  const length = words.at(size - 4);
  return isBlockLength(length, size) && words.at(size - length + 4) === length;
}

/** Bytes until the first block that is not whole. */
function soundLength(words: Words, size: number): number {
  let at = 0;
  while (size - at >= BLOCK_OVERHEAD) {
    const length = words.at(at + 4);
    if (!isBlockLength(length, size - at) || words.at(at + length - 4) !== length) break;
    at += length;
  }
  return at;
}

function isBlockLength(length: number, most: number): boolean {
  return length >= BLOCK_OVERHEAD && length <= most && length % 4 === 0;
}

/** Little-endian words of a file, read through a window. */
class Words {
  readonly #file: Deno.FsFile;
  readonly #bytes = new Uint8Array(WINDOW);
  readonly #view = new DataView(this.#bytes.buffer);
  #start = 0;
  #length = 0;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** The word at a position that is four bytes or more before the file's end. */
  at(position: number): number {
    const isInside = position >= this.#start && position + 4 <= this.#start + this.#length;
    if (!isInside) this.#fill(position);
    return this.#view.getUint32(position - this.#start, true);
  }

  /** The file's first bytes, as many as fit. */
  head(size: number): Uint8Array {
    this.#fill(0);
    return this.#bytes.slice(0, Math.min(size, this.#length));
  }

  #fill(position: number): void {
    this.#file.seekSync(position, Deno.SeekMode.Start);
    this.#start = position;
    this.#length = 0;
    while (this.#length < WINDOW) {
      const read = this.#file.readSync(this.#bytes.subarray(this.#length));
      if (read === null || read === 0) break;
      this.#length += read;
    }
  }
}
