/** The module of a queue worker: the real engine and the real bans. */

import { Engine } from "../../engine/engine.ts";
import { HostEvidence } from "../../engine/host_evidence.ts";
import { NotedFlows } from "../first_look/noted_flows.ts";
import { runQueueThread } from "./queue_thread.ts";

/** Flows that a rehearsal keeps at once. */
const REHEARSED = 256;

runQueueThread(
  (setup, paths) =>
    new Engine({
      paths,
      flows: setup.flows,
      flowWords: setup.flowWords,
      policy: setup.settings.policy,
      evidence: new HostEvidence(setup.evidence),
      notes: setup.notes < 0 ? null : new NotedFlows(setup.notes),
      seed: crypto.getRandomValues(new Int32Array(1))[0],
    }),
  ({ settings: { policy } }) => new Engine({ flows: REHEARSED, policy }),
);
