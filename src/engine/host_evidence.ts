import { MAPPED } from "../packet/packet.ts";
import { DecayingTable } from "./decaying_table.ts";
import { TICK_MS, tickOf } from "./flow_table.ts";
import { CONVICTED, PaddingSpread, Spread } from "./padding_spread.ts";
import { MOST_REMOTES, RemoteCounts } from "./remote_counts.ts";
import { hasTold, sentBeforeTold } from "./told.ts";

/** A torrent client announces, pings and connects far more often than this. */
export const EVIDENCE_MS = 600_000;
const FAN_OUT_MS = 60_000;
/**
 * Distinct remote endpoints of MSE-shaped flows within {@link FAN_OUT_MS} that make evidence. Flows
 * count from their first message: a client calls its peers at once, and the first that answers may
 * have sent a piece before the third does.
 */
const FAN_OUT = 3;
/** So many with a handshake's length make a swarm: no list of servers has it by chance. */
const SWARM = 3;

/** One may have been a coincidence, one in some millions. */
const CONVICTED_CALLERS = 2;

/** Whom a host speaks with: an address, four words of an array from `at`, and a port. */
export interface Endpoint {
  readonly address: Int32Array;
  readonly at: number;
  readonly port: number;
}

/**
 * Why a flow counts among its host's: its first message may be MSE's, or the lengths of its segments
 * may be those of blocks or requests. Either is weak, and they are not added up: a proxy's client
 * has the one, chance the other.
 */
export const BY_OPENING = 0;
export const BY_LENGTHS = 1;
/** It was opened by another to one port of the host: kept in rows of that port. */
export const BY_CALL = 2;
/** An end has told in it what may be its extensions: kept in rows of their own. */
export const BY_TOLD = 3;
export type FlowKind = typeof BY_OPENING | typeof BY_LENGTHS | typeof BY_CALL | typeof BY_TOLD;

const PROVEN_ROWS = 1024;
const PROVEN_KEY = 4; // address
/** Rows of named endpoints belong to a host, eight rows of eight each: that bounds what it is told. */
const NAMED_HOSTS = 256;
const NAMED_ROWS_OF_HOST = 8;
const NAMED_KEY = 2; // two independent hashes of host, endpoint
const OPENING_ROWS = 1024;
const OPENING_KEY = 9; // host 4, remote 4, the remote's port (of a call the host's) and above it the kind
const REMOTE = 4;
const PORT_AND_KIND = 8;

const LOCK = 0;
const SEED = 1;
const PROVEN = 16;
const NAMED = PROVEN + DecayingTable.length(PROVEN_ROWS, PROVEN_KEY);
const OPENINGS = NAMED + DecayingTable.length(NAMED_HOSTS * NAMED_ROWS_OF_HOST, NAMED_KEY);
const REMOTE_ROWS = 128;
const REMOTES = OPENINGS + DecayingTable.length(OPENING_ROWS, OPENING_KEY);
const TOTAL = REMOTES + RemoteCounts.length(REMOTE_ROWS);
/** A torrent client calls dozens of peers at once, a file synchroniser its few devices. */
const REMOTES_MS = 60_000;

/** Tries before a lock is taken over: its holder was a worker that died. */
const SPIN_LIMIT = 1_000_000;

/**
 * What is known of hosts that are real (`sender.ts`), shared by all queue workers: a flow's packets always reach one worker, a
 * host's flows do not. Encrypted connections are decided with it.
 *
 * - proven: addresses that have sent proven BitTorrent;
 * - named: endpoints that an answer named as peers to the host that had asked, at most 64 a host, so
 *   that a hostile answer uses up its own host's room;
 * - openings: remote endpoints with which a host has a flow that is MSE's by shape so far, or by
 *   its lengths; of each of its ports, remote hosts that have called it so; and how long a message was
 *   that may have told of extensions;
 * - remotes: with how many addresses a host has flows that others have too, with a few.
 *
 * Everything decays. It is asked only for flows that already look encrypted, so one lock serves all.
 * An address is four words of an array, from `at`, as in `Packet.address`.
 */
export class HostEvidence {
  /** Size of the buffer to give to the constructor. */
  static readonly BYTE_LENGTH = TOTAL * 4;

  readonly #words: Int32Array;
  readonly #seed: number;
  readonly #proven: DecayingTable;
  readonly #named: DecayingTable;
  readonly #openings: DecayingTable;
  readonly #remotes: RemoteCounts;
  readonly #key = new Int32Array(OPENING_KEY);
  /** Of the flows that were surveyed last. */
  readonly #paddings = new PaddingSpread();
  /** Of those that {@link countTold} has counted last: what initiators had sent before, padding most of it. */
  readonly #beforeTold = new Spread();

  /**
   * A buffer for several workers, with a seed in it that nobody outside knows: who chooses addresses, and a
   * /64 has plenty, cannot have them take the place of another's in its row.
   */
  static sharedBuffer(): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(HostEvidence.BYTE_LENGTH);
    new Int32Array(buffer)[SEED] = crypto.getRandomValues(new Int32Array(1))[0];
    return buffer;
  }

  /**
   * @param buffer of {@link sharedBuffer}, or an engine's own of {@link BYTE_LENGTH} bytes: there the same
   *   packets always give the same
   */
  constructor(buffer: ArrayBufferLike = new ArrayBuffer(HostEvidence.BYTE_LENGTH)) {
    const words = new Int32Array(buffer);
    this.#words = words;
    this.#seed = words[SEED];
    this.#proven = new DecayingTable(words, PROVEN, PROVEN_ROWS, PROVEN_KEY);
    this.#named = new DecayingTable(words, NAMED, NAMED_HOSTS * NAMED_ROWS_OF_HOST, NAMED_KEY);
    this.#openings = new DecayingTable(words, OPENINGS, OPENING_ROWS, OPENING_KEY);
    this.#remotes = new RemoteCounts(words, REMOTES, REMOTE_ROWS);
  }

  /** Forgets everything. */
  clear(): void {
    this.#words.fill(0);
    this.#words[SEED] = this.#seed;
  }

  /** Remembers that the address has sent proven BitTorrent. */
  prove(address: Int32Array, at: number, timeMs: number): void {
    this.#lock();
    this.#setAddress(0, address, at);
    this.#proven.touch(this.#hashOf(address, at, 0), this.#key, timeMs);
    this.#unlock();
  }

  /** Whether the address has sent proven BitTorrent within {@link EVIDENCE_MS}. */
  isProven(address: Int32Array, at: number, timeMs: number): boolean {
    this.#lock();
    this.#setAddress(0, address, at);
    const found = this.#proven.has(this.#hashOf(address, at, 0), this.#key, timeMs, EVIDENCE_MS);
    this.#unlock();
    return found;
  }

  /** Remembers that an answer named the endpoint as a peer to `host`, which had asked. */
  name(host: Int32Array, hostAt: number, peer: Endpoint, timeMs: number): void {
    this.#lock();
    const row = this.#setNamed(host, hostAt, peer);
    this.#named.touch(row, this.#key, timeMs);
    this.#unlock();
  }

  /** Whether the endpoint was named as a peer to `host` within {@link EVIDENCE_MS}. */
  isNamed(host: Int32Array, hostAt: number, peer: Endpoint, timeMs: number): boolean {
    this.#lock();
    const row = this.#setNamed(host, hostAt, peer);
    const found = this.#named.has(row, this.#key, timeMs, EVIDENCE_MS);
    this.#unlock();
    return found;
  }

  /**
   * Remembers that `host` has a flow with `remote` that may be MSE's.
   *
   * @param remote with the port that was called: its own, of {@link BY_CALL} the host's
   * @param length of its first message, and in one that has shown a handshake's length, or began
   *   {@link IN_PIECES}, those of two further messages that MSE pads, {@link LENGTH_BITS} each; of
   *   {@link BY_TOLD} of what was told
   */
  addFlow(
    host: Int32Array,
    hostAt: number,
    remote: Endpoint,
    timeMs: number,
    kind: FlowKind,
    length = 1,
  ): void {
    this.#lock();
    const row = this.#setFlow(host, hostAt, remote, kind);
    this.#openings.touch(row, this.#key, timeMs, length);
    this.#unlock();
  }

  /** Remembers of a call of the host's port, where it counts, that it was found to be BitTorrent. */
  convictCall(host: Int32Array, hostAt: number, caller: Endpoint, timeMs: number): void {
    this.#lock();
    const row = this.#setFlow(host, hostAt, caller, BY_CALL);
    this.#openings.raise(row, this.#key, timeMs, CONVICTED);
    this.#unlock();
  }

  /** Takes back a flow that has turned out to be another protocol's. */
  removeFlow(host: Int32Array, hostAt: number, remote: Endpoint, kind: FlowKind): void {
    this.#lock();
    const row = this.#setFlow(host, hostAt, remote, kind);
    this.#openings.forget(row, this.#key);
    this.#unlock();
  }

  /**
   * With how many endpoints but `remote` the host had flows within a minute that told as many bytes, or in
   * which it told as many back, see {@link hasTold}. What {@link hasFanOutOfKin} says afterwards is of them.
   *
   * @param sought what `toldOf` says of the flow at hand
   */
  countTold(
    host: Int32Array,
    hostAt: number,
    remote: Endpoint,
    timeMs: number,
    sought: number,
  ): number {
    const openings = this.#openings;
    const words = this.#words;
    let count = 0;
    this.#beforeTold.clear();
    this.#lock();
    const row = this.#setFlow(host, hostAt, remote, BY_TOLD);
    let entry = openings.nextOf(row, host, hostAt, -1, timeMs, FAN_OUT_MS);
    for (; entry >= 0; entry = openings.nextOf(row, host, hostAt, entry, timeMs, FAN_OUT_MS)) {
      if (words[entry + PORT_AND_KIND] >> 16 !== BY_TOLD) continue;
      const flow = openings.valueOf(entry);
      if (!hasTold(flow, sought)) continue;
      this.#beforeTold.add(sentBeforeTold(flow));
      let isOwn = true;
      for (let word = REMOTE; word < OPENING_KEY; word++) {
        isOwn &&= words[entry + word] === this.#key[word];
      }
      if (!isOwn) count++;
    }
    this.#unlock();
    return count;
  }

  /**
   * Whether `host` had such flows, of one kind, with at least three distinct remote endpoints within a
   * minute, not all in one /24 (or /64), not all on one port, and with first messages as differently
   * long as MSE's padding makes them, or a handshake's length in two behind others that are: of four
   * peers' first messages one in sixteen is spread less, by chance. A proxy client talks to its servers
   * alike; nodes of one other peer-to-peer network answer on their network's port.
   */
  hasFanOut(host: Int32Array, hostAt: number, timeMs: number, kind: FlowKind): boolean {
    return this.#survey(host, hostAt, timeMs, kind) &&
      (kind === BY_LENGTHS || this.#paddings.isWide());
  }

  /** The same beside those that {@link countTold} has counted, whose paddings may be spread together. */
  hasFanOutOfKin(host: Int32Array, hostAt: number, timeMs: number): boolean {
    const paddings = this.#paddings;
    return this.#survey(host, hostAt, timeMs, BY_OPENING) &&
      (paddings.isWide() || paddings.isWideBeside(this.#beforeTold));
  }

  /** Whether `host` had flows that may be MSE's with several endpoints, as above, of whatever lengths. */
  hasSeveral(host: Int32Array, hostAt: number, timeMs: number): boolean {
    return this.#survey(host, hostAt, timeMs, BY_OPENING);
  }

  /** Whether three of several flows began in pieces, of further lengths as paddings are. */
  hasSeveralInPieces(host: Int32Array, hostAt: number, timeMs: number): boolean {
    const paddings = this.#paddings;
    return this.#survey(host, hostAt, timeMs, BY_OPENING) && paddings.inPieces >= FAN_OUT &&
      paddings.isWideInPieces();
  }

  /** Whether `host` has several flows, and two of them a handshake's length behind further paddings. */
  hasPair(host: Int32Array, hostAt: number, timeMs: number): boolean {
    return this.#survey(host, hostAt, timeMs, BY_OPENING) && this.#paddings.isPairWide();
  }

  /**
   * Whether three of them at least have shown a handshake's length, in the third message or as the fifth
   * turn, behind further messages that are differently long too: padding, and then one length.
   */
  hasSwarm(host: Int32Array, hostAt: number, timeMs: number): boolean {
    return this.#survey(host, hostAt, timeMs, BY_OPENING) && this.#isSwarm();
  }

  /**
   * Whether one port of `host` was called so, by hosts of different networks, and by hardly anybody
   * without a handshake's length: where a torrent client listens.
   */
  isCalled(host: Int32Array, hostAt: number, port: number, timeMs: number): boolean {
    if (!this.#survey(host, hostAt, timeMs, BY_CALL, port)) return false;
    const isMost = this.#paddings.handshakes * 2 > this.#paddings.flows;
    return isMost && this.#isSwarm();
  }

  /**
   * Whether two others that called that port within a minute, of different networks, were found to do
   * BitTorrent by the lengths of their own connections: a torrent client listens there.
   */
  isTorrentPort(host: Int32Array, hostAt: number, port: number, timeMs: number): boolean {
    return this.#survey(host, hostAt, timeMs, BY_CALL, port) &&
      this.#paddings.convicted >= CONVICTED_CALLERS;
  }

  #isSwarm(): boolean {
    return this.#paddings.handshakes >= SWARM && this.#paddings.isAllWide();
  }

  /**
   * Looks through a host's flows of one kind, and measures how their messages' lengths are spread.
   *
   * @param port of the host that was called, -1 of flows that it has opened
   * @returns whether they are several: not too few, all in one network, or, of those the host has opened,
   *   all to one port
   */
  #survey(
    host: Int32Array,
    hostAt: number,
    timeMs: number,
    kind: FlowKind,
    port = -1,
  ): boolean {
    const words = this.#words;
    const openings = this.#openings;
    const paddings = this.#paddings;
    paddings.clear();
    let isOneNetwork = true;
    let isOnePort = port < 0;
    let one = -1;
    this.#lock();
    const row = this.#rowOf(host, hostAt, port, kind);
    let entry = openings.nextOf(row, host, hostAt, -1, timeMs, FAN_OUT_MS);
    for (; entry >= 0; entry = openings.nextOf(row, host, hostAt, entry, timeMs, FAN_OUT_MS)) {
      const portAndKind = words[entry + PORT_AND_KIND];
      if (portAndKind >> 16 !== kind) continue;
      if (port >= 0 && (portAndKind & 0xffff) !== port) continue;
      if (one < 0) one = entry;
      isOneNetwork &&= sameNetwork(words, one + REMOTE, entry + REMOTE);
      isOnePort &&= words[one + PORT_AND_KIND] === portAndKind;
      paddings.add(openings.valueOf(entry));
    }
    this.#unlock();
    return paddings.flows >= FAN_OUT && !isOneNetwork && !isOnePort;
  }

  /**
   * Remembers that `host` has a flow with the address of `remote` that proves little alone. Whether it
   * had such flows with eight addresses within a minute.
   */
  countRemote(
    host: Int32Array,
    hostAt: number,
    remote: Int32Array,
    remoteAt: number,
    timeMs: number,
  ): boolean {
    const row = this.#hashOf(host, hostAt, 3);
    const hash = this.#hashOf(remote, remoteAt, 4);
    this.#lock();
    const span = REMOTES_MS / TICK_MS;
    const count = this.#remotes.add(row, host, hostAt, hash, tickOf(timeMs), span);
    this.#unlock();
    return count >= MOST_REMOTES;
  }

  /** Sets the key and returns the row. */
  #setFlow(host: Int32Array, hostAt: number, remote: Endpoint, kind: FlowKind): number {
    this.#setAddress(0, host, hostAt);
    this.#setAddress(REMOTE, remote.address, remote.at);
    this.#key[PORT_AND_KIND] = remote.port | (kind << 16);
    return this.#rowOf(host, hostAt, remote.port, kind);
  }

  #setAddress(word: number, address: Int32Array, at: number): void {
    for (let i = 0; i < 4; i++) this.#key[word + i] = address[at + i];
  }

  /** Sets the key and returns the row, one of the host's eight. */
  #setNamed(host: Int32Array, hostAt: number, { address, at, port }: Endpoint): number {
    const hash = this.#hashOf(address, at, port);
    this.#key[0] = hash;
    this.#key[1] = this.#hashOf(address, at, this.#hashOf(host, hostAt, ~port));
    return this.#hashOf(host, hostAt, 1) * NAMED_ROWS_OF_HOST +
      ((hash >>> 5) & (NAMED_ROWS_OF_HOST - 1));
  }

  /** The row of a host's flows of that kind; of calls that of one port. */
  #rowOf(host: Int32Array, hostAt: number, port: number, kind: FlowKind): number {
    const use = kind === BY_CALL ? ~port : kind === BY_TOLD ? TOLD_USE : OPENING_USE;
    return this.#hashOf(host, hostAt, use);
  }

  /** @param use tells hashes of one address from each other */
  #hashOf(address: Int32Array, at: number, use: number): number {
    let hash = mixed(this.#seed ^ use);
    for (let word = 0; word < 4; word++) hash = mixed(hash ^ address[at + word]);
    return hash;
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

const OPENING_USE = 2;
const TOLD_USE = 5;

/** A permutation in which each bit changes half of the others: the end of MurmurHash3. */
function mixed(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

/** IPv4 addresses in one /24, IPv6 addresses in one /64. */
function sameNetwork(words: Int32Array, a: number, b: number): boolean {
  if (words[a] !== words[b] || words[a + 1] !== words[b + 1]) return false;
  const isIpv4 = words[a] === 0 && words[a + 1] === 0 && words[a + 2] === MAPPED;
  if (!isIpv4) return true;
  return words[a + 2] === words[b + 2] && (words[a + 3] & ~0xff) === (words[b + 3] & ~0xff);
}
