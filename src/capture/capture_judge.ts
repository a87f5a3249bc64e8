/** The one loop over a capture's frames, for `analyze` and for the library. */
import { type Detection, Engine } from "../engine/engine.ts";
import { HostEvidence } from "../engine/host_evidence.ts";
import type { EnginePolicy } from "../engine/policy.ts";
import { FragmentTable } from "../packet/fragments.ts";
import { isKnownLinkType, parseFrame } from "../packet/link.ts";
import { Packet, UNREADABLE } from "../packet/packet.ts";
import { CaptureClock } from "./capture_clock.ts";
import type { CaptureReader } from "./reader.ts";

export interface CaptureJudgeOptions {
  readonly policy: EnginePolicy;
  /** Flows remembered at once, a power of two; the engine's default where it is left out. */
  readonly flows?: number;
}

/**
 * Judges a capture frame by frame, with an engine and evidence of its own: nothing is carried from
 * one capture to another.
 *
 * ```ts
 * const judge = new CaptureJudge(reader, { policy: CAPTURE_POLICY });
 * while (judge.next()) if (judge.detection !== null) console.log(reader.frameNumber);
 * ```
 */
export class CaptureJudge {
  /** The packet of the last frame, where {@link hasPacket}; valid until the next. */
  readonly packet: Packet = new Packet();
  /** Whether the last frame held a TCP or UDP packet. */
  hasPacket = false;
  /** Captured bytes of the frames so far. */
  bytes = 0;
  /** Frames of which the recorder kept only a part; what is there was judged. */
  cutFrames = 0;
  /** Frames of a link type that nobody here knows, and the last such type. */
  unknownFrames = 0;
  unknownLinkType = 0;
  #unreadableFrames = 0;
  readonly #reader: CaptureReader;
  readonly #engine: Engine;
  readonly #clock = new CaptureClock();
  readonly #fragments = new FragmentTable();

  /** @param reader stays the caller's to close */
  constructor(reader: CaptureReader, { policy, flows }: CaptureJudgeOptions) {
    this.#reader = reader;
    this.packet.fragments = this.#fragments;
    const evidence = new HostEvidence();
    this.#engine = new Engine({ policy, evidence, ...flows === undefined ? {} : { flows } });
  }

  /** The last frame's detection, where it is the first of its flow. */
  get detection(): Detection | null {
    return this.hasPacket ? this.#engine.detection : null;
  }

  /** 5-tuples so far. */
  get flows(): number {
    return this.#engine.counters.flows;
  }

  /** 5-tuples with payload so far. */
  get payloadFlows(): number {
    return this.#engine.counters.payloadFlows;
  }

  /** Judges the next frame. False at the end, or where the capture is damaged. */
  next(): boolean {
    const reader = this.#reader;
    if (!reader.next()) return this.hasPacket = false;
    const { packet } = this;
    this.bytes += reader.end - reader.start;
    if (reader.wireLength > reader.end - reader.start) this.cutFrames++;
    this.#clock.stamp(packet, reader);
    this.hasPacket = parseFrame(packet, reader.bytes, reader.start, reader.end, reader.linkType);
    if (this.hasPacket) {
      this.#engine.judge(packet);
    } else {
      this.#countUnread();
    }
    return true;
  }

  /**
   * Frames that could not be read: cut inside a header, malformed, encrypted on their link, or of an
   * unknown link type; and IP packets of which a fragment is missing.
   */
  get unreadableFrames(): number {
    return this.#unreadableFrames + this.#fragments.incomplete + this.#fragments.waiting;
  }

  #countUnread(): void {
    if (this.packet.unread === UNREADABLE) this.#unreadableFrames++;
    if (isKnownLinkType(this.#reader.linkType)) return;
    this.unknownFrames++;
    this.unknownLinkType = this.#reader.linkType;
  }

  /** Length of the last packet on the wire: without what the link layer put before it. */
  get wireLength(): number {
    const { start, end, isReassembled } = this.packet;
    if (isReassembled) return end - start;
    return Math.max(this.#reader.wireLength - (start - this.#reader.start), end - start);
  }
}
