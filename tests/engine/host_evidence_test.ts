import assert from "node:assert/strict";
import {
  BY_CALL,
  BY_OPENING,
  type Endpoint,
  EVIDENCE_MS,
  HostEvidence,
} from "../../src/engine/host_evidence.ts";
import { parseAddress } from "../../src/packet/address.ts";

const host = parseAddress("10.0.0.1")!;
const other = parseAddress("2001:db8::1")!;
const now = 1_700_000_000_000;

function endpoint(address: string, port: number): Endpoint {
  return { address: parseAddress(address)!, at: 0, port };
}

Deno.test("HostEvidence: proof holds for ten minutes, for that address only", () => {
  const evidence = new HostEvidence();
  evidence.prove(host, 0, now);
  assert.equal(evidence.isProven(host, 0, now + EVIDENCE_MS), true);
  assert.equal(evidence.isProven(host, 0, now + EVIDENCE_MS + 200), false);
  assert.equal(evidence.isProven(other, 0, now), false);
});

Deno.test("HostEvidence is seen through the same buffer by another worker", () => {
  const buffer = new SharedArrayBuffer(HostEvidence.BYTE_LENGTH);
  new HostEvidence(buffer).prove(other, 0, now);
  assert.equal(new HostEvidence(buffer).isProven(other, 0, now), true);
});

Deno.test("HostEvidence: addresses chosen in a /64 do not push another's proof out of its row", () => {
  for (const name of ["2001:db8::1234:5678", "2001:db8:7::5"]) {
    const evidence = new HostEvidence();
    const victim = parseAddress(name)!;
    evidence.prove(victim, 0, now);
    // The highest bits of a factor change the highest bits of a product alone, whatever a seed has made of it.
    for (let i = 1; i < 1000; i++) {
      const chosen = victim.slice();
      chosen[3] ^= (i & 0x7f) << 25;
      chosen[2] ^= (i >> 7) << 28;
      evidence.prove(chosen, 0, now + 1000);
    }
    assert.equal(evidence.isProven(victim, 0, now + 1000), true, name);
  }
});

Deno.test("HostEvidence: each gateway places addresses otherwise, before and after it forgets", () => {
  const rows = (buffer: ArrayBufferLike, clears = false) => {
    const evidence = new HostEvidence(buffer);
    if (clears) evidence.clear();
    for (let i = 0; i < 20; i++) evidence.prove(Int32Array.of(0, 0, 0xffff, i), 0, now);
    return new Int32Array(buffer).map((word) => word === 0 ? 0 : 1).join("");
  };
  const [one, other] = [HostEvidence.sharedBuffer(), HostEvidence.sharedBuffer()];
  const first = rows(one);
  assert.notEqual(first, rows(other));
  assert.equal(first, rows(one, true));
  const own = () => rows(new ArrayBuffer(HostEvidence.BYTE_LENGTH));
  assert.equal(own(), own());
});

Deno.test("HostEvidence: a named endpoint is one address, one port, told to one host", () => {
  const evidence = new HostEvidence();
  const peer = endpoint("198.51.100.7", 6881);
  evidence.name(host, 0, peer, now);
  assert.equal(evidence.isNamed(host, 0, peer, now), true);
  assert.equal(evidence.isNamed(host, 0, endpoint("198.51.100.7", 6882), now), false);
  assert.equal(evidence.isNamed(other, 0, peer, now), false);
  assert.equal(evidence.isNamed(host, 0, endpoint("198.51.100.8", 6881), now), false);
});

Deno.test("HostEvidence: what a hostile answer names uses up its own host's room only", () => {
  const evidence = new HostEvidence();
  const peer = endpoint("198.51.100.7", 6881);
  evidence.name(other, 0, peer, now);
  for (let i = 0; i < 100_000; i++) {
    const named = { address: Int32Array.of(0, 0, 0xffff, i), at: 0, port: 1 };
    evidence.name(host, 0, named, now + 1000);
  }
  assert.equal(evidence.isNamed(other, 0, peer, now + 1000), true);
});

const fanOut = [
  ["three networks, two ports", ["1.1.1.1:5000 120", "2.2.2.2:5001 500", "3.3.3.3:5001 300"], true],
  ["two endpoints only", ["1.1.1.1:5000 120", "2.2.2.2:5001 500"], false],
  ["one endpoint again", ["1.1.1.1:5000 120", "1.1.1.1:5000 500", "1.1.1.1:5000 300"], false],
  ["one /24", ["1.1.1.1:5000 120", "1.1.1.2:5001 500", "1.1.1.3:5002 300"], false],
  ["one port", ["1.1.1.1:30303 120", "2.2.2.2:30303 500", "3.3.3.3:30303 300"], false],
  ["a list of proxies", ["1.1.1.1:5000 199", "2.2.2.2:5001 199", "3.3.3.3:5001 199"], false],
  ["padding up to 64", ["1.1.1.1:5000 500", "2.2.2.2:5001 564", "3.3.3.3:5001 530"], false],
  ["NTCP2's padding", ["1.1.1.1:5000 64", "2.2.2.2:5001 287", "3.3.3.3:5001 150"], false],
] as const;
for (const [name, endpoints, expected] of fanOut) {
  Deno.test(`HostEvidence.hasFanOut() ${name}: ${expected}`, () => {
    const evidence = new HostEvidence();
    for (const flow of endpoints) {
      const [address, port, length] = flow.split(/[: ]/);
      const peer = endpoint(address, Number(port));
      evidence.addFlow(host, 0, peer, now, BY_OPENING, Number(length));
    }
    assert.equal(evidence.hasFanOut(host, 0, now, BY_OPENING), expected);
    assert.equal(evidence.hasFanOut(host, 0, now + 61_000, BY_OPENING), false, "a minute later");
  });
}

/** Of flows: lengths of the first message, and of two further ones where there is a handshake. */
const swarms = [
  ["three handshakes, two paddings", ["300 124 200", "110 124 420", "500 124 330"], true],
  ["three handshakes, three paddings", ["300 80 200", "110 400 210", "500 330 205"], true],
  ["two of three", ["300 124 200", "110 124 420", "500"], false],
  ["three of five", ["300 124 200", "110 124 420", "500 124 330", "100", "200"], true],
  ["one padding alone", ["300 124 200", "110 124 210", "500 124 205"], false],
  ["the other alone", ["300 124 200", "310 124 420", "305 124 330"], false],
  ["shorter than MSE's", ["100 124 120", "280 124 287", "250 124 200"], false],
  ["shorter first messages, by chance", ["100 124 200", "280 124 420", "250 124 330"], true],
  ["alike first messages, by chance", ["310 124 150", "400 124 520", "410 124 330"], true],
  ["first messages hardly differ", ["310 124 100", "360 124 520", "340 124 330"], false],
] as const;

function lengthsOf(text: string): number {
  return text.split(" ").reduce((all, length, i) => all | (Number(length) << (10 * i)), 0);
}

for (const [name, flows, expected] of swarms) {
  Deno.test(`HostEvidence.hasSwarm() and isCalled() ${name}: ${expected}`, () => {
    const evidence = new HostEvidence();
    flows.forEach((flow, i) => {
      const address = `1.1.${i}.1`;
      evidence.addFlow(host, 0, endpoint(address, 5000 + i), now, BY_OPENING, lengthsOf(flow));
      evidence.addFlow(host, 0, endpoint(address, 51_413), now, BY_CALL, lengthsOf(flow));
    });
    assert.equal(evidence.hasSwarm(host, 0, now), expected);
    assert.equal(evidence.isCalled(host, 0, 51_413, now), expected);
    assert.equal(evidence.isCalled(host, 0, 51_414, now), false, "another port");
    assert.equal(evidence.isCalled(host, 0, 51_413, now + 61_000), false, "a minute later");
  });
}

Deno.test("HostEvidence.isCalled(): most callers must have a handshake, and be of several networks", () => {
  const call = (evidence: HostEvidence, address: string, lengths: string) =>
    evidence.addFlow(host, 0, endpoint(address, 443), now, BY_CALL, lengthsOf(lengths));
  const swarm = ["300 124 200", "110 124 420", "500 124 330"];
  const busy = new HostEvidence();
  swarm.forEach((lengths, i) => call(busy, `1.1.${i}.1`, lengths));
  for (const i of [4, 5, 6]) call(busy, `1.1.${i}.1`, "250");
  assert.equal(busy.isCalled(host, 0, 443, now), false, "three of six");
  busy.removeFlow(host, 0, endpoint("1.1.4.1", 443), BY_CALL);
  assert.equal(busy.isCalled(host, 0, 443, now), true, "three of five");
  const office = new HostEvidence();
  swarm.forEach((lengths, i) => call(office, `1.1.1.${i}`, lengths));
  assert.equal(office.isCalled(host, 0, 443, now), false, "one network");
});

Deno.test("HostEvidence goes on when a worker died holding the lock", () => {
  const buffer = new ArrayBuffer(HostEvidence.BYTE_LENGTH);
  new Int32Array(buffer)[0] = 1;
  const evidence = new HostEvidence(buffer);
  evidence.prove(host, 0, now);
  assert.equal(evidence.isProven(host, 0, now), true);
});

Deno.test("HostEvidence: an opening that turned out to be another protocol's no longer counts", () => {
  const evidence = new HostEvidence();
  const addresses = ["1.1.1.1", "2.2.2.2", "3.3.3.3"];
  const peers = addresses.map((address, i) => endpoint(address, 5000 + i));
  peers.forEach((peer, i) => evidence.addFlow(host, 0, peer, now, BY_OPENING, 120 + 150 * i));
  assert.equal(evidence.hasFanOut(host, 0, now, BY_OPENING), true);
  evidence.removeFlow(host, 0, peers[1], BY_OPENING);
  assert.equal(evidence.hasFanOut(host, 0, now, BY_OPENING), false);
});

Deno.test("HostEvidence.countRemote() is of eight addresses within a minute, of one host", () => {
  const SECOND = 1000;
  const count = (evidence: HostEvidence, i: number, atMs: number, of = host) =>
    evidence.countRemote(of, 0, parseAddress(`198.51.100.${i}`)!, 0, now + atMs);
  const rows: [name: string, stepMs: number, reached: boolean][] = [
    ["at once", 0, true],
    ["within a minute", 8 * SECOND, true],
    ["in 70 seconds", 10 * SECOND, false],
    ["two minutes apart", 120 * SECOND, false],
  ];
  for (const [name, stepMs, reached] of rows) {
    const evidence = new HostEvidence();
    for (let i = 0; i < 7; i++) assert.equal(count(evidence, i, i * stepMs), false, name);
    assert.equal(count(evidence, 6, 7 * stepMs), false, "the same once more");
    assert.equal(count(evidence, 8, 7 * stepMs, other), false, "another host's");
    assert.equal(count(evidence, 8, 7 * stepMs), reached, name);
  }
});

Deno.test("HostEvidence: clear() forgets all of it", () => {
  const evidence = new HostEvidence();
  const peers = [1, 2, 3].map((i) => endpoint(`${i}.1.1.1`, 5000 + i));
  evidence.prove(host, 0, now);
  evidence.name(host, 0, peers[0], now);
  peers.forEach((peer, i) => evidence.addFlow(host, 0, peer, now, BY_OPENING, 120 + 150 * i));
  const known = () => [
    evidence.isProven(host, 0, now),
    evidence.isNamed(host, 0, peers[0], now),
    evidence.hasSeveral(host, 0, now),
  ];
  assert.deepEqual(known(), [true, true, true]);
  evidence.clear();
  assert.deepEqual(known(), [false, false, false]);
});

Deno.test("HostEvidence: nothing leaves the lock taken, for which every other worker would wait", () => {
  const buffer = new ArrayBuffer(HostEvidence.BYTE_LENGTH);
  const evidence = new HostEvidence(buffer);
  const peer = endpoint("198.51.100.7", 6881);
  const uses: Record<string, () => void> = {
    prove: () => evidence.prove(host, 0, now),
    isProven: () => evidence.isProven(host, 0, now),
    name: () => evidence.name(host, 0, peer, now),
    isNamed: () => evidence.isNamed(host, 0, peer, now),
    addFlow: () => evidence.addFlow(host, 0, peer, now, BY_OPENING),
    removeFlow: () => evidence.removeFlow(host, 0, peer, BY_OPENING),
    countTold: () => evidence.countTold(host, 0, peer, now, 1),
    hasFanOut: () => evidence.hasFanOut(host, 0, now, BY_OPENING),
    isCalled: () => evidence.isCalled(host, 0, 6881, now),
    countRemote: () => evidence.countRemote(host, 0, peer.address, 0, now),
  };
  for (const [name, use] of Object.entries(uses)) {
    use();
    assert.equal(new Int32Array(buffer)[0], 0, name);
  }
});
