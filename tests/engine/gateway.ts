/** An engine that knows interfaces and routes, as in a gateway, for tests. */
import type { EnginePolicy } from "../../src/engine/policy.ts";
import type { Paths } from "../../src/engine/sender.ts";
import { formatAddress } from "../../src/packet/address.ts";
import type { Packet } from "../../src/packet/packet.ts";
import { TestEngine } from "./conversation.ts";

export const [LAN, OTHER_LAN, UPLINK, UPLINK2] = [2, 3, 8, 9];
export const INSIDE = "10.0.0.1:50000";
export const NEIGHBOUR = "10.0.0.2:50000";
export const ELSEWHERE = "10.1.0.1:50000"; // behind the other link
export const OWN = "203.0.113.1:50000";
export const OUTSIDE = "198.51.100.1:40000";

/** Where the test's addresses are; everybody else is in the internet. */
export function homeOf(address: string): number {
  if (address.startsWith("10.0.0.")) return LAN;
  return address.startsWith("10.1.0.") ? OTHER_LAN : UPLINK;
}

const PATHS: Paths = {
  isInside: (_address, _at, number) => number === LAN || number === OTHER_LAN,
  isOwn: (address, at) => formatAddress(address, at) === "203.0.113.1",
  leadsBack: (address, at, number) => {
    const home = homeOf(formatAddress(address, at));
    return home === number || (home === UPLINK && number === UPLINK2);
  },
};

/** A gateway: packets come in by where their source is, unless said otherwise. */
export class Gateway extends TestEngine {
  from: (source: string) => number = homeOf;
  to: (destination: string) => number = homeOf;

  constructor(policy: Partial<EnginePolicy> = {}) {
    super(policy, { paths: PATHS });
  }

  override judge(packet: Packet) {
    const { address } = packet;
    packet.inputInterface = packet.inputLink = this.from(formatAddress(address, 0));
    packet.outputLink = this.to(formatAddress(address, 4));
    return super.judge(packet);
  }
}
