import assert from "node:assert/strict";
import type { Detection } from "../../../src/engine/engine.ts";
import { parseAddress } from "../../../src/packet/address.ts";
import { ACK, Packet, PROTOCOL_TCP, PROTOCOL_UDP, SYN } from "../../../src/packet/packet.ts";
import { AnalysisCollector } from "../../../src/report/analysis/collector.ts";
import { detection } from "../detection_fixture.ts";

interface Ends {
  from: string;
  to: string;
  length?: number;
  flags?: number;
  protocol?: number;
}

/** `address port` twice. */
function packetOf({ from, to, length = 0, flags = 0, protocol = PROTOCOL_UDP }: Ends): Packet {
  const packet = new Packet();
  for (const [at, end] of [[0, from], [4, to]] as const) {
    packet.address.set(parseAddress(end.split(" ")[0])!, at);
  }
  packet.sourcePort = Number(from.split(" ")[1]);
  packet.destinationPort = Number(to.split(" ")[1]);
  packet.protocol = protocol;
  packet.flags = flags;
  packet.payloadLength = length;
  return packet;
}

const LIMITS = { flows: 4, detections: 2, hosts: 4, hostsShown: 3 };

function found(packet: Packet, ends: { source: string; destination: string }): Detection {
  const { sourcePort, destinationPort } = packet;
  return detection({ ...ends, sourcePort, destinationPort });
}

Deno.test("AnalysisCollector counts both directions of a flow as one", () => {
  const collector = new AnalysisCollector();
  collector.beginFile("a.pcap");
  collector.packet(packetOf({ from: "10.0.0.1 1000", to: "10.0.0.2 53", length: 40 }), 2_000);
  collector.packet(packetOf({ from: "10.0.0.2 53", to: "10.0.0.1 1000", length: 300 }), 1_999);
  collector.packet(packetOf({ from: "10.0.0.1 1000", to: "10.0.0.2 53", length: 1 }), 2_500);
  const { flows, files } = collector.finish();
  assert.deepEqual(flows, [{
    file: 0,
    transport: "udp",
    source: "10.0.0.1",
    sourcePort: 1000,
    destination: "10.0.0.2",
    destinationPort: 53,
    firstMs: 1_999,
    lastMs: 2_500,
    packetsOut: 2,
    packetsIn: 1,
    bytesOut: 41,
    bytesIn: 300,
    isDetected: false,
  }]);
  assert.deepEqual([files[0].firstMs, files[0].lastMs], [1_999, 2_500]);
});

Deno.test("AnalysisCollector tells apart protocols, ports, and captures", () => {
  const collector = new AnalysisCollector();
  const ends = { from: "10.0.0.1 1000", to: "10.0.0.2 53" };
  for (const file of ["a.pcap", "b.pcap"]) {
    collector.beginFile(file);
    collector.packet(packetOf(ends), 1);
    collector.packet(packetOf({ ...ends, protocol: PROTOCOL_TCP }), 2);
    collector.packet(packetOf({ from: "10.0.0.1 53", to: "10.0.0.2 1000" }), 3);
    collector.packet(packetOf({ from: "::1 1000", to: "::1 1000" }), 4);
    collector.packet(packetOf({ from: "::1 1000", to: "::1 1000" }), 5);
  }
  const { flows } = collector.finish();
  assert.deepEqual(
    flows.map(({ file, transport, source, sourcePort, packetsOut }) => {
      return `${file} ${transport} ${source} ${sourcePort} ${packetsOut}`;
    }),
    [0, 1].flatMap((file) => [
      `${file} udp 10.0.0.1 1000 1`,
      `${file} tcp 10.0.0.1 1000 1`,
      `${file} udp 10.0.0.1 53 1`,
      `${file} udp ::1 1000 2`,
    ]),
  );
});

Deno.test("AnalysisCollector takes the end that a SYN-ACK answers for the opener", () => {
  const collector = new AnalysisCollector();
  collector.beginFile("a.pcap");
  const answer = { from: "10.0.0.2 443", to: "10.0.0.1 1000", protocol: PROTOCOL_TCP };
  collector.packet(packetOf({ ...answer, flags: SYN | ACK }), 1);
  const [{ source, packetsOut, packetsIn }] = collector.finish().flows;
  assert.deepEqual([source, packetsOut, packetsIn], ["10.0.0.1", 0, 1]);
});

Deno.test("AnalysisCollector keeps flows with detections, then the largest, and counts the rest", () => {
  const collector = new AnalysisCollector(LIMITS);
  collector.beginFile("a.pcap");
  for (let i = 0; i < 50; i++) {
    const packet = packetOf({ from: `10.0.0.1 ${1000 + i}`, to: "10.0.0.2 80", length: i });
    collector.packet(packet, i);
    if (i === 3) {
      const ends = { source: "10.0.0.1", destination: "10.0.0.2" };
      collector.detection(found(packet, ends), i, i);
    }
  }
  const { flows, leftOut, hosts } = collector.finish();
  assert.deepEqual(flows.map(({ sourcePort }) => sourcePort), [1003, 1047, 1048, 1049]);
  assert.equal(leftOut.flows, 46);
  // The totals of hosts have all of them.
  assert.deepEqual(
    hosts.map(({ address, flows, packets, bytesSent, bytesReceived }) => {
      return [address, flows, packets, bytesSent, bytesReceived];
    }),
    [["10.0.0.1", 50, 50, 1225, 0], ["10.0.0.2", 50, 50, 0, 1225]],
  );
});

Deno.test("AnalysisCollector still finds the flows it kept when others made room", () => {
  const collector = new AnalysisCollector(LIMITS);
  collector.beginFile("a.pcap");
  const large = { from: "10.0.0.9 9", to: "10.0.0.2 80", length: 5_000 };
  for (let i = 0; i < 200; i++) {
    collector.packet(packetOf({ from: `10.0.0.1 ${i}`, to: "10.0.0.2 80" }), i);
    collector.packet(packetOf(large), i);
  }
  const kept = collector.finish().flows.find(({ source }) => source === "10.0.0.9")!;
  assert.deepEqual([kept.packetsOut, kept.firstMs, kept.lastMs], [200, 0, 199]);
});

Deno.test("AnalysisCollector bounds detections and hosts, and says what it left out", () => {
  const collector = new AnalysisCollector(LIMITS);
  collector.beginFile("a.pcap");
  for (let i = 0; i < 6; i++) {
    const ends = { source: `10.0.0.${i}`, destination: "10.0.1.1" };
    const packet = packetOf({ from: `${ends.source} 1`, to: "10.0.1.1 2", length: 1 });
    collector.packet(packet, i);
    collector.detection(found(packet, ends), i + 1, i);
  }
  for (let i = 0; i < 6; i++) {
    collector.packet(packetOf({ from: `10.0.2.${i} 1`, to: "10.0.3.1 2" }), i);
  }
  const { detections, hosts, leftOut } = collector.finish();
  assert.deepEqual(detections.map(({ packet, source }) => [packet, source]), [
    [1, "10.0.0.0"],
    [2, "10.0.0.1"],
  ]);
  assert.deepEqual(hosts.map(({ address, detections }) => [address, detections]), [
    ["10.0.1.1", 6],
    ["10.0.0.0", 1],
    ["10.0.0.1", 1],
  ]);
  // Six senders and the one they sent to have places; none of the other six senders has.
  assert.deepEqual(leftOut, { flows: 8, detections: 4, hosts: 4, hostEnds: 12 });
});

Deno.test("AnalysisCollector names a host's methods, and its own clients only", () => {
  const collector = new AnalysisCollector();
  collector.beginFile("a.pcap");
  const packet = packetOf({ from: "10.0.0.1 1", to: "10.0.0.2 2" });
  collector.packet(packet, 0);
  const ends = { source: "10.0.0.1", destination: "10.0.0.2" };
  collector.detection(found(packet, ends), 1, 0);
  collector.detection(found(packet, ends), 2, 0);
  const { hosts } = collector.finish();
  assert.deepEqual(hosts.map(({ methods, clients }) => [methods, clients]), [
    [["udp-tracker"], ["qBittorrent 1.4.2"]],
    [["udp-tracker"], []],
  ]);
});

Deno.test("AnalysisCollector moves times that no calendar holds to the nearest end", () => {
  const collector = new AnalysisCollector();
  collector.beginFile("a.pcap");
  for (const timeMs of [-5, NaN, 1e300]) {
    collector.packet(packetOf({ from: "10.0.0.1 1", to: "10.0.0.2 2" }), timeMs);
  }
  const [{ firstMs, lastMs }] = collector.finish().flows;
  assert.equal(new Date(firstMs).getUTCFullYear(), 1970);
  assert.equal(new Date(lastMs).getUTCFullYear(), 9999);
});
