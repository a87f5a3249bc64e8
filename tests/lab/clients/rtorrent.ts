import { type Client, type ClientOptions, prepare, RunningClient } from "../client.ts";

/** rtorrent: no uTP; it refuses a torrent without a tracker. */
export const rtorrent: Client = {
  name: "rtorrent",
  program: "rtorrent",
  modes: ["tcp", "mse-rc4", "mse-plain", "default"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    const encryption = {
      "tcp": "none",
      "mse-rc4": "allow_incoming,try_outgoing,require,require_RC4",
      "mse-plain": "allow_incoming,try_outgoing,require,prefer_plaintext",
      "default": null,
      "utp": undefined,
      "utp-mse": undefined,
    }[mode];
    if (encryption === undefined) throw new RangeError(`rtorrent has no uTP (${mode})`);
    await Deno.mkdir(`${directory}/session`);
    const rc = [
      `directory.default.set = ${directory}/data`,
      `session.path.set = ${directory}/session`,
      `network.port_range.set = ${port}-${port}`,
      "network.port_random.set = no",
      "trackers.use_udp.set = yes",
      "system.daemon.set = true",
      ...(options.dht === undefined
        ? ["dht.mode.set = disable"]
        : ["dht.mode.set = on", `dht.port.set = ${port}`]),
      ...(encryption === null ? [] : [`protocol.encryption.set = ${encryption}`]),
      ...(options.uploadLimit
        ? [`throttle.global_up.max_rate.set_kb = ${Math.ceil(options.uploadLimit / 1024)}`]
        : []),
      ...(options.dht ?? []).map((n) =>
        `schedule2 = dht, 3, 0, "dht.add_node=${n.host}:${n.port}"`
      ),
      options.magnet
        ? `schedule2 = add, 1, 0, "load.start=\\"${options.torrent.magnet}\\""`
        : `schedule2 = add, 1, 0, "load.start=${torrent}"`,
    ];
    await Deno.writeTextFile(`${directory}/rc`, rc.join("\n") + "\n");
    const program = host.spawn(["rtorrent", "-n", "-o", `import=${directory}/rc`], {
      log: `${directory}/log`,
      env: { TERM: "xterm", HOME: directory },
    });
    // It is silent as a daemon; a seeder has checked a file this small by then.
    await new Promise((resolve) => setTimeout(resolve, options.role === "seed" ? 3_000 : 1_000));
    return new RunningClient(options, program);
  },
};
