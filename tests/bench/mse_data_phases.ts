/**
 * Whether the lengths that decide encrypted flows (src/engine/block_rhythm.ts, request_rhythm.ts)
 * ever occur in other protocols: downloads and uploads of theirs, over paths of all segment sizes, as
 * far as the engine looks. Run by `deno task bench:mse`.
 */
import { BITTORRENT, CLEAN, Engine, INSPECT } from "../../src/engine/engine.ts";
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
import { type Shape, SHAPES } from "./mse_data_shapes.ts";
import { between, fill, random, seed } from "./mse_random.ts";

/** Segment sizes of paths: Ethernet with and without options, PPPoE, tunnels. */
const PATHS = [1200, 1250, 1360, 1380, 1400, 1420, 1440, 1448, 1460];
/** A flow is followed until the engine lets it go, but no further. */
const MAX_BYTES = 1_300_000;
const LARGEST_SEGMENT = 65_160;

/** Random bytes that segments are cut from, renewed now and then. */
const pool = new Uint8Array(1 << 18);
let untilRenewed = 0;

function renew(): void {
  fill(pool);
  untilRenewed = 5_000;
}

let engine: Engine;
const packet = new Packet();
packet.family = 4;
packet.bytes = pool;
let timeMs = 1_700_000_000_000;

/** Reasons of the detections of the shape at hand. */
let reasons: string[] = [];

/** How segments of a path look at the router. */
const enum Cut {
  /** One by one. */
  SEGMENTS,
  /** Sent by a host of the router itself, or a virtual one: joined, each with PSH. */
  OFFLOADED,
  /** Joined on arrival, PSH where the write ends. */
  JOINED,
}

class Flow {
  isOver = false;
  readonly #shape: Shape;
  readonly #host: number;
  readonly #server: number;
  readonly #ports: readonly [number, number];
  readonly #sequence = [between(0, 0x7fff_ffff), between(0, 0x7fff_ffff) | 0x8000_0000];
  readonly #path = PATHS[between(0, PATHS.length - 1)];
  readonly #cut = between(0, 2) as Cut;
  readonly #sender = random() < 0.7 ? 1 : 0;
  #bytes = 0;

  constructor(shape: Shape, host: number, server: number, port: number, isJoined: boolean) {
    this.#shape = shape;
    this.#host = host;
    this.#server = server;
    this.#ports = [between(32_768, 60_999), port];
    if (isJoined) {
      this.#write(this.#sender, between(1, 60_000));
      return;
    }
    this.#segment(0, 0, SYN);
    this.#segment(1, 0, SYN | ACK);
    for (const [turn, length] of shape.opening!().entries()) this.#write(turn & 1, length);
  }

  /** One exchange: small messages, then a write or several. */
  exchange(): void {
    const { small, write } = this.#shape;
    const sender = random() < 0.97 ? this.#sender : 1 - this.#sender;
    for (let i = between(0, 3); i > 0; i--) this.#write(1 - sender, small());
    for (let i = between(1, 3); i > 0; i--) this.#write(sender, write());
    if (random() < 0.2) this.#write(sender, small());
    if (this.#bytes > MAX_BYTES) this.isOver = true;
  }

  #write(side: number, length: number): void {
    const most = this.#cut === Cut.SEGMENTS
      ? this.#path
      : LARGEST_SEGMENT - (LARGEST_SEGMENT % this.#path);
    for (let left = length; left > 0 && !this.isOver;) {
      // The window may end before the write does, at a whole segment.
      const whole = this.#cut === Cut.SEGMENTS || random() < 0.5
        ? most
        : this.#path * between(1, 44);
      const part = Math.min(left, whole);
      left -= part;
      const isPushed = left === 0 || this.#cut === Cut.OFFLOADED;
      this.#segment(side, part, ACK | (isPushed ? PSH : 0));
    }
  }

  #segment(side: number, length: number, flags: number): void {
    if (untilRenewed-- === 0) renew();
    const { address } = packet;
    const client = side * 4;
    address.fill(0);
    address[2] = address[6] = MAPPED;
    address[client + 3] = this.#host;
    address[4 - client + 3] = this.#server;
    packet.protocol = PROTOCOL_TCP;
    packet.sourcePort = this.#ports[side];
    packet.destinationPort = this.#ports[1 - side];
    packet.flags = flags;
    packet.sequence = this.#sequence[side] | 0;
    packet.acknowledgement = this.#sequence[1 - side] | 0;
    packet.payloadStart = between(0, pool.length - length);
    packet.payloadEnd = packet.payloadStart + length;
    packet.payloadLength = length;
    packet.timeMs = timeMs;
    timeMs += length === 0 ? 1 : 0.5;
    const verdict = engine.judge(packet);
    const again = random() < 0.002; // sent again
    if (again && verdict === INSPECT) engine.judge(packet);
    if (engine.detection !== null) reasons.push(engine.detection.match.reason);
    if (verdict === CLEAN || verdict === BITTORRENT) this.isOver = true;
    this.#sequence[side] = (this.#sequence[side] + length + ((flags & SYN) !== 0 ? 1 : 0)) | 0;
    this.#bytes += length;
  }
}

const PING = new TextEncoder().encode("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
const PONG = new TextEncoder().encode("d1:rd2:id20:jihgfedcba9876543210e1:t2:aa1:y1:re");
const NODE = 0x0102_0304;

/** A DHT ping and its answer (BEP 5): proof for both ends, which are real. */
function prove(host: number): void {
  for (const [from, to, bytes] of [[host, NODE, PING], [NODE, host, PONG]] as const) {
    packet.bytes = bytes;
    packet.address.fill(0);
    packet.address[2] = packet.address[6] = MAPPED;
    packet.address[3] = from;
    packet.address[7] = to;
    packet.protocol = PROTOCOL_UDP;
    packet.sourcePort = packet.destinationPort = 6881;
    packet.payloadStart = 0;
    packet.payloadEnd = packet.payloadLength = bytes.length;
    packet.timeMs = timeMs;
    const verdict = engine.judge(packet);
    if (verdict !== BITTORRENT) throw new Error("the ping was not detected");
  }
  packet.bytes = pool;
}

/** All flows of a host, in turns, until the engine has let them go. */
function run(flows: readonly Flow[]): void {
  for (let left = flows.length; left > 0;) {
    left = 0;
    for (const flow of flows) {
      if (!flow.isOver) {
        flow.exchange();
        left++;
      }
    }
  }
}

interface Setting {
  readonly name: string;
  /** Flows of a host at once, to as many servers in distinct networks on distinct ports. */
  readonly servers: number;
  readonly isProven: boolean;
  readonly isJoined: boolean;
}

const SETTINGS: readonly (Setting & { readonly share: number })[] = [
  { name: "one server, from the SYN", servers: 1, isProven: false, isJoined: false, share: 0.5 },
  { name: "one server, joined", servers: 1, isProven: false, isJoined: true, share: 0.5 },
  { name: "five servers, joined", servers: 5, isProven: false, isJoined: true, share: 0.25 },
  { name: "torrents too, joined", servers: 5, isProven: true, isJoined: true, share: 0.25 },
];

let hosts = 0;

function runSetting(
  { name, servers, isProven, isJoined }: Setting,
  flows: number,
  seedOfRun: number,
  only: string,
): number {
  const possible = SHAPES.filter(([, shape]) => isJoined || shape().opening !== undefined);
  const each = Math.ceil(flows / possible.length / servers);
  const shapes = possible.filter(([shapeName]) => shapeName.includes(only));
  if (shapes.length === 0) return 0;
  let detections = 0;
  for (const [shapeName, shape] of shapes) {
    seed(seedOfRun + SHAPES.findIndex(([name]) => name === shapeName));
    renew();
    engine = new Engine({ policy: CAPTURE_POLICY });
    reasons = [];
    for (let i = 0; i < each; i++) {
      const host = 0x0a00_0000 | (hosts++ & 0xff_ffff);
      if (isProven) prove(host);
      run(
        Array.from(
          { length: servers },
          (_, server) =>
            new Flow(shape(), host, 0xc633_0000 + (server << 8) + 1, 20_000 + server, isJoined),
        ),
      );
    }
    // What else a host that torrents has open without authentication is reported, and no failure.
    if (!isProven || /^(SSH|TLS)/.test(shapeName)) detections += reasons.length;
    if (reasons.length > 0) {
      console.log(`  ${name}, ${shapeName}: ${reasons.length} detected, ${[...new Set(reasons)]}`);
    }
  }
  console.log(
    `${name.padEnd(28)} ${each * servers * shapes.length} flows, ${shapes.length} shapes: ` +
      `${detections} wrongly detected`,
  );
  return detections;
}

/**
 * Sends `flows` flows of each setting's share through an engine and prints what was detected.
 *
 * @param only shapes whose name holds this
 * @returns the number of detections that must not be
 */
export function runDataPhases(flows: number, seedOfRun: number, only: string): number {
  return SETTINGS.reduce(
    (sum, setting, i) =>
      sum + runSetting(setting, flows * setting.share, seedOfRun + i * SHAPES.length, only),
    0,
  );
}
