/**
 * One queue's packets and verdicts: batches in, judged, verdicts out, each with one call of the
 * kernel. Sleeps in poll(2) on the queue and the wake event; no timeout, no spinning.
 */

import { describeErrno, EAGAIN, EINTR, ENOBUFS, SystemError } from "../../../ffi/errno.ts";
import { BatchReceiver, bootTimeUs, clearEvent, Poller, send } from "../../../ffi/libc.ts";
import type { EngineCounters } from "../../engine/engine.ts";
import { COUNTER_INDEX, countLatency } from "./counters.ts";
import type { Rehearsal } from "./rehearsal.ts";
import type { QueueJudge } from "./queue_judge.ts";
import {
  acceptAllMessage,
  MALFORMED,
  PACKET,
  QueueMessage,
  REFUSAL,
  VerdictBatch,
} from "./queue_message.ts";

/** Messages taken at once. More saves little: the calls of the kernel are 1 % by then. */
const BATCH = 32;
/** The largest packet (64 KiB) with netlink's headers and attributes. */
const SLOT_LENGTH = 65_536 + 512;
/** The kernel may be out of memory for a moment; without the verdicts packets would be stuck. */
const SEND_ATTEMPTS = 100;
/** Batches taken from a queue whose rules are gone; what still waits then is dropped by closing. */
const LAST_BATCHES = 1_000;
/** Packet ids further apart than this are not a gap but an older id. */
const HALF_OF_IDS = 0x8000_0000;

const BATCHES = COUNTER_INDEX.batches;
const MALFORMED_MESSAGES = COUNTER_INDEX.malformed;
const UNJUDGED = COUNTER_INDEX.unjudged;
const REFUSED = COUNTER_INDEX.refusedVerdicts;
const PAYLOAD_PACKETS = COUNTER_INDEX.payloadPackets;
const FLOWS = COUNTER_INDEX.flows;
const PAYLOAD_FLOWS = COUNTER_INDEX.payloadFlows;
const WHITELISTED = COUNTER_INDEX.whitelisted;

export class QueueLoop {
  readonly #socket: number;
  readonly #queueNumber: number;
  readonly #wakeEvent: number;
  readonly #counters: Float64Array;
  readonly #engineCounters: EngineCounters;
  /** Counts of the workers before this one, which crashed. */
  readonly #before: Float64Array;
  readonly #receiver = new BatchReceiver(BATCH, SLOT_LENGTH);
  readonly #message = new QueueMessage();
  readonly #verdicts: VerdictBatch;
  readonly #poller: Poller;
  /** Id of the last packet; ids are consecutive, so a gap is packets the kernel let through. */
  #lastId = -1;

  /** @param counters the worker's block, which gets the engine's counts too */
  constructor(
    socket: number,
    queueNumber: number,
    wakeEvent: number,
    counters: Float64Array,
    engine: { readonly counters: EngineCounters },
  ) {
    this.#engineCounters = engine.counters;
    this.#before = counters.slice();
    this.#socket = socket;
    this.#queueNumber = queueNumber;
    this.#wakeEvent = wakeEvent;
    this.#counters = counters;
    this.#verdicts = new VerdictBatch(queueNumber, BATCH);
    this.#poller = new Poller(socket, wakeEvent);
  }

  /**
   * Judges packets until `interrupted` says so; a wake event makes it look. Blocks the thread.
   *
   * @param rehearsal goes on while nothing waits
   */
  serve(judge: QueueJudge, interrupted: () => boolean, rehearsal: Rehearsal | null): void {
    while (!interrupted()) {
      const received = this.#turn(judge);
      if (received === BATCH) continue; // more is waiting
      const rehearses = rehearsal !== null && !rehearsal.isOver;
      if (rehearses && received === 0) rehearsal.go(Math.floor(bootTimeUs() / 1000));
      const ready = this.#poller.wait(rehearses ? 0 : -1);
      if (ready < 0) this.#fail("wait for packets", -ready);
      if (this.#poller.secondReady) clearEvent(this.#wakeEvent);
      if (this.#poller.firstInvalid) throw new Error("the queue's socket was closed");
    }
  }

  /** Judges what still waits, after the rules are gone. */
  finish(judge: QueueJudge): void {
    for (let i = 0; i < LAST_BATCHES; i++) if (this.#turn(judge) === 0) return;
  }

  /** Accepts what waits, unjudged: the kernel would drop it with the queue. Never throws. */
  letPass(): void {
    const message = acceptAllMessage(this.#queueNumber, Math.max(0, this.#lastId));
    send(this.#socket, message, message.length);
  }

  /** One batch; the number of messages in it. */
  #turn(judge: QueueJudge): number {
    const receiver = this.#receiver;
    const received = receiver.receive(this.#socket);
    if (received <= 0) return this.#nothingReceived(-received);
    const { bytes } = receiver;
    const receivedUs = bootTimeUs();
    const timeMs = Math.floor(receivedUs / 1000);
    for (let slot = 0; slot < received; slot++) {
      let at = receiver.start(slot);
      const end = receiver.end(slot);
      while (at < end && this.#take(judge, bytes, at, end, timeMs)) at = this.#message.next;
    }
    this.#send();
    const counters = this.#counters;
    countLatency(counters, bootTimeUs() - receivedUs);
    const engine = this.#engineCounters;
    const before = this.#before;
    counters[BATCHES]++;
    counters[PAYLOAD_PACKETS] = before[PAYLOAD_PACKETS] + engine.payloadPackets;
    counters[FLOWS] = before[FLOWS] + engine.flows;
    counters[PAYLOAD_FLOWS] = before[PAYLOAD_FLOWS] + engine.payloadFlows;
    counters[WHITELISTED] = before[WHITELISTED] + engine.whitelisted;
    return received;
  }

  /** Handles the message at `at`; false when no further one can be found in its datagram. */
  #take(judge: QueueJudge, bytes: Uint8Array, at: number, end: number, timeMs: number): boolean {
    const message = this.#message;
    switch (message.read(bytes, at, end)) {
      case PACKET:
        this.#noteId(message.id);
        judge.judge(message, bytes, timeMs);
        if (this.#verdicts.full) this.#send();
        this.#verdicts.add(message.id, judge.verdict, judge.mark);
        return true;
      case REFUSAL:
        this.#counters[REFUSED]++;
        return true;
      case MALFORMED:
        this.#counters[MALFORMED_MESSAGES]++;
        return false;
      default:
        return true;
    }
  }

  /** Counts the packets between the last one and this one: fail-open let them through unjudged. */
  #noteId(id: number): void {
    if (this.#lastId >= 0) {
      const gap = (id - this.#lastId - 1) >>> 0;
      if (gap < HALF_OF_IDS) this.#counters[UNJUDGED] += gap;
    }
    this.#lastId = id;
  }

  #send(): void {
    const verdicts = this.#verdicts;
    if (verdicts.length === 0) return;
    let sent = 0;
    for (let attempt = 0; attempt < SEND_ATTEMPTS; attempt++) {
      sent = send(this.#socket, verdicts.bytes, verdicts.length);
      if (sent !== -EINTR && sent !== -EAGAIN && sent !== -ENOBUFS) break;
    }
    if (sent < 0) this.#fail("send verdicts", -sent);
    verdicts.clear();
  }

  #nothingReceived(errno: number): number {
    switch (errno) {
      case 0:
      case EAGAIN:
      case EINTR:
        return 0;
      case ENOBUFS: // the socket was full; how many were let through, the next id tells
        return BATCH;
      default:
        return this.#fail("receive packets", errno);
    }
  }

  #fail(action: string, errno: number): never {
    throw new SystemError(errno, `Cannot ${action}: ${describeErrno(errno)}`);
  }
}
