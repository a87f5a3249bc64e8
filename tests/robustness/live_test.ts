/**
 * Ways to hide, as real packets through the kernel: what connection tracking, iptables and the queue
 * make of them before the engine sees anything. And the rights it needs, and the clock it goes by.
 */
import assert from "node:assert/strict";
import { bootTimeMs } from "../../ffi/libc.ts";
import { SYN } from "../../src/packet/packet.ts";
import { parseAddress } from "../../src/packet/address.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { DHT_PING, HANDSHAKE, latin1 } from "../engine/conversation.ts";
import { Blocker, blockerCommand } from "../e2e/blocker.ts";
import { hex } from "../protocols/datagrams.ts";
import { Bed, impossible, readStatus } from "./bed.ts";
import { addressKey } from "../../src/gateway/bans/ban_key.ts";
import { type Ends, ip, join, TCP, tcp, type TcpOptions, UDP, udp } from "./packets.ts";

const ignore = impossible !== null;

Deno.test({
  name: "fragments, extension headers, decoys and tunnels, through the kernel",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await bed.start();
    let number = 1;
    const newEnds = (): Ends => ({
      source: `10.5.0.${number++}`,
      destination: bed.target.ipv4,
    });
    const query = (ends: Ends) => udp(6881, 6881, DHT_PING, ends);
    const connection = (ends: Ends) => (options: Partial<TcpOptions>, payload: Uint8Array) => {
      const ports = { sourcePort: 40_000, destinationPort: 40_001, sequence: 100 };
      return ip({ ...ends, protocol: TCP }, tcp({ ...ports, ...options }, payload, ends));
    };
    const v6: Ends = { source: bed.attacker.ipv6, destination: bed.target.ipv6 };
    const noise = latin1("nothing that anybody knows, in the place of something else");
    const inner = (ends: Ends) => ip({ ...ends, protocol: UDP }, query(ends));
    // [name, packets, detections]
    const rows: [string, Uint8Array[], number][] = [];
    const add = (name: string, found: number, packets: (ends: Ends) => Uint8Array[]) => {
      rows.push([name, packets(newEnds()), found]);
    };
    add("fragments that cut a datagram", 1, (ends) => {
      const whole = query(ends);
      const cut = (offset: number, end: number, more: boolean) =>
        ip(
          { ...ends, protocol: UDP, fragment: { offset, more, id: 7 } },
          whole.subarray(offset, end),
        );
      return [cut(0, 24, true), cut(24, 40, true), cut(40, whole.length, false)];
    });
    add("the same in the wrong order", 1, (ends) => {
      const whole = query(ends);
      const cut = (offset: number, end: number, more: boolean) =>
        ip(
          { ...ends, protocol: UDP, fragment: { offset, more, id: 8 } },
          whole.subarray(offset, end),
        );
      return [cut(40, whole.length, false), cut(24, 40, true), cut(0, 24, true)];
    });
    const padding = new Uint8Array(8);
    padding.set([0, 0, 1, 4]);
    rows.push([
      "IPv6 destination options",
      [ip({ ...v6, protocol: UDP, extensions: [[60, padding]] }, query(v6))],
      1,
    ]);
    add("a decoy with a wrong checksum", 1, (ends) => {
      const segment = connection(ends);
      return [
        segment({ sequence: 99, flags: SYN }, new Uint8Array(0)),
        segment({ wrongChecksum: true }, noise),
        segment({}, HANDSHAKE),
      ];
    });
    add("a handshake with a wrong checksum alone, which no receiver takes", 1, (ends) => {
      const segment = connection(ends);
      return [
        segment({ sequence: 99, flags: SYN }, new Uint8Array(0)),
        segment({ wrongChecksum: true }, HANDSHAKE),
      ];
    });
    add(
      "6in4",
      1,
      (ends) => [ip({ ...ends, protocol: 41 }, inner({ ...v6, source: "2001:db8:99::1" }))],
    );
    add("IPIP", 1, (ends) => [ip({ ...ends, protocol: 4 }, inner(ends))]);
    add("GRE", 1, (ends) => [ip({ ...ends, protocol: 47 }, join(hex("00000800"), inner(ends)))]);
    for (const [name, packets, found] of rows) {
      const before = (await bed.status()).counters.detections;
      await bed.sendPackets(...packets);
      const { detections } = (await bed.accounted()).counters;
      assert.equal(detections - before, found, name);
    }
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

Deno.test({
  name: "what is found in tunnels, through the kernel: each packet is dropped, nobody is banned",
  ignore,
  async fn() {
    await using bed = await Bed.create();
    await bed.start({ BAN_REQUIRES_REPLY: "false" }); // so the same without a tunnel, in the end, bans
    const ends: Ends = { source: "10.5.0.9", destination: bed.target.ipv4 };
    const GET_PEERS = latin1(
      "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
    );
    let port = 6881; // a flow of its own in each tunnel
    const query = () => ip({ ...ends, protocol: UDP }, udp(port++, 6881, GET_PEERS, ends));
    const over = (port: number, header: string) =>
      ip({ ...ends, protocol: UDP }, udp(50_000, port, join(hex(header), query()), ends));
    const length = (more: number) => (28 + GET_PEERS.length + more).toString(16).padStart(4, "0");
    const frame = "020000000001 020000000002 0800";
    const tunnels: [string, Uint8Array][] = [
      ["VXLAN", over(4789, `0800000000000700 ${frame}`)],
      ["GENEVE", over(6081, `0000655800000700 ${frame}`)],
      ["GTP-U", over(2152, `30ff${length(0)}00000007`)],
      ["L2TP", over(1701, `4002${length(12)}00010002ff030021`)],
      ["FOU", over(5555, "")],
      ["IPIP", ip({ ...ends, protocol: 4 }, query())],
    ];
    for (const [name, packet] of tunnels) {
      const before = (await bed.status()).counters;
      await bed.sendPackets(packet, packet);
      const { bans, counters } = await bed.accounted();
      assert.equal(counters.detections - before.detections, 1, name);
      assert.equal(counters.dropped - before.dropped, 2, name);
      assert.equal(bans, 0, name);
    }
    await bed.sendPackets(query());
    assert.equal((await bed.accounted()).bans, 1, "without a tunnel");
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

const RIGHTS = "+net_admin,+bpf,+perfmon,+net_raw";

Deno.test({
  name: `root with no right but ${RIGHTS}, and no new ones: it guards, bans and leaves nothing`,
  ignore,
  async fn() {
    await using bed = await Bed.create();
    const bounded = ["setpriv", "--bounding-set", `-all,${RIGHTS}`, "--inh-caps", "-all"];
    const blocker = bed.router.spawn(
      [...bounded, "--no-new-privs", ...blockerCommand(), "run", "--config", "/dev/null"],
      { env: { INTERFACE: "to_attacker", QUEUE_COUNT: "1" } },
    );
    await blocker.printedMatch(/Guarding .*bans in the kernel on .*to_attacker/);
    assert.equal(readStatus(blocker.pid, "NoNewPrivs"), 1);
    const status = await Deno.readTextFile(`/proc/${blocker.pid}/status`);
    const effective = BigInt(`0x${/^CapEff:\s*(\S+)/m.exec(status)![1]}`);
    assert.equal(effective, 1n << 12n | 1n << 13n | 1n << 38n | 1n << 39n);
    await bed.send({ kind: "dht", count: 1, rate: 1, sources: 1 });
    await blocker.printedMatch(/banned 10\.0\.0\.1/);
    await bed.download();
    assert.equal((await blocker.stop()).code, 0, blocker.text());
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
  },
});

Deno.test({
  name: "a clock set a day forward or back ends no ban and lengthens none",
  ignore: Deno.build.os !== "linux",
  fn() {
    const table = BanTable.buffer(16);
    const bans = new Bans(
      {
        ...{ table, scope: "ip", maps: {} },
      } as ConstructorParameters<typeof Bans>[0],
    );
    const words = parseAddress("192.0.2.7")!;
    const wallClock = Date.now;
    const began = bootTimeMs();
    try {
      bans.add(addressKey(words), 60_000, REASON_MANUAL);
      for (const days of [1, -1]) {
        Date.now = () => wallClock() + days * 86_400_000;
        assert.equal(bans.drops(words, 0, 6, 1, bootTimeMs()), true);
        assert.equal(bans.sweep(), 0);
        assert.equal(bans.drops(words, 0, 6, 1, began + 70_000), false);
        const [ban] = bans.list();
        assert.ok(Math.abs(ban.untilMs - Date.now() - 60_000) < 5_000, "told in the new time");
      }
    } finally {
      Date.now = wallClock;
    }
  },
});
