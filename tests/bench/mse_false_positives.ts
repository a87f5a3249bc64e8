/**
 * How often other protocols that look random are taken for Message Stream Encryption:
 *
 *   deno task bench:mse [CONNECTIONS] [FLOWS] [SEED] [KIND]
 *
 * Synthetic openings (10 million by default) in the shapes of protocols whose first messages are, or
 * may be, indistinguishable from random bytes. Of each is counted how many have the shape (order,
 * sizes, randomness: a hint, never a detection) and how many the engine detects under the default
 * policy, every host talking to one server as proxy clients do: that number must be 0.
 *
 * Then conversations of such programs with lists of servers, alone and beside torrents, and flows with
 * data (2 million each by default), see `mse_lists.ts` and `mse_data_phases.ts`: 0 as well.
 *
 * The seed is printed, and the same one sends the same traffic again; with KIND only those whose name
 * holds it. Exits with 1 where anything was detected, kinds apart that are bounds (their lengths are
 * BitTorrent's own, see `Program`): of these the number is told.
 */
import { commandLine } from "../../scripts/arguments.ts";
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { ACK, Packet, PROTOCOL_TCP, SYN } from "../../src/packet/packet.ts";
import {
  hasLengthPrefix,
  isTlsRecord,
  looksRandom,
  MAX_OPENING,
  MIN_OPENING,
  MIN_THIRD_MESSAGE,
} from "../../src/protocols/mse/detect.ts";
import { runDataPhases } from "./mse_data_phases.ts";
import { runLists } from "./mse_lists.ts";
import { between, fill, seed } from "./mse_random.ts";

/** Random bytes to cut messages from, renewed now and then. */
const pool = new Uint8Array(65_536);
let taken = pool.length;

function noise(length: number): Uint8Array {
  if (taken + length > pool.length) {
    fill(pool);
    taken = 0;
  }
  taken += length;
  return pool.slice(taken - length, taken);
}

/** Random bytes behind a fixed beginning. */
function headed(header: readonly number[], length: number): Uint8Array {
  const bytes = noise(length);
  bytes.set(header);
  return bytes;
}

/** A 16-bit length, then so many random bytes. */
function framed(length: number): Uint8Array {
  return headed([(length - 2) >> 8, (length - 2) & 255], length);
}

/** Sizes as measured on real programs where there were any, else the specification's range. */
const protocols: Record<string, () => Uint8Array[]> = {
  // salt 32, length chunk 18, payload with 16 of tag; a TLS ClientHello or an HTTP request inside
  "Shadowsocks AEAD":
    () => [noise(between(120, 700)), noise(between(80, 1400)), noise(between(60, 700))],
  // auth 16, encrypted header 40…120, then a chunk of a ClientHello
  "VMess AEAD": () => [noise(between(150, 750)), noise(between(60, 1400)), noise(between(60, 600))],
  // representative 32, padding to 8192 less, mark 16, mac 16
  "obfs4": () => [noise(between(149, 8192)), noise(between(96, 8192)), noise(between(60, 1448))],
  // 64 bytes of init, then the first encrypted packet (req_pq 40…)
  "MTProto, obfuscated":
    () => [noise(between(105, 400)), noise(between(80, 700)), noise(between(60, 400))],
  // EIP-8: a length of two bytes before auth and ack, padding 100…300
  "Ethereum RLPx, EIP-8":
    () => [framed(between(295, 600)), framed(between(220, 500)), noise(between(64, 300))],
  // before EIP-8: auth 307, ack 210, whole
  "Ethereum RLPx, legacy": () => [noise(307), noise(210), noise(between(64, 300))],
  "Bitcoin v2 transport (BIP 324)":
    () => [noise(between(64, 4159)), noise(between(64, 4159)), noise(between(60, 300))],
  // length, opcode, session id
  "OpenVPN over TCP":
    () => [framed(between(42, 120)), framed(between(54, 140)), framed(between(60, 600))],
  "OpenVPN over TCP, XOR":
    () => [noise(between(42, 120)), noise(between(54, 140)), noise(between(60, 600))],
  "TLS": () => [
    headed([22, 3, 1, 1, 60], between(200, 600)),
    headed([22, 3, 3, 0, 122], between(127, 1400)),
    headed([20, 3, 3, 0, 1, 1], between(64, 200)),
  ],
  // encrypted packets after the version and key exchange: a stream joined there
  "SSH, version first": () => [
    new TextEncoder().encode("SSH-2.0-OpenSSH_9.2\r\n"),
    noise(between(96, 600)),
    noise(between(60, 600)),
  ],
  // 4 bytes of length, ASN.1
  "Kerberos over TCP": () => {
    const length = between(150, 600);
    return [
      headed([0, 0, (length - 4) >> 8, (length - 4) & 255, 0x6a, 0x81], length),
      headed([0, 0, 1, 0, 0x6b], 600),
      noise(100),
    ];
  },
  "random transfer, turn by turn":
    () => [noise(between(100, 600)), noise(between(100, 600)), noise(between(100, 600))],
  "random transfer, bulk": () => [noise(1400), noise(between(1, 100)), noise(1400)],
};

function hasShape([a, b, c]: Uint8Array[]): boolean {
  const isOpening = (bytes: Uint8Array) =>
    bytes.length >= MIN_OPENING && bytes.length <= MAX_OPENING &&
    !isTlsRecord(bytes, 0, bytes.length) && !hasLengthPrefix(bytes, 0, bytes.length) &&
    looksRandom(bytes, 0, bytes.length);
  return c.length >= MIN_THIRD_MESSAGE && isOpening(a) && isOpening(b);
}

const engine = new Engine({ policy: CAPTURE_POLICY });
const packet = new Packet();
packet.family = 4;
packet.protocol = PROTOCOL_TCP;
const empty = new Uint8Array(0);
let timeMs = 1_700_000_000_000;

function send(side: number, flags: number, payload: Uint8Array, sequence: number, flow: number) {
  const { address } = packet;
  const client = side * 4;
  const server = 4 - client;
  address.fill(0);
  address[2] = address[6] = 0xffff;
  address[client + 3] = 0x0a00_0000 | ((flow >> 6) & 0xffff); // 64 connections of a host in a row
  address[server + 3] = 0xc633_0000 | ((flow >> 6) & 0xffff);
  const ports = [40_000 + (flow & 0x3fff), 20_000 + ((flow >> 6) & 0xff)];
  packet.sourcePort = ports[side];
  packet.destinationPort = ports[1 - side];
  packet.flags = flags;
  packet.sequence = sequence;
  packet.bytes = payload;
  packet.payloadStart = 0;
  packet.payloadEnd = packet.payloadLength = payload.length;
  packet.timeMs = timeMs;
  engine.judge(packet);
  if (engine.detection !== null) detected.push(engine.detection.match.reason);
}

let detected: string[] = [];
const USAGE = "deno task bench:mse [CONNECTIONS] [FLOWS] [SEED] [KIND]";
const { words, numberAt } = commandLine(USAGE, {}, 4);
const total = numberAt(0, "CONNECTIONS", 10_000_000);
const flows = numberAt(1, "FLOWS", 2_000_000);
const seedOfRun = numberAt(2, "SEED", crypto.getRandomValues(new Uint32Array(1))[0]);
const only = words[3] ?? "";
const names = Object.keys(protocols).filter((name) => name.includes(only));
const each = Math.ceil(total / Object.keys(protocols).length);
console.log(`seed ${seedOfRun}; ${each} connections of each protocol`);
seed(seedOfRun);
let flow = 0;
let failures = 0;
for (const name of names) {
  let shaped = 0;
  detected = [];
  for (let i = 0; i < each; i++, flow++) {
    const messages = protocols[name]();
    if (hasShape(messages)) shaped++;
    timeMs += 20;
    send(0, SYN, empty, 99, flow);
    send(1, SYN | ACK, empty, 199, flow);
    const sequence = [100, 200];
    messages.forEach((message, turn) => {
      const side = turn & 1;
      send(side, ACK, message, sequence[side], flow);
      sequence[side] += message.length;
    });
  }
  failures += detected.length;
  const percent = ((shaped / each) * 100).toFixed(3);
  console.log(`${name.padEnd(32)} shape ${percent.padStart(8)} %   detected ${detected.length}`);
}
failures += runLists(flows, seedOfRun, only);
failures += runDataPhases(flows, seedOfRun, only);
console.log(failures === 0 ? "no connection detected" : `${failures} connections detected`);
Deno.exit(failures === 0 ? 0 : 1);
