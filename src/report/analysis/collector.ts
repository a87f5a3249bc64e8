/**
 * Gathers what the page of an analysis shows, while captures are judged. Everything is bounded, and
 * what found no place is counted: the page says so.
 */
import type { Detection } from "../../engine/engine.ts";
import { type Packet, PROTOCOL_TCP } from "../../packet/packet.ts";
import { FlowSummaries, type FlowSummary } from "./flow_summaries.ts";
import { type HostRow, HostTotals } from "./host_totals.ts";
import { type MatchedFields, matchedFields } from "./matched_field.ts";

/** How much is kept; smaller in tests. */
export interface AnalysisLimits {
  readonly flows: number;
  readonly detections: number;
  /** Addresses that are counted, and those that are shown. */
  readonly hosts: number;
  readonly hostsShown: number;
}

const ANALYSIS_LIMITS: AnalysisLimits = Object.freeze({
  flows: 20_000,
  detections: 10_000, // of 512 bytes: a page of about ten megabytes, which browsers still open
  hosts: 20_000,
  hostsShown: 2_000,
});

/** One capture. */
export interface AnalysedFile {
  readonly path: string;
  packets: number;
  /** Captured bytes. */
  bytes: number;
  /** Frames of which only a part was recorded, and those that could not be read at all. */
  cutFrames: number;
  unreadableFrames: number;
  flows: number;
  detections: number;
  /** Times of the first and last TCP or UDP packet, ms; null where there is none. */
  firstMs: number | null;
  lastMs: number | null;
  /** What could not be read or judged of it. */
  readonly problems: string[];
}

/** What is known of a capture once it is read. */
export type CaptureFigures = Pick<
  AnalysedFile,
  "packets" | "bytes" | "cutFrames" | "unreadableFrames" | "flows" | "detections"
>;

/** One detection with the bytes that decided. */
export interface AnalysedDetection extends MatchedFields {
  /** Index in {@link AnalysisReport.files}. */
  readonly file: number;
  /** Frame number in the file, from 1. */
  readonly packet: number;
  readonly timeMs: number;
  readonly transport: "tcp" | "udp";
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly method: string;
  readonly strength: string;
  readonly reason: string;
  readonly client: string | null;
  /** The deciding packet's payload, at most 512 bytes of it. */
  readonly payload: Uint8Array;
  /** The whole payload's length. */
  readonly payloadLength: number;
}

/** All that the page is made of. */
export interface AnalysisReport {
  readonly files: readonly AnalysedFile[];
  readonly flows: readonly FlowSummary[];
  readonly hosts: readonly HostRow[];
  readonly detections: readonly AnalysedDetection[];
  /** How many of each found no place; of hosts also the ends of flows that were not counted. */
  readonly leftOut: {
    readonly flows: number;
    readonly detections: number;
    readonly hosts: number;
    readonly hostEnds: number;
  };
}

/** Last ms that four digits of a year can write: pcapng has times beyond any calendar. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export class AnalysisCollector {
  readonly #limits: AnalysisLimits;
  readonly #files: AnalysedFile[] = [];
  readonly #flows: FlowSummaries;
  readonly #hosts: HostTotals;
  readonly #detections: AnalysedDetection[] = [];
  #detectionsLeftOut = 0;
  /** Entry of the packet last seen. */
  #entry = -1;

  constructor(limits: AnalysisLimits = ANALYSIS_LIMITS) {
    this.#limits = limits;
    this.#hosts = new HostTotals(limits.hosts);
    this.#flows = new FlowSummaries(limits.flows, (flow) => this.#hosts.addFlow(flow));
  }

  /** What follows is of this capture. */
  beginFile(path: string): void {
    this.#files.push({
      ...{ path, packets: 0, bytes: 0, cutFrames: 0, unreadableFrames: 0 },
      ...{ flows: 0, detections: 0, firstMs: null, lastMs: null },
      problems: [],
    });
  }

  /** A packet of the capture; `timeMs` as it was recorded. */
  packet(packet: Packet, timeMs: number): void {
    const time = boundedTime(timeMs);
    const file = this.#file;
    if (file.firstMs === null || time < file.firstMs) file.firstMs = time;
    if (file.lastMs === null || time > file.lastMs) file.lastMs = time;
    this.#entry = this.#flows.add(packet, time, this.#files.length - 1);
  }

  /** The packet last given was a detection. */
  detection(detection: Detection, frameNumber: number, timeMs: number): void {
    this.#flows.setDetected(this.#entry);
    const { match, client, source, sourcePort, destination, destinationPort } = detection;
    this.#hosts.addDetection(source, destination, match.method, client);
    if (this.#detections.length >= this.#limits.detections) {
      this.#detectionsLeftOut++;
      return;
    }
    this.#detections.push({
      file: this.#files.length - 1,
      packet: frameNumber,
      timeMs: boundedTime(timeMs),
      transport: detection.protocol === PROTOCOL_TCP ? "tcp" : "udp",
      ...{ source, sourcePort, destination, destinationPort },
      method: match.method,
      strength: match.strength,
      reason: match.reason,
      client,
      payload: detection.payload,
      payloadLength: detection.payloadLength,
      ...matchedFields(match, detection.payload),
    });
  }

  /** The capture's own figures, when it was read. */
  summary(figures: CaptureFigures): void {
    const { packets, bytes, cutFrames, unreadableFrames, flows, detections } = figures;
    Object.assign(this.#file, { packets, bytes, cutFrames, unreadableFrames, flows, detections });
  }

  /** Something of the capture last begun could not be read or judged. */
  problem(text: string): void {
    this.#file.problems.push(text);
  }

  finish(): AnalysisReport {
    const flows = this.#flows.finish();
    for (const flow of flows) this.#hosts.addFlow(flow);
    const hosts = this.#hosts.rows;
    return {
      files: this.#files,
      flows,
      hosts: hosts.slice(0, this.#limits.hostsShown),
      detections: this.#detections,
      leftOut: {
        flows: this.#flows.leftOut,
        detections: this.#detectionsLeftOut,
        hosts: Math.max(0, hosts.length - this.#limits.hostsShown),
        hostEnds: this.#hosts.endsLeftOut,
      },
    };
  }

  get #file(): AnalysedFile {
    return this.#files[this.#files.length - 1];
  }
}

function boundedTime(timeMs: number): number {
  return timeMs >= 0 ? Math.min(LAST_MS, timeMs) : 0; // NaN too
}
