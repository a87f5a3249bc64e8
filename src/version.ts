/** What `--version` and the metrics say this is. */
import manifest from "../deno.json" with { type: "json" };
import build from "./build.json" with { type: "json" };

export const VERSION: string = manifest.version;

export interface BuildInfo {
  version: string;
  /** Short commit, or `unknown`. */
  commit: string;
  /** ISO 8601 date of the build; null when run from the sources. */
  date: string | null;
}

/**
 * The release build writes the commit and date into build.json; from the sources the commit is
 * read from the checkout.
 */
export function buildInfo(): BuildInfo {
  const { commit, date } = build as { commit: string | null; date: string | null };
  return { version: VERSION, commit: commit ?? readCommit() ?? "unknown", date };
}

/** `btblocker 0.1.0 (commit c3eb4be, built 2026-11-22)`. */
export function versionLine(info: BuildInfo = buildInfo()): string {
  const built = info.date === null ? "run from the sources" : `built ${info.date}`;
  return `btblocker ${info.version} (commit ${info.commit}, ${built})`;
}

const SHORT_COMMIT_LENGTH = 7;

/** Of the checkout this file is in, without git: a machine that runs it may not have it. */
function readCommit(): string | null {
  const root = import.meta.dirname;
  if (root === undefined) return null;
  try {
    const git = `${root}/../.git`;
    const head = Deno.readTextFileSync(`${git}/HEAD`).trim();
    if (!head.startsWith("ref: ")) return head.slice(0, SHORT_COMMIT_LENGTH);
    const ref = head.slice("ref: ".length);
    return (readRef(git, ref) ?? readPackedRef(git, ref))?.slice(0, SHORT_COMMIT_LENGTH) ?? null;
  } catch {
    return null; // an archive without history, or no right to read it
  }
}

function readRef(git: string, ref: string): string | null {
  try {
    return Deno.readTextFileSync(`${git}/${ref}`).trim();
  } catch {
    return null;
  }
}

function readPackedRef(git: string, ref: string): string | null {
  const line = Deno.readTextFileSync(`${git}/packed-refs`).split("\n").find((one) =>
    one.endsWith(` ${ref}`)
  );
  return line?.split(" ")[0] ?? null;
}
