#!/usr/bin/env -S deno run -A
// A WebSocket tracker (WebTorrent's own), port in its argument; prints `ready`.
import { Server } from "bittorrent-tracker";

const server = new Server({ http: false, udp: false, ws: true, stats: false });
server.on("warning", (warning) => console.log("warning", String(warning)));
server.on("start", (address) => console.log("start", address));
server.on("update", (address) => console.log("update", address));
server.listen(Number(process.argv[2]), "0.0.0.0", () => console.log("ready"));
