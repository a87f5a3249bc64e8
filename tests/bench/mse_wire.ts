/**
 * What the benches of `deno task bench:mse` send through an engine: connections of random bytes, whose
 * lengths alone are told, and datagrams; over IPv4, with a clock of their own.
 */
import { type Detection, DROP, Engine, INSPECT, type Verdict } from "../../src/engine/engine.ts";
import { HostEvidence } from "../../src/engine/host_evidence.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import {
  ACK,
  MAPPED,
  Packet,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  PSH,
  SYN,
} from "../../src/packet/packet.ts";
import { between, fill, random } from "./mse_random.ts";

/** Segment sizes of paths: Ethernet with and without options, PPPoE, tunnels. */
export const PATHS: readonly number[] = [1200, 1250, 1360, 1380, 1400, 1420, 1440, 1448, 1460];
/** Packets that are cut from one pool of random bytes. */
const RENEWED_AFTER = 5_000;

/** A sender that hears nothing of what was held back sends it again after so long. */
const SENT_AGAIN_MS = 210;
/** No authentication; connect to an IPv4 address; and the answers (RFC 1928). */
const SOCKS_GREETING = Uint8Array.of(5, 1, 0);
const SOCKS_CHOICE = Uint8Array.of(5, 0);
const SOCKS_REPLY = Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0);

/** An IPv4 address, as a number, and a port. */
export interface End {
  readonly address: number;
  readonly port: number;
}

/** An engine, with all that reaches it. */
export class Wire {
  timeMs = 1_700_000_000_000;
  /** Flows whose data was held back. */
  held = 0;
  /** What the engine knows of hosts. */
  readonly evidence = new HostEvidence();
  #engine = this.#newEngine();
  readonly #packet = new Packet();
  readonly #pool = new Uint8Array(1 << 18);
  #untilRenewed = 0;

  constructor() {
    this.#packet.family = 4;
    this.#packet.address[2] = this.#packet.address[6] = MAPPED;
  }

  /** Begins anew, with an engine that knows nothing. */
  clear(): void {
    this.evidence.clear();
    this.held = 0;
    this.#engine = this.#newEngine();
    this.#untilRenewed = 0;
  }

  #newEngine(): Engine {
    const policy = { ...CAPTURE_POLICY, holds: true };
    return new Engine({ policy, evidence: this.evidence });
  }

  /** What the last packet was found to be. */
  get detection(): Detection | null {
    return this.#engine.detection;
  }

  /** A segment of random bytes. */
  segment(
    from: End,
    to: End,
    flags: number,
    length: number,
    sequence: number,
    acknowledgement: number,
  ): Verdict {
    const pool = this.#pool;
    if (this.#untilRenewed-- === 0) {
      fill(pool);
      this.#untilRenewed = RENEWED_AFTER;
    }
    this.#setTcp(flags, sequence, acknowledgement);
    const start = between(0, pool.length - length);
    return this.#judge(from, to, pool, start, length);
  }

  /** A segment of these bytes. */
  payload(
    from: End,
    to: End,
    bytes: Uint8Array,
    sequence: number,
    acknowledgement: number,
  ): Verdict {
    this.#setTcp(ACK | PSH, sequence, acknowledgement);
    return this.#judge(from, to, bytes, 0, bytes.length);
  }

  #setTcp(flags: number, sequence: number, acknowledgement: number): void {
    const packet = this.#packet;
    packet.protocol = PROTOCOL_TCP;
    packet.flags = flags;
    packet.sequence = sequence | 0;
    packet.acknowledgement = acknowledgement | 0;
  }

  datagram(from: End, to: End, bytes: Uint8Array): Verdict {
    this.#packet.protocol = PROTOCOL_UDP;
    return this.#judge(from, to, bytes, 0, bytes.length);
  }

  #judge(from: End, to: End, bytes: Uint8Array, start: number, length: number): Verdict {
    const packet = this.#packet;
    packet.address[3] = from.address;
    packet.address[7] = to.address;
    packet.sourcePort = from.port;
    packet.destinationPort = to.port;
    packet.bytes = bytes;
    packet.payloadStart = start;
    packet.payloadEnd = start + length;
    packet.payloadLength = length;
    packet.timeMs = this.timeMs;
    return this.#engine.judge(packet);
  }
}

/** How often a segment is sent again. */
const SENT_AGAIN = 0.002;

/** A TCP connection; side 0 opens it. */
export class Connection {
  readonly #wire: Wire;
  readonly #ends: readonly [End, End];
  readonly #sequence = [between(0, 0x7fff_ffff), between(0, 0x7fff_ffff) | 0x8000_0000];
  /** What each side acknowledges: where it reads late, not all that was sent. */
  readonly #acknowledged: number[];
  readonly #readsLate: number;
  readonly #pilesUp: number;
  /** Bytes of each side's writes that are not sent yet. */
  readonly #unsent = [0, 0];

  /**
   * @param readsLate how often a side speaks before it has got the other's last segment
   * @param pilesUp how often the rest of a write of data waits for the next one
   */
  constructor(wire: Wire, ends: readonly [End, End], readsLate = 0, pilesUp = 0) {
    this.#pilesUp = pilesUp;
    this.#wire = wire;
    this.#ends = ends;
    this.#acknowledged = [...this.#sequence];
    this.#readsLate = readsLate;
  }

  /** SYN and SYN-ACK. */
  open(): this {
    this.segment(0, SYN, 0);
    this.segment(1, SYN | ACK, 0);
    return this;
  }

  /** Asks a SOCKS proxy, which is called, for a target. */
  negotiate({ address, port }: End): this {
    const target = [address >>> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255];
    const request = Uint8Array.of(5, 1, 0, 1, ...target, port >> 8, port & 255);
    this.#say(0, SOCKS_GREETING);
    this.#say(1, SOCKS_CHOICE);
    this.#say(0, request);
    this.#say(1, SOCKS_REPLY);
    return this;
  }

  #say(side: 0 | 1, bytes: Uint8Array): void {
    const other = 1 - side as 0 | 1;
    const sequence = this.#sequence;
    const [from, to] = [this.#ends[side], this.#ends[other]];
    this.#wire.payload(from, to, bytes, sequence[side], sequence[other]);
    sequence[side] = (sequence[side] + bytes.length) | 0;
    this.#acknowledged[other] = sequence[other];
    this.#acknowledged[side] = sequence[side];
  }

  /** Sends new bytes of a side; what the engine says of them. */
  segment(side: 0 | 1, flags: number, length: number): Verdict {
    const other = 1 - side as 0 | 1;
    const sequence = this.#sequence;
    if (this.#readsLate === 0 || random() >= this.#readsLate) {
      this.#acknowledged[other] = sequence[other];
    }
    const [from, to] = [this.#ends[side], this.#ends[other]];
    const first = sequence[side];
    const acknowledged = this.#acknowledged[other];
    let verdict = this.#wire.segment(from, to, flags, length, first, acknowledged);
    if (verdict === DROP && this.#wire.detection === null) {
      this.#wire.held++;
      this.#wire.timeMs += SENT_AGAIN_MS;
      verdict = this.#wire.segment(from, to, flags, length, first, acknowledged);
    }
    if (length > 0 && this.#wire.detection === null && random() < SENT_AGAIN) {
      this.#wire.segment(from, to, flags, length, first, acknowledged);
    }
    sequence[side] = (first + length + ((flags & SYN) !== 0 ? 1 : 0)) | 0;
    return verdict;
  }

  /** A write, in segments of a path; what the engine says of the last that it looks at. */
  write(side: 0 | 1, length: number, path: number): Verdict {
    let left = length + this.#unsent[side];
    this.#unsent[side] = 0;
    let verdict: Verdict = INSPECT;
    for (; left > path && verdict === INSPECT; left -= path) {
      verdict = this.segment(side, ACK, path);
    }
    if (verdict !== INSPECT) return verdict;
    if (length > path && this.#pilesUp > 0 && random() < this.#pilesUp) {
      this.#unsent[side] = left;
      return verdict;
    }
    return this.segment(side, ACK | PSH, left);
  }
}
