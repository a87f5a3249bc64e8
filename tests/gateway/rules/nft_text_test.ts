/**
 * The native nft rules: their text, and in a namespace what each of them matches. The kernels at hand
 * lack the queue statement, so the loaded rules have a counter in its place.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Host } from "../../../src/demo/network.ts";
import { ACK, FIN, RST, SYN } from "../../../src/packet/packet.ts";
import { nftChange, nftText } from "../../../src/gateway/rules/nft_text.ts";
import type { GuardedTraffic } from "../../../src/gateway/rules/rule_text.ts";
import { checksum, type Ends, ip, join, TCP, tcp, UDP, udp } from "../../robustness/packets.ts";
import { until } from "../../until.ts";
import { createRouter, liveImpossible, program } from "../live.ts";
import { TRAFFIC } from "./traffic.ts";

Deno.test("nftText() replaces the table as a whole", () => {
  const text = nftText({ ...TRAFFIC, chains: ["FORWARD", "INPUT"] });
  assert(
    text.startsWith("table inet btblocker\ndelete table inet btblocker\ntable inet btblocker {"),
  );
  assert.match(text, /meta l4proto \{ tcp, udp \} queue num 0 bypass$/m);
  assert.match(text, /meta l4proto \{ 4, 41, 47 \} queue num 0 bypass$/m);
  assert.match(text, /iifname != "lo" jump BTBLOCKER/);
});

Deno.test("nftText() keeps segments in the kernel that carry nothing, but none that ends or begins", () => {
  const rules = nftText(TRAFFIC).split("\n").filter((line) => line.includes("tcp doff"));
  assert.equal(rules.length, 4);
  for (const rule of rules) assert.match(rule, /tcp flags & \(fin \| syn \| rst\) == 0 .* return$/);
});

const spreads = [ // queues, statements in their order
  [2, ["1", "0", "0-1"]],
  [3, ["0-2", "0-2"]],
  [4, ["1", "2", "3", "0", "0-3"]],
  [6, ["3-5", "0-2", "0-5"]],
  [8, ["2-3", "4-5", "6-7", "0-1", "0-7"]],
] as const;

for (const [queueCount, queues] of spreads) {
  Deno.test(`nftText() spreads flows over ${queueCount} queues by their ports`, () => {
    const text = nftText({ ...TRAFFIC, queueCount });
    const found = [...text.matchAll(/queue num (\S+) bypass/g)].map(([, numbers]) => numbers);
    assert.deepEqual(found, queues);
    // The packets that RECHECK calls back go the same way.
    const both = nftText({ ...TRAFFIC, queueCount, recheck: 1 << 20 });
    const again = [...both.matchAll(/queue num (\S+) bypass/g)].map(([, numbers]) => numbers);
    assert.deepEqual(again, queues);
  });
}

const impossible = liveImpossible("nft");
if (impossible !== null) console.log(`nft's rules in the kernel skipped: ${impossible}`);
const ignore = impossible !== null;
const SENDER = fileURLToPath(new URL("../../robustness/programs/sender.ts", import.meta.url));

/** Both ends are nobody's, so that nobody answers; the router forwards to their networks. */
const ENDS = {
  4: { source: "198.18.1.99", destination: "198.18.2.99" },
  6: { source: "2001:db8:1::99", destination: "2001:db8:2::99" },
} as const;

function turned({ source, destination }: Ends): Ends {
  return { source: destination, destination: source };
}

/** Rules that count where the real ones queue, or return for want of payload. */
function counting(traffic: GuardedTraffic, text = nftText): string {
  return text(traffic)
    .replaceAll(/queue num (\S+) bypass/g, 'counter accept comment "$1"')
    .replaceAll(/(tcp doff \d) return/g, '$1 counter return comment "empty"');
}

async function load(router: Host, text: string): Promise<void> {
  for (const flags of ["-cf", "-f"]) {
    await router.run(["sh", "-c", `printf %s "$0" | nft ${flags} -`, text]);
  }
}

type Counts = Record<string, number>;

/** Packets by what became of them: the queues' numbers, or `empty`. */
async function nftCounts(router: Host): Promise<Counts> {
  const listed = await router.run(["nft", "list", "chain", "inet", "btblocker", "BTBLOCKER_QUEUE"]);
  const counts: Counts = {};
  for (const [, packets, name] of listed.matchAll(/counter packets (\d+) .* comment "(.+)"/g)) {
    if (packets !== "0") counts[name] = (counts[name] ?? 0) + Number(packets);
  }
  return counts;
}

/** The same of the rules for iptables, beside which the others stand. */
async function iptablesCounts(router: Host): Promise<Counts> {
  const counts: Counts = {};
  for (const command of ["iptables-nft-save", "ip6tables-nft-save"]) {
    const saved = await router.run([command, "-c"]);
    for (const [, packets, rule] of saved.matchAll(/^\[(\d+):\d+\] -A BTBLOCKER_QUEUE (.*)$/gm)) {
      const queues = /--queue-(?:num|balance) (\S+)/.exec(rule)?.[1].replace(":", "-");
      const name = queues ?? (/--length .* -j RETURN/.test(rule) ? "empty" : null);
      if (name === null || packets === "0") continue;
      counts[name] = (counts[name] ?? 0) + Number(packets);
    }
  }
  return counts;
}

/** Puts packets on the host's link to the router. */
async function send(host: Host, router: Host, packets: readonly Uint8Array[]): Promise<void> {
  const link = await router.run(["ip", "-o", "link", "show", host.routerInterface]);
  const order = {
    ...{ kind: "frames", count: 0, rate: 0, destination: "" },
    mac: /link\/ether (\S+)/.exec(link)![1],
    packets: packets.map((packet) => packet.toHex()),
  };
  const command = [Deno.execPath(), "run", "--quiet", "--no-prompt", "--unstable-net", "-A"];
  await host.run([...command, SENDER, JSON.stringify(order)]);
}

function sumOf(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

const PORTS = { sourcePort: 40_000, destinationPort: 443, sequence: 1_000, acknowledgement: 1 };
/** RFC 7323: two bytes of padding, then kind 8, length 10, two times. */
const TIMESTAMPS = Uint8Array.fromHex("0101080a0000000100000002");
/** RFC 2018: the same length again, so 24 bytes of options. */
const SELECTIVE = Uint8Array.fromHex("0101050a0000000100000002");

Deno.test({
  name: "nftChange() leaves what nftText() would, and the base chains where they were",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router } = lab;
    const list = () => router.run(["nft", "-a", "list", "table", "inet", "btblocker"]);
    const withoutHandles = (text: string) => text.replaceAll(/ # handle \d+/g, "");
    const baseChains = (text: string) => text.match(/chain FORWARD \{ # handle \d+/)![0];
    const all = { ...TRAFFIC, recheck: 1 << 20, monitorOnly: true };
    const traffics = [
      TRAFFIC,
      all,
      { ...TRAFFIC, whitelistPorts: [22, 443] },
      { ...TRAFFIC, queueCount: 2 },
      { ...all, whitelistPorts: [53] },
      TRAFFIC,
    ];
    const wanted: string[] = [];
    for (const traffic of traffics) {
      await load(router, counting(traffic));
      wanted.push(withoutHandles(await list()));
    }
    await load(router, counting(TRAFFIC));
    const before = baseChains(await list());
    for (const [at, traffic] of traffics.entries()) {
      await load(router, counting(traffic, nftChange));
      const found = await list();
      assert.deepEqual(chainsOf(withoutHandles(found)), chainsOf(wanted[at]));
      assert.equal(baseChains(found), before);
    }
    await router.run(["nft", "delete", "table", "inet", "btblocker"]);
    await load(router, counting(all, nftChange));
    assert.deepEqual(chainsOf(withoutHandles(await list())), chainsOf(wanted[1]));
  },
});

/** In no order: that of chains is the one they came in. */
function chainsOf(listing: string): string[] {
  return listing.split(/^(?=\tchain )/m).map((chain) => chain.replace(/\}\s*\}?\s*$/, "")).sort();
}

/** A segment with options, whose words the data offset counts. */
function segment(ends: Ends, flags: number, payload: string, options = new Uint8Array(0)) {
  const body = join(options, new TextEncoder().encode(payload));
  const bytes = tcp({ ...PORTS, flags }, body, ends);
  const offset = (5 + options.length / 4) << 4;
  const sum = (bytes[16] << 8) | bytes[17];
  // RFC 1624: the checksum after the field has changed.
  const fixed = checksum(Uint8Array.of(~sum >> 8, ~sum, 0xaf, 0xff, offset, 0));
  bytes[12] = offset;
  bytes[16] = fixed >> 8;
  bytes[17] = fixed;
  return bytes;
}

/** An IPv4 packet with four bytes of options (NOP, RFC 791). */
function withIpOptions(packet: Uint8Array): Uint8Array {
  const bytes = join(packet.subarray(0, 20), Uint8Array.of(1, 1, 1, 1), packet.subarray(20));
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x46;
  view.setUint16(2, bytes.length);
  view.setUint16(10, 0);
  view.setUint16(10, checksum(bytes.subarray(0, 24)));
  return bytes;
}

/** Destination options (RFC 8200, section 4.6): eight bytes of padding. */
const EXTENSION: readonly [number, Uint8Array<ArrayBuffer>] = [
  60,
  Uint8Array.fromHex("0000010400000000"),
];

function segments(
  family: 4 | 6,
): [name: string, expected: "empty" | "queued", packet: Uint8Array][] {
  const ends = ENDS[family];
  const tcpPacket = (flags: number, payload: string, options?: Uint8Array<ArrayBuffer>) =>
    ip({ ...ends, protocol: TCP }, segment(ends, flags, payload, options));
  const common: ReturnType<typeof segments> = [
    ["a bare ACK", "empty", tcpPacket(ACK, "")],
    ["a bare ACK with timestamps", "empty", tcpPacket(ACK, "", TIMESTAMPS)],
    ["a byte", "queued", tcpPacket(ACK, "x")],
    ["a byte with timestamps", "queued", tcpPacket(ACK, "x", TIMESTAMPS)],
    ["twelve bytes, as long as timestamps", "queued", tcpPacket(ACK, "123456789012")],
    ["a SYN", "queued", tcpPacket(SYN, "")],
    ["a SYN-ACK with timestamps", "queued", tcpPacket(SYN | ACK, "", TIMESTAMPS)],
    ["a FIN", "queued", tcpPacket(FIN | ACK, "")],
    ["a FIN with timestamps", "queued", tcpPacket(FIN | ACK, "", TIMESTAMPS)],
    ["a RST", "queued", tcpPacket(RST, "")],
    ["an ACK with other options", "queued", tcpPacket(ACK, "", join(TIMESTAMPS, SELECTIVE))],
    ["data", "queued", tcpPacket(ACK, "x".repeat(1_000))],
    [
      "a datagram of as many bytes",
      "queued",
      ip({ ...ends, protocol: UDP }, udp(40_000, 443, new Uint8Array(12), ends)),
    ],
  ];
  if (family === 4) {
    const withOptions = (payload: string) => withIpOptions(tcpPacket(ACK, payload));
    return [
      ...common,
      ["eight bytes behind options of IP", "queued", withOptions("12345678")],
      ["no byte behind options of IP", "queued", withOptions("")],
    ];
  }
  const extended = (payload: string, options?: Uint8Array<ArrayBuffer>) =>
    ip({ ...ends, protocol: TCP, extensions: [EXTENSION] }, segment(ends, ACK, payload, options));
  return [
    ...common,
    ["four bytes behind an extension header", "queued", extended("1234")],
    ["no byte behind an extension header", "queued", extended("")],
    ["timestamps behind an extension header", "queued", extended("", TIMESTAMPS)],
  ];
}

Deno.test({
  name: "nft and iptables keep the same segments in the kernel, those that carry nothing",
  ignore: ignore || liveImpossible("iptables-nft") !== null,
  async fn(context) {
    await using lab = await createRouter();
    const { router, client } = lab;
    await router.run(program("firewall", "nft", "any", "install", "{}"));
    for (const family of [4, 6] as const) {
      for (const [name, expected, packet] of segments(family)) {
        await context.step(`IPv${family}: ${name}: ${expected}`, async () => {
          await load(router, counting(TRAFFIC));
          for (const command of ["iptables-nft", "ip6tables-nft"]) {
            await router.run([command, "-w", "-t", "security", "-Z"]);
          }
          await send(client, router, [packet]);
          await until(async () => sumOf(await nftCounts(router)) > 0);
          const counts = { [expected === "empty" ? "empty" : "0"]: 1 };
          assert.deepEqual(await nftCounts(router), counts);
          assert.deepEqual(await iptablesCounts(router), counts);
        });
      }
    }
  },
});

/** Ports whose bits above the lowest differ in all ways, written out. */
const FLOWS: [source: number, destination: number, of2: string, of4: string][] = [
  [40_000, 444, "0", "2"], // …00.0 and …10.0
  [40_002, 444, "1", "3"],
  [40_004, 444, "0", "0"],
  [40_006, 444, "1", "1"],
  [40_001, 444, "0", "2"], // the lowest bit is no choice
  [40_003, 445, "1", "3"],
  [51_413, 6_881, "0", "2"], // …10.1 and …00.1
  [6_881, 6_881, "0", "0"],
];

for (const [queueCount, of] of [[2, 2], [4, 3]] as const) {
  Deno.test({
    name: `nft chooses among ${queueCount} queues by the ports, both directions alike`,
    ignore,
    async fn() {
      await using lab = await createRouter();
      const { router, client, server } = lab;
      for (const [source, destination, ...queues] of FLOWS) {
        await load(router, counting({ ...TRAFFIC, queueCount }));
        for (const family of [4, 6] as const) {
          const there = ENDS[family];
          const back = turned(there);
          const ports = { ...PORTS, sourcePort: source, destinationPort: destination };
          const turnedPorts = { ...PORTS, sourcePort: destination, destinationPort: source };
          const data = new TextEncoder().encode("data");
          const extensions = family === 6 ? [EXTENSION] : [];
          await send(client, router, [
            ip({ ...there, protocol: TCP }, tcp(ports, data, there)),
            ip({ ...there, protocol: TCP, extensions }, tcp(ports, data, there)),
            ip({ ...there, protocol: UDP }, udp(source, destination, data, there)),
          ]);
          await send(server, router, [
            ip({ ...back, protocol: TCP }, tcp(turnedPorts, data, back)),
            ip({ ...back, protocol: UDP, extensions }, udp(destination, source, data, back)),
          ]);
        }
        await until(async () => sumOf(await nftCounts(router)) === 10);
        assert.deepEqual(await nftCounts(router), { [queues[of - 2]]: 10 }, `${source}`);
      }
      // What is looked into has no ports of its own, and any queue may get it.
      await load(router, counting({ ...TRAFFIC, queueCount }));
      const inner = ip({ ...ENDS[4], protocol: UDP }, udp(1, 2, new Uint8Array(4), ENDS[4]));
      await send(client, router, [
        ip({ ...ENDS[4], protocol: 4 }, inner),
        ip({ ...ENDS[6], protocol: 4 }, inner),
      ]);
      await until(async () => sumOf(await nftCounts(router)) === 2);
      assert.deepEqual(await nftCounts(router), { [`0-${queueCount - 1}`]: 2 });
    },
  });
}

/**
 * In the worker's place, which gives packets their state and sends them through the chain once more:
 * here a packet has it from the beginning: datagrams by their length, segments by PSH. `passed`
 * counts what came through, `marked` what still has our bits.
 */
const AROUND = `table inet around
delete table inet around
table inet around {
	chain before {
		type filter hook forward priority 40; policy accept;
		udp length 20 meta mark set 0x15a00001
		udp length 24 meta mark set 0x25a00001
		tcp flags & psh == psh meta mark set 0x25a00001
	}
	chain after {
		type filter hook forward priority 60; policy accept;
		counter comment "passed"
		meta mark & 0x3ff00000 != 0 counter comment "marked"
	}
}
`;

Deno.test({
  name: "nft keeps a flow's state: clean passes, BitTorrent dies, a SYN begins anew",
  ignore,
  async fn() {
    await using lab = await createRouter();
    const { router, client, server } = lab;
    await load(router, AROUND + counting(TRAFFIC));
    const there = ENDS[4];
    const back = turned(there);
    const datagram = (ends: Ends, bytes: number, ports: readonly [number, number]) =>
      ip({ ...ends, protocol: UDP }, udp(...ports, new Uint8Array(bytes), ends));
    const after = async () => {
      const listed = await router.run(["nft", "list", "chain", "inet", "around", "after"]);
      const [passed, marked] = listed.matchAll(/packets (\d+)/g).map(([, count]) => Number(count));
      return { passed, marked, queued: (await nftCounts(router))["0"] ?? 0 };
    };
    let packets = 0;
    const sendAll = async (host: Host, ...all: Uint8Array[]) => {
      // The last one is a flow of its own that is always queued, and tells that all are through.
      const ports = [50_000 + packets++, 53] as const;
      const { queued } = await after();
      await send(host, router, [...all, datagram(host === client ? there : back, 4, ports)]);
      await until(async () => (await after()).queued > queued);
    };
    // Not judged, judged clean, and then in both directions by the kernel alone.
    await sendAll(client, datagram(there, 4, [1_000, 2_000]));
    assert.deepEqual(await after(), { passed: 2, marked: 0, queued: 2 });
    await sendAll(client, datagram(there, 12, [1_000, 2_000]), datagram(there, 4, [1_000, 2_000]));
    await sendAll(server, datagram(back, 4, [2_000, 1_000]));
    assert.deepEqual(await after(), { passed: 7, marked: 0, queued: 4 });
    // Judged BitTorrent: this packet dies and all that follow, in both directions. (Of a connection
    // whose first packet dies, nothing is remembered: one comes before.)
    const flow = [1_001, 2_000] as const;
    await sendAll(client, datagram(there, 4, flow), datagram(there, 16, flow));
    await sendAll(client, datagram(there, 4, flow));
    await sendAll(server, datagram(back, 4, [2_000, 1_001]));
    assert.deepEqual(await after(), { passed: 11, marked: 0, queued: 8 });
    // The same of TCP, until a SYN on the 5-tuple.
    const ports = { ...PORTS, sourcePort: 41_000 };
    const tcpPacket = (flags: number, data: string) =>
      ip(
        { ...there, protocol: TCP },
        tcp({ ...ports, flags }, new TextEncoder().encode(data), there),
      );
    const PSH = 0x08;
    await sendAll(client, tcpPacket(ACK, "x"), tcpPacket(ACK | PSH, "x"), tcpPacket(ACK, "x"));
    assert.deepEqual(await after(), { passed: 13, marked: 0, queued: 10 });
    await sendAll(client, tcpPacket(SYN, ""));
    assert.deepEqual(await after(), { passed: 15, marked: 0, queued: 12 });
  },
});

Deno.test({
  name: "nft loads the rules with every setting",
  ignore,
  async fn() {
    await using lab = await createRouter();
    for (const queueCount of [1, 3, 8]) {
      for (const recheck of [0, 1, 1 << 20]) {
        const chains = ["INPUT", "FORWARD", "OUTPUT"] as const;
        await load(
          lab.router,
          counting({ ...TRAFFIC, chains, queueNumber: 7, queueCount, recheck }),
        );
        const distrustsStates = true;
        await load(lab.router, counting({ ...TRAFFIC, chains, queueCount, distrustsStates }));
      }
    }
  },
});
