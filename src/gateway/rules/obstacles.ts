/** Rules of others that stand in our way, for the start and for the doctor. */

import { describeDivertingRules, DIVERTING_REMEDY, findDivertingRules } from "./diverting_rules.ts";
import {
  describeQueueUsers,
  findQueueUsers,
  QUEUE_REMEDY,
  type RuleListings,
} from "./queue_users.ts";
import type { GuardedTraffic } from "./rule_text.ts";

/** What is in the way, and what helps. */
export interface Obstacle {
  readonly kind: "queue rules" | "proxy rules";
  readonly detail: string;
  readonly remedy: string;
}

/**
 * Rules that send to queues of ours, and, where FORWARD alone is guarded, those that hand its connections
 * to a program of this machine.
 */
export function findObstacles(
  listings: RuleListings,
  { queueNumber, queueCount, chains }: Pick<
    GuardedTraffic,
    "queueNumber" | "queueCount" | "chains"
  >,
): Obstacle[] {
  const found: Obstacle[] = [];
  const users = findQueueUsers(listings, queueNumber, queueCount);
  if (users.length > 0) {
    found.push({ kind: "queue rules", detail: describeQueueUsers(users), remedy: QUEUE_REMEDY });
  }
  const isForwardAlone = chains.every((chain) => chain === "FORWARD");
  const diverting = isForwardAlone ? findDivertingRules(listings) : [];
  if (diverting.length > 0) {
    const detail = describeDivertingRules(diverting);
    found.push({ kind: "proxy rules", detail, remedy: DIVERTING_REMEDY });
  }
  return found;
}
