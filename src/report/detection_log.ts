/** The detection log file. Writing it never stops the blocker: failures are counted and said once. */
import type { DetectionRecord } from "./detection_record.ts";
import { jsonEntry, textEntry } from "./detection_text.ts";

/** It holds what people downloaded: for its owner only. */
const MODE = 0o600;
/** How long a file that cannot be written is left alone. */
const RETRY_MS = 5_000;

export type DetectionLogFormat = "text" | "json";

export interface DetectionLogOptions {
  path: string;
  format: DetectionLogFormat;
  /** Told once when writing begins to fail, and once when it works again. */
  warn: (message: string) => void;
  /** For tests. */
  nowMs?: () => number;
}

export class DetectionLog implements Disposable {
  /** Entries that could not be written since the start. */
  lost = 0;
  #path: string;
  #format: DetectionLogFormat;
  readonly #warn: (message: string) => void;
  readonly #nowMs: () => number;
  readonly #encoder = new TextEncoder();
  #file: Deno.FsFile | null = null;
  #isFailing = false;
  #lostNow = 0;
  #retryAtMs = 0;

  /** Opens the file at once, so that a wrong path is told at the start and not at the first entry. */
  constructor(options: DetectionLogOptions) {
    this.#path = options.path;
    this.#format = options.format;
    this.#warn = options.warn;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#attempt(() => this.#open());
  }

  /** Appends one entry. Never throws. */
  write(record: DetectionRecord): void {
    if (this.#isFailing && this.#nowMs() < this.#retryAtMs) {
      this.#countLost();
      return;
    }
    const isWritten = this.#attempt(() => {
      const file = this.#file ?? this.#open();
      writeWhole(
        file,
        this.#encoder.encode(this.#format === "json" ? jsonEntry(record) : textEntry(record)),
      );
    });
    if (!isWritten) this.#countLost();
  }

  /** Opens the file anew: a log rotation has moved it away, or a reload has changed the settings. */
  reopen(path: string = this.#path, format: DetectionLogFormat = this.#format): void {
    this.#path = path;
    this.#format = format;
    this.#close();
    this.#attempt(() => this.#open());
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #open(): Deno.FsFile {
    // The mode is given to the kernel, which takes the umask's bits away from it and adds none.
    const file = Deno.openSync(this.#path, { append: true, create: true, mode: MODE });
    try {
      tighten(this.#path, file);
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
    try {
      step();
    } catch (error) {
      this.#close();
      this.#retryAtMs = this.#nowMs() + RETRY_MS;
      if (!this.#isFailing) {
        this.#isFailing = true;
        this.#warn(
          `Cannot write the detection log ${this.#path}: ${describe(error)} (blocking goes on, ` +
            `entries are lost until it can be written)`,
        );
      }
      return false;
    }
    if (this.#isFailing) {
      this.#isFailing = false;
      this.#warn(
        `Detection log ${this.#path} is written again, ${this.#lostNow} entries were lost`,
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

function writeWhole(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

function describe(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such directory";
  return error instanceof Error ? error.message : String(error);
}
