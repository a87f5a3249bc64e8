/** A queue worker whose engine goes by the ports of either end. */

import { BITTORRENT, CLEAN, INSPECT, type Verdict } from "../../../src/engine/engine.ts";
import type { Packet } from "../../../src/packet/packet.ts";
import { runQueueThread, type WorkerEngine } from "../../../src/gateway/queue/queue_thread.ts";

/** Ports with a meaning; every other one is inspected for ever. */
const CLEAN_PORT = 1000;
const BITTORRENT_PORT = 2000;
const CRASH_PORT = 3000;
const FAULT_PORT = 4000;
const SLOW_PORT = 5000;

let crashes = false;
const counters = {
  packets: 0,
  payloadPackets: 0,
  payloadFlows: 0,
  detections: 0,
  whitelisted: 0,
  /** Read after each batch, outside of the judge's care. */
  get flows(): number {
    if (crashes) throw new Error("crashed as asked");
    return 0;
  },
};

function judge(packet: Packet): Verdict {
  const { sourcePort, destinationPort } = packet;
  const isPort = (port: number) => sourcePort === port || destinationPort === port;
  const hasPayload = packet.payloadEnd > packet.payloadStart;
  if (isPort(FAULT_PORT)) throw new Error("a fault as asked");
  if (destinationPort === CRASH_PORT && hasPayload) crashes = true;
  if (isPort(SLOW_PORT)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  if (isPort(CLEAN_PORT) && hasPayload) return CLEAN;
  if (isPort(BITTORRENT_PORT) && hasPayload) return BITTORRENT;
  return INSPECT;
}

runQueueThread(() =>
  ({ judge, detection: null, setPolicy() {}, forget() {}, pardon() {}, counters }) as WorkerEngine
);
