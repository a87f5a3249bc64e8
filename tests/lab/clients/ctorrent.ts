import { type Client, type ClientOptions, contentPath, prepare, RunningClient } from "../client.ts";

/** Enhanced CTorrent, of 2008: plain TCP, no extension protocol, IPv4 alone. */
export const ctorrent: Client = {
  name: "ctorrent",
  program: "ctorrent",
  modes: ["tcp"],
  takesPeers: false,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, port } = options;
    const torrent = await prepare(options);
    const isSeeder = options.role === "seed";
    // It reads the keyboard; with its input at the end it never waits for its peers.
    const script = 'exec tail -f /dev/null | ctorrent "$@"';
    const program = host.spawn([
      ...["sh", "-c", script, "ctorrent"],
      ...["-p", String(port), "-s", contentPath(options), "-C", "0"],
      ...(options.uploadLimit ? ["-U", String(Math.ceil(options.uploadLimit / 1024))] : []),
      ...(isSeeder ? ["-f"] : []),
      torrent,
    ], { log: `${directory}/log`, cwd: directory, env: { HOME: directory } });
    await program.printedMatch(isSeeder ? /Seed|seed|Total/ : /Total|\n/);
    return new RunningClient(options, program);
  },
};
