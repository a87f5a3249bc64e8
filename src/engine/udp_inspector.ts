import type { Packet } from "../packet/packet.ts";
import { detectDht } from "../protocols/dht/detect.ts";
import { detectLsd } from "../protocols/lsd/detect.ts";
import type { Match } from "../protocols/match.ts";
import { innerDatagram } from "../protocols/socks/datagram.ts";
import { BYTES, FLAGS, type FlowTable, PACKETS, PENDING, STATE } from "./flow_table.ts";
import { type Finding, FOUND, type Outcome, RELEASE, WAIT } from "./outcome.ts";
import type { TrackerFlows } from "./tracker_flow.ts";
import type { UtpFlows } from "./utp_flow.ts";

/** Datagrams, and bytes, of a flow without a hint that are looked at before it is released. */
const MAX_PACKETS = 8;
const MAX_BYTES = 8192;
/** The same with a hint: a tracker's or uTP's exchange is decided within this. */
const MAX_PACKETS_PENDING = 64;
/** The same while nobody answers: noise sent ahead of the real exchange does not release it. */
const MAX_PACKETS_UNANSWERED = 64;
const MAX_BYTES_UNANSWERED = 65_536;

const UTP_USED = 0x0010;
const TRACKER_USED = 0x0020;
const HINTED = 0x0040;

const BENCODE_DICTIONARY = 0x64; // "d"
const LSD_FIRST = 0x42; // "B"
const UTP_VERSION = 1;

/**
 * Judges datagrams. What one datagram proves is decided on it; trackers' responses and uTP need the
 * flow's earlier datagrams, kept by slot.
 */
export class UdpInspector {
  readonly #table: FlowTable;
  readonly #utp: UtpFlows;
  readonly #trackers: TrackerFlows;
  readonly #finding: Finding;

  constructor(table: FlowTable, utp: UtpFlows, trackers: TrackerFlows, finding: Finding) {
    this.#table = table;
    this.#utp = utp;
    this.#trackers = trackers;
    this.#finding = finding;
  }

  /** Judges a datagram with payload. */
  inspect(slot: number, direction: number, packet: Packet): Outcome {
    const words = this.#table.words;
    const at = this.#table.at(slot);
    words[at + PACKETS + direction]++;
    words[at + BYTES + direction] = Math.min(
      words[at + BYTES + direction] + packet.payloadLength,
      0x0fff_ffff,
    );
    const { bytes, payloadStart, payloadEnd } = packet;
    if (this.#judge(slot, at, direction, packet, payloadStart) === FOUND) return FOUND;
    // A datagram of a SOCKS5 association: the same questions about what it carries (RFC 1928, 7).
    const inner = innerDatagram(bytes, payloadStart, payloadEnd);
    if (inner >= 0 && this.#judge(slot, at, direction, packet, inner) === FOUND) return FOUND;

    const seen = words[at + PACKETS] + words[at + PACKETS + 1];
    if ((words[at + FLAGS] & HINTED) !== 0) return seen >= MAX_PACKETS_PENDING ? RELEASE : WAIT;
    const length = words[at + BYTES] + words[at + BYTES + 1];
    const isAnswered = words[at + PACKETS] > 0 && words[at + PACKETS + 1] > 0;
    const isSpent = isAnswered
      ? seen >= MAX_PACKETS || length >= MAX_BYTES
      : seen >= MAX_PACKETS_UNANSWERED || length >= MAX_BYTES_UNANSWERED;
    return isSpent ? RELEASE : WAIT;
  }

  /** The first byte says which detectors can have an opinion. */
  #judge(slot: number, at: number, direction: number, packet: Packet, start: number): Outcome {
    const { bytes, payloadEnd: end } = packet;
    if (start >= end) return WAIT;
    const first = bytes[start];
    let match: Match | null = null;
    if (first === BENCODE_DICTIONARY) match = detectDht(bytes, start, end);
    else if (first === LSD_FIRST) match = detectLsd(bytes, start, end);
    if (this.#isDecisive(at, match)) return this.#finding.set(match!, bytes, start, end);

    const words = this.#table.words;
    if ((first & 0x0f) === UTP_VERSION) {
      if ((words[at + FLAGS] & UTP_USED) === 0) {
        words[at + FLAGS] |= UTP_USED;
        this.#utp.reset(slot);
      }
      match = this.#utp.observe(slot, direction as 0 | 1, bytes, start, end, packet.timeMs);
      if (this.#isDecisive(at, match)) return this.#finding.set(match!, bytes, start, end);
    }
    if ((words[at + FLAGS] & TRACKER_USED) === 0) {
      words[at + FLAGS] |= TRACKER_USED;
      this.#trackers.reset(slot);
    }
    match = this.#trackers.observe(slot, direction as 0 | 1, bytes, start, end);
    if (this.#isDecisive(at, match)) return this.#finding.set(match!, bytes, start, end);
    return WAIT;
  }

  /** Whether a match decides; a hint keeps the flow in view instead. */
  #isDecisive(at: number, match: Match | null): boolean {
    if (match === null) return false;
    if (match.strength !== "hint") return true;
    const words = this.#table.words;
    words[at + FLAGS] |= HINTED;
    words[at + STATE] = PENDING;
    return false;
  }
}
