import { type Client, type ClientOptions, delay, prepare, RunningClient } from "../client.ts";

/**
 * KTorrent, without a display: told over a session bus of its own. Its MSE padding is a buffer that
 * nobody fills, its third message comes in three pieces.
 */
export const ktorrent: Client = {
  name: "ktorrent",
  program: "ktorrent",
  modes: ["tcp", "mse-rc4"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    for (const name of ["home", "data"]) {
      await Deno.mkdir(`${directory}/${name}`, { recursive: true, mode: 0o700 });
    }
    // KDE's sockets stand in it, and a socket's path is short; the shell takes it away.
    const runtime = await Deno.makeTempDir({ prefix: "kt" });
    const isEncrypted = mode === "mse-rc4";
    const settings = [
      ["setPort", "int32", port],
      ["setSaveDir", "string", `${directory}/data`],
      ["setUseSaveDir", "boolean", true],
      ["setDhtSupport", "boolean", false],
      ["setUtpEnabled", "boolean", false],
      ["setUseEncryption", "boolean", isEncrypted],
      ["setAllowUnencryptedConnections", "boolean", !isEncrypted],
    ];
    const call = "dbus-send --session --print-reply --dest=org.kde.ktorrent";
    const script = [
      `trap 'rm -rf ${runtime}' EXIT`,
      "ktorrent &",
      `for i in $(seq 100); do ${call} /core org.freedesktop.DBus.Peer.Ping && break; sleep 0.2; done`,
      ...settings.map(([name, type, value]) =>
        `${call} /settings org.ktorrent.settings.${name} ${type}:${value}`
      ),
      `${call} /settings org.ktorrent.settings.apply`,
      `${call} /core org.ktorrent.core.loadSilently string:${torrent} string:`,
      "sleep 1",
      `hash=$(${call} /core org.ktorrent.core.torrents | sed -n 's/.*string "\\(.*\\)"/\\1/p' | head -1)`,
      `${call} /core org.ktorrent.core.start string:$hash`,
      "echo started $hash",
      "wait",
    ];
    const program = host.spawn(["dbus-run-session", "--", "sh", "-c", script.join("\n")], {
      log: `${directory}/log`,
      env: {
        HOME: `${directory}/home`,
        XDG_RUNTIME_DIR: runtime,
        QT_QPA_PLATFORM: "offscreen",
        PATH: Deno.env.get("PATH")!,
      },
    });
    await program.printedMatch(/^started \S/m, 60_000);
    // A seeder checks its file when it is started.
    if (options.role === "seed") await delay(3_000);
    return new RunningClient(options, program);
  },
};
