import type { Host } from "../../../src/demo/network.ts";
import { type Client, type ClientOptions, prepare, refuse, RunningClient } from "../client.ts";
import { retry } from "./transmission.ts";

const DAEMON_PORT = 58_846;
/** The console needs seconds to start, on a busy machine many. */
const CONSOLE_MS = 120_000;

/** deluged, told what to do by deluge-console. */
export const deluge: Client = {
  name: "deluge",
  program: "deluged",
  modes: ["tcp", "mse-rc4", "mse-plain", "utp", "utp-mse", "default"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port } = options;
    const torrent = await prepare(options);
    const encrypted = mode.includes("mse");
    const core = {
      daemon_port: DAEMON_PORT,
      dht: options.dht !== undefined,
      download_location: `${directory}/data`,
      listen_ports: [port, port],
      listen_random_port: null,
      random_port: false,
      lsd: false,
      natpmp: false,
      upnp: false,
      utpex: true,
      new_release_check: false,
      pre_allocate_storage: false,
      ...(mode === "default" ? {} : {
        enc_in_policy: encrypted ? 0 : 2,
        enc_out_policy: encrypted ? 0 : 2,
        enc_level: mode === "mse-plain" ? 0 : 1, // 0 handshake only, 1 full stream
      }),
      ...(options.uploadLimit ? { max_upload_speed: options.uploadLimit / 1024 } : {}),
    };
    await Deno.writeTextFile(
      `${directory}/core.conf`,
      `{"file": 1, "format": 1}${JSON.stringify(core)}`,
    );
    if (mode.startsWith("utp")) await refuse(host, "tcp");
    else if (mode !== "default") await refuse(host, "udp");
    const program = host.spawn(["deluged", "-d", "-c", directory, "-L", "info"], {
      log: `${directory}/log`,
      env: { HOME: directory },
    });
    const console = (order: string) => orderConsole(host, directory, order);
    await program.printedMatch(/(Listening|listening|Starting|ready)/);
    const what = options.magnet ? options.torrent.magnet : torrent;
    const added = async () => {
      const info = await console(`add -p ${directory}/data "${what}"; info`);
      if (!info.includes(options.torrent.infoHash)) throw new Error(`not added: ${info}`);
      return info;
    };
    await retry(added, CONSOLE_MS, program);
    if (options.role === "seed") {
      const seeding = async () => {
        const info = await console("info");
        if (!/^\[S\]/m.test(info)) throw new Error(`not seeding: ${info}`);
      };
      await retry(seeding, CONSOLE_MS, program);
    }
    return new RunningClient(options, program);
  },
};

/**
 * Gives the console an order and what it prints. As a program of the lab, which ends it with the rest
 * when the test is over before: left alone it waits for its daemon for ever, with what it inherited.
 */
async function orderConsole(host: Host, directory: string, order: string): Promise<string> {
  const console = host.spawn(["deluge-console", "-c", directory, order], {
    env: { HOME: directory },
  });
  const timer = setTimeout(() => console.kill("SIGKILL"), CONSOLE_MS);
  const { success } = await console.status;
  clearTimeout(timer);
  if (!success) throw new Error(`deluge-console "${order}" has failed: ${console.text()}`);
  return console.text();
}
