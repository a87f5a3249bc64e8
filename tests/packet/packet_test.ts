import assert from "node:assert/strict";
import fc from "fast-check";
import { formatAddress } from "../../src/packet/address.ts";
import { Packet, parseIp } from "../../src/packet/packet.ts";

/** Bytes from hex with spaces. */
function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(" ", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

// RFC 791: version/IHL, TOS, length, id, flags/fragment, TTL, protocol, checksum, source, destination
const IPV4 = (protocol: string, length: string, fragment = "4000") =>
  `45 00 ${length} 0001 ${fragment} 40 ${protocol} 0000 0a090102 c0000201`;
const UDP = "1a e1 00 35 00 0c 00 00 64 65 61 64"; // 6881 → 53, "dead"
const TCP = "1ae1 01bb 00000007 80000001 50 18 ffff 0000 0000"; // 6881 → 443, seq 7, PSH ACK
const IPV6 = (next: string, length: string) =>
  `60000000 ${length} ${next} 40 20010db8000000000000000000000001 20010db8000000000000000000000002`;

interface Expected {
  family: number;
  protocol: number;
  source: string;
  destination: string;
  ports: [number, number];
  payload: string;
}

const udp4: Expected = {
  family: 4,
  protocol: 17,
  source: "10.9.1.2",
  destination: "192.0.2.1",
  ports: [6881, 53],
  payload: "dead",
};
const udp6: Expected = { ...udp4, family: 6, source: "2001:db8::1", destination: "2001:db8::2" };

const accepted: readonly (readonly [string, string, Expected])[] = [
  ["IPv4 UDP", IPV4("11", "0020") + UDP, udp4],
  ["IPv4 with padding of the Ethernet frame", IPV4("11", "0020") + UDP + "000000", udp4],
  [
    "IPv4 with options",
    "47 00 0028 0001 4000 40 11 0000 0a090102 c0000201 01010101 01010100" + UDP,
    udp4,
  ],
  ["IPv4, first fragment", IPV4("11", "0020", "2000") + UDP, udp4],
  ["IPv4 of length 0 (segmentation offload)", IPV4("11", "0000") + UDP, udp4],
  ["IPv4 TCP", IPV4("06", "002a") + TCP + "6162", {
    ...udp4,
    protocol: 6,
    ports: [6881, 443],
    payload: "ab",
  }],
  ["IPv6 UDP", IPV6("11", "000c") + UDP, udp6],
  [
    "IPv6 with hop-by-hop, destination options and first fragment",
    IPV6("00", "0024") + "3c00010400000000 2c00010400000000 1100000100000001" + UDP,
    udp6,
  ],
  ["IPv4 in IPv4 (RFC 2003)", IPV4("04", "0034") + IPV4("11", "0020") + UDP, udp4],
  ["6in4 (RFC 4213)", IPV4("29", "0048") + IPV6("11", "000c") + UDP, udp6],
  [
    "GRE with key (RFC 2890)",
    IPV4("2f", "003c") + "2000 0800 00000001" + IPV4("11", "0020") + UDP,
    udp4,
  ],
];
for (const [name, text, expected] of accepted) {
  Deno.test(`parseIp() reads ${name}`, () => {
    const packet = new Packet();
    const bytes = hex(text);
    assert.equal(parseIp(packet, bytes, 0, bytes.length), true);
    assert.deepEqual({
      family: packet.family,
      protocol: packet.protocol,
      source: formatAddress(packet.address, 0),
      destination: formatAddress(packet.address, 4),
      ports: [packet.sourcePort, packet.destinationPort],
      payload: new TextDecoder().decode(bytes.subarray(packet.payloadStart, packet.payloadEnd)),
    }, expected);
  });
}

const refused: readonly (readonly [string, string])[] = [
  ["nothing", ""],
  ["a header cut by one byte", IPV4("11", "0020").slice(0, -2)],
  ["IHL of 4 words", "44" + (IPV4("11", "0020") + UDP).slice(2)],
  ["a total length shorter than its header", IPV4("11", "0013") + UDP],
  ["a later fragment", IPV4("11", "0020", "2001") + UDP],
  ["ICMP", IPV4("01", "0020") + UDP],
  ["UDP cut inside its header", IPV4("11", "0020") + UDP.slice(0, 20)],
  ["UDP of length 7", IPV4("11", "0020") + UDP.replace("000c", "0007").replace("00 0c", "00 07")],
  ["TCP with a data offset of 4 words", IPV4("06", "002a") + TCP.replace("50 18", "40 18")],
  ["TCP with a data offset beyond the packet", IPV4("06", "002a") + TCP.replace("50 18", "f0 18")],
  ["version 5", "55" + (IPV4("11", "0020") + UDP).slice(2)],
  ["IPv6 cut in an extension header", IPV6("00", "0004") + "3c000104"],
  ["a dozen tunnels in one another", IPV4("04", "0000").repeat(12) + IPV4("11", "0020") + UDP],
];
for (const [name, text] of refused) {
  Deno.test(`parseIp() refuses ${name}`, () => {
    const bytes = hex(text);
    assert.equal(parseIp(new Packet(), bytes, 0, bytes.length), false);
  });
}

Deno.test("parseIp() takes sequence, acknowledgement and flags of TCP", () => {
  const packet = new Packet();
  const bytes = hex(IPV4("06", "0028") + TCP);
  assert.equal(parseIp(packet, bytes, 0, bytes.length), true);
  assert.equal(packet.sequence, 7);
  assert.equal(packet.acknowledgement >>> 0, 0x80000001);
  assert.equal(packet.flags, 0x18);
});

Deno.test("parseIp() of any bytes: no throw, payload inside the range", () => {
  const packet = new Packet();
  const samples = accepted.map(([, text]) => hex(text));
  const mutated = fc.tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(), fc.nat(255))))
    .map(([sample, changes]) => {
      const bytes = sample.slice();
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), fc.nat(200), (bytes, cut) => {
      const end = Math.min(cut, bytes.length);
      if (!parseIp(packet, bytes, 0, end)) return;
      assert.ok(packet.payloadStart <= packet.payloadEnd && packet.payloadEnd <= end);
    }),
    { numRuns: 5000 },
  );
});
