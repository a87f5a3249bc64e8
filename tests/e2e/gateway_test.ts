/**
 * Real clients through the gateway, with and without the blocker (issue: a real torrent is stopped
 * by an inline gateway).
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Network } from "../../src/demo/network.ts";
import { randomBytes } from "../../src/demo/torrent.ts";
import type { Mode } from "../lab/client.ts";
import { startFileServer } from "../lab/file_server.ts";
import {
  CLIENTS,
  type Discovery,
  Lab,
  labImpossible,
  programPresent,
  startSwarm,
} from "../lab/lab.ts";
import { PATIENCE_MS, until } from "../until.ts";
import { banKey, Blocker } from "./blocker.ts";

const impossible = labImpossible();
if (impossible !== null) console.log(`tests/e2e: skipped: ${impossible}`);

const DOWNLOAD_LENGTH = 50 << 20;
const DOWNLOAD_PORT = 8_000;

interface Case {
  client: string;
  mode: Mode;
  discovery: Discovery;
  family: 4 | 6;
  /** At least; as long as the client needed without the blocker where that was longer. */
  waitMs: number;
}

const CASES: readonly Case[] = [
  { client: "transmission", mode: "tcp", discovery: "http", family: 4, waitMs: 20_000 },
  { client: "aria2", mode: "tcp", discovery: "udp", family: 4, waitMs: 10_000 },
  { client: "transmission", mode: "tcp", discovery: "http", family: 6, waitMs: 20_000 },
];

for (const { client, mode, discovery, family, waitMs } of CASES) {
  const driver = CLIENTS[client];
  const missing = impossible === null && !programPresent(driver.program);
  Deno.test({
    name: `gateway: ${client}, ${discovery} tracker, IPv${family}: ` +
      `completes without, gets nothing with btblocker${missing ? ` (${client} missing)` : ""}`,
    ignore: impossible !== null || missing,
    async fn() {
      await using lab = await Lab.create({ outer: 4 });
      const options = { seeder: driver, leecher: driver, mode, discovery, family };
      const free = await startSwarm(lab, options);
      const began = performance.now();
      assert.equal(await free.leecher.completed(PATIENCE_MS * 3), free.torrent.content.length);
      const tryMs = Math.max(waitMs, 1.5 * (performance.now() - began));
      for (const one of [free.leecher, ...free.seeders]) await one.stop();
      for (const one of free.trackers) await one.stop();

      const interfaces = lab.network.hosts.map((host) => host.routerInterface);
      const start = performance.now();
      const blocker = await Blocker.start(lab.router, interfaces, lab.directory);
      // Starting is the longer work: where it takes long, the machine is slow.
      const stopLimitMs = Math.max(5_000, 3 * (performance.now() - start));
      const download = downloadBeside(lab, family);
      const blocked = await startSwarm(lab, options);
      assert.equal(await blocked.leecher.completed(tryMs), 0, "bytes arrived");
      await download;
      const detections = await blocker.detections();
      assert.ok(detections.length > 0, `nothing detected\n${blocker.log}`);
      assert.match(blocker.log, /\[DETECT\]/);

      const banned = await blocker.banned();
      assert.ok(banned.size > 0, "nobody banned");
      for (const address of banned) {
        assert.ok(
          await blocker.kernelBan(banKey(address)),
          `${address} is not in the kernel's map`,
        );
        const isDropped = async () => (await blocker.kernelBan(banKey(address)))!.packets > 0n;
        await until(isDropped, () => `XDP has dropped nothing from ${address}`);
      }
      const strangers = lab.outer.slice(1, 3).map((host) => family === 4 ? host.ipv4 : host.ipv6);
      for (const address of strangers) assert.ok(!banned.has(address), `${address} is banned`);
      for (const host of [lab.inner, ...lab.outer]) {
        const address = family === 4 ? host.ipv4 : host.ipv6;
        const known = await blocker.kernelBan(banKey(address)) !== null;
        assert.equal(known, banned.has(address), `${address} in the kernel's map`);
      }

      const stopped = await blocker.stop();
      assert.equal(stopped.code, 0, blocker.log);
      assert.ok(stopped.milliseconds < stopLimitMs, `stopping took ${stopped.milliseconds} ms`);
      assert.deepEqual(await Blocker.leftovers(lab.router), []);
    },
  });
}

/** 50 MB over HTTP between two hosts that have nothing to do with the torrent. */
async function downloadBeside(lab: Lab, family: 4 | 6): Promise<void> {
  const [, client, server] = lab.outer;
  const content = randomBytes(DOWNLOAD_LENGTH);
  const file = `${lab.directory}/download`;
  await Deno.writeFile(file, content);
  await startFileServer(lab, server, DOWNLOAD_PORT, file);
  const address = family === 4 ? server.ipv4 : `[${server.ipv6}]`;
  const received = `${lab.directory}/downloaded`;
  const url = `http://${address}:${DOWNLOAD_PORT}/`;
  await client.run(["curl", "-sf", "-m", "300", "-o", received, url], 310_000);
  const checksum = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(checksum(await Deno.readFile(received)), checksum(content));
}

Deno.test({
  name: "gateway: a ban drops the address and not the one with its bytes reversed",
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("bt");
    const host = await network.addHost("host", { ipv4: "10.9.1.2", ipv6: "2001:db8:1::2" });
    const reversed = await network.addHost("reversed", { ipv4: "2.1.9.10" });
    const server = await network.addHost("server");
    const interfaces = network.hosts.map((one) => one.routerInterface);
    const blocker = await Blocker.start(network.router, interfaces, network.directory);
    const file = `${network.directory}/file`;
    await Deno.writeTextFile(file, "hello");
    await startFileServer(network, server, DOWNLOAD_PORT, file);
    const reaches = async (from: typeof host, to: string, seconds = 30) => {
      const url = `http://${to.includes(":") ? `[${to}]` : to}:${DOWNLOAD_PORT}/`;
      const answer = from.run(["curl", "-sf", "-m", `${seconds}`, url]).catch(() => "");
      return await answer === "hello";
    };
    assert.ok(await reaches(host, server.ipv4), "the network itself");
    // A datagram of the DHT (BEP 5, ping) from the host is what gets it banned.
    const query = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT201:y1:qe";
    for (const address of [server.ipv4, server.ipv6]) {
      await host.run(["bash", "-c", `printf %s '${query}' >/dev/udp/${address}/6881`]);
    }
    await until(async () => (await blocker.banned()).size >= 2, () => blocker.log);
    assert.deepEqual(await blocker.banned(), new Set(["10.9.1.2", "2001:db8:1::2"]));
    assert.equal(await reaches(host, server.ipv4, 1), false, "10.9.1.2 passes");
    assert.equal(await reaches(host, server.ipv6, 1), false, "2001:db8:1::2 passes");
    assert.ok(await reaches(reversed, server.ipv4), "2.1.9.10 is dropped");
    assert.ok(await reaches(reversed, server.ipv6), "the other host's IPv6 is dropped");
    const ban = await blocker.kernelBan("00000000000000000000ffff0a090102");
    assert.ok(ban !== null && ban.packets > 0n);
    assert.equal(await blocker.kernelBan("00000000000000000000ffff0201090a"), null);

    await blocker.command("bans", "remove", "10.9.1.2");
    assert.ok(await reaches(host, server.ipv4), "dropped after the ban was lifted");
    assert.equal((await blocker.stop("SIGINT")).code, 0);
    assert.deepEqual(await Blocker.leftovers(network.router), []);
  },
});
