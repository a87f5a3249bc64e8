/** Counters of the queue workers, in shared memory: each worker writes its own, anyone reads. */

export const COUNTERS = [
  /** Packets taken from the queue. */
  "packets",
  /** Their bytes, as far as they were copied. */
  "bytes",
  /** Batches the packets came in. */
  "batches",
  /** Packets accepted with more of their flow wanted. */
  "accepted",
  /** Packets accepted whose flow was released to the kernel. */
  "released",
  /** Packets dropped because they are BitTorrent. */
  "dropped",
  /** Packets dropped because one end is banned. */
  "bannedDrops",
  /** Packets that are not TCP or UDP, or cannot be parsed: accepted. */
  "unparsed",
  /** Netlink messages that cannot be read. */
  "malformed",
  /** Packets the kernel let through because queue or socket were full. */
  "unjudged",
  /** Verdicts the kernel refused (their packet was gone). */
  "refusedVerdicts",
  /** Packets on which the engine failed: accepted. */
  "faults",
  /** Flows found to be BitTorrent. */
  "detections",
  /** Restarts of the worker after a crash. */
  "restarts",
  /** The engine's: packets with payload, flows seen, flows with payload. */
  "payloadPackets",
  "flows",
  "payloadFlows",
  /** The engine's: packets passed for a port of the white list; the kernel passes on what follows. */
  "whitelisted",
  /** Packets that came with bits of our seal in their mark, set by another program. */
  "foreignMarks",
  /** Connections to whitelisted services, which the rules release; written by the main thread. */
  "serviceConnections",
] as const;

export type Counter = typeof COUNTERS[number];

/** Position of a counter in a worker's block. */
export const COUNTER_INDEX = Object.fromEntries(
  COUNTERS.map((name, index) => [name, index]),
) as Readonly<Record<Counter, number>>;

/**
 * Upper bounds of the latency histogram, in microseconds: from a batch's receipt to its verdicts
 * being sent. A further bucket takes what is longer.
 */
export const LATENCY_BOUNDS_US = [
  ...[10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000],
] as const;

/** In the block, after the counters: one number a bucket (not summed up), then the sum of all. */
const LATENCY = COUNTERS.length;
const LATENCY_SUM = LATENCY + LATENCY_BOUNDS_US.length + 1;

/** Blocks are a multiple of a cache line (64 bytes) apart, so that workers do not share one. */
const BLOCK = Math.ceil((LATENCY_SUM + 1) / 8) * 8;

/** Bytes of shared memory for so many workers. */
export function countersByteLength(workers: number): number {
  return workers * BLOCK * Float64Array.BYTES_PER_ELEMENT;
}

/** One worker's block. Doubles count exactly to 2^53 and are written in one piece. */
export function workerCounters(buffer: SharedArrayBuffer, worker: number): Float64Array {
  return new Float64Array(buffer, worker * BLOCK * Float64Array.BYTES_PER_ELEMENT, BLOCK);
}

/** Current values, by name. */
export function readCounters(block: Float64Array): Record<Counter, number> {
  return Object.fromEntries(COUNTERS.map((name, index) => [name, block[index]])) as Record<
    Counter,
    number
  >;
}

/** Sums over all workers. */
export function sumCounters(buffer: SharedArrayBuffer, workers: number): Record<Counter, number> {
  return readCounters(sumBlocks(buffer, workers));
}

function sumBlocks(buffer: SharedArrayBuffer, workers: number): Float64Array {
  const total = new Float64Array(BLOCK);
  for (let worker = 0; worker < workers; worker++) {
    const block = workerCounters(buffer, worker);
    for (let i = 0; i < BLOCK; i++) total[i] += block[i];
  }
  return total;
}

/** Counts one batch. */
export function countLatency(block: Float64Array, latencyUs: number): void {
  let bucket = 0;
  while (bucket < LATENCY_BOUNDS_US.length && latencyUs > LATENCY_BOUNDS_US[bucket]) bucket++;
  block[LATENCY + bucket]++;
  block[LATENCY_SUM] += latencyUs;
}

/** How long batches took, from receipt to verdict. */
export interface Latency {
  readonly boundsUs: readonly number[];
  /** Batches a bucket: up to each of the bounds, and longer. Not summed up. */
  readonly buckets: readonly number[];
  /** Of all batches together. */
  readonly sumUs: number;
}

/** The latency histogram over all workers. */
export function sumLatency(buffer: SharedArrayBuffer, workers: number): Latency {
  const total = sumBlocks(buffer, workers);
  return {
    boundsUs: LATENCY_BOUNDS_US,
    buckets: [...total.subarray(LATENCY, LATENCY_SUM)],
    sumUs: total[LATENCY_SUM],
  };
}
