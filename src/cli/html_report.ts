/** The page that `analyze --html` writes. */
import type { Detection } from "../engine/engine.ts";
import type { EnginePolicy } from "../engine/policy.ts";
import type { Packet } from "../packet/packet.ts";
import { AnalysisCollector } from "../report/analysis/collector.ts";
import { analysisPage } from "../report/analysis/document.ts";
import { PageFile } from "../report/analysis/page_file.ts";
import { versionLine } from "../version.ts";
import type { FileSummary } from "./analyze_report.ts";

/** Gathers while captures are judged; written once, at the end. */
export class HtmlReport {
  readonly #file: PageFile;
  readonly #policy: EnginePolicy;
  readonly #collector = new AnalysisCollector();

  /** @throws EnvironmentError when the page could not be written */
  constructor(path: string, policy: EnginePolicy) {
    this.#file = new PageFile(path);
    this.#policy = policy;
  }

  beginFile(path: string): void {
    this.#collector.beginFile(path);
  }

  /** `timeMs` as it was recorded; the engine's clock does not go back. */
  packet(packet: Packet, timeMs: number): void {
    this.#collector.packet(packet, timeMs);
  }

  /** What the packet last given was. */
  detection(detection: Detection, frameNumber: number, timeMs: number): void {
    this.#collector.detection(detection, frameNumber, timeMs);
  }

  endFile(summary: FileSummary, problems: readonly string[]): void {
    this.#collector.summary(summary);
    for (const problem of problems) this.#collector.problem(problem);
  }

  /** A capture of which nothing could be read. */
  unreadable(path: string, why: string): void {
    this.#collector.beginFile(path);
    this.#collector.problem(`cannot be read: ${why}`);
  }

  /** @throws EnvironmentError */
  write(): void {
    const origin = { program: versionLine(), createdMs: Date.now(), policy: this.#policy };
    this.#file.write(analysisPage(this.#collector.finish(), origin));
  }
}
