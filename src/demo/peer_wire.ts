/** Just enough of the peer wire protocol (BEP 3) to move a file between two peers of our own. */

import type { Socket } from "node:net";

export const BLOCK_LENGTH = 16_384;

/** Message ids of BEP 3, "Peer messages". */
export const UNCHOKE = 1;
export const INTERESTED = 2;
export const BITFIELD = 5;
export const REQUEST = 6;
export const PIECE = 7;

const PROTOCOL = "\x13BitTorrent protocol";
export const HANDSHAKE_LENGTH = 68;
/** Azureus style: client "DM" (demo), version 0.1. */
const PEER_ID_PREFIX = "-DM0010-";

/** The 68 bytes that open a connection; `infoHash` is 20 bytes. */
export function handshake(infoHash: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HANDSHAKE_LENGTH);
  bytes.set(new TextEncoder().encode(PROTOCOL), 0);
  bytes.set(infoHash, 28);
  bytes.set(peerId(), 48);
  return bytes;
}

export function peerId(): Uint8Array {
  const id = crypto.getRandomValues(new Uint8Array(20));
  id.set(new TextEncoder().encode(PEER_ID_PREFIX));
  return id;
}

/** The info-hash of a handshake, or null when it is none. */
export function readHandshake(bytes: Uint8Array): Uint8Array | null {
  const protocol = new TextDecoder("latin1").decode(bytes.subarray(0, PROTOCOL.length));
  return protocol === PROTOCOL ? bytes.slice(28, 48) : null;
}

/** `u32 length, u8 id, payload`. */
export function message(id: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(5 + payload.length);
  new DataView(bytes.buffer).setUint32(0, 1 + payload.length);
  bytes[4] = id;
  bytes.set(payload, 5);
  return bytes;
}

/** Numbers of a request: piece index, offset in the piece, length. */
export function words(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => view.setUint32(index * 4, value));
  return new Uint8Array(view.buffer);
}

/** Longer than any message of the demo: a peer that says more is none. */
const MAX_MESSAGE_LENGTH = 1 << 18;

/** Reads a socket in pieces of wanted length. */
export class SocketReader {
  private buffered = new Uint8Array(0);
  private readonly chunks: AsyncIterator<Uint8Array>;

  constructor(socket: Socket) {
    this.chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  }

  /** Exactly `length` bytes; throws when the other side closes before. */
  async bytes(length: number): Promise<Uint8Array> {
    while (this.buffered.length < length) {
      const { value, done } = await this.chunks.next();
      if (done) throw new Error("the connection was closed");
      const joined = new Uint8Array(this.buffered.length + value.length);
      joined.set(this.buffered);
      joined.set(value, this.buffered.length);
      this.buffered = joined;
    }
    const bytes = this.buffered.slice(0, length);
    this.buffered = this.buffered.slice(length);
    return bytes;
  }

  /** The next message: its id and payload; keep-alives are passed over. */
  async message(): Promise<{ id: number; payload: Uint8Array }> {
    while (true) {
      const head = await this.bytes(4);
      const length = new DataView(head.buffer).getUint32(0);
      if (length > MAX_MESSAGE_LENGTH) throw new Error(`a message of ${length} bytes`);
      if (length === 0) continue;
      const body = await this.bytes(length);
      return { id: body[0], payload: body.subarray(1) };
    }
  }
}
