/**
 * The process's memory. Most of what it holds after a start is garbage of the start: sources, syntax
 * trees, code that ran once. Nothing on the packets' way allocates, so no garbage collection would come
 * for hours, and what the C library has freed stays with it.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { trimHeap } from "../../ffi/libc.ts";

/** MB of a young generation's half; V8's own is 16 in each of our threads. */
const HALF_OF_YOUNG = 1;

/** To be called before any worker is made: they have small young generations, and a `gc` of their own. */
export function useLittleMemory(): void {
  setFlagsFromString(`--max-semi-space-size=${HALF_OF_YOUNG}`);
  setFlagsFromString("--expose-gc");
}

/** Until all that a start brings about is done, and the code that ran once is old. */
const SETTLING_MS = 3_000;

/** Gives back what the start has left behind, in a moment; not where it is over before. */
export function giveBackMemory(): Disposable {
  const timer = setTimeout(() => {
    const collect: unknown = runInNewContext("typeof gc === 'function' ? gc : null");
    if (typeof collect === "function") collect();
    trimHeap();
  }, SETTLING_MS);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
