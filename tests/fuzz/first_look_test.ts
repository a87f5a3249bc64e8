/**
 * The first look against the engine on flows made of openings, of BitTorrent, and of mutations of both, in
 * whole, cut, repeated, contradicting and reordered segments: what it settles, the engine releases at that
 * very packet (TCP) and finds nothing in (UDP), and what it hands over the engine finds as if it had seen
 * it all. Runs for FIRST_LOOK_SECONDS, or five seconds.
 */
import assert from "node:assert/strict";
import { bpfImpossible } from "../bpf/possible.ts";
import { BITTORRENT, CLEAN, Engine, type Verdict } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { FIN, PSH, RST, SYN } from "../../src/packet/packet.ts";
import { ACK, Packet, parseIp } from "../../src/packet/packet.ts";
import { flowOf, freshLook, LookedChain } from "../gateway/first_look/look.ts";
import { openingPairs } from "../gateway/first_look/pairs.ts";
import { type Ends, ip, TCP, tcp, UDP, udp } from "../robustness/packets.ts";
import { loadCorpus } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SECONDS = Number(Deno.env.get("FIRST_LOOK_SECONDS") ?? 5);
const LONGEST = 2_500;
/** Ports of the initiator; with another address each time they are used up, no 5-tuple comes again. */
const PORTS = 30_000;

/** Requests of HTTP, and answers of which the kernel may settle some once the request was judged. */
const HTTP_PAIRS = [
  ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "<p>hello"],
  ["GET /a?b=c HTTP/1.0\r\n\r\n", "\x1f\x8b\x08\x00"],
  ["POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "d8:intervali1800e5:peers0:e"],
  ["GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "\x13BitTorrent protocol"],
].flatMap(([request, body]) =>
  [
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 404 Not Found\nconnection:  Close\ncontent-type: a\n\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 301 Moved\r\nConnection: close\r\nContent-Type: a\r\nConnection: keep-alive\r\n\r\n",
    `HTTP/1.1 200 OK\r\nServer: ${"x".repeat(400)}\r\nContent-Type: a\r\nConnection: close\r\n\r\n`,
  ].map((head) => [latin1(request), latin1(head + body)] as const)
);

function latin1(text: string): Bytes {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Ends of both directions of a flow, and their ports. */
function endsOf(random: Random, number: number): { ends: [Ends, Ends]; ports: [number, number] } {
  const part = (number / PORTS) % 250 | 0;
  const [a, b] = random.chance(4)
    ? [`2001:db8:2::${part}`, "2001:db8:1::2"]
    : [`198.18.${part}.2`, "198.19.2.2"];
  const ends: [Ends, Ends] = [{ source: a, destination: b }, { source: b, destination: a }];
  return { ends, ports: [20_000 + number % PORTS, 9_000] };
}

for (const transport of ["tcp", "udp"] as const) {
  Deno.test({
    name: `first look: mutated ${transport} flows are settled only where the engine lets them go`,
    ignore: bpfImpossible !== null,
    async fn() {
      const corpus = (await loadCorpus(60)).flat();
      const seeds = corpus.filter(({ isTcp, payload }) =>
        isTcp === (transport === "tcp") && payload.length > 0
      ).map(({ payload }) => payload.slice(0, LONGEST) as Bytes);
      const pairs = openingPairs(transport).concat(transport === "tcp" ? HTTP_PAIRS : []);
      const seed = Date.now() % 1_000_000;
      const random = new Random(seed);
      const told = { flows: 0, packets: 0, settled: 0, found: 0 };
      const look = freshLook(8192);
      const end = performance.now() + SECONDS * 500;
      while (performance.now() < end) {
        const makeFlow = transport === "tcp" ? tcpFlow : udpFlow;
        const packets = makeFlow(random, told.flows++, seeds, pairs);
        judgeFlow(look, packets, told, `seed ${seed}, flow ${told.flows}`);
      }
      console.log(JSON.stringify(told));
      assert.ok(told.settled > 0 && told.found > 0, JSON.stringify(told));
    },
  });
}

let chain: LookedChain | null = null;
let engine: Engine | null = null;

function judgeFlow(
  look: Parameters<typeof newChain>[0],
  packets: readonly Bytes[],
  told: { packets: number; settled: number; found: number },
  input: string,
): void {
  if (chain === null || engine === null || told.packets % 50_000 < packets.length) {
    chain = newChain(look);
    engine = new Engine({ policy: CAPTURE_POLICY, flows: 4096 });
  }
  const packet = new Packet();
  let [alone, behind] = [0, 0];
  for (const [index, bytes] of packets.entries()) {
    told.packets++;
    if (!parseIp(packet, bytes, 0, bytes.length)) continue;
    packet.timeMs = 1_000 + told.packets / 10;
    const flow = flowOf(packet);
    const wasSettled = chain.settled.has(flow);
    // A SYN takes the mark, and the kernel looks anew; the engine alone waits for its answer.
    if (wasSettled && packet.protocol === TCP && (packet.flags & (SYN | ACK)) === SYN) return;
    const verdict: Verdict = engine.judge(packet);
    if (verdict === BITTORRENT) alone++;
    if (chain.take(bytes, packet.timeMs) === BITTORRENT) behind++;
    const where = () => `${input}, packet ${index}: ${packets.map((one) => one.toHex()).join(" ")}`;
    if (chain.settled.has(flow)) {
      assert.equal(alone, 0, `settled, and found: ${where()}`);
      if (!wasSettled) told.settled++;
      if (!wasSettled && packet.protocol === TCP) assert.equal(verdict, CLEAN, where());
    }
  }
  assert.equal(behind > 0, alone > 0, `${input}: ${packets.map((one) => one.toHex()).join(" ")}`);
  if (alone > 0) told.found++;
}

const newChain = (look: ReturnType<typeof freshLook>) => new LookedChain(look);

/** What a side says: an opening, a capture's first bytes, or either of them changed. */
function said(
  random: Random,
  seeds: readonly Bytes[],
  openings: readonly Bytes[],
  fitting: Bytes,
): Bytes {
  const whole = random.below(4) > 0
    ? fitting
    : random.chance(2)
    ? random.pick(openings)
    : random.pick(seeds);
  if (whole.length === 0) return whole;
  return (random.below(3) > 0 ? whole : mutate(whole, random, [...openings, random.pick(seeds)]))
    .slice(0, LONGEST) as Bytes;
}

function tcpFlow(
  random: Random,
  number: number,
  seeds: readonly Bytes[],
  pairs: readonly (readonly [Bytes, Bytes])[],
): Bytes[] {
  const { ends, ports } = endsOf(random, number);
  const begin = [random.word(), random.word()];
  const sent = [0, 0];
  const packets: Bytes[] = [];
  const add = (
    side: number,
    offset: number,
    flags: number,
    payload: Uint8Array = new Uint8Array(),
  ) => {
    const options = {
      ...{ sourcePort: ports[side], destinationPort: ports[1 - side], flags },
      sequence: begin[side] + offset,
      acknowledgement: begin[1 - side] + sent[1 - side],
    };
    packets.push(ip({ ...ends[side], protocol: TCP }, tcp(options, payload, ends[side])));
  };
  if (random.below(12) > 0) add(0, -1, SYN);
  if (random.below(12) > 0) add(1, -1, SYN | ACK);
  if (random.chance(2)) add(0, 0, ACK);
  const openings = pairs.flat();
  const pair = random.pick(pairs);
  const turns = [0, 1].map((side) => said(random, seeds, openings, pair[side]));
  const order = random.chance(6) ? [1, 0] : [0, 1];
  for (const side of random.chance(5) ? [...order, ...order] : order) {
    for (const [from, to] of segments(random, turns[side].length)) {
      const piece = turns[side].slice(from, to);
      if (random.chance(15)) {
        add(side, from, ACK, mutate(piece, random, openings).slice(0, LONGEST));
      }
      add(side, from, ACK | PSH | (random.chance(40) ? FIN : 0), piece);
      if (random.chance(15)) add(side, from, ACK, piece);
      sent[side] = Math.max(sent[side], to);
    }
    if (random.chance(20)) add(side, sent[side], random.chance(2) ? FIN | ACK : RST);
    if (random.chance(30)) {
      begin[side] = random.word();
      add(side, -1, random.chance(2) ? SYN : SYN | ACK);
    }
  }
  if (random.chance(12)) swap(packets, random);
  return packets;
}

function segments(random: Random, length: number): [from: number, to: number][] {
  if (random.below(4) > 0 || length < 2) return [[0, length]];
  const cut = 1 + random.below(Math.min(length - 1, random.chance(2) ? 100 : length - 1));
  const pieces: [number, number][] = [[0, cut], [cut, length]];
  return random.chance(4) ? pieces.reverse() : pieces;
}

function swap(packets: Bytes[], random: Random): void {
  const [a, b] = [random.below(packets.length), random.below(packets.length)];
  [packets[a], packets[b]] = [packets[b], packets[a]];
}

function udpFlow(
  random: Random,
  number: number,
  seeds: readonly Bytes[],
  pairs: readonly (readonly [Bytes, Bytes])[],
): Bytes[] {
  const { ends, ports } = endsOf(random, number);
  const openings = pairs.flat();
  const pair = random.pick(pairs);
  const packets: Bytes[] = [];
  const turns = 1 + random.below(random.chance(2) ? 8 : 3);
  const sides = Array.from({ length: turns }, () => random.chance(8) ? [1, 0] : [0, 1]);
  for (const side of sides.flat()) {
    const payload = packets.length >= 2 && random.below(4) > 0
      ? random.bytes(random.below(1200))
      : said(random, seeds, openings, pair[side]);
    const datagram = udp(ports[side], ports[1 - side], payload, ends[side]);
    packets.push(ip({ ...ends[side], protocol: UDP }, datagram));
  }
  if (random.chance(12)) swap(packets, random);
  return packets;
}
