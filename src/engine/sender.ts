/**
 * What is known of a packet's sender. To drop a packet, no identity is needed; evidence and bans need
 * one: whoever writes packets can write any source address into them. One place decides it, for all
 * protocols and for both sides of a flow.
 *
 * An end is **real** where one of these holds in this very flow:
 *
 * - *answered*: it has got what the other end sent. TCP: it acknowledged a number that the other end
 *   chose; UDP: the other end has spoken, and where this one is outside, has spoken first; and what was
 *   found takes more than this end's own words. Both directions must have come in by different links, each by one that leads back to its sender: both
 *   ends behind one link, or both from outside, is what a single sender can write alone.
 * - *routed back*: its packet came in by the interface that packets to it go out of, which is no
 *   uplink, and is to leave by another. There the network behind the interface is asked, and nobody
 *   else is in it. What came in by the uplink says nothing: the whole internet is behind it.
 *
 * Never real: a proxy that is negotiated with in the flow (who speaks behind it is anybody that its user
 * has had it call, and its other users are behind its address too), a load balancer that says whose words
 * follow, what is found inside a tunnel (whoever writes the outer packet writes both directions of
 * the inner flow), this machine's own addresses (whoever uses it as a proxy acts with them), and
 * addresses of no one host. A capture tells of no interfaces: there, only *answered* can be seen.
 */
import { MAPPED, type Packet, PROTOCOL_TCP, UNKNOWN_INTERFACE } from "../packet/packet.ts";
import { ANOTHERS } from "../protocols/socks/target.ts";
import { ACKNOWLEDGED, DOUBTED, type FlowRecord, PLACED } from "./flow_record.ts";
import { acknowledges } from "./stream_space.ts";

/** Ends of a packet, as a set of bits. */
export const SOURCE_END = 1;
export const DESTINATION_END = 2;
export const BOTH_ENDS = SOURCE_END | DESTINATION_END;

/** Where addresses are, as this machine routes; asked for suspects only, never for each packet. */
export interface Paths {
  /** Whether the interface that a packet of the address came in by has networks of ours behind it. */
  isInside(address: Int32Array, at: number, interfaceNumber: number): boolean;
  /** Whether the address is one of this machine's own. */
  isOwn(address: Int32Array, at: number): boolean;
  /**
   * Whether a packet of the address is where it belongs: what is sent to the address goes out of this
   * interface, or the interface is an uplink and so is the other one.
   */
  leadsBack(address: Int32Array, at: number, interfaceNumber: number): boolean;
}

/** Words of a flow: by direction the interface its first packet came in by, and the link. */
const WORDS = 4;
const INTERFACE = 0;
const LINK = 2;

export class Senders {
  readonly #flow: FlowRecord;
  readonly #paths: Paths | null;
  readonly #words: Int32Array;

  /**
   * @param flow the view on the flow at hand  @param slots its table's
   * @param paths null: interfaces are not known, as in a capture
   */
  constructor(flow: FlowRecord, slots: number, paths: Paths | null) {
    this.#flow = flow;
    this.#paths = paths;
    this.#words = new Int32Array(slots * WORDS);
  }

  /** Notes by which interface the packets of a direction come in; the first one says it. */
  note(direction: number, packet: Packet): void {
    const flow = this.#flow;
    if (packet.inputInterface === UNKNOWN_INTERFACE || flow.has(PLACED << direction)) return;
    this.place(direction, packet.inputInterface, packet.inputLink);
  }

  /** Says by which interface the packets of a direction come in; nothing where that is not known. */
  place(direction: number, inputInterface: number, inputLink = inputInterface): void {
    if (inputInterface === UNKNOWN_INTERFACE) return;
    const flow = this.#flow;
    flow.raise(PLACED << direction);
    const at = flow.slot * WORDS + direction;
    this.#words[at + INTERFACE] = inputInterface;
    this.#words[at + LINK] = inputLink;
  }

  /** Whether the packet came in by the interface that the direction's first packet came in by, if known. */
  isInPlace(direction: number, { inputInterface }: Packet): boolean {
    const flow = this.#flow;
    return !flow.has(PLACED << direction) ||
      this.#words[flow.slot * WORDS + INTERFACE + direction] === inputInterface;
  }

  /** Whether it is known by which interface the packet came, and where addresses are. */
  knowsPaths({ inputInterface }: Packet): boolean {
    return this.#paths !== null && inputInterface !== UNKNOWN_INTERFACE;
  }

  /**
   * Which ends of the packet are real, {@link SOURCE_END}, {@link DESTINATION_END}: only against those
   * may anything be held that was found in it, and only of those may be asked what they did besides.
   *
   * @param direction the packet's, 0 from the flow's initiator
   * @param isBlind whether its sender may have said what was found without hearing anything
   */
  realEnds(direction: number, packet: Packet, isBlind = false): number {
    let ends = 0;
    if (this.isReal(direction, packet, 0, isBlind)) ends |= SOURCE_END;
    if (this.isReal(direction, packet, 4)) ends |= DESTINATION_END;
    return ends;
  }

  /**
   * The same of one end. The kernel is asked where it was not asked of the address lately: for suspects,
   * not for each packet.
   *
   * @param end place of the address in `packet.address`
   * @param isBlind as in {@link realEnds}
   */
  isReal(direction: number, packet: Packet, end: number, isBlind = false): boolean {
    const { address } = packet;
    if (packet.tunnelled || !isHost(address, end)) return false;
    const own = end === 0 ? direction : 1 - direction;
    if (this.#isProxied && (own === 1 || this.#flow.targetPort === ANOTHERS)) return false;
    const isAnswered = !isBlind && this.#isAnswered(own, packet, end);
    const paths = this.#paths;
    if (paths === null || !this.knowsPaths(packet)) return isAnswered;
    const from = this.#interfaceOf(own, packet, end);
    if (from < 0 || this.#isOneLink(own, packet, end)) return false;
    const isInside = paths.isInside(address, end, from);
    if (!isInside && (!isAnswered || this.#maySpeakBlindly(own, packet))) return false;
    if (paths.isOwn(address, end) || !paths.leadsBack(address, end, from)) return false;
    return isInside || this.#isOtherInPlace(own, packet, end, paths);
  }

  /** Whether the initiator speaks with a target that it named to a proxy, or for another. */
  get #isProxied(): boolean {
    return this.#flow.targetPort !== 0;
  }

  /** Whether this end has shown that it gets what is sent to it. */
  #isAnswered(own: number, packet: Packet, end: number): boolean {
    const flow = this.#flow;
    if (packet.protocol === PROTOCOL_TCP) {
      // An earlier packet may be another's: the one that counts has to know the number itself.
      return end === 0 ? acknowledges(flow, own, packet) : flow.has(ACKNOWLEDGED << own);
    }
    return flow.packets(own) > 0 && flow.packets(1 - own) > 0;
  }

  /**
   * Whether this end, outside, may have said all of it without hearing anything: a datagram's answer goes
   * to whoever's address it is, and services answer anybody. Who was called has to know who calls, and
   * from which port; where somebody has spoken uncalled, he knew it before.
   */
  #maySpeakBlindly(own: number, packet: Packet): boolean {
    return packet.protocol !== PROTOCOL_TCP && (own === 0 || this.#flow.has(DOUBTED));
  }

  /** Number of the interface that this end's packets come in by; -1: none was seen. */
  #interfaceOf(own: number, packet: Packet, end: number): number {
    if (end === 0) return packet.inputInterface;
    const flow = this.#flow;
    return flow.has(PLACED << own) ? this.#words[flow.slot * WORDS + INTERFACE + own] : -1;
  }

  /** Whether packets of both ends come in by one link, as far as they were seen. */
  #isOneLink(own: number, packet: Packet, end: number): boolean {
    const flow = this.#flow;
    const words = this.#words;
    const links = flow.slot * WORDS + LINK;
    const link = end === 0 ? packet.inputLink : words[links + own];
    // Where this packet goes is where the other end is, or where it came from.
    if (link === (end === 0 ? packet.outputLink : packet.inputLink)) return true;
    return flow.has(PLACED << (1 - own)) && link === words[links + 1 - own];
  }

  /** Whether the other end's packets were seen to come from where it is, this machine or inside. */
  #isOtherInPlace(own: number, packet: Packet, end: number, paths: Paths): boolean {
    const other = 4 - end;
    const from = this.#interfaceOf(1 - own, packet, other);
    if (from < 0) return false;
    if (from === 0) return paths.isOwn(packet.address, other);
    return paths.isInside(packet.address, other, from) &&
      paths.leadsBack(packet.address, other, from);
  }
}

/** Unspecified, loopback and multicast addresses are nobody's (RFC 6890). */
function isHost(address: Int32Array, at: number): boolean {
  if (address[at] === 0 && address[at + 1] === 0) {
    if (address[at + 2] === MAPPED) {
      const first = address[at + 3] >>> 24;
      return first !== 0 && first !== 127 && first < 224;
    }
    return address[at + 2] !== 0 || (address[at + 3] >>> 0) > 1;
  }
  return address[at] >>> 24 !== 0xff;
}
