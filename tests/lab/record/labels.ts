/** Truth about a recorded flow, from what was started: which port belongs to what. */

import { FIRST_PEER_PORT, LAST_PEER_PORT } from "../client.ts";
import { TRACKER_PORT } from "../lab.ts";
import type { Flow } from "./flows.ts";

/** As in the corpus; `web-seed` besides. */
export type Kind =
  | "peer-wire"
  | "mse"
  | "utp"
  | "dht"
  | "udp-tracker"
  | "http-tracker"
  | "lsd"
  | "web-seed";

export interface FlowLabel {
  proto: "tcp" | "udp";
  a: string;
  b: string;
  kind: Kind;
  packets: [number, number];
  payloadPackets: [number, number];
  /** False: the capture does not hold what a decision needs; counts neither way. */
  decidable?: false;
  /** The corpus's name for the same, which its score.py knows. */
  doubtful?: true;
}

export interface CaptureLabel {
  file: string;
  /** Which programs, in which mode. */
  source: string;
  label: "bittorrent" | "mixed" | "clean";
  flows: FlowLabel[];
  payloadFlows: number;
  packets: number;
  /** At least this many of the undecidable flows are to be found (fan-out of one host). */
  minimumUndecidable?: number;
}

export interface Truth {
  /** Nothing is BitTorrent, whatever the ports. */
  clean?: boolean;
  /** MSE flows are decidable: the capture holds evidence before them. */
  evidence?: boolean;
  /** The capture begins in the middle: TCP flows of peers show no handshake. */
  midStream?: boolean;
  /** What a flow between peers over TCP is when it shows no handshake. */
  peerTcp?: Kind;
  /** What a flow to this port is, before all other rules. */
  ports?: Readonly<Record<number, Kind | "by content">>;
  dht?: boolean;
}

const HANDSHAKE = "\x13BitTorrent protocol";

/** The labels of the BitTorrent flows among `flows`. Flows without payload are never asked. */
export function labelFlows(flows: readonly Flow[], truth: Truth): FlowLabel[] {
  const kinds = flows.map((flow) => [flow, kindOf(flow, truth)] as const);
  // Evidence is kept per address; nothing tells that an IPv6 and an IPv4 address are one host.
  const proven = new Set(
    kinds.filter(([, kind]) => kind !== null && kind !== "mse")
      .flatMap(([{ a, b }]) => [addressOf(a), addressOf(b)]),
  );
  const labels: FlowLabel[] = [];
  for (const [flow, kind] of kinds) {
    if (kind === null) continue;
    const { proto, a, b, packets, payloadPackets } = flow;
    const label: FlowLabel = { proto, a, b, kind, packets, payloadPackets };
    const evidence = proven.has(addressOf(a)) || proven.has(addressOf(b));
    if (!isDecidable(flow, kind, truth.evidence === true && evidence, truth)) {
      label.decidable = false;
      label.doubtful = true;
    }
    labels.push(label);
  }
  return labels;
}

function addressOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":"));
}

function kindOf(flow: Flow, truth: Truth): Kind | null {
  if (truth.clean) return null;
  const both = flow.opening[0] + flow.opening[1];
  for (const port of flow.ports) {
    const kind = truth.ports?.[port];
    if (kind === "by content") {
      if (both.includes(HANDSHAKE)) return "peer-wire";
      return both.includes("info_hash=") ? "http-tracker" : null;
    }
    if (kind !== undefined) return kind;
  }
  if (flow.ports.includes(TRACKER_PORT)) {
    return flow.proto === "tcp" ? "http-tracker" : "udp-tracker";
  }
  if (flow.proto === "udp") {
    if (flow.ports[1] === 6771) return "lsd";
    if (flow.ports.some((port) => port >= 20_000 && port < 20_100)) return "dht";
    if (!flow.ports.some(isPeerPort)) return null;
    if (truth.dht && both.startsWith("d")) return "dht";
    return "utp";
  }
  if (!flow.ports.some(isPeerPort)) return null;
  if (flow.opening.some((text) => text.startsWith(HANDSHAKE))) return "peer-wire";
  return truth.peerTcp ?? "mse";
}

function isDecidable(flow: Flow, kind: Kind, evidence: boolean, truth: Truth): boolean {
  const [there, back] = flow.payloadPackets;
  switch (kind) {
    case "mse":
      // Handshakes in the clear after the negotiation: plaintext was selected.
      if (flow.opening.some((text) => text.includes(HANDSHAKE))) return true;
      return evidence && there > 1 && back > 1;
    case "utp":
      return there > 1 && back > 1;
    case "peer-wire":
      return truth.midStream !== true || there + back > 20;
    default:
      return true;
  }
}

function isPeerPort(port: number): boolean {
  return port >= FIRST_PEER_PORT && port <= LAST_PEER_PORT;
}
