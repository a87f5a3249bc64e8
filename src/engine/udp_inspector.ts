import { u16be } from "../packet/bytes.ts";
import type { Packet } from "../packet/packet.ts";
import { detectCutDatagram } from "../protocols/cut_datagram.ts";
import { detectDht } from "../protocols/dht/detect.ts";
import { detectLsd } from "../protocols/lsd/detect.ts";
import type { Match } from "../protocols/match.ts";
import { innerDatagram } from "../protocols/socks/datagram.ts";
import { type FlowRecord, HINTED, PENDING, TRACKER_USED, UTP_USED } from "./flow_record.ts";
import { FOUND, type FoundMatch, type Outcome, RELEASE, WAIT } from "./outcome.ts";
import { isUdpSpent } from "./release.ts";
import { mayBeTrackers, type TrackerFlows } from "./tracker_flow.ts";
import type { UtpFlows } from "./utp_flow.ts";

const BENCODE_DICTIONARY = 0x64; // "d"
const LSD_FIRST = 0x42; // "B"
const UTP_VERSION = 1;

/**
 * Judges datagrams. What one datagram proves is decided on it; trackers' responses and uTP need the
 * flow's earlier datagrams, kept by slot.
 */
export class UdpInspector {
  readonly #flow: FlowRecord;
  readonly #utp: UtpFlows;
  readonly #trackers: TrackerFlows;
  readonly #finding: FoundMatch;

  constructor(flow: FlowRecord, utp: UtpFlows, trackers: TrackerFlows, finding: FoundMatch) {
    this.#flow = flow;
    this.#utp = utp;
    this.#trackers = trackers;
    this.#finding = finding;
  }

  /** Judges a datagram with payload. */
  inspect(slot: number, direction: number, packet: Packet): Outcome {
    this.#flow.count(direction, packet.payloadLength);
    const { bytes, payloadStart, payloadEnd } = packet;
    if (this.#judge(slot, direction, packet, payloadStart) === FOUND) return FOUND;
    // A datagram of a SOCKS5 association: the same questions about what it carries (RFC 1928, 7).
    const inner = innerDatagram(bytes, payloadStart, payloadEnd);
    if (inner >= 0 && this.#judge(slot, direction, packet, inner) === FOUND) {
      this.#flow.targetPort = u16be(bytes, inner - 2);
      return FOUND;
    }
    const isYoung = this.#flow.has(UTP_USED) && this.#utp.isYoung(slot, packet.timeMs);
    return isUdpSpent(this.#flow, isYoung) ? RELEASE : WAIT;
  }

  /** Whether only this direction of the flow at hand has had uTP headers. */
  isOneSided(direction: number): boolean {
    return !this.#flow.has(UTP_USED) || !this.#utp.hasHeaders(this.#flow.slot, 1 - direction);
  }

  /** The first byte says which detectors can have an opinion. */
  #judge(slot: number, direction: number, packet: Packet, start: number): Outcome {
    const { bytes, payloadEnd: end } = packet;
    if (start >= end) return WAIT;
    const first = bytes[start];
    let match: Match | null = null;
    if (first === BENCODE_DICTIONARY) match = detectDht(bytes, start, end);
    else if (first === LSD_FIRST) match = detectLsd(bytes, start, end);
    if (this.#isDecisive(match)) return this.#finding.set(match!, bytes, start, end);

    const flow = this.#flow;
    if ((first & 0x0f) === UTP_VERSION) {
      if (!flow.has(UTP_USED)) {
        flow.raise(UTP_USED);
        this.#utp.reset(slot);
      }
      match = this.#utp.observe(slot, direction as 0 | 1, bytes, start, end, packet.timeMs);
      if (this.#isDecisive(match)) return this.#finding.set(match!, bytes, start, end);
    }
    if (mayBeTrackers(bytes, start, end)) {
      if (!flow.has(TRACKER_USED)) {
        flow.raise(TRACKER_USED);
        this.#trackers.reset(slot);
      }
      match = this.#trackers.observe(slot, direction as 0 | 1, bytes, start, end);
      if (this.#isDecisive(match)) return this.#finding.set(match!, bytes, start, end);
    }
    const wireLength = packet.payloadLength - (start - packet.payloadStart);
    if (wireLength <= end - start) return WAIT;
    match = detectCutDatagram(bytes, start, end, wireLength);
    return match === null ? WAIT : this.#finding.set(match, bytes, start, end);
  }

  /** Whether a match decides; a hint keeps the flow in view instead. */
  #isDecisive(match: Match | null): boolean {
    if (match === null) return false;
    if (match.strength !== "hint") return true;
    this.#flow.raise(HINTED);
    this.#flow.state = PENDING;
    return false;
  }
}
