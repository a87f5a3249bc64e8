/**
 * `bans list|add|remove|clear`, wherever they run: in the running blocker, asked through its socket,
 * or in the command itself over the pinned maps.
 */
import { EnvironmentError, UsageError } from "../../errors.ts";
import { formatAddress, parseAddress } from "../../packet/address.ts";
import { type Ban, type Bans, REASON_MANUAL } from "./bans.ts";
import { formatNetwork, type Networks, parseNetwork } from "../network/networks.ts";

export const BAN_ACTIONS = ["list", "add", "remove", "clear"] as const;
export type BanAction = typeof BAN_ACTIONS[number];

export interface BanRequest {
  readonly action: BanAction;
  readonly addresses: readonly string[];
  /** Of `add`. */
  readonly durationSeconds: number;
  /** Of `remove`: also lift the fleet's bans, everywhere. */
  readonly fleet?: boolean;
}

/** One answer an address (`add`, `remove`), or one in all (`clear`). */
export type BanAnswer =
  | { readonly type: "ban"; readonly ban: Ban }
  | {
    readonly type: "added";
    readonly address: string;
    readonly untilMs: number;
    /** False when it was banned already and only its end has changed. */
    readonly isNew: boolean;
  }
  | {
    readonly type: "removed";
    readonly address: string;
    readonly wasBanned: boolean;
    /** Decisions of the fleet taken back, where that was asked for. */
    readonly decisions?: number;
  }
  | { readonly type: "cleared"; readonly bans: number };

/**
 * Does what is asked, all or nothing: an address that cannot be used refuses the whole request.
 *
 * @param never addresses that are not banned, not by hand either
 */
export function answerBanRequest(bans: Bans, never: Networks, request: BanRequest): BanAnswer[] {
  const { action, addresses, durationSeconds } = request;
  switch (action) {
    case "list":
      return bans.list().map((ban) => ({ type: "ban", ban }));
    case "clear":
      return [{ type: "cleared", bans: bans.clear() }];
    case "remove":
      return addresses.map(readRemoval).map((remove, index) => ({
        ...{ type: "removed", address: canonical(addresses[index]) },
        wasBanned: remove(bans),
      }));
    case "add": {
      const all = addresses.map((text) => readAddress("ban", text));
      for (const [index, words] of all.entries()) {
        if (!never.contains(words, 0)) continue;
        throw new EnvironmentError(
          `Cannot ban ${addresses[index]}: it is this machine's own, its gateway, its resolver, ` +
            "no single host, or in WHITELIST_IPS",
        );
      }
      const durationMs = durationSeconds * 1000;
      return all.map((words) => {
        const isNew = bans.banAddress(words, 0, durationMs, REASON_MANUAL);
        const untilMs = Date.now() + durationMs;
        return { type: "added", address: formatAddress(words, 0), untilMs, isNew };
      });
    }
  }
}

/** As `list` names it. */
function canonical(text: string): string {
  const network = parseNetwork(text);
  return network === null ? text : formatNetwork(network);
}

/** What to lift: all bans of an address, or the one of a network, as `list` names it. */
function readRemoval(text: string): (bans: Bans) => boolean {
  const network = text.includes("/") ? parseNetwork(text) : null;
  if (network !== null && network.bits < 128) return (bans) => bans.removeNetwork(network);
  const words = readAddress("unban", text);
  return (bans) => bans.remove(words);
}

function readAddress(verb: string, text: string): Int32Array {
  const words = parseAddress(text);
  if (words !== null) return words;
  throw new UsageError(
    `Cannot ${verb} ${text}: expected one address, such as 192.0.2.7 or 2001:db8::7`,
  );
}

/** Throws UsageError for an address that cannot be used, before anybody is asked. */
export function checkBanRequest({ action, addresses }: BanRequest): void {
  for (const text of addresses) {
    if (action === "remove") readRemoval(text);
    else readAddress("ban", text);
  }
}

/** Lifts the fleet's bans; how many decisions that were, of each address. */
export type FleetLift = (addresses: readonly string[]) => Promise<number[]>;

/** As {@link answerBanRequest}, and in the fleet where the request says so. */
export async function answerInFleet(
  bans: Bans,
  never: Networks,
  request: BanRequest,
  lift: FleetLift | null,
): Promise<BanAnswer[]> {
  if (request.fleet !== true || request.action !== "remove") {
    return answerBanRequest(bans, never, request);
  }
  checkBanRequest(request);
  if (lift === null) throw outOfFleet();
  const decisions = await lift(request.addresses); // first: else it would come back at once
  return answerBanRequest(bans, never, request).map((answer, index) =>
    answer.type === "removed" ? { ...answer, decisions: decisions[index] } : answer
  );
}

/** There is no fleet to lift bans of. */
export function outOfFleet(): EnvironmentError {
  return new EnvironmentError(
    "Cannot lift bans of the fleet: no btblocker that is in one runs here",
    "set FLEET_URL, FLEET_LOGIN and FLEET_PASSWORD, and start it",
  );
}

/** A request as it came through the socket, checked. */
export function readBanRequest(value: unknown): BanRequest {
  const { action, addresses, durationSeconds, fleet } = value as Partial<BanRequest>;
  const isRequest = BAN_ACTIONS.some((known) => known === action) && Array.isArray(addresses) &&
    addresses.every((text) => typeof text === "string") && Number.isFinite(durationSeconds) &&
    (fleet === undefined || typeof fleet === "boolean");
  if (!isRequest) throw new UsageError("Cannot read the request: not one for bans");
  return value as BanRequest;
}
