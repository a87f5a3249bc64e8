/** What `analyze` prints: JSON lines for machines, a table for people. */
import type { Strength } from "../protocols/match.ts";
import { formatBytes, formatCount, formatIsoTime, printable } from "../text.ts";
import type { Output } from "./output.ts";

/** First detection of a flow. The fields of the JSON output, in its order. */
export interface DetectionRow {
  file: string;
  /** Frame number in the file, from 1. */
  packet: number;
  timeMs: number;
  transport: "tcp" | "udp";
  /** `ip:port` or `[v6]:port` of the packet that proved it. */
  src: string;
  dst: string;
  method: string;
  strength: Strength;
  /** Whether a gateway with default settings would ban by this packet. */
  ban: boolean;
  reason: string;
  client: string | null;
  /** The torrent's info-hash in hexadecimal, where the packet carries one. */
  infoHash: string | null;
}

/** One file. */
export interface FileSummary {
  file: string;
  packets: number;
  /** Captured bytes of all packets. */
  bytes: number;
  /** Frames of which only a part was recorded, and those that could not be read at all. */
  cutFrames: number;
  unreadableFrames: number;
  flows: number;
  /** Flows with at least one byte of payload. */
  payloadFlows: number;
  detections: number;
  /** Seconds spent on reading and judging it. */
  seconds: number;
}

export interface AnalyzeReport {
  detection(row: DetectionRow): void;
  summary(summary: FileSummary): void;
  /** After the last file. */
  end(): void;
}

/** One JSON object a line; docs/detection.schema.json describes them. */
export class JsonReport implements AnalyzeReport {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  detection(row: DetectionRow): void {
    const { file, packet, timeMs, transport, src, dst } = row;
    const { method, strength, ban, reason, client, infoHash } = row;
    const time = formatIsoTime(timeMs);
    this.#output.line(JSON.stringify({
      type: "detection",
      file,
      packet,
      time,
      transport,
      src,
      dst,
      method,
      strength,
      ban,
      reason,
      client,
      info_hash: infoHash,
    }));
  }

  summary(summary: FileSummary): void {
    const { file, packets, bytes, cutFrames, unreadableFrames, flows, payloadFlows } = summary;
    const { detections, seconds } = summary;
    this.#output.line(JSON.stringify({
      type: "summary",
      file,
      packets,
      bytes,
      cutFrames,
      unreadableFrames,
      flows,
      payloadFlows,
      detections,
      seconds,
    }));
  }

  end(): void {}
}

const COLUMNS = [
  "PACKET",
  "TIME (UTC)",
  "PROTO",
  "SOURCE",
  "DESTINATION",
  "METHOD",
  "STRENGTH",
  "CLIENT",
  "REASON",
];
/** Rows kept back to find the widths; a file with more gets further headings when widths grow. */
const ROWS_AT_ONCE = 500;

/** A heading, aligned rows and a closing line a file. */
export class TableReport implements AnalyzeReport {
  readonly #output: Output;
  #rows: string[][] = [];
  #widths: number[] = [];
  #files = 0;
  #filesWithDetections = 0;
  #detections = 0;
  #packets = 0;
  #seconds = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  detection(row: DetectionRow): void {
    if (this.#rows.length === 0 && this.#widths.length === 0) {
      this.#output.line(`${printable(row.file)}:`);
    }
    this.#rows.push([
      `${row.packet}`,
      formatIsoTime(row.timeMs).slice(0, -1).replace("T", " "),
      row.transport.toUpperCase(),
      row.src,
      row.dst,
      row.method,
      row.strength,
      row.client === null ? "-" : printable(row.client),
      printable(row.reason),
    ]);
    if (this.#rows.length >= ROWS_AT_ONCE) this.#printRows();
  }

  summary(summary: FileSummary): void {
    this.#printRows();
    this.#widths = [];
    const size = [
      formatCount(summary.packets, "packet"),
      formatBytes(summary.bytes),
      formatCount(summary.flows, "flow"),
      `${summary.payloadFlows.toLocaleString("en-US")} with payload`,
      ...lossOf(summary),
    ].join(", ");
    if (summary.detections === 0) {
      this.#output.line(`${printable(summary.file)}: no BitTorrent found (${size})`);
    } else {
      this.#output.line(`  ${formatCount(summary.detections, "BitTorrent flow")} (${size})`);
      this.#filesWithDetections++;
    }
    this.#files++;
    this.#detections += summary.detections;
    this.#packets += summary.packets;
    this.#seconds += summary.seconds;
  }

  end(): void {
    if (this.#files < 2) return;
    const found = this.#detections === 0
      ? "no BitTorrent found"
      : `${formatCount(this.#detections, "BitTorrent flow")} in ${
        formatCount(this.#filesWithDetections, "file")
      }`;
    this.#output.line(
      `${formatCount(this.#files, "file")}, ${formatCount(this.#packets, "packet")} judged in ` +
        `${this.#seconds.toFixed(2)} s: ${found}`,
    );
  }

  #printRows(): void {
    if (this.#rows.length === 0) return;
    const widths = COLUMNS.map((title, column) =>
      Math.max(
        this.#widths[column] ?? title.length,
        ...this.#rows.map((row) => row[column].length),
      )
    );
    if (widths.some((width, column) => width !== this.#widths[column])) this.#row(COLUMNS, widths);
    this.#widths = widths;
    for (const row of this.#rows) this.#row(row, widths);
    this.#rows = [];
  }

  #row(cells: readonly string[], widths: readonly number[]): void {
    const text = cells.map((cell, column) =>
      column === 0 ? cell.padStart(widths[0]) : cell.padEnd(widths[column])
    );
    this.#output.line(`  ${text.join("  ")}`.trimEnd());
  }
}

/** In words, what of the frames was not there to be judged; nothing where all was. */
function lossOf(
  { cutFrames, unreadableFrames }: Pick<FileSummary, "cutFrames" | "unreadableFrames">,
): string[] {
  return [
    ...cutFrames === 0 ? [] : [`${formatCount(cutFrames, "frame")} cut`],
    ...unreadableFrames === 0 ? [] : [`${formatCount(unreadableFrames, "frame")} unreadable`],
  ];
}
