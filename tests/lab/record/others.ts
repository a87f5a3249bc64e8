/** Recordings of real programs that are not BitTorrent, and of a host that does both. */

import { CLIENTS, startSwarm } from "../lab.ts";
import { ALL_CONVERSATIONS } from "../programs/all.ts";
import type { Scenario } from "./scenario.ts";

/** The conversations that a torrenting host has beside it; their flows must stay untouched. */
const BESIDE = ["openssl-tls", "http-pages-about-bittorrent", "quic-ngtcp2"];

const mixed: Scenario = {
  name: "libtorrent-mse-rc4-beside-others",
  source: "libtorrent to libtorrent, mse-rc4, http tracker; then openssl, nginx, ngtcp2 beside it",
  outer: 3,
  truth: { evidence: true },
  async run(lab) {
    const client = CLIENTS.libtorrent;
    const swarm = await startSwarm(lab, {
      seeder: client,
      leecher: client,
      mode: "mse-rc4",
      discovery: "http",
      length: 65_536,
    });
    const bytes = await swarm.leecher.completed(30_000);
    if (bytes !== swarm.torrent.content.length) throw new Error(`only ${bytes} bytes arrived`);
    for (const conversation of ALL_CONVERSATIONS) {
      if (BESIDE.includes(conversation.name)) await conversation.run(lab);
    }
  },
};

export const OTHERS: readonly Scenario[] = [
  ...ALL_CONVERSATIONS.map((conversation): Scenario => ({
    name: conversation.name,
    source: conversation.programs.join(", "),
    outer: 1,
    // Peers' ports are used on purpose: nothing here is BitTorrent, whatever the port says.
    truth: { clean: true },
    run: (lab) => conversation.run(lab),
  })),
  mixed,
];
