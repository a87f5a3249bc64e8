/** Our chain as those behind the queue must know it: it decides how a verdict is given. */
import type { Firewall } from "./firewall.ts";
import type { Marks } from "./marks.ts";
import type { GuardedTraffic } from "./rule_text.ts";

export interface Chain {
  readonly marks: Marks;
  /** It, or its like, stands behind the queue: flow states are saved by NF_REPEAT. */
  readonly savesMarks: boolean;
  /** It knows of MONITOR_ONLY too, and lets flows known as BitTorrent pass. */
  readonly monitors: boolean;
  /** Rules of others follow ours in the table, so that accepted packets must run on to them. */
  readonly sharesTable: boolean;
}

/**
 * The chain as it is, or is about to be.
 *
 * @param firewall null where there is none and the rules are others'
 * @param manageRules whether we install it
 */
export async function chainOf(
  firewall: Firewall | null,
  traffic: GuardedTraffic,
  manageRules: boolean,
): Promise<Chain> {
  return {
    marks: traffic.marks,
    savesMarks: manageRules || ((await firewall?.look(traffic))?.isInstalled ?? false),
    monitors: manageRules,
    sharesTable: firewall?.sharesTable ?? false,
  };
}
