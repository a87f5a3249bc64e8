/** Nanoseconds a packet, by BPF_PROG_TEST_RUN. Argument: object with the bare programs. */
import { BpfObject, mapInfo, updateElement } from "../../ffi/bpf.ts";
import { encodeKey } from "../../src/gateway/bans/ban_codec.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import { Bans, REASON_MANUAL } from "../../src/gateway/bans/bans.ts";
import { loadProgram } from "../bpf/program.ts";
import { testRun } from "../bpf/test_run.ts";
import { bytes } from "../gateway/bytes.ts";
import { addressKey, endpointKey } from "../../src/gateway/bans/ban_key.ts";
import { type Rival, takeTurns } from "./rounds.ts";

const BANS = 100_000;
const LIMIT = 131_072;
const REPEAT = 1_000_000;
const ROUNDS = 9;
const XDP_FILTER = `/usr/lib/${Deno.build.arch}-linux-gnu/bpf/xdpfilt_alw_ip.o`;

const ETHERNET = "020000000001 020000000002";
const udp4 = (source: string) =>
  bytes(
    `${ETHERNET} 0800 4500 002e 0001 0000 4011 0000 ${source} c0a80101 1ae1 4e20 001a 0000` +
      "00".repeat(18),
  );
const udp6 = bytes(
  `${ETHERNET} 86dd 60000000 001a 11 40 20010db8000000000000000000000008` +
    `20010db8000000000000000000000001 1ae1 4e20 001a 0000 ${"00".repeat(18)}`,
);
const arp = bytes(`${ETHERNET} 0806 0001 0800 0604 0001 020000000002 0a090102 ${"00".repeat(32)}`);
const MISS = udp4("0a090102");
const HIT = udp4("0b000007"); // 11.0.0.7, banned

/** `count` addresses from 11.0.0.0 on. */
function banned(index: number): Int32Array {
  return Int32Array.of(0, 0, 0xffff, 0x0b00_0000 + index);
}

/** @param hasEndpoint whether a port is banned too, so that ports are looked at */
function ours(hasEndpoint: boolean) {
  const program = loadProgram({ limit: LIMIT });
  const bans = new Bans({
    table: BanTable.buffer(LIMIT),
    scope: "ip",
    maps: program.maps,
    inForce: program.inForce,
  });
  for (let i = 0; i < BANS; i++) bans.add(addressKey(banned(i)), 3_600_000, REASON_MANUAL);
  if (hasEndpoint) bans.add(endpointKey(banned(BANS), 0, 17, 1), 3_600_000, REASON_MANUAL);
  return program;
}

/** xdp-filter's program for IP addresses with the same addresses denied; null if not installed. */
function xdpFilter(): { fd: number; object: BpfObject } | null {
  try {
    const object = new BpfObject(Deno.readFileSync(XDP_FILTER));
    object.setMaxEntries("filter_ipv4", LIMIT);
    object.load();
    const map = object.mapFd("filter_ipv4");
    const { valueLength } = mapInfo(map);
    const cpus = navigator.hardwareConcurrency;
    const value = new Uint8Array(Math.max(8, valueLength) * Math.max(cpus, 64));
    for (let at = 0; at < value.length; at += 8) value[at] = 1; // matches as source
    const key = new Uint8Array(16);
    for (let i = 0; i < BANS; i++) {
      encodeKey("blocked_ips", key, addressKey(banned(i)));
      if (updateElement(map, key.slice(12), value) < 0) throw new Error("Cannot fill its map");
    }
    return { fd: object.programFd("xdpfilt_alw_ip"), object };
  } catch (error) {
    console.log(`xdp-filter is not measured: ${(error as Error).message}`);
    return null;
  }
}

const bare = new BpfObject(Deno.readFileSync(Deno.args[0]));
bare.load();
const byAddress = ours(false);
const byEndpoint = ours(true);
const filter = xdpFilter();

const run = (fd: number, packet: Uint8Array<ArrayBuffer>) => () =>
  testRun(fd, packet, REPEAT).nanoseconds;
const rivals: Rival[] = [
  { name: "bare XDP_PASS", measure: run(bare.programFd("bare_pass"), MISS) },
  { name: "btblocker, IPv4 not banned", measure: run(byAddress.l2, MISS) },
  { name: "btblocker, IPv6 not banned", measure: run(byAddress.l2, udp6) },
  { name: "btblocker, IPv4 banned", measure: run(byAddress.l2, HIT) },
  { name: "btblocker, not IP", measure: run(byAddress.l2, arp) },
  { name: "btblocker, endpoint scope, not banned", measure: run(byEndpoint.l2, MISS) },
  { name: "btblocker, endpoint scope, IPv6", measure: run(byEndpoint.l2, udp6) },
];
if (filter !== null) {
  rivals.push(
    { name: "xdp-filter, IPv4 not denied", measure: run(filter.fd, MISS) },
    { name: "xdp-filter, IPv6 not denied", measure: run(filter.fd, udp6) },
    { name: "xdp-filter, IPv4 denied", measure: run(filter.fd, HIT) },
    { name: "xdp-filter, not IP", measure: run(filter.fd, arp) },
  );
}
const results = await takeTurns(rivals, ROUNDS);
console.log(`Nanoseconds a packet (${BANS} bans in the map, median of ${ROUNDS} × ${REPEAT} runs)`);
for (const [index, { name }] of rivals.entries()) {
  const over = results[index] - results[0];
  console.log(`  ${name.padEnd(40)}${`${results[index]}`.padStart(6)}   +${over} over bare`);
}
