/**
 * Overruns a queue with a small socket buffer: overrun.ts QUEUE DATAGRAMS. Sends so many datagrams
 * to itself before it reads any, reads, sends one more; prints the counters as JSON.
 */

import { createEvent } from "../../../ffi/libc.ts";
import { NetfilterQueue } from "../../../ffi/netfilter_queue.ts";
import { INSPECT } from "../../../src/engine/engine.ts";
import {
  countersByteLength,
  readCounters,
  workerCounters,
} from "../../../src/gateway/queue/counters.ts";
import { marksOf } from "../../../src/gateway/rules/marks.ts";
import { QueueJudge } from "../../../src/gateway/queue/queue_judge.ts";
import { QueueLoop } from "../../../src/gateway/queue/queue_loop.ts";

const [number, count] = Deno.args.map(Number);
const counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
const judge = new QueueJudge({
  engine: { judge: () => INSPECT, detection: null },
  bans: null,
  chain: { marks: marksOf(0x3000_0000), savesMarks: true, monitors: true, sharesTable: false },
  monitorOnly: false,
  onDetection() {},
  onFault() {},
}, counters);
const engineCounters = {
  ...{ packets: 0, payloadPackets: 0, flows: 0, payloadFlows: 0, detections: 0, whitelisted: 0 },
};
using queue = NetfilterQueue.open({ number, maxLength: 100_000, receiveBuffer: 1 << 16 });
const loop = new QueueLoop(queue.fd, number, createEvent(), counters, { counters: engineCounters });
const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
const self = socket.addr as Deno.NetAddr;
for (let i = 0; i < count; i++) await socket.send(new Uint8Array(2), self);
loop.finish(judge);
await socket.send(new Uint8Array(2), self);
loop.finish(judge);
console.log(JSON.stringify(readCounters(counters)));
socket.close();
