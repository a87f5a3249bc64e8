/** The rows of the client matrix. */

import type { Mode } from "../../lab/client.ts";
import { CLIENTS, type Discovery } from "../../lab/lab.ts";
import type { Row } from "./row.ts";

/** As a leecher alone. */
const LEECHER = "biglybt";
const ALL_NAMES = Object.keys(CLIENTS).filter((name) => name !== LEECHER);
const NEWER = ALL_NAMES.filter((name) => name.endsWith("(trixie)"));
/** Of this system, for pairs with each other: those that speak encrypted and serve each other. */
const OWN = ALL_NAMES.filter((name) => !NEWER.includes(name));
const RARE = ["ktorrent", "webtorrent", "ctorrent"];
const COMMON = OWN.filter((name) => !RARE.includes(name));
/** Peers given directly, nothing in the clear: fan-out is the only evidence. */
const SWARM = 4;

function same(client: string, mode: Mode, discovery: Discovery, more: Partial<Row> = {}): Row {
  return { seeder: client, leecher: client, mode, discovery, family: 4, seeders: 1, ...more };
}

/** Every client in every mode it can be forced into, a swarm given directly. */
const direct = [
  ...ALL_NAMES.flatMap((client) =>
    CLIENTS[client].modes.map((mode) => same(client, mode, "direct", { seeders: SWARM }))
  ),
  ...["libtorrent", "transmission", "aria2"].flatMap((seeder) =>
    CLIENTS[LEECHER].modes.map((mode) => ({
      ...same(seeder, mode, "direct", { seeders: SWARM }),
      leecher: LEECHER,
    }))
  ),
];

/** Every pair of different clients; no tracker crosses the gateway, its answer would be enough. */
function pairs(mode: Mode, seeders: number): Row[] {
  return COMMON.flatMap((seeder) =>
    COMMON.filter((leecher) => leecher !== seeder)
      .map((leecher) => ({ ...same(seeder, mode, "direct", { seeders }), leecher }))
  );
}

/** Every other way to find peers, with the client's defaults. */
const discoveries = [
  ...COMMON.flatMap((client) =>
    (["http", "udp", "magnet", "dht"] as const)
      .map((discovery) => same(client, "default", discovery))
  ),
  ...RARE.map((client) => same(client, "tcp", "http")),
  same("webtorrent", "default", "websocket"),
];

/** Debian's deluged does not connect over IPv6, ctorrent cannot. */
const WITHOUT_IPV6 = ["deluge", "ctorrent", ...NEWER];
const ipv6 = ALL_NAMES.filter((client) => !WITHOUT_IPV6.includes(client)).flatMap((client) =>
  CLIENTS[client].modes.filter((mode) => mode !== "default")
    .map((mode) => same(client, mode, "direct", { family: 6, seeders: SWARM }))
);

/** One encrypted peer and nothing else that could show what it is; and where all such are dropped. */
const lone = ALL_NAMES.flatMap((client) =>
  CLIENTS[client].modes.filter((mode) => mode.startsWith("mse"))
    .map((mode) => same(client, mode, "direct"))
);
const strict = lone.map((row): Row => ({ ...row, settings: { POLICY: "strict" } }));

/** Whose seeders are slow, on a link or by themselves, as most peers of the internet are. */
const SLOW = [
  ...["transmission", "aria2", "rtorrent", "libtorrent", "ktorrent"],
  ...["transmission (trixie)", "aria2 (trixie)"],
];
const RESET = { RESET_OLDER: "true" };
const slow = SLOW.flatMap((client) =>
  // KTorrent is told no limit.
  (client === "ktorrent" ? ["link" as const] : ["link", "client"] as const).flatMap((by) => {
    const rate = { bytesPerSecond: by === "link" ? 50_000 : 100_000, by };
    const swarm = (more: Partial<Row>) =>
      same(client, "mse-rc4", "direct", { seeders: SWARM, rate, ...more });
    const running = { midTransfer: true };
    return [swarm({}), swarm(running), swarm({ ...running, settings: RESET })];
  })
);

/** And each of them as the only peer. */
const loneAndSlow = SLOW.map((client) =>
  same(client, "mse-rc4", "direct", { rate: { bytesPerSecond: 50_000, by: "link" } })
);

/** Transfers that were running when the blocker started. */
const running = OWN.flatMap((client) =>
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

/** The negotiation with a proxy is no part of what is behind it; libtorrent's goes through it in UDP too. */
const proxied = (["socks5", "http-connect"] as const).flatMap((proxy) => [
  ...(["default", "tcp", "mse-rc4", "utp-mse"] as const)
    .filter((mode) => proxy === "socks5" || !mode.startsWith("utp"))
    .map((mode) => same("libtorrent", mode, "direct", { seeders: SWARM, proxy })),
  ...["qbittorrent", "aria2", "transmission", "deluge"]
    .map((client) => same(client, "mse-rc4", "direct", { seeders: SWARM, proxy })),
  ...["libtorrent", "qbittorrent"].flatMap((client) => [
    same(client, "mse-rc4", "direct", { proxy }),
    same(client, "mse-rc4", "direct", { seeders: SWARM, proxy, family: 6 }),
  ]),
]);

/** Old and new together. */
const mixed = ["transmission", "aria2", "qbittorrent"].flatMap((client) => [
  { ...same(client, "mse-rc4", "direct", { seeders: SWARM }), leecher: `${client} (trixie)` },
  { ...same(client, "mse-rc4", "direct", { seeders: SWARM }), seeder: `${client} (trixie)` },
]);

/** What is most worth knowing first: a matrix may be given less time than it needs. */
export const ALL_ROWS: readonly Row[] = [
  ...direct,
  ...lone,
  ...proxied,
  ...slow,
  ...loneAndSlow,
  ...pairs("mse-rc4", SWARM),
  ...mixed,
  ...discoveries,
  ...running,
  ...strict,
  ...pairs("tcp", 1),
  ...ipv6,
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
