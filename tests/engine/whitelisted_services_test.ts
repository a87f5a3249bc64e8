import assert from "node:assert/strict";
import { CLEAN, Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { ACK, Packet, PROTOCOL_TCP, PROTOCOL_UDP, SYN } from "../../src/packet/packet.ts";

const ONE = 1;
const OTHER = 2;
const HANDSHAKE = new TextEncoder().encode(`\x13BitTorrent protocol${"\0".repeat(48)}`);
const DHT_PING = new TextEncoder().encode(
  "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
);

/** Who (host and port) sends what. */
interface Sent {
  from: [host: number, port: number];
  to: [host: number, port: number];
  flags?: number;
  payload?: Uint8Array;
  /** Seconds after the packet before. */
  after?: number;
  /** Ports of the UDP datagram that it is inside of. */
  carrier?: [source: number, destination: number];
}

/** What an engine that spares 443 finds. */
class Spared {
  readonly engine: Engine;
  found: string[] = [];
  #timeMs = 0;

  constructor(whitelistPorts: readonly number[] = [443]) {
    this.engine = new Engine({ policy: { ...CAPTURE_POLICY, whitelistPorts } });
  }

  /** The verdict on the packet. */
  judge({ from, to, flags, payload = new Uint8Array(0), after = 0, carrier }: Sent): number {
    const packet = new Packet();
    packet.bytes = payload;
    packet.family = 4;
    packet.protocol = flags === undefined ? PROTOCOL_UDP : PROTOCOL_TCP;
    packet.address[3] = from[0];
    packet.address[7] = to[0];
    packet.sourcePort = from[1];
    packet.destinationPort = to[1];
    packet.flags = flags ?? 0;
    if (carrier !== undefined) {
      packet.tunnelled = true;
      [packet.carrierSourcePort, packet.carrierDestinationPort] = carrier;
    }
    packet.payloadEnd = packet.payloadLength = payload.length;
    packet.sequence = (flags ?? 0) & SYN ? 0 : 1;
    packet.timeMs = this.#timeMs += after * 1000;
    const verdict = this.engine.judge(packet);
    if (this.engine.detection !== null) this.found.push(this.engine.detection.match.method);
    return verdict;
  }
}

const service: [number, number] = [OTHER, 443];
const caller: [number, number] = [ONE, 50_000];

Deno.test("a service that is called is not touched, in neither direction", () => {
  const spared = new Spared();
  const tcp = [
    { from: caller, to: service, flags: SYN },
    { from: service, to: caller, flags: SYN | ACK },
    { from: caller, to: service, flags: ACK, payload: HANDSHAKE },
    { from: service, to: caller, flags: ACK, payload: HANDSHAKE },
  ];
  const udp = [
    { from: caller, to: service, payload: DHT_PING },
    { from: service, to: caller, payload: DHT_PING },
    { from: service, to: caller, payload: DHT_PING, after: 100 },
    { from: caller, to: service, payload: DHT_PING, after: 100 },
  ];
  for (const sent of [...tcp, ...udp]) assert.equal(spared.judge(sent), CLEAN);
  assert.deepEqual(spared.found, []);
  assert.equal(spared.engine.counters.whitelisted, 8);
  assert.equal(spared.engine.counters.flows, 0);
});

Deno.test("a client that calls from 443 is no service: TCP", () => {
  const spared = new Spared();
  const [own, peer] = [[ONE, 443], [OTHER, 6881]] as [[number, number], [number, number]];
  spared.judge({ from: own, to: peer, flags: SYN });
  spared.judge({ from: peer, to: own, flags: SYN | ACK });
  spared.judge({ from: own, to: peer, flags: ACK, payload: HANDSHAKE });
  assert.deepEqual(spared.found, ["peer-wire"]);
});

Deno.test("a client that calls from 443 is no service: UDP, its own packet or the answer", () => {
  for (const isAnswer of [false, true]) {
    const spared = new Spared();
    const [own, peer] = [[ONE, 443], [OTHER, 6881]] as [[number, number], [number, number]];
    const noise = new Uint8Array(30).fill(0x80);
    spared.judge({ from: own, to: peer, payload: isAnswer ? noise : DHT_PING });
    if (isAnswer) spared.judge({ from: peer, to: own, payload: DHT_PING });
    assert.deepEqual(spared.found, ["dht"]);
  }
});

Deno.test("a connection joined in the middle may call either end, and is not touched", () => {
  const spared = new Spared();
  for (const [from, to] of [[service, caller], [caller, service]]) {
    assert.equal(spared.judge({ from, to, flags: ACK, payload: HANDSHAKE }), CLEAN);
  }
  assert.deepEqual(spared.found, []);
});

Deno.test("where only the answer to a SYN was seen, the service is where that comes from", () => {
  const spared = new Spared();
  assert.equal(spared.judge({ from: service, to: caller, flags: SYN | ACK }), CLEAN);
  const own: [number, number] = [ONE, 443];
  spared.judge({ from: [OTHER, 6881], to: own, flags: SYN | ACK });
  spared.judge({ from: own, to: [OTHER, 6881], flags: ACK, payload: HANDSHAKE });
  assert.deepEqual(spared.found, ["peer-wire"]);
});

Deno.test("a new connection the other way, on the same ports, calls the other end", () => {
  const spared = new Spared();
  const [own, peer] = [[ONE, 443], [OTHER, 6881]] as [[number, number], [number, number]];
  spared.judge({ from: own, to: peer, flags: SYN });
  spared.judge({ from: own, to: peer, flags: ACK, payload: HANDSHAKE });
  assert.deepEqual(spared.found, ["peer-wire"]);
  assert.equal(spared.judge({ from: peer, to: own, flags: SYN }), CLEAN);
  assert.equal(spared.judge({ from: peer, to: own, flags: ACK, payload: HANDSHAKE }), CLEAN);
  const udp = new Spared();
  udp.judge({ from: own, to: peer, payload: DHT_PING });
  assert.equal(udp.judge({ from: peer, to: own, payload: DHT_PING, after: 181 }), CLEAN);
  assert.deepEqual(udp.found, ["dht"]);
});

Deno.test("beside services everything is judged, whether there are any or not", () => {
  for (const ports of [[], [443]]) {
    const spared = new Spared(ports);
    spared.judge({ from: [ONE, 50_000], to: [OTHER, 6881], payload: DHT_PING });
    const [own, peer]: [number, number][] = [[ONE, 50_001], [OTHER, 6881]];
    spared.judge({ from: own, to: peer, flags: ACK, payload: HANDSHAKE });
    assert.deepEqual(spared.found, ["dht", "peer-wire"], `${ports}`);
  }
});

Deno.test("what is inside a tunnel of UDP to or from a service is not touched", () => {
  const inner = { from: [ONE, 50_000], to: [OTHER, 6881], payload: DHT_PING } as const;
  const cases: [source: number, destination: number, isSpared: boolean][] = [
    [50_000, 443, true],
    [443, 50_000, true],
    [50_000, 51_820, false],
  ];
  for (const [source, destination, isSpared] of cases) {
    const spared = new Spared();
    spared.judge({
      ...inner,
      from: [...inner.from],
      to: [...inner.to],
      carrier: [source, destination],
    });
    assert.deepEqual(spared.found, isSpared ? [] : ["dht"], `${source} to ${destination}`);
  }
});

Deno.test("a service that is called on the ports of an older flow answers as it is called", () => {
  // The older flow called the other end, and its slot is the first or a later one.
  for (const others of [0, 1]) {
    const spared = new Spared();
    const [own, peer]: [number, number][] = [[ONE, 443], [OTHER, 6881]];
    for (let i = 0; i < others; i++) {
      spared.judge({ from: [3, 1000 + i], to: [4, 2000], payload: new Uint8Array(30).fill(0x80) });
    }
    spared.judge({ from: own, to: peer, payload: DHT_PING });
    assert.equal(spared.judge({ from: peer, to: own, payload: DHT_PING, after: 181 }), CLEAN);
    for (let i = 0; i < 3; i++) {
      assert.equal(spared.judge({ from: own, to: peer, payload: DHT_PING, after: 1 }), CLEAN);
      assert.equal(spared.judge({ from: peer, to: own, payload: DHT_PING, after: 100 }), CLEAN);
    }
    assert.deepEqual(spared.found, ["dht"]);
  }
});
