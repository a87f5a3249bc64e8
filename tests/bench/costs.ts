/** Times inputs that were made to cost much, each as packets of one flow through parse and engine. */
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";
import type { CostlyInput } from "./costly_inputs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SYN = 0x02;
const PUSH_ACK = 0x18;

/** The IPv4 packets of an input's flow: 10.0.0.1:40000 → 10.0.0.2:50000. */
export function packetsOf({ isTcp, isOpened, payloads }: CostlyInput): Bytes[] {
  const packets: Bytes[] = [];
  let sequence = 1000;
  if (isOpened) packets.push(tcp(sequence++, SYN, new Uint8Array()));
  for (const payload of payloads) {
    packets.push(isTcp ? tcp(sequence, PUSH_ACK, payload) : udp(payload));
    sequence += payload.length;
  }
  return packets;
}

function ipv4(protocol: number, headerLength: number, payload: Bytes): [Bytes, DataView] {
  const bytes = new Uint8Array(20 + headerLength + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, bytes.length >> 8, bytes.length & 255, 0, 0, 0, 0, 64, protocol]);
  bytes.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
  view.setUint16(20, 40_000);
  view.setUint16(22, 50_000);
  bytes.set(payload, 20 + headerLength);
  return [bytes, view];
}

function udp(payload: Bytes): Bytes {
  const [bytes, view] = ipv4(17, 8, payload);
  view.setUint16(24, 8 + payload.length);
  return bytes;
}

function tcp(sequence: number, flags: number, payload: Bytes): Bytes {
  const [bytes, view] = ipv4(6, 20, payload);
  view.setUint32(24, sequence);
  bytes.set([0x50, flags, 0xff, 0xff], 32);
  return bytes;
}

/** Bytes of the packet in which most bytes travel. */
const USUAL_LENGTH = 1400;

/**
 * How many usual packets so many packets with so many payload bytes are worth: a segment that
 * offload has joined is worth those it was joined from.
 */
export function usualPackets(packets: number, bytes: number): number {
  return Math.max(packets, bytes / USUAL_LENGTH);
}

/**
 * Nanoseconds of the packet in which an average payload byte of `packets` travels, through parse and
 * engine: the shortest of several passes for each.
 */
export function usualNs(packets: readonly Bytes[], engine: Engine): number {
  const shortest = new Float64Array(packets.length).fill(Infinity);
  const bytes = new Float64Array(packets.length);
  for (let pass = 0; pass < USUAL_PASSES; pass++) {
    engine.clear();
    for (let i = 0; i < packets.length; i++) {
      const began = performance.now();
      if (!parseIp(packet, packets[i], 0, packets[i].length)) continue;
      engine.judge(packet);
      shortest[i] = Math.min(shortest[i], performance.now() - began);
      bytes[i] = packet.payloadEnd - packet.payloadStart;
    }
  }
  let weighted = 0;
  let total = 0;
  for (let i = 0; i < packets.length; i++) {
    if (bytes[i] === 0) continue;
    weighted += shortest[i] * bytes[i];
    total += bytes[i];
  }
  return weighted * 1e6 / total;
}

const USUAL_PASSES = 30;

/** Cost of an input by its packets with payload. */
export interface Cost {
  /** Nanoseconds a packet, one with another. */
  readonly meanNs: number;
  /** Nanoseconds of the dearest one. */
  readonly dearestNs: number;
  /** The most nanoseconds that any of them took for one usual packet that it is worth. */
  readonly dearestShareNs: number;
}

/** How often a flow is played, at least; the shortest time of each packet counts. */
const MIN_TURNS = 20;
const TURNS_MS = 150;

/**
 * Plays `packets` as a new flow again and again for `ms`; the shortest time of each packet counts,
 * since the machine only ever adds to it.
 */
export function costOf(packets: readonly Bytes[], engine: Engine, ms: number = TURNS_MS): Cost {
  const shortest = new Float64Array(packets.length).fill(Infinity);
  const end = performance.now() + ms;
  for (let turn = 0; turn < MIN_TURNS || performance.now() < end; turn++) {
    const times = play(packets, engine);
    for (let i = 0; i < times.length; i++) shortest[i] = Math.min(shortest[i], times[i]);
  }
  let sum = 0;
  let dearest = 0;
  let share = 0;
  let count = 0;
  for (let i = 0; i < packets.length; i++) {
    const bytes = packets[i].length - HEADERS;
    if (bytes <= 0) continue; // a SYN
    const ns = shortest[i] * 1e6;
    sum += ns;
    count++;
    dearest = Math.max(dearest, ns);
    share = Math.max(share, ns / usualPackets(1, bytes));
  }
  return { meanNs: sum / count, dearestNs: dearest, dearestShareNs: share };
}

/** Of IPv4 and TCP. */
const HEADERS = 40;

/** Plays `packets` once, as a new flow: milliseconds of each. */
export function play(packets: readonly Bytes[], engine: Engine): Float64Array {
  const times = new Float64Array(packets.length);
  engine.clear();
  for (let i = 0; i < packets.length; i++) {
    const began = performance.now();
    if (parseIp(packet, packets[i], 0, packets[i].length)) engine.judge(packet);
    times[i] = performance.now() - began;
  }
  return times;
}

const packet = new Packet();

/** An engine of few flows: it is cleared for each turn. */
export function costEngine(): Engine {
  return new Engine({ policy: CAPTURE_POLICY, flows: 64 });
}
