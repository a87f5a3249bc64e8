import type { Packet } from "../packet/packet.ts";
import {
  BITTORRENT_FLOW,
  CLEAN_FLOW,
  EMBRYONIC,
  FLAGS,
  FlowRecord,
  INITIATOR_HIGH,
  KEY_WORDS,
  LAST_TICK,
  PARDONED,
  PAYLOAD_COUNTED,
  PORTS,
  PROTOCOL,
  STATE,
  STRIDE,
} from "./flow_record.ts";

/** Bit of the word {@link PROTOCOL}: the addresses have more words than IPv4's one. */
const NOT_IPV4 = 0x80;

/** A set of the index: eight tags, then the slots they stand for; 64 bytes. */
const WAYS = 8;
const SET_WORDS = WAYS * 2;
export const TICK_MS = 100;
/** To multiply takes a fraction of the time to divide, and every packet asks. */
const TICKS_PER_MS = 1 / TICK_MS;
/** A UDP flow silent for longer is another: conntrack has forgotten it too. */
export const UDP_IDLE_TICKS = 180_000 / TICK_MS;
/**
 * A flow silent for longer is worth no more than a clean one, whatever it was: peers say something every
 * two minutes. What is BitTorrent and banned, or dropped by its mark, never comes again, and would fill
 * the table for good.
 */
const DEVALUED_TICKS = 180_000 / TICK_MS;

/** Time as wrapping ticks: differences are right for 6 years either way. */
export function tickOf(timeMs: number): number {
  return (timeMs * TICKS_PER_MS) | 0;
}

/**
 * A bounded table of flows in typed arrays: sets of eight, the least valuable and least recently
 * used of a set makes room, where silence takes its value from any. Nothing grows, nothing is rehashed,
 * an insertion looks at eight slots whatever a flood does. Both directions of a 5-tuple are one flow.
 *
 * Slots are given out in order, so memory is touched for as many flows as there are at once, not
 * for as many as there may be: a page touched for the first time costs more than a flow's judgement.
 */
export class FlowTable {
  readonly slots: number;
  /** The one view of flows' state; on the flow that was found or inserted last. */
  readonly flow: FlowRecord;
  /** Set by {@link find}: 0 when the packet comes from the initiator, else 1. */
  direction = 0;

  /** Sets of {@link SET_WORDS}. A way with tag 0 is free; one that is used never gets free. */
  readonly #index: Int32Array;
  readonly #setMask: number;
  readonly #seed: number;
  /** Slots given out. */
  #used = 0;
  /** Of the packet last looked up: what of the key is not its addresses, and the hash of all. */
  #ports = 0;
  #protocol = 0;
  #tag = 0;
  #sourceIsHigh = false;

  /**
   * @param slots a power of two, at least 8
   * @param seed of the hash; random in a gateway, so that nobody can aim at one set
   * @param words for the flows' state, see {@link FlowRecord}
   */
  constructor(slots: number, seed = 0, words?: ArrayBufferLike) {
    if (slots < WAYS || (slots & (slots - 1)) !== 0) {
      throw new RangeError(`Cannot make a flow table of ${slots}: expected a power of two from 8`);
    }
    this.slots = slots;
    this.flow = new FlowRecord(slots, words);
    this.#index = new Int32Array(slots * 2);
    this.#setMask = slots / WAYS - 1;
    this.#seed = seed | 0;
  }

  /** Slot of the packet's flow, or -1; sets {@link direction}. */
  find(packet: Packet): number {
    this.#setKey(packet);
    const index = this.#index;
    const tag = this.#tag;
    const first = this.#firstWay();
    for (let way = first; way < first + WAYS; way++) {
      const found = index[way];
      if (found === 0) return -1; // ways are taken in order
      if (found !== tag) continue;
      const slot = index[way + WAYS];
      if (this.#isKey(slot, packet)) {
        const initiatorIsHigh = this.flow.select(slot).has(INITIATOR_HIGH);
        this.direction = this.#sourceIsHigh === initiatorIsHigh ? 0 : 1;
        return slot;
      }
    }
    return -1;
  }

  /**
   * Makes a flow for the packet last looked up with {@link find}, its source being the initiator.
   * All words but the key are 0, the state is `state`. A flow that has to make room is given to
   * `release` first, which frees what it held elsewhere.
   */
  insert(
    packet: Packet,
    tick: number,
    state: number,
    release: (slot: number) => void,
  ): number {
    const words = this.flow.words;
    const free = this.#takeFree();
    const slot = free >= 0 ? free : this.#takeOver(tick, release);
    const at = slot * STRIDE;
    const { address } = packet;
    const low = this.#sourceIsHigh ? 4 : 0;
    for (let word = 0; word < 8; word++) words[at + word] = address[low ^ word];
    words[at + PORTS] = this.#ports;
    words[at + PROTOCOL] = this.#protocol;
    words[at + FLAGS] = 0;
    this.restart(slot, tick, state);
    return slot;
  }

  /** Whether the UDP flow at hand has been silent for so long that a datagram now begins another. */
  isSilent(tick: number): boolean {
    return ((tick - this.flow.lastTick) | 0) > UDP_IDLE_TICKS;
  }

  /** Forgets everything of a flow but its key; the packet last looked up becomes the initiator's. */
  restart(slot: number, tick: number, state: number): void {
    const flow = this.flow.select(slot);
    const { words, at } = flow;
    const counted = words[at + FLAGS] & PAYLOAD_COUNTED;
    for (let word = KEY_WORDS; word < STRIDE; word++) words[at + word] = 0;
    if (flow.isTcp) flow.clearStream();
    words[at + LAST_TICK] = tick;
    words[at + STATE] = state;
    words[at + FLAGS] = counted | (this.#sourceIsHigh ? INITIATOR_HIGH : 0);
    this.direction = 0;
  }

  /** Nobody is banned any more for the TCP flows that there are with such an end. Looks at every slot. */
  pardon(isMeant: (words: Int32Array, at: number) => boolean): void {
    const { flow } = this;
    for (let slot = 0; slot < this.#used; slot++) {
      if (!flow.select(slot).isTcp) continue;
      if (isMeant(flow.words, flow.at) || isMeant(flow.words, flow.at + 4)) flow.raise(PARDONED);
    }
  }

  /**
   * Flows known as BitTorrent with such an end are judged anew; others stay. Looks at every slot.
   *
   * @param pardons as by {@link pardon}
   */
  forgetBitTorrent(isMeant: (words: Int32Array, at: number) => boolean, pardons: boolean): void {
    const { flow } = this;
    const { words } = flow;
    for (let slot = 0; slot < this.#used; slot++) {
      const { at, state, isTcp, lastTick } = flow.select(slot);
      if (state !== BITTORRENT_FLOW) continue;
      if (!isMeant(words, at) && !isMeant(words, at + 4)) continue;
      let flags = words[at + FLAGS] & (PAYLOAD_COUNTED | INITIATOR_HIGH);
      if (isTcp) {
        flags |= pardons ? PARDONED : words[at + FLAGS] & PARDONED;
        flow.clearStream();
      }
      words.fill(0, at + KEY_WORDS, at + STRIDE);
      flow.lastTick = lastTick;
      flow.state = EMBRYONIC;
      words[at + FLAGS] = flags;
    }
  }

  /** Empties the table. */
  clear(): void {
    this.#index.fill(0);
    this.#used = 0;
  }

  /** Position of the first tag of the packet's set. */
  #firstWay(): number {
    return ((this.#tag >>> 4) & this.#setMask) * SET_WORDS;
  }

  /** Slot for the packet's flow where the set has a free way, else -1. */
  #takeFree(): number {
    const index = this.#index;
    const first = this.#firstWay();
    for (let way = first; way < first + WAYS; way++) {
      if (index[way] !== 0) continue;
      index[way] = this.#tag;
      index[way + WAYS] = this.#used;
      return this.#used++;
    }
    return -1;
  }

  /** Slot of the set's least valuable flow, of those the one seen longest ago, taken from it. */
  #takeOver(tick: number, release: (slot: number) => void): number {
    const index = this.#index;
    const { words } = this.flow;
    const first = this.#firstWay();
    let victim = first;
    let victimState = BITTORRENT_FLOW + 1;
    let victimAge = -1;
    for (let way = first; way < first + WAYS; way++) {
      const at = index[way + WAYS] * STRIDE;
      const age = (tick - words[at + LAST_TICK]) | 0;
      let state = words[at + STATE];
      if (age > DEVALUED_TICKS && state > CLEAN_FLOW) state = CLEAN_FLOW;
      if (state < victimState || (state === victimState && age > victimAge)) {
        victim = way;
        victimState = state;
        victimAge = age;
      }
    }
    const slot = index[victim + WAYS];
    release(slot);
    index[victim] = this.#tag;
    return slot;
  }

  /** The lower endpoint first, so that both directions give one key. */
  #setKey(packet: Packet): void {
    const { address, sourcePort, destinationPort } = packet;
    const isHigh = isSourceHigh(address, sourcePort, destinationPort);
    this.#sourceIsHigh = isHigh;
    const ports = isHigh
      ? (destinationPort << 16) | sourcePort
      : (sourcePort << 16) | destinationPort;
    this.#ports = ports;
    let protocol = packet.protocol;
    if (packet.family !== 4) protocol |= NOT_IPV4;
    if (packet.tunnelled) protocol |= this.#tunnelOf(packet) << 8;
    this.#protocol = protocol;
    const low = isHigh ? 4 : 0;
    let hash = this.#seed;
    // Of an IPv4 address the other words are always the same.
    for (let word = packet.family === 4 ? 3 : 0; word < 4; word++) {
      hash = Math.imul(hash ^ address[low + word], 0x9e37_79b1);
      hash = Math.imul((hash ^ (hash >>> 15)) + address[(low ^ 4) + word], 0x85eb_ca77);
    }
    hash ^= protocol;
    hash = Math.imul(hash ^ (hash >>> 13) ^ ports, 0xc2b2_ae3d);
    hash ^= hash >>> 16;
    this.#tag = Math.imul(hash, 0x27d4_eb2f) | 1; // never 0, the tag of an empty slot
  }

  /**
   * A number for the tunnel, the same both ways, never 0. It is seeded, so nobody can choose a tunnel
   * that is taken for another's.
   */
  #tunnelOf(packet: Packet): number {
    const ends = packet.carrierAddress;
    let one = this.#seed;
    let other = this.#seed;
    for (let word = 0; word < 4; word++) {
      one = mix(one ^ ends[word]);
      other = mix(other ^ ends[word + 4]);
    }
    return (mix(one + other + packet.network) >>> 8) | 1;
  }

  /** Whether the slot is of the packet last looked up. */
  #isKey(slot: number, { address, family }: Packet): boolean {
    const { words } = this.flow;
    const at = slot * STRIDE;
    const low = this.#sourceIsHigh ? 4 : 0;
    const high = low ^ 4;
    if (
      words[at + PORTS] !== this.#ports || words[at + PROTOCOL] !== this.#protocol ||
      words[at + 3] !== address[low + 3] || words[at + 7] !== address[high + 3]
    ) return false;
    return family === 4 ||
      words[at] === address[low] && words[at + 4] === address[high] &&
        words[at + 1] === address[low + 1] && words[at + 5] === address[high + 1] &&
        words[at + 2] === address[low + 2] && words[at + 6] === address[high + 2];
  }
}

/** Any order of endpoints would do: the last words first, as they are most often different. */
function isSourceHigh(address: Int32Array, sourcePort: number, destinationPort: number): boolean {
  for (let word = 3; word >= 0; word--) {
    if (address[word] !== address[word + 4]) return address[word] > address[word + 4];
  }
  return sourcePort > destinationPort;
}

function mix(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
}
