/**
 * What an address does that torrents, beside the flows that the benches hold innocent: messages of the
 * DHT, encrypted connections whose lengths are MSE's but not yet enough, and older ones that are.
 */
import { TICK_MS } from "../../src/engine/flow_table.ts";
import { BY_LENGTHS, BY_OPENING } from "../../src/engine/host_evidence.ts";
import { ACK, MAPPED, PSH } from "../../src/packet/packet.ts";
import { between } from "./mse_random.ts";
import { Connection, type End, type Wire } from "./mse_wire.ts";

const NODE: End = { address: 0x0102_0304, port: 6881 };
const TRACKER: End = { address: 0x0102_0305, port: 1337 };
/** First of the networks that peers are in. */
const PEERS = 0xc612_0000 | 0;
const BLOCK = 16_397;

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const ID = "2:id20:abcdefghij0123456789";
const QUERY = latin1(`d1:ad${ID}9:info_hash20:jihgfedcba9876543210e1:q9:get_peers1:t2:aa1:y1:qe`);
const ANSWER = latin1(`d1:rd${ID}5:nodes0:5:token2:xxe1:t2:aa1:y1:re`);

/** `host` asks in the DHT (BEP 5) and is answered: proof, for both ends are real. */
export function proves(wire: Wire, host: number): void {
  const own = { address: host, port: 6881 };
  wire.datagram(own, NODE, QUERY);
  wire.datagram(NODE, own, ANSWER);
  expect(wire.evidence.isProven(addressOf(host), 0, wire.timeMs), "who asks is proven");
}

/** `host` asks a tracker (BEP 15), which names endpoints as peers. */
export function isNamed(wire: Wire, host: number, peers: readonly End[]): void {
  const announce = new Uint8Array(98);
  const answer = new Uint8Array(20 + 6 * peers.length);
  const [asks, says] = [new DataView(announce.buffer), new DataView(answer.buffer)];
  announce.set(latin1("abcdefghij0123456789"), 16);
  asks.setUint32(0, 0x5eed_0001);
  asks.setUint32(8, 1);
  asks.setUint32(12, 0x5eed_0002);
  asks.setUint16(96, 6881);
  says.setUint32(0, 1);
  says.setUint32(4, asks.getUint32(12));
  says.setUint32(8, 1800);
  peers.forEach(({ address, port }, i) => {
    says.setInt32(20 + 6 * i, address);
    says.setUint16(24 + 6 * i, port);
  });
  const own = { address: host, port: 6882 };
  wire.datagram(own, TRACKER, announce);
  wire.datagram(TRACKER, own, answer);
  const isKnown = ({ address, port }: End) => {
    const peer = { address: addressOf(address), at: 0, port };
    return wire.evidence.isNamed(addressOf(host), 0, peer, wire.timeMs);
  };
  // Rows of eight that others have too: not each of fifty has a place.
  expect(peers.some(isKnown), "who is named is known");
}

/** Evidence that is none would make every row's zero worth nothing. */
function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

const addressOf = (address: number) => Int32Array.of(0, 0, MAPPED, address);

/** Keys that are as random are taken for none now and then. */
const TRIES = 5;

/** `host` has called three peers, each a handshake further than what makes suspects of them. */
export function handshakes(wire: Wire, host: number): void {
  const address = addressOf(host);
  for (let tries = 0; tries < TRIES; tries++) {
    for (let peer = 0; peer < 3; peer++) {
      wire.timeMs += TICK_MS; // of openings at one time the first makes room, and not the oldest
      shakeHands(wire, host, peer);
    }
    const isOneOfSeveral = wire.evidence.hasFanOut(address, 0, wire.timeMs, BY_OPENING);
    if (isOneOfSeveral && wire.evidence.hasSwarm(address, 0, wire.timeMs)) return;
  }
  expect(false, "suspects have handshakes");
}

function shakeHands(wire: Wire, host: number, peer: number): void {
  const { from, to } = endsOf(host, peer);
  const flow = new Connection(wire, [from, to]).open();
  // Lengths as spread as those of three must be, for every seed.
  flow.segment(0, ACK | PSH, 150 + 180 * peer + between(0, 60));
  flow.segment(1, ACK | PSH, between(96, 608));
  flow.segment(0, ACK | PSH, 80 + 200 * peer);
  flow.segment(1, ACK | PSH, between(14, 526));
  flow.segment(0, ACK | PSH, 68);
  // What both say of their extensions.
  flow.segment(1, ACK | PSH, 294);
  flow.segment(0, ACK | PSH, 277);
}

/** `host` has got blocks from three peers, by connections older than the blocker. */
export function blocks(wire: Wire, host: number): void {
  const address = addressOf(host);
  for (let tries = 0; tries < TRIES; tries++) {
    for (let peer = 3; peer < 6; peer++) {
      const { from, to } = endsOf(host, peer);
      const flow = new Connection(wire, [from, to]);
      flow.segment(1, ACK | PSH, between(200, 9000));
      flow.segment(0, ACK | PSH, 17);
      for (let block = 0; block < 4; block++) flow.segment(1, ACK | PSH, BLOCK);
    }
    if (wire.evidence.hasFanOut(address, 0, wire.timeMs, BY_LENGTHS)) return;
  }
  expect(false, "several flows have blocks");
}

function endsOf(host: number, peer: number): { from: End; to: End } {
  return {
    from: { address: host, port: between(32_768, 60_999) },
    to: { address: PEERS + peer * 0x1_0100, port: 51_413 + peer },
  };
}
