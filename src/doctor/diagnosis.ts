/** What the doctor says of one thing. */
export type DiagnosisStatus = "ok" | "warning" | "problem";

/** One line of `btblocker doctor`; with `--json` one element of the array. */
export interface Diagnosis {
  /** What was looked at: `kernel`, `xdp eth0`. */
  readonly check: string;
  /** `problem`: it will not block. `warning`: it will block less, or slower. */
  readonly status: DiagnosisStatus;
  readonly detail: string;
  /** What to do about it; null where there is nothing to do. */
  readonly advice: string | null;
}

export function ok(check: string, detail: string): Diagnosis {
  return { check, status: "ok", detail, advice: null };
}

export function warning(check: string, detail: string, advice: string | null = null): Diagnosis {
  return { check, status: "warning", detail, advice };
}

export function problem(check: string, detail: string, advice: string): Diagnosis {
  return { check, status: "problem", detail, advice };
}

/** Something to look at. What it throws becomes a finding: the doctor itself never fails. */
export interface Check {
  readonly name: string;
  /** The blocker does not start where this fails: what is thrown is a problem, not a warning. */
  readonly isRequired?: boolean;
  look(): Diagnosis | readonly Diagnosis[] | Promise<Diagnosis | readonly Diagnosis[]>;
}

/** The findings of a check, whatever happens in it. */
export async function carryOut(check: Check): Promise<readonly Diagnosis[]> {
  try {
    const found = await check.look();
    return Array.isArray(found) ? found : [found as Diagnosis];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (check.isRequired === true) {
      return [problem(check.name, why, "without it btblocker does not start")];
    }
    return [warning(check.name, `could not be looked at: ${why}`)];
  }
}
