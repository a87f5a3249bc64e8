/** Which marks this run uses, beside everybody else who uses some; and what is to be told of it. */

import type { LogLine } from "../../log_line.ts";
import type { Firewall } from "./firewall.ts";
import { chooseMask, type MarkUser, WELL_KNOWN } from "./mark_users.ts";
import { hex, type Marks, marksOf, newSeal } from "./marks.ts";

export interface AgreedMarks {
  readonly marks: Marks;
  /** Somebody copies our bits from connections' marks into packets'. */
  readonly stripsCopies: boolean;
  /** Somebody asks for connections' marks as a whole: a clean one's is left as it is. */
  readonly leavesMarks: boolean;
}

/**
 * The marks for rules that are to be installed.
 *
 * @param asked MARK_MASK
 * @throws UsageError for a mask that others use
 */
export async function agreeOnMarks(
  firewall: Pick<Firewall, "markUsers">,
  asked: number | "auto",
  log: LogLine,
): Promise<AgreedMarks> {
  const users = await firewall.markUsers();
  const mask = chooseMask(asked, users);
  const marks = marksOf(mask, newSeal(mask, users.map(({ packets }) => packets), WELL_KNOWN));
  for (const { who } of overwriters(users, marks)) {
    log(
      "warn",
      `A rule overwrites the bits ${hex(mask)} of connections' marks, so flows are judged again ` +
        `and again: ${who}`,
    );
  }
  const asking = wholeAskers(users, marks);
  if (asking.length > 0) log("warn", describeAskers(asking));
  return { marks, stripsCopies: copiesOurs(users, marks), leavesMarks: asking.length > 0 };
}

/**
 * The marks of rules that are there already, by `rules install`, or those that such a run would have.
 * Rules of others have no place for ours.
 */
export async function marksOfInstalled(
  firewall: Pick<Firewall, "installedMarks" | "markUsers"> | null,
  asked: number | "auto",
): Promise<AgreedMarks> {
  const installed = await firewall?.installedMarks() ?? null;
  const isAsked = installed !== null && (asked === "auto" || (asked | 0) === installed.mask);
  const marks = isAsked ? installed : marksOf(asked === "auto" ? chooseMask(asked, []) : asked);
  return { marks, stripsCopies: false, leavesMarks: false };
}

/** Who overwrites our bits in connections' marks: no other bits help where it is all of them. */
export function overwriters(users: readonly MarkUser[], { mask }: Marks): MarkUser[] {
  return users.filter(({ connections }) => (connections & mask) !== 0);
}

/** Who says of connections what our bits say, whatever they are. */
export function stateSetters(users: readonly MarkUser[], { mask }: Marks): MarkUser[] {
  return users.filter(({ states }) => (states & mask) !== 0);
}

/**
 * Whose rules would find another mark than they look for where ours is in it. Who asks for bits of ours
 * and no other wants to know what we know. Who asks for packets' whole marks in the hook in which they
 * are copied from connections' comes before ours are taken out.
 */
export function wholeAskers(users: readonly MarkUser[], { mask }: Marks): MarkUser[] {
  const copied = users.filter(({ copies }) => (copies & mask) !== 0)
    .reduce((bits, { hooks }) => bits | hooks, 0);
  return users.filter(({ asks, asksPackets, hooks }) =>
    ((asks & mask) !== 0 && (asks & ~mask) !== 0) || (asksPackets && (hooks & copied) !== 0)
  );
}

export function describeAskers(asking: readonly MarkUser[]): string {
  const whose = new Set(asking.map(({ who }) => who)); // both families' are alike
  return `A rule asks for connections' marks as a whole: ${[...whose].join("; ")}: ` +
    "so clean connections get none of ours, and every packet is judged, which is slow (a mask in " +
    "that rule, such as 0x1/0xff, helps)";
}

export function copiesOurs(users: readonly MarkUser[], { mask }: Marks): boolean {
  return users.some(({ copies }) => (copies & mask) !== 0);
}

/** Whether a packet's mark is a verdict of this run, which our chain has not taken off. */
export function isOwnVerdict(mark: number, { sealMask, sealedClear, sealedDrop }: Marks): boolean {
  return [sealedClear, sealedDrop].includes(mark & sealMask);
}

/**
 * What to say of packets that come with such a mark.
 *
 * @param users everybody who uses marks now
 * @param queueUsers rules of others that send packets to our queues
 */
export function describeForeignMark(
  mark: number,
  marks: Marks,
  users: readonly MarkUser[],
  queueUsers: readonly string[] = [],
): string {
  // Our chain takes the seal off, and queues nothing that has it.
  if (isOwnVerdict(mark, marks)) {
    const shown = queueUsers.length > 0
      ? queueUsers.join("; ")
      : "`iptables-save | grep NFQUEUE` and `nft list ruleset | grep queue` show it";
    return "Packets come again after they were judged: a rule of another program sends them to a " +
      `queue of ours, so every packet is judged, which is slow (${shown}: remove it, or choose ` +
      "another QUEUE_NUM)";
  }
  const { mask, sealMask } = marks;
  const shared = mark & mask;
  const setters = users.filter(({ packets }) => (packets & mark & sealMask) !== 0);
  const by = setters.length === 0 ? "another program" : setters.map(({ who }) => who).join("; ");
  const begin = `Packets come with the mark ${hex(mark)}, set by ${by}: `;
  const judged =
    "these are judged one by one, which is slow, and nothing is remembered of their flows";
  return shared === 0
    ? `${begin}its bits ${hex(mark & sealMask)} are those by which verdicts are told; ${judged} ` +
      "(a restart takes other bits)"
    : `${begin}its bits ${hex(shared)} are of MARK_MASK (${hex(mask)}), so what the connection's ` +
      `mark says is not believed; ${judged} (a restart with MARK_MASK=auto takes other bits)`;
}
