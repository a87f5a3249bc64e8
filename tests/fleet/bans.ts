/** What the tests of the fleet share: a ban as it is told, a detection, bans in user space. */
import { bootTimeMs } from "../../ffi/libc.ts";
import type { SharedBan } from "../../src/fleet/alerts.ts";
import type { Decision } from "../../src/fleet/decisions.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans } from "../../src/gateway/bans/bans.ts";
import { formatNetwork, parseNetwork } from "../../src/gateway/network/networks.ts";
import { networkKey } from "../../src/gateway/bans/ban_key.ts";
import type { DetectionReport } from "../../src/gateway/queue/worker_protocol.ts";

export const HOUR = 3_600_000;

export function ban(address: string, values: Partial<SharedBan> = {}): SharedBan {
  return {
    address,
    method: "dht",
    reason: "ping query",
    client: null,
    transport: "udp",
    source: `${address}:6881`,
    destination: "198.51.100.9:6881",
    durationMs: HOUR,
    sinceMs: Date.now(),
    sinceBootMs: 5_000,
    boot: "this",
    ...values,
  };
}

let lastId = 0;

export function decision(text: string, durationMs: number, id = ++lastId): Decision {
  const network = parseNetwork(text)!;
  return { id, key: formatNetwork(network), network, durationMs, scenario: "btblocker/dht" };
}

export function bansOf(entries = 1024, scope: "ip" | "endpoint" = "ip"): Bans {
  const table = BanTable.buffer(entries);
  return new Bans({ table, scope, maps: {} });
}

/** Seconds left of the ban of an address or network; null where it is not banned. */
export function secondsLeft(bans: Bans, text: string): number | null {
  const found = bans.find(networkKey(parseNetwork(text)!));
  return found === null ? null : Math.round((found.untilMs - bootTimeMs()) / 1000);
}

/** What a worker posts of a DHT query. */
export function report(banned: readonly string[], seconds: number): DetectionReport {
  return {
    type: "detection",
    detection: {
      match: { method: "dht", reason: "ping query", strength: "proof" },
      client: "libtorrent 2.0",
      family: 4,
      protocol: 17,
      source: banned[0] ?? "192.0.2.9",
      sourcePort: 6881,
      destination: "198.51.100.9",
      destinationPort: 6881,
      initiatorIsSource: true,
      address: new Int32Array(8),
      payload: new TextEncoder().encode("d1:ad2:id20:secret"),
      payloadLength: 18,
      mayBan: true,
    } as DetectionReport["detection"],
    packet: null,
    hook: 2,
    inputInterface: 0,
    outputInterface: 0,
    timeMs: Date.now(),
    monitorOnly: false,
    banned: banned.map((target) => ({ target, seconds })),
    worker: 0,
  };
}
