/** Says when packets had to be let through unjudged, at most once a look. */
import type { LogLine } from "../../log_line.ts";
import { sumCounters } from "./counters.ts";

const CHECK_MS = 5_000;

/** @param counters of `count` workers (counters.ts) */
export function watchOverload(
  counters: SharedArrayBuffer,
  count: number,
  log: LogLine,
): Disposable {
  let known = 0;
  const timer = setInterval(() => {
    const { unjudged } = sumCounters(counters, count);
    if (unjudged > known) {
      log("warn", `${unjudged - known} packets passed unjudged: more came than could be judged`);
    }
    known = unjudged;
  }, CHECK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
