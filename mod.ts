/**
 * btblocker as a library: judge a capture, judge packets as they come, or ask a single detector.
 * Pure TypeScript; no network, no privileges, any platform. Only {@link judgeCapture} with a path
 * reads a file.
 *
 * ```ts
 * import { PacketJudge } from "@btblocker/btblocker";
 * import assert from "node:assert/strict";
 *
 * // IPv4, UDP, from 192.0.2.1:40000 to 198.51.100.2:6881: a ping of the DHT (BEP 5)
 * const payload = new TextEncoder().encode("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
 * const packet = new Uint8Array(28 + payload.length);
 * packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
 * packet.set([0x9c, 0x40, 0x1a, 0xe1, 0, 8 + payload.length, 0, 0], 20);
 * packet.set(payload, 28);
 *
 * const judge = new PacketJudge();
 * assert.equal(judge.judge(packet, 0), "bittorrent");
 * assert.equal(judge.finding?.method, "dht");
 * assert.equal(judge.finding?.source, "192.0.2.1");
 * ```
 *
 * @module
 */
import type { ByteSource } from "./src/capture/byte_source.ts";
import { CaptureJudge } from "./src/capture/capture_judge.ts";
import { CaptureReader } from "./src/capture/reader.ts";
import { BITTORRENT, CLEAN, type Detection, DROP, Engine } from "./src/engine/engine.ts";
import { CAPTURE_POLICY } from "./src/engine/policy.ts";
import { parseFrame } from "./src/packet/link.ts";
import { Packet, PROTOCOL_TCP } from "./src/packet/packet.ts";
import type { Kind, Method, Strength } from "./src/protocols/match.ts";

export {
  isMatch,
  type Kind,
  KINDS,
  type Match,
  type Method,
  METHODS,
  NEED_MORE,
  type StreamAnswer,
  type Strength,
} from "./src/protocols/match.ts";
export { detectDht } from "./src/protocols/dht/detect.ts";
export { detectExtension } from "./src/protocols/extension/detect.ts";
export { detectHttpTracker } from "./src/protocols/http_tracker/detect.ts";
export { detectLsd } from "./src/protocols/lsd/detect.ts";
export { detectMention } from "./src/protocols/mentions/detect.ts";
export { detectPeerWire } from "./src/protocols/peer_wire/detect.ts";
export { detectSocks } from "./src/protocols/socks/negotiation.ts";
export { detectUdpTracker } from "./src/protocols/udp_tracker/detect.ts";
export { detectUtp } from "./src/protocols/utp/detect.ts";
export { detectWebSeed } from "./src/protocols/web_seed/detect.ts";
export {
  detectWebsocketFrame,
  detectWebsocketTracker,
} from "./src/protocols/websocket_tracker/detect.ts";

/**
 * What to do with a packet:
 *
 * - `inspect`: let it pass and show the next packets of its flow
 * - `clean`: let it pass; the flow needs no more looking at
 * - `bittorrent`: drop it and all later packets of its flow
 * - `drop`: drop it alone (it is inside a tunnel that carries other flows too)
 */
export type PacketVerdict = "inspect" | "clean" | "bittorrent" | "drop";

/** What counts as BitTorrent. The defaults are those of `btblocker analyze`. */
export interface JudgeOptions {
  /** Also what is indistinguishable from random on unknown ports, Shadowsocks with it: false. */
  readonly strict?: boolean;
  /** SOCKS proxy connections too: false. */
  readonly blockSocks?: boolean;
  /** Magnet links and `.torrent` downloads in plaintext HTTP too: false. */
  readonly blockMentions?: boolean;
  /** Ports of services, the end that is called, whose flows are not looked at: none. */
  readonly whitelistPorts?: readonly number[];
  /** Flows remembered at once, a power of two: 65536. The least valuable and oldest makes room. */
  readonly flows?: number;
}

/** The first detection in a flow; all of it may be kept. */
export interface Finding {
  /** How it was recognised. */
  readonly method: Method;
  /** What of it: one of the method's {@link KINDS}. */
  readonly kind: Kind;
  /** `proof` or `strong`. */
  readonly strength: Strength;
  /** In words: "handshake", "announce request". */
  readonly reason: string;
  /** The client's name and version where the bytes tell: "qBittorrent 4.5.2". */
  readonly client: string | null;
  /** The torrent's info-hash, 40 hexadecimal digits, where the bytes tell. */
  readonly infoHash: string | null;
  /**
   * Whether it is enough to act against an address: that of an end that acted in BitTorrent itself, and
   * of which it was seen that nobody else has written its packets.
   */
  readonly ban: boolean;
  /** Transport of the packet that decided. */
  readonly transport: "tcp" | "udp";
  /** Source address of the packet that decided. */
  readonly source: string;
  /** Its source port. */
  readonly sourcePort: number;
  /** Its destination address. */
  readonly destination: string;
  /** Its destination port. */
  readonly destinationPort: number;
  /** Whether the packet's source is the end that opened the flow. */
  readonly initiatorIsSource: boolean;
}

/** A finding in a capture. */
export interface CaptureFinding extends Finding {
  /** Number of the frame, from 1, as Wireshark counts. */
  readonly frame: number;
  /** The frame's time in milliseconds since 1970. */
  readonly timeMs: number;
}

/** Link type of packets that begin with their IP header (LINKTYPE_RAW). */
export const LINK_IP = 101;
/** Link type of Ethernet frames (LINKTYPE_ETHERNET). */
export const LINK_ETHERNET = 1;

/** Judges packets in the order they come; keeps what it must know of flows and hosts. */
export class PacketJudge {
  /** The finding of the last {@link judge}: on the packet that first proves a flow, else null. */
  finding: Finding | null = null;
  readonly #engine: Engine;
  readonly #packet = new Packet();

  /**
   * A judge that has seen nothing yet.
   *
   * @param options what counts as BitTorrent
   */
  constructor(options: JudgeOptions = {}) {
    const { flows, ...policy } = options;
    this.#engine = new Engine({
      policy: { ...CAPTURE_POLICY, ...policy },
      ...flows === undefined ? {} : { flows },
    });
  }

  /**
   * Judges one packet. What carries no readable TCP or UDP is `inspect`; nothing throws.
   *
   * ```ts
   * import { LINK_ETHERNET, PacketJudge } from "@btblocker/btblocker";
   * import assert from "node:assert/strict";
   *
   * const judge = new PacketJudge({ whitelistPorts: [443] });
   * assert.equal(judge.judge(new Uint8Array(60), 0, LINK_ETHERNET), "inspect");
   * assert.equal(judge.finding, null);
   * ```
   *
   * @param bytes the packet, read during the call only
   * @param timeMs milliseconds on any clock that does not go back
   * @param linkType what the bytes begin with, a number of pcap's; the IP header unless given
   */
  judge(bytes: Uint8Array, timeMs: number, linkType: number = LINK_IP): PacketVerdict {
    this.finding = null;
    const packet = this.#packet;
    if (!parseFrame(packet, bytes, 0, bytes.length, linkType)) return "inspect";
    packet.timeMs = timeMs;
    const verdict = this.#engine.judge(packet);
    const detection = this.#engine.detection;
    if (detection !== null) this.finding = findingOf(detection);
    switch (verdict) {
      case BITTORRENT:
        return "bittorrent";
      case CLEAN:
        return "clean";
      case DROP:
        return "drop";
      default:
        return "inspect";
    }
  }
}

/**
 * Gives the first detection of each flow of a capture (pcap or pcapng).
 *
 * ```ts
 * import { judgeCapture } from "@btblocker/btblocker";
 *
 * // A pcap file of no packets: the header alone, link type 1
 * const empty = Uint8Array.fromHex("d4c3b2a1020004000000000000000000ffff000001000000");
 * for await (const { frame, source, method, client } of judgeCapture(empty)) {
 *   console.log(frame, source, method, client);
 * }
 * ```
 *
 * @param capture path of a file, gzip-compressed or not (needs Deno and the right to read), or the
 *   uncompressed bytes
 * @throws {Error} where it is no capture, or damaged; a capture that is merely cut ends at the cut
 */
export async function* judgeCapture(
  capture: string | Uint8Array,
  options: JudgeOptions = {},
): AsyncGenerator<CaptureFinding> {
  using reader = typeof capture === "string"
    ? await CaptureReader.open(capture)
    : CaptureReader.from(sourceOf(capture));
  const { flows, ...policy } = options;
  const judge = new CaptureJudge(reader, {
    policy: { ...CAPTURE_POLICY, ...policy },
    ...flows === undefined ? {} : { flows },
  });
  while (judge.next()) {
    if (judge.detection === null) continue;
    yield { ...findingOf(judge.detection), frame: reader.frameNumber, timeMs: reader.timeMs };
  }
  if (reader.isDamaged) throw new Error(reader.problem ?? "the capture is damaged");
}

function findingOf(detection: Detection): Finding {
  const { match, client, infoHash, ban, protocol, initiatorIsSource } = detection;
  const { source, sourcePort, destination, destinationPort } = detection;
  return {
    method: match.method,
    kind: match.kind,
    strength: match.strength,
    reason: match.reason,
    client,
    infoHash,
    ban,
    transport: protocol === PROTOCOL_TCP ? "tcp" : "udp",
    source,
    sourcePort,
    destination,
    destinationPort,
    initiatorIsSource,
  };
}

/** Bytes in memory as the capture reader takes them. */
function sourceOf(bytes: Uint8Array): ByteSource {
  let at = 0;
  return {
    problem: null,
    isCut: false,
    read(target) {
      if (at === bytes.length) return null;
      const length = Math.min(target.length, bytes.length - at);
      target.set(bytes.subarray(at, at + length));
      at += length;
      return length;
    },
    [Symbol.dispose]() {},
  };
}
