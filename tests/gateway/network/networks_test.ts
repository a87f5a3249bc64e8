import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatNetwork,
  isInNetwork,
  Networks,
  parseNetwork,
} from "../../../src/gateway/network/networks.ts";
import { NewlyNever } from "../../../src/gateway/bans/newly_never.ts";
import { address } from "../bytes.ts";

const cases = [
  ["10.0.0.0/8", "10.255.1.2", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["10.0.0.0/8", "2001:db8::a00:1", false],
  ["10.1.2.3/8", "10.9.9.9", true], // host bits do not matter
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.6", false],
  ["192.0.2.6/31", "192.0.2.7", true],
  ["192.0.2.6/31", "192.0.2.8", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["::/0", "2001:db8::1", true],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["2001:db8::8/127", "2001:db8::9", true],
  ["2001:db8::8/127", "2001:db8::a", false],
  ["fe80::/10", "febf::1", true],
  ["fe80::/10", "fec0::1", false],
] as const;

for (const [network, host, wanted] of cases) {
  Deno.test(`${network} ${wanted ? "contains" : "does not contain"} ${host}`, () => {
    assert.equal(Networks.of(network).contains(address(host), 0), wanted);
    assert.equal(isInNetwork(parseNetwork(network)!, address(host), 0), wanted);
  });
}

for (
  const text of ["", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/08", "10.0.0/8", "a/8", "/8"]
) {
  Deno.test(`parseNetwork() refuses "${text}"`, () => assert.equal(parseNetwork(text), null));
}

Deno.test("contains() agrees with a comparison bit by bit", () => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const words = fc.array(word, { minLength: 4, maxLength: 4 }).map((list) => Int32Array.from(list));
  const bit = (list: Int32Array, index: number) => (list[index >> 5] >>> (31 - (index & 31))) & 1;
  fc.assert(fc.property(words, fc.integer({ min: 0, max: 128 }), fc.nat(127), (net, bits, flip) => {
    const set = new Networks(new SharedArrayBuffer(Networks.byteLength(1)));
    const masked = net.map((value, index) => {
      const ones = Math.max(0, Math.min(32, bits - index * 32));
      return ones === 0 ? 0 : value & (-1 << (32 - ones));
    });
    set.replace([{ words: masked, bits }]);
    const host = net.slice();
    host[flip >> 5] ^= 1 << (31 - (flip & 31));
    let same = true;
    for (let index = 0; index < bits; index++) same &&= bit(net, index) === bit(host, index);
    assert.equal(set.contains(host, 0), same);
    assert.equal(set.contains(net, 0), true);
  }));
});

Deno.test("replace() swaps the whole set, seen by another view of the memory", () => {
  const buffer = new SharedArrayBuffer(Networks.byteLength(2));
  const [writer, reader] = [new Networks(buffer), new Networks(buffer)];
  const network = (text: string) => parseNetwork(text)!;
  assert.equal(reader.contains(address("10.0.0.1"), 0), false);
  assert.equal(writer.replace([network("10.0.0.0/8"), network("::1")]), 0);
  assert.equal(reader.contains(address("10.0.0.1"), 0), true);
  assert.equal(writer.replace([network("11.0.0.0/8")]), 0);
  assert.equal(reader.contains(address("10.0.0.1"), 0), false);
  assert.equal(reader.contains(address("::1"), 0), false);
  assert.equal(reader.contains(address("11.0.0.1"), 0), true);
  const three = ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"].map(network);
  assert.equal(writer.replace(three), 1, "says how many found no room");
});

const overlapping = [
  ["10.1.0.0/16", "10.0.0.0/8", true],
  ["10.0.0.0/8", "10.1.0.0/16", true],
  ["10.1.0.0/16", "10.2.0.0/16", false],
  ["192.0.2.7", "192.0.2.0/24", true],
  ["192.0.2.7", "192.0.2.8", false],
  ["0.0.0.0/0", "192.0.2.7", true],
  ["::/0", "192.0.2.7", true], // the mapped form is in it
  ["2000::/3", "192.0.2.7", false],
  ["2001:db8::/32", "2001:db8:1::/48", true],
] as const;

for (const [one, other, wanted] of overlapping) {
  Deno.test(`${one} ${wanted ? "overlaps" : "does not overlap"} ${other}`, () => {
    assert.equal(Networks.of(one).overlaps(parseNetwork(other)!), wanted);
    assert.equal(Networks.of(other).overlaps(parseNetwork(one)!), wanted);
  });
}

for (const text of ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "2001:db8::1", "0.0.0.0/0"]) {
  Deno.test(`formatNetwork() gives ${text} back`, () => {
    assert.equal(formatNetwork(parseNetwork(text)!), text);
  });
}

Deno.test("the generation tells a replaced set", () => {
  const set = Networks.of("10.0.0.0/8");
  const before = set.generation;
  set.replace([parseNetwork("10.0.0.0/9")!]);
  assert.notEqual(set.generation, before);
});

Deno.test("Networks.all() gives back what the set holds, whatever the length", () => {
  const texts = ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "::/1", "::1"];
  assert.deepEqual(Networks.of(...texts).all().map(formatNetwork), texts);
  assert.deepEqual(Networks.of().all(), []);
});

Deno.test("NewlyNever tells what came in, and the same once more", () => {
  const newly = new NewlyNever();
  const never = new Networks(new SharedArrayBuffer(Networks.byteLength(8)));
  const look = (...texts: string[]) => {
    never.replace(texts.map((text) => parseNetwork(text)!));
    return newly.look(never).map(formatNetwork);
  };
  assert.deepEqual(look("10.0.0.0/8", "192.0.2.1"), ["10.0.0.0/8", "192.0.2.1"]);
  assert.deepEqual(look("10.0.0.0/8"), ["10.0.0.0/8", "192.0.2.1"]);
  assert.deepEqual(look("10.0.0.0/8"), []);
  assert.deepEqual(look("192.0.2.1", "10.0.0.0/8"), ["192.0.2.1"]);
  assert.deepEqual(look("192.0.2.1", "10.0.0.0/8"), ["192.0.2.1"]);
  assert.deepEqual(look("192.0.2.1", "10.0.0.0/8"), []);
});
