/**
 * `bans list|add|remove|clear`, wherever they run: in the running blocker, asked through its socket,
 * or in the command itself over the pinned maps.
 */
import { EnvironmentError, UsageError } from "../errors.ts";
import { parseAddress } from "../packet/address.ts";
import { type Ban, type Bans, REASON_MANUAL } from "./bans.ts";
import type { Networks } from "./networks.ts";

export const BAN_ACTIONS = ["list", "add", "remove", "clear"] as const;
export type BanAction = typeof BAN_ACTIONS[number];

export interface BanRequest {
  readonly action: BanAction;
  readonly addresses: readonly string[];
  /** Of `add`. */
  readonly durationSeconds: number;
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
  | { readonly type: "removed"; readonly address: string; readonly wasBanned: boolean }
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
      return addresses.map((text) => readAddress("unban", text)).map((words, index) => ({
        ...{ type: "removed", address: addresses[index] },
        wasBanned: bans.remove(words),
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
      return all.map((words, index) => {
        const isNew = bans.banAddress(words, 0, durationMs, REASON_MANUAL);
        const untilMs = Date.now() + durationMs;
        return { type: "added", address: addresses[index], untilMs, isNew };
      });
    }
  }
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
  for (const text of addresses) readAddress(action === "remove" ? "unban" : "ban", text);
}

/** A request as it came through the socket, checked. */
export function readBanRequest(value: unknown): BanRequest {
  const { action, addresses, durationSeconds } = value as Partial<BanRequest>;
  const isRequest = BAN_ACTIONS.some((known) => known === action) && Array.isArray(addresses) &&
    addresses.every((text) => typeof text === "string") && Number.isFinite(durationSeconds);
  if (!isRequest) throw new UsageError("Cannot read the request: not one for bans");
  return value as BanRequest;
}
