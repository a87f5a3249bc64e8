/** What each address did, a bounded number of addresses. */
import type { Method } from "../../protocols/match.ts";
import type { FlowSummary } from "./flow_summaries.ts";

/** One address over all captures. */
export interface HostRow {
  readonly address: string;
  flows: number;
  packets: number;
  /** Bytes of payload. */
  bytesSent: number;
  bytesReceived: number;
  /** Detections with this address at either end. */
  detections: number;
  readonly methods: Method[];
  /** Clients that this address was seen to use, at most eight. */
  readonly clients: string[];
}

const MAX_CLIENTS = 8;

export class HostTotals {
  /** Ends of flows whose address found no place. */
  endsLeftOut = 0;
  readonly #limit: number;
  readonly #rows = new Map<string, HostRow>();

  /** @param limit addresses; twice as many where those above it have detections */
  constructor(limit: number) {
    this.#limit = limit;
  }

  addFlow(flow: FlowSummary): void {
    const packets = flow.packetsOut + flow.packetsIn;
    this.#addEnd(flow.source, packets, flow.bytesOut, flow.bytesIn);
    this.#addEnd(flow.destination, packets, flow.bytesIn, flow.bytesOut);
  }

  /** @param client the one at `source`, or null */
  addDetection(source: string, destination: string, method: Method, client: string | null): void {
    for (const address of source === destination ? [source] : [source, destination]) {
      const row = this.#row(address, this.#limit * 2);
      if (row === null) continue;
      row.detections++;
      if (!row.methods.includes(method)) row.methods.push(method);
      if (address !== source || client === null || row.clients.includes(client)) continue;
      if (row.clients.length < MAX_CLIENTS) row.clients.push(client);
    }
  }

  /** Addresses with the most detections, flows and packets first. */
  get rows(): HostRow[] {
    return [...this.#rows.values()].sort((a, b) =>
      b.detections - a.detections || b.flows - a.flows || b.packets - a.packets
    );
  }

  #addEnd(address: string, packets: number, sent: number, received: number): void {
    const row = this.#row(address, this.#limit);
    if (row === null) {
      this.endsLeftOut++;
      return;
    }
    row.flows++;
    row.packets += packets;
    row.bytesSent += sent;
    row.bytesReceived += received;
  }

  #row(address: string, limit: number): HostRow | null {
    const known = this.#rows.get(address);
    if (known !== undefined) return known;
    if (this.#rows.size >= limit) return null;
    const row: HostRow = {
      ...{ address, flows: 0, packets: 0, bytesSent: 0, bytesReceived: 0, detections: 0 },
      methods: [],
      clients: [],
    };
    this.#rows.set(address, row);
    return row;
  }
}
