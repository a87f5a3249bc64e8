/** The detection log: an entry a detection, for people or as JSON lines. */
import { AppendFile } from "./append_file.ts";
import type { DetectionRecord } from "./detection_record.ts";
import { jsonEntry, jsonGap, type LogGap, textEntry, textGap } from "./detection_text.ts";
import { describeLimit, FloodBound, type FloodLimit } from "./flood_bound.ts";

export type DetectionLogFormat = "text" | "json";

/**
 * About 250,000 usual entries of text, or 500,000 of JSON, and then 60 or 120 a second. Where
 * everybody is only watched, a hundred busy clients make about so many.
 */
export const DETECTION_LOG_LIMIT: FloodLimit = { most: 256 << 20, perSecond: 65_536 };
/** How often the log itself says that entries are left out. */
const GAP_MS = 60_000;

export interface DetectionLogOptions {
  path: string;
  format: DetectionLogFormat;
  /** Told once when writing begins to fail, once when it works again, and of entries left out. */
  warn: (message: string) => void;
  /** False where the input has an end and nothing of it may be left out. True unless given. */
  isBounded?: boolean;
  /** What goes on while it cannot be written, for messages: `blocking` unless given. */
  activity?: string;
  /** For tests. */
  limit?: FloodLimit;
  /** For tests. */
  nowMs?: () => number;
}

export class DetectionLog implements Disposable {
  readonly #file: AppendFile;
  readonly #encoder = new TextEncoder();
  readonly #bound: FloodBound | null;
  readonly #limit: FloodLimit;
  readonly #nowMs: () => number;
  #path: string;
  #format: DetectionLogFormat;
  /** Left out since the log last said so; null where nothing is. */
  #gap: LogGap | null = null;
  #sayAtMs = -Infinity;

  /** Opens the file at once, so that a wrong path is told at the start and not at the first entry. */
  constructor(options: DetectionLogOptions) {
    const { path, format, warn, isBounded = true, limit = DETECTION_LOG_LIMIT } = options;
    const { activity, nowMs = () => performance.now() } = options;
    this.#path = path;
    this.#format = format;
    this.#limit = limit;
    this.#nowMs = nowMs;
    const tell = (leftOut: number) => {
      const text = `${describeLimit(limit)}; ${leftOut} left out so far`;
      warn(`Too many entries for the detection log ${this.#path}: ${text}`);
    };
    this.#bound = isBounded ? new FloodBound({ ...limit, tell, nowMs }) : null;
    this.#file = new AppendFile({
      ...{ path, warn, nowMs },
      ...activity === undefined ? {} : { activity },
      name: "detection log",
      entries: "entries",
    });
  }

  /** Entries that could not be written since the start. */
  get lost(): number {
    return this.#file.lost;
  }

  /** Entries left out since the start because there were too many. */
  get leftOut(): number {
    return this.#bound?.leftOut ?? 0;
  }

  /** Appends one entry. Never throws. */
  write(record: DetectionRecord): void {
    if (this.#bound?.admits(record.bans.length > 0) === false) {
      const { timeMs } = record;
      this.#gap = { sinceMs: timeMs, ...this.#gap, untilMs: timeMs, entries: this.#gapped + 1 };
      return;
    }
    const gap = this.#nowMs() >= this.#sayAtMs ? this.#gap : null;
    const isWritten = this.#file.write(() => {
      const entry = this.#format === "json" ? jsonEntry(record) : textEntry(record);
      return this.#encode((gap === null ? "" : this.#gapEntry(gap)) + entry);
    });
    if (gap !== null && isWritten) this.#hasSaid();
  }

  /** Opens the file anew: a log rotation has moved it away, or a reload has changed the settings. */
  reopen(path: string = this.#path, format: DetectionLogFormat = this.#format): void {
    this.#sayGap(); // in the file in which they are missing
    this.#path = path;
    this.#format = format;
    this.#file.reopen(path);
  }

  get #gapped(): number {
    return this.#gap?.entries ?? 0;
  }

  #encode(text: string): Uint8Array {
    const bytes = this.#encoder.encode(text);
    this.#bound?.spend(bytes.length);
    return bytes;
  }

  #gapEntry(gap: LogGap): string {
    const why = describeLimit(this.#limit);
    return this.#format === "json" ? jsonGap(gap, why) : textGap(gap, why);
  }

  #sayGap(): void {
    const gap = this.#gap;
    if (gap !== null && this.#file.write(() => this.#encode(this.#gapEntry(gap)))) this.#hasSaid();
  }

  #hasSaid(): void {
    this.#gap = null;
    this.#sayAtMs = this.#nowMs() + GAP_MS;
  }

  [Symbol.dispose](): void {
    this.#sayGap();
    this.#bound?.[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }
}
