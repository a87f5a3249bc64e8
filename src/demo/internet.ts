/**
 * The demo's internet, one process on the outer host: a peer that has a whole file, a UDP tracker
 * and an HTTP tracker that know it, a DHT node, and a web server with a plain download.
 */

import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { bencode } from "./bencode.ts";
import {
  BITFIELD,
  handshake,
  HANDSHAKE_LENGTH,
  INTERESTED,
  message,
  PIECE,
  readHandshake,
  REQUEST,
  SocketReader,
  UNCHOKE,
} from "./peer_wire.ts";
import { randomBytes } from "./torrent.ts";

export const PEER_PORT = 51_413;
export const TRACKER_PORT = 6_969;
export const DHT_PORT = 6_881;
export const WEB_PORT = 8_080;
export const DOWNLOAD_LENGTH = 20 << 20;

export interface InternetOptions {
  /** Own address, told by the trackers. */
  address: string;
  content: Uint8Array;
  pieceLength: number;
  infoHash: Uint8Array;
}

/** Serves until the process is ended; prints `ready` when all sockets are open. */
export async function serveInternet(options: InternetOptions): Promise<void> {
  await Promise.all([servePeers(options), serveTracker(options), serveDht()]);
  serveWeb(options);
  console.log("ready");
}

function servePeers(options: InternetOptions): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => {/* a peer that is blocked goes away without a word */});
    upload(socket, options).catch(() => socket.destroy());
  });
  return new Promise((resolve) => server.listen(PEER_PORT, "0.0.0.0", resolve));
}

async function upload(socket: Socket, options: InternetOptions): Promise<void> {
  const { content, pieceLength, infoHash } = options;
  const reader = new SocketReader(socket);
  if (readHandshake(await reader.bytes(HANDSHAKE_LENGTH)) === null) throw new Error("no peer");
  const pieces = Math.ceil(content.length / pieceLength);
  const bitfield = new Uint8Array(Math.ceil(pieces / 8));
  for (let piece = 0; piece < pieces; piece++) bitfield[piece >> 3] |= 0x80 >> (piece & 7);
  socket.write(handshake(infoHash));
  socket.write(message(BITFIELD, bitfield));
  while (true) {
    const { id, payload } = await reader.message();
    if (id === INTERESTED) socket.write(message(UNCHOKE));
    if (id !== REQUEST) continue;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const start = view.getUint32(0) * pieceLength + view.getUint32(4);
    const block = content.subarray(start, start + view.getUint32(8));
    const answer = new Uint8Array(8 + block.length);
    answer.set(payload.subarray(0, 8));
    answer.set(block, 8);
    socket.write(message(PIECE, answer));
  }
}

/** Address and port of the one peer, as trackers tell it (BEP 23). */
function compactPeer(address: string): Uint8Array {
  return Uint8Array.of(...address.split(".").map(Number), PEER_PORT >> 8, PEER_PORT & 0xff);
}

/** BEP 15: connect (action 0) and announce (action 1). */
function serveTracker({ address }: InternetOptions): Promise<void> {
  const socket = createSocket("udp4");
  socket.on("message", (request, from) => {
    if (request.length < 16) return;
    const view = new DataView(request.buffer, request.byteOffset, request.length);
    const action = view.getUint32(8);
    const answer = new DataView(new ArrayBuffer(action === 0 ? 16 : 26));
    answer.setUint32(0, action);
    answer.setUint32(4, view.getUint32(12)); // transaction id
    if (action === 0) {
      answer.setUint32(8, 0x5eed_5eed); // connection id
      answer.setUint32(12, 0x0dec_0de0);
    } else {
      answer.setUint32(8, 1800); // interval
      answer.setUint32(16, 1); // seeders
      new Uint8Array(answer.buffer).set(compactPeer(address), 20);
    }
    socket.send(new Uint8Array(answer.buffer), from.port, from.address);
  });
  return new Promise((resolve) => socket.bind(TRACKER_PORT, "0.0.0.0", () => resolve()));
}

/** BEP 5: answers every query as if it were a ping. */
function serveDht(): Promise<void> {
  const socket = createSocket("udp4");
  const id = randomBytes(20);
  socket.on("message", (query, from) => {
    const text = new TextDecoder("latin1").decode(query);
    const transaction = /1:t2:([^]{2})/.exec(text)?.[1] ?? "aa";
    const t = Uint8Array.from(transaction, (char) => char.charCodeAt(0));
    socket.send(bencode({ r: { id }, t, y: "r" }), from.port, from.address);
  });
  return new Promise((resolve) => socket.bind(DHT_PORT, "0.0.0.0", () => resolve()));
}

function serveWeb({ address }: InternetOptions): void {
  const file = randomBytes(DOWNLOAD_LENGTH);
  const checksum = createHash("sha256").update(file).digest("hex");
  Deno.serve({ port: WEB_PORT, hostname: "0.0.0.0", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/announce") {
      const answer = bencode({ interval: 1800, complete: 1, peers: compactPeer(address) });
      return new Response(new Uint8Array(answer));
    }
    return new Response(new Uint8Array(file), { headers: { "x-checksum": checksum } });
  });
}
