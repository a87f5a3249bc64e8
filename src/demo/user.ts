/** What the demo's user does, each from an address of its own and for a bounded time. */

import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { request } from "node:http";
import { connect } from "node:net";
import { bencode } from "./bencode.ts";
import { DHT_PORT, PEER_PORT, TRACKER_PORT, WEB_PORT } from "./internet.ts";
import {
  BLOCK_LENGTH,
  handshake,
  HANDSHAKE_LENGTH,
  INTERESTED,
  message,
  peerId,
  PIECE,
  REQUEST,
  SocketReader,
  UNCHOKE,
  words,
} from "./peer_wire.ts";
import { randomBytes } from "./torrent.ts";

/** One attempt's result, printed as one JSON line by the process that made it. */
export interface Attempt {
  /** Bytes of content that arrived (pieces, or the download's body); answers for datagrams. */
  received: number;
  /** Everything arrived, and is what was sent. */
  complete: boolean;
}

export interface AttemptOptions {
  /** Own address. */
  from: string;
  /** The internet's address. */
  to: string;
  timeoutMs: number;
}

export interface LeechOptions extends AttemptOptions {
  infoHash: Uint8Array;
  length: number;
  pieceLength: number;
  /** SHA-1 of the whole content, hexadecimal. */
  checksum: string;
}

/** Requests that wait for their blocks at a time. */
const PIPELINE = 32;

/** Downloads the content from the peer. */
export async function leech(options: LeechOptions): Promise<Attempt> {
  const { from, to, timeoutMs, infoHash, length, pieceLength, checksum } = options;
  const content = new Uint8Array(length);
  let received = 0;
  const socket = connect({ host: to, port: PEER_PORT, localAddress: from });
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const failed = new Promise<never>((_, reject) => socket.on("error", reject));
  const transfer = async () => {
    const reader = new SocketReader(socket);
    socket.write(handshake(infoHash));
    await reader.bytes(HANDSHAKE_LENGTH);
    socket.write(message(INTERESTED));
    let requested = 0;
    let choked = true;
    while (received < length) {
      const { id, payload } = await reader.message();
      if (id === UNCHOKE) choked = false;
      if (id === PIECE) {
        const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
        const block = payload.subarray(8);
        content.set(block, view.getUint32(0) * pieceLength + view.getUint32(4));
        received += block.length;
      }
      while (!choked && requested < length && requested - received < PIPELINE * BLOCK_LENGTH) {
        const piece = Math.floor(requested / pieceLength);
        const size = Math.min(BLOCK_LENGTH, length - requested);
        socket.write(message(REQUEST, words(piece, requested % pieceLength, size)));
        requested += size;
      }
    }
  };
  await Promise.race([transfer(), failed]).catch(() => {/* blocked: what has arrived counts */});
  clearTimeout(timer);
  socket.destroy();
  const complete = createHash("sha1").update(content).digest("hex") === checksum;
  return { received, complete };
}

/** Asks the UDP tracker for peers (BEP 15): connect, then announce. */
export async function announce(
  options: AttemptOptions & { infoHash: Uint8Array },
): Promise<Attempt> {
  const connectRequest = new DataView(new ArrayBuffer(16));
  connectRequest.setUint32(0, 0x0000_0417);
  connectRequest.setUint32(4, 0x2710_1980);
  connectRequest.setUint32(12, 0x5eed);
  const connected = await exchange(options, TRACKER_PORT, new Uint8Array(connectRequest.buffer));
  if (connected === null) return { received: 0, complete: false };
  const request = new Uint8Array(98);
  request.set(connected.subarray(8, 16)); // connection id
  request.set(words(1, 0x5eee), 8); // action, transaction id
  request.set(options.infoHash, 16);
  request.set(peerId(), 36);
  request.set(words(0xffff_ffff), 92); // as many peers as you like
  new DataView(request.buffer).setUint16(96, PEER_PORT);
  const peers = await exchange(options, TRACKER_PORT, request);
  return { received: peers === null ? 1 : 2, complete: peers !== null };
}

/** Pings a DHT node (BEP 5). */
export async function ping(options: AttemptOptions): Promise<Attempt> {
  const query = bencode({ a: { id: randomBytes(20) }, q: "ping", t: "dm", y: "q" });
  const answer = await exchange(options, DHT_PORT, query);
  return { received: answer === null ? 0 : 1, complete: answer !== null };
}

/** Sends a datagram until an answer comes, or null when the time is up. */
async function exchange(
  { from, to, timeoutMs }: AttemptOptions,
  port: number,
  datagram: Uint8Array,
): Promise<Uint8Array | null> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, from, () => resolve()));
  const answer = new Promise<Uint8Array>((resolve) => socket.once("message", resolve));
  const send = () => socket.send(datagram, port, to);
  send();
  const again = setInterval(send, 1_000);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), timeoutMs));
  const result = await Promise.race([answer, late]);
  clearInterval(again);
  clearTimeout(timer);
  socket.close();
  return result;
}

/** A plain HTTP download, compared by the checksum that the server sends with it. */
export function download({ from, to, timeoutMs }: AttemptOptions): Promise<Attempt> {
  return new Promise((resolve) => {
    const hash = createHash("sha256");
    let received = 0;
    let expected: string | undefined;
    const end = () =>
      resolve({ received, complete: received > 0 && hash.digest("hex") === expected });
    const options = { host: to, port: WEB_PORT, path: "/file", localAddress: from };
    const sent = request(options, (response) => {
      expected = response.headers["x-checksum"]?.toString();
      response.on("data", (chunk: Uint8Array) => {
        received += chunk.length;
        hash.update(chunk);
      });
      response.on("end", end);
      response.on("error", end);
    });
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error("no answer")));
    sent.on("error", end);
    sent.end();
  });
}
