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

export class DetectionFiles implements Disposable {
  readonly #warn: (message: string) => void;
  #log: DetectionLog | null = null;
  #pcap: DetectionPcap | null = null;

  /** @param warn told of files that cannot be written */
  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** Opens them, or opens them anew: a log rotation has moved them away. */
  open(settings: DetectionFileSettings): void {
    const { detectionLog: logPath, detectionLogFormat: format, detectionPcap: path } = settings;
    const warn = this.#warn;
    if (logPath === "") this.#log = closed(this.#log);
    else if (this.#log !== null) this.#log.reopen(logPath, format);
    else this.#log = new DetectionLog({ path: logPath, format, warn });
    if (path === "") this.#pcap = closed(this.#pcap);
    else if (this.#pcap !== null) this.#pcap.reopen(path);
    else this.#pcap = new DetectionPcap({ path, warn });
  }

  /** Appends one detection to each. Never throws. @param packet null where it was not copied */
  write(record: DetectionRecord, packet: PacketCopy | null): void {
    this.#log?.write(record);
    if (packet !== null) this.#pcap?.write(record, packet);
  }

  [Symbol.dispose](): void {
    this.#log = closed(this.#log);
    this.#pcap = closed(this.#pcap);
  }
}

function closed(file: Disposable | null): null {
  file?.[Symbol.dispose]();
  return null;
}
