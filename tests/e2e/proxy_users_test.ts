/**
 * A proxy server with two users, one of whom torrents through it: real shadowsocks-libev, the blocker
 * on the server itself (docs/proxy-output.md). The one gets nothing; the other notices nothing.
 * PROXY_SECONDS=600 for the long form.
 */
import assert from "node:assert/strict";
import type { Host } from "../../src/demo/network.ts";
import { randomBytes } from "../../src/demo/torrent.ts";
import { startFileServer } from "../lab/file_server.ts";
import { CLIENTS, Lab, labImpossible, programPresent, startSwarm } from "../lab/lab.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

const NEEDED = ["ss-server", "ss-local", "curl", "python3"];
const missing = NEEDED.filter((program) => !programPresent(program));
const impossible = labImpossible() ?? (missing.length > 0 ? `needs ${missing.join(", ")}` : null);
if (impossible !== null) console.log(`tests/e2e/proxy_users_test.ts: skipped: ${impossible}`);

const SECONDS = Number(Deno.env.get("PROXY_SECONDS") ?? 12);
const PROXY_PORT = 18_388;
const SECRET = ["-p", String(PROXY_PORT), "-k", "laboratory", "-m", "aes-256-gcm"];
const WEB_PORT = 8_000;
const FILE_LENGTH = 200_000;

/** Starts the user's own end of the proxy. */
async function useProxy(user: Host, server: string): Promise<void> {
  user.spawn(["ss-local", "-s", server, "-b", "127.0.0.1", "-l", "1080", ...SECRET]);
  const isThere = ["bash", "-c", "</dev/tcp/127.0.0.1/1080"];
  await until(() => user.run(isThere).then(() => true, () => false));
}

Deno.test({
  name: "proxy server: who torrents through it gets nothing, its other user notices nothing",
  ignore: impossible !== null,
  async fn() {
    await using lab = await Lab.create({ outer: 2 });
    const { router, inner: torrenter, outer: [seeder, neighbour] } = lab;
    router.spawn(["ss-server", "-s", "0.0.0.0", ...SECRET]);
    const address = (host: Host) => host.ipv4.replace(/\d+$/, "1");
    await useProxy(torrenter, address(torrenter));
    await useProxy(neighbour, address(neighbour));
    const file = `${lab.directory}/file`;
    await Deno.writeFile(file, randomBytes(FILE_LENGTH));
    await startFileServer(lab.network, seeder, WEB_PORT, file);
    const browse = async () => {
      const length = await neighbour.run([
        ...["curl", "-sf", "-m", "20", "--socks5", "127.0.0.1:1080", "-o", "/dev/null"],
        ...["-w", "%{size_download}", `http://${seeder.ipv4}:${WEB_PORT}/`],
      ], 30_000);
      assert.equal(Number(length), FILE_LENGTH);
    };
    const swarm = (length: number) =>
      startSwarm(lab, {
        ...{ seeder: CLIENTS.libtorrent, leecher: CLIENTS.libtorrent, mode: "tcp" },
        ...{
          discovery: "direct",
          length,
          proxy: { kind: "socks5", host: "127.0.0.1", port: 1080 },
        },
      });

    const free = await swarm(1 << 20);
    assert.equal(await free.leecher.completed(30_000), 1 << 20, "the proxy works for torrents");
    for (const client of [free.leecher, ...free.seeders]) await client.stop();
    await browse();

    const interfaces = lab.network.hosts.map((host) => host.routerInterface);
    const settings = { CHAINS: "INPUT,OUTPUT", QUEUE_COUNT: "1" };
    const blocker = await Blocker.start(router, interfaces, lab.directory, settings);
    const blocked = await swarm(1 << 20);
    const end = performance.now() + SECONDS * 1000;
    let pages = 0;
    while (performance.now() < end) {
      await browse();
      pages++;
    }
    assert.equal(await blocked.leecher.verifiedBytes(), 0, "of the torrent through the proxy");
    const detections = await blocker.detections();
    assert(detections.length > 0, "nothing was detected");
    for (const { src_ip, dest_ip } of detections as unknown as Record<string, string>[]) {
      assert(![src_ip, dest_ip].includes(neighbour.ipv4), "the other user was detected");
    }
    const banned = (await blocker.command("bans", "list", "--json")).trim();
    for (const host of [neighbour, torrenter]) {
      assert(!banned.includes(`"${host.ipv4}"`), `${host.name} is banned: ${banned}`);
    }
    console.log(`${pages} pages in ${SECONDS} s, ${detections.length} detections`);
    assert.equal((await blocker.stop()).code, 0);
  },
});
