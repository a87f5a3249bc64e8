/** The flows of a freshly recorded capture, for its labels. */

import { Packet, parseIp, PROTOCOL_TCP } from "../../../src/packet/packet.ts";

/** One 5-tuple with both directions; `a` opened it (SYN, or else the first packet). */
export interface Flow {
  proto: "tcp" | "udp";
  /** `ip:port`, `[v6]:port`. */
  a: string;
  b: string;
  ports: readonly [number, number];
  /** `[a to b, b to a]`. */
  packets: [number, number];
  payloadPackets: [number, number];
  /** First bytes of each direction as Latin-1, in the order they were sent. */
  opening: [string, string];
}

const GLOBAL_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;
const ETHERNET_HEADER_LENGTH = 14;
const OPENING_LENGTH = 8_192;

/** Reads what tcpdump writes here: microsecond pcap, little-endian, Ethernet. */
export function listFlows(file: Uint8Array): Flow[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  if (view.getUint32(0, true) !== 0xa1b2_c3d4) throw new Error("not a little-endian pcap file");
  const flows = new Map<string, Flow>();
  const packet = new Packet();
  let at = GLOBAL_HEADER_LENGTH;
  while (at + RECORD_HEADER_LENGTH <= file.length) {
    const length = view.getUint32(at + 8, true);
    const start = at + RECORD_HEADER_LENGTH + ETHERNET_HEADER_LENGTH;
    const end = at + RECORD_HEADER_LENGTH + length;
    if (parseIp(packet, file, start, end)) count(flows, packet);
    at = end;
  }
  return [...flows.values()];
}

function count(flows: Map<string, Flow>, packet: Packet): void {
  const proto = packet.protocol === PROTOCOL_TCP ? "tcp" : "udp";
  const a = endpoint(packet, 0, packet.sourcePort);
  const b = endpoint(packet, 4, packet.destinationPort);
  let flow = flows.get(`${proto} ${a} ${b}`);
  let direction: 0 | 1 = 0;
  if (flow === undefined) {
    flow = flows.get(`${proto} ${b} ${a}`);
    direction = 1;
  }
  if (flow === undefined) {
    direction = 0;
    flow = {
      proto,
      a,
      b,
      ports: [packet.sourcePort, packet.destinationPort],
      packets: [0, 0],
      payloadPackets: [0, 0],
      opening: ["", ""],
    };
    flows.set(`${proto} ${a} ${b}`, flow);
  }
  flow.packets[direction]++;
  if (packet.payloadEnd === packet.payloadStart) return;
  flow.payloadPackets[direction]++;
  if (flow.opening[direction].length < OPENING_LENGTH) {
    const payload = packet.bytes.subarray(packet.payloadStart, packet.payloadEnd);
    flow.opening[direction] += Array.from(payload, (byte) => String.fromCharCode(byte)).join("");
  }
}

function endpoint(packet: Packet, word: number, port: number): string {
  const words = packet.address.subarray(word, word + 4);
  if (packet.family === 4) {
    const ip = words[3];
    return `${ip >>> 24}.${(ip >> 16) & 255}.${(ip >> 8) & 255}.${ip & 255}:${port}`;
  }
  const groups = [...words].flatMap((w) => [w >>> 16, w & 0xffff]).map((g) => g.toString(16));
  // URL writes an address in its canonical form, "::" included.
  return `${new URL(`http://[${groups.join(":")}]`).hostname}:${port}`;
}
