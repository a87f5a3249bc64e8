/** How fast bans get into the kernel: one after another, and from a deciding packet. */
import { bootTimeMs } from "../../ffi/libc.ts";
import { Engine } from "../../src/engine/engine.ts";
import { HostEvidence } from "../../src/engine/host_evidence.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { HOOK_FORWARD } from "../../src/gateway/bans/ban_policy.ts";
import { type BanHandles, Bans, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { Networks, parseNetwork, SPECIAL_NETWORKS } from "../../src/gateway/network/networks.ts";
import { WorkerBans } from "../../src/gateway/bans/worker_bans.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";
import { loadProgram } from "../bpf/program.ts";
import { bytes } from "../gateway/bytes.ts";
import { addressKey } from "../../src/gateway/bans/ban_key.ts";
import { median, percentile } from "./rounds.ts";

const BANS = 200_000;
const DECISIONS = 20_000;
const ROUNDS = 5;
const LIMIT = 262_144;

using program = loadProgram({ limit: LIMIT });
const handles: BanHandles = {
  table: BanTable.buffer(LIMIT),
  scope: "ip",
  maps: program.maps,
  inForce: program.inForce,
};
const bans = new Bans(handles);
const rates: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  bans.clear();
  const words = Int32Array.of(0, 0, 0xffff, 0);
  const start = performance.now();
  for (let i = 0; i < BANS; i++) {
    words[3] = 0x0b00_0000 + i;
    bans.add(addressKey(words), 3_600_000, REASON_MANUAL);
  }
  rates.push(BANS / (performance.now() - start) * 1000);
}
console.log(
  `Bans a second, kernel and user space: ${Math.round(median(rates)).toLocaleString("en")}`,
);

// BEP 5: the ping query of its example, in a datagram from 12.x.y.z to 192.0.2.1.
const QUERY = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT201:y1:qe"; // 65 bytes
const packetBytes = Uint8Array.of(
  ...bytes("4500 005d 0001 0000 4011 0000 0c000000 c0000201 1ae1 1ae1 0049 0000"),
  ...new TextEncoder().encode(QUERY),
);
const never = new SharedArrayBuffer(Networks.byteLength(16));
new Networks(never).replace(SPECIAL_NETWORKS);
const ours = new SharedArrayBuffer(Networks.byteLength(16));
new Networks(ours).replace([parseNetwork("12.0.0.0/8")!]); // whose datagrams cannot be forged
const uplinks = new SharedArrayBuffer(4);
const worker = new WorkerBans({
  ...{ handles, target: "source", durationMs: 3_600_000, escalation: null, requiresReply: false },
  ...{ never, ours, uplinks, own: new SharedArrayBuffer(Networks.byteLength(1)), openPorts: [] },
});
const policy = {
  ...{ strict: false, blockSocks: false, blockMentions: false },
  whitelistPorts: [22, 53, 80, 443],
};
const engine = new Engine({ policy, evidence: new HostEvidence() });
const packet = new Packet();
const microseconds: number[] = [];
bans.clear();
for (let i = 0; i < DECISIONS; i++) {
  packetBytes[13] = i >> 16;
  packetBytes[14] = i >> 8;
  packetBytes[15] = i;
  const start = performance.now();
  packet.timeMs = bootTimeMs();
  if (!parseIp(packet, packetBytes, 0, packetBytes.length)) throw new Error("Not a packet");
  if (!worker.drops(packet)) engine.judge(packet);
  if (engine.detection === null) throw new Error("Not detected");
  const banned = worker.ban(engine.detection, HOOK_FORWARD);
  microseconds.push((performance.now() - start) * 1000);
  if (banned.length !== 1) throw new Error(`Not banned: ${i}`);
}
const [p50, p99, most] = [50, 99, 100].map((p) => percentile(microseconds, p).toFixed(1));
console.log(
  `From a deciding packet in the worker to its ban in the kernel: ` +
    `median ${p50} µs, p99 ${p99} µs, most ${most} µs (${DECISIONS} DHT queries)`,
);

// What a queued packet pays for the ban list: 100,000 bans, addresses that are not banned.
const LOOKUPS = 1_000_000;
bans.clear();
for (let i = 0; i < 100_000; i++) {
  bans.add(addressKey(Int32Array.of(0, 0, 0xffff, 0x0b00_0000 + i * 7)), 3_600_000, REASON_MANUAL);
}
const table = new BanTable(handles.table);
const others = Int32Array.from({ length: 4 * 4_096 }, (_, i) => i % 4 < 2 ? 0 : 0xffff);
for (let i = 3; i < others.length; i += 4) others[i] = 0x0c00_0000 + i * 5;
const now = bootTimeMs();
const lookups: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const start = performance.now();
  let found = 0;
  for (let i = 0; i < LOOKUPS; i++) if (table.drops(others, (i & 4_095) * 4, 6, 80, now)) found++;
  lookups.push((performance.now() - start) * 1e6 / LOOKUPS);
  if (found !== 0) throw new Error("Found what is not there");
}
console.log(`A lookup in user space, not banned: ${median(lookups).toFixed(1)} ns`);
