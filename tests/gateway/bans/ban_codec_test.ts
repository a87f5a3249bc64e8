import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAddress } from "../../../src/packet/address.ts";
import {
  BAN_VALUE_LENGTH,
  decodeBanValue,
  decodeBits,
  decodeKey,
  encodeBanValue,
  encodeKey,
  ipv6Mask,
  KEY_LENGTHS,
  mapOf,
} from "../../../src/gateway/bans/ban_codec.ts";
import {
  addressKey,
  endpointKey,
  formatBanKey,
  networkKey,
  parseBanKey,
} from "../../../src/gateway/bans/ban_key.ts";
import { parseNetwork } from "../../../src/gateway/network/networks.ts";
import { address, bytes, hex } from "../bytes.ts";

// Typed from RFC 4291 sections 2.5.5.2 (IPv4-mapped) and 2.2, and bpf/layout.h.
const keys = [
  ["10.9.1.2", "0000 0000 0000 0000 0000 ffff 0a09 0102"],
  ["2.1.9.10", "0000 0000 0000 0000 0000 ffff 0201 090a"],
  ["255.254.253.252", "0000 0000 0000 0000 0000 ffff fffe fdfc"],
  ["2001:db8:0:1::abcd", "2001 0db8 0000 0001 0000 0000 0000 abcd"],
  ["fe80::ff:fe00:1", "fe80 0000 0000 0000 0000 00ff fe00 0001"],
] as const;

for (const [text, wanted] of keys) {
  Deno.test(`encodeKey() ${text} is in network order`, () => {
    const key = new Uint8Array(KEY_LENGTHS.blocked_ips);
    encodeKey("blocked_ips", key, addressKey(address(text)));
    assert.equal(hex(key), hex(bytes(wanted)));
    assert.deepEqual(decodeKey("blocked_ips", key, 0, 128).words, parseAddress(text));
  });
}

Deno.test("encodeKey() of an endpoint: port in network order, protocol, and a zero", () => {
  const key = new Uint8Array(KEY_LENGTHS.blocked_endpoints).fill(0xee);
  encodeKey("blocked_endpoints", key, endpointKey(address("10.9.1.2"), 0, 17, 6881));
  assert.equal(hex(key), hex(bytes("00000000 00000000 0000ffff 0a090102 1ae1 11 00")));
});

// struct bpf_lpm_trie_key of linux/bpf.h: prefix length in host order, then the data.
Deno.test("encodeKey() of a network: prefix length of the mapped form, then the address", () => {
  const key = new Uint8Array(KEY_LENGTHS.blocked_networks).fill(0xee);
  encodeKey("blocked_networks", key, networkKey({ words: address("10.9.1.0"), bits: 96 + 24 }));
  assert.equal(hex(key), hex(bytes("78000000 00000000 00000000 0000ffff 0a090100")));
});

Deno.test("keys of all kinds survive writing and reading", () => {
  const words = fc.array(fc.integer(), { minLength: 4, maxLength: 4 })
    .map((words) => Int32Array.from(words));
  const protocol = fc.constantFrom(6, 17);
  const key = fc.oneof(
    words.map((words) => addressKey(words)),
    fc.tuple(words, protocol, fc.nat(65_535)).map(([words, protocol, port]) =>
      endpointKey(words, 0, protocol, port)
    ),
    fc.tuple(words, fc.nat(127)).map(([words, bits]) => networkKey({ words, bits })),
  );
  fc.assert(fc.property(key, fc.nat(8), (key, offset) => {
    const map = mapOf(key, 64);
    const bytes = new Uint8Array(offset + KEY_LENGTHS[map]);
    encodeKey(map, bytes.subarray(offset), key);
    assert.deepEqual(decodeKey(map, bytes, offset, key.bits), key);
  }));
});

Deno.test("encodeBanValue() is struct ban of bpf/layout.h", () => {
  const value = new Uint8Array(BAN_VALUE_LENGTH).fill(0xee);
  encodeBanValue(new DataView(value.buffer), {
    untilMs: 18_000_000, // 18,000 s = 0x105ef39b2000 ns
    sinceMs: 1_000, // 0x3b9aca00 ns
    packets: 3,
    bytes: 0x1_0000_0002,
    lastSeenMs: 1_001, // 0x3baa0c40 ns
    reason: 255,
    bans: 7,
  }, 64);
  assert.equal(
    hex(value),
    hex(bytes(
      "00209bf35e100000 00ca9a3b00000000 0300000000000000 0200000001000000 400caa3b00000000 " +
        "ff 40 07 0000000000",
    )),
  );
});

Deno.test("ban values survive writing and reading", () => {
  const whole = fc.integer({ min: 0, max: 2 ** 50 });
  const time = fc.integer({ min: 0, max: 2 ** 33 }); // 99 days: exact as a double in nanoseconds
  const value = new DataView(new ArrayBuffer(BAN_VALUE_LENGTH));
  const ban = fc.record({
    ...{ untilMs: time, sinceMs: time, lastSeenMs: time, packets: whole, bytes: whole },
    reason: fc.integer({ min: 0, max: 255 }),
    bans: fc.integer({ min: 0, max: 255 }),
  });
  fc.assert(fc.property(ban, (wanted) => {
    encodeBanValue(value, wanted, 56);
    assert.equal(decodeBits(value, 0), 56);
    assert.deepEqual(decodeBanValue(value, 0), { ...wanted });
  }));
});

Deno.test("addresses and an IPv6 /64 stand in blocked_ips, all other lengths in networks", () => {
  const mapFor = (text: string) => mapOf(networkKey(parseNetwork(text)!), 64);
  assert.equal(mapFor("2001:db8:1:2::/64"), "blocked_ips");
  assert.equal(mapFor("192.0.2.7"), "blocked_ips");
  assert.equal(mapFor("2001:db8:1:2::7"), "blocked_ips");
  assert.equal(mapFor("2001:db8:1:2::"), "blocked_networks", "it would be taken for the /64");
  for (const text of ["2001:db8::/48", "192.0.2.0/24", "::ffff:0:0/96"]) {
    assert.equal(mapFor(text), "blocked_networks", text);
  }
  assert.equal(hex(ipv6Mask(64)), "ff".repeat(8) + "00".repeat(8));
  assert.equal(hex(ipv6Mask(52)), "ff".repeat(6) + "f0" + "00".repeat(9));
});

Deno.test("parseBanKey() reads what formatBanKey() writes", () => {
  for (
    const text of [
      ...["192.0.2.7", "2001:db8::7", "192.0.2.0/24", "2001:db8:1:2::/64"],
      ...["192.0.2.7:6881/udp", "[2001:db8::7]:51413/tcp"],
    ]
  ) assert.equal(formatBanKey(parseBanKey(text)!), text);
  for (
    const text of ["", "192.0.2.7:6881", "2001:db8::7:6881/udp", "192.0.2.7:70000/udp", "x:1/tcp"]
  ) assert.equal(parseBanKey(text), null, text);
});
