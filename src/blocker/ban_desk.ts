/**
 * The desk for bans: the socket, the status page and the command line (over pinned maps, where no
 * blocker runs) all come here, so that a ban is lifted in one way.
 */
import { EnvironmentError } from "../errors.ts";
import { formatBanKey } from "../gateway/bans/ban_key.ts";
import { type Ban, type Bans, REASON_MANUAL } from "../gateway/bans/bans.ts";
import type { Cidr } from "../gateway/network/networks.ts";
import { type BanAnswer, type BanRequest, checkBanRequest, readBanned } from "./ban_request.ts";

/** The part of a fleet that the desk needs. */
export interface DeskFleet {
  /** Takes its decisions of addresses back; how many there were of each. */
  lift(addresses: readonly string[]): Promise<number[]>;
  /** What waits to be told of them is not told any more; null for all. */
  forget(addresses: readonly string[] | null): void;
}

/** The part of the flows' marks that the desk needs: a flow that is BitTorrent is dropped by its own. */
export interface DeskFlows {
  /**
   * Judges the flows anew that have an end in this network, but for those of others who are banned; how
   * many. For connections that there are now nobody is banned again.
   */
  lift(network: Cidr): number;
  /** The same of all. */
  liftAll(): number;
}

/** What a running blocker has besides its bans; each is asked for at a request, as it may join late. */
export interface DeskParts {
  readonly fleet?: () => DeskFleet | null;
  /** Without a blocker nothing drops flows. */
  readonly flows?: () => DeskFlows | null;
  /** Who has an address, in words, where it is known. */
  readonly who?: (address: string) => string | null;
}

/** Whom nobody bans; `LocalAddresses` knows. */
export interface NeverBanned {
  /** Who is in this network that is never banned, in words; null where nobody is. */
  whyNever(network: Cidr): string | null;
}

const NONE = () => null;

export class BanDesk {
  readonly #bans: Bans;
  readonly #never: NeverBanned;
  readonly #fleet: () => DeskFleet | null;
  readonly #flows: () => DeskFlows | null;
  readonly #who: (address: string) => string | null;

  /**
   * @param never addresses that are not banned, not by hand either
   */
  constructor(bans: Bans, never: NeverBanned, parts: DeskParts = {}) {
    const { fleet = NONE, flows = NONE, who = NONE } = parts;
    this.#bans = bans;
    this.#never = never;
    this.#fleet = fleet;
    this.#flows = flows;
    this.#who = who;
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
        return this.list().map((ban) => ({ type: "ban", ban, who: this.#who(ban.address) }));
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
        this.#flows()?.liftAll();
        return [{ type: "cleared", bans }];
      }
    }
  }

  /**
   * Lifts the bans of these here: all bans of an address, the one of a network or an endpoint. Throws
   * UsageError for what is none of these.
   */
  remove(addresses: readonly string[]): Extract<BanAnswer, { type: "removed" }>[] {
    const bans = this.#bans;
    const answers = addresses.map((text) => readBanned("unban", text)).map(({ key, isAddress }) => {
      const prefix = isAddress ? bans.prefixOf(key.words) : null;
      const wasBanned = isAddress ? bans.liftAddress(key.words) : bans.lift(key);
      const [within] = bans.around(key);
      // Of an IPv6 address all that its ban was for.
      const flows = this.#flows()?.lift(isAddress ? bans.keyOf(key.words) : key) ?? 0;
      return {
        ...{ type: "removed" as const, address: formatBanKey(key), wasBanned, flows },
        ...prefix === null ? {} : { network: formatBanKey(prefix) },
        ...within === undefined ? {} : { within: formatBanKey(within) },
      };
    });
    this.#fleet()?.forget(this.#spellings(addresses)); // what waits would bring the ban back
    return answers;
  }

  /** An IPv6 address, and the prefix that the ban of it was for. */
  #spellings(addresses: readonly string[]): string[] {
    return addresses.flatMap((text) => {
      const { key, isAddress } = readBanned("unban", text);
      const names = [formatBanKey(key)];
      if (isAddress) names.push(formatBanKey(this.#bans.keyOf(key.words)));
      return [...new Set(names)];
    });
  }

  #add({ addresses, durationSeconds }: BanRequest): BanAnswer[] {
    const keys = addresses.map((text) => {
      const { key, isAddress } = readBanned("ban", text);
      const refusal = this.#never.whyNever(key);
      if (refusal !== null) throw new EnvironmentError(`Cannot ban ${text}: ${refusal}`);
      return isAddress ? this.#bans.keyOf(key.words) : key;
    });
    const durationMs = durationSeconds * 1000;
    return keys.map((key) => {
      const isNew = this.#bans.add(key, durationMs, REASON_MANUAL);
      const address = formatBanKey(key);
      if (isNew === null) {
        throw new EnvironmentError(
          `Cannot ban ${address}: BAN_LIMIT is reached by bans that were made by hand`,
          "lift some of them, or raise BAN_LIMIT",
        );
      }
      return { type: "added", address, untilMs: Date.now() + durationMs, isNew };
    });
  }

  async #liftInFleet(addresses: readonly string[]): Promise<number[]> {
    const fleet = this.#fleet();
    if (fleet === null) throw outOfFleet();
    const names = addresses.map((address) => this.#spellings([address]));
    const lifted = await fleet.lift(names.flat());
    return names.map(({ length }) => lifted.splice(0, length).reduce((sum, one) => sum + one, 0));
  }
}

/** There is no fleet to lift bans of. */
export function outOfFleet(): EnvironmentError {
  return new EnvironmentError(
    "Cannot lift bans of the fleet: no btblocker that is in one runs here",
    "set FLEET_URL, FLEET_LOGIN and FLEET_PASSWORD, and start it",
  );
}
