/** What of the seeders' bytes reached the leecher, counted by the kernel behind its interface. */

import type { Host } from "../../../src/demo/network.ts";

const CHAIN = "WIRE";
/** IP header; TCP's with time stamps, as Linux sends it in every segment after the first, and UDP's. */
const HEADERS = {
  iptables: { tcp: 20 + 32, udp: 20 + 8 },
  ip6tables: { tcp: 40 + 32, udp: 40 + 8 },
} as const;
const COMMANDS = ["iptables", "ip6tables"] as const;

/**
 * Payload of TCP and UDP that came in over the network, from anybody but the tracker: handshakes,
 * messages, blocks, and what was sent twice. Right but for the selective acknowledgments in headers.
 */
export class WireCounter {
  private constructor(private readonly host: Host) {}

  /** Counts on the leecher's host from now on; `trackers` are the addresses that do not count. */
  static async start(host: Host, trackers: readonly string[]): Promise<WireCounter> {
    for (const command of COMMANDS) {
      const mangle = (...rule: string[]) =>
        host.run([command, "-w", "10", "-t", "mangle", ...rule]);
      await mangle("-N", CHAIN);
      for (const address of trackers) {
        if (address.includes(":") !== (command === "ip6tables")) continue;
        await mangle("-A", CHAIN, "-s", address, "-j", "RETURN");
      }
      // Without payload, and with headers of other lengths.
      for (const flag of ["SYN", "RST"]) {
        await mangle("-A", CHAIN, "-p", "tcp", "--tcp-flags", flag, flag, "-j", "RETURN");
      }
      for (const transport of ["tcp", "udp"]) await mangle("-A", CHAIN, "-p", transport);
      await mangle("-A", "INPUT", "-i", "eth0", "-j", CHAIN);
    }
    return new WireCounter(host);
  }

  /** Bytes so far. */
  async bytes(): Promise<number> {
    let total = 0;
    for (const command of COMMANDS) {
      const rules = await this.host.run([command, "-w", "10", "-t", "mangle", "-S", CHAIN, "-v"]);
      total += payloadOf(rules, HEADERS[command]);
    }
    return total;
  }
}

/** The counters of the rules that only count, less the headers of their packets. */
export function payloadOf(rules: string, headers: { tcp: number; udp: number }): number {
  let total = 0;
  for (const line of rules.split("\n")) {
    const counting = /^-A \w+ -p (tcp|udp) -c (\d+) (\d+)$/.exec(line.trim());
    if (counting === null) continue;
    const [, transport, packets, bytes] = counting;
    total += Math.max(0, Number(bytes) - Number(packets) * headers[transport as "tcp" | "udp"]);
  }
  return total;
}
