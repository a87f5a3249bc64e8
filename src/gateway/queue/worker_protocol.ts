/**
 * What the main thread and the queue workers say to each other. A worker sleeps in poll(2), where no
 * event of JavaScript reaches it: a message is counted in shared memory, posted, and the worker woken
 * through an event descriptor.
 */

import type { Detection } from "../../engine/engine.ts";
import type { PacketCopy } from "../../engine/packet_copy.ts";
import type { EnginePolicy } from "../../engine/policy.ts";
import type { Chain } from "../rules/chain.ts";
import type { Cidr } from "../network/networks.ts";
import type { BannedEnd, WorkerBansSetup } from "../bans/worker_bans.ts";

/** Cells of the block (Int32) that a worker shares with the main thread. */
export const MESSAGES_POSTED = 0;
/**
 * The queue's socket while it is open, else -1. Whoever takes it out closes it: the worker, or the
 * main thread after the worker's death.
 */
export const QUEUE_SOCKET = 1;
export const CONTROL_CELLS = 2;

/** How a worker judges; all of it can change while it runs. */
export interface JudgeSettings {
  readonly policy: EnginePolicy;
  readonly monitorOnly: boolean;
  /** Whether reports of detections carry the packet. */
  readonly copiesPackets: boolean;
  /** Null: nobody is banned. */
  readonly bans: WorkerBansSetup | null;
}

/** Everything a worker needs; it is sent once. */
export interface WorkerSetup {
  readonly type: "setup";
  /** 0 … count - 1, its place in the shared counters. */
  readonly worker: number;
  readonly queueNumber: number;
  readonly chain: Chain;
  readonly settings: JudgeSettings;
  /** Flows kept at once, a power of two. */
  readonly flows: number;
  /** Where their state is kept, which the main thread reads. */
  readonly flowWords: SharedArrayBuffer;
  /** Event descriptor the main thread wakes the worker with. */
  readonly wakeEvent: number;
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Descriptor of what the kernel's first look has noted of flows; -1 where there is none. */
  readonly notes: number;
  /** Of HostEvidence, one for all workers. */
  readonly evidence: SharedArrayBuffer;
}

/** To a worker. */
export type ToWorker =
  | WorkerSetup
  | { readonly type: "settings"; readonly settings: JudgeSettings }
  /** `Engine.forget` of these addresses, four words each. */
  | { readonly type: "forget"; readonly addresses: Int32Array; readonly pardons: boolean }
  /** `Engine.pardon` of the addresses in this network. */
  | { readonly type: "pardon"; readonly network: Cidr }
  | { readonly type: "stop" };

/** From a worker. */
export type FromWorker =
  | Bound
  | DetectionReport
  /** A packet came with bits of our seal in its mark; told once of each such mark, of a few. */
  | { readonly type: "foreign mark"; readonly mark: number }
  /** The engine threw on a packet; further such are only counted. */
  | { readonly type: "fault"; readonly error: string }
  /** The worker ends for this error; `environment`: it is an EnvironmentError. */
  | { readonly type: "failed"; readonly message: string; readonly environment: boolean }
  /** All packets have their verdict, the queue is closed. */
  | { readonly type: "stopped" };

/** The queue is bound. */
export interface Bound {
  readonly type: "bound";
  /** Settings the kernel did not take. */
  readonly refused: readonly string[];
  /** Why the thread keeps the kernel's own time slice, which costs nothing but latency; null: it does not. */
  readonly sliceRefusal: string | null;
}

/** A flow's first detection and what was done about it. */
export interface DetectionReport {
  readonly type: "detection";
  readonly detection: Detection;
  /** The packet that proved it; null where nobody wants it. */
  readonly packet: PacketCopy | null;
  /** Netfilter's hook: 1 INPUT, 2 FORWARD, 3 OUTPUT. */
  readonly hook: number;
  /** Interface numbers the packet came in by and goes out of, 0 for none. */
  readonly inputInterface: number;
  readonly outputInterface: number;
  /** When the packet was judged, Unix time in milliseconds. */
  readonly timeMs: number;
  readonly monitorOnly: boolean;
  /** Whom it got banned. */
  readonly banned: readonly BannedEnd[];
  readonly worker: number;
}
