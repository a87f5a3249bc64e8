/** DETECTION_PCAP with real packets: what the blocker keeps of them, as Wireshark and `analyze` see it. */
import assert from "node:assert/strict";
import { liveImpossible } from "../gateway/live.ts";
import { hasTshark, tshark } from "../report/pcapng_fixture.ts";
import { DHT_PING } from "../engine/conversation.ts";
import { Bed, impossible } from "../robustness/bed.ts";
import { ip, UDP, udp } from "../robustness/packets.ts";
import { until } from "../until.ts";
import { Blocker, blockerCommand } from "./blocker.ts";

const missing = liveImpossible("nc", "tcpdump") ?? (hasTshark() ? null : "needs tshark");
const ignore = impossible !== null || missing !== null;
if (missing !== null) console.log(`tests/e2e/detection_pcap_test.ts: skipped: ${missing}`);

const LISTEN_PORT = 6_881;
/** A peer that says its handshake and waits for the other's, by netcat. */
const HANDSHAKE = `printf '\\023BitTorrent protocol\\0\\0\\0\\0\\0\\020\\0\\005` +
  `aaaaaaaaaaaaaaaaaaaa-qB4520-bbbbbbbbbbbb'`;

async function handshakeTo(bed: Bed, address: string): Promise<void> {
  const talk = `${HANDSHAKE} | timeout 20 nc -w 4 ${address} ${LISTEN_PORT} || true`;
  await bed.user.run(["sh", "-c", talk]);
}

function sizeOf(path: string): number {
  return Deno.statSync(path).size;
}

interface Judged {
  type: string;
  src: string;
  dst: string;
  method: string;
  time: string;
}

Deno.test({
  name: "DETECTION_PCAP: Wireshark reads the offending packets, analyze detects them again",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const path = `${bed.network.directory}/detections.pcapng`;
    for (const family of ["-4", "-6"]) {
      bed.server.spawn(["nc", family, "-lk", "-p", `${LISTEN_PORT}`]);
    }
    const listeners = async () => (await bed.server.run(["ss", "-Hlnt"])).match(/:6881\b/g)?.length;
    await until(async () => await listeners() === 2);
    const settings = { DETECTION_PCAP: path, BAN_TARGET: "none", WHITELIST_PORTS: "" };
    await bed.start(settings);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.equal(sizeOf(path), 0);
    const beganMs = Date.now();

    const ends = { source: "10.9.1.1", destination: bed.target.ipv4 };
    const query = ip({ ...ends, protocol: UDP }, udp(6_881, 6_882, DHT_PING, ends));
    await bed.sendPackets(query);
    await until(() => sizeOf(path) > 0, () => "no DHT packet");
    const dhtOnly = sizeOf(path);
    await handshakeTo(bed, bed.server.ipv4);
    await until(() => sizeOf(path) > dhtOnly, () => "no handshake");

    // A rotation: the rest goes to a new file.
    await Deno.rename(path, `${path}.1`);
    bed.blocker.program.kill("SIGHUP");
    await bed.blocker.program.printedMatch(/Reloaded/);
    await handshakeTo(bed, bed.server.ipv6);
    await until(() => sizeOf(path) > 0, () => "no handshake over IPv6");
    await bed.download();
    assert.equal((await bed.status()).counters.detections, 3);
    assert.equal((await bed.blocker.stop()).code, 0, bed.blocker.log);

    const fields = ["ip.src", "ipv6.src", "frame.protocols"];
    const rotated = tshark(`${path}.1`, ...fields, "frame.comment");
    const rows = [...rotated, ...tshark(path, ...fields, "frame.comment")];
    const why = `${bed.user.routerInterface}: peer-wire (handshake, qBittorrent 4.5.2), proof`;
    const ping = `${bed.attacker.routerInterface}: dht (ping query, libtorrent 2.0), proof`;
    assert.deepEqual(rows.map(([v4, v6, _, comment]) => [v4, v6, comment]), [
      ["10.9.1.1", "", `${ping} - dropped, nobody banned`],
      [bed.user.ipv4, "", `${why} - dropped, nobody banned`],
      ["", bed.user.ipv6, `${why} - dropped, nobody banned`],
    ]);
    for (const [, , protocols] of rows.slice(1)) assert.match(protocols, /:tcp:bittorrent/);
    // libpcap reads it too, although the packets come from several interfaces.
    const dumped = await bed.router.run(["tcpdump", "-n", "-r", `${path}.1`]);
    assert.equal(dumped.trim().split("\n").length, 2, dumped);
    // The packet as it was sent; at FORWARD the router has counted it down.
    const [[length, ttl, payload]] = tshark(`${path}.1`, "frame.len", "ip.ttl", "udp.payload");
    assert.deepEqual([length, payload], [`${query.length}`, DHT_PING.toHex()]);
    assert.equal(ttl, "63");

    const printed = await bed.router.run(
      [...blockerCommand(), "analyze", "--json", `${path}.1`, path],
    );
    const judged: Judged[] = printed.trim().split("\n").map((line) => JSON.parse(line));
    const found = judged.filter(({ type }) => type === "detection");
    assert.deepEqual(found.map(({ method }) => method), ["dht", "peer-wire", "peer-wire"]);
    for (const { time } of found) {
      const ms = Date.parse(time);
      assert.ok(ms >= beganMs - 1_000 && ms <= Date.now(), time);
    }
  },
});

Deno.test({
  name: "DETECTION_PCAP: also when only watching, and switched on and off by a reload",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const path = `${bed.network.directory}/watched.pcapng`;
    const config = `${bed.network.directory}/config.toml`;
    const write = (pcap: string) =>
      Deno.writeTextFile(
        config,
        `interface = "${bed.attacker.routerInterface}"\nqueue_count = 1\nmonitor_only = true\n` +
          `detection_pcap = "${pcap}"\n`,
      );
    await write("");
    const blocker = bed.router.spawn([...blockerCommand(), "run", "--config", config]);
    await blocker.printedMatch(/Watching /);
    const reloads = () => blocker.text().match(/Reloaded/g)?.length ?? 0;
    const reload = async () => {
      const before = reloads();
      blocker.kill("SIGHUP");
      await until(() => reloads() > before, () => "no reload");
    };
    const detections = () => blocker.text().match(/\[DETECT\]/g)?.length ?? 0;
    let sources = 0;
    const offend = async () => {
      const before = detections();
      const ends = { source: `10.9.2.${++sources}`, destination: bed.target.ipv4 };
      await bed.sendPackets(ip({ ...ends, protocol: UDP }, udp(6_881, 6_882, DHT_PING, ends)));
      await until(() => detections() > before, () => "no detection");
    };
    await offend();
    await write(path);
    await reload();
    await offend();
    await until(() => sizeOf(path) > 0, () => "no packet");
    await write("");
    await reload();
    await offend();
    assert.equal((await blocker.stop()).code, 0);
    assert.deepEqual(tshark(path, "ip.src", "frame.comment"), [
      [
        "10.9.2.2",
        `${bed.attacker.routerInterface}: dht (ping query, libtorrent 2.0), proof - Monitor only (no ban)`,
      ],
    ]);
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
  },
});
