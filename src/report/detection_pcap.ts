/**
 * The detection pcap: the packet that proved each detection, for Wireshark. It is a pcapng file,
 * because each packet then has a comment: where it was seen, what was recognised, what was done about
 * it. One section with one interface, also over restarts: libpcap (1.10) takes no second interface of
 * raw packets, and with it tcpdump and most other tools.
 */
import { type PacketCopy, SNAP_LENGTH } from "../engine/packet_copy.ts";
import { VERSION } from "../version.ts";
import { AppendFile } from "./append_file.ts";
import { ByteBudget } from "./byte_budget.ts";
import { describeAction } from "./console.ts";
import { type DetectionRecord, reasonOf } from "./detection_record.ts";
import { interfaceDescription, packetBlock, sectionHeader } from "./pcapng_blocks.ts";
import { mendTail } from "./pcapng_tail.ts";
import { formatBytes, printable } from "./text.ts";

const APPLICATION = "btblocker";
const START = {
  application: APPLICATION,
  section: sectionHeader(`${APPLICATION} ${VERSION}`),
  interface: interfaceDescription(SNAP_LENGTH),
};

/**
 * Where nobody is banned (MONITOR_ONLY, forged senders) each packet of a flood may be a detection of
 * its own. So much is taken at once, about 150,000 usual packets, and about as much again in a day.
 */
const MOST_BYTES = 64 << 20;
const BYTES_PER_SECOND = 1_024;
/** How often it is said that packets are left out. */
const TELL_MS = 3_600_000;

export interface DetectionPcapOptions {
  readonly path: string;
  /** Told once when writing begins to fail, once when it works again, and of packets left out. */
  readonly warn: (message: string) => void;
  /** False where the input has an end and nothing of it may be left out. True unless given. */
  readonly isBounded?: boolean;
  /** For tests. */
  readonly nowMs?: () => number;
}

export class DetectionPcap implements Disposable {
  /** Packets left out since the start because there were too many. */
  leftOut = 0;
  #path: string;
  readonly #file: AppendFile;
  readonly #budget: ByteBudget | null;
  readonly #warn: (message: string) => void;
  readonly #nowMs: () => number;
  /** Whether the open file has the beginning of a section. */
  #hasSection = false;
  #tellAtMs = -Infinity;

  /** Opens the file at once, so that a wrong path is told at the start and not at the first packet. */
  constructor(options: DetectionPcapOptions) {
    const { path, warn, isBounded = true, nowMs = () => performance.now() } = options;
    this.#path = path;
    this.#warn = warn;
    this.#nowMs = nowMs;
    this.#budget = isBounded ? new ByteBudget(MOST_BYTES, BYTES_PER_SECOND, nowMs()) : null;
    this.#file = new AppendFile({
      ...{ path, warn, nowMs },
      name: "detection pcap",
      entries: "packets",
      onOpen: (file) => {
        this.#hasSection = mendTail(file, START);
      },
    });
  }

  /** Packets that could not be written since the start. */
  get lost(): number {
    return this.#file.lost;
  }

  /** Appends one packet. Never throws. */
  write(record: DetectionRecord, packet: PacketCopy): void {
    if (this.#budget !== null && !this.#budget.has(this.#nowMs())) {
      this.#leaveOut();
      return;
    }
    this.#file.write((file) => {
      if (isEmptied(file)) this.#hasSection = false;
      const bytes = this.#encode(record, packet);
      this.#budget?.spend(bytes.length);
      return bytes;
    });
  }

  /** Opens the file anew: a log rotation has moved it away, or a reload has named another. */
  reopen(path: string = this.#path): void {
    this.#path = path;
    this.#file.reopen(path);
  }

  [Symbol.dispose](): void {
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

  #leaveOut(): void {
    this.leftOut++;
    const now = this.#nowMs();
    if (now < this.#tellAtMs) return;
    this.#tellAtMs = now + TELL_MS;
    const limit = `after ${formatBytes(MOST_BYTES)} ${formatBytes(BYTES_PER_SECOND)} a second`;
    this.#warn(
      `Too many packets for the detection pcap ${this.#path}: it takes ${limit}; ` +
        `${this.leftOut} left out so far`,
    );
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
