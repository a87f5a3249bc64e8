/**
 * Tells a worker that hangs from one that has nothing to do: packets wait in its queue, and none was
 * judged since the last look. What nobody takes from a queue does not pass, so this must be noticed.
 */

/** Packets that wait for a worker, by the number of its queue. */
export type WaitingPackets = ReadonlyMap<number, number>;

const QUEUE_TABLE = "/proc/net/netfilter/nfnetlink_queue";

/**
 * The kernel's table of queues. Columns: queue number, the netlink port that has bound it, packets
 * waiting, copy mode, copy range, dropped as the queue was full, dropped as the socket was, last id.
 */
export function readWaitingPackets(text: string): Map<number, number> {
  const waiting = new Map<number, number>();
  for (const line of text.split("\n")) {
    const [queue, , packets] = line.trim().split(/\s+/).map(Number);
    if (Number.isInteger(packets)) waiting.set(queue, packets);
  }
  return waiting;
}

/** The table now; empty where there is none. */
export function waitingPackets(): Map<number, number> {
  try {
    return readWaitingPackets(Deno.readTextFileSync(QUEUE_TABLE));
  } catch {
    return new Map();
  }
}

export class StallWatch {
  /** Packets judged so far of the queues in which some were waiting, at the last look. */
  #before = new Map<number, number>();

  /**
   * Queues that stand still since the last look, to be called every few seconds.
   *
   * @param judged packets each worker has judged, by queue number
   */
  look(judged: ReadonlyMap<number, number>, waiting: WaitingPackets = waitingPackets()): number[] {
    const stalled: number[] = [];
    const now = new Map<number, number>();
    for (const [queue, count] of judged) {
      if ((waiting.get(queue) ?? 0) === 0) continue;
      now.set(queue, count);
      if (this.#before.get(queue) === count) stalled.push(queue);
    }
    this.#before = now;
    return stalled;
  }
}
