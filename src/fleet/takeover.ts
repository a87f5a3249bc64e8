/**
 * The fleet's decisions, put into force here and taken out again. What holds where several decisions
 * meet: the longest; this machine's white list and own addresses before any of them.
 *
 * Decisions of our own come back from the fleet: they find our ban in force and change nothing, but
 * are remembered, so that lifting one lifts our ban. An end that comes by itself needs no care: the
 * ban has the same end.
 */
import { bootTimeMs } from "../../ffi/libc.ts";
import { networkKey } from "../gateway/bans/ban_key.ts";
import { type Bans, REASON_FLEET, REASON_MANUAL, reasonName } from "../gateway/bans/bans.ts";
import {
  type Cidr,
  formatNetwork,
  isPrivate,
  type Networks,
  parseNetwork,
} from "../gateway/network/networks.ts";
import type { LogLine } from "../log_line.ts";
import { METHODS } from "../protocols/match.ts";
import type { Decision, News } from "./decisions.ts";

/** Differences of ends below this come from rounding and the way, not from anybody's will. */
const SLACK_MS = 5_000;
/** Changes made before others get a turn: some milliseconds. */
const TURN = 1_000;
/** Networks wider than this are nobody's to ban: a slip, or malice. In the 128-bit form. */
const WIDEST_IPV4 = 96 + 8;
const WIDEST_IPV6 = 16;
/** Ignored decisions told one by one; beyond that only counted. */
const TOLD_MOST = 100;
/** The API names a decision as deleted for some seconds more than once. */
const GONE_MS = 600_000;

/** What this machine has told the fleet of. */
export interface OwnReports {
  /** A ban of the address is on its way, or may be too young for the news at hand. */
  isUnderWay(key: string): boolean;
  /** The fleet knows a ban of ours of the address. */
  isKnown(key: string): boolean;
  /** Keys of those. */
  known(): Iterable<string>;
  /** Lifted: a new ban of the address is to be told of again. */
  forget(key: string): void;
}

export interface TakeoverOptions {
  readonly bans: Bans;
  /** Never banned here, whoever decides. */
  readonly never: Networks;
  /** Decisions held at most. */
  readonly most: number;
  /** Whether private addresses are the same everywhere in this fleet (FLEET_PRIVATE). */
  readonly sharesPrivate: boolean;
  readonly own: OwnReports;
  /** Whether bans of an earlier run, restored from the kernel, were told to the fleet. */
  readonly wasMember: boolean;
  readonly log: LogLine;
}

/** An address or network with the decisions about it. */
interface Held {
  readonly network: Cidr;
  /** End of each decision by its id, milliseconds since boot. */
  readonly ends: Map<number, number>;
}

export class Takeover {
  readonly #options: TakeoverOptions;
  readonly #held = new Map<string, Held>();
  /** `key#id` of decisions that were deleted, and when that was told. */
  readonly #gone = new Map<string, number>();
  readonly #told = new Set<string>();
  #generation: number;
  #isFirst = true;
  #surplus = 0;

  constructor(options: TakeoverOptions) {
    this.#options = options;
    this.#generation = options.never.generation;
  }

  /** Addresses and networks with decisions. */
  get size(): number {
    return this.#held.size;
  }

  /** Takes over all that holds; what does no more is lifted. */
  async snapshot({ added }: News): Promise<void> {
    const nowMs = bootTimeMs();
    this.#gone.clear(); // ids begin anew where the API's database was lost
    const fresh = new Map<string, Decision[]>();
    for (const decision of added.map((one) => this.#widened(one))) {
      const list = fresh.get(decision.key);
      if (list === undefined) fresh.set(decision.key, [decision]);
      else list.push(decision);
    }
    if (this.#isFirst) this.#liftOfEarlierRun(fresh);
    this.#isFirst = false;
    for (const [key, held] of this.#held) {
      if (fresh.has(key)) continue;
      this.#held.delete(key);
      if (latest(held) > nowMs + SLACK_MS) this.#lift(key, held.network);
    }
    for (const key of [...this.#options.own.known()]) {
      const network = parseNetwork(key);
      if (network !== null && !fresh.has(key)) this.#lift(key, network);
    }
    let changes = 0;
    for (const [key, decisions] of fresh) {
      const before = this.#held.get(key);
      const ids = new Set(decisions.map(({ id }) => id));
      for (const id of before?.ends.keys() ?? []) if (!ids.has(id)) before!.ends.delete(id);
      for (const decision of decisions) this.#hold(decision, bootTimeMs());
      if (++changes % TURN === 0) await othersTurn();
    }
    this.#tellSurplus();
  }

  /** Takes over what came, and lifts what went. */
  async news({ added, deleted }: News): Promise<void> {
    let changes = 0;
    for (const decision of added) {
      this.#hold(this.#widened(decision), bootTimeMs());
      if (++changes % TURN === 0) await othersTurn();
    }
    for (const decision of deleted) {
      this.#delete(this.#widened(decision), bootTimeMs());
      if (++changes % TURN === 0) await othersTurn();
    }
    this.#tellSurplus();
  }

  /** Drops what has ended, and follows changes of the white list and of own addresses. */
  refresh(): void {
    const nowMs = bootTimeMs();
    const generation = this.#options.never.generation;
    const hasChanged = generation !== this.#generation;
    this.#generation = generation;
    for (const [key, held] of this.#held) {
      for (const [id, endMs] of held.ends) if (endMs <= nowMs) held.ends.delete(id);
      if (held.ends.size === 0) {
        this.#held.delete(key);
        // An ended network would hide a wider one that has not.
        if (held.network.bits < 128) this.#removeFleetBan(held.network);
      } else if (hasChanged) this.#apply(key, held, nowMs);
    }
    for (const [entry, goneMs] of this.#gone) {
      if (goneMs < nowMs - GONE_MS) this.#gone.delete(entry);
    }
  }

  /** As a ban here is for: an IPv6 address's prefix. */
  #widened(decision: Decision): Decision {
    if (decision.network.bits < 128) return decision;
    const network = this.#options.bans.keyOf(decision.network.words);
    return { ...decision, network, key: formatNetwork(network) };
  }

  #hold({ id, key, network, durationMs }: Decision, nowMs: number): void {
    if (durationMs <= 0 || this.#gone.has(`${key}#${id}`)) return;
    const endMs = nowMs + durationMs;
    let held = this.#held.get(key);
    if (held === undefined) {
      if (this.#held.size >= this.#options.most) {
        this.#surplus++;
        return;
      }
      held = { network, ends: new Map() };
      this.#held.set(key, held);
    }
    const known = held.ends.get(id);
    held.ends.set(id, endMs);
    // One that is known has been put into force; what has become of it here since is to stay so.
    if (known === undefined || Math.abs(known - endMs) > SLACK_MS) this.#apply(key, held, nowMs);
  }

  #delete({ id, key, network }: Decision, nowMs: number): void {
    const entry = `${key}#${id}`;
    if (this.#gone.has(entry)) return;
    this.#gone.set(entry, nowMs);
    const held = this.#held.get(key);
    const endMs = held?.ends.get(id);
    held?.ends.delete(id);
    if (held !== undefined && held.ends.size > 0) {
      if (endMs !== undefined) this.#apply(key, held, nowMs); // the others may end sooner
      return;
    }
    this.#held.delete(key);
    const hasEndedItself = endMs !== undefined && endMs <= nowMs + SLACK_MS;
    if (hasEndedItself) {
      if (network.bits < 128) this.#removeFleetBan(network);
    } else if (endMs !== undefined || this.#options.own.isKnown(key)) this.#lift(key, network);
  }

  /** Puts the longest of the decisions into force, unless a ban of ours holds as long. */
  #apply(key: string, held: Held, nowMs: number): void {
    const { bans } = this.#options;
    const refusal = this.#refusal(held.network);
    if (refusal !== null) {
      this.#tell(key, refusal);
      this.#removeFleetBan(held.network);
      return;
    }
    const endMs = latest(held);
    const current = bans.find(networkKey(held.network));
    if (current !== null) {
      const isOurs = current.reason !== REASON_FLEET;
      if (isOurs && current.untilMs >= endMs - SLACK_MS) return;
      if (!isOurs && Math.abs(current.untilMs - endMs) < SLACK_MS) return;
    }
    bans.add(networkKey(held.network), endMs - nowMs, REASON_FLEET);
  }

  /** Why a network is not banned here, whoever says so; null where it may be. */
  #refusal(network: Cidr): string | null {
    const { words, bits } = network;
    const isIpv4 = bits >= 96 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
    if (bits < (isIpv4 ? WIDEST_IPV4 : WIDEST_IPV6)) return "it is too wide";
    if (!this.#options.sharesPrivate && isPrivate(network)) {
      return "private addresses are others at each gateway (FLEET_PRIVATE)";
    }
    if (!this.#options.never.overlaps(network)) return null;
    return "it has this machine, its gateway, its resolver, no single host, or WHITELIST_IPS in it";
  }

  /** Ends a ban that somebody has lifted: the fleet's, or ours that the fleet was told of. */
  #lift(key: string, network: Cidr): void {
    const { bans, own } = this.#options;
    if (own.isUnderWay(key)) return; // a new offence
    own.forget(key);
    const current = bans.find(networkKey(network));
    if (current === null || current.reason === REASON_MANUAL) return;
    bans.lift(networkKey(network));
  }

  #removeFleetBan(network: Cidr): void {
    const { bans } = this.#options;
    if (bans.find(networkKey(network))?.reason === REASON_FLEET) bans.remove(networkKey(network));
    else if (network.bits < 128) bans.remove(networkKey(network)); // ended, and in the kernel still
  }

  /** Bans that an earlier run has left in the kernel and that were lifted since. */
  #liftOfEarlierRun(fresh: ReadonlyMap<string, unknown>): void {
    const { bans, wasMember, own, log, sharesPrivate } = this.#options;
    const methods: readonly string[] = METHODS;
    let lifted = 0;
    for (const { address, reason, port } of bans.list()) {
      const isFleets = reason === reasonName(REASON_FLEET);
      const network = parseNetwork(address);
      const wasTold = wasMember && methods.includes(reason) && !own.isUnderWay(address) &&
        network !== null && (sharesPrivate || !isPrivate(network));
      if (port !== null || fresh.has(address) || !(isFleets || wasTold)) continue;
      if (network !== null && bans.remove(networkKey(network))) lifted++;
    }
    if (lifted > 0) {
      log("info", `Lifted ${lifted} bans of an earlier run that the fleet does not know any more`);
    }
  }

  #tell(key: string, refusal: string): void {
    if (this.#told.has(key) || this.#told.size > TOLD_MOST) return;
    this.#told.add(key);
    const { log } = this.#options;
    if (this.#told.size <= TOLD_MOST) {
      log("warn", `The fleet's ban of ${key} is ignored: ${refusal}`);
    } else log("warn", "More of the fleet's bans are ignored; they are not told one by one");
  }

  #tellSurplus(): void {
    if (this.#surplus === 0 || this.#told.has("surplus")) return;
    this.#told.add("surplus");
    const { log, most } = this.#options;
    log(
      "warn",
      `The fleet has more bans than the ${most} there is room for; ${this.#surplus} are left out ` +
        "(raise BAN_LIMIT)",
    );
    this.#surplus = 0;
  }
}

function latest({ ends }: Held): number {
  let latest = 0;
  for (const endMs of ends.values()) latest = Math.max(latest, endMs);
  return latest;
}

/** Lets timers, signals and messages of the workers in. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
