/**
 * The desk for bans: the socket, the status page and the command line (over pinned maps, where no
 * blocker runs) all come here, so that a ban is lifted in one way.
 */
import { EnvironmentError } from "../errors.ts";
import { addressKey } from "../gateway/bans/ban_key.ts";
import { type Ban, type Bans, REASON_MANUAL } from "../gateway/bans/bans.ts";
import { Networks } from "../gateway/network/networks.ts";
import { formatAddress } from "../packet/address.ts";
import {
  type BanAnswer,
  type BanRequest,
  canonical,
  checkBanRequest,
  readAddress,
  readRemoval,
} from "./ban_request.ts";

/** The part of a fleet that the desk needs. */
export interface DeskFleet {
  /** Takes its decisions of addresses back; how many there were of each. */
  lift(addresses: readonly string[]): Promise<number[]>;
  /** What waits to be told of them is not told any more; null for all. */
  forget(addresses: readonly string[] | null): void;
}

/** The part of the flows' marks that the desk needs: a flow that is BitTorrent is dropped by its own. */
export interface DeskFlows {
  /** Judges the flows anew that have such an end, but for those of others who are banned; how many. */
  forget(isMeant: (words: Int32Array) => boolean): number;
  /** The same of all that no ban holds. */
  forgetUnbanned(): number;
}

export class BanDesk {
  readonly #bans: Bans;
  readonly #never: Networks;
  readonly #fleet: () => DeskFleet | null;
  readonly #flows: () => DeskFlows | null;

  /**
   * @param never addresses that are not banned, not by hand either
   * @param fleet asked for at each request: it joins last
   * @param flows the same; without a blocker nothing drops them
   */
  constructor(
    bans: Bans,
    never: Networks,
    fleet: () => DeskFleet | null = () => null,
    flows: () => DeskFlows | null = () => null,
  ) {
    this.#flows = flows;
    this.#bans = bans;
    this.#never = never;
    this.#fleet = fleet;
  }

  /** The bans in force, the newest first. Reads the kernel's maps: dear where there are many. */
  list(): Ban[] {
    return this.#bans.list();
  }

  /**
   * Does what is asked, all or nothing: an address that cannot be used refuses the whole request.
   * Throws UsageError or EnvironmentError.
   */
  async answer(request: BanRequest): Promise<BanAnswer[]> {
    checkBanRequest(request);
    const { action, addresses } = request;
    switch (action) {
      case "list":
        return this.list().map((ban) => ({ type: "ban", ban }));
      case "add":
        return this.#add(request);
      case "remove": {
        const inFleet = request.fleet === true;
        // First: else it would come back at once.
        const decisions = inFleet ? await this.#liftInFleet(addresses) : null;
        return this.remove(addresses).map((answer, index) =>
          decisions === null ? answer : { ...answer, decisions: decisions[index] }
        );
      }
      case "clear": {
        const bans = this.#bans.clear();
        this.#fleet()?.forget(null);
        this.#flows()?.forgetUnbanned();
        return [{ type: "cleared", bans }];
      }
    }
  }

  /** Lifts the bans of these addresses and networks here; throws UsageError for what is neither. */
  remove(addresses: readonly string[]): Extract<BanAnswer, { type: "removed" }>[] {
    const removed = addresses.map(readRemoval).map((remove) => remove(this.#bans));
    const answers = removed.map((wasBanned, index) => {
      const address = canonical(addresses[index]);
      const meant = Networks.of(addresses[index]);
      const flows = this.#flows()?.forget((words) => meant.contains(words, 0)) ?? 0;
      return { type: "removed" as const, address, wasBanned, flows };
    });
    this.#fleet()?.forget(addresses); // what waits to be told would bring the ban back
    return answers;
  }

  #add({ addresses, durationSeconds }: BanRequest): BanAnswer[] {
    const all = addresses.map((text) => readAddress("ban", text));
    for (const [index, words] of all.entries()) {
      if (!this.#never.contains(words, 0)) continue;
      throw new EnvironmentError(
        `Cannot ban ${addresses[index]}: it is this machine's own, its gateway, its resolver, ` +
          "no single host, or in WHITELIST_IPS",
      );
    }
    const durationMs = durationSeconds * 1000;
    return all.map((words) => {
      const isNew = this.#bans.add(addressKey(words), durationMs, REASON_MANUAL);
      const untilMs = Date.now() + durationMs;
      return { type: "added", address: formatAddress(words, 0), untilMs, isNew };
    });
  }

  #liftInFleet(addresses: readonly string[]): Promise<number[]> {
    const fleet = this.#fleet();
    if (fleet === null) throw outOfFleet();
    return fleet.lift(addresses);
  }
}

/** There is no fleet to lift bans of. */
export function outOfFleet(): EnvironmentError {
  return new EnvironmentError(
    "Cannot lift bans of the fleet: no btblocker that is in one runs here",
    "set FLEET_URL, FLEET_LOGIN and FLEET_PASSWORD, and start it",
  );
}
