/** What can be asked of the bans, and what is answered: the same on the socket, page and command line. */
import { UsageError } from "../errors.ts";
import { networkKey } from "../gateway/bans/ban_key.ts";
import type { Ban, Bans } from "../gateway/bans/bans.ts";
import { formatNetwork, parseNetwork } from "../gateway/network/networks.ts";
import { parseAddress } from "../packet/address.ts";

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
    /** Flows of it that were dropped as BitTorrent, and are judged anew. */
    readonly flows: number;
    /** Decisions of the fleet taken back, where that was asked for. */
    readonly decisions?: number;
  }
  | { readonly type: "cleared"; readonly bans: number };

/** A request as it came through the socket, checked; throws UsageError. */
export function readBanRequest(value: unknown): BanRequest {
  const { action, addresses, durationSeconds, fleet } = (value ?? {}) as Partial<BanRequest>;
  const isRequest = BAN_ACTIONS.some((known) => known === action) && Array.isArray(addresses) &&
    addresses.every((text) => typeof text === "string") && Number.isFinite(durationSeconds) &&
    (fleet === undefined || typeof fleet === "boolean");
  if (!isRequest) throw new UsageError("Cannot read the request: not one for bans");
  return value as BanRequest;
}

/** Throws UsageError for an address that cannot be used, before anybody is asked. */
export function checkBanRequest({ action, addresses }: BanRequest): void {
  for (const text of addresses) {
    if (action === "remove") readRemoval(text);
    else readAddress("ban", text);
  }
}

/** As `list` names it. */
export function canonical(text: string): string {
  const network = parseNetwork(text);
  return network === null ? text : formatNetwork(network);
}

/** What to lift: all bans of an address, or the one of a network, as `list` names it. */
export function readRemoval(text: string): (bans: Bans) => boolean {
  const network = text.includes("/") ? parseNetwork(text) : null;
  if (network !== null && network.bits < 128) return (bans) => bans.remove(networkKey(network));
  const words = readAddress("unban", text);
  return (bans) => bans.removeAddress(words);
}

export function readAddress(verb: "ban" | "unban", text: string): Int32Array {
  const words = parseAddress(text);
  if (words !== null) return words;
  throw new UsageError(
    `Cannot ${verb} ${text}: expected one address, such as 192.0.2.7 or 2001:db8::7`,
  );
}
