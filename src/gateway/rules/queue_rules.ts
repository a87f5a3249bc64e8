/** What is queued, and to which queue: the rules at the end of our chains. */

import { hex } from "./marks.ts";
import type { GuardedTraffic } from "./rule_text.ts";

/** What is queued: protocols with ports, by name and number… */
export const PORT_PROTOCOLS = [["tcp", 6], ["udp", 17]] as const;
/** …and what is looked into: IPv4 and IPv6 in IP (RFC 2003, 2473), GRE (RFC 2784). */
export const TUNNEL_PROTOCOLS = ["4", "41", "47"];

/** Groups of queues that the flows between two addresses are spread over, where so many divide them. */
const PORT_GROUPS = [4, 2];

/** Queues beside each other, and whose packets they get. */
export interface QueueGroup {
  readonly first: number;
  readonly count: number;
  /** Null: all that no group before wants. */
  readonly ports: PortBits | null;
}

/** Of both ports as they stand in the header, a word of 32 bits with the source port first. */
export interface PortBits {
  readonly mask: number;
  /** What may be left of the ports under the mask. */
  readonly values: readonly number[];
}

/**
 * Both directions of a flow must reach one worker: the kernel chooses among the queues of a rule by
 * the addresses, whichever is the source. --queue-cpu-fanout would choose by processor and tear flows
 * apart. The ports choose among groups of queues before, so that two hosts alone do not keep one
 * worker busy while the others sleep.
 *
 * @returns in the order in which the rules must stand
 */
export function queueGroups(
  { queueNumber, queueCount }: Pick<GuardedTraffic, "queueNumber" | "queueCount">,
): QueueGroup[] {
  const groups = PORT_GROUPS.find((count) => queueCount % count === 0) ?? 1;
  const count = queueCount / groups;
  return Array.from({ length: groups }, (_, index) => {
    const group = (index + 1) % groups;
    const ports = group === 0 ? null : portsOfGroup(groups, group);
    return { first: queueNumber + group * count, count, ports };
  });
}

/**
 * The ports' bits above the lowest differ by `group`, whichever is the source. The lowest bit is no
 * choice: Linux gives connections ports of one parity.
 */
function portsOfGroup(groups: number, group: number): PortBits {
  const word = (source: number, destination: number) => (source << 17) | (destination << 1);
  const values = Array.from({ length: groups }, (_, port) => word(port, port ^ group));
  return { mask: word(groups - 1, groups - 1), values };
}

/** The rules that queue, without what they demand of the marks. */
export function queueRules(
  traffic: Pick<GuardedTraffic, "queueNumber" | "queueCount">,
  family: 4 | 6,
  hasU32: boolean,
): string[] {
  const { queueNumber: first, queueCount: count } = traffic;
  const all: QueueGroup = { first, count, ports: null };
  const rules: string[] = [];
  for (const [protocol, number] of PORT_PROTOCOLS) {
    for (const group of hasU32 ? queueGroups(traffic) : [all]) {
      const test = group.ports === null ? "" : portTest(group.ports, family, number);
      rules.push(`-p ${protocol} ${test}${target(group)}`);
    }
  }
  for (const tunnel of TUNNEL_PROTOCOLS) rules.push(`-p ${tunnel} ${target(all)}`);
  return rules;
}

function target({ first, count }: QueueGroup): string {
  const queues = count > 1
    ? `--queue-balance ${first}:${first + count - 1}`
    : `--queue-num ${first}`;
  return `-j NFQUEUE ${queues} --queue-bypass`;
}

/** With xt_u32, for IPv6 only where the transport header is the first. */
function portTest({ mask, values }: PortBits, family: 4 | 6, protocol: number): string {
  const ports = `${hex(mask)}=${values.map(hex).join(",")}`;
  const test = family === 4 ? `0>>22&0x3C@0&${ports}` : `4>>8&0xFF=${protocol}&&40&${ports}`;
  return `-m u32 --u32 "${test}" `;
}
