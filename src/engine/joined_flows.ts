import type { Packet } from "../packet/packet.ts";
import { match } from "../protocols/match.ts";
import type { BlockRhythm } from "./block_rhythm.ts";
import { BY_LENGTHS, type HostEvidence } from "./host_evidence.ts";
import {
  areBlocksAskedFor,
  areBlocksOfHost,
  areBlocksOfSwarm,
  isPace,
  isPaceOfHost,
  isPaceOfSwarm,
} from "./joined_table.ts";
import { type FoundMatch, type Outcome, WAIT } from "./outcome.ts";
import type { RequestPace } from "./request_pace.ts";
import { NO_RHYTHM, type RequestRhythm, type Rhythm } from "./request_rhythm.ts";
import type { Senders } from "./sender.ts";
import { DESTINATION, SOURCE, type Suspects } from "./suspects.ts";

export const REQUESTS_AND_PIECES = match(
  "mse",
  "requests-and-pieces",
  "strong",
  "encrypted, lengths of requests and pieces",
);
const SWARM_BLOCKS = match(
  "mse",
  "swarm-blocks",
  "strong",
  "encrypted, lengths of blocks, host with evidence",
);
const SWARM = match(
  "mse",
  "swarm-requests",
  "strong",
  "encrypted, lengths of requests, host with evidence",
);

/** Ports below are listened on: systems give their clients' connections higher ones. */
const FIRST_CLIENT_PORT = 32_768;
/** Of a joined flow, messages that asked for just as many blocks as had come. */
const IN_PACE_BESIDE_RHYTHM = 4;

/** What decides an encrypted flow that is older than the engine: requests, blocks, and what its host did. */
export class JoinedFlows {
  readonly #senders: Senders;
  readonly #evidence: HostEvidence;
  readonly #suspects: Suspects;
  readonly #requests: RequestRhythm;
  readonly #pace: RequestPace;
  readonly #blocks: BlockRhythm;
  readonly #finding: FoundMatch;

  constructor(
    senders: Senders,
    evidence: HostEvidence,
    suspects: Suspects,
    requests: RequestRhythm,
    pace: RequestPace,
    blocks: BlockRhythm,
    finding: FoundMatch,
  ) {
    this.#senders = senders;
    this.#evidence = evidence;
    this.#suspects = suspects;
    this.#requests = requests;
    this.#pace = pace;
    this.#blocks = blocks;
    this.#finding = finding;
  }

  /**
   * @param newBytes by which the direction's stream has come further
   * @param rhythm what {@link RequestRhythm.observe} said of the packet
   * @param isBlock what {@link BlockRhythm.observe} said of it
   * @param isInPace {@link isPaceOfRequests} before it
   */
  decide(
    direction: number,
    packet: Packet,
    newBytes: number,
    rhythm: Rhythm,
    isBlock: boolean,
    isInPace: boolean,
  ): Outcome {
    const { blocks, hasHeader } = this.#blocks;
    if (this.#pace.observe(direction, packet, newBytes)) {
      const outcome = this.#decideByPace(direction, packet);
      if (outcome !== WAIT) return outcome;
    }
    // Who asks for pieces is the host, whichever side opened the connection.
    const requests = this.#requests;
    const agrees = requests.hasHaves &&
      ((requests.isSomewhatAligned && isInPace) ||
        areBlocksAskedFor(blocks, hasHeader, requests.areAskedFor(direction)));
    if (rhythm !== NO_RHYTHM && agrees) {
      if (this.#hasEvidence(direction, packet, SOURCE, true)) {
        return this.#finding.setOf(SOURCE, SWARM, packet);
      }
    }
    if (!isBlock) return WAIT;
    const areAskedFor = this.#requests.mayAsk(1 - direction, true);
    return this.#decideByBlocks(direction, packet, areAskedFor ? blocks : 0, hasHeader);
  }

  /** Whether what `direction` says of a joined flow asks for the blocks that come, and hardly says anything else. */
  isPaceOfRequests(direction: number): boolean {
    const pace = this.#pace;
    return pace.inPace >= IN_PACE_BESIDE_RHYTHM && pace.hasRequestsAlone && pace.areMostSums &&
      this.#requests.areAskedFor(direction);
  }

  /** Requests of a flow older than the blocker that keep pace with its blocks. */
  #decideByPace(direction: number, packet: Packet): Outcome {
    if (isPace(this.#pace)) return this.#finding.setOf(SOURCE, REQUESTS_AND_PIECES, packet);
    if (!isPaceOfSwarm(this.#pace) || !this.#pace.areMostSums) return WAIT;
    return this.#hasEvidence(direction, packet, SOURCE, isPaceOfHost(this.#pace))
      ? this.#finding.setOf(SOURCE, SWARM, packet)
      : WAIT;
  }

  /** Blocks of a flow older than the blocker, beside what its host did. */
  #decideByBlocks(
    direction: number,
    packet: Packet,
    blocks: number,
    hasHeader: boolean,
  ): Outcome {
    const { chunks } = this.#blocks;
    const { hasHaves } = this.#requests;
    const isSome = areBlocksOfHost(blocks, hasHeader, chunks, hasHaves);
    const areChunks = hasHaves || this.#blocks.areAlone;
    if (!isSome && !areBlocksOfSwarm(blocks, chunks, areChunks)) return WAIT;
    return this.#hasEvidence(direction, packet, DESTINATION, isSome)
      ? this.#finding.setOf(DESTINATION, SWARM_BLOCKS, packet)
      : WAIT;
  }

  /**
   * Counts the flow among those of the host, the address at `host`, and asks what is known of it.
   *
   * @param isNotChance whether the flow's lengths are no accident by themselves: a host that torrents
   *   has other encrypted flows too
   */
  #hasEvidence(direction: number, packet: Packet, host: number, isNotChance: boolean): boolean {
    if (!this.#senders.isReal(direction, packet, host)) return false;
    const { address, timeMs } = packet;
    const evidence = this.#evidence;
    const ownPort = host === 0 ? packet.sourcePort : packet.destinationPort;
    // A server has flows with many at many ports, whatever it serves.
    const isClient = ownPort >= FIRST_CLIENT_PORT;
    if (isClient) {
      this.#suspects.countLengths(packet, host);
      if (evidence.hasFanOut(address, host, timeMs, BY_LENGTHS)) return true;
    }
    return isNotChance &&
      (evidence.isProven(address, host, timeMs) || this.#suspects.isNamed(packet, host));
  }
}
