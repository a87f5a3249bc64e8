/**
 * Where a packet's time goes in user space: netlink messages of NFQUEUE, as the kernel builds them,
 * through the stages of a worker, each stage with those before it. What the kernel takes (queueing,
 * waking, copying, sending on) only a live run shows: the benchmark prints it beside the losses.
 */

import { Engine } from "../../../src/engine/engine.ts";
import { Packet, parseIp } from "../../../src/packet/packet.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { QueueJudge } from "../../../src/gateway/queue/queue_judge.ts";
import { QueueMessage, VerdictBatch } from "../../../src/gateway/queue/queue_message.ts";
import { COUNTERS } from "../../../src/gateway/queue/counters.ts";
import { median } from "../corpus.ts";

const RUNS = 5;
const FLOWS = 512;
const BATCH = 32;
/** Messages a second of a busy worker, for the times the packets get. */
const MESSAGES_A_MS = 100;
const PASSES = 40;
const POLICY = {
  strict: false,
  blockSocks: false,
  blockMentions: false,
  whitelistPorts: [],
  recheck: false,
};

const SYN = 0x02;
const ACK = 0x10;

interface Segment {
  readonly fromClient: boolean;
  readonly flags: number;
  readonly payload: Uint8Array;
}

const text = (value: string) => new TextEncoder().encode(value);
const NOTHING = new Uint8Array(0);
/** The queued packets of a short HTTP request; what only acknowledges is not queued. */
const EXCHANGE: readonly Segment[] = [
  { fromClient: true, flags: SYN, payload: NOTHING },
  { fromClient: false, flags: SYN | ACK, payload: NOTHING },
  {
    fromClient: true,
    flags: ACK,
    payload: text("GET /page HTTP/1.1\r\nHost: server.example\r\n\r\n"),
  },
  {
    fromClient: false,
    flags: ACK,
    payload: text("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + "x".repeat(1300)),
  },
];

/** One message: nlmsghdr, nfgenmsg, PACKET_HDR, two interfaces, PAYLOAD with IPv4 and TCP. */
function netlinkMessage(flow: number, segment: Segment, sequence: number): Uint8Array {
  const { fromClient, flags, payload } = segment;
  const ipLength = 40 + payload.length;
  const length = 16 + 4 + 12 + 8 + 8 + 4 + ipLength;
  const bytes = new Uint8Array((length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, 3 << 8, true);
  view.setUint16(20, 11, true); // NFQA_PACKET_HDR: 7 bytes
  view.setUint16(22, 1, true);
  view.setUint32(24, flow, false);
  bytes[30] = 2; // FORWARD
  view.setUint16(32, 8, true); // NFQA_IFINDEX_INDEV
  view.setUint16(34, 5, true);
  view.setUint32(36, 2, false);
  view.setUint16(40, 8, true); // NFQA_IFINDEX_OUTDEV
  view.setUint16(42, 6, true);
  view.setUint32(44, 3, false);
  view.setUint16(48, 4 + ipLength, true); // NFQA_PAYLOAD
  view.setUint16(50, 10, true);
  const ip = 52;
  bytes.set([0x45, 0, ipLength >> 8, ipLength & 255, 0, 0, 0x40, 0, 64, 6], ip);
  const client = [10, 0, flow >> 8, flow & 255];
  const server = [192, 0, 2, 1];
  bytes.set(fromClient ? [...client, ...server] : [...server, ...client], ip + 12);
  view.setUint16(ip + 20, fromClient ? 40_000 : 8080, false);
  view.setUint16(ip + 22, fromClient ? 8080 : 40_000, false);
  view.setUint32(ip + 24, sequence, false);
  view.setUint32(ip + 28, (flags & ACK) !== 0 ? 1001 : 0, false);
  bytes.set([0x50, flags], ip + 32);
  bytes.set(payload, ip + 40);
  return bytes;
}

interface Messages {
  readonly bytes: Uint8Array;
  /** Start and end of each. */
  readonly bounds: Int32Array;
}

function buildMessages(): Messages {
  const messages: Uint8Array[] = [];
  for (const segment of EXCHANGE) {
    const sequence = (segment.flags & SYN) !== 0 ? 1000 : 1001;
    for (let flow = 0; flow < FLOWS; flow++) messages.push(netlinkMessage(flow, segment, sequence));
  }
  const bytes = new Uint8Array(messages.reduce((sum, message) => sum + message.length, 0));
  const bounds = new Int32Array(messages.length * 2);
  let at = 0;
  messages.forEach((message, index) => {
    bytes.set(message, at);
    bounds.set([at, at + message.length], index * 2);
    at += message.length;
  });
  return { bytes, bounds };
}

/** A way through the first stages; called for each message. */
type Stage = (message: QueueMessage, bytes: Uint8Array, timeMs: number) => void;

/** Nanoseconds a message, reading it included. Each pass opens all connections anew. */
function time({ bytes, bounds }: Messages, stage: Stage): number {
  const message = new QueueMessage();
  const pass = (timeMs: number) => {
    for (let i = 0; i < bounds.length; i += 2) {
      message.read(bytes, bounds[i], bounds[i + 1]);
      stage(message, bytes, timeMs + i / MESSAGES_A_MS);
    }
  };
  const measures: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const began = performance.now();
    for (let i = 0; i < PASSES; i++) pass(i * 1000);
    const ns = (performance.now() - began) * 1e6;
    if (run > 0) measures.push(ns / PASSES / (bounds.length / 2)); // the first warms up
  }
  return median(measures);
}

/** Prints the stages, each by what it adds. */
export function printPacketPath(): void {
  const messages = buildMessages();
  const packet = new Packet();
  const engine = new Engine({ policy: POLICY });
  const verdicts = new VerdictBatch(0, BATCH);
  const judge = new QueueJudge({
    engine,
    bans: null,
    chain: { marks: marksOf(0x3000_0000), savesMarks: true, monitors: true, sharesTable: false },
    ...{ monitorOnly: false, onDetection: () => {} },
    onFault: (error) => {
      throw error;
    },
  }, new Float64Array(COUNTERS.length));
  const parse: Stage = (message, bytes, timeMs) => {
    packet.timeMs = timeMs;
    parseIp(packet, bytes, message.payloadStart, message.payloadEnd);
  };
  const stages: readonly (readonly [string, Stage])[] = [
    ["netlink message", () => {}],
    ["IP and TCP headers", parse],
    ["flow table and detectors", (message, bytes, timeMs) => {
      parse(message, bytes, timeMs);
      engine.judge(packet);
    }],
    ["counters, mark and verdict message", (message, bytes, timeMs) => {
      judge.judge(message, bytes, timeMs);
      if (verdicts.full) verdicts.clear();
      verdicts.add(message.id, judge.verdict, judge.mark);
    }],
  ];
  console.log(`user space, ns a packet of new HTTP connections (median of ${RUNS}):`);
  for (const [, stage] of stages) time(messages, stage); // the compiler has seen all of it then
  let before = 0;
  for (const [name, stage] of stages) {
    const total = time(messages, stage);
    console.log(`  ${name.padEnd(40)}${(total - before).toFixed(0).padStart(6)}`);
    before = total;
  }
  console.log(`  ${"together".padEnd(40)}${before.toFixed(0).padStart(6)}`);
}
