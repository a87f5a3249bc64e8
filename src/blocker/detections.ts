/** What becomes of a detection besides its verdict and its ban: told, written, kept, shared. */
import { interfaceName } from "../../ffi/libc.ts";
import type { Config } from "../config/options.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { DetectionReport } from "../gateway/queue/worker_protocol.ts";
import { reportDetection } from "../report/console.ts";
import type { DetectionFiles } from "../report/detection_files.ts";
import type { DetectionRecord } from "../report/detection_record.ts";
import { log } from "../report/log.ts";
import type { DetectionHistory } from "../status/history.ts";

export interface DetectionReaders {
  readonly files: DetectionFiles;
  readonly history: DetectionHistory;
  /** Asked for each time: it joins last. */
  readonly fleet: () => Fleet | null;
}

/** Hands a worker's report to all who read detections. Never throws. */
export function tellDetection(
  report: DetectionReport,
  { banDuration }: Config,
  { files, history, fleet }: DetectionReaders,
): void {
  const { detection, timeMs, inputInterface, outputInterface, monitorOnly, banned } = report;
  const record: DetectionRecord = {
    timeMs,
    interface: interfaceName(inputInterface || outputInterface) ?? "",
    detection,
    action: monitorOnly ? "monitored" : "dropped",
    bans: banned.map((target) => ({ target, seconds: banDuration })),
  };
  reportDetection(log, record);
  fleet()?.add(report, banDuration);
  files.write(record, report.packet);
  history.add(performance.now(), record);
}
