/**
 * Everybody's traffic and a torrent's, on one port each:
 *
 *     traffic.ts serve             echoes; prints `torrent` for every BitTorrent message that arrives
 *     traffic.ts visit PORT HOST…  25 connections and 25 5-tuples of UDP to each, and 5 to a port that
 *                                  may be refused; prints how many were served. UDP leaves from the
 *                                  ports from PORT on; 0: from random ones
 *     traffic.ts torrent HOST…     3 handshakes and 3 questions to the DHT to each
 */

import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { handshake } from "../../../src/demo/peer_wire.ts";

/** Where the server answers; a neighbour may be told to refuse the second. */
export const OPEN_PORT = 7000;
export const REFUSED_PORT = 7001;
export const TORRENT_PORT = 51_413;

export const FLOWS = 25;
/** More than the engine needs to let a flow go. */
const ROUNDS = 12;
const PATIENCE_MS = 20_000;
/** For answers that must not come. */
const SILENCE_MS = 700;

const LINE = `${"the quick brown fox jumps over the lazy dog ".repeat(4)}\r\n`;
/** BEP 5, get_peers. */
const QUERY = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e" +
  "1:q9:get_peers1:t2:aa1:y1:qe";

function serve(port: number): void {
  const tell = (bytes: Uint8Array) => {
    const text = new TextDecoder("latin1").decode(bytes);
    if (/BitTorrent protocol|get_peers/.test(text)) console.log("torrent");
  };
  createServer((socket) => {
    socket.on("error", () => {/* a blocked peer goes away without a word */});
    socket.on("data", (bytes) => {
      tell(bytes);
      socket.write(bytes);
    });
  }).listen(port, "::");
  const socket = createSocket({ type: "udp6" });
  socket.on("message", (bytes, from) => {
    tell(bytes);
    socket.send(bytes, from.port, from.address);
  });
  socket.bind(port, "::");
}

/** Whether the stream came back as often as it was sent. */
function overTcp(host: string, port: number, bytes: Uint8Array, rounds: number, ms: number) {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  const timer = setTimeout(() => resolve(false), ms);
  let received = 0;
  socket.on("connect", () => socket.write(bytes));
  socket.on("error", () => resolve(false));
  socket.on("data", (part) => {
    received += part.length;
    if (received === rounds * bytes.length) resolve(true);
    else if (received % bytes.length === 0) socket.write(bytes);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function overUdp(
  host: string,
  port: number,
  bytes: Uint8Array,
  rounds: number,
  ms: number,
  from = 0,
) {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const timer = setTimeout(() => resolve(false), ms);
  let received = 0;
  socket.on("error", () => resolve(false));
  socket.on("message", () => {
    if (++received === rounds) resolve(true);
    else socket.send(bytes, port, host);
  });
  socket.bind(from, () => socket.send(bytes, port, host));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

async function count(flows: Promise<boolean>[]): Promise<number> {
  return (await Promise.all(flows)).filter((isServed) => isServed).length;
}

function times<T>(number: number, one: (index: number) => T): T[] {
  return Array.from({ length: number }, (_, index) => one(index));
}

/** Of everybody's flows those that were served. */
export interface Visit {
  tcp: number;
  udp: number;
  /** Over TCP, of those to the port that the neighbour may refuse. */
  refusable: number;
}

async function visit(from: number, hosts: readonly string[]): Promise<Visit> {
  const line = new TextEncoder().encode(LINE);
  const to = (host: string) => [host, OPEN_PORT, line, ROUNDS, PATIENCE_MS] as const;
  const [tcp, udp, refusable] = [
    hosts.flatMap((host) => times(FLOWS, () => overTcp(...to(host)))),
    hosts.flatMap((host, at) =>
      times(FLOWS, (index) => overUdp(...to(host), from === 0 ? 0 : from + at * FLOWS + index))
    ),
    hosts.flatMap((host) => times(5, () => overTcp(host, REFUSED_PORT, line, 1, SILENCE_MS))),
  ];
  return { tcp: await count(tcp), udp: await count(udp), refusable: await count(refusable) };
}

async function torrent(hosts: readonly string[]): Promise<void> {
  const hello = new Uint8Array(handshake(crypto.getRandomValues(new Uint8Array(20))));
  const query = new TextEncoder().encode(QUERY);
  await Promise.all(hosts.flatMap((host) => [
    ...times(3, () => overTcp(host, TORRENT_PORT, hello, 1, SILENCE_MS)),
    ...times(3, () => overUdp(host, TORRENT_PORT, query, 1, SILENCE_MS)),
  ]));
}

if (import.meta.main) {
  const [command, ...rest] = Deno.args;
  if (command === "serve") {
    for (const port of [OPEN_PORT, REFUSED_PORT, TORRENT_PORT]) serve(port);
    console.log("ready");
  } else {
    if (command === "visit") {
      const [from, ...hosts] = rest;
      console.log(JSON.stringify(await visit(Number(from), hosts)));
    } else await torrent(rest);
    Deno.exit(0);
  }
}
