/**
 * Conversations of other programs (mse_conversations.ts) through an engine: alone, beside a host that
 * torrents, and behind an address that others torrent from. Run by `deno task bench:mse`.
 */
import { CLEAN, Engine } from "../../src/engine/engine.ts";
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
import { type Messages, type Program, PROGRAMS } from "./mse_conversations.ts";
import { between, fill, seed } from "./mse_random.ts";

type Place = "alone" | "beside a torrent" | "behind a shared address";
const PLACES: readonly Place[] = ["alone", "beside a torrent", "behind a shared address"];
const SEGMENT = 1448;

/** Random bytes to cut messages from, renewed now and then. */
const pool = new Uint8Array(1 << 18);
let engine: Engine;
const packet = new Packet();
packet.family = 4;
let timeMs = 1_700_000_000_000;
let hosts = 0;
/** Lengths of the messages of a flow that was found, so many of them. */
const MOST_SHOWN = 30;

/** Puts a packet through; true when it was found to be BitTorrent, or its flow let go. */
function send(
  source: number,
  destination: number,
  sourcePort: number,
  destinationPort: number,
  flags: number,
  length: number,
  sequence: number,
  acknowledgement: number,
): number {
  const { address } = packet;
  address.fill(0);
  address[2] = address[6] = MAPPED;
  address[3] = source;
  address[7] = destination;
  packet.protocol = PROTOCOL_TCP;
  packet.sourcePort = sourcePort;
  packet.destinationPort = destinationPort;
  packet.flags = flags;
  packet.sequence = sequence | 0;
  packet.acknowledgement = acknowledgement | 0;
  packet.bytes = pool;
  packet.payloadStart = between(0, pool.length - SEGMENT);
  packet.payloadEnd = packet.payloadStart + length;
  packet.payloadLength = length;
  packet.timeMs = timeMs;
  return engine.judge(packet);
}

/** One flow, until it is let go or over; why it was found, or null. */
function converse(
  host: number,
  server: number,
  port: number,
  messages: Messages,
  isJoined: boolean,
) {
  const own = between(32_768, 60_999);
  const sequence = [between(0, 1 << 30), between(0, 1 << 30)];
  const say = (side: number, flags: number, length: number) => {
    const verdict = side === 0
      ? send(host, server, own, port, flags, length, sequence[0], sequence[1])
      : send(server, host, port, own, flags, length, sequence[1], sequence[0]);
    sequence[side] += length + ((flags & SYN) !== 0 ? 1 : 0);
    return verdict;
  };
  if (!isJoined) {
    say(0, SYN, 0);
    say(1, SYN | ACK, 0);
  }
  for (const message of messages) {
    const side = message > 0 ? 0 : 1;
    for (let left = Math.abs(message); left > 0; left -= SEGMENT) {
      const verdict = say(side, left <= SEGMENT ? ACK | PSH : ACK, Math.min(left, SEGMENT));
      if (engine.detection !== null) return engine.detection.match.reason;
      if (verdict === CLEAN) return null;
    }
  }
  return null;
}

const PING = new TextEncoder().encode(
  "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT\u0001\u00021:y1:qe",
);
const PONG = new TextEncoder().encode("d1:rd2:id20:jihgfedcba9876543210e1:t2:aa1:y1:re");

/** The address is seen to torrent: it asks in the DHT and is answered. */
function torrents(address: number): void {
  for (const [from, to, bytes] of [[address, 1, PING], [1, address, PONG]] as const) {
    packet.address.fill(0);
    packet.address[2] = packet.address[6] = MAPPED;
    packet.address[3] = from === 1 ? 0xcb00_7105 | 0 : from;
    packet.address[7] = to === 1 ? 0xcb00_7105 | 0 : to;
    packet.protocol = PROTOCOL_UDP;
    packet.sourcePort = packet.destinationPort = 6881;
    packet.bytes = bytes;
    packet.payloadStart = 0;
    packet.payloadEnd = packet.payloadLength = bytes.length;
    packet.timeMs = timeMs;
    engine.judge(packet);
  }
}

function run(program: Program, place: Place, flows: number): number {
  engine = new Engine({ policy: CAPTURE_POLICY });
  hosts = 0;
  let example: Messages = [];
  const reasons = new Map<string, number>();
  let done = 0;
  let found = 0;
  while (done < flows) {
    const host = 0x0a00_0000 | (hosts++ & 0xff_ffff);
    const servers = program.servers();
    const of = program.start();
    timeMs += 1000;
    if (done % 512 < servers) fill(pool);
    if (place === "beside a torrent") torrents(host);
    for (let i = 0; i < servers; i++, done++) {
      const server = (0xc633_0000 + (hosts & 0xff) * 0x1_0000 + i * 256 + 1) | 0;
      if (place === "behind a shared address") torrents(server);
      timeMs += 50;
      const messages = of();
      const reason = converse(host, server, 20_000 + i, messages, program.isJoined ?? false);
      if (reason === null) continue;
      found++;
      example = messages;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join("; ");
  console.log(
    `${program.name.padEnd(54)} ${place.padEnd(24)} ${done} flows, ${found} found ${why}`,
  );
  if (found > 0) console.log(`  such as ${example.slice(0, MOST_SHOWN).join(" ")}`);
  return found;
}

/** Sends about `flows` flows through an engine; the number found, which must be 0. Each row has a seed of its own. */
export function runLists(flows: number, seedOfRun: number, only: string): number {
  const each = Math.ceil(flows / PROGRAMS.length / PLACES.length);
  let found = 0;
  PROGRAMS.forEach((program, kind) => {
    if (!program.name.includes(only)) return;
    PLACES.forEach((place, row) => {
      seed(seedOfRun + kind * PLACES.length + row);
      found += run(program, place, each);
    });
  });
  return found;
}
