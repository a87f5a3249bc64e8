import type { Program } from "../../../src/demo/program.ts";
import { PATIENCE_MS } from "../../until.ts";
import { type Client, type ClientOptions, prepare, refuse, RunningClient } from "../client.ts";

const RPC = "127.0.0.1:9091";

/** transmission-daemon. As leecher it needs 10 to 16 s whatever the size. */
export const transmission: Client = {
  name: "transmission",
  program: "transmission-daemon",
  modes: ["tcp", "mse-rc4", "utp", "utp-mse", "default"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    const utp = mode === "utp" || mode === "utp-mse";
    const settings = {
      "cache-size-mb": 0, // write at once: the content is judged on the disk
      "dht-enabled": options.dht !== undefined,
      "download-dir": `${directory}/data`,
      // 0 prefers plaintext, 1 prefers encryption (the default), 2 demands it
      "encryption": mode === "default" ? 1 : mode.includes("mse") ? 2 : 0,
      "lpd-enabled": false,
      "peer-port": port,
      "pex-enabled": true,
      "port-forwarding-enabled": false,
      "rename-partial-files": false,
      "rpc-whitelist-enabled": false,
      "rpc-bind-address": "127.0.0.1",
      "speed-limit-up": Math.ceil((options.uploadLimit ?? 0) / 1000),
      "speed-limit-up-enabled": options.uploadLimit !== undefined,
      "utp-enabled": utp || mode === "default",
    };
    await Deno.writeTextFile(`${directory}/settings.json`, JSON.stringify(settings));
    if (utp) await refuse(host, "tcp");
    const program = host.spawn(
      ["transmission-daemon", "--foreground", "--config-dir", directory, "--log-error"],
      { log: `${directory}/log` },
    );
    const remote = ["transmission-remote", RPC];
    await retry(() => host.run([...remote, "--session-info"], 20_000), PATIENCE_MS);
    await host.run([...remote, "--add", options.magnet ? options.torrent.magnet : torrent]);
    if (options.role === "seed") {
      const status = async () => {
        const text = await host.run([...remote, "-t", "1", "--info"]);
        if (!text.includes("Percent Done: 100%")) throw new Error(`not seeding yet:\n${text}`);
      };
      await retry(status, PATIENCE_MS);
    }
    return new RunningClient(options, program);
  },
};

/** Repeats `attempt` until it succeeds; throws its last failure when the time is up, or `program` has ended. */
export async function retry<T>(
  attempt: () => Promise<T>,
  timeoutMs: number,
  program?: Program,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (true) {
    try {
      return await attempt();
    } catch (cause) {
      if (performance.now() > deadline || program?.exit != null) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
