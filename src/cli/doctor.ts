/** `btblocker doctor`: can this machine run the blocker, and if not, what to do. */

import type { LoadedConfig } from "../config/load.ts";
import { examine } from "../doctor/doctor.ts";
import type { Diagnosis, DiagnosisStatus } from "../doctor/diagnosis.ts";
import { formatCount, printable } from "../text.ts";
import { Output } from "./output.ts";

export interface DoctorOptions {
  /** One array of findings instead of lines. */
  json: boolean;
}

/** Prints a line a finding. Exit code 1 when there is a problem, else 0. */
export async function doctor({ config }: LoadedConfig, { json }: DoctorOptions): Promise<number> {
  const findings = await examine(config);
  const output = new Output();
  if (json) output.line(JSON.stringify(findings, null, 2));
  else {
    const isColoured = Deno.stdout.isTerminal() && !Deno.noColor;
    for (const line of describeFindings(findings, isColoured)) output.line(line);
  }
  output.flush();
  return findings.some(({ status }) => status === "problem") ? 1 : 0;
}

const COLOURS: Record<DiagnosisStatus, string> = { ok: "32", warning: "33", problem: "31" };
const STATUS_WIDTH = "problem".length;

/** A line a finding, and one that sums up. */
export function describeFindings(findings: readonly Diagnosis[], isColoured: boolean): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, status, detail, advice }) => {
    const word = status.padEnd(STATUS_WIDTH);
    const shown = isColoured ? `\x1b[${COLOURS[status]}m${word}\x1b[0m` : word;
    const todo = advice === null ? "" : ` (${advice})`;
    return `${shown}  ${check.padEnd(width)}  ${printable(detail + todo)}`;
  });
  const count = (status: DiagnosisStatus) => findings.filter((one) => one.status === status).length;
  const problems = count("problem");
  const warnings = count("warning");
  const counts = `${formatCount(problems, "problem")}, ${formatCount(warnings, "warning")}`;
  const verdict = problems > 0 ? "This machine cannot run it yet" : "This machine can run it";
  return [...lines, `${verdict}: ${counts}`];
}
