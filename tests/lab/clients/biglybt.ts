import { bencode } from "../../../src/demo/bencode.ts";
import { type Client, type ClientOptions, prepare, RunningClient } from "../client.ts";

const JARS = ["biglybt-core", "biglybt-ui", "commons-cli", "bcprov", "swt4"];
const CLASSPATH = JARS.map((name) => `/usr/share/java/${name}.jar`).join(":");
/** It is slow to start, on a busy machine very. */
const PATIENCE_MS = 120_000;

/**
 * BiglyBT (Azureus) with its console in place of a display. Debian's has no plugins, so no uTP or
 * DHT. As a leecher alone: as a seeder it serves nobody here.
 */
export const biglybt: Client = {
  name: "biglybt",
  program: "biglybt",
  modes: ["tcp", "mse-rc4"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port, role } = options;
    if (role === "seed") throw new RangeError("biglybt is no seeder here");
    const torrent = await prepare(options);
    await Deno.mkdir(`${directory}/config`);
    const config = {
      "TCP.Listen.Port": port,
      "UDP.Listen.Port": port,
      "UDP.NonData.Listen.Port": port,
      "Server Enable UDP": 0,
      "Use default data dir": 1,
      "General_sDefaultSave_Directory": `${directory}/data`,
      "diskmanager.perf.cache.enable": 0,
      "update.start": 0,
      "update.periodic": 0,
      "network.transport.encrypted.require": mode === "mse-rc4" ? 1 : 0,
      "network.transport.encrypted.min_level": "RC4",
      "network.transport.encrypted.fallback.outgoing": 0,
      "network.transport.encrypted.fallback.incoming": 0,
    };
    await Deno.writeFile(`${directory}/config/biglybt.config`, bencode(config));
    const log = `${directory}/log`;
    // The console takes orders when the core runs, and ends with its input.
    const orders = [
      `until grep -q "BiglyBT started" ${log}; do sleep 0.2; done; sleep 1`,
      `echo "add -o ${directory}/data ${torrent}"`,
      "while sleep 1; do echo show torrents; done",
    ];
    const java = [
      ...["java", "-Xmx256m", `-Duser.home=${directory}`, "-Djava.security.manager=allow"],
      ...["--add-opens", "java.base/java.net=ALL-UNNAMED", "-cp", CLASSPATH],
      `-Dazureus.install.path=/usr/share/biglybt`,
      ...[`-Dazureus.config.path=${directory}/config`, "com.biglybt.ui.Main", "--ui=console"],
    ];
    const script = `(${orders.join("; ")}) | exec "$@"`;
    const program = host.spawn(["sh", "-c", script, "sh", ...java], {
      log,
      env: { HOME: directory },
    });
    await program.printedMatch(/%\s+sample\.bin/, PATIENCE_MS);
    return new RunningClient(options, program);
  },
};
