/**
 * Whether the lengths that decide encrypted flows (src/engine/block_rhythm.ts, request_rhythm.ts)
 * ever occur in other protocols: downloads and uploads of theirs, over paths of all segment sizes, as
 * far as the engine looks. Run by `deno task bench:mse`.
 */
import { BITTORRENT, CLEAN } from "../../src/engine/engine.ts";
import { ACK, PSH } from "../../src/packet/packet.ts";
import { type Shape, SHAPES } from "./mse_data_shapes.ts";
import { between, oneOf, random, seed } from "./mse_random.ts";
import { blocks, proves } from "./mse_swarm.ts";
import { Connection, PATHS, Wire } from "./mse_wire.ts";

/** A flow is followed until the engine lets it go, but no further. */
const MAX_BYTES = 1_300_000;
const LARGEST_SEGMENT = 65_160;

const wire = new Wire();

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
  readonly #connection: Connection;
  readonly #path = oneOf(PATHS);
  readonly #cut = between(0, 2) as Cut;
  readonly #sender: 0 | 1 = random() < 0.7 ? 1 : 0;
  #bytes = 0;

  constructor(shape: Shape, host: number, server: number, port: number, isJoined: boolean) {
    this.#shape = shape;
    const ends = [{ address: host, port: between(32_768, 60_999) }, { address: server, port }];
    this.#connection = new Connection(wire, [ends[0], ends[1]]);
    if (isJoined) {
      this.#write(this.#sender, between(1, 60_000));
      return;
    }
    this.#connection.open();
    for (const [turn, length] of shape.opening!().entries()) {
      this.#write((turn & 1) as 0 | 1, length);
    }
  }

  /** One exchange: small messages, then a write or several. */
  exchange(): void {
    const { small, write } = this.#shape;
    const sender = random() < 0.97 ? this.#sender : other(this.#sender);
    for (let i = between(0, 3); i > 0; i--) this.#write(other(sender), small());
    for (let i = between(1, 3); i > 0; i--) this.#write(sender, write());
    if (random() < 0.2) this.#write(sender, small());
    if (this.#bytes > MAX_BYTES) this.isOver = true;
  }

  #write(side: 0 | 1, length: number): void {
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

  #segment(side: 0 | 1, length: number, flags: number): void {
    wire.timeMs += 0.5;
    const verdict = this.#connection.segment(side, flags, length);
    const { detection } = wire;
    if (detection !== null) reasons.push(detection.match.reason);
    if (verdict === CLEAN || verdict === BITTORRENT) this.isOver = true;
    this.#bytes += length;
  }
}

const other = (side: 0 | 1) => (1 - side) as 0 | 1;

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

/** Runs with seeds next to each other share no shape's. */
const SEEDS_APART = 1009;

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
    wire.clear();
    reasons = [];
    for (let i = 0; i < each; i++) {
      const host = 0x0a00_0000 | (hosts++ & 0xff_ffff);
      wire.timeMs += 1000;
      if (isProven) proves(wire, host);
      if (isProven) blocks(wire, host);
      run(
        Array.from(
          { length: servers },
          (_, server) =>
            new Flow(shape(), host, 0xc633_0000 + (server << 8) + 1, 20_000 + server, isJoined),
        ),
      );
    }
    detections += reasons.length;
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
      sum +
      runSetting(setting, flows * setting.share, seedOfRun * SEEDS_APART + i * SHAPES.length, only),
    0,
  );
}
