/** `btblocker analyze`: judges captures with the engine that judges live traffic. */
import { CaptureJudge } from "../capture/capture_judge.ts";
import { CaptureReader, NotACaptureError } from "../capture/reader.ts";
import type { Detection } from "../engine/engine.ts";
import { copyPacket, type PacketCopy } from "../engine/packet_copy.ts";
import { CAPTURE_POLICY, type EnginePolicy } from "../engine/policy.ts";
import { describeReadError, EnvironmentError } from "../errors.ts";
import { formatEndpoint } from "../packet/address.ts";
import { PROTOCOL_TCP } from "../packet/packet.ts";
import { formatCount, printable } from "../text.ts";
import type { DetectionLog, DetectionLogFormat } from "../report/detection_log.ts";
import type { DetectionPcap } from "../report/detection_pcap.ts";
import type { DetectionRecord } from "../report/detection_record.ts";
import { type DetectionRow, type FileSummary, JsonReport, TableReport } from "./analyze_report.ts";
import { captureFiles } from "./capture_files.ts";
import type { HtmlReport } from "./html_report.ts";
import { Output, OutputError } from "./output.ts";
import { Progress } from "./progress.ts";

export interface AnalyzeOptions {
  /** JSON lines instead of the table. */
  json: boolean;
  /** What differs from {@link CAPTURE_POLICY}. */
  policy?: Partial<EnginePolicy>;
  /** File that gets every detection with the packet's bytes. */
  detectionLog?: { path: string; format: DetectionLogFormat };
  /** Path of the pcapng file that gets the packet of every detection. */
  detectionPcap?: string;
  /** File for a page with a timeline, the hosts and the bytes of every detection. */
  html?: string;
}

/**
 * Judges the files and directories (`-` for standard input) and prints what was found. Returns the
 * exit code: 1 when one of them could not be read or is damaged, or when a file that was asked for
 * could not be written; else 0. A capture that is merely cut at its end, as by a recorder that was
 * killed, is judged up to there, which is said on standard error, and counts as read.
 *
 * @throws EnvironmentError when the page could not be written or the detection log is a capture,
 * before anything is read or written
 */
export async function analyze(
  paths: readonly string[],
  options: AnalyzeOptions,
  output: Output = new Output(),
): Promise<number> {
  const report = options.json ? new JsonReport(output) : new TableReport(output);
  const policy = { ...CAPTURE_POLICY, ...options.policy };
  if (options.detectionLog !== undefined) await refuseCapture(options.detectionLog.path);
  const page = options.html === undefined ? null : await openPage(options.html, policy);
  using progress = new Progress();
  let exitCode = 0;
  const note = (line: string) => {
    output.flush(); // a message stands behind what was printed before it
    progress.clear();
    console.error(line);
  };
  const onError = (path: string, error: unknown) => {
    exitCode = 1;
    const why = describeReadError(error);
    page?.unreadable(path, why);
    note(`Cannot read ${printable(path)}: ${why}`);
  };
  const warn = (message: string) => {
    exitCode = 1; // a log that was asked for and is not written is a failure here
    note(message);
  };
  const { detectionLog, detectionPcap } = options;
  using log = detectionLog === undefined ? null : await openLog(detectionLog, warn);
  using pcap = detectionPcap === undefined ? null : await openPcap(detectionPcap, warn);
  const onDetection = (row: DetectionRow, detection: Detection, packet: PacketCopy) => {
    progress.clear();
    report.detection(row);
    page?.detection(detection, row.packet, row.timeMs);
    const record: DetectionRecord = {
      timeMs: row.timeMs,
      interface: row.file,
      detection,
      action: "monitored",
      bans: [],
      who: null, // a capture knows nothing of this machine's people
    };
    log?.write(record);
    pcap?.write(record, packet);
    if (row.file === "-") output.flush(); // somebody may be watching `tcpdump -w - | …`
  };
  // Nobody reads what is printed any more (`| head`): a page is still to be written.
  const goesOn = () => page !== null || !output.isClosed;
  for (const { path, isGuess } of captureFiles(paths, onError)) {
    try {
      if (detectionPcap !== undefined && isSameFile(path, detectionPcap)) {
        throw new Error("it is the detection pcap itself"); // which would never end
      }
      using reader = await CaptureReader.open(path);
      const size = sizeOf(path);
      progress.start(path, size);
      page?.beginFile(path);
      const judged = judgeCapture(path, reader, size, policy, page, onDetection, () => {
        progress.update(reader.position, reader.frameNumber);
        return goesOn();
      });
      progress.clear();
      report.summary(judged.summary);
      page?.endFile(judged.summary, judged.problems);
      output.flush();
      for (const problem of judged.problems) note(`${printable(path)}: ${problem}`);
      if (reader.isDamaged) exitCode = 1;
    } catch (error) {
      if (error instanceof OutputError) throw error;
      if (isGuess && error instanceof NotACaptureError) continue;
      onError(path, error);
    }
    if (!goesOn()) return exitCode;
  }
  report.end();
  output.flush();
  try {
    page?.write();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    warn(error.message);
  }
  return exitCode;
}

/** Of the detection log and the detection pcap: captures have an end, and nobody is blocked here. */
const WITHOUT_BOUND = { isBounded: false, activity: "judging" } as const;

/** A log is appended to what is there, which would spoil a capture named by mistake. */
async function refuseCapture(path: string): Promise<void> {
  if (!await holdsCapture(path)) return;
  throw new EnvironmentError(
    `Cannot write the detection log ${printable(path)}: a capture is there`,
    "name another file, or remove it",
  );
}

/** False where nothing is there, or what cannot be read: the log itself says what is wrong then. */
async function holdsCapture(path: string): Promise<boolean> {
  try {
    if (!Deno.statSync(path).isFile) return false;
    using _ = await CaptureReader.open(path);
    return true;
  } catch {
    return false;
  }
}

type Warn = (message: string) => void;

/** Like the page below, loaded for those who ask for it. */
async function openLog(
  log: NonNullable<AnalyzeOptions["detectionLog"]>,
  warn: Warn,
): Promise<DetectionLog> {
  const { DetectionLog } = await import("../report/detection_log.ts");
  return new DetectionLog({ ...log, ...WITHOUT_BOUND, warn });
}

async function openPcap(path: string, warn: Warn): Promise<DetectionPcap> {
  const { DetectionPcap } = await import("../report/detection_pcap.ts");
  return new DetectionPcap({ path, ...WITHOUT_BOUND, warn });
}

/** The page and what it needs are loaded only for those who ask for it. */
async function openPage(path: string, policy: EnginePolicy): Promise<HtmlReport> {
  const { HtmlReport } = await import("./html_report.ts");
  return new HtmlReport(path, policy);
}

/** Packets between two looks at the progress line. */
const PROGRESS_MASK = 0x3fff;

function judgeCapture(
  path: string,
  reader: CaptureReader,
  size: number,
  policy: EnginePolicy,
  page: HtmlReport | null,
  onDetection: (row: DetectionRow, detection: Detection, packet: PacketCopy) => void,
  goesOn: () => boolean,
): { summary: FileSummary; problems: string[] } {
  const startMs = performance.now();
  const judge = new CaptureJudge(reader, { policy, flows: flowsFor(size) });
  let detections = 0;
  let damage: string | null = null;
  try {
    while (judge.next()) {
      if ((reader.frameNumber & PROGRESS_MASK) === 0 && !goesOn()) break;
      if (!judge.hasPacket) continue;
      const { detection, packet } = judge;
      if (page !== null) page.packet(packet, reader.timeMs);
      if (detection === null) continue;
      detections++;
      const row: DetectionRow = {
        file: path,
        packet: reader.frameNumber,
        timeMs: reader.timeMs,
        transport: detection.protocol === PROTOCOL_TCP ? "tcp" : "udp",
        src: formatEndpoint(detection.source, detection.sourcePort),
        dst: formatEndpoint(detection.destination, detection.destinationPort),
        method: detection.match.method,
        strength: detection.match.strength,
        ban: detection.ban,
        reason: detection.match.reason,
        client: detection.client,
        infoHash: detection.infoHash,
      };
      const { bytes, start, end } = packet;
      onDetection(row, detection, copyPacket(bytes, start, end, judge.wireLength));
    }
  } catch (error) {
    // The disk or the pipe failed in the middle; what came before it has been judged.
    if (error instanceof OutputError) throw error;
    damage = describeReadError(error);
    reader.isDamaged = true;
  }
  const problems: string[] = [];
  damage ??= reader.problem;
  if (damage !== null) {
    problems.push(`${damage}; the ${formatCount(reader.frameNumber, "packet")} before it judged`);
  }
  if (judge.unknownFrames > 0) {
    const frames = formatCount(judge.unknownFrames, "frame");
    problems.push(`${frames} not judged: link type ${judge.unknownLinkType} is not known`);
  }
  return {
    summary: {
      file: path,
      packets: reader.frameNumber,
      bytes: judge.bytes,
      cutFrames: judge.cutFrames,
      unreadableFrames: judge.unreadableFrames,
      flows: judge.flows,
      payloadFlows: judge.payloadFlows,
      detections,
      seconds: Math.round((performance.now() - startMs) * 1000) / 1e6,
    },
    problems,
  };
}

const SMALLEST_FLOW_TABLE = 1 << 12;
const LARGEST_FLOW_TABLE = 1 << 18;
const DEFAULT_FLOW_TABLE = 1 << 16;
/** A flow of a capture takes more bytes than this (two packets with their headers). */
const BYTES_PER_FLOW = 128;

/** A small file needs no large table, and 600 small files no 600 large ones. */
function flowsFor(size: number): number {
  if (size === 0) return DEFAULT_FLOW_TABLE;
  let flows = SMALLEST_FLOW_TABLE;
  while (flows < LARGEST_FLOW_TABLE && flows * BYTES_PER_FLOW < size) flows *= 2;
  return flows;
}

/** Bytes of the file, 0 when that says nothing about the capture's length. */
function sizeOf(path: string): number {
  if (path === "-" || path.endsWith(".gz")) return 0;
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

/** False where one of them is not there, as standard input is not. */
function isSameFile(one: string, other: string): boolean {
  try {
    return Deno.realPathSync(one) === Deno.realPathSync(other);
  } catch {
    return false;
  }
}
