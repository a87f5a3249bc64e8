/** Default routes of the main tables, from /proc/net/route and /proc/net/ipv6_route (proc(5)). */
import { MAPPED } from "../../packet/packet.ts";

export interface Route {
  readonly interface: string;
  /** Next hop; null on a point-to-point link. */
  readonly gateway: Int32Array | null;
  readonly metric: number;
}

const ROUTE_UP = 0x0001; // RTF_UP, RTF_REJECT of linux/route.h
const ROUTE_REJECT = 0x0200;

/** Default routes of this network namespace, IPv4 first, by metric. */
export function defaultRoutes(): Route[] {
  return [
    ...readIpv4Routes(readStart("/proc/net/route")),
    ...readIpv6Routes(readWhole("/proc/net/ipv6_route")),
  ];
}

/**
 * Default routes in the text of /proc/net/route. Columns: Iface Destination Gateway Flags RefCnt Use
 * Metric Mask …; addresses are 32-bit numbers in host order, of bytes in network order.
 */
export function readIpv4Routes(text: string): Route[] {
  const routes: Route[] = [];
  for (const line of text.split("\n").slice(1)) {
    const [name, destination, gateway, flags, , , metric, mask] = line.split(/\s+/);
    if (destination !== "00000000" || mask !== "00000000" || !isUsable(flags)) continue;
    routes.push({ interface: name, gateway: ipv4Gateway(gateway), metric: Number(metric) });
  }
  return routes.sort(byMetric);
}

function ipv4Gateway(hex: string): Int32Array | null {
  const word = Number.parseInt(hex, 16);
  if (word === 0) return null;
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, word, true);
  return Int32Array.of(0, 0, MAPPED, view.getInt32(0));
}

/**
 * Default routes in the text of /proc/net/ipv6_route. Columns, all hexadecimal: destination, its
 * prefix length, source, its prefix length, next hop, metric, references, uses, flags; interface.
 */
export function readIpv6Routes(text: string): Route[] {
  const routes: Route[] = [];
  for (const [line] of text.matchAll(/^0{32} 00 .+$/gm)) {
    const [, , , , gateway, metric, , , flags, name] = line.split(/\s+/);
    if (name === "lo" || !isUsable(flags)) continue;
    routes.push({
      interface: name,
      gateway: ipv6Gateway(gateway),
      metric: Number.parseInt(metric, 16),
    });
  }
  return routes.sort(byMetric);
}

function ipv6Gateway(hex: string): Int32Array | null {
  const words = Int32Array.from(
    { length: 4 },
    (_, word) => Number.parseInt(hex.slice(word * 8, word * 8 + 8), 16) | 0,
  );
  return words.every((word) => word === 0) ? null : words;
}

function isUsable(flags: string): boolean {
  const bits = Number.parseInt(flags, 16);
  return (bits & ROUTE_UP) !== 0 && (bits & ROUTE_REJECT) === 0;
}

function byMetric(a: Route, b: Route): number {
  return a.metric - b.metric;
}

const START = 65536;

/** The beginning of a file: IPv4 routes come in order of destination, and a router may have 10^6. */
function readStart(path: string): string {
  try {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(START);
    let length = 0;
    for (let count: number | null = 0; count !== null && length < START; length += count ?? 0) {
      count = file.readSync(bytes.subarray(length));
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  } catch {
    return "";
  }
}

function readWhole(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // no IPv6 in this kernel
  }
}
