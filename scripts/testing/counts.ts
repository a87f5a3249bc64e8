/** What `deno test` says at its end. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const LAST_LINE =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(.*)$/gm;

/** The counts of the last summary in `text`; zeros where there is none. */
export function countsOf(text: string): Counts {
  const [, passed = "0", failed = "0", rest = ""] = [...text.matchAll(LAST_LINE)].at(-1) ?? [];
  const ignored = /(\d+) ignored/.exec(rest)?.[1] ?? "0";
  return { passed: Number(passed), failed: Number(failed), skipped: Number(ignored) };
}

/**
 * The same of a run that has ended, with a failure more where it failed outside of its tests (a file
 * that cannot be loaded, the time being up), or tells of no test at all: a file that forgot to have
 * any, or a summary that is written otherwise than we read, is not to pass as what holds.
 */
export function countsOfRun(text: string, success: boolean): Counts {
  const counts = countsOf(text);
  const { passed, failed, skipped } = counts;
  const isFailed = failed === 0 && (!success || passed + skipped === 0);
  return isFailed ? { ...counts, failed: 1 } : counts;
}
