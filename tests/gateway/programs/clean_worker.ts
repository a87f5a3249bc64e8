/** A queue worker to which every packet with payload is clean. */

import { CLEAN, INSPECT, type Verdict } from "../../../src/engine/engine.ts";
import type { Packet } from "../../../src/packet/packet.ts";
import { runQueueThread, type WorkerEngine } from "../../../src/gateway/queue/queue_thread.ts";

const counters = {
  ...{ packets: 0, payloadPackets: 0, payloadFlows: 0, detections: 0, whitelisted: 0, flows: 0 },
};

function judge({ payloadStart, payloadEnd }: Packet): Verdict {
  return payloadEnd > payloadStart ? CLEAN : INSPECT;
}

runQueueThread(() =>
  ({ judge, detection: null, setPolicy() {}, forget() {}, pardon() {}, counters }) as WorkerEngine
);
