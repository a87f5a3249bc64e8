/** What a build says of itself. Taken from the commit, so that the same commit gives the same bytes. */
import manifest from "../../deno.json" with { type: "json" };
import { ROOT } from "./run.ts";

export interface Stamp {
  version: string;
  /** Short commit, with `-changed` where the tree differs from it; null without git. */
  commit: string | null;
  /** Time of the commit (or SOURCE_DATE_EPOCH), in seconds since 1970: of every packed file. */
  seconds: number;
  /** The same as a date: 2026-11-22. */
  date: string;
}

/** Reads the stamp of the working tree. */
export function readStamp(): Stamp {
  const given = Deno.env.get("BTBLOCKER_COMMIT") || null; // where the history is not at hand
  const commit = given ?? git("rev-parse", "--short=7", "HEAD");
  const changes = given === null && git("status", "--porcelain", "--untracked-files=no");
  const seconds = Number(
    Deno.env.get("SOURCE_DATE_EPOCH") ?? git("log", "-1", "--format=%ct") ?? "0",
  );
  if (!Number.isSafeInteger(seconds) || seconds < 0) {
    throw new RangeError("Cannot use SOURCE_DATE_EPOCH: expected seconds since 1970");
  }
  return {
    version: manifest.version,
    commit: commit === null ? null : changes ? `${commit}-changed` : commit,
    seconds,
    date: new Date(seconds * 1000).toISOString().slice(0, 10),
  };
}

/** Null when git or the history is missing. */
function git(...args: string[]): string | null {
  try {
    const { success, stdout } = new Deno.Command("git", {
      args,
      cwd: ROOT,
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null;
  }
}
