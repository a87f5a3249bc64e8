/**
 * The program's log: LogTape with one sink on standard error. Text for people, JSON lines for
 * machines, journald's priorities under systemd. A level that is off costs a comparison: give values
 * that are dear to compute as a function (`log.debug("… {x}", () => ({ x: dear() }))`).
 */
import { fstatSync } from "node:fs";
import {
  configureSync,
  getLogger,
  getThrottlingFilter,
  type Logger,
  type LogLevel as TapeLevel,
  type LogRecord,
} from "@logtape/logtape";
import type { Config } from "../config/options.ts";
import type { LogLine } from "../log_line.ts";
import { printable } from "../text.ts";

export type LogLevel = Config["logLevel"];
export type LogFormat = Config["logFormat"];

/** The program's logger; says nothing before {@link setupLog}. */
export const log: Logger = getLogger("btblocker");

export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
  /** Gets every line with its end; standard error unless given. */
  write?: (line: string) => void;
  /** Colours and short times; whether standard error is a terminal unless given. */
  isTerminal?: boolean;
  /** Priorities in front of the lines; whether standard error is journald's unless given. */
  isJournal?: boolean;
}

/** Lines of one kind in one window; a swarm makes thousands a second. */
const LINES_PER_WINDOW = 20;
const WINDOW_MS = 10_000;

/** Starts the log, or changes its level and format (reload). */
export function setupLog(options: LogOptions): void {
  isSetUp = true;
  flushLog();
  globalThis.addEventListener("unload", flushLog); // the same listener again counts once
  const isJournal = options.isJournal ?? standardErrorIsJournal();
  const isTerminal = options.isTerminal ?? (!isJournal && Deno.stderr.isTerminal());
  const write = options.write ?? writeStandardError;
  const format = options.format === "json" ? jsonLine : textLine(isTerminal, isJournal);
  configureSync({
    reset: true,
    sinks: {
      lines: (record: LogRecord) => {
        const priority = isJournal ? `<${PRIORITIES[record.level]}>` : "";
        write(`${priority}${format(record)}\n`);
      },
    },
    filters: {
      repeated: limitRepeated(),
    },
    loggers: [
      {
        category: "btblocker",
        sinks: ["lines"],
        filters: ["repeated"],
        lowestLevel: TAPE_LEVELS[options.level],
      },
      { category: SUMMARY_CATEGORY, sinks: ["lines"], lowestLevel: TAPE_LEVELS[options.level] },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "error" },
    ],
  });
}

let isSetUp = false;

/** Starts the log for errors that come before {@link setupLog}; does nothing after it. */
export function setupErrorLog(format: LogFormat): void {
  if (!isSetUp) setupLog({ level: "error", format });
}

/** For parts that know nothing of the log; what their lines are like is read from the text. */
export const logLine: LogLine = (level, message) => {
  switch (level) {
    case "info":
      return log.info(WHOLE_MESSAGE, { message });
    case "warn":
      return log.warn(WHOLE_MESSAGE, { message });
    case "error":
      return log.error(WHOLE_MESSAGE, { message });
  }
};

const WHOLE_MESSAGE = "{message}";

const SUMMARY_CATEGORY = "btblocker-summary";

let summaryTimer: ReturnType<typeof setTimeout> | undefined;
let printSummaries: () => void = () => {};

/** Prints the counts of lines held back; done by itself when the program ends. */
export function flushLog(): void {
  clearTimeout(summaryTimer);
  summaryTimer = undefined;
  printSummaries();
}

/** Lets the first lines of a kind through and counts the others until the window ends. */
function limitRepeated(): (record: LogRecord) => boolean {
  const throttle = getThrottlingFilter({
    limit: LINES_PER_WINDOW,
    windowMs: WINDOW_MS,
    key: kindOf,
    summary: {
      logger: getLogger(SUMMARY_CATEGORY),
      level: ({ lastRecord }) => lastRecord.level,
      message: ({ lastRecord }) => `{suppressed} more lines like: ${escapeTemplate(lastRecord)}`,
    },
  });
  // LogTape tells the count with the next line of the same kind, which may never come; giving
  // the filter up tells all counts.
  printSummaries = () => throttle[Symbol.dispose]();
  return (record) => {
    if (throttle(record)) return true;
    if (summaryTimer === undefined) {
      summaryTimer = setTimeout(flushLog, WINDOW_MS);
      Deno.unrefTimer(summaryTimer);
    }
    return false;
  };
}

const TAPE_LEVELS = {
  error: "error",
  warn: "warning",
  info: "info",
  debug: "debug",
} as const satisfies Record<LogLevel, TapeLevel>;

/** syslog(3), as systemd reads them (sd-daemon(3)). */
const PRIORITIES: Record<TapeLevel, number> = {
  fatal: 2,
  error: 3,
  warning: 4,
  info: 6,
  debug: 7,
  trace: 7,
};

const NAMES: Record<TapeLevel, string> = {
  fatal: "error",
  error: "error",
  warning: "warn",
  info: "info",
  debug: "debug",
  trace: "debug",
};

const COLOURS: Record<TapeLevel, string> = {
  fatal: "31",
  error: "31",
  warning: "33",
  info: "32",
  debug: "90",
  trace: "90",
};

function messageOf(record: LogRecord): string {
  return record.message.map((part, index) => index % 2 === 0 ? part : describe(part)).join("");
}

function describe(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.message;
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return String(value);
}

function textLine(isTerminal: boolean, isJournal: boolean): (record: LogRecord) => string {
  return (record) => {
    const message = printable(messageOf(record));
    const level = NAMES[record.level].toUpperCase().padEnd(5);
    if (isJournal) return message; // journald adds the time and knows the level
    const time = new Date(record.timestamp).toISOString();
    if (!isTerminal) return `${time} ${level} ${message}`;
    return `\x1b[90m${time.slice(11, 23)}\x1b[0m \x1b[${
      COLOURS[record.level]
    }m${level}\x1b[0m ${message}`;
  };
}

function jsonLine(record: LogRecord): string {
  const fields: Record<string, unknown> = {};
  // A summary carries whole records besides its count, which is in the message.
  const properties = record.category[0] === SUMMARY_CATEGORY ? {} : record.properties;
  for (const [name, value] of Object.entries(properties)) {
    fields[name] = value instanceof Error ? value.message : value;
  }
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: NAMES[record.level],
    message: messageOf(record),
    ...fields,
  }, (_, value) => typeof value === "bigint" ? String(value) : value);
}

/** Lines of one kind share a limit, so that many of one say nothing less of another. */
function kindOf({ level, rawMessage, properties }: LogRecord): string {
  const template = typeof rawMessage === "string" ? rawMessage : rawMessage.join("{}");
  const isWhole = template === WHOLE_MESSAGE && typeof properties.message === "string";
  return `${level} ${isWhole ? kindOfText(properties.message as string) : template}`;
}

/** What is before the reason, without words that have digits: counts, addresses, interfaces. */
function kindOfText(message: string): string {
  return message.replace(/\S*\d\S*/g, "#").split(/: | \(/, 1)[0];
}

function escapeTemplate(record: LogRecord): string {
  return messageOf(record).replaceAll("{", "{{").replaceAll("}", "}}");
}

const encoder = new TextEncoder();

function writeStandardError(line: string): void {
  const bytes = encoder.encode(line);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
  } catch {
    // Nobody reads the log any more; that is no reason to stop blocking.
  }
}

/** JOURNAL_STREAM names the device and inode of the journal's socket (systemd.exec(5)). */
function standardErrorIsJournal(): boolean {
  const stream = Deno.env.get("JOURNAL_STREAM");
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
