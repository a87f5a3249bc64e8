/**
 * What is known of hosts, shared by all queue workers: a flow's packets always reach one worker, a
 * host's flows do not. Encrypted connections are decided with it.
 *
 * Three bounded tables in one (shared) buffer, each of sets of eight with the oldest making room:
 * - proven: addresses at an end of proven BitTorrent;
 * - named: endpoints that a plaintext source named as peers to a host;
 * - openings: remote endpoints to which a host opened a flow of MSE's shape.
 *
 * Everything decays after {@link EVIDENCE_MS} ({@link FAN_OUT_MS} for openings). It is asked only for
 * flows that already look encrypted, so one lock serves all.
 */

/** A torrent client announces, pings and connects far more often than this. */
export const EVIDENCE_MS = 600_000;
const FAN_OUT_MS = 60_000;
/** Distinct remote endpoints of MSE-shaped flows in {@link FAN_OUT_MS} that make evidence. */
const FAN_OUT = 3;
/** Endpoints remembered for one host: what a hostile tracker's answer can use up is its own. */
const NAMED_PER_HOST = 64;
const WAYS = 8;
const TICK_MS = 100;

const PROVEN_SETS = 1024;
const PROVEN_WORDS = 6; // address 4, tick, in use
const NAMED_SETS = 256;
const NAMED_WORDS = 4; // two words of hash, tick, in use
const OPENING_SETS = 1024;
const OPENING_WORDS = 12; // host 4, remote 4, port, tick, in use, spare

const LOCK = 0;
const HEADER = 16;
const PROVEN = HEADER;
const NAMED = PROVEN + PROVEN_SETS * WAYS * PROVEN_WORDS;
/** A named set belongs to a host: 64 endpoints in 8 rows of 8. */
const NAMED_ROWS = NAMED_PER_HOST / WAYS;
const OPENINGS = NAMED + NAMED_SETS * NAMED_ROWS * WAYS * NAMED_WORDS;
const TOTAL = OPENINGS + OPENING_SETS * WAYS * OPENING_WORDS;

/** Tries before a lock is taken over: its holder was a worker that died. */
const SPIN_LIMIT = 1_000_000;

export class HostEvidence {
  /** Size of the buffer to give to the constructor. */
  static readonly BYTE_LENGTH = TOTAL * 4;

  readonly #words: Int32Array;

  /** @param buffer of {@link BYTE_LENGTH} bytes, shared between workers or an engine's own */
  constructor(buffer: ArrayBufferLike = new ArrayBuffer(HostEvidence.BYTE_LENGTH)) {
    this.#words = new Int32Array(buffer);
  }

  /** Forgets everything. */
  clear(): void {
    this.#words.fill(0);
  }

  /** Remembers that the address (four words from `at` in `address`) took part in proven BitTorrent. */
  prove(address: Int32Array, at: number, timeMs: number): void {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const set = PROVEN + (hashOf(address, at, 0) & (PROVEN_SETS - 1)) * WAYS * PROVEN_WORDS;
    let victim = set;
    let victimAge = -1;
    for (let way = 0; way < WAYS; way++) {
      const entry = set + way * PROVEN_WORDS;
      const used = words[entry + 5] !== 0;
      if (used && sameAddress(words, entry, address, at)) {
        victim = entry;
        break;
      }
      const age = used ? (tick - words[entry + 4]) | 0 : 0x7fff_ffff;
      if (age > victimAge) {
        victim = entry;
        victimAge = age;
      }
    }
    for (let word = 0; word < 4; word++) words[victim + word] = address[at + word];
    words[victim + 4] = tick;
    words[victim + 5] = 1;
    this.#unlock();
  }

  /** Whether the address took part in proven BitTorrent within {@link EVIDENCE_MS}. */
  isProven(address: Int32Array, at: number, timeMs: number): boolean {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const set = PROVEN + (hashOf(address, at, 0) & (PROVEN_SETS - 1)) * WAYS * PROVEN_WORDS;
    let found = false;
    for (let way = 0; way < WAYS && !found; way++) {
      const entry = set + way * PROVEN_WORDS;
      found = words[entry + 5] !== 0 && sameAddress(words, entry, address, at) &&
        ((tick - words[entry + 4]) | 0) <= EVIDENCE_MS / TICK_MS;
    }
    this.#unlock();
    return found;
  }

  /** Remembers that a plaintext source named the endpoint `peer:port` as a peer to `host`. */
  name(
    host: Int32Array,
    hostAt: number,
    peer: Int32Array,
    peerAt: number,
    port: number,
    timeMs: number,
  ): void {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const low = hashOf(peer, peerAt, port);
    const high = hashOf(peer, peerAt, hashOf(host, hostAt, ~port));
    const set = this.#namedRow(host, hostAt, low);
    let victim = set;
    let victimAge = -1;
    for (let way = 0; way < WAYS; way++) {
      const entry = set + way * NAMED_WORDS;
      const used = words[entry + 3] !== 0;
      if (used && words[entry] === low && words[entry + 1] === high) {
        victim = entry;
        break;
      }
      const age = used ? (tick - words[entry + 2]) | 0 : 0x7fff_ffff;
      if (age > victimAge) {
        victim = entry;
        victimAge = age;
      }
    }
    words[victim] = low;
    words[victim + 1] = high;
    words[victim + 2] = tick;
    words[victim + 3] = 1;
    this.#unlock();
  }

  /** Whether `peer:port` was named as a peer to `host` within {@link EVIDENCE_MS}. */
  isNamed(
    host: Int32Array,
    hostAt: number,
    peer: Int32Array,
    peerAt: number,
    port: number,
    timeMs: number,
  ): boolean {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const low = hashOf(peer, peerAt, port);
    const high = hashOf(peer, peerAt, hashOf(host, hostAt, ~port));
    const set = this.#namedRow(host, hostAt, low);
    let found = false;
    for (let way = 0; way < WAYS && !found; way++) {
      const entry = set + way * NAMED_WORDS;
      found = words[entry + 3] !== 0 && words[entry] === low && words[entry + 1] === high &&
        ((tick - words[entry + 2]) | 0) <= EVIDENCE_MS / TICK_MS;
    }
    this.#unlock();
    return found;
  }

  /** Remembers that `host` has an MSE-shaped flow to `remote:port`. */
  addOpening(
    host: Int32Array,
    hostAt: number,
    remote: Int32Array,
    remoteAt: number,
    port: number,
    timeMs: number,
  ): void {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const set = this.#openings(host, hostAt);
    let victim = set;
    let victimAge = -1;
    for (let way = 0; way < WAYS; way++) {
      const entry = set + way * OPENING_WORDS;
      const used = words[entry + 10] !== 0;
      if (
        used && sameAddress(words, entry, host, hostAt) &&
        sameAddress(words, entry + 4, remote, remoteAt) && words[entry + 8] === port
      ) {
        victim = entry;
        break;
      }
      const age = used ? (tick - words[entry + 9]) | 0 : 0x7fff_ffff;
      if (age > victimAge) {
        victim = entry;
        victimAge = age;
      }
    }
    for (let word = 0; word < 4; word++) {
      words[victim + word] = host[hostAt + word];
      words[victim + 4 + word] = remote[remoteAt + word];
    }
    words[victim + 8] = port;
    words[victim + 9] = tick;
    words[victim + 10] = 1;
    this.#unlock();
  }

  /**
   * Whether `host` opened MSE-shaped flows to at least three distinct remote endpoints within a
   * minute, not all in one /24 (or /64) and not all on one port. A proxy client talks to one or two
   * servers; nodes of one other peer-to-peer network answer on their network's port.
   */
  hasFanOut(host: Int32Array, hostAt: number, timeMs: number): boolean {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const set = this.#openings(host, hostAt);
    let count = 0;
    let first = -1;
    let otherNetwork = false;
    let otherPort = false;
    for (let way = 0; way < WAYS; way++) {
      const entry = set + way * OPENING_WORDS;
      if (words[entry + 10] === 0 || !sameAddress(words, entry, host, hostAt)) continue;
      if (((tick - words[entry + 9]) | 0) > FAN_OUT_MS / TICK_MS) continue;
      count++;
      if (first < 0) {
        first = entry;
        continue;
      }
      if (!sameNetwork(words, first + 4, entry + 4)) otherNetwork = true;
      if (words[first + 8] !== words[entry + 8]) otherPort = true;
    }
    this.#unlock();
    return count >= FAN_OUT && otherNetwork && otherPort;
  }

  /** Distinct remote addresses among the openings of `host` within a minute. */
  countOpenings(host: Int32Array, hostAt: number, timeMs: number): number {
    this.#lock();
    const words = this.#words;
    const tick = tickOf(timeMs);
    const set = this.#openings(host, hostAt);
    let count = 0;
    for (let way = 0; way < WAYS; way++) {
      const entry = set + way * OPENING_WORDS;
      if (words[entry + 10] === 0 || !sameAddress(words, entry, host, hostAt)) continue;
      if (((tick - words[entry + 9]) | 0) > FAN_OUT_MS / TICK_MS) continue;
      let isFirst = true;
      for (let before = set; before < entry && isFirst; before += OPENING_WORDS) {
        isFirst = words[before + 10] === 0 || !sameAddress(words, before, host, hostAt) ||
          !sameAddress(words, before + 4, words, entry + 4);
      }
      if (isFirst) count++;
    }
    this.#unlock();
    return count;
  }

  #namedRow(host: Int32Array, hostAt: number, peerHash: number): number {
    const set = hashOf(host, hostAt, 1) & (NAMED_SETS - 1);
    const row = (peerHash >>> 5) & (NAMED_ROWS - 1);
    return NAMED + (set * NAMED_ROWS + row) * WAYS * NAMED_WORDS;
  }

  #openings(host: Int32Array, hostAt: number): number {
    return OPENINGS + (hashOf(host, hostAt, 2) & (OPENING_SETS - 1)) * WAYS * OPENING_WORDS;
  }

  #lock(): void {
    let tries = 0;
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0) {
      if (++tries > SPIN_LIMIT) return; // its holder died between lock and unlock
    }
  }

  #unlock(): void {
    Atomics.store(this.#words, LOCK, 0);
  }
}

function tickOf(timeMs: number): number {
  return (timeMs / TICK_MS) | 0;
}

function hashOf(address: Int32Array, at: number, seed: number): number {
  let hash = seed | 0;
  for (let word = 0; word < 4; word++) {
    hash = Math.imul(hash ^ address[at + word], 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return Math.imul(hash, 0x85eb_ca77) ^ (hash >>> 13);
}

function sameAddress(words: Int32Array, entry: number, address: Int32Array, at: number): boolean {
  return words[entry + 3] === address[at + 3] && words[entry] === address[at] &&
    words[entry + 1] === address[at + 1] && words[entry + 2] === address[at + 2];
}

/** IPv4 addresses in one /24, IPv6 addresses in one /64. */
function sameNetwork(words: Int32Array, a: number, b: number): boolean {
  const mapped = words[a] === 0 && words[a + 1] === 0 && words[a + 2] === 0xffff;
  if (words[a] !== words[b] || words[a + 1] !== words[b + 1]) return false;
  if (!mapped) return true;
  return words[a + 2] === words[b + 2] && (words[a + 3] & ~0xff) === (words[b + 3] & ~0xff);
}
