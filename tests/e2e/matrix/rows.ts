/** The rows of the client matrix. */

import type { Mode } from "../../lab/client.ts";
import { CLIENTS, type Discovery } from "../../lab/lab.ts";
import type { Row } from "./row.ts";

const NAMES = Object.keys(CLIENTS);
/** Peers given directly, nothing in the clear: fan-out is the only evidence. */
const SWARM = 4;

function same(client: string, mode: Mode, discovery: Discovery, more: Partial<Row> = {}): Row {
  return { seeder: client, leecher: client, mode, discovery, family: 4, seeders: 1, ...more };
}

/** Every client in every mode it can be forced into, a swarm given directly. */
const direct = NAMES.flatMap((client) =>
  CLIENTS[client].modes.map((mode) => same(client, mode, "direct", { seeders: SWARM }))
);

/** Every pair of different clients; no tracker crosses the gateway, its answer would be enough. */
const pairs = NAMES.flatMap((seeder) =>
  NAMES.filter((leecher) => leecher !== seeder).flatMap((leecher) =>
    (["tcp", "mse-rc4"] as const).map((mode): Row => ({
      ...{ seeder, leecher, mode },
      ...{ discovery: "direct", family: 4, seeders: mode === "tcp" ? 1 : SWARM },
    }))
  )
);

/** Every other way to find peers, with the client's defaults. */
const discoveries = NAMES.flatMap((client) =>
  (["http", "udp", "magnet", "dht"] as const).map((discovery) => same(client, "default", discovery))
);

/** Debian's deluged does not connect over IPv6. */
const ipv6 = NAMES.filter((client) => client !== "deluge").flatMap((client) =>
  CLIENTS[client].modes.filter((mode) => mode !== "default")
    .map((mode) => same(client, mode, "direct", { family: 6, seeders: SWARM }))
);

/** One encrypted peer and nothing else that could show what it is; and where all such are dropped. */
const lone = NAMES.flatMap((client) =>
  CLIENTS[client].modes.filter((mode) => mode.startsWith("mse")).flatMap((mode) => [
    same(client, mode, "direct"),
    same(client, mode, "direct", { settings: { POLICY: "strict" } }),
  ])
);

/** Whose seeders are slow, on a link or by themselves, as most peers of the internet are. */
const SLOW = ["transmission", "aria2", "rtorrent", "libtorrent"];
const RESET = { RESET_OLDER: "true" };
const slow = SLOW.flatMap((client) =>
  (["link", "client"] as const).flatMap((by) => {
    const rate = { bytesPerSecond: by === "link" ? 50_000 : 100_000, by };
    const swarm = (more: Partial<Row>) =>
      same(client, "mse-rc4", "direct", { seeders: SWARM, rate, ...more });
    const running = { midTransfer: true };
    return [swarm({}), swarm(running), swarm({ ...running, settings: RESET })];
  })
);

/** Transfers that were running when the blocker started. */
const running = NAMES.flatMap((client) =>
  CLIENTS[client].modes.filter((mode) => mode !== "mse-plain" && mode !== "default")
    .filter((mode) => !(mode === "mse-rc4" && SLOW.includes(client)))
    .map((mode) =>
      same(client, mode, "direct", {
        midTransfer: true,
        // Of one encrypted connection whose beginning nobody saw, nothing can be known.
        seeders: mode === "mse-rc4" ? SWARM : 1,
      })
    )
);

export const ALL_ROWS: readonly Row[] = [
  ...direct,
  ...ipv6,
  ...lone,
  ...slow,
  ...running,
  ...discoveries,
  ...pairs,
];

/** A row of every kind, each a few seconds: for every test run. */
export const QUICK_ROWS: readonly Row[] = [
  same("libtorrent", "mse-rc4", "direct", { seeders: SWARM }),
  same("libtorrent", "utp-mse", "direct", { seeders: SWARM }),
  same("libtorrent", "default", "dht"),
  same("libtorrent", "tcp", "direct", { midTransfer: true }),
  same("libtorrent", "utp", "direct", { midTransfer: true }),
  same("qbittorrent", "mse-rc4", "http"),
  same("aria2", "default", "magnet"),
  same("rtorrent", "mse-rc4", "udp"),
  same("qbittorrent", "utp", "http", { family: 6 }),
  same("deluge", "mse-plain", "http"),
];
