/**
 * Whom a detection bans: a pure decision over addresses. Words: the *source* sent the packet that
 * proved it; the *remote* end is the one that is not ours.
 */
import type { Detection } from "../../engine/conviction.ts";
import { DESTINATION_END, SOURCE_END } from "../../engine/sender.ts";
import type { Networks } from "../network/networks.ts";

export const BAN_TARGETS = ["source", "remote", "both", "none"] as const;
export type BanTarget = typeof BAN_TARGETS[number];

const BAN_SCOPES = ["ip", "endpoint"] as const;
export type BanScope = typeof BAN_SCOPES[number];

/** Netfilter hook numbers (linux/netfilter.h), as NFQUEUE tells them with each packet. */
export const HOOK_INPUT = 1;
export const HOOK_FORWARD = 2;
export const HOOK_OUTPUT = 3;

export interface BanPolicy {
  readonly target: BanTarget;
  /** BAN_REQUIRES_REPLY: only ends that are known to be real are banned. */
  readonly requiresReply: boolean;
  /** Never banned: own addresses, gateways, resolvers, {@link SPECIAL_NETWORKS}, WHITELIST_IPS. */
  readonly never: Networks;
  /** Networks behind this machine: connected ones (not the uplink's) and private ones. */
  readonly ours: Networks;
}

/** What of a detection decides whom it bans. */
export type Accused = Pick<
  Detection,
  "address" | "mayBan" | "acted" | "offenders" | "real" | "initiatorIsSource"
>;

/**
 * Which ends of a packet to ban, as bits: none, {@link SOURCE_END}, {@link DESTINATION_END} or both.
 * Only ends that have acted in BitTorrent themselves, and, unless BAN_REQUIRES_REPLY is off, of which
 * it is known that nobody else has written their packets.
 *
 * In INPUT and OUTPUT this machine is one end, so `source` and `remote` both mean the other one. In
 * FORWARD `source` is who torrents: the sender, or who asked where a tracker answers. The remote end is
 * the one outside `ours`; where both or neither are ours, the responder: who was called rather than
 * who called.
 */
export function banTargets(accused: Accused, hook: number, policy: BanPolicy): number {
  if (!accused.mayBan) return 0;
  const { address } = accused;
  let ends = wantedEnds(accused, hook, policy);
  if (policy.requiresReply) ends &= accused.real;
  if ((ends & SOURCE_END) !== 0 && policy.never.contains(address, 0)) ends &= ~SOURCE_END;
  if ((ends & DESTINATION_END) !== 0 && policy.never.contains(address, 4)) ends &= ~DESTINATION_END;
  return ends;
}

function wantedEnds(accused: Accused, hook: number, policy: BanPolicy): number {
  const { acted, offenders } = accused;
  switch (policy.target) {
    case "none":
      return 0;
    case "both":
      return acted;
    case "source":
      if (hook === HOOK_OUTPUT) return offenders & DESTINATION_END;
      if (hook === HOOK_INPUT) return offenders & SOURCE_END;
      return (offenders & SOURCE_END) !== 0 ? SOURCE_END : offenders;
    case "remote":
      return acted & remoteEnd(accused, hook, policy);
  }
}

function remoteEnd(
  { address, initiatorIsSource }: Accused,
  hook: number,
  policy: BanPolicy,
): number {
  if (hook === HOOK_OUTPUT) return DESTINATION_END;
  if (hook === HOOK_INPUT) return SOURCE_END;
  const sourceIsOurs = policy.ours.contains(address, 0);
  const destinationIsOurs = policy.ours.contains(address, 4);
  if (sourceIsOurs !== destinationIsOurs) return sourceIsOurs ? DESTINATION_END : SOURCE_END;
  return initiatorIsSource ? DESTINATION_END : SOURCE_END;
}
