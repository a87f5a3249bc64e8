import assert from "node:assert/strict";
import fc from "fast-check";
import { formatAddress } from "../../src/packet/address.ts";
import { parseFrame } from "../../src/packet/link.ts";
import { OTHER, Packet, parseIp } from "../../src/packet/packet.ts";

/** Bytes from hex with spaces. */
function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

function u16(value: number): string {
  return value.toString(16).padStart(4, "0");
}

function size(text: string): number {
  return text.replaceAll(" ", "").length / 2;
}

/** RFC 791 with its checksum: 10.9.1.2 → 192.0.2.1 unless other ends are given. */
function ipv4(protocol: string, payload: string, ends = "0a090102 c0000201"): string {
  const header = `4500 ${u16(20 + size(payload))} 0001 4000 40${protocol} 0000 ${ends}`;
  let sum = 0;
  for (const [word] of header.replaceAll(" ", "").matchAll(/.{4}/g)) sum += parseInt(word, 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return header.replace("0000 " + ends, `${u16(~sum & 0xffff)} ${ends}`) + payload;
}

/** RFC 8200: 2001:db8::1 → 2001:db8::2. */
function ipv6(next: string, payload: string): string {
  const ends = "20010db8000000000000000000000001 20010db8000000000000000000000002";
  return `60000000 ${u16(size(payload))} ${next} 40 ${ends} ${payload}`;
}

function udp(source: number, destination: number, payload: string): string {
  return `${u16(source)} ${u16(destination)} ${u16(8 + size(payload))} 0000 ${payload}`;
}

/** Between the tunnel's ends. */
const outer = (protocol: string, payload: string) => ipv4(protocol, payload, "c6336401 c6336402"); // 198.51.100.1 → 198.51.100.2
const over = (port: number, payload: string, source = 40000) =>
  outer("11", udp(source, port, payload));

const DATAGRAM = udp(6881, 53, "64656164"); // "dead"
const V4 = ipv4("11", DATAGRAM);
const V6 = ipv6("11", DATAGRAM);
const MACS = "0200 0000 0001 0200 0000 0002";
const FRAME = `${MACS} 0800 ${V4}`;
const TAGGED = `${MACS} 8100 0005 0800 ${V4}`;
const STACK = `${MACS} 88a8 0001 8100 0005 86dd ${V6}`;

/** L2TP's length field counts its whole message. */
const l2tp = (flags: string, rest: string) => `${flags} ${u16(4 + size(rest))} ${rest}`;
const gtp = (flags: string, rest: string) => `${flags}ff ${u16(size(rest) - 4)} ${rest}`;

const found: readonly (readonly [string, string])[] = [
  ["IPv4 in IPv4 (RFC 2003)", outer("04", V4)],
  ["6in4 (RFC 4213)", outer("29", V6)],
  ["4in6 (RFC 2473)", ipv6("04", V4)],
  ["GRE (RFC 2784)", outer("2f", `0000 0800 ${V4}`)],
  [
    "GRE with checksum, key and sequence (RFC 2890)",
    outer("2f", `b000 86dd ${"00".repeat(12)}${V6}`),
  ],
  ["GRE, Ethernet", outer("2f", `2000 6558 00000001 ${FRAME}`)],
  ["GRE, Ethernet with a VLAN tag", outer("2f", `0000 6558 ${TAGGED}`)],
  ["GRE, Ethernet with two tags", outer("2f", `0000 6558 ${STACK}`)],
  ["GRE, MPLS", outer("2f", `0000 8847 00010140 ${V4}`)],
  ["GRE, PPP", outer("2f", `0000 880b ff030021 ${V4}`)],
  ["PPTP (RFC 2637)", outer("2f", `3081 880b 0024 0007 00000001 00000002 ff030021 ${V4}`)],
  ["PPTP, compressed header", outer("2f", `3001 880b 0021 0007 00000001 21 ${V4}`)],
  ["EtherIP (RFC 3378)", outer("61", `3000 ${TAGGED}`)],
  ["L2TP version 3 over IP (RFC 3931)", outer("73", `00000001 ${FRAME}`)],
  [
    "L2TP version 3 with cookie and sublayer",
    outer("73", `00000001 ${"ab".repeat(8)}40000001 ${FRAME}`),
  ],
  ["MPLS in IP (RFC 4023)", outer("89", `00010140 ${V4}`)],
  ["VXLAN (RFC 7348)", over(4789, `08000000 00002a00 ${FRAME}`)],
  ["VXLAN on Linux' old port", over(8472, `08000000 00002a00 ${STACK}`)],
  ["VXLAN on a port of somebody's choice", over(30000, `08000000 00002a00 ${TAGGED}`)],
  ["VXLAN with a group policy", over(4789, `88000007 00002a00 ${FRAME}`)],
  ["VXLAN-GPE with IPv6", over(4790, `0c000002 00002a00 ${V6}`)],
  ["VXLAN over IPv6", ipv6("11", udp(40000, 4789, `08000000 00002a00 ${FRAME}`))],
  ["VXLAN, a short frame filled up", over(4789, `08000000 00002a00 ${FRAME} ${"00".repeat(14)}`)],
  ["GENEVE, Ethernet (RFC 8926)", over(6081, `0000 6558 00002a00 ${FRAME}`)],
  ["GENEVE with options, IPv4", over(6081, `0240 0800 00002a00 0102800100000001 ${V4}`)],
  ["GTP-U (TS 29.281)", over(2152, gtp("30", `00000007 ${V4}`), 2152)],
  ["GTP-U with sequence number", over(2152, gtp("32", `00000007 00010000 ${V6}`))],
  ["GTP-U with a 5G extension", over(2152, gtp("34", `00000007 00000085 01100100 ${V4}`))],
  ["L2TP (RFC 2661)", over(1701, `0002 0001 0002 ff030021 ${V4}`)],
  ["L2TP with length", over(1701, l2tp("4002", `0001 0002 ff030021 ${V4}`), 1701)],
  [
    "L2TP with sequence and offset",
    over(1701, l2tp("4a02", `0001 0002 0001 0001 0002 0000 0057 ${V6}`)),
  ],
  ["L2TP version 3 over UDP", over(1701, `00030000 00000001 ${TAGGED}`)],
  ["FOU, IPv4", over(5555, V4)],
  ["FOU, IPv6", over(5555, V6)],
  ["FOU, GRE (RFC 8086)", over(4754, `2000 0800 00000001 ${V4}`)],
  ["GUE", over(6080, `0004 0000 ${V4}`)],
  ["GUE with private data, 6in4", over(6080, `0129 0000 00000000 ${V6}`)],
  ["GUE, GRE", over(6080, `002f 0000 0000 86dd ${V6}`)],
  ["MPLS in UDP (RFC 7510)", over(6635, `00010140 ${V4}`)],
  ["Teredo (RFC 4380)", over(3545, V6)],
  [
    "Teredo with origin and authentication",
    over(3544, `0001 0000 ${"00".repeat(9)} 0000 abcd 01020304 ${V6}`),
  ],
  [
    "GTP-U of VXLAN of IPIP",
    over(
      2152,
      gtp("30", `00000007 ${over(4789, `08000000 00002a00 ${MACS} 0800 ${outer("04", V4)}`)}`),
    ),
  ],
];

for (const [name, text] of found) {
  Deno.test(`parseIp() looks into ${name}`, () => {
    const packet = new Packet();
    const bytes = hex(text);
    assert.equal(parseIp(packet, bytes, 0, bytes.length), true);
    assert.ok(packet.tunnelled);
    assert.deepEqual([packet.sourcePort, packet.destinationPort], [6881, 53]);
    const payload = bytes.subarray(packet.payloadStart, packet.payloadEnd);
    assert.equal(new TextDecoder().decode(payload), "dead");
    assert.match(
      formatAddress(packet.address, 0),
      packet.family === 4 ? /^10\.9\.1\.2$/ : /^2001:db8::1$/,
    );
    assert.match(formatAddress(packet.carrierAddress, 0), /^(198\.51\.100\.1|2001:db8::1)$/);
  });

  Deno.test(`parseIp() reads nothing outside: ${name}`, () => {
    const bytes = hex(text);
    for (let length = 0; length < bytes.length; length++) {
      const answers = [0x00, 0xff].map((around) => {
        const buffer = new Uint8Array(bytes.length + 64).fill(around);
        buffer.set(bytes.subarray(0, length), 32);
        const packet = new Packet();
        if (!parseIp(packet, buffer, 32, 32 + length)) return [packet.unread];
        assert.ok(packet.payloadStart <= packet.payloadEnd && packet.payloadEnd <= 32 + length);
        return [packet.tunnelled, packet.sourcePort, packet.payloadStart, packet.payloadEnd];
      });
      assert.deepEqual(answers[0], answers[1], `cut to ${length} bytes`);
    }
  });
}

const ARP = `${MACS} 0806 0001080006040001 ${"00".repeat(20)}`;
const ICMP = ipv4("01", "0800f7ff00000000");

for (
  const [name, text] of [
    ["ARP in a VXLAN", over(4789, `08000000 00002a00 ${ARP}`)],
    ["ARP in a GENEVE", over(6081, `0000 6558 00002a00 ${ARP}`)],
    ["a ping in a VXLAN", over(4789, `08000000 00002a00 ${MACS} 0800 ${ICMP}`)],
    ["a ping in FOU", over(5555, ICMP)],
    ["L2TP's control channel", over(1701, l2tp("c802", "0001 0000 0001 0001 8008 0000 0000 0006"))],
    ["PPP's negotiation in L2TP", over(1701, `0002 0001 0002 ff03c021 01010004`)],
    ["GTP-U's echo", over(2152, `3201 0004 00000000 00010000`)],
    ["Teredo's bubble", over(3545, ipv6("3b", "").replaceAll("20010db80", "200100000"))],
    ["a mirror on its way (ERSPAN)", outer("2f", `1000 88be 00000001 1001000500000000 ${FRAME}`)],
  ] as const
) {
  Deno.test(`parseIp() finds nothing to judge in ${name}`, () => {
    const packet = new Packet();
    const bytes = hex(text);
    assert.equal(parseIp(packet, bytes, 0, bytes.length), false);
    assert.equal(packet.unread, OTHER);
  });
}

// What is on a tunnel's port and no tunnel, or begins as one and is none, is judged as itself.
const broken = V4.replace("0a090102", "0a090103"); // the checksum is wrong
const UTP_SYN = "4100 1234 00000001 00000000 00100000 0001 0000";
for (
  const [name, port, payload] of [
    ["a DHT query", 4789, "64313a6164323a6964"],
    ["uTP on L2TP's port", 1701, UTP_SYN],
    ["uTP on GTP's port", 2152, UTP_SYN],
    ["uTP on VXLAN's port", 4789, UTP_SYN],
    [
      "uTP on GENEVE's port, its id as a type",
      6081,
      "0100 0800 00000000 00000000 00100000 0001 0000",
    ],
    ["uTP on TZSP's port", 37008, "0100 0001 01000000 00000000 00100000 0001 0000"],
    ["a VXLAN header before a DHT query", 4789, "08000000 00002a00 64313a6164323a6964"],
    ["a VXLAN header before a broken packet", 4789, `08000000 00002a00 ${MACS} 0800 ${broken}`],
    ["a VXLAN whose packet is too long", 4789, `08000000 00002a00 ${FRAME.slice(0, -2)}`],
    ["a GTP header before a packet of another length", 2152, gtp("30", `00000007 ${V4} 00`)],
    ["an L2TP header before a broken packet", 1701, `0002 0001 0002 ff030021 ${broken}`],
    ["a packet with a byte behind it", 5555, `${V4} 00`],
    ["an IPv6 packet of no known protocol", 5555, ipv6("f0", DATAGRAM)],
    ["seven bytes", 4789, "08000000 00002a"],
  ] as const
) {
  Deno.test(`parseIp() takes for no tunnel: ${name}`, () => {
    const packet = new Packet();
    const bytes = hex(over(port, payload));
    assert.equal(parseIp(packet, bytes, 0, bytes.length), true);
    assert.equal(packet.tunnelled, false);
    assert.deepEqual([packet.sourcePort, packet.destinationPort], [40000, port]);
    assert.equal(packet.payloadLength, size(payload));
  });
}

const ERSPAN3 = "2001 0005 00000000 0000"; // version 2, session 5, timestamp, group
for (
  const [name, text] of [
    ["ERSPAN I", outer("2f", `0000 88be ${TAGGED}`)],
    ["ERSPAN II", outer("2f", `1000 88be 00000001 1001000500000000 ${FRAME}`)],
    ["ERSPAN III", outer("2f", `1000 22eb 00000001 ${ERSPAN3} 0000 ${STACK}`)],
    [
      "ERSPAN III with its subheader",
      outer("2f", `1000 22eb 00000001 ${ERSPAN3} 0001 ${"00".repeat(8)} ${FRAME}`),
    ],
    ["ERSPAN III, IP", outer("2f", `1000 22eb 00000001 ${ERSPAN3} 0800 ${V4}`)],
    ["TZSP", over(37008, `0100 0001 01 ${FRAME}`)],
    ["TZSP with tags, to be sent", over(37008, `0101 0001 0a01c3 00 0b04deadbeef 01 ${TAGGED}`)],
    [
      "TZSP, Wi-Fi",
      over(37008, `0100 0012 01 0802 0000 ${"02".repeat(18)} 0000 aaaa03 000000 0800 ${V4}`),
    ],
  ] as const
) {
  Deno.test(`parseFrame() reads what is mirrored by ${name}`, () => {
    const packet = new Packet();
    const bytes = hex(text);
    assert.equal(parseFrame(packet, bytes, 0, bytes.length, 101), true);
    assert.equal(packet.tunnelled, false);
    assert.deepEqual([packet.sourcePort, packet.destinationPort], [6881, 53]);
    // It begins where the copy begins.
    assert.ok(packet.start > 0 && packet.payloadStart - packet.start <= 48);
  });
}

Deno.test("any bytes in tunnels: no throw, payload inside the range, tunnels only around IP", () => {
  const packet = new Packet();
  const samples = found.map(([, text]) => hex(text));
  const mutated = fc.tuple(
    fc.constantFrom(...samples),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
  ).map(([sample, changes]) => {
    const bytes = sample.slice();
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes;
  });
  fc.assert(
    fc.property(mutated, fc.nat(300), fc.boolean(), (bytes, cut, isCapture) => {
      const end = Math.min(cut, bytes.length);
      const isRead = isCapture
        ? parseFrame(packet, bytes, 0, end, 101)
        : parseIp(packet, bytes, 0, end);
      if (!isRead) return assert.ok(packet.unread > 0);
      assert.ok(packet.start >= 0 && packet.payloadStart > packet.start);
      assert.ok(packet.payloadStart <= packet.payloadEnd && packet.payloadEnd <= end);
    }),
    { numRuns: 20_000 },
  );
});

/** The same numbers in every run: the bounds below are of them. */
function numbers(): () => number {
  let state = 0x2545_f491;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Of `count` datagrams of random bytes, how many are taken for a tunnel's when `forge` has set some. */
function taken(count: number, forge: (datagram: Uint8Array, end: number) => void): number {
  const packet = new Packet();
  const number = numbers();
  const bytes = new Uint8Array(28 + 120);
  let tunnels = 0;
  for (let i = 0; i < count; i++) {
    const length = 60 + number() % 60;
    bytes.set(hex(`4500 ${u16(28 + length)} 0001 4000 4011 0000 c6336401 c6336402`));
    bytes.set(hex(`9c40 15b3 ${u16(8 + length)} 0000`), 20);
    for (let at = 28; at < 28 + length; at++) bytes[at] = number() >>> 11;
    forge(bytes, 28 + length);
    if (parseIp(packet, bytes, 0, 28 + length) && !packet.tunnelled) continue;
    tunnels++;
  }
  return tunnels;
}

// A million of random datagrams that have by chance what one in 2^20 has: below 10^-12 in all.
Deno.test("a datagram of random bytes that begins as IPv6 of its length is no tunnel's", () => {
  const tunnels = taken(1_000_000, (bytes, end) => {
    bytes[28] = 0x60 | (bytes[28] & 15);
    bytes[32] = 0;
    bytes[33] = end - 68;
  });
  assert.equal(tunnels, 0);
});

// One in 2^36 has length and checksum right, of those one in 15 is to be one at most: 10^-12.
Deno.test("a datagram of random bytes that begins as IPv4 with its checksum is seldom a tunnel's", () => {
  const tunnels = taken(20_000, (bytes, end) => {
    bytes[28] = 0x45;
    bytes[30] = 0;
    bytes[31] = end - 28;
    bytes[38] = bytes[39] = 0;
    let sum = 0;
    for (let at = 28; at < 48; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    bytes[38] = ~sum >>> 8;
    bytes[39] = ~sum & 255;
  });
  assert.ok(tunnels < 20_000 / 15, `${tunnels} of 20 000`);
});

const TCP_SYN = "1ae1 0035 00000001 00000000 7002 ffff 0000 0000 0204 05b4 0103 0300";
const TCP_DATA = "1ae1 0035 00000001 00000002 5018 ffff 0000 0000 64656164";
/** Neighbour solicitation with its checksum. */
const SOLICITATION = "8700 ef7c 00000000 20010db8000000000000000000000002";
for (
  const [name, text, tunnel] of [
    ["a SYN", ipv6("06", TCP_SYN), true],
    ["a segment", ipv6("06", TCP_DATA), true],
    [
      "a segment, urgent data unflagged",
      ipv6("06", TCP_DATA.replace("0000 646", "0007 646")),
      false,
    ],
    ["SYN and FIN", ipv6("06", TCP_SYN.replace("7002", "7003")), false],
    ["a datagram of another length", ipv6("11", `${DATAGRAM} 00`), false],
    ["a datagram of another length in IPv4", ipv4("11", `${DATAGRAM} 00`), false],
    ["hop-by-hop options", ipv6("00", `1100 0502 0000 0100 ${DATAGRAM}`), true],
    ["the first fragment", ipv6("2c", `1100 0001 00000007 ${DATAGRAM} 00000000`), true],
    ["the last fragment", ipv6("2c", `1100 0008 00000007 ${"ab".repeat(9)}`), true],
    ["a fragment with a reserved byte", ipv6("2c", `11ff 0008 00000007 ${"ab".repeat(9)}`), false],
    ["neighbour discovery", ipv6("3a", SOLICITATION), true],
    ["ICMP with a wrong checksum", ipv6("3a", SOLICITATION.replace("ef7c", "ef7d")), false],
    ["ESP", ipv6("32", "ab".repeat(60)), false],
    ["IPv4 in IPv6", ipv6("04", V4), true],
    ["IPv4 in IPv6, broken", ipv6("04", broken), false],
    ["GRE in IPv6", ipv6("2f", `0000 0800 ${V4}`), true],
  ] as const
) {
  Deno.test(`parseIp() takes ${name} after FOU's header for ${tunnel ? "a" : "no"} tunnel`, () => {
    const packet = new Packet();
    const bytes = hex(over(5555, text));
    const isRead = parseIp(packet, bytes, 0, bytes.length);
    assert.equal(!isRead || packet.tunnelled, tunnel);
  });
}

Deno.test("parseIp() looks into FOU whose packets a snapshot length has cut", () => {
  for (const [text, snap] of [[ipv6("06", TCP_DATA + "00".repeat(900)), 88], [V6, 76]] as const) {
    const packet = new Packet();
    const bytes = hex(over(5555, text));
    assert.equal(parseIp(packet, bytes, 0, snap), true);
    assert.ok(packet.tunnelled && packet.payloadLength > packet.payloadEnd - packet.payloadStart);
  }
});

Deno.test("a datagram of random bytes on any port is no tunnel's", () => {
  const packet = new Packet();
  const ports = fc.constantFrom(1701, 2152, 3544, 4789, 4790, 5555, 6080, 6081, 6635, 8472, 37008);
  const payload = fc.uint8Array({ minLength: 20, maxLength: 120 });
  fc.assert(
    fc.property(ports, payload, fc.nat(0x6f), (port, bytes, first) => {
      bytes[0] = first; // most tunnels begin with these
      const whole = hex(over(port, bytes.toHex()));
      assert.equal(parseIp(packet, whole, 0, whole.length), true);
      assert.equal(packet.tunnelled, false);
    }),
    { numRuns: 20_000 },
  );
});
