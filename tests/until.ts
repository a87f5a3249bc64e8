/** Waiting for what a test has set going: for the thing itself, never for a guess of how long it takes. */

/**
 * How long a test waits for what must happen: a multiple of what it takes on a slow machine that does
 * much else. A deadline ends a test that would hang; it asserts nothing about speed.
 */
export const PATIENCE_MS = 60_000;

/** Waits until it is so; throws with what `describe` says when the time is up. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  describe: () => string = () => `${isSo}`,
  patienceMs: number = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!await isSo()) {
    if (performance.now() > deadline) throw new Error(`not within ${patienceMs} ms: ${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
