import { Random } from "../fuzz/random.ts";
import {
  type Detection,
  Engine,
  type EngineOptions,
  INSPECT,
  type Verdict,
} from "../../src/engine/engine.ts";
import { CAPTURE_POLICY, type EnginePolicy } from "../../src/engine/policy.ts";
import { parseAddress } from "../../src/packet/address.ts";
import {
  ACK,
  MAPPED,
  Packet,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  PSH,
  SYN,
} from "../../src/packet/packet.ts";

/** An engine with a clock of its own and a list of what it detected. */
export class TestEngine {
  readonly engine: Engine;
  readonly detections: Detection[] = [];
  nowMs = 1_700_000_000_000;
  readonly #random = new Random(2);

  constructor(policy: Partial<EnginePolicy> = {}, options: Partial<EngineOptions> = {}) {
    this.engine = new Engine({ flows: 1024, ...options, policy: { ...CAPTURE_POLICY, ...policy } });
  }

  judge(packet: Packet): Verdict {
    packet.timeMs = this.nowMs;
    const verdict = this.engine.judge(packet);
    if (this.engine.detection !== null) this.detections.push(this.engine.detection);
    return verdict;
  }

  /**
   * Bytes as random as a key, which begin no known header: the same each time the test runs, alone or
   * with others. (Of real keys one in 9,000 does not look random.)
   */
  random(length: number): Uint8Array {
    const bytes = this.#random.bytes(length);
    bytes[0] |= 0x80;
    return bytes;
  }

  /** Methods and strengths of all detections so far. */
  get found(): string[] {
    return this.detections.map(({ match }) => `${match.method} ${match.strength}`);
  }
}

/** One flow of hand-made packets; `a` opens it. */
export class Conversation {
  readonly #test: TestEngine;
  readonly #protocol: number;
  readonly #ends: readonly [Int32Array, Int32Array];
  readonly #ports: readonly [number, number];
  readonly #sequence = [0x7fff_ff00, 0xffff_fff0]; // both wrap soon
  lastVerdict: Verdict = INSPECT;
  /** Packets come as those of a released flow that is called back (RECHECK). */
  isRecalled = false;

  constructor(
    test: TestEngine,
    protocol: "tcp" | "udp",
    a = "10.0.0.1:50000",
    b = "198.51.100.1:40000",
  ) {
    this.#test = test;
    this.#protocol = protocol === "tcp" ? PROTOCOL_TCP : PROTOCOL_UDP;
    const ends = [a, b].map((end) => {
      const cut = end.lastIndexOf(":");
      return { address: parseAddress(end.slice(0, cut))!, port: Number(end.slice(cut + 1)) };
    });
    this.#ends = [ends[0].address, ends[1].address];
    this.#ports = [ends[0].port, ends[1].port];
  }

  /** SYN, SYN-ACK, ACK. */
  open(): this {
    this.#send(0, SYN, new Uint8Array(0), this.#sequence[0]);
    this.#sequence[0] = (this.#sequence[0] + 1) | 0;
    this.#send(1, SYN | ACK, new Uint8Array(0), this.#sequence[1]);
    this.#sequence[1] = (this.#sequence[1] + 1) | 0;
    return this.ack(0);
  }

  /** A SYN of each side, and both acknowledged (RFC 9293, section 3.5). */
  openBoth(): this {
    for (const flags of [SYN, SYN | ACK]) {
      for (const side of [0, 1] as const) {
        this.#send(side, flags, new Uint8Array(0), this.#sequence[side]);
      }
    }
    this.#sequence.forEach((sequence, side) => this.#sequence[side] = (sequence + 1) | 0);
    return this;
  }

  /** The SYN-ACK alone. */
  answer(): this {
    this.#sequence[0] = (this.#sequence[0] + 1) | 0;
    this.#send(1, SYN | ACK, new Uint8Array(0), this.#sequence[1]);
    this.#sequence[1] = (this.#sequence[1] + 1) | 0;
    return this;
  }

  /** SYN, SYN-ACK, ACK, but nobody sees it; the SYNs may have other numbers than usual. */
  skipSyns([a, b] = this.#sequence): this {
    this.#sequence[0] = (a + 1) | 0;
    this.#sequence[1] = (b + 1) | 0;
    return this;
  }

  /** A SYN with data in it (TCP Fast Open), of other numbers than this side's: perhaps another's. */
  knock(side: 0 | 1, payload: Uint8Array, sequence = 12_345): this {
    return this.#send(side, SYN, payload, sequence);
  }

  /** An empty segment. */
  ack(side: 0 | 1): this {
    return this.#send(side, ACK, new Uint8Array(0), this.#sequence[side]);
  }

  /** Data of one side, in order, in one packet; the last one of a write, or not. */
  say(side: 0 | 1, payload: Uint8Array, isPushed = true): this {
    this.#send(side, isPushed ? ACK | PSH : ACK, payload, this.#sequence[side]);
    this.#sequence[side] = (this.#sequence[side] + payload.length) | 0;
    return this;
  }

  /** As many {@link TestEngine.random} bytes of one side, in order, in one packet. */
  sayRandom(side: 0 | 1, length: number, isPushed = true): this {
    return this.say(side, this.#test.random(length), isPushed);
  }

  /** Data that the other side never gets: what comes next stands in its place. */
  sayAndForget(side: 0 | 1, payload: Uint8Array, flags = 0): this {
    return this.#send(side, ACK | flags, payload, this.#sequence[side]);
  }

  /** Data of one side cut at the given points, in the order that `order` gives the pieces. */
  sayInPieces(
    side: 0 | 1,
    payload: Uint8Array,
    points: readonly number[],
    order: (pieces: { from: number; end: number }[]) => void = () => {},
  ): this {
    const edges = [...new Set([0, ...points, payload.length])].sort((x, y) => x - y);
    const pieces = edges.slice(1).map((end, i) => ({ from: edges[i], end }));
    order(pieces);
    const base = this.#sequence[side];
    for (const { from, end } of pieces) {
      this.#send(side, ACK, payload.subarray(from, end), (base + from) | 0);
    }
    this.#sequence[side] = (base + payload.length) | 0;
    return this;
  }

  #send(side: 0 | 1, flags: number, payload: Uint8Array, sequence: number): this {
    const packet = new Packet();
    // Surrounded by bytes that would complete a match, were anything read past the end.
    const bytes = new Uint8Array(payload.length + 200).fill(0x65);
    bytes.set(payload, 100);
    packet.bytes = bytes;
    packet.family = this.#ends[side][2] === MAPPED ? 4 : 6;
    packet.protocol = this.#protocol;
    packet.address.set(this.#ends[side], 0);
    packet.address.set(this.#ends[1 - side], 4);
    packet.sourcePort = this.#ports[side];
    packet.destinationPort = this.#ports[1 - side];
    if (this.#protocol === PROTOCOL_TCP) {
      packet.sequence = sequence | 0;
      packet.acknowledgement = this.#sequence[1 - side] | 0;
      packet.flags = flags;
    }
    packet.isRecalled = this.isRecalled;
    packet.payloadStart = 100;
    packet.payloadEnd = 100 + payload.length;
    packet.payloadLength = payload.length;
    this.lastVerdict = this.#test.judge(packet);
    return this;
  }
}

/** Latin-1 text to bytes. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** A handshake of qBittorrent 4.5.2 (BEP 3): 68 bytes. */
export const HANDSHAKE = latin1(
  "\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05" + "0123456789abcdefghij" + "-qB4520-abcdefghijkl",
);

/** A DHT ping (BEP 5) of libtorrent 2.0. */
export const DHT_PING = latin1(
  "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT\x02\x001:y1:qe",
);

/** A torrent client at 10.0.0.1, seen in its DHT: it asks and is answered. */
export function torrents(test: TestEngine): void {
  new Conversation(test, "udp", "10.0.0.1:6881", "203.0.113.5:6881")
    .say(0, DHT_PING).say(1, latin1("d1:rd2:id20:jihgfedcba9876543210e1:t2:aa1:y1:re"));
}

/** Peer wire in the middle of a connection (BEP 3): blocks of two pieces are asked for, one is had. */
export const REQUESTS = Uint8Array.from([
  ...[[7, 0x80], [7, 0xc0], [0x431, 0], [0x431, 0x40]].flatMap(([index, begin]) => [
    ...[0, 0, 0, 13, 6, 0, 0, index >> 8, index & 0xff, 0, 0, begin, 0, 0, 0, 0x40, 0],
  ]),
  ...[0, 0, 0, 5, 4, 0, 0, 1, 0x17],
]);

export const UNCHOKE = Uint8Array.of(0, 0, 0, 1, 1);
