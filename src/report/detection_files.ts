/** The files that get every detection, as the settings name them. */
import type { Config } from "../config/options.ts";
import type { PacketCopy } from "../engine/packet_copy.ts";
import { DetectionLog } from "./detection_log.ts";
import { DetectionPcap } from "./detection_pcap.ts";
import type { DetectionRecord } from "./detection_record.ts";

/** The settings that name them; an empty path means none. */
export type DetectionFileSettings = Pick<
  Config,
  "detectionLog" | "detectionLogFormat" | "detectionPcap"
>;

/** Detections that a file does not have. */
export interface DetectionFileStatus {
  /** It could not be written. */
  readonly lost: number;
  /** There were too many. */
  readonly leftOut: number;
}

/** Of DETECTION_LOG and DETECTION_PCAP; zeros where they are off. */
export interface DetectionFilesStatus {
  readonly log: DetectionFileStatus;
  readonly pcap: DetectionFileStatus;
}

const NOTHING: DetectionFileStatus = { lost: 0, leftOut: 0 };

export class DetectionFiles implements Disposable {
  readonly #warn: (message: string) => void;
  #log: DetectionLog | null = null;
  #pcap: DetectionPcap | null = null;
  /** Of files that a reload has switched off: counts are since the start. */
  #past: DetectionFilesStatus = { log: NOTHING, pcap: NOTHING };

  /** @param warn told of files that cannot be written, and of what is left out */
  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** Opens them, or opens them anew: a log rotation has moved them away. */
  open(settings: DetectionFileSettings): void {
    const { detectionLog: logPath, detectionLogFormat: format, detectionPcap: path } = settings;
    const warn = this.#warn;
    if (logPath === "") this.#closeLog();
    else if (this.#log !== null) this.#log.reopen(logPath, format);
    else this.#log = new DetectionLog({ path: logPath, format, warn });
    if (path === "") this.#closePcap();
    else if (this.#pcap !== null) this.#pcap.reopen(path);
    else this.#pcap = new DetectionPcap({ path, warn });
  }

  /** Appends one detection to each. Never throws. @param packet null where it was not copied */
  write(record: DetectionRecord, packet: PacketCopy | null): void {
    this.#log?.write(record);
    if (packet !== null) this.#pcap?.write(record, packet);
  }

  /** What they did not take since the start. */
  get status(): DetectionFilesStatus {
    const { log, pcap } = this.#past;
    return { log: sum(log, this.#log), pcap: sum(pcap, this.#pcap) };
  }

  #closeLog(): void {
    this.#log?.[Symbol.dispose]();
    this.#past = { ...this.#past, log: this.status.log };
    this.#log = null;
  }

  #closePcap(): void {
    this.#pcap?.[Symbol.dispose]();
    this.#past = { ...this.#past, pcap: this.status.pcap };
    this.#pcap = null;
  }

  [Symbol.dispose](): void {
    this.#closeLog();
    this.#closePcap();
  }
}

function sum(past: DetectionFileStatus, now: DetectionFileStatus | null): DetectionFileStatus {
  if (now === null) return past;
  return { lost: past.lost + now.lost, leftOut: past.leftOut + now.leftOut };
}
