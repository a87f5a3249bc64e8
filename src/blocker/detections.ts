/** What becomes of a detection besides its verdict and its ban: told, written, kept, shared. */
import { interfaceName } from "../../ffi/libc.ts";
import type { Config } from "../config/options.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { DetectionReport } from "../gateway/queue/worker_protocol.ts";
import type { Webhook } from "../notify/webhook.ts";
import { formatAddress } from "../packet/address.ts";
import { PROTOCOL_TCP } from "../packet/packet.ts";
import { detectionLine, reportDetection } from "../report/console.ts";
import type { DetectionFiles } from "../report/detection_files.ts";
import { detectionJson } from "../report/detection_json.ts";
import type { DetectionRecord } from "../report/detection_record.ts";
import { log } from "../report/log.ts";
import type { DetectionHistory } from "../status/history.ts";
import { procAddress } from "../who/processes.ts";
import type { Found, Who } from "../who/who.ts";

/** Netfilter's hook of what this machine sends itself. */
const OUTPUT = 3;

export interface DetectionReaders {
  readonly files: DetectionFiles;
  readonly history: DetectionHistory;
  /** Asked for each time: it joins last. */
  readonly fleet: () => Fleet | null;
  readonly who: Who;
  /** Null where nobody is to be told. */
  readonly webhook: Webhook | null;
}

/** Hands a worker's report to all who read detections. Never throws. */
export function tellDetection(
  report: DetectionReport,
  { who: isAsked }: Config,
  { files, history, fleet, who, webhook }: DetectionReaders,
): void {
  const { detection, timeMs, inputInterface, outputInterface, monitorOnly, banned } = report;
  const record: DetectionRecord = {
    timeMs,
    interface: interfaceName(inputInterface || outputInterface) ?? "",
    detection,
    action: monitorOnly ? "monitored" : "dropped",
    bans: banned,
    who: isAsked ? whoOf(report, who) : null,
  };
  reportDetection(log, record);
  fleet()?.add(report);
  files.write(record, report.packet);
  history.add(performance.now(), record);
  webhook?.add({ line: detectionLine(record), record: { ...detectionJson(record) } });
}

/** The person at the end that is ours: the sender first, as he is the one who acted. */
function whoOf({ detection, hook }: DetectionReport, who: Who): Found | null {
  const { address, family, protocol, sourcePort } = detection;
  if (hook === OUTPUT) {
    const words = Array.from(address.subarray(family === 4 ? 3 : 0, 4));
    const transport = protocol === PROTOCOL_TCP ? "tcp" : "udp";
    const owner = who.ofPort(transport, family, procAddress(words), sourcePort);
    return owner === null ? null : { address: detection.source, ...owner };
  }
  for (const at of [0, 4]) {
    const text = formatAddress(address, at);
    const person = who.of(text);
    if (person !== null) return { address: text, ...person };
  }
  return null;
}
