/**
 * The detection pcap: the packet that proved each detection, for Wireshark. It is a pcapng file,
 * because each packet then has a comment: where it was seen, what was recognised, what was done about
 * it. One section with one interface, also over restarts: libpcap (1.10) takes no second interface of
 * raw packets, and with it tcpdump and most other tools.
 */
import { type PacketCopy, SNAP_LENGTH } from "../engine/packet_copy.ts";
import { VERSION } from "../version.ts";
import { AppendFile } from "./append_file.ts";
import { describeAction } from "./console.ts";
import { type DetectionRecord, reasonOf } from "./detection_record.ts";
import { describeLimit, FloodBound, type FloodLimit } from "./flood_bound.ts";
import { interfaceDescription, packetBlock, sectionHeader } from "./pcapng_blocks.ts";
import { mendTail } from "./pcapng_tail.ts";
import { printable } from "../text.ts";

const APPLICATION = "btblocker";
const START = {
  application: APPLICATION,
  section: sectionHeader(`${APPLICATION} ${VERSION}`),
  interface: interfaceDescription(SNAP_LENGTH),
};

/** About 150,000 usual packets, and about as many again in a day. */
const LIMIT: FloodLimit = { most: 64 << 20, perSecond: 1_024 };

export interface DetectionPcapOptions {
  readonly path: string;
  /** Told once when writing begins to fail, once when it works again, and of packets left out. */
  readonly warn: (message: string) => void;
  /** False where the input has an end and nothing of it may be left out. True unless given. */
  readonly isBounded?: boolean;
  /** What goes on while it cannot be written, for messages: `blocking` unless given. */
  readonly activity?: string;
  /** For tests. */
  readonly nowMs?: () => number;
}

export class DetectionPcap implements Disposable {
  #path: string;
  readonly #file: AppendFile;
  readonly #bound: FloodBound | null;
  /** Whether the open file has the beginning of a section. */
  #hasSection = false;

  /** Opens the file at once, so that a wrong path is told at the start and not at the first packet. */
  constructor(options: DetectionPcapOptions) {
    const { path, warn, isBounded = true, activity } = options;
    const { nowMs = () => performance.now() } = options;
    this.#path = path;
    const tell = (leftOut: number) => {
      const limit = `${describeLimit(LIMIT)}; ${leftOut} left out so far`;
      warn(`Too many packets for the detection pcap ${this.#path}: ${limit}`);
    };
    this.#bound = isBounded ? new FloodBound({ ...LIMIT, tell, nowMs }) : null;
    this.#file = new AppendFile({
      ...{ path, warn, nowMs },
      ...activity === undefined ? {} : { activity },
      name: "detection pcap",
      entries: "packets",
      onOpen: (file) => {
        this.#hasSection = mendTail(file, START);
      },
    });
  }

  /** Packets left out since the start because there were too many. */
  get leftOut(): number {
    return this.#bound?.leftOut ?? 0;
  }

  /** Packets that could not be written since the start. */
  get lost(): number {
    return this.#file.lost;
  }

  /** Appends one packet. Never throws. */
  write(record: DetectionRecord, packet: PacketCopy): void {
    if (this.#bound?.admits(record.bans.length > 0) === false) return;
    this.#file.write((file) => {
      if (isEmptied(file)) this.#hasSection = false;
      const bytes = this.#encode(record, packet);
      this.#bound?.spend(bytes.length);
      return bytes;
    });
  }

  /** Opens the file anew: a log rotation has moved it away, or a reload has named another. */
  reopen(path: string = this.#path): void {
    this.#path = path;
    this.#file.reopen(path);
  }

  [Symbol.dispose](): void {
    this.#bound?.[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }

  /** The packet's block, behind the beginning of the section where that is missing. */
  #encode(record: DetectionRecord, { bytes, length }: PacketCopy): Uint8Array {
    const { timeMs } = record;
    const block = packetBlock({ timeMs, bytes, length, comment: commentOf(record) });
    if (this.#hasSection) return block;
    this.#hasSection = true;
    return concatenate([START.section, START.interface, block]); // so an unused file stays empty
  }
}

/** A file of ours that somebody has emptied in its place, as `logrotate` does with copytruncate. */
function isEmptied(file: Deno.FsFile): boolean {
  const { isFile, size } = file.statSync();
  return isFile && size === 0;
}

/** `wg0: peer-wire (handshake, qBittorrent 4.5.2), proof - banned 192.168.1.100 for 5h`. */
function commentOf(record: DetectionRecord): string {
  const { match } = record.detection;
  const where = record.interface === "" ? "" : `${printable(record.interface)}: `;
  const why = printable(reasonOf(record.detection));
  return `${where}${match.method} (${why}), ${match.strength} - ${describeAction(record)}`;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
