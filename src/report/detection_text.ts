/** Entries of the detection log: the original's text, or a JSON line. */
import { detectionJson } from "./detection_json.ts";
import {
  destinationOf,
  type DetectionRecord,
  reasonOf,
  sourceOf,
  transportOf,
} from "./detection_record.ts";
import { formatIsoTime, formatLocalTime, printable } from "../text.ts";

/** Payload bytes shown; the size above them is that of the whole payload. */
const SHOWN_BYTES = 512;
const BYTES_PER_LINE = 16;
const RULE = "=".repeat(80);

/**
 * The entry of the Go original: header, hex dump, printable characters, an empty line. The local
 * time, and the payload's first 512 bytes.
 */
export function textEntry(record: DetectionRecord): string {
  const { detection } = record;
  const payload = detection.payload.subarray(0, SHOWN_BYTES);
  const cut = detection.payloadLength > payload.length
    ? ` (showing first ${payload.length} bytes)`
    : "";
  return [
    RULE,
    `Timestamp:    ${formatLocalTime(record.timeMs)}`,
    `Interface:    ${record.interface}`,
    `Protocol:     ${transportOf(detection)}`,
    `Source:       ${sourceOf(detection)}`,
    `Destination:  ${destinationOf(detection)}`,
    `Detection:    ${detection.match.method}: ${printable(reasonOf(detection))}`,
    `Payload Size: ${detection.payloadLength} bytes${cut}`,
    "",
    "Hex Dump:",
    hexDump(payload),
    "",
    "ASCII (printable only):",
    printableBytes(payload),
    "",
    "",
  ].join("\n");
}

/** Entries that were left out because there were too many. Times are Unix time in milliseconds. */
export interface LogGap {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly entries: number;
}

/** Stands where they would. @param why `it takes 268 MB at once, then …` */
export function textGap({ sinceMs, untilMs, entries }: LogGap, why: string): string {
  return [
    RULE,
    `Timestamp:    ${formatLocalTime(untilMs)}`,
    `Left Out:     ${entries} entries since ${formatLocalTime(sinceMs)} (${why})`,
    "",
    "",
  ].join("\n");
}

/** The same as a JSON line. */
export function jsonGap({ sinceMs, untilMs, entries }: LogGap, why: string): string {
  return JSON.stringify({
    timestamp: formatIsoTime(untilMs),
    event_type: "left_out",
    since: formatIsoTime(sinceMs),
    entries,
    reason: why,
  }) + "\n";
}

/** Lines as `hexdump -C` prints them, without the closing offset. */
export function hexDump(bytes: Uint8Array): string {
  if (bytes.length === 0) return "(empty)";
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
    const row = bytes.subarray(at, at + BYTES_PER_LINE);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, "0"));
    const left = hex.slice(0, 8).join(" ").padEnd(23);
    const right = hex.slice(8).join(" ").padEnd(23);
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left}  ${right}  |${dots(row)}|`);
  }
  return lines.join("\n");
}

function dots(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => isPrintable(byte) ? String.fromCharCode(byte) : ".").join("");
}

/** Unlike the dump's right side it keeps line ends and tabs. */
function printableBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return "(empty)";
  return Array.from(
    bytes,
    (byte) =>
      isPrintable(byte) || byte === 0x09 || byte === 0x0a || byte === 0x0d
        ? String.fromCharCode(byte)
        : ".",
  ).join("");
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte <= 0x7e;
}

/** One JSON object and a line end. */
export function jsonEntry(record: DetectionRecord): string {
  const { detection } = record;
  return JSON.stringify({
    ...detectionJson(record),
    payload_length: detection.payloadLength,
    payload: detection.payload.subarray(0, SHOWN_BYTES).toBase64(),
  }) + "\n";
}
