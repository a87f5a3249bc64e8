/** Flows of captures with their times and amounts, a bounded number of them. */
import { formatAddress } from "../../packet/address.ts";
import { ACK, type Packet, PROTOCOL_TCP, SYN } from "../../packet/packet.ts";

/** One flow; "out" is from the side that opened it, as far as the capture tells. */
export interface FlowSummary {
  /** Number of the capture file, from 0. */
  readonly file: number;
  readonly transport: "tcp" | "udp";
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Times of its first and last packet, ms. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly packetsOut: number;
  readonly packetsIn: number;
  /** Bytes of payload, as they were on the wire. */
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly isDetected: boolean;
}

/** Words of a flow's key: source 4, destination 4, ports, protocol and file; then a flag. */
const WORDS = 11;
const PORTS = 8;
const HEAD = 9;
const DETECTED = 10;
/** Numbers of a flow: first and last ms, packets out and in, bytes out and in. */
const NUMBERS = 6;
const FIRST = 0;
const LAST = 1;
const COUNTS = 2;
const BYTES = 4;

/**
 * A hash table in typed arrays. At twice the limit the flows without a detection and with the
 * fewest bytes make room: an overview loses nothing that would be seen in it.
 */
export class FlowSummaries {
  /** Flows that made room; one that comes again afterwards counts as another. */
  leftOut = 0;
  #count = 0;
  readonly #limit: number;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  /** Entry + 1 by hash, linear probing; never more than half full. */
  readonly #index: Int32Array;
  readonly #onLeaveOut: (flow: FlowSummary) => void;

  /** @param limit flows kept at the end */
  constructor(limit: number, onLeaveOut: (flow: FlowSummary) => void = () => {}) {
    this.#limit = limit;
    this.#words = new Int32Array(limit * 2 * WORDS);
    this.#numbers = new Float64Array(limit * 2 * NUMBERS);
    this.#index = new Int32Array(2 ** Math.ceil(Math.log2(limit * 4)));
    this.#onLeaveOut = onLeaveOut;
  }

  /** Counts a packet; answers its flow's entry, which holds until the next call. */
  add(packet: Packet, timeMs: number, file: number): number {
    const head = file << 8 | packet.protocol;
    let entry = this.#find(packet, head);
    if (entry < 0) {
      if (this.#count === this.#limit * 2) this.#makeRoom(this.#limit);
      entry = this.#insert(packet, timeMs, head);
    }
    const at = entry * NUMBERS;
    const numbers = this.#numbers;
    const direction = this.#isForward(entry, packet) ? 0 : 1;
    if (timeMs < numbers[at + FIRST]) numbers[at + FIRST] = timeMs;
    if (timeMs > numbers[at + LAST]) numbers[at + LAST] = timeMs;
    numbers[at + COUNTS + direction]++;
    numbers[at + BYTES + direction] += Math.max(0, packet.payloadLength);
    return entry;
  }

  /** Notes that a packet of this flow was a detection: it makes room last of all. */
  setDetected(entry: number): void {
    this.#words[entry * WORDS + DETECTED] = 1;
  }

  /** The flows kept, at most the limit, in the order in which they began. */
  finish(): FlowSummary[] {
    if (this.#count > this.#limit) this.#makeRoom(this.#limit);
    return Array.from({ length: this.#count }, (_, entry) => this.#record(entry));
  }

  #find(packet: Packet, head: number): number {
    const index = this.#index;
    const mask = index.length - 1;
    for (let bucket = hashOf(packet, head) & mask;; bucket = (bucket + 1) & mask) {
      const entry = index[bucket] - 1;
      if (entry < 0) return -1;
      if (this.#words[entry * WORDS + HEAD] !== head) continue;
      if (this.#isForward(entry, packet) || this.#isBackward(entry, packet)) return entry;
    }
  }

  #isForward(entry: number, { address, sourcePort, destinationPort }: Packet): boolean {
    const words = this.#words;
    const at = entry * WORDS;
    for (let i = 0; i < 8; i++) if (words[at + i] !== address[i]) return false;
    return words[at + PORTS] === (sourcePort << 16 | destinationPort);
  }

  #isBackward(entry: number, { address, sourcePort, destinationPort }: Packet): boolean {
    const words = this.#words;
    const at = entry * WORDS;
    for (let i = 0; i < 8; i++) if (words[at + i] !== address[i ^ 4]) return false;
    return words[at + PORTS] === (destinationPort << 16 | sourcePort);
  }

  #insert(packet: Packet, timeMs: number, head: number): number {
    const entry = this.#count++;
    const words = this.#words;
    const at = entry * WORDS;
    const { address, sourcePort, destinationPort } = packet;
    // Where only the answer to a SYN was caught, the other end opened the connection.
    const isAnswer = packet.protocol === PROTOCOL_TCP &&
      (packet.flags & (SYN | ACK)) === (SYN | ACK);
    const turn = isAnswer ? 4 : 0;
    for (let i = 0; i < 8; i++) words[at + i] = address[i ^ turn];
    words[at + PORTS] = isAnswer
      ? destinationPort << 16 | sourcePort
      : sourcePort << 16 | destinationPort;
    words[at + HEAD] = head;
    words[at + DETECTED] = 0;
    this.#numbers.fill(0, entry * NUMBERS, (entry + 1) * NUMBERS);
    this.#numbers[entry * NUMBERS + FIRST] = timeMs;
    this.#numbers[entry * NUMBERS + LAST] = timeMs;
    this.#enter(entry, hashOf(packet, head));
    return entry;
  }

  #enter(entry: number, hash: number): void {
    const mask = this.#index.length - 1;
    let bucket = hash & mask;
    while (this.#index[bucket] !== 0) bucket = (bucket + 1) & mask;
    this.#index[bucket] = entry + 1;
  }

  /** Keeps `wanted` flows: those detected first, then those with the most bytes. */
  #makeRoom(wanted: number): void {
    const words = this.#words;
    const numbers = this.#numbers;
    const weight = (entry: number) =>
      words[entry * WORDS + DETECTED] * 2 ** 52 +
      numbers[entry * NUMBERS + BYTES] + numbers[entry * NUMBERS + BYTES + 1];
    const order = Array.from({ length: this.#count }, (_, entry) => entry)
      .sort((a, b) => weight(b) - weight(a) || a - b);
    for (const entry of order.slice(wanted)) this.#onLeaveOut(this.#record(entry));
    this.leftOut += order.length - wanted;
    const kept = order.slice(0, wanted).sort((a, b) => a - b);
    this.#index.fill(0);
    kept.forEach((from, to) => { // `to` is never behind `from`: nothing is written over
      words.copyWithin(to * WORDS, from * WORDS, (from + 1) * WORDS);
      numbers.copyWithin(to * NUMBERS, from * NUMBERS, (from + 1) * NUMBERS);
      this.#enter(to, this.#hashOfEntry(to));
    });
    this.#count = kept.length;
  }

  #hashOfEntry(entry: number): number {
    const words = this.#words;
    const at = entry * WORDS;
    const ports = words[at + PORTS];
    return endHash(words, at, ports >>> 16) + endHash(words, at + 4, ports & 0xffff) +
      mix(words[at + HEAD]);
  }

  #record(entry: number): FlowSummary {
    const at = entry * WORDS;
    const words = this.#words;
    const number = entry * NUMBERS;
    const numbers = this.#numbers;
    return {
      file: words[at + HEAD] >>> 8,
      transport: (words[at + HEAD] & 0xff) === PROTOCOL_TCP ? "tcp" : "udp",
      source: formatAddress(words, at),
      sourcePort: words[at + PORTS] >>> 16,
      destination: formatAddress(words, at + 4),
      destinationPort: words[at + PORTS] & 0xffff,
      firstMs: numbers[number + FIRST],
      lastMs: numbers[number + LAST],
      packetsOut: numbers[number + COUNTS],
      packetsIn: numbers[number + COUNTS + 1],
      bytesOut: numbers[number + BYTES],
      bytesIn: numbers[number + BYTES + 1],
      isDetected: words[at + DETECTED] === 1,
    };
  }
}

/** The same for both directions of a flow. */
function hashOf({ address, sourcePort, destinationPort }: Packet, head: number): number {
  return endHash(address, 0, sourcePort) + endHash(address, 4, destinationPort) + mix(head);
}

function endHash(words: Int32Array, at: number, port: number): number {
  return mix(words[at] ^ mix(words[at + 1] ^ mix(words[at + 2] ^ mix(words[at + 3] ^ port << 8))));
}

/** The finalizer of MurmurHash3. */
function mix(word: number): number {
  word = Math.imul(word ^ word >>> 16, 0x85eb_ca6b);
  word = Math.imul(word ^ word >>> 13, 0xc2b2_ae35);
  return word ^ word >>> 16;
}
