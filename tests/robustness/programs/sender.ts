/**
 * Puts frames on a link as fast as asked, from addresses that are not its own:
 *
 *     sender.ts ORDER-JSON
 *
 * Addresses of the sources count up from 10.0.0.0. Prints how many frames it has sent.
 */
import { interfaceIndex } from "../../../ffi/libc.ts";
import { libc, must } from "../../bench/gateway/sockets.ts";
import { DHT_PING } from "../../engine/conversation.ts";
import { hex } from "../../protocols/datagrams.ts";
import { type Ends, ip, join, TCP, tcp, UDP, udp } from "../packets.ts";

const { symbols: packetSocket } = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
});

export interface Order {
  /**
   * `syn`: TCP connections that are never completed. `udp`: datagrams to random ports. `dht`: a query
   * of each address. `fragments`: of datagrams that never become whole. `tiny`: one byte of a
   * handshake each. `frames`: those given, once.
   */
  kind: "syn" | "udp" | "dht" | "fragments" | "tiny" | "frames";
  /** Of the router's end of the link. */
  mac: string;
  destination: string;
  count: number;
  /** Frames a second. */
  rate: number;
  /** Distinct source addresses. */
  sources?: number;
  /** From the IP header on, in hexadecimal. */
  packets?: string[];
}

const BATCH = 64;
const SLOT = 256;
const MMSGHDR_LENGTH = 64;
const ETHERNET = 14;
/** What C keeps the addresses of. */
const kept: Uint8Array[] = [];

if (import.meta.main) send(JSON.parse(Deno.args[0]));

function send(order: Order): void {
  const fd = openLink("eth0");
  const header = join(hex(order.mac.replaceAll(":", "") + "020000000099"), hex("0800"));
  if (order.kind === "frames") {
    for (const packet of order.packets!) {
      const frame = join(header, hex(packet));
      frame[12] = frame[14] >> 4 === 6 ? 0x86 : 0x08;
      frame[13] = frame[14] >> 4 === 6 ? 0xdd : 0x00;
      must(libc.send(fd, frame, BigInt(frame.length), 0), "send");
    }
    console.log(order.packets!.length);
    return;
  }
  const template = join(header, templateOf(order));
  const slots = new Uint8Array(BATCH * SLOT);
  for (let i = 0; i < BATCH; i++) slots.set(template, i * SLOT);
  const headers = messageHeaders(slots, template.length);
  const sources = order.sources ?? 1 << 20;
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  const began = performance.now();
  let sent = 0;
  while (sent < order.count) {
    for (let i = 0; i < BATCH; i++) change(slots, i * SLOT + ETHERNET, order, sent + i, sources);
    const now = Math.min(BATCH, order.count - sent);
    sent += must(libc.sendmmsg(fd, headers as unknown as BufferSource, now, 0), "send");
    const early = (sent / order.rate) * 1000 - (performance.now() - began);
    if (early > 2) Atomics.wait(sleep, 0, 0, early);
  }
  console.log(sent);
}

/** A packet socket bound to a link, for whole frames. */
export function openLink(name: string): number {
  const [AF_PACKET, SOCK_RAW] = [17, 3];
  const fd = must(packetSocket.socket(AF_PACKET, SOCK_RAW, 0), "open a packet socket");
  const address = new Uint8Array(20); // struct sockaddr_ll
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, 0x0800);
  view.setInt32(4, interfaceIndex(name), true);
  must(libc.bind(fd, address, 20), "bind to the link");
  return fd;
}

/** A packet from 10.0.0.0, whose address counts nothing in the checksums yet. */
function templateOf({ kind, destination }: Order): Uint8Array {
  const ends: Ends = { source: "10.0.0.0", destination };
  const ports = { sourcePort: 1024, destinationPort: 8080, sequence: 0x1000 };
  switch (kind) {
    case "syn":
      return ip({ ...ends, protocol: TCP }, tcp({ ...ports, flags: 2 }, new Uint8Array(0), ends));
    case "tiny":
      return ip({ ...ends, protocol: TCP }, tcp({ ...ports, sequence: 0x1001 }, hex("13"), ends));
    case "dht":
      return ip({ ...ends, protocol: UDP }, udp(6881, 6881, DHT_PING, ends));
    case "fragments": {
      const fragment = { offset: 64, more: true, id: 1 };
      return ip({ ...ends, protocol: UDP, fragment }, new Uint8Array(64));
    }
    default:
      return ip({ ...ends, protocol: UDP }, udp(1024, 8080, new Uint8Array(20).fill(0x80), ends));
  }
}

/** Gives a packet its own source, ports and id; the checksums follow (RFC 1624). */
function change(bytes: Uint8Array, at: number, order: Order, n: number, sources: number): void {
  const { kind } = order;
  const source = (n % sources) + 1;
  const port = 1024 + (n * 7919) % 60_000;
  let ipChange = put(bytes, at + 12, 0x0a00 | (source >>> 16)) +
    put(bytes, at + 14, source & 0xffff);
  const addressChange = ipChange;
  if (kind === "fragments") ipChange += put(bytes, at + 4, n & 0xffff);
  adjust(bytes, at + 10, ipChange);
  if (kind === "fragments") return;
  const checksumAt = at + 20 + (kind === "syn" || kind === "tiny" ? 16 : 6);
  let change = addressChange;
  if (kind !== "dht") change += put(bytes, at + 20, port);
  if (kind === "udp") change += put(bytes, at + 22, 4096 + (n * 104_729) % 60_000);
  adjust(bytes, checksumAt, change);
}

/** Writes 16 bits; how much the one's complement sum grows by it. */
function put(bytes: Uint8Array, at: number, value: number): number {
  const before = (bytes[at] << 8) | bytes[at + 1];
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
  return (~before & 0xffff) + value;
}

function adjust(bytes: Uint8Array, at: number, change: number): void {
  let sum = (~((bytes[at] << 8) | bytes[at + 1]) & 0xffff) + change;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes[at] = (~sum & 0xffff) >> 8;
  bytes[at + 1] = ~sum;
}

/** struct mmsghdr of each slot: one iovec, no name. */
function messageHeaders(slots: Uint8Array<ArrayBuffer>, length: number): BigUint64Array {
  const vectors = new BigUint64Array(BATCH * 2);
  const headers = new BigUint64Array(BATCH * (MMSGHDR_LENGTH / 8));
  const slotsAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(slots));
  const vectorsAt = Deno.UnsafePointer.value(Deno.UnsafePointer.of(vectors));
  kept.push(slots, new Uint8Array(vectors.buffer));
  for (let i = 0; i < BATCH; i++) {
    vectors.set([slotsAt + BigInt(i * SLOT), BigInt(length)], i * 2);
    headers.set([0n, 0n, vectorsAt + BigInt(i * 16), 1n], i * (MMSGHDR_LENGTH / 8));
  }
  return headers;
}
