/**
 * A queue in trouble: stressed_queue.ts overrun | interrupted. Prints the counters as JSON, `sent`
 * (datagrams) and `happened` (how often the trouble did).
 *
 * - overrun: more datagrams than the socket holds before any is read, with ENOBUFS switched on, which
 *   the blocker switches off.
 * - interrupted: a signal every millisecond, so that system calls end with EINTR.
 */
import { describeErrno, EINTR, ENOBUFS } from "../../../ffi/errno.ts";
import { createEvent, errno } from "../../../ffi/libc.ts";
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

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  setitimer: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
});

const QUEUE = 7;
const counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
const judge = new QueueJudge({
  engine: { judge: () => INSPECT, detection: null },
  bans: null,
  chain: { marks: marksOf(0x3000_0000), savesMarks: true, monitors: true, sharesTable: false },
  ...{ monitorOnly: false, onDetection() {}, onFault() {} },
}, counters);
const engineCounters = {
  ...{ packets: 0, payloadPackets: 0, flows: 0, payloadFlows: 0, detections: 0, whitelisted: 0 },
};
using queue = NetfilterQueue.open({ number: QUEUE, maxLength: 100_000, receiveBuffer: 1 << 16 });
const loop = new QueueLoop(queue.fd, QUEUE, createEvent(), counters, { counters: engineCounters });
const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
const address = socket.addr as Deno.NetAddr;
let sent = 0;
let happened = 0;

async function sendSome(count: number): Promise<void> {
  for (let i = 0; i < count; i++, sent++) await socket.send(new Uint8Array(2), address);
}

if (Deno.args[0] === "overrun") {
  const SOL_NETLINK = 270;
  const NETLINK_NO_ENOBUFS = 5;
  libc.setsockopt(queue.fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, new Int32Array([0]), 4);
  for (let round = 0; round < 3; round++) {
    await sendSome(500);
    // The error stands before the packets: take it as the loop would, but see that it is there.
    const peeked = libc.recv(queue.fd, new Uint8Array(1), 1n, 0x42 /* MSG_PEEK, MSG_DONTWAIT */);
    if (Number(peeked) < 0 && errno() === ENOBUFS) happened++;
    loop.finish(judge);
    await sendSome(1);
    loop.finish(judge);
  }
} else {
  Deno.addSignalListener("SIGALRM", () => {});
  const interval = BigInt64Array.of(0n, 1000n, 0n, 1000n); // seconds and microseconds, twice
  libc.setitimer(0, /* ITIMER_REAL */ interval, null as unknown as BufferSource);
  for (let i = 0; i < 50; i++) {
    const result = libc.poll(new Int32Array(2), 0n, 20);
    if (result < 0 && errno() === EINTR) happened++;
  }
  for (let round = 0; round < 200; round++) {
    await sendSome(20);
    let turns = 0;
    loop.serve(judge, () => turns++ > 2 || counters[0] >= sent, null);
  }
  loop.finish(judge);
  libc.setitimer(0, new BigInt64Array(4), null as unknown as BufferSource);
  if (happened === 0) console.error(describeErrno(errno()));
}
socket.close();
console.log(JSON.stringify({ ...readCounters(counters), sent, happened }));
Deno.exit(0);
