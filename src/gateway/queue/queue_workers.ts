/**
 * The queue workers as the main thread sees them: started together, restarted one by one when they
 * crash, stopped together. Their queues fail open while nobody serves them.
 */

import type { LogLine } from "../../log_line.ts";
import { check } from "../../../ffi/errno.ts";
import { bootTimeUs, close, createEvent, signalEvent } from "../../../ffi/libc.ts";
import { FlowRecord, flowsByteLength } from "../../engine/flow_record.ts";
import { tickOf } from "../../engine/flow_table.ts";
import { countUndecided, noWaits, type Wait } from "../../engine/undecided.ts";
import { HostEvidence } from "../../engine/host_evidence.ts";
import { EnvironmentError } from "../../errors.ts";
import { COUNTER_INDEX, countersByteLength, workerCounters } from "./counters.ts";
import type { Cidr } from "../network/networks.ts";
import type { Chain } from "../rules/chain.ts";
import {
  type Bound,
  CONTROL_CELLS,
  type DetectionReport,
  type FromWorker,
  type JudgeSettings,
  MESSAGES_POSTED,
  QUEUE_SOCKET,
  type ToWorker,
} from "./worker_protocol.ts";

export interface QueueWorkersOptions {
  readonly queueNumber: number;
  readonly queueCount: number;
  readonly chain: Chain;
  readonly settings: JudgeSettings;
  /** Descriptor of the first look's notes of flows, -1 (the default) for none. */
  readonly notes?: number;
  /** Flows kept by each worker, a power of two. */
  readonly flows: number;
  readonly onDetection: (report: DetectionReport) => void;
  /** Packets came with bits of our seal in their mark, which another program has set. */
  readonly onForeignMark?: (mark: number) => void;
  readonly log: LogLine;
  /** The module of the workers; for tests. */
  readonly module?: URL;
}

const MODULE = new URL("./queue_worker.ts", import.meta.url);

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 1_000;
/** Waits before a crashed worker is started again: doubled at each crash, and forgotten after… */
const FIRST_RESTART_MS = 50;
const LONGEST_RESTART_MS = 30_000;
/** …it has run for so long. */
const STABLE_MS = 60_000;

export class QueueWorkers implements AsyncDisposable {
  /** Counters of all workers (counters.ts). */
  readonly counters: SharedArrayBuffer;
  readonly #workers: QueueWorker[];

  private constructor(options: QueueWorkersOptions) {
    this.counters = new SharedArrayBuffer(countersByteLength(options.queueCount));
    const evidence = HostEvidence.sharedBuffer();
    this.#workers = Array.from(
      { length: options.queueCount },
      (_, index) => new QueueWorker(index, options, this.counters, evidence),
    );
  }

  /** Starts all workers; their queues are bound when this is done. All or none. */
  static async start(options: QueueWorkersOptions): Promise<QueueWorkers> {
    const workers = new QueueWorkers(options);
    const results = await Promise.allSettled(workers.#workers.map((worker) => worker.start()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) return workers;
    await workers[Symbol.asyncDispose]();
    throw failed.reason;
  }

  /** Gives all workers new settings, from their next batch on. */
  apply(settings: JudgeSettings): void {
    for (const worker of this.#workers) worker.apply(settings);
  }

  /** Flows known as BitTorrent of these addresses (four words each) are judged anew: `Engine.forget`. */
  forget(addresses: Int32Array, pardons: boolean): void {
    for (const worker of this.#workers) worker.post({ type: "forget", addresses, pardons });
  }

  /** Nobody is banned for the connections that these addresses have now: `Engine.pardon`. */
  pardon(network: Cidr): void {
    for (const worker of this.#workers) worker.post({ type: "pardon", network });
  }

  /** One entry a worker: whether it serves its queue. */
  get running(): boolean[] {
    return this.#workers.map((worker) => worker.isRunning);
  }

  /** The undecided flows of all workers, by what they wait for. Costs the workers nothing. */
  undecided(): Record<Wait, number> {
    const counts = noWaits();
    const nowTick = tickOf(bootTimeUs() / 1000);
    for (const worker of this.#workers) worker.countUndecided(counts, nowTick);
    return counts;
  }

  /** Stops the workers: each gives the packets that wait their verdict and unbinds its queue. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}

/** One queue's worker, whichever incarnation. */
class QueueWorker {
  readonly #index: number;
  readonly #options: QueueWorkersOptions;
  readonly #counters: SharedArrayBuffer;
  readonly #evidence: SharedArrayBuffer;
  readonly #wakeEvent: number;
  #settings: JudgeSettings;
  #thread: Thread | null = null;
  /** What the present incarnation knows of its flows. */
  #flows = new FlowRecord(0);
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #crashes = 0;
  #startedAtMs = 0;
  #isStopping = false;

  constructor(
    index: number,
    options: QueueWorkersOptions,
    counters: SharedArrayBuffer,
    evidence: SharedArrayBuffer,
  ) {
    this.#index = index;
    this.#options = options;
    this.#counters = counters;
    this.#evidence = evidence;
    this.#settings = options.settings;
    this.#wakeEvent = check(createEvent(), "create an event descriptor");
  }

  get isRunning(): boolean {
    return this.#thread?.isBound ?? false;
  }

  countUndecided(counts: Record<Wait, number>, nowTick: number): void {
    countUndecided(this.#flows, nowTick, counts);
  }

  async start(): Promise<void> {
    const { module = MODULE, queueNumber, log } = this.#options;
    this.#startedAtMs = performance.now();
    const name = `queue ${queueNumber + this.#index}`;
    const thread = new Thread(module, name, this.#wakeEvent, (message) => this.#receive(message));
    this.#thread = thread;
    const { chain, flows } = this.#options;
    const flowWords = new SharedArrayBuffer(flowsByteLength(flows));
    this.#flows = new FlowRecord(flows, flowWords);
    thread.post({
      type: "setup",
      worker: this.#index,
      queueNumber: queueNumber + this.#index,
      ...{ chain, flows, flowWords },
      settings: this.#settings,
      notes: this.#options.notes ?? -1,
      wakeEvent: this.#wakeEvent,
      control: thread.control,
      counters: this.#counters,
      evidence: this.#evidence,
    });
    const { refused, sliceRefusal } = await thread.bound;
    if (sliceRefusal !== null) {
      log("info", `${name} keeps the kernel's time slice, and may wait longer: ${sliceRefusal}`);
    }
    for (const setting of refused) log("warn", `The kernel refuses ${setting} for ${name}`);
    thread.ended.then((problem) => {
      if (this.#thread === thread && !this.#isStopping) this.#crashed(problem);
    });
  }

  apply(settings: JudgeSettings): void {
    this.#settings = settings;
    this.#thread?.post({ type: "settings", settings });
  }

  /** A worker that is not running has no flows. */
  post(message: ToWorker): void {
    this.#thread?.post(message);
  }

  #receive(message: FromWorker): void {
    if (message.type === "detection") this.#options.onDetection(message);
    else if (message.type === "foreign mark") this.#options.onForeignMark?.(message.mark);
    else if (message.type === "fault") {
      this.#options.log("error", `A packet could not be judged and was accepted: ${message.error}`);
    }
  }

  #crashed(problem: string | null): void {
    this.#thread = null;
    workerCounters(this.#counters, this.#index)[COUNTER_INDEX.restarts]++;
    const hasRunMs = performance.now() - this.#startedAtMs;
    this.#crashes = hasRunMs > STABLE_MS ? 1 : this.#crashes + 1;
    const waitMs = Math.min(FIRST_RESTART_MS * 2 ** (this.#crashes - 1), LONGEST_RESTART_MS);
    const queue = this.#options.queueNumber + this.#index;
    this.#options.log(
      "error",
      `The worker of NFQUEUE ${queue} crashed: ${problem ?? "it ended"}; its packets pass ` +
        `unjudged until it is back in ${waitMs} ms`,
    );
    this.#restartTimer = setTimeout(() => {
      this.start().then(
        () => this.#options.log("info", `The worker of NFQUEUE ${queue} is back`),
        (error) => {
          if (!this.#isStopping) this.#crashed((error as Error).message);
        },
      );
    }, waitMs);
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    await this.#thread?.stop();
    close(this.#wakeEvent);
  }
}

/** One incarnation of a worker. */
class Thread {
  readonly control = new SharedArrayBuffer(CONTROL_CELLS * 4);
  /** Done when its queue is bound, with what the kernel refused. */
  readonly bound: Promise<Bound>;
  /** Done when it is gone, with the problem it had. */
  readonly ended: Promise<string | null>;
  isBound = false;
  readonly #cells = new Int32Array(this.control);
  readonly #worker: Worker;
  readonly #wakeEvent: number;
  #end!: (problem: string | null) => void;

  constructor(
    module: URL,
    name: string,
    wakeEvent: number,
    receive: (message: FromWorker) => void,
  ) {
    this.#cells[QUEUE_SOCKET] = -1;
    this.#wakeEvent = wakeEvent;
    const bound = Promise.withResolvers<Bound>();
    const ended = Promise.withResolvers<string | null>();
    this.bound = bound.promise;
    this.ended = ended.promise;
    const startTimer = setTimeout(() => {
      bound.reject(new EnvironmentError(`Cannot start the worker of ${name}: it does not answer`));
      this.#end("it does not answer");
    }, START_TIMEOUT_MS);
    this.#end = (problem) => {
      clearTimeout(startTimer);
      this.isBound = false;
      // What a crash left open would hold the queue, and packets in it, for ever.
      const socket = Atomics.exchange(this.#cells, QUEUE_SOCKET, -1);
      if (socket >= 0) close(socket);
      this.#worker.terminate();
      ended.resolve(problem);
    };
    this.#worker = new Worker(module, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === "bound") {
        clearTimeout(startTimer);
        this.isBound = true;
        bound.resolve(data);
      } else if (data.type === "stopped") {
        this.#end(null);
      } else if (data.type === "failed") {
        bound.reject(
          data.environment ? new EnvironmentError(data.message) : new Error(data.message),
        );
        this.#end(data.message);
      } else {
        receive(data);
      }
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // else the main thread ends with it
      bound.reject(new Error(event.message));
      this.#end(event.message);
    };
    this.bound.catch(() => {}); // told by start(), or by ended
  }

  post(message: ToWorker): void {
    Atomics.add(this.#cells, MESSAGES_POSTED, 1);
    this.#worker.postMessage(message);
    signalEvent(this.#wakeEvent);
  }

  async stop(): Promise<void> {
    this.post({ type: "stop" });
    const timer = setTimeout(() => this.#end("it did not stop in time"), STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(timer);
  }
}
