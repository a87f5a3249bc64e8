/** `btblocker log find`: which detection a complaint is about. */
import { basename, dirname, join } from "node:path";
import { openSource } from "../capture/byte_source.ts";
import { describeReadError, UsageError } from "../errors.ts";
import {
  type Complaint,
  type FoundEntry,
  readAddress,
  readInfoHash,
  searchLog,
} from "../report/log_search.ts";
import { formatIsoTime, formatLocalTime, printable } from "../text.ts";
import { Output } from "./output.ts";

export interface FindFlags {
  infoHash?: string;
  port?: string;
  address?: string;
  between?: string;
  json?: boolean;
}

/**
 * Prints the entries that answer it; gives the exit code: 0 where there are some, 1 where there are
 * none or a file cannot be read.
 *
 * @param files logs; where none are named, the one of the settings with its rotated ones
 */
export async function findInLog(
  files: readonly string[],
  flags: FindFlags,
  detectionLog: () => Promise<string>,
): Promise<number> {
  const complaint = readComplaint(flags);
  const paths = files.length > 0 ? files : rotatedLogs(await detectionLog());
  const output = new Output();
  let found = 0;
  let failed = 0;
  const rows: string[][] = [];
  for (const path of paths) {
    try {
      using source = await openSource(path);
      for (const entry of searchLog((target) => source.read(target), complaint)) {
        found++;
        if (flags.json === true) output.line(JSON.stringify(jsonOf(path, entry)));
        else rows.push(rowOf(entry));
      }
      if (source.problem !== null) throw new Error(source.problem);
    } catch (error) {
      failed++;
      console.error(`Cannot read ${path}: ${describeReadError(error)}`);
    }
  }
  if (flags.json !== true) { for (const line of table(rows)) output.line(line); }
  output.flush();
  if (found === 0 && failed === 0 && flags.json !== true) {
    console.error(`Nothing found in ${paths.length === 1 ? paths[0] : `${paths.length} files`}`);
  }
  return found > 0 && failed === 0 ? 0 : 1;
}

function readComplaint({ infoHash, port, address, between }: FindFlags): Complaint {
  if (
    infoHash === undefined && port === undefined && address === undefined && between === undefined
  ) {
    throw new UsageError(
      "Cannot find anything: expected --info-hash, --port, --address or --between",
    );
  }
  const [fromMs, untilMs] = between === undefined ? [-Infinity, Infinity] : readInterval(between);
  return {
    infoHash: infoHash === undefined ? null : wanted(
      "--info-hash",
      infoHash,
      readInfoHash(infoHash),
      "40 or 64 hexadecimal digits, or 32 of base 32",
    ),
    port: port === undefined ? null : wanted(
      "--port",
      port,
      /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535 ? Number(port) : null,
      "a number from 1 to 65535",
    ),
    address: address === undefined ? null : wanted(
      "--address",
      address,
      readAddress(address),
      "an IPv4 or IPv6 address",
    ),
    ...{ fromMs, untilMs },
  };
}

function wanted<T>(flag: string, text: string, value: T | null, expected: string): T {
  return value ?? refuse(flag, text, expected);
}

function refuse(flag: string, text: string, expected: string): never {
  throw new UsageError(`Cannot use ${flag} ${text}: expected ${expected}`);
}

const EXPECTED_INTERVAL =
  "two times with a / between, such as 2026-11-28T10:00/2026-11-28T11:00Z " +
  "(local time unless it ends in Z or an offset), or one day";

/** An ISO 8601 interval, either side of which may be left out; a day or a minute counts whole. */
function readInterval(text: string): [number, number] {
  const parts = text.split("/");
  const [from, until] = parts.length === 1 ? [text, text] : parts;
  if (parts.length > 2) refuse("--between", text, EXPECTED_INTERVAL);
  const range: [number, number] = [
    from === "" ? -Infinity : readTime(from, text, false),
    until === "" ? Infinity : readTime(until, text, true),
  ];
  return wanted("--between", text, range[0] <= range[1] ? range : null, EXPECTED_INTERVAL);
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?(Z|[+-]\d\d:?\d\d)?$/;

function readTime(text: string, whole: string, isEnd: boolean): number {
  const shape = TIME.exec(text.trim());
  const hasClock = text.includes(":");
  // Without a clock Date.parse takes UTC; people mean their own day.
  const timeMs = shape === null
    ? NaN
    : Date.parse(hasClock ? text.trim().replace(" ", "T") : `${text.trim()}T00:00`);
  if (Number.isNaN(timeMs)) refuse("--between", whole, EXPECTED_INTERVAL);
  if (!isEnd) return timeMs;
  if (!hasClock) return timeMs + 24 * 3_600_000 - 1;
  return shape![1] === undefined
    ? timeMs + 59_999
    : shape![2] === undefined
    ? timeMs + 999
    : timeMs;
}

/** The log and what logrotate has made of it, the oldest first. */
function rotatedLogs(path: string): string[] {
  if (path === "") {
    throw new UsageError("Cannot find the detection log: name files, or set DETECTION_LOG");
  }
  const [directory, name] = [dirname(path), basename(path)];
  const found: { path: string; mtime: number }[] = [];
  for (const entry of Deno.readDirSync(directory)) {
    const rest = entry.name.startsWith(name) ? entry.name.slice(name.length) : null;
    if (rest === null || !/^([.-][\d.-]+)?(\.gz)?$/.test(rest)) continue;
    const one = join(directory, entry.name);
    found.push({ path: one, mtime: Deno.statSync(one).mtime?.getTime() ?? 0 });
  }
  if (found.length === 0) throw new UsageError(`Cannot find the detection log ${path}`);
  return found.sort((one, other) => one.mtime - other.mtime).map((one) => one.path);
}

function jsonOf(file: string, entry: FoundEntry): unknown {
  const { timeMs, source, destination, transport, what, infoHash, who, banned } = entry;
  const timestamp = formatIsoTime(timeMs);
  return {
    file,
    timestamp,
    src: source,
    dst: destination,
    proto: transport,
    what,
    info_hash: infoHash,
    who,
    banned,
  };
}

const HEADINGS = ["TIME", "PROTO", "SOURCE", "DESTINATION", "WHO", "INFO-HASH", "DETECTION"];

function rowOf(
  { timeMs, transport, source, destination, who, infoHash, what }: FoundEntry,
): string[] {
  return [formatLocalTime(timeMs), transport, source, destination, who ?? "", infoHash ?? "", what]
    .map(printable);
}

function table(rows: readonly string[][]): string[] {
  if (rows.length === 0) return [];
  const all = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, column) =>
    all.reduce((width, row) => Math.max(width, row[column].length), 0)
  );
  return all.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()
  );
}
