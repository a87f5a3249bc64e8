import { PATIENCE_MS } from "../../until.ts";
import { type Client, type ClientOptions, prepare, RunningClient } from "../client.ts";
import { retry } from "./transmission.ts";

const WEB_PORT = 8080;

/** qbittorrent-nox; with encryption forced it always uses RC4. */
export const qbittorrent: Client = {
  name: "qbittorrent",
  program: "qbittorrent-nox",
  modes: ["tcp", "mse-rc4", "utp", "utp-mse", "default"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    const session: Record<string, string | number | boolean> = {
      DHTEnabled: options.dht !== undefined,
      LSDEnabled: false,
      PeXEnabled: true,
      Port: port,
      DefaultSavePath: `${directory}/data`,
      QueueingSystemEnabled: false,
      UseRandomPort: false,
      MultiConnectionsPerIp: true,
      SSRFMitigation: false,
      ...(options.uploadLimit ? { GlobalUPSpeedLimit: Math.ceil(options.uploadLimit / 1024) } : {}),
    };
    if (mode !== "default") {
      session.BTProtocol = mode.startsWith("utp") ? "UTP" : "TCP";
      session.Encryption = mode.includes("mse") ? 1 : 2;
    }
    await Deno.mkdir(`${directory}/qBittorrent/config`, { recursive: true });
    await Deno.writeTextFile(
      `${directory}/qBittorrent/config/qBittorrent.conf`,
      [
        "[LegalNotice]",
        "Accepted=true",
        "[Preferences]",
        "WebUI\\LocalHostAuth=false",
        `WebUI\\Port=${WEB_PORT}`,
        "WebUI\\Address=127.0.0.1",
        "Connection\\UPnP=false",
        "[BitTorrent]",
        ...Object.entries(session).map(([key, value]) => `Session\\${key}=${value}`),
        "",
      ].join("\n"),
    );
    const program = host.spawn(["qbittorrent-nox", `--profile=${directory}`], {
      log: `${directory}/log`,
      env: { HOME: directory },
    });
    const api = (path: string, ...more: string[]) =>
      host.run(
        ["curl", "-sf", "-m", "20", `http://127.0.0.1:${WEB_PORT}/api/v2/${path}`, ...more],
      );
    await retry(() => api("app/version"), PATIENCE_MS);
    await api(
      "torrents/add",
      "-F",
      options.magnet ? `urls=${options.torrent.magnet}` : `torrents=@${torrent}`,
      "-F",
      `savepath=${directory}/data`,
    );
    if (options.role === "seed") {
      const state = async () => {
        const info = await api("torrents/info");
        if (!/"state":"(stalledUP|uploading)"/.test(info)) throw new Error(`not seeding: ${info}`);
      };
      await retry(state, PATIENCE_MS);
    }
    return new RunningClient(options, program);
  },
};
