/**
 * Conversations of other programs (mse_conversations.ts, mse_made_up.ts, mse_stream_ciphers.ts,
 * mse_tunnels.ts, mse_applications.ts, mse_blocks.ts) through an engine: alone, beside a host that torrents, behind an address that others
 * torrent from, older than the blocker, and behind a slow link. Run by `deno task bench:mse`.
 */
import { INSPECT } from "../../src/engine/engine.ts";
import { APPLICATIONS } from "./mse_applications.ts";
import { BLOCKS } from "./mse_blocks.ts";
import { PROGRAMS as RECORDED } from "./mse_conversations.ts";
import { MADE_UP } from "./mse_made_up.ts";
import type { Messages, Program } from "./mse_program.ts";
import { between, oneOf, random, seed } from "./mse_random.ts";
import { STREAM_CIPHERS } from "./mse_stream_ciphers.ts";
import { TUNNELS } from "./mse_tunnels.ts";
import { blocks, handshakes, isNamed, proves } from "./mse_swarm.ts";
import { Connection, type End, PATHS, Wire } from "./mse_wire.ts";

interface Place {
  readonly name: string;
  /** The address torrents too, itself or others behind it: real evidence, suspects with handshakes. */
  readonly hasSwarm?: boolean;
  /** What the program calls was named as a peer to that address, which had asked. */
  readonly isNamed?: boolean;
  /** The addresses that the program calls torrent. */
  readonly callsTorrenters?: boolean;
  /** The program calls its servers through a SOCKS proxy, naming their addresses. */
  readonly isProxied?: boolean;
  /** The flows are older than the blocker, five at least. */
  readonly isJoined?: boolean;
  /** What is written piles up in front of a slow link: hardly a write is seen to end. */
  readonly isSlow?: boolean;
}

const PROGRAMS: readonly Program[] = [
  ...RECORDED,
  ...MADE_UP,
  ...STREAM_CIPHERS,
  ...TUNNELS,
  ...APPLICATIONS,
  ...BLOCKS,
];

const PLACES: readonly Place[] = [
  { name: "alone" },
  { name: "beside a swarm, same address", hasSwarm: true },
  { name: "the same, named as peers", hasSwarm: true, isNamed: true },
  { name: "to addresses that torrent", callsTorrenters: true },
  { name: "through a SOCKS proxy", isProxied: true },
  { name: "the same, beside a swarm, same address", isProxied: true, hasSwarm: true },
  { name: "five or more, joined", isJoined: true },
  { name: "five or more, joined, beside a swarm", isJoined: true, hasSwarm: true },
  { name: "the same, behind a slow link", isJoined: true, hasSwarm: true, isSlow: true },
];

/** Lengths of the messages of a flow that was found, so many of them. */
const MOST_SHOWN = 30;
/** Messages of a flow joined in the middle, at least, where the program says so many. */
const JOINED_MESSAGES = 80;
/** Openings of the host's that are remembered, see `HostEvidence`: above, the swarm's make room. */
const REMEMBERED = 8;
/** How many writes of data behind a slow link go on in the segment of the next. */
const PILED_UP = 0.8;
/** Rounds before which the swarm calls again where it was forgotten: beginnings are over then. */
const BEGINNING = 10;

/** Runs with seeds next to each other share no row's. */
const SEEDS_APART = 1009;

const wire = new Wire();

const PROXY: End = { address: 0xc612_0001 | 0, port: 1080 };

class Flow {
  /** Why it was found. */
  reason: string | null = null;
  isOver = false;
  readonly messages: Messages;
  readonly #connection: Connection;
  readonly #path = oneOf(PATHS);
  #next = 0;

  constructor(from: End, to: End, messages: Messages, isJoined: boolean, place: Place) {
    this.messages = messages;
    const readsLate = random() < 0.7 ? 0 : 0.1;
    const called = place.isProxied ? PROXY : to;
    this.#connection = new Connection(wire, [from, called], readsLate, place.isSlow ? PILED_UP : 0);
    if (!isJoined) this.#connection.open();
    if (place.isProxied && !isJoined) this.#connection.negotiate(to);
  }

  /** Sends the next message, unless the flow was let go or is over. */
  speak(): void {
    if (this.#next === this.messages.length) {
      this.isOver = true;
      return;
    }
    const message = this.messages[this.#next++];
    const verdict = this.#connection.write(message > 0 ? 0 : 1, Math.abs(message), this.#path);
    if (wire.detection !== null) this.reason = wire.detection.match.reason;
    this.isOver = verdict !== INSPECT;
  }
}

/** What conversations say behind their beginnings, one after the other. */
function later(of: () => Messages): Messages {
  const all: Messages = [];
  for (let i = 0; i < 40 && all.length < JOINED_MESSAGES; i++) all.push(...of().slice(4));
  return all;
}

/** All that a program has open at once. */
function converse(program: Program, place: Place, host: number, network: number): Flow[] {
  const of = program.start();
  const isJoined = program.isJoined ?? place.isJoined ?? false;
  const count = place.isJoined ? Math.max(5, program.servers()) : program.servers();
  const servers = Array.from(
    { length: count },
    (_, i) => ({ address: (network + i * 256 + 1) | 0, port: 20_000 + i }),
  );
  if (place.hasSwarm) proves(wire, host);
  if (place.isNamed) isNamed(wire, host, servers);
  if (place.hasSwarm && isJoined) blocks(wire, host);
  if (place.callsTorrenters) { for (const { address } of servers) proves(wire, address); }
  const swarmCalls = place.hasSwarm === true && !isJoined;
  const flows = servers.map((server) => {
    const own = { address: host, port: between(32_768, 60_999) };
    const messages = isJoined && !program.isJoined ? later(of) : of();
    return new Flow(own, server, messages, isJoined, place);
  });
  let going = flows;
  for (let round = 0; going.length > 0; round++) {
    const isForgotten = count + 3 > REMEMBERED && round < BEGINNING;
    if (swarmCalls && (round === 0 || isForgotten)) handshakes(wire, host);
    wire.timeMs += 20;
    for (const flow of going) flow.speak();
    going = going.filter((flow) => !flow.isOver);
  }
  return flows;
}

function run(program: Program, place: Place, least: number): number {
  wire.clear();
  let example: Messages = [];
  const reasons = new Map<string, number>();
  let done = 0;
  let found = 0;
  for (let hosts = 0; done < least; hosts++) {
    wire.timeMs += 1000;
    const host = 0x0a00_0000 | (hosts & 0xff_ffff);
    const network = 0xc633_0000 + (hosts & 0xff) * 0x1_0000;
    const flows = converse(program, place, host, network);
    done += flows.length;
    for (const { reason, messages } of flows) {
      if (reason === null) continue;
      found++;
      example = messages;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join("; ");
  const held = wire.held > 0 ? `, ${wire.held} held back` : "";
  const what = `${found} found${program.isBound && found > 0 ? " (a bound, no failure)" : ""}`;
  console.log(
    `${program.name.padEnd(54)} ${place.name.padEnd(38)} ${done} flows, ${what} ${why}${held}`,
  );
  if (found > 0) console.log(`  such as ${example.slice(0, MOST_SHOWN).join(" ")}`);
  return program.isBound ? 0 : found;
}

/**
 * Sends about `flows` flows through an engine; the number found, which must be 0 (`isBound` apart).
 * Each row has a seed of its own.
 */
export function runLists(flows: number, seedOfRun: number, only: string): number {
  const each = Math.ceil(flows / PROGRAMS.length / PLACES.length);
  if (each === 0) return 0;
  let found = 0;
  PROGRAMS.forEach((program, kind) => {
    if (!program.name.includes(only)) return;
    PLACES.forEach((place, row) => {
      seed(seedOfRun * SEEDS_APART + kind * PLACES.length + row);
      found += run(program, place, each);
    });
  });
  return found;
}
