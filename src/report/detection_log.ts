/** The detection log: an entry a detection, for people or as JSON lines. */
import { AppendFile } from "./append_file.ts";
import type { DetectionRecord } from "./detection_record.ts";
import { jsonEntry, textEntry } from "./detection_text.ts";

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
  readonly #file: AppendFile;
  readonly #encoder = new TextEncoder();
  #format: DetectionLogFormat;

  /** Opens the file at once, so that a wrong path is told at the start and not at the first entry. */
  constructor({ format, ...options }: DetectionLogOptions) {
    this.#format = format;
    this.#file = new AppendFile({ ...options, name: "detection log", entries: "entries" });
  }

  /** Entries that could not be written since the start. */
  get lost(): number {
    return this.#file.lost;
  }

  /** Appends one entry. Never throws. */
  write(record: DetectionRecord): void {
    this.#file.write(() => {
      return this.#encoder.encode(this.#format === "json" ? jsonEntry(record) : textEntry(record));
    });
  }

  /** Opens the file anew: a log rotation has moved it away, or a reload has changed the settings. */
  reopen(path?: string, format: DetectionLogFormat = this.#format): void {
    this.#format = format;
    this.#file.reopen(path);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
