import { type Client, type ClientOptions, prepare, RunningClient } from "../client.ts";

/** aria2: no uTP, and MSE is tried first unless the other side connects. */
export const aria2: Client = {
  name: "aria2",
  program: "aria2c",
  modes: ["tcp", "mse-rc4", "mse-plain", "default"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    const encryption = {
      "tcp": ["--bt-require-crypto=false"],
      "mse-rc4": [
        "--bt-require-crypto=true",
        "--bt-force-encryption=true",
        "--bt-min-crypto-level=arc4",
      ],
      "mse-plain": ["--bt-require-crypto=true", "--bt-min-crypto-level=plain"],
      "default": [],
      "utp": null,
      "utp-mse": null,
    }[mode];
    if (encryption === null) throw new RangeError(`aria2 has no uTP (${mode})`);
    // It uses UDP trackers only with DHT.
    const udpTracker = options.torrent.magnet.includes("tr=udp");
    const dht = options.dht !== undefined || udpTracker;
    const program = host.spawn([
      "aria2c",
      "--no-conf",
      `--dir=${directory}/data`,
      `--listen-port=${port}`,
      `--dht-listen-port=${port}`,
      `--dht-file-path=${directory}/dht.dat`,
      `--enable-dht=${dht}`,
      ...(options.dht ?? []).slice(0, 1).map((n) => `--dht-entry-point=${n.host}:${n.port}`),
      "--enable-dht6=false",
      "--bt-enable-lpd=false",
      "--enable-peer-exchange=true",
      "--disk-cache=0",
      "--file-allocation=none",
      "--follow-torrent=mem",
      "--seed-ratio=0.0",
      "--check-integrity=true",
      "--bt-tracker-connect-timeout=5",
      "--bt-tracker-timeout=5",
      "--bt-stop-timeout=0",
      "--summary-interval=0",
      "--console-log-level=notice",
      ...(options.uploadLimit ? [`--max-overall-upload-limit=${options.uploadLimit}`] : []),
      ...encryption,
      options.magnet ? options.torrent.magnet : torrent,
    ], { log: `${directory}/log` });
    if (options.role === "seed") {
      await program.printedMatch(/(Seeding is|Download complete|Verification finished)/i, 10_000)
        .catch(() => {/* older versions print nothing before the first peer */});
    }
    return new RunningClient(options, program);
  },
};
