/**
 * How often protocols that nobody has recorded are taken for BitTorrent:
 *
 *   deno task bench:innocents [CONVERSATIONS] [SEED]
 *
 * Each conversation (a million of each kind by default) is a protocol made up for it, spoken by two
 * ends, and joined in the middle: messages of a length of four bytes and a type; telemetry with clocks
 * and counters in uTP's places; requests and answers with small headers over UDP. Detected must be 0:
 * the exit status says so.
 */
import { commandLine } from "../../scripts/arguments.ts";
import { Engine } from "../../src/engine/engine.ts";
import { CAPTURE_POLICY } from "../../src/engine/policy.ts";
import { ACK, MAPPED, Packet, PROTOCOL_TCP, PROTOCOL_UDP } from "../../src/packet/packet.ts";

const state = new Uint32Array(4);

/**
 * xoshiro128**: the same conversations for the same seed, and others for another. The state is wide:
 * the seeds of a generator of 32 bits are places on one short circle, which a million conversations
 * go around.
 */
function random(): number {
  const value = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return value / 0x1_0000_0000;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Fills the state with what a counter gives (splitmix32). */
function sow(seed: number): void {
  for (let i = 0; i < state.length; i++) {
    let word = (seed + Math.imul(i + 1, 0x9e37_79b9)) | 0;
    word = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35);
    state[i] = word ^ (word >>> 16);
  }
}

const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
const chance = (one: number) => random() * one < 1;
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];

/** A message under construction, and the packet it is judged as. */
const room = new Uint8Array(200_000);
const view = new DataView(room.buffer);
const packet = new Packet();
let used = 0;

function u32(value: number): void {
  view.setUint32(used, value >>> 0);
  used += 4;
}

function noise(length: number): void {
  for (let i = 0; i < length; i++) room[used++] = random() * 256;
}

/** A value that a field of a protocol has in one message, by what it means. */
type Field = (message: number, µs: number) => number;

/** Two ends of one conversation; `say` judges what is in the room. */
class Conversation {
  readonly #engine: Engine;
  readonly #sequence = [between(0, 2 ** 31), between(0, 2 ** 31)];
  readonly #address = new Int32Array(8);
  readonly #ports = [between(1024, 65_535), between(1024, 65_535)];
  found: string | null = null;

  constructor(engine: Engine, readonly protocol: number) {
    this.#engine = engine;
    this.#address.set([0, 0, MAPPED, random() * 2 ** 32, 0, 0, MAPPED, random() * 2 ** 32]);
  }

  say(from: 0 | 1, ms: number, start = 0): void {
    const to = 1 - from;
    packet.bytes = room;
    packet.family = 4;
    packet.protocol = this.protocol;
    for (let word = 0; word < 4; word++) {
      packet.address[word] = this.#address[from * 4 + word];
      packet.address[4 + word] = this.#address[to * 4 + word];
    }
    packet.sourcePort = this.#ports[from];
    packet.destinationPort = this.#ports[to];
    packet.sequence = this.#sequence[from] | 0;
    packet.acknowledgement = this.#sequence[to] | 0;
    packet.flags = ACK;
    packet.payloadStart = start;
    packet.payloadEnd = used;
    packet.payloadLength = used - start;
    packet.timeMs = ms;
    this.#sequence[from] += used - start;
    used = 0;
    this.#engine.judge(packet);
    const { detection } = this.#engine;
    if (detection === null) return;
    const begin = detection.payload.subarray(0, 80).toHex();
    this.found ??= `${detection.match.reason}: ${begin}`;
  }
}

const CHUNKS = [512, 1024, 4096, 8192, 0x4000, 0x8000, 0x1_0000, 0x10_0000];

/** Fields of messages: handles, sequence numbers, offsets, sizes, enumerations, hashes. */
function fieldOf(chunk: number): Field {
  const start = between(0, 200_000);
  const handle = between(0, chance(4) ? 2 ** 31 : 40);
  switch (between(0, 6)) {
    case 0:
      return () => handle;
    case 1:
      return (message) => start + message;
    case 2:
      return (message) => message * chunk;
    case 3:
      return () => chunk;
    case 4:
      return () => between(0, 9);
    case 5:
      return () => 0;
    default:
      return () => random() * 2 ** 32;
  }
}

/** Messages of u32 length and u8 type, joined in the middle of a TCP connection. */
function framed(engine: Engine): string | null {
  const chunk = pick(CHUNKS);
  const counted = pick([0, 0, 0, 4, -1]); // the length: of type and body, of all, of the body
  const types = Array.from({ length: between(1, 10) }, () => ({
    type: between(0, chance(3) ? 255 : 24),
    fields: Array.from({ length: between(0, 5) }, () => fieldOf(chunk)),
    text: chance(2) ? between(0, 60) : 0,
    data: chance(12) ? Math.min(chunk, 20_000) : 0,
  }));
  const flow = new Conversation(engine, PROTOCOL_TCP);
  let ms = 0;
  let from: 0 | 1 = chance(2) ? 0 : 1;
  for (let turn = 0; turn < between(2, 14); turn++) {
    for (let n = chance(3) ? between(2, 6) : 1; n > 0; n--) {
      const { type, fields, text, data } = pick(types);
      const at = used;
      used += 4;
      room[used++] = type;
      for (const field of fields) u32(field(turn, 0));
      noise(text);
      noise(data);
      view.setUint32(at, used - at - 4 + counted);
    }
    // The first segment may be the rest of one whose beginning nobody saw.
    const whole = used;
    let cut = turn === 0 && chance(4) ? between(0, Math.max(0, used - 1)) : 0;
    for (; whole - cut > 0; cut += 1448) {
      used = Math.min(whole, cut + 1448);
      flow.say(from, ms, cut);
    }
    used = 0;
    ms += random() * 50;
    if (!chance(3)) from = from === 0 ? 1 : 0;
  }
  return flow.found;
}

/** A field of telemetry: clocks, counters, constants, sensors that wander or jump. */
function telemetryField(): Field {
  const start = between(0, 2 ** 31);
  const small = between(0, 5000);
  const rate = pick([1, 1000, 1 / 90, 1000 / 48, 10]);
  const step = between(1, 400);
  let sensor = chance(2) ? small : start;
  switch (between(0, 8)) {
    case 0:
    case 1:
      return (_, µs) => start + µs / rate;
    case 2:
      return (message) => start + message;
    case 3:
      return (message) => message * step;
    case 4:
      return () => start;
    case 5:
      return () => small;
    case 6:
      return () => sensor += between(-9, 9);
    case 7:
      return () => between(0, 2 ** pick([4, 8, 12, 16]));
    default:
      return () => random() * 2 ** 32;
  }
}

/** Datagrams of fixed fields; half begin as uTP's do, and most of those have a µs clock in its place. */
function telemetry(engine: Engine): string | null {
  const flow = new Conversation(engine, PROTOCOL_UDP);
  const looksAlike = chance(2);
  const first = looksAlike ? pick([0x01, 0x11, 0x21, 0x31, 0x41]) : between(0, 255);
  const second = looksAlike || chance(3) ? 0 : between(0, 255);
  const id = between(0, 65_535);
  const clock = between(0, 2 ** 31);
  const fields = Array.from({ length: 4 }, telemetryField);
  if (looksAlike && !chance(4)) fields[0] = (_, µs) => clock + µs;
  const halves = chance(2);
  const high = telemetryField();
  const low = telemetryField();
  if (halves) fields[3] = (message, µs) => (high(message, µs) << 16) | (low(message, µs) & 0xffff);
  const gapMs = pick([0.05, 0.1, 1, 5, 20, 33, 200]);
  const length = pick([0, 0, 12, 80, 340, 1180, 1380]);
  const answers = chance(3);
  let ms = between(0, 1000);
  for (let message = 0; message < between(6, 40); message++) {
    ms += gapMs * (0.9 + random() * 0.2);
    room[0] = first;
    room[1] = second;
    view.setUint16(2, id);
    used = 4;
    for (const field of fields) u32(field(message, ms * 1000));
    used += length;
    flow.say(answers && message % 2 === 1 ? 1 : 0, ms);
  }
  return flow.found;
}

/** Requests and answers with a header of three to six words, some of which the answer repeats. */
function smallHeaders(engine: Engine): string | null {
  const flow = new Conversation(engine, PROTOCOL_UDP);
  const words = between(3, 6);
  const kinds = Array.from({ length: words }, () => between(0, 5));
  const peers = [between(0, 2 ** 31), between(0, 2 ** 31)];
  const constant = Array.from({ length: words }, () => between(0, chance(3) ? 2 ** 31 : 5));
  const lengths = [between(0, 100), between(0, 100)];
  for (let exchange = 0; exchange < between(1, 5); exchange++) {
    const id = random() * 2 ** 32;
    for (const from of [0, 1] as const) {
      for (let word = 0; word < words; word++) {
        switch (kinds[word]) {
          case 0:
            u32(peers[from]);
            break;
          case 1:
            u32(peers[1 - from]);
            break;
          case 2:
            u32(id);
            break;
          case 3:
            u32(between(0, 4));
            break;
          default:
            u32(constant[word]);
        }
      }
      if (chance(2)) noise(lengths[from]);
      else for (let i = 0; i < lengths[from]; i++) room[used++] = 0x61 + i % 26;
      flow.say(from, exchange * 100 + from * 10);
    }
  }
  return flow.found;
}

const { numberAt } = commandLine("deno task bench:innocents [CONVERSATIONS] [SEED]", {}, 2);
const conversations = numberAt(0, "CONVERSATIONS", 1_000_000);
const seed = numberAt(1, "SEED", Date.now() % 1_000_000);
sow(seed);
let total = 0;
for (const [name, speak] of Object.entries({ framed, telemetry, smallHeaders })) {
  const engine = new Engine({ policy: CAPTURE_POLICY, flows: 8192 });
  const found = new Map<string, number>();
  const startMs = performance.now();
  for (let n = 0; n < conversations; n++) {
    if (n % 4096 === 0) engine.clear();
    const reason = speak(engine);
    if (reason !== null) found.set(reason, (found.get(reason) ?? 0) + 1);
  }
  const count = [...found.values()].reduce((sum, one) => sum + one, 0);
  total += count;
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  console.log(
    `${name}: ${conversations} conversations, ${engine.counters.packets} packets, ` +
      `${count} detected (${seconds} s, seed ${seed})`,
  );
  for (const [reason, times] of found) console.log(`  ${times} ${reason}`);
}
Deno.exit(total === 0 ? 0 : 1);
