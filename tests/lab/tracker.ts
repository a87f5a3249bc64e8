/**
 * A tracker for one small swarm, run as a program inside a namespace:
 *
 *     deno run -A tests/lab/tracker.ts --http 6969 --udp 6969 [--peers 198.18.2.2:51413,…]
 *
 * HTTP (BEP 3, 7, 23, 48) and UDP (BEP 15). With `--peers` it names those and learns none. Prints
 * `ready`, then one line an announce.
 */

import { parseArgs } from "node:util";
import { createSocket, type RemoteInfo } from "node:dgram";
import { bencode, concat } from "../../src/demo/bencode.ts";

const INTERVAL_S = 5;
const PROTOCOL_ID = 0x0000_0417_2710_1980n; // BEP 15

interface Endpoint {
  /** 4 or 16 bytes. */
  address: Uint8Array;
  port: number;
}

class Swarms {
  private readonly swarms = new Map<string, Map<string, Endpoint>>();

  constructor(private readonly fixed: readonly Endpoint[] | null) {}

  /** The peers of a torrent but the one that asks. */
  announce(infoHash: string, self: Endpoint, stopped: boolean): Endpoint[] {
    if (this.fixed !== null) return [...this.fixed];
    let swarm = this.swarms.get(infoHash);
    if (swarm === undefined) this.swarms.set(infoHash, swarm = new Map());
    const key = `${self.address.join(".")}:${self.port}`;
    const others = [...swarm].filter(([other]) => other !== key).map(([, peer]) => peer);
    if (stopped) swarm.delete(key);
    else swarm.set(key, self);
    return others;
  }
}

/** Compact form: address and port of the peers of one family (BEP 23, BEP 7). */
function compact(peers: readonly Endpoint[], addressLength: 4 | 16): Uint8Array {
  return concat(
    peers.filter((peer) => peer.address.length === addressLength)
      .map(({ address, port }) => concat([address, Uint8Array.of(port >> 8, port & 0xff)])),
  );
}

/** 4 or 16 bytes; an IPv4-mapped address is an IPv4 address. */
function parseAddress(text: string): Uint8Array {
  const mapped = text.replace(/^::ffff:(?=\d+\.)/, "");
  if (!mapped.includes(":")) return Uint8Array.from(mapped.split("."), Number);
  const [head, tail] = mapped.split("::");
  const words = (part: string | undefined) =>
    part ? part.split(":").map((w) => parseInt(w, 16)) : [];
  const left = words(head);
  const right = words(tail);
  const all = [...left, ...Array(8 - left.length - right.length).fill(0), ...right];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** Bytes of a percent-encoded query value. */
function unescape(value: string): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < value.length; i++) {
    if (value[i] === "%") {
      bytes.push(parseInt(value.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(value.charCodeAt(i));
  }
  return Uint8Array.from(bytes);
}

function serveHttp(port: number, swarms: Swarms): void {
  Deno.serve({ port, hostname: "::", onListen() {} }, (request, info) => {
    // Not through URL: libtorrent's Host header of an IPv6 tracker has no brackets.
    const search = request.url.slice(request.url.indexOf("?") + 1);
    const query = new Map(
      search.split("&").map((part) => {
        const at = part.indexOf("=");
        return [part.slice(0, at), part.slice(at + 1)];
      }),
    );
    const infoHash = unescape(query.get("info_hash") ?? "").toHex();
    const self = {
      address: parseAddress(info.remoteAddr.hostname),
      port: Number(query.get("port")),
    };
    const event = query.get("event") ?? "";
    const peers = swarms.announce(infoHash, self, event === "stopped");
    console.log(`http ${info.remoteAddr.hostname} ${infoHash} ${event} peers=${peers.length}`);
    const peers6 = compact(peers, 16);
    const body = bencode({
      interval: INTERVAL_S,
      "min interval": INTERVAL_S,
      complete: 1,
      incomplete: 1,
      peers: compact(peers, 4),
      peers6: peers6.length > 0 ? peers6 : undefined,
    });
    return new Response(new Uint8Array(body), { headers: { "content-type": "text/plain" } });
  });
}

function answerUdp(message: Uint8Array, from: RemoteInfo, swarms: Swarms): Uint8Array | null {
  if (message.length < 16) return null;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const action = view.getUint32(8);
  const transaction = view.getUint32(12);
  if (action === 0 && view.getBigUint64(0) === PROTOCOL_ID) {
    const answer = new DataView(new ArrayBuffer(16));
    answer.setUint32(4, transaction);
    answer.setBigUint64(8, 0x1234_5678_9abc_def0n);
    return new Uint8Array(answer.buffer);
  }
  if (action !== 1 || message.length < 98) return null;
  const infoHash = message.slice(16, 36).toHex();
  const self = { address: parseAddress(from.address), port: view.getUint16(96) };
  const peers = swarms.announce(infoHash, self, view.getUint32(80) === 3);
  console.log(`udp ${from.address} ${infoHash} peers=${peers.length}`);
  const head = new DataView(new ArrayBuffer(20));
  head.setUint32(0, 1);
  head.setUint32(4, transaction);
  head.setUint32(8, INTERVAL_S);
  head.setUint32(12, 1);
  head.setUint32(16, 1);
  return concat([new Uint8Array(head.buffer), compact(peers, from.family === "IPv4" ? 4 : 16)]);
}

function serveUdp(port: number, swarms: Swarms): void {
  for (const type of ["udp4", "udp6"] as const) {
    const socket = createSocket({ type, ipv6Only: true });
    socket.on("message", (message: Uint8Array, from: RemoteInfo) => {
      const answer = answerUdp(message, from, swarms);
      if (answer !== null) socket.send(answer, from.port, from.address);
    });
    socket.bind(port);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { http: { type: "string" }, udp: { type: "string" }, peers: { type: "string" } },
  });
  const fixed = values.peers?.split(",").map((peer) => {
    const colon = peer.lastIndexOf(":");
    const host = peer.slice(0, colon).replace(/^\[|\]$/g, "");
    return { address: parseAddress(host), port: Number(peer.slice(colon + 1)) };
  });
  const swarms = new Swarms(fixed ?? null);
  if (values.http !== undefined) serveHttp(Number(values.http), swarms);
  if (values.udp !== undefined) serveUdp(Number(values.udp), swarms);
  console.log("ready");
}
