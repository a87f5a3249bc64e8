/**
 * IP fragments of captures put together, as the kernel does before it queues a packet (RFC 791,
 * section 3.2; RFC 8200, section 4.5; net/ipv4/inet_fragment.c): a piece that lies within what is
 * there is a duplicate, any other overlap spoils the packet.
 */
import { u16be } from "./bytes.ts";
import type { Packet } from "./packet.ts";

/** Room for the IP header before the data. */
const HEADROOM = 60;
const IPV6_HEADER_LENGTH = 40;
const MAX_DATA = 65_535;
/** As net.ipv4.ipfrag_time. */
const TIMEOUT_MS = 30_000;
/** Packets begun at once, their buffers in all (as net.ipv4.ipfrag_high_thresh), pieces of one. */
const MAX_PACKETS = 1024;
const MAX_BYTES = 4 << 20;
const MAX_RUNS = 256;

/** A packet put together; valid until the next is asked for. */
export interface WholePacket {
  readonly bytes: Uint8Array;
  /** Its IP header, what follows it, and the end of what was captured without a hole. */
  readonly start: number;
  readonly transport: number;
  readonly end: number;
  /** The end by the headers; behind {@link end} where pieces were cut. */
  readonly wireEnd: number;
  readonly protocol: number;
}

/** The packets that are not whole yet. Oldest first, which make room. */
export class FragmentTable {
  readonly #packets = new Map<string, PartialPacket>();
  #bytes = 0;

  /** Packets that were given up: never completed, spoiled by an overlap, or too many at once. */
  incomplete = 0;

  /** Packets that wait for their rest. */
  get waiting(): number {
    return this.#packets.size;
  }

  /** Bytes held; bounded. */
  get bytesHeld(): number {
    return this.#bytes;
  }

  /**
   * Takes the piece `[at, wireEnd)`, of which `[at, end)` was captured, of the packet with the
   * addresses, family and time of `packet` and its IP header at `header`. The whole packet, when this
   * was the last piece that it lacked.
   */
  add(
    packet: Packet,
    bytes: Uint8Array,
    header: number,
    at: number,
    end: number,
    wireEnd: number,
    protocol: number,
    id: number,
    offset: number,
    isLast: boolean,
  ): WholePacket | null {
    const key = keyOf(packet, protocol, id);
    let partial = this.#packets.get(key);
    if (partial !== undefined && packet.timeMs - partial.begunMs > TIMEOUT_MS) {
      this.#giveUp(key, partial);
      partial = undefined;
    }
    if (partial === undefined) {
      partial = new PartialPacket(packet.timeMs);
      this.#packets.set(key, partial);
      this.#bytes += partial.data.length;
    }
    const before = partial.data.length;
    const isTaken = partial.add(bytes, at, Math.min(end, wireEnd), wireEnd, offset, isLast);
    this.#bytes += partial.data.length - before;
    if (!isTaken) {
      this.#giveUp(key, partial);
      return null;
    }
    if (offset === 0) partial.keepHeader(packet, bytes, header, at, protocol);
    if (!partial.isWhole) {
      this.#makeRoom();
      return null;
    }
    this.#packets.delete(key);
    this.#bytes -= partial.data.length;
    return partial.whole();
  }

  #makeRoom(): void {
    for (const [key, partial] of this.#packets) {
      if (this.#packets.size <= MAX_PACKETS && this.#bytes <= MAX_BYTES) return;
      this.#giveUp(key, partial);
    }
  }

  #giveUp(key: string, partial: PartialPacket): void {
    this.#packets.delete(key);
    this.#bytes -= partial.data.length;
    this.incomplete++;
  }
}

/** Addresses, id, protocol, and the tunnel that it came in. IPv6 ids alone are without protocol. */
function keyOf(packet: Packet, protocol: number, id: number): string {
  const a = packet.address;
  const c = packet.carrierAddress;
  const ends = packet.family === 4
    ? `${a[3]},${a[7]},${protocol}`
    : `${a[0]},${a[1]},${a[2]},${a[3]},${a[4]},${a[5]},${a[6]},${a[7]}`;
  if (!packet.tunnelled) return `${ends},${id}`;
  return `${ends},${id} in ${c.join()},${packet.network}`;
}

/** One packet's pieces. */
class PartialPacket {
  readonly begunMs: number;
  /** Headroom, then the data as it comes. */
  data = new Uint8Array(2048);
  /** Runs of data without a hole: start, end, start, end, …; in order. */
  readonly #runs: number[] = [];
  /** Length of all data, or the highest end so far. */
  #length = 0;
  #hasLast = false;
  #headerLength = 0;
  #protocol = 0;
  /** First byte that was not captured. */
  #cutAt = MAX_DATA;

  constructor(begunMs: number) {
    this.begunMs = begunMs;
  }

  /** False where the piece does not fit the others, and the packet is lost. */
  add(
    bytes: Uint8Array,
    at: number,
    end: number,
    wireEnd: number,
    offset: number,
    isLast: boolean,
  ): boolean {
    // All but the last have whole units of 8 bytes; Linux cuts what is over.
    const length = isLast ? wireEnd - at : (wireEnd - at) & ~7;
    const to = offset + length;
    if (length <= 0 || to > MAX_DATA) return false;
    if (isLast) {
      if (to < this.#length || (this.#hasLast && to !== this.#length)) return false;
    } else if (to > this.#length && this.#hasLast) return false;
    switch (this.#note(offset, to)) {
      case OVERLAP:
        return false;
      case DUPLICATE:
        return true;
    }
    this.#length = Math.max(this.#length, to);
    this.#hasLast ||= isLast;
    this.#reserve(HEADROOM + to);
    const captured = Math.max(0, Math.min(end - at, length));
    this.data.set(bytes.subarray(at, at + captured), HEADROOM + offset);
    if (captured < length) this.#cutAt = Math.min(this.#cutAt, offset + captured);
    return this.#runs.length <= 2 * MAX_RUNS;
  }

  get isWhole(): boolean {
    return this.#hasLast && this.#headerLength !== 0 && this.#runs.length === 2 &&
      this.#runs[0] === 0 && this.#runs[1] === this.#length;
  }

  /** Of the first piece: its IPv4 header, or for IPv6 what it would have been without fragments. */
  keepHeader(
    packet: Packet,
    bytes: Uint8Array,
    header: number,
    at: number,
    protocol: number,
  ): void {
    if (this.#headerLength !== 0) return;
    const { data } = this;
    this.#protocol = protocol;
    this.#headerLength = packet.family === 4 ? at - header : IPV6_HEADER_LENGTH;
    const start = HEADROOM - this.#headerLength;
    data.set(bytes.subarray(header, header + this.#headerLength), start);
    if (packet.family === 6) data[start + 6] = protocol;
  }

  whole(): WholePacket {
    const { data } = this;
    const start = HEADROOM - this.#headerLength;
    if (data[start] >> 4 === 6) {
      put16(data, start + 4, this.#length);
    } else {
      put16(data, start + 2, Math.min(MAX_DATA, this.#headerLength + this.#length));
      put16(data, start + 6, 0);
      put16(data, start + 10, 0);
      put16(data, start + 10, checksum(data, start, HEADROOM));
    }
    return {
      bytes: data,
      start,
      transport: HEADROOM,
      end: HEADROOM + Math.min(this.#length, this.#cutAt),
      wireEnd: HEADROOM + this.#length,
      protocol: this.#protocol,
    };
  }

  /** Puts `[from, to)` among the runs. */
  #note(from: number, to: number): number {
    const runs = this.#runs;
    let next = runs.length;
    while (next > 0 && runs[next - 2] >= to) next -= 2;
    // The run before `next`, if any, begins before `to`.
    if (next > 0 && runs[next - 1] > from) {
      return runs[next - 2] <= from && to <= runs[next - 1] ? DUPLICATE : OVERLAP;
    }
    const joinsBefore = next > 0 && runs[next - 1] === from;
    const joinsAfter = next < runs.length && runs[next] === to;
    if (joinsBefore && joinsAfter) runs.splice(next - 1, 2);
    else if (joinsBefore) runs[next - 1] = to;
    else if (joinsAfter) runs[next] = from;
    else runs.splice(next, 0, from, to);
    return NEW;
  }

  #reserve(length: number): void {
    if (length <= this.data.length) return;
    const grown = new Uint8Array(Math.max(length, this.data.length * 2));
    grown.set(this.data);
    this.data = grown;
  }
}

const NEW = 0;
const DUPLICATE = 1;
const OVERLAP = 2;

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** RFC 1071 over `[from, to)`, an even number of bytes. */
function checksum(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at += 2) sum += u16be(bytes, at);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
