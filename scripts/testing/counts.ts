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
