/**
 * A file that only grows, for its owner only. Writing it never stops the blocker: what cannot be
 * written is counted and said once, and tried again.
 */

/** It holds what people downloaded. */
const MODE = 0o600;
/** How long a file that cannot be written is left alone. */
const RETRY_MS = 5_000;
/** How often it is looked whether the path still leads to the open file. */
const LOOK_MS = 2_000;

export interface AppendFileOptions {
  readonly path: string;
  /** What it is, for messages: `detection log`. */
  readonly name: string;
  /** What it consists of, for messages: `entries`. */
  readonly entries: string;
  /** What goes on without it, for messages: `blocking` unless given. */
  readonly activity?: string;
  /** Told once when writing begins to fail, and once when it works again. */
  readonly warn: (message: string) => void;
  /**
   * Called each time the file has been opened, before anything is appended. What it throws counts as
   * a failure to open. With it the file is opened for reading too.
   */
  readonly onOpen?: (file: Deno.FsFile) => void;
  /** For tests. */
  readonly nowMs?: () => number;
}

export class AppendFile implements Disposable {
  /** Entries that could not be written since the start. */
  lost = 0;
  readonly #options: AppendFileOptions;
  readonly #nowMs: () => number;
  #path: string;
  #file: Deno.FsFile | null = null;
  #isFailing = false;
  #lostNow = 0;
  #retryAtMs = 0;
  #lookAtMs = 0;
  /** Entries written since the path was last seen to lead to the file. */
  #unseen = 0;

  /** Opens the file at once, so that a wrong path is told at the start and not at the first entry. */
  constructor(options: AppendFileOptions) {
    this.#options = options;
    this.#path = options.path;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#attempt(() => this.#open());
  }

  /**
   * Appends one entry whole, or nothing of it; tells whether it did. Never throws.
   *
   * @param encode called with the open file, and not at all while it is left alone
   */
  write(encode: (file: Deno.FsFile) => Uint8Array): boolean {
    if (this.#isFailing && this.#nowMs() < this.#retryAtMs) {
      this.#countLost();
      return false;
    }
    const isWritten = this.#attempt(() => {
      this.#look();
      const file = this.#file ?? this.#open();
      writeWhole(file, encode(file));
      this.#unseen++;
    });
    if (!isWritten) this.#countLost();
    return isWritten;
  }

  /** Opens the file anew: a log rotation has moved it away, or a reload has named another. */
  reopen(path: string = this.#path): void {
    this.#path = path;
    this.#close();
    this.#attempt(() => this.#open());
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  /** A file that was removed takes entries and keeps none; one that was moved away is not ours. */
  #look(): void {
    if (this.#file === null || this.#nowMs() < this.#lookAtMs) return;
    this.#lookAtMs = this.#nowMs() + LOOK_MS;
    const { ino, dev, nlink } = this.#file.statSync();
    const there = statOrNull(this.#path);
    if (there !== null && there.ino === ino && there.dev === dev) {
      this.#unseen = 0;
      return;
    }
    this.#close();
    if (nlink !== 0) return; // moved away: all of it is in the file of the other name
    const { name, entries, warn } = this.#options;
    this.lost += this.#unseen;
    const lost = this.#unseen === 0 ? "" : `: up to ${this.#unseen} ${entries} went with it`;
    warn(`The ${name} ${this.#path} was removed${lost}`);
  }

  #open(): Deno.FsFile {
    const { onOpen } = this.#options;
    refuseOthers(this.#path);
    // The mode is given to the kernel, which takes the umask's bits away from it and adds none.
    const file = Deno.openSync(this.#path, {
      append: true,
      create: true,
      read: onOpen !== undefined,
      mode: MODE,
    });
    try {
      tighten(this.#path, file);
      onOpen?.(file);
    } catch (error) {
      file.close();
      throw error;
    }
    this.#file = file;
    this.#lookAtMs = this.#nowMs() + LOOK_MS;
    this.#unseen = 0;
    return file;
  }

  #close(): void {
    try {
      this.#file?.close();
    } catch {
      // A file that cannot be closed is gone.
    }
    this.#file = null;
  }

  #attempt(step: () => void): boolean {
    const { name, entries, activity = "blocking", warn } = this.#options;
    try {
      step();
    } catch (error) {
      this.#close();
      this.#retryAtMs = this.#nowMs() + RETRY_MS;
      if (!this.#isFailing) {
        this.#isFailing = true;
        warn(
          `Cannot write the ${name} ${this.#path}: ${describe(error)} (${activity} goes on, ` +
            `${entries} are lost until it can be written)`,
        );
      }
      return false;
    }
    if (this.#isFailing) {
      this.#isFailing = false;
      warn(
        `${name[0].toUpperCase()}${name.slice(1)} ${this.#path} is written again, ` +
          `${this.#lostNow} ${entries} were lost`,
      );
      this.#lostNow = 0;
    }
    return true;
  }

  #countLost(): void {
    this.lost++;
    this.#lostNow++;
  }
}

/** Opening a FIFO that nobody reads waits for good. A device such as /dev/null opens at once. */
function refuseOthers(path: string): void {
  const there = statOrNull(path);
  const kind = there === null ? null : unfitKind(there);
  if (kind !== null) throw new Error(`it is a ${kind}, not a file`);
}

/** What a path leads to that nothing can be appended to, in a word; null for what is fit. */
export function unfitKind(there: Deno.FileInfo): string | null {
  if (there.isDirectory) return "directory";
  if (there.isFifo) return "FIFO";
  if (there.isSocket) return "socket";
  return there.isBlockDevice ? "block device" : null;
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** A file that others could read (made by hand, or by the original) is closed to them. */
function tighten(path: string, file: Deno.FsFile): void {
  const { isFile, mode } = file.statSync();
  if (isFile && mode !== null && (mode & 0o077) !== 0) Deno.chmodSync(path, MODE);
}

/** A disk that fills up takes the beginning of an entry; that is taken back. */
function writeWhole(file: Deno.FsFile, bytes: Uint8Array): void {
  let at = 0;
  try {
    while (at < bytes.length) at += file.writeSync(bytes.subarray(at));
  } catch (error) {
    if (at > 0) takeBack(file, at);
    throw error;
  }
}

/** Cuts off the last bytes, which nobody but us can have appended. */
function takeBack(file: Deno.FsFile, length: number): void {
  try {
    const { isFile, size } = file.statSync();
    if (isFile && size >= length) file.truncateSync(size - length);
  } catch {
    // The disk does not even do that: a torn entry stays.
  }
}

function describe(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such directory";
  return error instanceof Error ? error.message : String(error);
}
