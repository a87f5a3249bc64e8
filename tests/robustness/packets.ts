/**
 * Whole packets from the IP header on, made by hand: what a sender who hides would put on the wire.
 * Checksums are right unless asked otherwise, so that the same bytes can be sent for real.
 */
import type { TestEngine } from "../engine/conversation.ts";
import { ACK, Packet, parseIp, SYN } from "../../src/packet/packet.ts";
import { parseAddress } from "../../src/packet/address.ts";

export const TCP = 6;
export const UDP = 17;
export const URG = 0x20;

type Bytes = Uint8Array<ArrayBuffer>;

export interface Ends {
  readonly source: string;
  readonly destination: string;
}

export interface IpOptions extends Ends {
  readonly protocol: number;
  readonly ttl?: number;
  /** IPv4 fragment: offset in bytes and whether more follow; `id` ties them together. */
  readonly fragment?: { readonly offset: number; readonly more: boolean; readonly id: number };
  /** IPv6: extension headers in bytes, each with a next header field of 0 that is filled in. */
  readonly extensions?: readonly (readonly [type: number, bytes: Bytes])[];
}

/** RFC 791 or RFC 8200, by the form of the addresses. */
export function ip(options: IpOptions, payload: Uint8Array): Bytes {
  return options.source.includes(":") ? ip6(options, payload) : ip4(options, payload);
}

function ip4(
  { source, destination, protocol, ttl = 64, fragment }: IpOptions,
  payload: Uint8Array,
) {
  const bytes = new Uint8Array(20 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, bytes.length);
  view.setUint16(4, fragment?.id ?? 1);
  if (fragment !== undefined) {
    view.setUint16(6, (fragment.more ? 0x2000 : 0) | (fragment.offset >> 3));
  }
  bytes[8] = ttl;
  bytes[9] = protocol;
  bytes.set(addressBytes(source), 12);
  bytes.set(addressBytes(destination), 16);
  view.setUint16(10, checksum(bytes.subarray(0, 20)));
  bytes.set(payload, 20);
  return bytes;
}

function ip6(options: IpOptions, payload: Uint8Array): Bytes {
  const { source, destination, protocol, ttl = 64, extensions = [] } = options;
  const types = [...extensions.map(([type]) => type), protocol];
  const headers = extensions.flatMap(([, bytes], i) => [types[i + 1], ...bytes.subarray(1)]);
  const fixed = new Uint8Array(40);
  const view = new DataView(fixed.buffer);
  fixed[0] = 0x60;
  view.setUint16(4, headers.length + payload.length);
  fixed[6] = types[0];
  fixed[7] = ttl;
  fixed.set(addressBytes(source), 8);
  fixed.set(addressBytes(destination), 24);
  return join(fixed, Uint8Array.from(headers), payload);
}

export interface TcpOptions {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement?: number;
  readonly flags?: number;
  /** RFC 9293: with URG, the byte after the last urgent one, counted from the first. */
  readonly urgentPointer?: number;
  readonly wrongChecksum?: boolean;
}

/** RFC 9293, section 3.1. */
export function tcp(options: TcpOptions, payload: Uint8Array, ends: Ends): Bytes {
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  view.setUint16(0, options.sourcePort);
  view.setUint16(2, options.destinationPort);
  view.setInt32(4, options.sequence | 0);
  view.setInt32(8, (options.acknowledgement ?? 0) | 0);
  header[12] = 0x50;
  header[13] = options.flags ?? ACK;
  view.setUint16(14, 65_535);
  view.setUint16(18, options.urgentPointer ?? 0);
  const bytes = join(header, payload);
  const sum = transportChecksum(ends, TCP, bytes) ^ (options.wrongChecksum ? 0x5555 : 0);
  new DataView(bytes.buffer).setUint16(16, sum);
  return bytes;
}

/** RFC 768. */
export function udp(
  sourcePort: number,
  destinationPort: number,
  payload: Uint8Array,
  ends: Ends,
): Bytes {
  const header = new Uint8Array(8);
  const view = new DataView(header.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, 8 + payload.length);
  const bytes = join(header, payload);
  new DataView(bytes.buffer).setUint16(6, transportChecksum(ends, UDP, bytes) || 0xffff);
  return bytes;
}

export function join(...parts: readonly Uint8Array[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Four or sixteen bytes. */
export function addressBytes(text: string): Bytes {
  const words = parseAddress(text)!;
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setInt32(i * 4, words[i]);
  return text.includes(":") ? bytes : bytes.slice(12);
}

/** RFC 1071. */
export function checksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function transportChecksum(ends: Ends, protocol: number, segment: Uint8Array): number {
  const pseudo = join(addressBytes(ends.source), addressBytes(ends.destination));
  let sum = protocol + segment.length;
  for (let i = 0; i < pseudo.length; i += 2) sum += (pseudo[i] << 8) | pseudo[i + 1];
  return checksum(segment, sum);
}

/** What else to do to a segment of {@link TcpWire}. */
export type Tricks =
  & Partial<
    Pick<TcpOptions, "flags" | "urgentPointer" | "wrongChecksum" | "acknowledgement" | "sequence">
  >
  & Pick<IpOptions, "ttl" | "extensions">;

/** A TCP connection in which each segment's place in the stream is chosen freely. */
export class TcpWire {
  readonly #ends: readonly [Ends, Ends];
  readonly #ports = [50_000, 40_000] as const;
  /** Sequence numbers of stream offset 0. */
  readonly base = [0x7fff_ff00, 0xffff_fff0];
  /** Bytes each side has said, for the other's acknowledgements. */
  readonly #said = [0, 0];
  readonly #packet = new Packet();

  constructor(
    readonly test: TestEngine,
    client = "10.0.0.1",
    server = "198.51.100.1",
  ) {
    this.#ends = [
      { source: client, destination: server },
      { source: server, destination: client },
    ];
  }

  open(): this {
    this.segment(0, -1, new Uint8Array(0), { flags: SYN, acknowledgement: 0 });
    this.segment(1, -1, new Uint8Array(0), { flags: SYN | ACK });
    return this.segment(0, 0, new Uint8Array(0));
  }

  /** One segment; `offset` is that of its first byte in the sender's stream. */
  segment(side: 0 | 1, offset: number, payload: Uint8Array, tricks: Tricks = {}): this {
    const ends = this.#ends[side];
    const bytes = tcp(
      {
        sourcePort: this.#ports[side],
        destinationPort: this.#ports[1 - side],
        sequence: this.base[side] + offset,
        acknowledgement: this.base[1 - side] + this.#said[1 - side],
        ...tricks,
      },
      payload,
      ends,
    );
    this.#said[side] = Math.max(this.#said[side], offset + payload.length);
    judge(this.test, ip({ ...ends, protocol: TCP, ...tricks }, bytes), this.#packet);
    return this;
  }
}

/** Has the engine judge one whole packet, inside a buffer that completes what is cut. */
export function judge(test: TestEngine, bytes: Uint8Array, packet = new Packet()): boolean {
  const surrounded = new Uint8Array(bytes.length + 128).fill(0x65);
  surrounded.set(bytes, 64);
  if (!parseIp(packet, surrounded, 64, 64 + bytes.length)) return false;
  test.judge(packet);
  return true;
}
