import { WEBTORRENT } from "../cache.ts";
import { type Client, type ClientOptions, contentPath, prepare, RunningClient } from "../client.ts";

/** WebTorrent: over TCP, and over WebRTC with peers that a WebSocket tracker names. */
export const webtorrent: Client = {
  name: "webtorrent",
  program: WEBTORRENT,
  modes: ["tcp", "mse-rc4"],
  takesPeers: true,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    const order = {
      ...(options.magnet ? { magnet: options.torrent.magnet } : { torrent }),
      ...{ port, seed: options.role === "seed", secure: mode === "mse-rc4" },
      directory: contentPath(options).replace(/\/[^/]*$/, ""),
      uploadLimit: options.uploadLimit,
      peers: options.peers?.map((peer) =>
        peer.host.includes(":") ? `[${peer.host}]:${peer.port}` : `${peer.host}:${peer.port}`
      ),
    };
    const script = [Deno.execPath(), "run", "--quiet", "-A", WEBTORRENT];
    const program = host.spawn([...script, JSON.stringify(order)], { log: `${directory}/log` });
    await program.printedMatch(/^ready/m);
    return new RunningClient(options, program);
  },
};
