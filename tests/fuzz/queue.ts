/** From the bytes of a netlink datagram to verdicts, as a queue worker does it, without the socket. */
import { Engine } from "../../src/engine/engine.ts";
import { HostEvidence } from "../../src/engine/host_evidence.ts";
import { BanTable } from "../../src/gateway/bans/ban_table.ts";
import {
  COUNTER_INDEX,
  countersByteLength,
  workerCounters,
} from "../../src/gateway/queue/counters.ts";
import { marksOf } from "../../src/gateway/rules/marks.ts";
import { Networks, parseNetwork } from "../../src/gateway/network/networks.ts";
import { QueueJudge } from "../../src/gateway/queue/queue_judge.ts";
import {
  MALFORMED,
  PACKET,
  QueueMessage,
  VerdictBatch,
} from "../../src/gateway/queue/queue_message.ts";
import { WorkerBans } from "../../src/gateway/bans/worker_bans.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** NFQNL_MSG_PACKET as the kernel writes it (nfnetlink_queue.c): header, mark, interfaces, payload. */
export function packetMessage(id: number, packet: Uint8Array, mark = 0): Bytes {
  const attributes: [type: number, value: Uint8Array][] = [
    [1, Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id, 0x08, 0x00, 2)], // NFQA_PACKET_HDR
    [3, Uint8Array.of(mark >>> 24, mark >>> 16, mark >>> 8, mark)], // NFQA_MARK
    [5, Uint8Array.of(0, 0, 0, 2)], // NFQA_IFINDEX_INDEV
    [6, Uint8Array.of(0, 0, 0, 3)],
    [10, packet], // NFQA_PAYLOAD
  ];
  const length = attributes.reduce((sum, [, { length }]) => sum + ((4 + length + 3) & ~3), 20);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, 0x300, true);
  bytes[16] = 2; // AF_INET
  let at = 20;
  for (const [type, value] of attributes) {
    view.setUint16(at, 4 + value.length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(value, at + 4);
    at += (4 + value.length + 3) & ~3;
  }
  return bytes;
}

/** A worker's judgement of datagrams. Throws where a packet could not be judged. */
export class QueueHarness {
  readonly counters = workerCounters(new SharedArrayBuffer(countersByteLength(1)), 0);
  readonly engine: Engine;
  readonly #judge: QueueJudge;
  readonly #message = new QueueMessage();
  readonly #verdicts = new VerdictBatch(0, 64);
  #timeMs = 1_000_000;

  constructor(flows = 1024) {
    const policy = { strict: false, blockSocks: false, blockMentions: true, whitelistPorts: [22] };
    this.engine = new Engine({ flows, policy, evidence: new HostEvidence() });
    const networks = (...texts: string[]) => {
      const buffer = new SharedArrayBuffer(Networks.byteLength(64));
      new Networks(buffer).replace(texts.map((text) => parseNetwork(text)!));
      return buffer;
    };
    const bans = new WorkerBans(
      {
        handles: {
          ...{ scope: "ip", maps: {} },
          table: BanTable.buffer(256),
        },
        ...{ target: "both", durationMs: 50, escalation: null, requiresReply: true },
        uplinks: new SharedArrayBuffer(4),
        ...{ never: networks("127.0.0.0/8"), ours: networks("10.0.0.0/8") },
        ...{ own: networks("10.0.0.1"), openPorts: [22] },
      } as ConstructorParameters<typeof WorkerBans>[0],
    );
    this.#judge = new QueueJudge({
      ...{ engine: this.engine, bans, monitorOnly: false },
      chain: { marks: marksOf(0x3000_0000), savesMarks: true, monitors: true, sharesTable: false },
      onDetection: (detection, message) => void bans.ban(detection, message.hook),
      onFault: (error) => {
        throw error;
      },
    }, this.counters);
  }

  /** Reads all messages of a datagram; the number of packets judged. */
  take(bytes: Uint8Array, start: number, end: number): number {
    const message = this.#message;
    let packets = 0;
    this.#timeMs++;
    for (let at = start; at < end;) {
      const kind = message.read(bytes, at, end);
      if (kind === MALFORMED) break;
      if (message.next <= at || message.next > end) throw new Error("the reader does not advance");
      if (kind === PACKET) {
        if (message.payloadStart < start || message.payloadEnd > end) {
          throw new Error("a payload outside of its datagram");
        }
        this.#judge.judge(message, bytes, this.#timeMs);
        if (this.#verdicts.full) this.#verdicts.clear();
        this.#verdicts.add(message.id, this.#judge.verdict, this.#judge.mark);
        packets++;
      }
      at = message.next;
    }
    return packets;
  }

  /** Packets in = verdicts out, as far as the counters tell. */
  check(): void {
    const of = (name: keyof typeof COUNTER_INDEX) => this.counters[COUNTER_INDEX[name]];
    const out = of("accepted") + of("released") + of("dropped") + of("bannedDrops");
    if (of("packets") !== out) throw new Error(`${of("packets")} packets, ${out} verdicts`);
    if (of("faults") !== 0) throw new Error(`${of("faults")} faults`);
  }
}
