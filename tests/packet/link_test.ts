import assert from "node:assert/strict";
import fc from "fast-check";
import { isKnownLinkType, parseFrame } from "../../src/packet/link.ts";
import { Packet } from "../../src/packet/packet.ts";

/** RFC 791 and RFC 768: 192.168.1.100:51234 → 8.8.8.8:6881 with the four bytes `d1:a`. */
const IPV4 = "45000020000040004011 0000 c0a80164 08080808 c8221ae1000c0000 64313a61";
/** RFC 8200: [2001:db8::1]:51234 → [2001:db8::2]:6881 with the same payload. */
const IPV6 = "60000000000c1140 20010db8000000000000000000000001 20010db8000000000000000000000002 " +
  "c8221ae1000c0000 64313a61";

const MACS = "0200000000010200 00000002";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

const found = [
  // Ethernet: IEEE 802.3, type field
  ["Ethernet, IPv4", 1, `${MACS} 0800 ${IPV4}`, 4],
  ["Ethernet, IPv6", 1, `${MACS} 86dd ${IPV6}`, 6],
  ["Ethernet, padded to 60 bytes", 1, `${MACS} 0800 ${IPV4} ${"00".repeat(14)}`, 4],
  ["802.1Q", 1, `${MACS} 8100 0064 0800 ${IPV4}`, 4],
  ["802.1ad over 802.1Q", 1, `${MACS} 88a8 0064 8100 00c8 86dd ${IPV6}`, 6],
  ["three old QinQ tags", 1, `${MACS} 9100 0001 9100 0002 8100 0003 0800 ${IPV4}`, 4],
  // RFC 2516: version and type 1, code 0, session 1, length 34, then PPP protocol 0021
  ["PPPoE session, IPv4", 1, `${MACS} 8864 11 00 0001 0022 0021 ${IPV4}`, 4],
  ["PPPoE session, IPv6", 1, `${MACS} 8864 11 00 0001 0036 0057 ${IPV6}`, 6],
  // RFC 3032: label 16, bottom of stack; two labels
  ["MPLS, one label", 1, `${MACS} 8847 00010140 ${IPV4}`, 4],
  ["MPLS, two labels", 1, `${MACS} 8847 00010040 00011140 ${IPV6}`, 6],
  ["MPLS, Ethernet pseudowire", 1, `${MACS} 8847 00010140 00000000 ${MACS} 0800 ${IPV4}`, 4],
  // RFC 1042: length, LLC aa aa 03, organisation 000000, type
  ["802.3 LLC and SNAP", 1, `${MACS} 0028 aaaa03 000000 0800 ${IPV4}`, 4],
  ["802.3 LLC, IP service access point", 1, `${MACS} 0023 060603 ${IPV4}`, 4],
  ["raw IP (101), IPv4", 101, IPV4, 4],
  ["raw IP (101), IPv6", 101, IPV6, 6],
  ["raw IP (12)", 12, IPV4, 4],
  ["raw IP (14)", 14, IPV6, 6],
  ["IPv4 (228)", 228, IPV4, 4],
  ["IPv6 (229)", 229, IPV6, 6],
  // https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html
  ["Linux cooked", 113, `0000 0001 0006 020000000001 0000 0800 ${IPV4}`, 4],
  ["Linux cooked, VLAN", 113, `0000 0001 0006 020000000001 0000 8100 0064 86dd ${IPV6}`, 6],
  ["Linux cooked 2", 276, `0800 0000 00000002 0001 00 06 0200000000010000 ${IPV4}`, 4],
  // BSD loopback: family in host order (null), network order (loop)
  ["null, little endian, IPv4", 0, `02000000 ${IPV4}`, 4],
  ["null, big endian, IPv6 of macOS", 0, `0000001e ${IPV6}`, 6],
  ["loop, IPv4", 108, `00000002 ${IPV4}`, 4],
  ["PPP with address and control", 50, `ff03 0021 ${IPV4}`, 4],
  ["PPP without", 9, `0021 ${IPV4}`, 4],
  ["PPP, protocol of one byte", 9, `57 ${IPV6}`, 6],
  ["PPP with direction", 204, `01 ff03 0021 ${IPV4}`, 4],
  ["Cisco HDLC", 104, `0f00 0800 ${IPV4}`, 4],
  ["Cisco HDLC in a PPP capture", 50, `8f00 86dd ${IPV6}`, 6],
  // IEEE 802.11 data frame from the access point, LLC and SNAP
  ["802.11 data", 105, `0802 0000 ${"02".repeat(18)} 0000 aaaa03 000000 0800 ${IPV4}`, 4],
  [
    "802.11 QoS data",
    105,
    `8802 0000 ${"02".repeat(18)} 0000 0000 aaaa03 000000 86dd ${IPV6}`,
    6,
  ],
  [
    "radiotap with timestamp and flags, frame check sequence at the end",
    127,
    `0000 1900 03000000 0000000000000000 10 0000000000000000 ` +
    `0802 0000 ${"02".repeat(18)} 0000 aaaa03 000000 0800 ${IPV4} deadbeef`,
    4,
  ],
  ["PPI around Ethernet", 192, `00 00 0800 01000000 ${MACS} 0800 ${IPV4}`, 4],
  // linux/netfilter/nfnetlink_log.h: prefix (10) and payload (9) attributes
  ["NFLOG", 239, `02 00 0000 0500 0a00 00000000 2400 0900 ${IPV4}`, 4],
  ["NFLOG, big endian", 239, `02 00 0000 0005 000a 00000000 0024 0009 ${IPV4}`, 4],
] as const;

for (const [name, linkType, hex, family] of found) {
  Deno.test(`parseFrame() finds the packet: ${name}`, () => {
    const packet = new Packet();
    const frame = bytes(hex);
    assert.equal(parseFrame(packet, frame, 0, frame.length, linkType), true);
    assert.equal(packet.family, family);
    assert.equal(packet.sourcePort, 51234);
    assert.equal(packet.destinationPort, 6881);
    const payload = frame.subarray(packet.payloadStart, packet.payloadEnd);
    assert.equal(new TextDecoder().decode(payload), "d1:a");
    assert.ok(isKnownLinkType(linkType));
  });

  Deno.test(`parseFrame() reads nothing outside the frame: ${name}`, () => {
    const frame = bytes(hex);
    // The frame in the middle of a larger buffer, cut at every place: what stands around it must
    // not change the answer.
    for (let length = 0; length <= frame.length; length++) {
      const answers = [0x00, 0xff].map((around) => {
        const buffer = new Uint8Array(frame.length + 64).fill(around);
        buffer.set(frame.subarray(0, length), 32);
        const packet = new Packet();
        const isFound = parseFrame(packet, buffer, 32, 32 + length, linkType);
        if (!isFound) return [false];
        assert.ok(packet.payloadStart <= packet.payloadEnd && packet.payloadEnd <= 32 + length);
        return [true, packet.family, packet.sourcePort, packet.payloadStart, packet.payloadEnd];
      });
      assert.deepEqual(answers[0], answers[1], `cut to ${length} bytes`);
    }
  });
}

const notFound = [
  ["ARP", 1, `${MACS} 0806 0001080006040001`],
  ["a frame shorter than its header", 1, `${MACS} 08`],
  ["PPPoE discovery", 1, `${MACS} 8863 11 09 0000 0004 01010000`],
  ["spanning tree in 802.3", 1, `${MACS} 0026 424203 ${"00".repeat(35)}`],
  ["more tags than any network stacks", 1, `${MACS} ${"8100 0001 ".repeat(12)} 0800 ${IPV4}`],
  [
    "an encrypted 802.11 frame",
    105,
    `0842 0000 ${"02".repeat(18)} 0000 aaaa03 000000 0800 ${IPV4}`,
  ],
  ["a beacon", 105, `8000 0000 ${"02".repeat(18)} 0000 aaaa03 000000 0800 ${IPV4}`],
  ["a loopback family with high bytes", 0, `02aa00bb ${IPV4}`],
  ["PPP link control", 9, `c021 0101 0004`],
  ["an unknown link type", 147, IPV4],
  ["nothing", 101, ""],
] as const;

for (const [name, linkType, hex] of notFound) {
  Deno.test(`parseFrame() passes over ${name}`, () => {
    const frame = bytes(hex);
    assert.equal(parseFrame(new Packet(), frame, 0, frame.length, linkType), false);
  });
}

Deno.test("parseFrame() takes any bytes of any link type and stays inside them", () => {
  const packet = new Packet();
  const linkTypes = [...new Set(found.map(([, linkType]) => linkType)), 147];
  const frames = found.map(([, linkType, hex]) => [linkType, bytes(hex)] as const);
  fc.assert(
    fc.property(
      fc.oneof(
        fc.tuple(fc.constantFrom(...linkTypes), fc.uint8Array({ maxLength: 128 })),
        // A good frame with some bytes changed comes further than noise does.
        fc.tuple(
          fc.constantFrom(...frames),
          fc.array(fc.tuple(fc.nat(127), fc.nat(255)), { maxLength: 4 }),
        ).map(([[linkType, frame], changes]): [number, Uint8Array] => {
          const changed = frame.slice();
          for (const [at, byte] of changes) if (at < changed.length) changed[at] = byte;
          return [linkType, changed];
        }),
      ),
      ([linkType, frame]) => {
        if (!parseFrame(packet, frame, 0, frame.length, linkType)) return;
        assert.ok(packet.payloadStart >= 0 && packet.payloadEnd <= frame.length);
        assert.ok(packet.payloadStart <= packet.payloadEnd);
      },
    ),
    { numRuns: 5_000 },
  );
});
