/**
 * Tells a worker that hangs from one that has nothing to do: packets wait in its queue, and none was
 * judged since the last look. What nobody takes from a queue does not pass, so this must be noticed.
 */

import { type QueueStatistics, queueStatistics } from "./queue_statistics.ts";

/** What waits for each worker, by the number of its queue. */
type Waiting = ReadonlyMap<number, Pick<QueueStatistics, "waiting">>;

export class StallWatch {
  /** Packets judged so far of the queues in which some were waiting, at the last look. */
  #before = new Map<number, number>();

  /**
   * Queues that stand still since the last look, to be called every few seconds.
   *
   * @param judged packets each worker has judged, by queue number
   */
  look(judged: ReadonlyMap<number, number>, queues: Waiting = queueStatistics()): number[] {
    const stalled: number[] = [];
    const now = new Map<number, number>();
    for (const [queue, count] of judged) {
      if ((queues.get(queue)?.waiting ?? 0) === 0) continue;
      now.set(queue, count);
      if (this.#before.get(queue) === count) stalled.push(queue);
    }
    this.#before = now;
    return stalled;
  }
}
