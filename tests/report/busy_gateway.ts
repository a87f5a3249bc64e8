/** A made-up hour of a VPN gateway, for the page's test and its screenshot. */
import { KINDS, type Method } from "../../src/protocols/match.ts";
import { ban, counters, FakeSource, status } from "../status/fake_status.ts";
import { record } from "./detection_fixture.ts";

const HOUR_MS = 3_600_000;

/** [method, reason, client, how often] */
const TRAFFIC: readonly (readonly [Method, string, string | null, number])[] = [
  ["dht", "get_peers query", "libtorrent 2.0", 34],
  ["dht", "announce_peer query", "qBittorrent 4.6.3", 14],
  ["peer-wire", "handshake", "qBittorrent 4.6.3", 17],
  ["peer-wire", "handshake", "Transmission 4.0.5", 9],
  ["mse", "encrypted peer of a torrenting host", null, 13],
  ["utp", "connection with peer-wire handshake", "Deluge 2.1.1", 8],
  ["udp-tracker", "connect request", null, 11],
  ["http-tracker", "announce request", "Transmission 4.0.5", 6],
  ["lsd", "local announce", "libtorrent 2.0", 3],
  ["extension", "extended handshake", "uTorrent 3.6", 4],
  ["web-seed", "request for a piece", "aria2 1.36", 1],
];

/** The same on every run: the screenshot changes only with the page. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export function busyGateway(): FakeSource {
  const source = new FakeSource();
  const random = dice(7);
  const nowMs = source.nowMs();
  let [packets, bytes] = [0, 0];
  source.traffic.sample(nowMs - HOUR_MS, totals(0, 0));
  for (let ago = HOUR_MS; ago >= 0; ago -= 1000) {
    const minute = (HOUR_MS - ago) / 60_000;
    const swing = 1 + 0.35 * Math.sin(minute / 9) + 0.15 * Math.sin(minute / 2.3);
    const burst = minute > 38 && minute < 43 ? 2.1 : 1;
    const rate = 410 * swing * burst * (0.8 + 0.4 * random());
    packets += rate;
    bytes += rate * (330 + 160 * random());
    source.traffic.sample(nowMs - ago, totals(packets, bytes));
  }
  for (let minute = 59; minute >= 0; minute--) {
    const many = Math.floor(random() * 5) + (minute > 16 && minute < 23 ? 7 : 0);
    for (let i = 0; i < many; i++) {
      const agoMs = minute * 60_000 + Math.floor((1 - i / many) * 55_000);
      const [method, reason, client] = pick(random());
      const last = 2 + Math.floor(random() * 60);
      const isSix = random() < 0.2;
      const sourceAddress = isSix ? `2001:db8:7::${last.toString(16)}` : `10.8.0.${last}`;
      source.detections.add(
        nowMs - agoMs,
        record({
          timeMs: Date.now() - agoMs,
          interface: "wg0",
          bans: [{ target: sourceAddress, seconds: 18_000 }],
          who: personOf(sourceAddress, last),
        }, {
          match: { method, kind: KINDS[method][0], reason, strength: "proof" },
          client,
          protocol: ["dht", "utp", "udp-tracker", "lsd"].includes(method) ? 17 : 6,
          source: sourceAddress,
          sourcePort: 40_000 + Math.floor(random() * 20_000),
          destination: isSix ? "2001:db8:ffff::51" : `203.0.113.${Math.floor(random() * 250)}`,
          destinationPort: 6_881 + Math.floor(random() * 9),
        }),
      );
    }
  }
  const reasons = ["dht", "peer-wire", "mse", "udp-tracker", "utp", "manual"];
  source.list = Array.from(
    { length: 23 },
    (_, i) =>
      ban(i % 6 === 5 ? `2001:db8:7::${(i * 7).toString(16)}` : `10.8.0.${3 + i * 2}`, {
        reason: reasons[Math.floor(random() * reasons.length)],
        untilMs: Date.now() + 18_000_000 - i * 760_000 - Math.floor(random() * 60_000),
        packets: Math.floor(random() ** 3 * 40_000),
      }),
  );
  source.now = gatewayStatus(source, packets, bytes);
  return source;
}

/** Some peers have names, as in wg0.conf. */
function personOf(address: string, last: number) {
  const name = ["alice", "bob", null, "carol's phone"][last % 4];
  return name === null ? null : { address, name, source: "wireguard", id: `k${last}R…=` } as const;
}

function pick(dice: number): (typeof TRAFFIC)[number] {
  let left = dice * TRAFFIC.reduce((sum, [, , , often]) => sum + often, 0);
  return TRAFFIC.find(([, , , often]) => (left -= often) < 0) ?? TRAFFIC[0];
}

function totals(packets: number, bytes: number) {
  return { packets, bytes, dropped: 0, detections: 0, unjudged: 0 };
}

function gatewayStatus(source: FakeSource, packets: number, bytes: number) {
  const worker = (share: number) =>
    counters({ packets: Math.round(packets * share), released: 41_207, accepted: 900_000 });
  const detections = source.detections.count;
  return status({
    version: "0.1.0",
    started: new Date(Date.now() - 2.2 * HOUR_MS).toISOString(),
    counters: counters({
      packets: Math.round(packets * 2.2),
      bytes: Math.round(bytes * 2.2),
      flows: 214_806,
      payloadFlows: 171_322,
      released: 168_040,
      dropped: 1_931,
      bannedDrops: 412,
      serviceConnections: 3_210_456,
      detections,
    }),
    rates: {
      packets: source.traffic.rate("packets"),
      bytes: source.traffic.rate("bytes"),
      dropped: 0.4,
      detections: 0.05,
    },
    latency: {
      ...status().latency,
      buckets: [120, 5_400, 61_000, 24_000, 3_100, 410, 88, 21, 4, 1, 0, 0],
    },
    workers: [
      { queue: 0, running: true, waiting: 0, kernelDrops: 0, ...worker(1.12) },
      { queue: 1, running: true, waiting: 2, kernelDrops: 0, ...worker(1.08) },
    ],
    bans: source.list.length,
    xdp: [
      {
        ...{
          interface: "eth0",
          mode: "native",
          attached: true,
          reason: "as XDP_MODE says",
          problem: null,
        },
        ...{ packetsDropped: 48_211, bytesDropped: 5_102_004 },
      },
      {
        ...{
          interface: "wg0",
          mode: "generic",
          attached: true,
          reason: "as XDP_MODE says",
          problem: null,
        },
        ...{ packetsDropped: 190_334, bytesDropped: 31_870_112 },
      },
    ],
    methods: source.detections.methods,
  });
}
