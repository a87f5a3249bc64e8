/** The real queue worker, but a packet to port 3000 with payload ends it. */
import { Engine } from "../../../src/engine/engine.ts";
import { HostEvidence } from "../../../src/engine/host_evidence.ts";
import { runQueueThread, type WorkerEngine } from "../../../src/gateway/queue/queue_thread.ts";
import type { Packet } from "../../../src/packet/packet.ts";

const CRASH_PORT = 3000;

runQueueThread((setup) => {
  const engine = new Engine({
    ...{ flows: setup.flows, policy: setup.settings.policy },
    evidence: new HostEvidence(setup.evidence),
  });
  let crashes = false;
  const counters = {
    ...engine.counters,
    /** Read after each batch, outside of the judge's care. */
    get flows(): number {
      if (crashes) throw new Error("crashed as asked");
      return engine.counters.flows;
    },
  };
  return {
    judge(packet: Packet) {
      const hasPayload = packet.payloadEnd > packet.payloadStart;
      if (packet.destinationPort === CRASH_PORT && hasPayload) crashes = true;
      return engine.judge(packet);
    },
    get detection() {
      return engine.detection;
    },
    setPolicy: (policy) => engine.setPolicy(policy),
    counters,
  } as WorkerEngine;
});
