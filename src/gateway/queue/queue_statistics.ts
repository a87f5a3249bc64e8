/** What the kernel counts of each netfilter queue: /proc/net/netfilter/nfnetlink_queue. */

export interface QueueStatistics {
  /** Packets handed to the queue and still without a verdict. */
  readonly waiting: number;
  /** Packets the kernel dropped: the queue or the socket was full and the queue did not fail open. */
  readonly dropped: number;
}

const PATH = "/proc/self/net/netfilter/nfnetlink_queue";

/** By number of the queue; empty where the kernel does not tell. */
export function queueStatistics(): Map<number, QueueStatistics> {
  try {
    return parseQueueStatistics(Deno.readTextFileSync(PATH));
  } catch {
    return new Map();
  }
}

/**
 * Columns (seq_show of nfnetlink_queue.c): queue, port id of the owner, packets waiting, copy mode,
 * copy range, dropped for a full queue, dropped for a full socket, last packet id, 1.
 */
export function parseQueueStatistics(text: string): Map<number, QueueStatistics> {
  const queues = new Map<number, QueueStatistics>();
  for (const line of text.split("\n")) {
    const columns = line.trim().split(/\s+/).map(Number);
    if (columns.length < 8 || columns.some(Number.isNaN)) continue;
    queues.set(columns[0], { waiting: columns[2], dropped: columns[5] + columns[6] });
  }
  return queues;
}
