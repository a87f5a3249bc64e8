/**
 * What follows from a find besides its flow being dropped: against whom it is held, whether it may ban,
 * and which endpoints it names to whom. Nothing of it is believed of an end that is not known to be real
 * in this very flow (`sender.ts`).
 */
import { formatAddress } from "../packet/address.ts";
import type { Packet } from "../packet/packet.ts";
import type { PeerSink } from "../protocols/compact_peers.ts";
import type { Match } from "../protocols/match.ts";
import {
  type BanCondition,
  describeClient,
  readInfoHash,
  readPeers,
} from "../protocols/methods.ts";
import type { HostEvidence } from "./host_evidence.ts";
import type { FoundMatch } from "./outcome.ts";
import { BOTH_ENDS, DESTINATION_END, SOURCE_END } from "./sender.ts";

/** Bytes of the offending payload that are kept for the logs. */
const PAYLOAD_SAMPLE = 512;

/** A flow's first detection; all of it is a copy and may be kept. */
export interface Detection {
  readonly match: Match;
  /** The client's name and version, where the bytes tell. */
  readonly client: string | null;
  /** The torrent's info-hash, 40 hexadecimal digits, where the bytes tell. */
  readonly infoHash: string | null;
  /** Whether a gateway with default settings bans for it: it may, and an offender is real. */
  readonly ban: boolean;
  /** Whether the find is enough to ban for, whoever has sent it. */
  readonly mayBan: boolean;
  /** Ends, as bits of `sender.ts`, that have acted in BitTorrent in this flow. */
  readonly acted: number;
  /** Of those the ones that torrent; a tracker does not. */
  readonly offenders: number;
  /** Ends that are known to be real: no other has written their packets. */
  readonly real: number;
  readonly family: 4 | 6;
  /** IP protocol number: 6 TCP, 17 UDP. */
  readonly protocol: number;
  /** Ends of the packet that decided. */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Source in words 0…3, destination in 4…7, as {@link Packet.address}. */
  readonly address: Int32Array;
  /** Whether the packet's source opened the flow. */
  readonly initiatorIsSource: boolean;
  /** The deciding packet's payload, at most 512 bytes of it. */
  readonly payload: Uint8Array;
  /** The whole payload's length. */
  readonly payloadLength: number;
}

/** Turns finds into detections and into evidence. */
export class Convictions {
  readonly #evidence: HostEvidence;
  readonly #peers: NamedPeers;

  constructor(evidence: HostEvidence) {
    this.#evidence = evidence;
    this.#peers = new NamedPeers(evidence);
  }

  /**
   * Holds a find against its offenders.
   *
   * @param direction the packet's, 0 from the flow's initiator
   * @param real ends of the packet that are real
   * @param condition when it bans, in a flow like this
   */
  convict(
    finding: FoundMatch,
    packet: Packet,
    direction: number,
    real: number,
    condition: BanCondition,
  ): Detection {
    const { acted, offenders, bytes, start, end } = finding;
    const match = finding.match!;
    const client = describeClient(match, bytes, start, end);
    const mayBan = !packet.tunnelled &&
      this.#mayBan(condition, packet, direction, finding, client, real);
    if (mayBan) this.prove(packet, offenders & real);
    // Endpoints are believed from an answer alone, and belong to the host that asked.
    if (offenders === DESTINATION_END && (real & DESTINATION_END) !== 0) {
      this.#peers.begin(packet);
      readPeers(match, bytes, start, end, this.#peers, packet.family as 4 | 6);
    }
    const { address, payloadStart, payloadEnd } = packet;
    return {
      match,
      client,
      infoHash: readInfoHash(match, bytes, start, end),
      ban: mayBan && (offenders & real) !== 0,
      mayBan,
      acted,
      offenders,
      real,
      family: packet.family as 4 | 6,
      protocol: packet.protocol,
      source: formatAddress(address, 0),
      sourcePort: packet.sourcePort,
      destination: formatAddress(address, 4),
      destinationPort: packet.destinationPort,
      address: address.slice(),
      initiatorIsSource: direction === 0,
      payload: packet.bytes.slice(
        payloadStart,
        Math.min(payloadEnd, payloadStart + PAYLOAD_SAMPLE),
      ),
      payloadLength: packet.payloadLength,
    };
  }

  /** Remembers of real ends that they torrent. */
  prove({ address, timeMs }: Packet, ends: number): void {
    if ((ends & SOURCE_END) !== 0) this.#evidence.prove(address, 0, timeMs);
    if ((ends & DESTINATION_END) !== 0) this.#evidence.prove(address, 4, timeMs);
  }

  #mayBan(
    condition: BanCondition,
    packet: Packet,
    direction: number,
    { offenders }: FoundMatch,
    client: string | null,
    real: number,
  ): boolean {
    switch (condition) {
      case "always":
        return true;
      case "client":
        return client !== null;
      case "evidence":
        return this.#isKnown(packet, direction, offenders & real, real);
      case "never":
        return false;
    }
  }

  /** Whether more is known of one of the ends: it torrents, or does this with many. */
  #isKnown({ address, timeMs }: Packet, direction: number, ends: number, real: number): boolean {
    const evidence = this.#evidence;
    let isKnown = false;
    for (let end = 0; end <= 4; end += 4) {
      if ((ends & (end === 0 ? SOURCE_END : DESTINATION_END)) === 0) continue;
      // Counted in any case: the next flow may be the one too many. But who was called has called nobody:
      // whoever forges eight addresses would call in their names, and the host answers each.
      const hasCalled = end === (direction === 0 ? 0 : 4);
      const isMutual = real === BOTH_ENDS;
      if (
        (hasCalled || isMutual) && evidence.countRemote(address, end, address, 4 - end, timeMs)
      ) isKnown = true;
      if (evidence.isProven(address, end, timeMs)) isKnown = true;
    }
    return isKnown;
  }
}

/** Hands the endpoints that an answer names to the evidence of the host that has asked. */
class NamedPeers implements PeerSink {
  readonly #evidence: HostEvidence;
  readonly #peer = { address: new Int32Array(4), at: 0, port: 0 };
  #packet: Packet | null = null;

  constructor(evidence: HostEvidence) {
    this.#evidence = evidence;
  }

  begin(packet: Packet): void {
    this.#packet = packet;
  }

  peer(w0: number, w1: number, w2: number, w3: number, port: number): void {
    const peer = this.#peer;
    peer.address[0] = w0;
    peer.address[1] = w1;
    peer.address[2] = w2;
    peer.address[3] = w3;
    peer.port = port;
    const { address, timeMs } = this.#packet!;
    this.#evidence.name(address, 4, peer, timeMs);
  }
}
