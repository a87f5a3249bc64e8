#!/usr/bin/env -S deno run -A
// One WebTorrent client with one torrent, driven by a JSON object in its argument:
// torrent: path of a .torrent, or magnet; directory; port; secure: MSE; seed; uploadLimit: bytes/s;
// peers: "address:port", given directly and again while there are none. Prints `ready`, then events.

import { readFileSync } from "node:fs";
import WebTorrent from "webtorrent";

const order = JSON.parse(process.argv[2]);
const client = new WebTorrent({
  ...{ dht: false, lsd: false, natUpnp: false, natPmp: false, utp: false },
  ...{ secure: order.secure, torrentPort: order.port, uploadLimit: order.uploadLimit ?? -1 },
});
client.on("error", (error) => console.log("error", error));
const source = order.magnet ?? readFileSync(order.torrent);
const torrent = client.add(source, { path: order.directory, addUID: false });
torrent.on("warning", (warning) => console.log("warning", String(warning)));
torrent.on("wire", (wire, address) => console.log("wire", wire.type, address));
torrent.on("done", () => console.log("done"));
// A seeder has checked its file when it serves.
const ready = () => console.log("ready");
if (order.seed) torrent.on("done", ready);
else if (order.magnet) torrent.on("infoHash", ready);
else torrent.on("ready", ready);
setInterval(() => {
  if (torrent.numPeers > 0) return;
  for (const peer of order.peers ?? []) torrent.addPeer(peer);
}, 1000);
