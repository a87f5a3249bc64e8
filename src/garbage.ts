/**
 * V8's garbage collector at our call. A thread that handles packets makes no garbage, so none would
 * come for hours, and what its start has left would stay.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | null = null;

/** Collects all garbage of this thread; some milliseconds. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc"); // only contexts made from now on have the function
  collect ??= runInNewContext("gc") as () => void;
  collect();
}
