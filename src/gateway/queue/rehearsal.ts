/**
 * Made-up packets that a worker judges after its start while nothing else waits: until V8 has compiled
 * what judges, after some thousand packets, each takes two to three times as long, and where few come
 * that is hours. They run through the same functions as real ones, with an engine of their own.
 */
import type { QueueJudge } from "./queue_judge.ts";
import { QueueMessage, VerdictBatch } from "./queue_message.ts";

/** By then the functions are compiled: 0.2 s. */
const FLOWS = 1_500;
/** Of a flow, both ways: what it takes to be heard, and mostly to be released. */
const PACKETS = 6;
const SHORTEST = 20;
const LONGEST = 640;
/** Of the netlink message: nlmsghdr, nfgenmsg, PACKET_HDR, two interfaces, the payload's attribute. */
const HEADERS = 52;
const IPV4_TCP = 40;
const IPV4_UDP = 28;
const SYN = 0x02;
const ACK = 0x10;
const REQUEST = new TextEncoder().encode("GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n");
const RESPONSE = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");

export class Rehearsal {
  readonly #bytes = new Uint8Array(HEADERS + IPV4_TCP + LONGEST);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #message = new QueueMessage();
  readonly #verdicts = new VerdictBatch(0, 1);
  readonly #judge: Pick<QueueJudge, "judge" | "verdict" | "mark">;
  #flow = 0;

  /** @param judge whose engine and counters are of nobody else */
  constructor(judge: Pick<QueueJudge, "judge" | "verdict" | "mark">) {
    this.#judge = judge;
    const [bytes, view] = [this.#bytes, this.#view];
    view.setUint16(4, 3 << 8, true); // NFQNL_MSG_PACKET
    view.setUint16(20, 11, true); // NFQA_PACKET_HDR: 7 bytes
    view.setUint16(22, 1, true);
    bytes[30] = 2; // FORWARD
    view.setUint16(32, 8, true); // NFQA_IFINDEX_INDEV
    view.setUint16(34, 5, true);
    view.setUint16(40, 8, true); // NFQA_IFINDEX_OUTDEV
    view.setUint16(42, 6, true);
    view.setUint16(50, 10, true); // NFQA_PAYLOAD
  }

  get isOver(): boolean {
    return this.#flow === FLOWS;
  }

  /**
   * One flow.
   *
   * @param timeMs milliseconds of the boot clock
   */
  go(timeMs: number): void {
    const flow = this.#flow++;
    const isUdp = flow % 4 === 3;
    let [client, server] = [1, 1];
    if (!isUdp) {
      this.#packet(flow, true, SYN, client - 1, 0, 0, timeMs);
      this.#packet(flow, false, SYN | ACK, server - 1, client, 0, timeMs);
    }
    for (let i = 0; i < PACKETS; i++) {
      const isAsked = i % 2 === 0;
      const length = this.#fill(flow, isAsked);
      if (isAsked) {
        this.#packet(flow, true, isUdp ? 0 : ACK, client, server, length, timeMs);
        client += length;
      } else {
        this.#packet(flow, false, isUdp ? 0 : ACK, server, client, length, timeMs);
        server += length;
      }
    }
  }

  /** Writes a payload, of HTTP, of something binary, or of random bytes; its length. */
  #fill(flow: number, isAsked: boolean): number {
    const bytes = this.#bytes;
    const at = HEADERS + (flow % 4 === 3 ? IPV4_UDP : IPV4_TCP);
    if (flow % 4 === 0) {
      const text = isAsked ? REQUEST : RESPONSE;
      bytes.set(text, at);
      return text.length;
    }
    const length = SHORTEST + (flow * 37 + (isAsked ? 0 : 211)) % (LONGEST - SHORTEST);
    if (flow % 4 === 1) { for (let i = 0; i < length; i++) bytes[at + i] = i * 37; }
    else crypto.getRandomValues(bytes.subarray(at, at + length));
    bytes[at] = 0x80 | flow; // no protocol's
    return length;
  }

  #packet(
    flow: number,
    isCall: boolean,
    flags: number,
    sequence: number,
    acknowledgement: number,
    length: number,
    timeMs: number,
  ): void {
    const [bytes, view, message] = [this.#bytes, this.#view, this.#message];
    const isUdp = flags === 0;
    const ipLength = (isUdp ? IPV4_UDP : IPV4_TCP) + length;
    view.setUint32(0, HEADERS + ipLength, true);
    view.setUint32(24, flow, false);
    view.setUint32(36, isCall ? 2 : 3, false);
    view.setUint32(44, isCall ? 3 : 2, false);
    view.setUint16(48, 4 + ipLength, true);
    const ip = HEADERS;
    view.setUint32(ip, 0x4500_0000 | ipLength, false);
    view.setUint32(ip + 4, 0x4000, false);
    view.setUint32(ip + 8, 0x4000_0000 | (isUdp ? 17 : 6) << 16, false);
    const [client, server] = [0xc612_0000 + flow, 0xc613_0001]; // 198.18.0.0/15 (RFC 2544)
    view.setUint32(ip + 12, isCall ? client : server, false);
    view.setUint32(ip + 16, isCall ? server : client, false);
    view.setUint16(ip + 20, isCall ? 40_000 : 7_000, false);
    view.setUint16(ip + 22, isCall ? 7_000 : 40_000, false);
    if (isUdp) {
      view.setUint32(ip + 24, (8 + length) << 16, false);
    } else {
      view.setInt32(ip + 24, sequence, false);
      view.setInt32(ip + 28, acknowledgement, false);
      view.setUint32(ip + 32, 0x5000_ffff | flags << 16, false);
      view.setUint32(ip + 36, 0, false);
    }
    message.read(bytes, 0, HEADERS + ipLength);
    this.#judge.judge(message, bytes, timeMs);
    this.#verdicts.clear();
    this.#verdicts.add(message.id, this.#judge.verdict, this.#judge.mark);
  }
}
