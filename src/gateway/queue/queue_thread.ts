/**
 * The life of a queue worker, whatever engine judges in it: set up, serve, take messages in between,
 * stop. The module that a Worker is made of calls {@link runQueueThread}.
 */

/// <reference lib="deno.worker" />

import type { Packet } from "../../packet/packet.ts";
import { Resets } from "./resets.ts";
import { describeErrno } from "../../../ffi/errno.ts";
import { setTimeSlice } from "../../../ffi/libc.ts";
import { NetfilterQueue } from "../../../ffi/netfilter_queue.ts";
import type { Detection, Engine } from "../../engine/engine.ts";
import type { Paths } from "../../engine/sender.ts";
import { copyPacket } from "../../engine/packet_copy.ts";
import { EnvironmentError } from "../../errors.ts";
import { collectGarbage } from "../../garbage.ts";
import { COUNTER_INDEX, countersByteLength, workerCounters } from "./counters.ts";
import { type FlowJudge, QueueJudge } from "./queue_judge.ts";
import { QueueLoop } from "./queue_loop.ts";
import { Rehearsal } from "./rehearsal.ts";
import type { QueueMessage } from "./queue_message.ts";
import { isInNetwork } from "../network/networks.ts";
import { SourceRoutes } from "../network/source_routes.ts";
import { WorkerBans } from "../bans/worker_bans.ts";
import {
  type FromWorker,
  MESSAGES_POSTED,
  QUEUE_SOCKET,
  type ToWorker,
  type WorkerSetup,
} from "./worker_protocol.ts";

/** Packets the kernel holds for a worker: more than its socket takes, so that the socket decides. */
const QUEUE_LENGTH = 131_072;
/** Asked for; the kernel gives twice as much for its own bookkeeping. */
const RECEIVE_BUFFER = 16 << 20;

/**
 * More than a full batch takes, and less than the kernel's own 1.4 ms (2 cores) to 2.8 ms: a packet that
 * wakes the worker while something else has the core does not wait for the end of that slice. The
 * worker's share stays what it is.
 */
const TIME_SLICE_NS = 500_000;

/** Some programs give each connection a mark of its own: a few tell enough. */
const FOREIGN_MARKS_TOLD = 8;

/** The part of the engine that a worker uses. */
export type WorkerEngine = FlowJudge & Pick<Engine, "setPolicy" | "counters" | "forget" | "pardon">;

/**
 * Listens for the setup, then serves the queue until told to stop.
 *
 * @param rehearsed an engine that made-up packets are judged with after the start; null: none are
 */
export function runQueueThread(
  createEngine: (setup: WorkerSetup, paths: Paths | null) => WorkerEngine,
  rehearsed: (setup: WorkerSetup) => FlowJudge | null = () => null,
): void {
  const inbox: ToWorker[] = [];
  let taken = 0;
  self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    taken++;
    if (data.type !== "setup") {
      inbox.push(data);
      return;
    }
    serve(data, createEngine, rehearsed, inbox, () => taken).then(
      () => post({ type: "stopped" }),
      (error) => {
        const message = error instanceof Error ? error.message : String(error);
        post({ type: "failed", message, environment: error instanceof EnvironmentError });
      },
    ).finally(() => self.close());
  };
}

async function serve(
  setup: WorkerSetup,
  createEngine: (setup: WorkerSetup, paths: Paths | null) => WorkerEngine,
  rehearsed: (setup: WorkerSetup) => FlowJudge | null,
  inbox: ToWorker[],
  taken: () => number,
): Promise<void> {
  const control = new Int32Array(setup.control);
  const counters = workerCounters(setup.counters, setup.worker);
  const hasMail = () => Atomics.load(control, MESSAGES_POSTED) !== taken();
  let { settings } = setup;
  using paths = settings.bans === null ? null : new SourceRoutes(settings.bans);
  const engine = createEngine(setup, paths);
  using resets = new Resets();
  let faultTold = false;
  const onFault = (error: unknown) => {
    if (faultTold) return; // one is enough to find the cause; the counter has their number
    faultTold = true;
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    post({ type: "fault", error: text });
  };
  const foreignMarks = new Set<number>();
  const onForeignMark = (mark: number) => {
    if (foreignMarks.has(mark) || foreignMarks.size === FOREIGN_MARKS_TOLD) return;
    foreignMarks.add(mark);
    post({ type: "foreign mark", mark });
  };
  const newJudge = () => {
    const { monitorOnly, copiesPackets } = settings;
    const bans = settings.bans === null ? null : new WorkerBans(settings.bans);
    const onDetection = (detection: Detection, message: QueueMessage, bytes: Uint8Array) => {
      counters[COUNTER_INDEX.detections]++;
      post({
        type: "detection",
        detection,
        packet: copiesPackets ? copyPacket(bytes, message.payloadStart, message.payloadEnd) : null,
        hook: message.hook,
        inputInterface: message.inputInterface,
        outputInterface: message.outputInterface,
        banned: bans === null || monitorOnly ? [] : bans.ban(detection, message.hook),
        monitorOnly,
        timeMs: Date.now(),
        worker: setup.worker,
      });
    };
    const { chain } = setup;
    const onOlder = (packet: Packet) => resets.send(packet);
    const told = { onDetection, onFault, onForeignMark, onOlder };
    return new QueueJudge({ chain, monitorOnly, engine, bans, ...told }, counters);
  };

  collectGarbage(); // modules and code of the start
  using queue = NetfilterQueue.open({
    number: setup.queueNumber,
    maxLength: QUEUE_LENGTH,
    receiveBuffer: RECEIVE_BUFFER,
  });
  Atomics.store(control, QUEUE_SOCKET, queue.fd);
  const loop = new QueueLoop(queue.fd, setup.queueNumber, setup.wakeEvent, counters, engine);
  try {
    const slice = setTimeSlice(TIME_SLICE_NS);
    const sliceRefusal = slice < 0 ? describeErrno(-slice) : null;
    post({ type: "bound", refused: queue.refused, sliceRefusal });
    let judge = newJudge();
    let rehearsal = rehearsalOf(rehearsed(setup), setup);
    const isInterrupted = () => hasMail() || rehearsal?.isOver === true;
    for (;;) {
      loop.serve(judge, isInterrupted, rehearsal);
      if (rehearsal?.isOver === true) {
        rehearsal = null;
        collectGarbage(); // its engine, and what the compilers have left
      }
      // Posted messages come in by the event loop: let it run until all have.
      while (hasMail()) await new Promise((resolve) => setTimeout(resolve, 0));
      for (const message of inbox.splice(0)) {
        if (message.type === "stop") {
          loop.finish(judge);
          return;
        }
        if (message.type === "forget") {
          engine.forget(isOneOf(message.addresses), message.pardons);
          continue;
        }
        if (message.type === "pardon") {
          const { network } = message;
          engine.pardon((words, at) => isInNetwork(network, words, at));
          continue;
        }
        if (message.type !== "settings") continue;
        settings = message.settings;
        engine.setPolicy(settings.policy);
        judge = newJudge();
      }
    }
  } finally {
    loop.letPass();
    // The main thread closes the socket of a worker it believes dead: only one of us may.
    if (Atomics.exchange(control, QUEUE_SOCKET, -1) < 0) queue.forget();
  }
}

/** With a judge that is like the real one, but tells nobody. */
function rehearsalOf(engine: FlowJudge | null, { chain, settings }: WorkerSetup): Rehearsal | null {
  if (engine === null) return null;
  const counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
  const quiet = () => {};
  const told = { onDetection: quiet, onFault: quiet, onForeignMark: quiet, onOlder: () => true };
  const { monitorOnly } = settings;
  return new Rehearsal(
    new QueueJudge({ chain, monitorOnly, engine, bans: null, ...told }, counters),
  );
}

/** Whether an address is one of these, four words each. */
function isOneOf(addresses: Int32Array): (words: Int32Array, at: number) => boolean {
  const known = new Set<string>();
  const nameOf = (words: Int32Array, at: number) => words.subarray(at, at + 4).join();
  for (let at = 0; at < addresses.length; at += 4) known.add(nameOf(addresses, at));
  return (words, at) => known.has(nameOf(words, at));
}

function post(message: FromWorker): void {
  self.postMessage(message);
}
