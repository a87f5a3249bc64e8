/** Runs targets for a while and reports. */
import { Random } from "./random.ts";
import type { Target } from "./targets.ts";

export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly problem: string;
  /** The input in hexadecimal. */
  readonly input: string;
}

export interface Result {
  readonly target: string;
  readonly inputs: number;
  /** The longest that any input took when it was given again and again, in microseconds. */
  readonly longestUs: number;
}

/** A packet may take a millisecond. */
const LIMIT_MS = 1;
/** The machine may have been busy: the input is given again, and the shortest time counts. */
const RETRIES = 50;

/**
 * Feeds one target for `milliseconds`. Throws an Error whose `cause` is the {@link Failure} when an
 * input throws or is slow however often it is given.
 */
export function fuzz(target: Target, milliseconds: number, seed: number): Result {
  const random = new Random(seed);
  const end = performance.now() + milliseconds;
  let inputs = 0;
  let longestMs = 0;
  const report = (input: Uint8Array, problem: string): never => {
    const failure: Failure = { target: target.name, seed, problem, input: input.toHex() };
    throw new Error(JSON.stringify(failure), { cause: failure });
  };
  while (performance.now() < end) {
    const input = target.next(random);
    const took = time(target, input, report);
    inputs++;
    if (!target.isPacket || inputs < 2_000) continue; // not compiled yet
    if (took <= LIMIT_MS) {
      longestMs = Math.max(longestMs, took);
      continue;
    }
    let shortest = took;
    for (let i = 0; i < RETRIES && shortest > LIMIT_MS; i++) {
      shortest = Math.min(shortest, time(target, input, report));
    }
    if (shortest > LIMIT_MS) report(input, `${shortest.toFixed(2)} ms`);
  }
  target.check?.();
  return { target: target.name, inputs, longestUs: Math.round(longestMs * 1000) };
}

function time(
  target: Target,
  input: Uint8Array<ArrayBuffer>,
  report: (input: Uint8Array, problem: string) => never,
): number {
  const start = performance.now();
  try {
    target.execute(input);
  } catch (error) {
    report(input, (error as Error).stack ?? String(error));
  }
  return performance.now() - start;
}
