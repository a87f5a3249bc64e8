/**
 * A file that only grows, for its owner only. Writing it never stops the blocker: what cannot be
 * written is counted and said once, and tried again.
 */

/** It holds what people downloaded. */
const MODE = 0o600;
/** How long a file that cannot be written is left alone. */
const RETRY_MS = 5_000;

export interface AppendFileOptions {
  readonly path: string;
  /** What it is, for messages: `detection log`. */
  readonly name: string;
  /** What it consists of, for messages: `entries`. */
  readonly entries: string;
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

  /** Opens the file at once, so that a wrong path is told at the start and not at the first entry. */
  constructor(options: AppendFileOptions) {
    this.#options = options;
    this.#path = options.path;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#attempt(() => this.#open());
  }

  /**
   * Appends one entry whole, or nothing of it. Never throws.
   *
   * @param encode called with the open file, and not at all while it is left alone
   */
  write(encode: (file: Deno.FsFile) => Uint8Array): void {
    if (this.#isFailing && this.#nowMs() < this.#retryAtMs) {
      this.#countLost();
      return;
    }
    const isWritten = this.#attempt(() => {
      const file = this.#file ?? this.#open();
      writeWhole(file, encode(file));
    });
    if (!isWritten) this.#countLost();
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

  #open(): Deno.FsFile {
    const { onOpen } = this.#options;
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
    const { name, entries, warn } = this.#options;
    try {
      step();
    } catch (error) {
      this.#close();
      this.#retryAtMs = this.#nowMs() + RETRY_MS;
      if (!this.#isFailing) {
        this.#isFailing = true;
        warn(
          `Cannot write the ${name} ${this.#path}: ${describe(error)} (blocking goes on, ` +
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
