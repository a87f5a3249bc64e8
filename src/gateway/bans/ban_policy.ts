/**
 * Whom a detection bans: a pure decision over addresses. Words: the *source* sent the packet that
 * proved it; the *remote* end is the one that is not ours.
 */
import type { Networks } from "../network/networks.ts";

export const BAN_TARGETS = ["source", "remote", "both", "none"] as const;
export type BanTarget = typeof BAN_TARGETS[number];

export const BAN_SCOPES = ["ip", "endpoint"] as const;
export type BanScope = typeof BAN_SCOPES[number];

/** Netfilter hook numbers (linux/netfilter.h), as NFQUEUE tells them with each packet. */
export const HOOK_INPUT = 1;
export const HOOK_FORWARD = 2;
export const HOOK_OUTPUT = 3;

/** Ends of the packet; the answer of {@link banTargets} is a set of these bits. */
export const SOURCE_END = 1;
export const DESTINATION_END = 2;

export interface BanPolicy {
  readonly target: BanTarget;
  /** Never banned: own addresses, gateways, resolvers, {@link SPECIAL_NETWORKS}, WHITELIST_IPS. */
  readonly never: Networks;
  /** Networks behind this machine: connected ones (not the uplink's) and private ones. */
  readonly ours: Networks;
}

/**
 * Which ends of a packet to ban: 0, {@link SOURCE_END}, {@link DESTINATION_END} or both.
 *
 * In INPUT and OUTPUT this machine is one end, so `source` and `remote` both mean the other one. In
 * FORWARD the remote end is the one outside `ours`; where both or neither are ours, the responder:
 * who was called rather than who called.
 *
 * @param address source in words 0…3, destination in 4…7, as `Packet.address`
 */
export function banTargets(
  address: Int32Array,
  initiatorIsSource: boolean,
  hook: number,
  policy: BanPolicy,
): number {
  let ends = wantedEnds(address, initiatorIsSource, hook, policy);
  if ((ends & SOURCE_END) !== 0 && policy.never.contains(address, 0)) ends &= ~SOURCE_END;
  if ((ends & DESTINATION_END) !== 0 && policy.never.contains(address, 4)) ends &= ~DESTINATION_END;
  return ends;
}

function wantedEnds(
  address: Int32Array,
  initiatorIsSource: boolean,
  hook: number,
  policy: BanPolicy,
): number {
  switch (policy.target) {
    case "none":
      return 0;
    case "both":
      return SOURCE_END | DESTINATION_END;
    case "source":
      return hook === HOOK_OUTPUT ? DESTINATION_END : SOURCE_END;
    case "remote": {
      if (hook === HOOK_OUTPUT) return DESTINATION_END;
      if (hook === HOOK_INPUT) return SOURCE_END;
      const sourceIsOurs = policy.ours.contains(address, 0);
      const destinationIsOurs = policy.ours.contains(address, 4);
      if (sourceIsOurs !== destinationIsOurs) return sourceIsOurs ? DESTINATION_END : SOURCE_END;
      return initiatorIsSource ? DESTINATION_END : SOURCE_END;
    }
  }
}
